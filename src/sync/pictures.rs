//! Pictures of clipboards on their way: what is offered, and the next part of what is fetched. Either side of a link has both. A
//! peer that offers what it does not send, or sends what nobody asked for, gets nothing by it.

use crate::wire::limits::MAX_PICTURE_PART;
use crate::wire::{Control, PicturePart, png_size};
use bytes::Bytes;

/// What this side offers: one picture, the newest.
#[derive(Default)]
pub struct OfferedPicture {
    number: u64,
    png: Bytes,
}

impl OfferedPicture {
    /// Offers a picture instead of the one before; the message says so. `None` for what no peer would take.
    pub fn offer(&mut self, png: Bytes) -> Option<Control> {
        let total = u32::try_from(png.len()).ok().filter(|_| is_picture(&png))?;
        self.number += 1;
        self.png = png;
        let offer = PicturePart { picture: self.number, total, from: 0, bytes: Bytes::new() };
        Some(Control::Picture(offer))
    }

    /// The offer again, to another peer.
    pub fn again(&self) -> Option<Control> {
        let total = self.png.len() as u32;
        let offer = PicturePart { picture: self.number, total, from: 0, bytes: Bytes::new() };
        (total > 0).then_some(Control::Picture(offer))
    }

    /// Nothing is offered any more.
    pub fn withdraw(&mut self) {
        self.png = Bytes::new();
    }

    /// The part that a peer asks for, if it is of the picture that is offered.
    pub fn part(&self, picture: u64, from: u32) -> Option<Control> {
        let start = usize::try_from(from).ok().filter(|&start| start < self.png.len())?;
        let end = self.png.len().min(start + MAX_PICTURE_PART);
        let bytes = self.png.slice(start..end);
        let part = PicturePart { picture, total: self.png.len() as u32, from, bytes };
        (picture == self.number).then_some(Control::Picture(part))
    }
}

/// A picture that this side fetches, as far as it has come.
#[derive(Default)]
pub struct FetchedPicture {
    /// The picture's number and length.
    wanted: Option<(u64, u32)>,
    /// Grows as parts come: what a peer only says it has costs nothing.
    png: Vec<u8>,
}

/// What a part has led to.
#[derive(Debug, PartialEq, Eq)]
pub enum Fetched {
    /// This is to be said to the peer.
    More(Control),
    Whole(Bytes),
    /// All came, and it is no picture; or what came was not what was asked for, and the rest is not asked for.
    Wrong,
    /// It is of something that is not fetched any more.
    Stale,
}

impl FetchedPicture {
    /// Hears an offer, which takes the place of what was fetched, or a part.
    pub fn hear(&mut self, part: &PicturePart) -> Fetched {
        if part.bytes.is_empty() {
            self.wanted = Some((part.picture, part.total));
            self.png = Vec::new();
            return Fetched::More(Control::PictureWanted { picture: part.picture, from: 0 });
        }
        if self.wanted.is_none_or(|(picture, _)| picture != part.picture) {
            return Fetched::Stale;
        }
        let expected = (part.picture, part.total, part.from as usize);
        if self.wanted.map(|(picture, total)| (picture, total, self.png.len())) != Some(expected) {
            self.give_up();
            return Fetched::Wrong;
        }
        self.png.extend_from_slice(&part.bytes);
        // Sixteen million pixels are refused by the first part, before the others are asked for.
        if png_size(&self.png).is_none() {
            self.give_up();
            return Fetched::Wrong;
        }
        if self.png.len() < part.total as usize {
            let from = self.png.len() as u32;
            return Fetched::More(Control::PictureWanted { picture: part.picture, from });
        }
        self.wanted = None;
        Fetched::Whole(std::mem::take(&mut self.png).into())
    }

    /// Whether parts are still to come.
    pub fn is_under_way(&self) -> bool {
        self.wanted.is_some()
    }

    /// What was fetched is not wanted any more.
    pub fn give_up(&mut self) {
        (self.wanted, self.png) = (None, Vec::new());
    }
}

