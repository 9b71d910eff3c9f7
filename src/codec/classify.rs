//! Tells natural content from interface content, by how often a pixel differs from both its neighbours.

use super::payload::Class;
use crate::screen::{Framebuffer, Rect};

/// Pixels of a part of a tile that is interface content, whatever it looks like.
const SMALL: u64 = 1_024;

/// Decides how the tile at `rect` is coded.
///
/// In text and lines most pixels repeat the left or the upper neighbour; in photographs few do. Every
/// eighth row is looked at.
pub(super) fn classify(framebuffer: &Framebuffer, rect: &Rect) -> Class {
    // A glyph by itself has hardly a pixel like its neighbours, and planes of their own cost it more than they save.
    if rect.area() <= SMALL || !is_natural(framebuffer, rect) {
        return Class::Interface;
    }
    let grey = (rect.y..rect.bottom()).all(|y| is_grey(framebuffer.row(rect.x, y, rect.width)));
    if grey { Class::Grey } else { Class::Colour }
}

/// Whether the tile at `rect` is like a photograph: it takes many times the bytes of text.
pub fn is_natural(framebuffer: &Framebuffer, rect: &Rect) -> bool {
    let (mut fresh, mut seen) = (0, 0);
    for y in (rect.y + 1..rect.bottom()).step_by(8) {
        let row = framebuffer.row(rect.x, y, rect.width);
        let above = framebuffer.row(rect.x, y - 1, rect.width);
        fresh += fresh_pixels(row, above);
        seen += row.len() - 1;
    }
    fresh * 2 > seen
}

/// How many pixels, from the second on, equal neither the left nor the upper one.
fn fresh_pixels(row: &[u32], above: &[u32]) -> usize {
    let pairs = row.iter().zip(&row[1..]).zip(&above[1..]);
    pairs.map(|((left, pixel), up)| u32::from(pixel != left) & u32::from(pixel != up)).sum::<u32>() as usize
}

fn is_grey(row: &[u32]) -> bool {
    row.iter().fold(0, |odd, pixel| odd | (pixel ^ ((pixel & 0xFF) * 0x0001_0101))) == 0
}
