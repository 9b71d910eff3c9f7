//! The linear predictor of grey tiles: twelve neighbours, weighted to fit the tile. Noise that a scanner's
//! reconstruction or a zoom has smeared is predicted far better by weights that know how it was smeared.
//!
//! All sums are modulo 2^16: a cell is the bits 6 to 13 of one, so nothing can overflow, whatever the weights.

use super::PLANE;
use super::STRIDE as PLANE_STRIDE;
use crate::screen::TILE;

/// The weights of a tile as sent, in 64ths: of [`WEST`], then of [`ABOVE`]. That of N makes the sum 64.
pub(super) type Weights = [i8; WEIGHTS];
pub(super) const WEIGHTS: usize = WEST + ABOVE.len();
/// How many cells to the west take part, the nearest first.
const WEST: usize = 3;
/// The cells above that take part beside N: columns to the east and rows up.
const ABOVE: [(isize, usize); 8] = [(-2, 1), (-1, 1), (1, 1), (2, 1), (-1, 2), (0, 2), (1, 2), (0, 3)];
const BITS: u32 = 6;
const HALF: u16 = 1 << (BITS - 1);

/// Around a row: three cells to the left, two and some room to the right; two rows above the tile.
const LEFT: usize = 3;
const STRIDE: usize = 72;
const TOP: usize = 2;
const ROW: usize = TILE as usize;

/// A plane with the cells around it that predictions read.
#[derive(Clone)]
pub(super) struct Padded {
    cells: [u8; STRIDE * (ROW + TOP)],
}

/// The weights as multipliers.
struct Multipliers {
    west: [u16; WEST],
    north: u16,
    above: [u16; ABOVE.len()],
}

impl Multipliers {
    #[inline(always)]
    fn new(weights: &Weights) -> Self {
        let all = weights.map(|weight| i16::from(weight) as u16);
        let sum = all.iter().fold(0u16, |sum, &weight| sum.wrapping_add(weight));
        Multipliers {
            west: std::array::from_fn(|at| all[at]),
            north: (1u16 << BITS).wrapping_sub(sum),
            above: std::array::from_fn(|at| all[WEST + at]),
        }
    }
}

/// Where the cells of row `y` start.
#[inline(always)]
fn start_of(y: usize) -> usize {
    (y + TOP) * STRIDE + LEFT
}

impl Padded {
    pub(super) fn new() -> Self {
        Padded { cells: [0; STRIDE * (ROW + TOP)] }
    }

    /// Takes the cells of a plane of `width` by `height`.
    #[inline(always)]
    pub(super) fn take(&mut self, plane: &[u8; PLANE], width: usize, height: usize) {
        for y in 0..height {
            let start = start_of(y);
            self.cells[start..start + width].copy_from_slice(&plane[y * PLANE_STRIDE + 1..][..width]);
            self.pad_left(y);
            self.pad_right(y, width);
        }
    }

    /// Fills the cells left of a row with the first cell of the row above, and those of the first row with its own.
    #[inline(always)]
    fn pad_left(&mut self, y: usize) {
        let first = self.cells[start_of(y.saturating_sub(1))];
        self.cells[start_of(y) - LEFT..start_of(y)].fill(first);
    }

    /// Fills the cells right of a row with its last cell. The rows above the first are like it.
    #[inline(always)]
    fn pad_right(&mut self, y: usize, width: usize) {
        let end = start_of(y) + width;
        let last = self.cells[end - 1];
        self.cells[end..end + 2].fill(last);
        if y == 0 {
            let row = TOP * STRIDE..(TOP + 1) * STRIDE;
            for above in 0..TOP {
                self.cells.copy_within(row.clone(), above * STRIDE);
            }
        }
    }

    /// Adds to `sums` what the cells above row `y` weigh.
    #[inline(always)]
    fn add_above(&self, y: usize, multipliers: &Multipliers, sums: &mut [u16; ROW]) {
        let start = start_of(y);
        let north: &[u8; ROW] = self.row_at(start - STRIDE);
        let rows = ABOVE.map(|(east, up)| self.row_at((start - up * STRIDE).wrapping_add_signed(east)));
        // A whole row of 64 whatever the width: the loop is then all vectors.
        for x in 0..ROW {
            let mut sum = multipliers.north.wrapping_mul(u16::from(north[x]));
            for (row, &weight) in rows.iter().zip(&multipliers.above) {
                sum = sum.wrapping_add(weight.wrapping_mul(u16::from(row[x])));
            }
            sums[x] = sums[x].wrapping_add(sum);
        }
    }

    #[inline(always)]
    fn row_at(&self, start: usize) -> &[u8; ROW] {
        self.cells[start..].first_chunk().expect("a row above another has a row's length after it")
    }