fn is_picture(png: &[u8]) -> bool {
    png.len() <= crate::wire::limits::MAX_CLIP_PICTURE && png_size(png).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn png(width: u32, height: u32, length: usize) -> Bytes {
        let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
        png.extend(width.to_be_bytes());
        png.extend(height.to_be_bytes());
        png.extend((0..length.saturating_sub(24)).map(|at| at as u8));
        png.into()
    }

    fn part(message: Option<Control>) -> PicturePart {
        match message {
            Some(Control::Picture(part)) => part,
            other => panic!("no part: {other:?}"),
        }
    }

    #[test]
    fn an_offer_alone_takes_no_memory_and_a_newer_one_replaces_it() {
        let (mut offered, mut fetched) = (OfferedPicture::default(), FetchedPicture::default());
        let first = part(offered.offer(png(5, 5, 100_000)));
        let asked = Fetched::More(Control::PictureWanted { picture: 1, from: 0 });
        assert_eq!(fetched.hear(&first), asked);
        assert_eq!(fetched.png.capacity(), 0);
        let old = part(offered.part(1, 0));
        let second = part(offered.offer(png(6, 6, 200)));
        fetched.hear(&second);
        assert_eq!(fetched.hear(&old), Fetched::Stale);
        assert_eq!(offered.part(1, 0), None);
        assert_eq!(fetched.hear(&part(offered.part(2, 0))), Fetched::Whole(png(6, 6, 200)));
    }

    #[test]
    fn what_is_withdrawn_is_not_given_and_not_offered_again() {
        let mut offered = OfferedPicture::default();
        offered.offer(png(5, 5, 100)).unwrap();
        assert!(offered.again().is_some());
        offered.withdraw();
        assert_eq!((offered.part(1, 0), offered.again()), (None, None));
    }

    #[test]
    fn what_is_no_picture_or_too_large_is_neither_offered_nor_fetched_on() {
        let mut offered = OfferedPicture::default();
        assert_eq!(offered.offer(png(9, 9, (8 << 20) + 1)), None);
        let wrong = [
            Bytes::from_static(b"GIF89a"),
            Bytes::new(),
            png(0, 5, 100),
            png(4_097, 4_096, 100),
            png(9, 9, 100).slice(1..),
        ];
        for wrong in wrong {
            assert_eq!(offered.offer(wrong.clone()), None);
            let mut fetched = FetchedPicture::default();
            let offer = PicturePart { picture: 1, total: 5 << 20, from: 0, bytes: Bytes::new() };
            fetched.hear(&offer);
            let bytes = wrong.slice(..wrong.len().min(MAX_PICTURE_PART));
            if !bytes.is_empty() {
                assert_eq!(fetched.hear(&PicturePart { bytes, ..offer }), Fetched::Wrong);
            }
        }
    }

    #[test]
    fn a_part_that_was_not_asked_for_ends_the_fetching() {
        let mut offered = OfferedPicture::default();
        let offer = part(offered.offer(png(5, 5, 100_000)));
        for from in [0, 2 * MAX_PICTURE_PART as u32] {
            let mut fetched = FetchedPicture::default();
            fetched.hear(&offer);
            fetched.hear(&part(offered.part(1, 0)));
            assert_eq!(fetched.hear(&part(offered.part(1, from))), Fetched::Wrong);
            assert_eq!(fetched.hear(&part(offered.part(1, MAX_PICTURE_PART as u32))), Fetched::Stale);
        }
    }

    proptest! {
        #[test]
        fn a_picture_of_any_length_comes_whole(length in 24usize..100_000) {
            let (mut offered, mut fetched) = (OfferedPicture::default(), FetchedPicture::default());
            let whole = png(30, 20, length);
            let mut next = offered.offer(whole.clone());
            let came = loop {
                let said = part(next);
                prop_assert!(said.bytes.len() <= MAX_PICTURE_PART);
                match fetched.hear(&said) {
                    Fetched::More(Control::PictureWanted { picture, from }) => next = offered.part(picture, from),
                    Fetched::Whole(png) => break png,
                    other => panic!("{other:?}"),
                }
            };
            prop_assert_eq!(came, whole);
        }

        #[test]
        fn whatever_a_peer_sends_no_more_is_held_than_a_picture_may_have(
            parts in proptest::collection::vec((0u64..2, 0u32..60_000, 0u32..40_000, 0usize..MAX_PICTURE_PART), 0..40)
        ) {
            let mut fetched = FetchedPicture::default();
            for (picture, total, from, length) in parts {
                let bytes = png(3, 3, length.max(24)).slice(..length.min(MAX_PICTURE_PART));
                let total = total.max(1).max(from + length as u32);
                fetched.hear(&PicturePart { picture, total, from, bytes });
                prop_assert!(fetched.png.len() <= fetched.wanted.map_or(0, |(_, total)| total as usize));
            }
        }
    }
}
