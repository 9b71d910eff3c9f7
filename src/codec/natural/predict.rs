//! The predictors, on bytes, in operations that vector units have.

/// The predictors of a tile, by number.
pub(super) const PREDICTORS: usize = 4;
/// W + N - NW, kept between W and N (the median edge detector of JPEG-LS).
pub(super) const MEDIAN: u8 = 0;
/// The mean of W and N: best on noise.
pub(super) const MEAN: u8 = 1;
/// The mean of the median predictor and of W + (NE - NW) / 2 kept among W, N and NE: best on photographs.
pub(super) const SLOPE: u8 = 2;
/// The mean of the first two.
pub(super) const SOFT: u8 = 3;

/// Predicts a cell from the ones to the west, north, north-west and north-east.
#[inline(always)]
pub(super) fn predict<const PREDICTOR: u8>(w: u8, n: u8, nw: u8, ne: u8) -> u8 {
    match PREDICTOR {
        MEDIAN => median(w, n, nw),
        MEAN => mean(w, n),
        SLOPE => {
            let sloped =
                w.saturating_add(ne.saturating_sub(nw) >> 1).saturating_sub(nw.saturating_sub(ne) >> 1);
            let kept = sloped.max(w.min(n.min(ne))).min(w.max(n.max(ne)));
            mean(median(w, n, nw), kept)
        }
        _ => mean(median(w, n, nw), mean(w, n)),
    }
}

/// Rounded up.
#[inline(always)]
fn mean(one: u8, other: u8) -> u8 {
    ((u16::from(one) + u16::from(other) + 1) >> 1) as u8
}

#[inline(always)]
fn median(w: u8, n: u8, nw: u8) -> u8 {
    let (low, high) = (w.min(n), w.max(n));
    // With NW between the two this is W + N - NW, which is between them as well.
    low.wrapping_add(high).wrapping_sub(nw.max(low).min(high))
}

/// Writes the residuals of a row. `cells` is the row with the cell to its left, `above` the row above with
/// the cells to its left and right.
#[inline(always)]
pub(super) fn residual_row<const PREDICTOR: u8>(cells: &[u8], above: &[u8], residuals: &mut [u8]) {
    let width = residuals.len();
    let (west, here) = (&cells[..width], &cells[1..width + 1]);
    let (nw, north, ne) = (&above[..width], &above[1..width + 1], &above[2..width + 2]);
    for x in 0..width {
        residuals[x] = here[x].wrapping_sub(predict::<PREDICTOR>(west[x], north[x], nw[x], ne[x]));
    }
}

/// Writes the residuals of a tile's first row: differences from the west, the first one from 0.
#[inline(always)]
pub(super) fn first_residual_row(cells: &[u8], residuals: &mut [u8]) {
    let mut west = 0;
    for (residual, &cell) in residuals.iter_mut().zip(&cells[1..]) {
        *residual = cell.wrapping_sub(west);
        west = cell;
    }
}

/// The inverse of [`residual_row`]: `cells[0]` is set, the others are written.
#[inline(always)]
pub(super) fn restore_row<const PREDICTOR: u8>(cells: &mut [u8], above: &[u8], residuals: &[u8]) {
    let width = residuals.len();
    let (nw, north, ne) = (&above[..width], &above[1..width + 1], &above[2..width + 2]);
    let cells = &mut cells[..width + 1];
    let mut west = cells[0];
    for x in 0..width {
        west = residuals[x].wrapping_add(predict::<PREDICTOR>(west, north[x], nw[x], ne[x]));
        cells[x + 1] = west;
    }
}

/// The inverse of [`first_residual_row`].
#[inline(always)]
pub(super) fn restore_first_row(cells: &mut [u8], residuals: &[u8]) {
    let mut west = 0u8;
    for (cell, &residual) in cells[1..].iter_mut().zip(residuals) {
        west = west.wrapping_add(residual);
        *cell = west;
    }
}
