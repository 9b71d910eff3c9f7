//! The decoder against the oracle's encoders, and what it refuses.

use super::*;
use crate::rfb::oracle::{How, Oracle, begin_update, copy_rect};
use crate::screen::Framebuffer;
use proptest::prelude::*;

/// A screen of so many colours, in runs as long as `calm` makes them.
fn screen(width: u32, height: u32, colours: u32, calm: u32, seed: u64) -> Framebuffer {
    let mut screen = Framebuffer::new(width, height).unwrap();
    let mut state = seed | 1;
    let mut dice = |bound: u32| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u32 % bound
    };
    let mut pixel = 0;
    for to in screen.pixels_mut() {
        if dice(calm) == 0 {
            pixel = dice(colours).wrapping_mul(0x9e37_79b9) >> 8;
        }
        *to = pixel;
    }
    screen
}

/// A place on a screen of 150 by 140, and how it is encoded.
fn part() -> impl Strategy<Value = (Rect, How)> {
    let encoding = prop_oneof![
        Just(encodings::RAW),
        Just(encodings::HEXTILE),
        Just(encodings::ZRLE),
        Just(encodings::TIGHT)
    ];
    (0u32..150, 0u32..140, 1u32..150, 1u32..140, encoding, any::<u8>()).prop_map(
        |(x, y, width, height, encoding, way)| {
            let rect = Rect::new(x, y, width.min(150 - x), height.min(140 - y));
            (rect, How { encoding, way })
        },
    )
}

/// Feeds a decoder in pieces of these lengths, over and over.
fn feed(decoder: &mut Decoder, bytes: &[u8], pieces: &[usize], screen: &mut Framebuffer) -> Vec<Event> {
    let mut events = Vec::new();
    let (mut rest, mut pieces) = (bytes, pieces.iter().cycle());
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(rest.len().min(*pieces.next().unwrap()));
        events.extend(decoder.feed(piece, screen).unwrap());
        rest = after;
    }
    events
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn what_is_decoded_is_what_was_encoded(
        parts in proptest::collection::vec(part(), 1..6),
        colours in prop_oneof![Just(1u32), Just(2), Just(3), Just(14), Just(100), Just(1 << 24)],
        calm in 1u32..200,
        seed: u64,
        pieces in proptest::collection::vec(1usize..5_000, 1..4),
    ) {
        let (mut oracle, mut decoder) = (Oracle::default(), Decoder::new());
        let mut shown = Framebuffer::new(150, 140).unwrap();
        let mut wanted = shown.clone();
        // Streams go on from update to update.
        for update in 0..2 {
            let source = screen(150, 140, colours, calm, seed.wrapping_add(update));
            let mut bytes = Vec::new();
            begin_update(parts.len() as u16 + 1, &mut bytes);
            for &(rect, how) in &parts {
                oracle.rectangle(&source, rect, how, &mut bytes);
                Surface::rows(&mut wanted, rect, &(rect.y..rect.bottom())
                    .flat_map(|y| source.row(rect.x, y, rect.width).to_vec()).collect::<Vec<_>>());
            }
            let (rect, _) = parts[0];
            copy_rect(rect, (150 - rect.width, 140 - rect.height), &mut bytes);
            wanted.copy_within(Rect { x: 150 - rect.width, y: 140 - rect.height, ..rect }, rect.x, rect.y);
            let events = feed(&mut decoder, &bytes, &pieces, &mut shown);
            prop_assert_eq!(events, [Event::Updated]);
            prop_assert!(shown == wanted);
        }
    }

    #[test]
    fn damaged_bytes_end_in_an_error_or_in_pixels(
        (rect, how) in part(),
        edits in proptest::collection::vec((any::<u16>(), any::<u8>()), 1..8),
    ) {
        let mut bytes = Vec::new();
        begin_update(1, &mut bytes);
        Oracle::default().rectangle(&screen(150, 140, 20, 9, 7), rect, how, &mut bytes);
        for (at, value) in edits {
            let at = usize::from(at) % bytes.len();
            bytes[at] = value;
        }
        let mut shown = Framebuffer::new(150, 140).unwrap();
        let _ = Decoder::new().feed(&bytes, &mut shown);
    }
}

