//! An RDP host's words once it is connected: arbitrary ones in every place where a host can put them, and honest pixels
//! with a few bytes changed. Nothing of chevet's breaks; what was not changed comes out as it went in. A panic in
//! IronRDP's crates ends one connection, and is passed over here.
#![no_main]

use chevet::codec::oracle::screen_from_bytes;
use chevet::rdp::oracle::{Outcome, Shown, Way, rectangle, words_of};
use chevet::screen::Rect;
use libfuzzer_sys::fuzz_target;

const WIDTH: u32 = 90;
const HEIGHT: u32 = 70;

fuzz_target!(|input: (&[u8], &[u8], (u8, u8, u8, u8, u8), Vec<(u16, u8)>)| {
    let (raw, pixels, (x, y, width, height, way), edits) = input;
    let mut shown = Shown::new(WIDTH, HEIGHT);
    shown.open();
    for frame in words_of(raw) {
        if shown.hear(&frame) != Outcome::Heard {
            break;
        }
    }
    let drawn = screen_from_bytes(WIDTH, HEIGHT, pixels);
    let (x, y) = (u32::from(x) % WIDTH, u32::from(y) % HEIGHT);
    // What a fast-path packet holds.
    let (width, height) = (u32::from(width) % (WIDTH - x).min(64), u32::from(height) % (HEIGHT - y).min(48));
    let rect = Rect::new(x, y, width + 1, height + 1);
    let way = [Way::Bitmap, Way::Surface, Way::Pipeline][usize::from(way % 3)];
    let mut shown = Shown::new(WIDTH, HEIGHT);
    shown.open();
    let mut frames = rectangle(&drawn, rect, way);
    for &(at, value) in edits.iter().take(16) {
        let count = frames.len();
        let frame = &mut frames[usize::from(at >> 12) % count].1;
        let place = usize::from(at) % frame.len();
        frame[place] = value;
    }
    for frame in &frames {
        let heard = shown.hear(frame);
        assert!(!edits.is_empty() || heard == Outcome::Heard);
        if heard != Outcome::Heard {
            return;
        }
    }
    if edits.is_empty() {
        for y in rect.y..rect.bottom() {
            assert!(shown.screen.row(rect.x, y, rect.width) == drawn.row(rect.x, y, rect.width));
        }
    }
});
