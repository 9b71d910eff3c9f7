//! Cursors' pictures.

use super::inbox::{Reader, Stop, bounded};
use super::{RfbError, encodings};
use crate::screen::Rect;

/// The longest side of a cursor, in pixels.
const MAX_SIDE: u32 = 512;

/// A cursor's picture. Pixels are premultiplied ARGB (`0xAARRGGBB`), row by row.
#[derive(Clone, PartialEq, Eq)]
pub struct Cursor {
    pub width: u16,
    pub height: u16,
    pub hot_x: u16,
    pub hot_y: u16,
    pub pixels: Vec<u32>,
}

impl std::fmt::Debug for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Cursor({}x{} at {}, {})", self.width, self.height, self.hot_x, self.hot_y)
    }
}

fn cursor(rect: Rect, pixels: Vec<u32>) -> Cursor {
    // A hot spot outside the picture would put the pointer where nothing shows it.
    let within = |at: u32, side: u32| at.min(side.saturating_sub(1)) as u16;
    Cursor {
        width: rect.width as u16,
        height: rect.height as u16,
        hot_x: within(rect.x, rect.width),
        hot_y: within(rect.y, rect.height),
        pixels,
    }
}

fn check(rect: Rect) -> Result<(), RfbError> {
    bounded("a cursor's side", rect.width.max(rect.height), MAX_SIDE).map(|_| ())
}

/// Pixels and a mask.
pub(super) fn masked(reader: &mut Reader, rect: Rect) -> Result<Cursor, Stop> {
    check(rect)?;
    let (colours, _) = reader.take(rect.area() as usize * 4)?.as_chunks::<4>();
    let stride = (rect.width as usize).div_ceil(8);
    let mask = reader.take(stride * rect.height as usize)?;
    let width = rect.width.max(1) as usize;
    let pixel = |(index, &colour): (usize, &[u8; 4])| {
        let (x, y) = (index % width, index / width);
        let opaque = mask[y * stride + x / 8] >> (7 - x % 8) & 1 == 1;
        if opaque { u32::from_le_bytes(colour) | 0xff00_0000 } else { 0 }
    };
    Ok(cursor(rect, colours.iter().enumerate().map(pixel).collect()))
}

/// Pixels with alpha, in an encoding of their own, of which servers use Raw.
pub(super) fn with_alpha(reader: &mut Reader, rect: Rect) -> Result<Cursor, Stop> {
    check(rect)?;
    match reader.i32()? {
        encodings::RAW => {}
        other => return Err(RfbError::UnknownEncoding(other).into()),
    }
    let (quads, _) = reader.take(rect.area() as usize * 4)?.as_chunks::<4>();
    Ok(cursor(rect, quads.iter().map(|&[r, g, b, a]| u32::from_le_bytes([b, g, r, a])).collect()))
}
