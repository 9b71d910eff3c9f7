use super::oracle::{assert_roundtrip, assert_survives, decode_to_framebuffer, screen_from_bytes};
use super::{Beginning, DecodeError, Decoder, Encoder, Reach};
use crate::screen::{Framebuffer, Grid, Rect, TileId};
use proptest::prelude::*;

/// A stream of reproducible numbers.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as u32
    }
}

/// Paints one kind of content into a rectangle.
fn paint(framebuffer: &mut Framebuffer, rect: Rect, kind: u8, seed: u64) {
    let mut noise = Noise(seed);
    let base = noise.next() & 0x00FF_FFFF;
    for y in rect.y..rect.bottom() {
        for x in rect.x..rect.right() {
            framebuffer.row_mut(x, y, 1)[0] = match kind {
                // flat; text-like; grey noise; colour noise; gradients; many colours; grey gradient; two colours
                0 => base,
                1 if noise.next().is_multiple_of(4) => base ^ (noise.next() % 9 * 0x0011_1111),
                1 => base,
                2 => (100 + noise.next() % 24) * 0x0001_0101,
                3 => noise.next() & 0x00FF_FFFF,
                4 => ((x * 3) & 0xFF) << 16 | ((y * 2) & 0xFF) << 8 | ((x + y) & 0xFF),
                5 if x.is_multiple_of(3) => noise.next() & 0x00FF_FFFF,
                5 => base,
                6 => ((x / 2 + y) & 0xFF) * 0x0001_0101,
                _ => [0, 0x00FF_FFFF][(noise.next() & 1) as usize],
            };
        }
    }
}

fn screen() -> impl Strategy<Value = Framebuffer> {
    let patch = (0u32..200, 0u32..200, 1u32..200, 1u32..200, 0u8..8, any::<u64>());
    (1u32..200, 1u32..200, prop::collection::vec(patch, 1..6)).prop_map(|(width, height, patches)| {
        let mut framebuffer = Framebuffer::new(width, height).unwrap();
        for (x, y, w, h, kind, seed) in patches {
            let rect = Rect::new(x, y, w, h).intersect(&framebuffer.bounds());
            paint(&mut framebuffer, rect, kind, seed);
        }
        framebuffer
    })
}

fn some_tiles(framebuffer: &Framebuffer, choice: u64) -> Vec<TileId> {
    (0..framebuffer.grid().len() as TileId).filter(|tile| choice >> (tile % 64) & 1 == 1).collect()
}

proptest! {
    #[test]
    fn any_tiles_of_any_screen_come_back_exactly(screen in screen(), choice: u64) {
        let mut encoder = Encoder::new();
        assert_roundtrip(&mut encoder, &screen, &some_tiles(&screen, choice));
        // Once more, with tables and buffers that have been used.
        assert_roundtrip(&mut encoder, &screen, &some_tiles(&screen, u64::MAX));
    }

    #[test]
    fn any_parts_of_any_screen_come_back_exactly(
        screen in screen(), parts in prop::collection::vec((0u32..200, 0u32..200, 1u32..=64, 1u32..=64), 1..6),
    ) {
        let bounds = screen.bounds();
        let parts = parts.into_iter().map(|(x, y, w, h)| Rect::new(x, y, w, h).intersect(&bounds));
        let parts: Vec<Rect> = parts.filter(|part| !part.is_empty()).collect();
        for reach in [Reach::Near, Reach::Far] {
            assert_parts_roundtrip(&screen, &parts, reach);
        }
    }

    #[test]
    fn screens_painted_from_bytes_come_back_exactly(
        bytes in prop::collection::vec(any::<u8>(), 0..120), width in 1u32..256, height in 1u32..256, choice: u64,
    ) {
        let screen = screen_from_bytes(width, height, &bytes);
        assert_roundtrip(&mut Encoder::new(), &screen, &some_tiles(&screen, choice));
    }

    #[test]
    fn arbitrary_bytes_end_in_an_error_or_in_tiles(
        payload in prop::collection::vec(any::<u8>(), 0..300), width in 1u32..200, height in 1u32..200,
    ) {
        let tiles: Vec<TileId> = (0..Grid::new(width, height).len() as TileId).collect();
        assert_survives(&payload, width, height, &tiles);
    }

    #[test]
    fn a_corrupted_payload_ends_in_an_error_or_in_tiles(
        screen in screen(), flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(), truncate: bool,
    ) {
        let tiles = some_tiles(&screen, u64::MAX);
        let mut payload = Vec::new();
        Encoder::new().encode(&screen, &tiles, &mut payload);
        for (at, flip) in flips {
            let at = at.index(payload.len());
            payload[at] ^= flip;
        }
        if truncate {
            payload.truncate(cut.index(payload.len()));
        }
        assert_survives(&payload, screen.width(), screen.height(), &tiles);
    }
}

