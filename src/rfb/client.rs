//! What a client says.

use super::encodings;
use super::layout::Monitor;
use crate::screen::Rect;

/// True colour in 32 bits, little-endian, as `0x00RRGGBB`.
pub fn set_pixel_format() -> [u8; 20] {
    #[rustfmt::skip]
    let message = [0, 0, 0, 0, 32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0, 0, 0, 0];
    message
}

/// Which encodings are read, best first.
pub fn set_encodings(wanted: &[i32]) -> Vec<u8> {
    let mut message = vec![2, 0];
    message.extend_from_slice(&(wanted.len() as u16).to_be_bytes());
    wanted.iter().for_each(|encoding| message.extend_from_slice(&encoding.to_be_bytes()));
    message
}

/// Everything that chevet reads, with pixels in these encodings, and JPEG of this quality (0 to 9) if at all.
pub fn wanted(pixels: &[i32], jpeg_quality: Option<u8>) -> Vec<i32> {
    let quality = jpeg_quality.map(|quality| encodings::JPEG_QUALITY_0 + i32::from(quality.min(9)));
    pixels.iter().copied().chain(quality).chain(encodings::EXTENSIONS).collect()
}

fn put_rect(message: &mut Vec<u8>, rect: Rect) {
    for value in [rect.x, rect.y, rect.width, rect.height] {
        message.extend_from_slice(&(value as u16).to_be_bytes());
    }
}

/// Asks for what of a rectangle has changed, or for all of it.
pub fn update_request(incremental: bool, rect: Rect) -> Vec<u8> {
    let mut message = vec![3, incremental.into()];
    put_rect(&mut message, rect);
    message
}

/// Lets the server send what changes without being asked.
pub fn enable_continuous_updates(rect: Rect) -> Vec<u8> {
    let mut message = vec![150, 1];
    put_rect(&mut message, rect);
    message
}

/// The requested bit is taken out: this is an answer.
pub fn fence_answer(flags: u32, payload: &[u8]) -> Vec<u8> {
    const KNOWN: u32 = 0b111;
    let mut message = vec![248, 0, 0, 0];
    message.extend_from_slice(&(flags & KNOWN).to_be_bytes());
    message.push(payload.len() as u8);
    message.extend_from_slice(payload);
    message
}

/// Whether a fence is to be answered.
pub fn wants_answer(flags: u32) -> bool {
    flags >> 31 == 1
}

/// Asks for a screen of one monitor.
pub fn set_desktop_size(width: u16, height: u16, first: &Monitor) -> Vec<u8> {
    let mut message = vec![251, 0];
    message.extend_from_slice(&width.to_be_bytes());
    message.extend_from_slice(&height.to_be_bytes());
    message.extend_from_slice(&[1, 0]);
    message.extend_from_slice(&first.id.to_be_bytes());
    put_rect(&mut message, Rect::new(0, 0, width.into(), height.into()));
    message.extend_from_slice(&first.flags.to_be_bytes());
    message
}

/// A key by its symbol.
pub fn key(down: bool, keysym: u32) -> Vec<u8> {
    let mut message = vec![4, down.into(), 0, 0];
    message.extend_from_slice(&keysym.to_be_bytes());
    message
}

/// A key by its place on the keyboard, as QEMU has it.
pub fn qemu_key(down: bool, keysym: u32, scan_code: u32) -> Vec<u8> {
    let mut message = vec![255, 0, 0, down.into()];
    message.extend_from_slice(&keysym.to_be_bytes());
    message.extend_from_slice(&scan_code.to_be_bytes());
    message
}

/// The pointer and the buttons that are held, from the lowest bit on.
pub fn pointer(buttons: u8, x: u16, y: u16) -> Vec<u8> {
    let mut message = vec![5, buttons];
    message.extend_from_slice(&x.to_be_bytes());
    message.extend_from_slice(&y.to_be_bytes());
    message
}