fn rectangle(place: [u16; 4], encoding: i32, data: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    begin_update(1, &mut bytes);
    place.iter().for_each(|value| bytes.extend(value.to_be_bytes()));
    bytes.extend(encoding.to_be_bytes());
    bytes.extend(data);
    bytes
}

fn told(bytes: &[u8]) -> Result<(Vec<Event>, Framebuffer), RfbError> {
    let mut screen = Framebuffer::new(20, 10).unwrap();
    let events = Decoder::new().feed(bytes, &mut screen)?;
    Ok((events, screen))
}

#[test]
fn a_cursor_is_cut_out_by_its_mask_and_one_with_alpha_keeps_it() {
    let colours = [[1, 2, 3, 0], [4, 5, 6, 0]].concat();
    let bytes = rectangle([1, 0, 2, 1], encodings::CURSOR, &[&colours[..], &[0b0100_0000]].concat());
    let cursor = Cursor { width: 2, height: 1, hot_x: 1, hot_y: 0, pixels: vec![0, 0xff06_0504] };
    assert_eq!(told(&bytes).unwrap().0, [Event::Cursor(cursor), Event::Updated]);
    let data = [[0, 0, 0, 0], [3, 2, 1, 128]].concat();
    let bytes = rectangle([9, 9, 1, 1], encodings::ALPHA_CURSOR, &data);
    let cursor = Cursor { width: 1, height: 1, hot_x: 0, hot_y: 0, pixels: vec![0x8003_0201] };
    assert_eq!(told(&bytes).unwrap().0, [Event::Cursor(cursor), Event::Updated]);
}

#[test]
fn a_screen_takes_the_server_s_size_and_knows_what_was_refused() {
    let monitor = [&[0, 0, 0, 7][..], &[0; 4], &[0, 30, 0, 20], &[0; 4]].concat();
    let data = [&[1, 0, 0, 0][..], &monitor].concat();
    let (events, screen) = told(&rectangle([1, 0, 30, 20], encodings::EXTENDED_DESKTOP_SIZE, &data)).unwrap();
    let monitors = vec![Monitor { id: 7, width: 30, height: 20, ..Monitor::default() }];
    let resized = Event::Resized { width: 30, height: 20 };
    let whole = Event::Monitors { monitors: monitors.clone(), refused: None };
    assert_eq!(events, [resized, whole, Event::Updated]);
    assert_eq!((screen.width(), screen.height()), (30, 20));
    let (events, screen) = told(&rectangle([1, 3, 30, 20], encodings::EXTENDED_DESKTOP_SIZE, &data)).unwrap();
    assert_eq!(events, [Event::Monitors { monitors, refused: Some(3) }, Event::Updated]);
    assert_eq!((screen.width(), screen.height()), (20, 10));
    let (_, screen) = told(&rectangle([0, 0, 5, 6], encodings::DESKTOP_SIZE, &[])).unwrap();
    assert_eq!((screen.width(), screen.height()), (5, 6));
}

#[test]
fn an_update_of_unknown_length_ends_with_its_last_rectangle() {
    let mut bytes = rectangle([0, 0, 1, 1], encodings::RAW, &[1, 2, 3, 4]);
    bytes[2..4].fill(0xff);
    bytes.extend([0; 8]);
    bytes.extend(encodings::LAST_RECT.to_be_bytes());
    bytes.push(2);
    let (events, screen) = told(&bytes).unwrap();
    assert_eq!(events, [Event::Updated, Event::Bell]);
    assert_eq!(screen.row(0, 0, 2), [0x0003_0201, 0]);
}

