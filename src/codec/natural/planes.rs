//! A tile's pixels as planes: green, and red and blue as differences from green, centred on 128.

use super::{PLANE, STRIDE};

/// Splits a row of pixels into the cells of three planes from `start` on.
#[inline(always)]
pub(super) fn split_row(pixels: &[u32], planes: &mut [[u8; PLANE]; 3], start: usize) {
    let [green, red, blue] = planes;
    let end = start + pixels.len();
    let cells = green[start..end].iter_mut().zip(&mut red[start..end]).zip(&mut blue[start..end]);
    for (((g, r), b), &pixel) in cells.zip(pixels) {
        let middle = (pixel >> 8) as u8;
        *g = middle;
        *r = ((pixel >> 16) as u8).wrapping_sub(middle) ^ 0x80;
        *b = (pixel as u8).wrapping_sub(middle) ^ 0x80;
    }
}

/// Joins the cells of three planes into pixels.
#[inline(always)]
pub(super) fn join_row(planes: &[[u8; PLANE]; 3], start: usize, pixels: &mut [u32]) {
    let [green, red, blue] = planes;
    let end = start + pixels.len();
    let cells = green[start..end].iter().zip(&red[start..end]).zip(&blue[start..end]);
    for (pixel, ((&g, &r), &b)) in pixels.iter_mut().zip(cells) {
        let (r, b) = ((r ^ 0x80).wrapping_add(g), (b ^ 0x80).wrapping_add(g));
        *pixel = u32::from(r) << 16 | u32::from(g) << 8 | u32::from(b);
    }
}

/// Joins the cells of one grey plane into pixels.
#[inline(always)]
pub(super) fn join_grey_row(plane: &[u8; PLANE], start: usize, pixels: &mut [u32]) {
    let cells = &plane[start..start + pixels.len()];
    pixels.iter_mut().zip(cells).for_each(|(pixel, &grey)| *pixel = u32::from(grey) * 0x0001_0101);
}

/// Fills the cell left of row `y` (what is above it) and the one right of row `y - 1` (what is left of it),
/// which predictors read at the tile's sides. Row `y - 1` is complete.
#[inline(always)]
pub(super) fn fill_sides(plane: &mut [u8; PLANE], width: usize, y: usize) {
    let above = (y - 1) * STRIDE;
    plane[above + STRIDE] = plane[above + 1];
    plane[above + width + 1] = plane[above + width];
}
