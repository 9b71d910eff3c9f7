//! The predictors, on bytes, in operations that vector units have.

/// The predictors of any tile, by number.
pub(super) const PREDICTORS: usize = 4;
/// W + N - NW, kept between W and N (the median edge detector of JPEG-LS).
pub(super) const MEDIAN: u8 = 0;
/// The mean of W and N: best on noise.
pub(super) const MEAN: u8 = 1;
/// The mean of the median predictor and of W + (NE - NW) / 2 kept among W, N and NE: best on photographs.
pub(super) const SLOPE: u8 = 2;
/// The mean of the first two.
pub(super) const SOFT: u8 = 3;
/// Of grey tiles only: the linear predictor, with weights of the tile's own.
pub(super) const LINEAR: u8 = 4;
/// The same with the weights last sent.
pub(super) const LINEAR_AGAIN: u8 = 5;

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

/// The inverse of [`residual_row`] on cells of `LANES` planes side by side: `cells[0]` is set, the others
/// are written. `above` has a cell more on the right.
///
/// The scalar twin of the vector chain in `chain`, and the way of processors without one.
#[cfg(any(test, not(target_arch = "x86_64")))]
#[inline(always)]
pub(super) fn restore_row<const PREDICTOR: u8, const LANES: usize>(
    cells: &mut [[u8; LANES]],
    above: &[[u8; LANES]],
    residuals: &[[u8; LANES]],
) {
    let width = residuals.len();
    let (nw, north, ne) = (&above[..width], &above[1..width + 1], &above[2..width + 2]);
    let cells = &mut cells[..width + 1];
    for x in 0..width {
        for lane in 0..LANES {
            let [w, n] = [cells[x][lane], north[x][lane]];
            let predicted = predict::<PREDICTOR>(w, n, nw[x][lane], ne[x][lane]);
            cells[x + 1][lane] = residuals[x][lane].wrapping_add(predicted);
        }
    }
}

/// The inverse of [`first_residual_row`].
#[inline(always)]
pub(super) fn restore_first_row<const LANES: usize>(cells: &mut [[u8; LANES]], residuals: &[[u8; LANES]]) {
    let mut west = [0u8; LANES];
    for (cell, residual) in cells[1..].iter_mut().zip(residuals) {
        west.iter_mut().zip(residual).for_each(|(west, &residual)| *west = west.wrapping_add(residual));
        *cell = west;
    }
}
