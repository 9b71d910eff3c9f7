//! Natural tiles: planes predicted from their neighbours; the residuals of 8x8 blocks sorted by activity, so
//! that each activity class has a Huffman table of its own.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod chain;
mod decode;
mod encode;
mod fit;
mod linear;
mod planes;
mod predict;

pub(super) use decode::NaturalDecoder;
pub(super) use encode::NaturalEncoder;

use super::payload::Class;
use crate::screen::{Rect, TILE};

/// The side of a block, in pixels. Blocks at a tile's right and lower edge may be smaller.
const BLOCK: usize = 8;
/// From one row of a plane to the next: one cell to the left of the row, and one to the right.
const STRIDE: usize = TILE as usize + 2;
/// The cells of a plane of a tile.
const PLANE: usize = STRIDE * TILE as usize;
/// Activity classes of blocks. Class 0 is all zero and has no stream.
const ACTIVITIES: usize = 16;

/// How many planes a tile of this class has.
fn planes_of(class: Class) -> usize {
    if class == Class::Grey { 1 } else { 3 }
}

/// The blocks of a tile, row by row: left, top, width and height in pixels.
fn blocks(rect: &Rect) -> impl Iterator<Item = (usize, usize, usize, usize)> + use<> {
    let (width, height) = (rect.width as usize, rect.height as usize);
    (0..height).step_by(BLOCK).flat_map(move |y| {
        (0..width).step_by(BLOCK).map(move |x| (x, y, BLOCK.min(width - x), BLOCK.min(height - y)))
    })
}

/// How many blocks a plane of a tile has.
fn block_count(rect: &Rect) -> usize {
    (rect.width as usize).div_ceil(BLOCK) * (rect.height as usize).div_ceil(BLOCK)
}