#[test]
fn what_servers_announce_is_told() {
    let announced =
        |encoding, data: &[u8]| told(&rectangle([3, 4, 0, 0], encoding, data)).unwrap().0[0].clone();
    assert_eq!(announced(encodings::QEMU_KEYS, &[]), Event::QemuKeys);
    assert_eq!(announced(encodings::LED_STATE, &[2]), Event::Leds(2));
    assert_eq!(announced(encodings::DESKTOP_NAME, b"\0\0\0\x02hi"), Event::Name("hi".into()));
    assert_eq!(announced(encodings::POINTER_POSITION, &[]), Event::Pointer { x: 3, y: 4 });
    let fence = [&[248, 0, 0, 0, 0x80, 0, 0, 1, 2][..], b"ab"].concat();
    let payload = b"ab".to_vec();
    assert_eq!(told(&fence).unwrap().0, [Event::Fence { flags: 0x8000_0001, payload }]);
    assert_eq!(told(&[150]).unwrap().0, [Event::ContinuousUpdates]);
    let cut = [&[3, 0, 0, 0, 0, 0, 0, 3][..], b"n\xe9\n"].concat();
    assert_eq!(told(&cut).unwrap().0, [Event::CutText("né\n".into())]);
    // Colours of a map and a clipboard that is too long are passed over.
    let passed = [&[1, 0, 0, 0, 0, 2][..], &[9; 12], &[3, 0, 0, 0, 0, 0x20, 0, 0], &vec![9; 0x20_0000], &[2]];
    assert_eq!(told(&passed.concat()).unwrap().0, [Event::Bell]);
}

#[test]
fn what_cannot_be_is_refused() {
    let refused = |place, encoding, data: &[u8]| told(&rectangle(place, encoding, data)).unwrap_err();
    for encoding in encodings::PIXELS {
        let outside = refused([15, 0, 6, 1], encoding, &[0; 16]);
        assert!(matches!(outside, RfbError::Outside { x: 15, screen_width: 20, .. }), "{outside}");
    }
    assert!(matches!(refused([0, 0, 5, 5], encodings::COPY_RECT, &[0, 16, 0, 0]), RfbError::Outside { .. }));
    assert!(matches!(refused([0, 0, 0xffff, 0xffff], encodings::DESKTOP_SIZE, &[]), RfbError::Size(_)));
    let meaningless = |what| RfbError::Meaningless { what, value: 15 };
    let kind = meaningless("the kind of compression of a Tight rectangle");
    assert_eq!(refused([0, 0, 1, 1], encodings::TIGHT, &[0xf0]), kind);
    let outside = refused([0, 0, 3, 3], encodings::HEXTILE, &[8, 1, 0x22, 0x10]);
    assert!(matches!(outside, RfbError::Outside { x: 2, width: 2, .. }), "{outside}");
    assert!(matches!(refused([0, 0, 8, 8], encodings::TIGHT, &[0x90, 4, 1, 2, 3, 4]), RfbError::Jpeg(_)));
    assert_eq!(refused([0, 0, 1, 1], 21, &[]), RfbError::UnknownEncoding(21));
    assert_eq!(told(&[99]).unwrap_err(), RfbError::UnknownMessage(99));
    // A palette that its pixels reach beyond.
    let two = [0x40, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5];
    assert!(matches!(refused([0, 0, 1, 1], encodings::TIGHT, &two), RfbError::Meaningless { value: 5, .. }));
}

#[test]
fn a_bomb_is_not_inflated_beyond_its_rectangle() {
    use std::io::Write;
    let mut stream = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    (0..8).for_each(|_| stream.write_all(&[1; 1 << 20]).unwrap());
    let bomb = stream.finish().unwrap();
    let zrle = [&(bomb.len() as u32).to_be_bytes()[..], &bomb].concat();
    let told = told(&rectangle([0, 0, 20, 10], encodings::ZRLE, &zrle));
    assert_eq!(told.unwrap_err(), RfbError::ZlibTooMuch("ZRLE"));
}
