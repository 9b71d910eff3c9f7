//! A VNC server's words: arbitrary bytes to the handshake and the decoder, and real updates with a few bytes changed.
//! They answer with an error or with pixels; what was not changed comes out as it went in.
#![no_main]

use chevet::codec::oracle::screen_from_bytes;
use chevet::rfb::oracle::{How, Oracle, begin_update};
use chevet::rfb::{Credentials, Decoder, Encryption, Handshake, Surface, encodings};
use chevet::screen::{Framebuffer, Rect, SizeError};
use libfuzzer_sys::fuzz_target;

const WIDTH: u32 = 150;
const HEIGHT: u32 = 130;

/// A screen that becomes no larger than is quick to paint.
struct Small(Framebuffer);

impl Surface for Small {
    fn size(&self) -> (u32, u32) {
        self.0.size()
    }

    fn resize(&mut self, width: u32, height: u32) -> Result<(), SizeError> {
        if width * height > 1 << 18 {
            return Err(SizeError { width, height });
        }
        self.0.resize(width, height)
    }

    fn row(&mut self, x: u32, y: u32, pixels: &[u32]) {
        Surface::row(&mut self.0, x, y, pixels);
    }

    fn copy(&mut self, from: Rect, x: u32, y: u32) {
        self.0.copy(from, x, y);
    }
}

fn small() -> Small {
    Small(Framebuffer::new(WIDTH, HEIGHT).unwrap())
}

fuzz_target!(|input: (&[u8], &[u8], Vec<(u8, u8, u8, u8, u8)>, Vec<(u16, u8)>, u16)| {
    let (raw, pixels, parts, edits, cut) = input;
    let credentials = Credentials { user: Some("user".into()), password: Some("password".into()) };
    let encryption = if cut & 1 == 0 { Encryption::IfOffered } else { Encryption::Never };
    let mut handshake = Handshake::new(encryption, credentials);
    for piece in raw.chunks(usize::from(cut) + 1) {
        if handshake.feed(piece).is_err() {
            break;
        }
    }
    let (mut decoder, mut shown) = (Decoder::new(), small());
    for piece in raw.chunks(usize::from(cut) + 1) {
        if decoder.feed(piece, &mut shown).is_err() {
            break;
        }
    }
    let screen = screen_from_bytes(WIDTH, HEIGHT, pixels);
    let mut update = Vec::new();
    let parts = &parts[..parts.len().min(8)];
    begin_update(parts.len() as u16, &mut update);
    let mut oracle = Oracle::default();
    let kinds = [encodings::RAW, encodings::HEXTILE, encodings::ZRLE, encodings::TIGHT];
    let mut wanted = Framebuffer::new(WIDTH, HEIGHT).unwrap();
    for &(x, y, width, height, way) in parts {
        let (x, y) = (u32::from(x) % WIDTH, u32::from(y) % HEIGHT);
        let rect = Rect::new(x, y, u32::from(width) % (WIDTH - x) + 1, u32::from(height) % (HEIGHT - y) + 1);
        let how = How { encoding: kinds[usize::from(x as u8 ^ y as u8) % 4], way };
        oracle.rectangle(&screen, rect, how, &mut update);
        (rect.y..rect.bottom()).for_each(|y| Surface::row(&mut wanted, x, y, screen.row(x, y, rect.width)));
    }
    for &(at, value) in edits.iter().take(16) {
        let at = usize::from(at) % update.len();
        update[at] = value;
    }
    let (mut decoder, mut shown) = (Decoder::new(), small());
    let mut decoded = Ok(());
    for piece in update.chunks(usize::from(cut) + 1) {
        decoded = decoder.feed(piece, &mut shown).map(|_| ());
        if decoded.is_err() {
            break;
        }
    }
    if edits.is_empty() {
        assert!(decoded.is_ok() && shown.0 == wanted);
    }
});