/// Panics unless the parts come back exactly; returns the payload.
fn assert_parts_roundtrip(screen: &Framebuffer, parts: &[Rect], reach: Reach) -> Vec<u8> {
    let mut payload = Vec::new();
    Encoder::new().encode_parts(screen, parts.iter().copied(), reach, Beginning::Alone, &mut payload);
    let mut seen = vec![false; parts.len()];
    let decoded = Decoder::new().decode_parts(&payload, parts, Beginning::Alone, |index, rect, pixels| {
        assert_eq!(*rect, parts[index]);
        for (y, row) in (rect.y..).zip(pixels.chunks_exact(rect.width as usize)) {
            assert_eq!(row, screen.row(rect.x, y, rect.width));
        }
        assert!(!std::mem::replace(&mut seen[index], true));
    });
    assert_eq!((decoded, seen.iter().all(|seen| *seen)), (Ok(()), true));
    payload
}

#[test]
fn a_caret_takes_five_bytes() {
    let mut screen = Framebuffer::new(64, 64).unwrap();
    paint(&mut screen, Rect::new(20, 10, 1, 18), 0, 1);
    let colour = screen.row(20, 10, 1)[0].to_be_bytes();
    let payload = assert_parts_roundtrip(&screen, &[Rect::new(20, 10, 1, 18)], Reach::Far);
    assert_eq!(payload, [0, 1, colour[1], colour[2], colour[3]]);
}

#[test]
fn what_a_frame_would_not_make_smaller_is_stored() {
    let mut screen = Framebuffer::new(4, 4).unwrap();
    let bounds = screen.bounds();
    paint(&mut screen, bounds, 3, 1);
    let mut payload = Vec::new();
    Encoder::new().encode(&screen, &[0], &mut payload);
    // Sixteen colours, one byte of flags, sixteen codes: all of it new.
    assert_eq!((&payload[..4], payload.len()), (&[0, 16, 16, 0][..], 4 + 16 * 3 + 1 + 16));
}

#[test]
fn a_letter_is_context_coded_and_takes_fewer_bytes_than_with_a_palette() {
    let mut screen = Framebuffer::new(64, 64).unwrap();
    screen.pixels_mut().fill(0x00FF_FFFF);
    let letter = Rect::new(5, 7, 9, 22);
    for y in 12..24u32 {
        for x in 6..13u32 {
            let distance = x.abs_diff(9).pow(2) + y.abs_diff(17).pow(2);
            screen.row_mut(x, y, 1)[0] = [0x00FF_FFFF, 0x0090_9090, 0x0011_1111][distance as usize % 3];
        }
    }
    let near = assert_parts_roundtrip(&screen, &[letter], Reach::Near);
    let payload = assert_parts_roundtrip(&screen, &[letter], Reach::Far);
    let mut with_palette = Vec::new();
    Encoder::new().encode_sections(&screen, std::iter::once(letter), &mut with_palette);
    assert_eq!((near[0] & 7, payload[0] & 7, with_palette[0] & 7), (3, 4, 0));
    assert!(payload.len() < with_palette.len(), "{} and {}", payload.len(), with_palette.len());
}

#[test]
fn lines_of_text_across_tiles_take_fewer_bytes_by_sixteen_neighbours_and_as_one_area() {
    let glyph = |letter: u32, x: u32, y: u32| {
        let ink = Noise(u64::from(letter * 64 + y / 2 * 8 + x / 2)).next();
        ink.is_multiple_of(3)
    };
    let parts: Vec<Rect> = (0..10).map(|tile| Rect::new(tile * 64, 20, 64, 10)).collect();
    let [near, far] = [Reach::Near, Reach::Far].map(|reach| {
        let (mut encoder, mut decoder, mut letters) = (Encoder::new(), Decoder::new(), Noise(7));
        let (mut taught, mut learnt): (Option<Box<_>>, Option<Box<_>>) = (None, None);
        let mut bytes = 0;
        for _ in 0..12 {
            let mut screen = Framebuffer::new(640, 64).unwrap();
            screen.pixels_mut().fill(0x00FF_FFFF);
            for letter in 0..88 {
                let drawn = letters.next() % 12;
                let inside = (0..6).flat_map(|x| (0..10).map(move |y| (x, y)));
                for (x, y) in inside.filter(|&(x, y)| glyph(drawn, x, y)) {
                    screen.row_mut(3 + letter * 7 + x, 20 + y, 1)[0] = 0x0020_2630;
                }
            }
            let mut payload = Vec::new();
            let places = parts.iter().copied();
            encoder.encode_parts(&screen, places, reach, Beginning::Live(taught.as_deref()), &mut payload);
            taught = Some(encoder.learnt(Box::default()));
            let beginning = Beginning::Live(learnt.as_deref());
            let decoded = decoder.decode_parts(&payload, &parts, beginning, |_, rect, pixels| {
                for (y, row) in (rect.y..).zip(pixels.chunks_exact(rect.width as usize)) {
                    assert_eq!(row, screen.row(rect.x, y, rect.width));
                }
            });
            assert_eq!(decoded, Ok(()));
            learnt = decoder.learnt(Box::default());
            bytes += payload.len();
        }
        bytes
    });
    assert!(far * 4 < near * 3, "{far} and {near}");
}

