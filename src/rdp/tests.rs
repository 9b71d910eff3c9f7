//! The decoder against the oracle's host.

use super::bounds::{Bounds, MOST_MESSAGE, TooLarge};
use super::oracle::{Frame, Outcome, Shown, Way, fast_path, on_channel, rectangle, words_of};
use crate::screen::{Framebuffer, Rect};
use ironrdp_pdu::Action;
use proptest::prelude::*;

const WIDTH: u32 = 90;
const HEIGHT: u32 = 70;

fn a_rect() -> impl Strategy<Value = Rect> {
    (0..WIDTH - 1, 0..HEIGHT - 1).prop_flat_map(|(x, y)| {
        (1..=(WIDTH - x).min(64), 1..=(HEIGHT - y).min(48))
            .prop_map(move |(width, height)| Rect::new(x, y, width, height))
    })
}

fn a_way() -> impl Strategy<Value = Way> {
    prop_oneof![Just(Way::Bitmap), Just(Way::Surface), Just(Way::Pipeline)]
}

fn scribbled(seed: u32) -> Framebuffer {
    let mut screen = Framebuffer::new(WIDTH, HEIGHT).unwrap();
    let mut state = seed | 1;
    for pixel in screen.pixels_mut() {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        *pixel = state & 0x00ff_ffff;
    }
    screen
}

/// Words of a hostile host that are more often near to sense than arbitrary bytes are.
fn some_words() -> impl Strategy<Value = Vec<u8>> {
    let data = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..120),
        prop::collection::vec(prop_oneof![Just(0u8), Just(1), Just(0xff), any::<u8>()], 0..120),
    ];
    let word = (any::<u8>(), any::<u8>(), data).prop_map(|(kind, what, data)| {
        let mut word = vec![kind, what, data.len() as u8, 0];
        word.extend(data);
        word
    });
    prop::collection::vec(word, 1..24).prop_map(|words| words.concat())
}

fn hear_all(shown: &mut Shown, frames: &[Frame]) -> Outcome {
    frames
        .iter()
        .map(|frame| shown.hear(frame))
        .find(|heard| *heard != Outcome::Heard)
        .unwrap_or(Outcome::Heard)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_an_honest_host_draws_is_painted_to_the_pixel(
        seed in any::<u32>(), parts in prop::collection::vec((a_rect(), a_way()), 1..6),
    ) {
        let drawn = scribbled(seed);
        let (mut shown, mut wanted) = (Shown::new(WIDTH, HEIGHT), Framebuffer::new(WIDTH, HEIGHT).unwrap());
        shown.open();
        // A host that uses the pipeline uses nothing else.
        let pipeline = parts.iter().any(|(_, way)| *way == Way::Pipeline);
        for (rect, way) in parts {
            let way = if pipeline { Way::Pipeline } else { way };
            prop_assert_eq!(hear_all(&mut shown, &rectangle(&drawn, rect, way)), Outcome::Heard);
            for y in rect.y..rect.bottom() {
                wanted.row_mut(rect.x, y, rect.width).copy_from_slice(drawn.row(rect.x, y, rect.width));
            }
            prop_assert!(shown.screen == wanted, "{:?} by {:?}", rect, way);
        }
    }

    #[test]
    fn whatever_a_host_says_nothing_of_this_side_breaks(words in some_words()) {
        let mut shown = Shown::new(WIDTH, HEIGHT);
        shown.open();
        hear_all(&mut shown, &words_of(&words));
    }

    #[test]
    fn honest_frames_with_a_few_bytes_changed_break_nothing_of_this_side(
        rect in a_rect(), way in a_way(), edits in prop::collection::vec((any::<u16>(), any::<u8>()), 1..8),
    ) {
        let mut shown = Shown::new(WIDTH, HEIGHT);
        shown.open();
        let mut frames = rectangle(&scribbled(7), rect, way);
        for (at, value) in edits {
            let count = frames.len();
            let frame = &mut frames[usize::from(at >> 12) % count];
            // Near the beginning, where lengths and places are.
            let place = usize::from(at) % frame.1.len().min(60);
            frame.1[place] = value;
        }
        hear_all(&mut shown, &frames);
    }
}

/// The first piece of an update, one between, and the last.
fn piece(which: u8, length: usize) -> Frame {
    let (action, mut frame) = fast_path(4, &vec![0; length]);
    frame[3] |= which << 4;
    (action, frame)
}

#[test]
fn a_message_without_an_end_is_refused_when_it_is_too_large() {
    let mut bounds = Bounds::new(1_003, Some(1_004));
    let mut check = |(action, frame): &Frame| bounds.check(*action, frame);
    let (first, between, last) = (piece(2, 16_000), piece(3, 16_000), piece(1, 16_000));
    assert_eq!(check(&first), Ok(()));
    let taken = (0..).take_while(|_| check(&between).is_ok()).count();
    assert_eq!(taken, MOST_MESSAGE / 16_000 - 1);
    // One that ends is counted no further.
    assert_eq!(check(&first), Ok(()));
    assert_eq!(check(&last), Ok(()));
    assert_eq!((0..).take_while(|_| check(&between).is_ok()).count(), MOST_MESSAGE / 16_000);
}

#[test]
fn a_channels_message_that_says_that_it_becomes_too_large_is_refused() {
    let mut bounds = Bounds::new(1_003, Some(1_004));
    let mut check = |(action, frame): Frame| bounds.check(action, &frame);
    let piece = |length: u32, flags: u32, data: &[u8]| {
        [&length.to_le_bytes()[..], &flags.to_le_bytes(), data].concat()
    };
    assert_eq!(check(on_channel(1_005, &piece(1 << 20, 1, &[0; 9]))), Ok(()));
    assert_eq!(check(on_channel(1_005, &piece(u32::MAX, 1, &[0; 9]))), Err(TooLarge));
    // A packed one is held to no length.
    assert_eq!(check(on_channel(1_005, &piece(9, 0x0020_0001, &[0; 9]))), Err(TooLarge));
    // A dynamic channel's first piece with a length of four bytes.
    let first = |length: u32| [&[0x28, 1][..], &length.to_le_bytes(), &[0; 9]].concat();
    assert_eq!(check(on_channel(1_004, &piece(15, 3, &first(1 << 20)))), Ok(()));
    assert_eq!(check(on_channel(1_004, &piece(15, 3, &first(u32::MAX)))), Err(TooLarge));
    assert_eq!(check((Action::X224, vec![3, 0])), Ok(()));
}

#[test]
fn a_panic_in_what_decodes_is_told_apart_and_ends_one_connection() {
    // Surface bits whose place ends before the screen begins: arithmetic that overflows, in a build that looks.
    let mut data = vec![1, 0];
    data.extend([0; 8]);
    data.extend([32, 0, 0, 0, 1, 0, 1, 0, 4, 0, 0, 0, 1, 2, 3, 4]);
    let outcome = Shown::new(WIDTH, HEIGHT).hear(&fast_path(4, &data));
    let as_built = match &outcome {
        Outcome::Panicked(place) => cfg!(debug_assertions) && place.contains("ironrdp"),
        _ => !cfg!(debug_assertions),
    };
    assert!(as_built, "{outcome:?}");
}
