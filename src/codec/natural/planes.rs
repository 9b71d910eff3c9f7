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

/// Lays three rows of residuals side by side.
#[inline(always)]
pub(super) fn interleave(rows: [&[u8]; 3], cells: &mut [[u8; 4]]) {
    let [green, red, blue] = rows;
    for (((cell, &g), &r), &b) in cells.iter_mut().zip(green).zip(red).zip(blue) {
        *cell = (u32::from(g) | u32::from(r) << 8 | u32::from(b) << 16).to_le_bytes();
    }
}

/// Turns cells of green, red and blue into pixels.
#[inline(always)]
pub(super) fn join_row(cells: &[[u8; 4]], pixels: &mut [u32]) {
    for (pixel, &cell) in pixels.iter_mut().zip(cells) {
        let cell = u32::from_le_bytes(cell) ^ 0x0080_8000;
        let green = cell & 0xFF;
        *pixel = (((cell >> 8) + green) & 0xFF) << 16 | green << 8 | (((cell >> 16) + green) & 0xFF);
    }
}

/// Turns grey cells into pixels.
#[inline(always)]
pub(super) fn join_grey_row(cells: &[[u8; 1]], pixels: &mut [u32]) {
    pixels.iter_mut().zip(cells).for_each(|(pixel, &[grey])| *pixel = u32::from(grey) * 0x0001_0101);
}

/// Fills the cell left of row `y` (what is above it) and the one right of row `y - 1` (what is left of it),
/// which predictors read at the tile's sides. Row `y - 1` is complete.
#[inline(always)]
pub(super) fn fill_sides<Cell: Copy>(plane: &mut [Cell; PLANE], width: usize, y: usize) {
    let above = (y - 1) * STRIDE;
    plane[above + STRIDE] = plane[above + 1];
    plane[above + width + 1] = plane[above + width];
}
