//! Tells natural content from interface content, by how often a pixel differs from both its neighbours.

use super::payload::Class;
use crate::screen::{Framebuffer, Rect};

/// Pixels of a part of a tile that is interface content, whatever it looks like.
const SMALL: u64 = 1_024;

/// The largest step between neighbours that is soft, in grey levels.
const SOFT: u32 = 24;

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
    for (row, above) in sampled_rows(framebuffer, rect) {
        fresh += fresh_pixels(row, above);
        seen += row.len() - 1;
    }
    // Between a quarter and a half are the pixels of an enlarged grey image, and of dense text.
    fresh * 2 > seen || fresh * 4 > seen && is_soft_grey(framebuffer, rect)
}

/// Whether the tile is grey and hardly a step in it is large: a medical image that a viewer has enlarged by interpolation,
/// where many a pixel equals its neighbour. Text has as many such pixels, but at most every other step is small.
fn is_soft_grey(framebuffer: &Framebuffer, rect: &Rect) -> bool {
    let (mut steps, mut soft) = (0, 0);
    for (row, _) in sampled_rows(framebuffer, rect) {
        if !is_grey(row) {
            return false;
        }
        let sizes = row.iter().zip(&row[1..]).map(|(left, pixel)| (left & 0xFF).abs_diff(pixel & 0xFF));
        for size in sizes {
            steps += u32::from(size > 0);
            soft += u32::from((1..=SOFT).contains(&size));
        }
    }
    soft * 8 >= steps * 7
}

/// Every eighth row and the one above it.
fn sampled_rows<'a>(
    framebuffer: &'a Framebuffer,
    rect: &Rect,
) -> impl Iterator<Item = (&'a [u32], &'a [u32])> {
    let (x, width) = (rect.x, rect.width);
    let rows = (rect.y + 1..rect.bottom()).step_by(8);
    rows.map(move |y| (framebuffer.row(x, y, width), framebuffer.row(x, y - 1, width)))
}

/// How many pixels, from the second on, equal neither the left nor the upper one.
fn fresh_pixels(row: &[u32], above: &[u32]) -> usize {
    let pairs = row.iter().zip(&row[1..]).zip(&above[1..]);
    pairs.map(|((left, pixel), up)| u32::from(pixel != left) & u32::from(pixel != up)).sum::<u32>() as usize
}

fn is_grey(row: &[u32]) -> bool {
    row.iter().fold(0, |odd, pixel| odd | (pixel ^ ((pixel & 0xFF) * 0x0001_0101))) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every second pixel is of `small`, those between are the mean of their neighbours.
    fn enlarged(small: impl Fn(u32, u32) -> u32) -> Framebuffer {
        let mut screen = Framebuffer::new(64, 64).unwrap();
        for y in 0..64 {
            for x in 0..64 {
                let (u, v, right, below) = (x / 2, y / 2, x % 2, y % 2);
                let sum =
                    small(u, v) + small(u + right, v) + small(u, v + below) + small(u + right, v + below);
                screen.row_mut(x, y, 1)[0] = sum / 4 * 0x0001_0101;
            }
        }
        screen
    }

    fn speckle(x: u32, y: u32, levels: u32) -> u32 {
        let seed = x * 613 + y * 7_919;
        let word = (seed ^ seed >> 15).wrapping_mul(0x2C1B_3C6D);
        ((word ^ word >> 12).wrapping_mul(0x297A_2D39) >> 7) % levels
    }

    /// How many sampled pixels in a hundred differ from both neighbours.
    fn fresh(screen: &Framebuffer) -> usize {
        sampled_rows(screen, &screen.bounds()).map(|(row, above)| fresh_pixels(row, above)).sum::<usize>()
            * 100
            / (8 * 63)
    }

    #[test]
    fn an_enlarged_grey_image_whose_pixels_often_repeat_is_natural() {
        let screen = enlarged(|x, y| 10 + speckle(x, y, 6));
        assert!((26..50).contains(&fresh(&screen)), "{}", fresh(&screen));
        assert_eq!(classify(&screen, &screen.bounds()), Class::Grey);
    }

    #[test]
    fn dense_grey_text_is_interface() {
        let screen = enlarged(|x, y| [255, 20][usize::from(speckle(x, y, 8) < 2)]);
        assert!((26..50).contains(&fresh(&screen)), "{}", fresh(&screen));
        assert_eq!(classify(&screen, &screen.bounds()), Class::Interface);
    }
}