    /// Writes the residuals of row `y`, which is not the first.
    #[inline(always)]
    pub(super) fn residual_row(&self, y: usize, weights: &Weights, residuals: &mut [u8]) {
        let multipliers = Multipliers::new(weights);
        let mut sums = [HALF; ROW];
        self.add_above(y, &multipliers, &mut sums);
        let width = residuals.len();
        let start = start_of(y);
        for (back, &weight) in (1..).zip(&multipliers.west) {
            for (sum, &cell) in sums.iter_mut().zip(&self.cells[start - back..][..width]) {
                *sum = sum.wrapping_add(weight.wrapping_mul(u16::from(cell)));
            }
        }
        let cells = &self.cells[start..][..width];
        for ((residual, &cell), &sum) in residuals.iter_mut().zip(cells).zip(&sums) {
            *residual = cell.wrapping_sub((sum >> BITS) as u8);
        }
    }

    /// Hands over a row's neighbours in the order of the weights, last its own cells, each beside the cells above.
    #[inline(always)]
    pub(super) fn neighbours(&self, y: usize, width: usize, mut put: impl FnMut(usize, &[u8], &[u8])) {
        let start = start_of(y);
        let north = &self.cells[start - STRIDE..][..width];
        for back in 1..=WEST {
            put(back - 1, &self.cells[start - back..][..width], north);
        }
        for (at, (east, up)) in ABOVE.into_iter().enumerate() {
            let from = (start - up * STRIDE).wrapping_add_signed(east);
            put(WEST + at, &self.cells[from..][..width], north);
        }
        put(WEIGHTS, &self.cells[start..][..width], north);
    }

    /// Restores all rows from their residuals, which are `stride` apart.
    #[inline(always)]
    pub(super) fn restore_portable(
        &mut self,
        residuals: &[u8],
        stride: usize,
        size: (usize, usize),
        weights: &Weights,
        mut each: impl FnMut(usize, &[u8]),
    ) {
        let (width, height) = size;
        let multipliers = Multipliers::new(weights);
        let [one, two, three] = multipliers.west.map(u32::from);
        for (y, row) in residuals.chunks(stride).take(height).enumerate() {
            let start = start_of(y);
            let row = &row[..width];
            if y == 0 {
                let mut west = 0u8;
                for (cell, &residual) in self.cells[start..].iter_mut().zip(row) {
                    west = west.wrapping_add(residual);
                    *cell = west;
                }
                self.pad_left(0);
            } else {
                self.pad_left(y);
                // The residual goes in above the fraction, so that the chain is one product, one sum, one shift.
                let mut sums = [HALF; ROW];
                for (sum, &residual) in sums.iter_mut().zip(row) {
                    *sum = sum.wrapping_add(u16::from(residual) << BITS);
                }
                self.add_above(y, &multipliers, &mut sums);
                let mut west = [u32::from(self.cells[start - 1]); WEST];
                for (cell, &sum) in self.cells[start..start + width].iter_mut().zip(&sums) {
                    let known = u32::from(sum)
                        .wrapping_add(two.wrapping_mul(west[1]))
                        .wrapping_add(three.wrapping_mul(west[2]));
                    let here = known.wrapping_add(one.wrapping_mul(west[0])) >> BITS & 0xFF;
                    *cell = here as u8;
                    west = [here, west[0], west[1]];
                }
            }
            self.pad_right(y, width);
            each(y, &self.cells[start..start + width]);
        }
    }

    /// Restores a tile of `size` (width and height) from residuals whose rows are `stride` apart, and hands
    /// over each row.
    pub(super) fn restore(
        &mut self,
        residuals: &[u8],
        stride: usize,
        size: (usize, usize),
        weights: &Weights,
        each: impl FnMut(usize, &[u8]),
    ) {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") {
            return super::avx2::restore_linear(self, residuals, stride, size, weights, each);
        }
        self.restore_portable(residuals, stride, size, weights, each);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn rows_come_back_from_their_residuals_whatever_the_weights_in_both_builds(
            bytes in prop::collection::vec(any::<u8>(), PLANE), weights: [i8; WEIGHTS],
            width in 1usize..65, height in 1usize..65,
        ) {
            let plane: &[u8; PLANE] = bytes.first_chunk().unwrap();
            let mut padded = Padded::new();
            padded.take(plane, width, height);
            let mut residuals = vec![0; ROW * ROW];
            for (y, row) in residuals.chunks_mut(ROW).take(height).enumerate() {
                if y > 0 {
                    padded.residual_row(y, &weights, &mut row[..width]);
                } else {
                    let cells = &plane[1..=width];
                    row[0] = cells[0];
                    (1..width).for_each(|x| row[x] = cells[x].wrapping_sub(cells[x - 1]));
                }
            }
            for portable in [false, true] {
                // What an earlier tile left must not matter.
                let mut again = Padded { cells: [bytes[0]; STRIDE * (ROW + TOP)] };
                let mut rows = 0;
                let each = |y: usize, row: &[u8]| {
                    assert_eq!(row, &plane[y * PLANE_STRIDE + 1..][..width]);
                    rows += 1;
                };
                if portable {
                    again.restore_portable(&residuals, ROW, (width, height), &weights, each);
                } else {
                    again.restore(&residuals, ROW, (width, height), &weights, each);
                }
                prop_assert_eq!(rows, height);
            }
        }
    }
}