#[test]
fn parts_of_two_context_coded_classes_are_refused() {
    let parts = [Rect::new(0, 0, 3, 3), Rect::new(64, 0, 3, 3)];
    let decoded = Decoder::new().decode_parts(&[3, 4, 0], &parts, Beginning::Alone, |_, _, _| {});
    assert_eq!(decoded, Err(DecodeError::TwoReaches));
}

#[test]
fn context_coded_bytes_end_exactly_where_the_pixels_do() {
    let mut screen = Framebuffer::new(64, 64).unwrap();
    paint(&mut screen, Rect::new(8, 10, 9, 18), 3, 1);
    let part = Rect::new(6, 8, 20, 20);
    let payload = assert_parts_roundtrip(&screen, &[part], Reach::Far);
    let decode =
        |payload: &[u8]| Decoder::new().decode_parts(payload, &[part], Beginning::Alone, |_, _, _| {});
    assert!(decode(&payload[..payload.len() - 1]).is_err());
    assert!(decode(&[&payload[..], &[0]].concat()).is_err());
}

#[test]
fn a_stored_part_that_ends_early_is_refused() {
    let mut screen = Framebuffer::new(4, 4).unwrap();
    let bounds = screen.bounds();
    paint(&mut screen, bounds, 3, 1);
    let mut payload = Vec::new();
    Encoder::new().encode(&screen, &[0], &mut payload);
    payload.pop();
    assert_eq!(decode_to_framebuffer(&payload, 4, 4, &[0]), Err(DecodeError::Truncated));
}

#[test]
fn no_tiles_make_an_empty_payload() {
    let screen = Framebuffer::new(64, 64).unwrap();
    let mut payload = Vec::new();
    Encoder::new().encode(&screen, &[], &mut payload);
    assert!(payload.is_empty());
    assert!(decode_to_framebuffer(&payload, 64, 64, &[]).is_ok());
}

#[test]
fn a_payload_is_appended_to_what_is_there() {
    let screen = Framebuffer::new(64, 64).unwrap();
    let mut payload = vec![1, 2, 3];
    Encoder::new().encode(&screen, &[0], &mut payload);
    assert_eq!(payload[..3], [1, 2, 3]);
    assert_eq!(decode_to_framebuffer(&payload[3..], 64, 64, &[0]), Ok(screen));
}

#[test]
fn a_class_of_a_later_version_is_named_in_the_error() {
    assert_eq!(decode_to_framebuffer(&[7], 64, 64, &[0]), Err(DecodeError::UnknownClass(7)));
}

#[test]
fn a_tile_outside_the_grid_is_refused() {
    assert_eq!(decode_to_framebuffer(&[0], 64, 64, &[1]), Err(DecodeError::NoSuchTile(1)));
}

#[test]
fn bytes_after_the_payload_are_refused() {
    let screen = Framebuffer::new(64, 64).unwrap();
    let mut payload = Vec::new();
    Encoder::new().encode(&screen, &[0], &mut payload);
    payload.push(0);
    assert_eq!(decode_to_framebuffer(&payload, 64, 64, &[0]), Err(DecodeError::TrailingBytes(1)));
}

#[test]
fn more_colours_than_a_palette_holds_still_come_back() {
    // Every row repeats a pattern that looks like interface content, in ever new colours.
    let mut screen = Framebuffer::new(512, 512).unwrap();
    for (index, pixel) in screen.pixels_mut().iter_mut().enumerate() {
        *pixel = if index % 8 == 0 { index as u32 } else { 0x00FF_FFFF };
    }
    let tiles = some_tiles(&screen, u64::MAX);
    let mut payload = Vec::new();
    let stats = Encoder::new().encode(&screen, &tiles, &mut payload);
    assert!(stats.interface_tiles > 0 && stats.colour_tiles > 0, "{stats:?}");
    assert_roundtrip(&mut Encoder::new(), &screen, &tiles);
}

#[test]
fn encoders_and_decoders_can_move_to_another_thread() {
    let screen = Framebuffer::new(65, 64).unwrap();
    let mut encoder = Encoder::new();
    let (payload, mut decoder) = std::thread::spawn(move || {
        let mut payload = Vec::new();
        encoder.encode(&screen, &[0, 1], &mut payload);
        (payload, Decoder::new())
    })
    .join()
    .unwrap();
    let mut tiles = Vec::new();
    decoder
        .decode(&payload, Grid::new(65, 64), &[0, 1], |index, rect, _| tiles.push((index, *rect)))
        .unwrap();
    assert_eq!(tiles, [(0, Rect::new(0, 0, 64, 64)), (1, Rect::new(64, 0, 1, 64))]);
}
