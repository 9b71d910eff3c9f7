//! Fits the linear predictor's weights to a tile by least squares. The encoder's choice alone: decoders are
//! sent the weights.

use super::linear::{Padded, WEIGHTS, Weights};

/// Neighbours of so many pixels are gathered before they are multiplied.
const SAMPLES: usize = 1024;
/// Every second row is looked at.
const STEP: usize = 2;
/// Weights are sent in 64ths.
const SCALE: f64 = 64.0;

/// The sums of products of a tile's differences from N: all neighbours with each other, and with the cell.
pub(super) struct Fit {
    samples: [[i16; SAMPLES]; WEIGHTS + 1],
    used: usize,
    products: [[i32; WEIGHTS + 1]; WEIGHTS],
}

impl Fit {
    pub(super) fn new() -> Self {
        Fit { samples: [[0; SAMPLES]; WEIGHTS + 1], used: 0, products: [[0; WEIGHTS + 1]; WEIGHTS] }
    }

    /// The weights with the least sum of squared residuals in a tile of this size.
    #[inline(always)]
    pub(super) fn weights(&mut self, cells: &Padded, width: usize, height: usize) -> Weights {
        self.products = [[0; WEIGHTS + 1]; WEIGHTS];
        self.used = 0;
        for y in (1..height).step_by(STEP) {
            if self.used + width > SAMPLES {
                self.multiply();
            }
            let used = self.used;
            cells.neighbours(y, width, |at, neighbours, north| {
                let differences = &mut self.samples[at][used..used + width];
                for ((difference, &cell), &north) in differences.iter_mut().zip(neighbours).zip(north) {
                    *difference = i16::from(cell) - i16::from(north);
                }
            });
            self.used += width;
        }
        self.multiply();
        solve(&self.products)
    }

    /// A tile's sums fit 32 bits: at most 4096 products of at most 255 squared.
    #[inline(always)]
    fn multiply(&mut self) {
        for one in 0..WEIGHTS {
            for other in one..=WEIGHTS {
                let pairs = self.samples[one][..self.used].iter().zip(&self.samples[other][..self.used]);
                self.products[one][other] += pairs.map(|(&a, &b)| i32::from(a) * i32::from(b)).sum::<i32>();
            }
        }
        self.used = 0;
    }
}

/// Solves the normal equations, of which the upper triangle is given, by elimination.
fn solve(products: &[[i32; WEIGHTS + 1]; WEIGHTS]) -> Weights {
    let mut rows = products.map(|row| row.map(f64::from));
    for (at, row) in rows.iter_mut().enumerate() {
        // A little more on the diagonal keeps flat tiles solvable, and weights small.
        row[at] += 1.0 + row[at] * 1e-4;
    }
    for pivot in 0..WEIGHTS {
        for below in pivot + 1..WEIGHTS {
            let (upper, lower) = rows.split_at_mut(below);
            let (from, row) = (&upper[pivot], &mut lower[0]);
            let factor = from[below] / from[pivot];
            for (value, &above) in row[below..].iter_mut().zip(&from[below..]) {
                *value -= factor * above;
            }
        }
    }
    let mut solution = [0.0; WEIGHTS];
    for at in (0..WEIGHTS).rev() {
        let known: f64 = (at + 1..WEIGHTS).map(|other| rows[at][other] * solution[other]).sum();
        solution[at] = (rows[at][WEIGHTS] - known) / rows[at][at];
    }
    // The conversion keeps within the weight's range, whatever came out.
    solution.map(|weight| (weight * SCALE).round() as i8)
}

#[cfg(test)]
mod tests {
    use super::super::{PLANE, STRIDE};
    use super::*;

    #[test]
    fn a_slope_in_noise_is_predicted_better_than_by_any_single_neighbour() {
        let mut plane = [0; PLANE];
        let mut state = 1u32;
        for (at, cell) in plane.iter_mut().enumerate() {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *cell = (at % STRIDE * 2 + at / STRIDE) as u8 / 2 + (state >> 29) as u8;
        }
        let mut padded = Padded::new();
        padded.take(&plane, 64, 64);
        let fitted = Fit::new().weights(&padded, 64, 64);
        let activity = |weights: &Weights| {
            let mut row = [0; 64];
            let mut sum = 0u32;
            for y in 1..64 {
                padded.residual_row(y, weights, &mut row);
                sum += row.iter().map(|&residual| u32::from((residual as i8).unsigned_abs())).sum::<u32>();
            }
            sum
        };
        for at in 0..WEIGHTS {
            let mut fixed = [0; WEIGHTS];
            fixed[at] = 64;
            assert!(activity(&fitted) * 10 < activity(&fixed) * 9, "{fitted:?}, {at}");
        }
    }

    #[test]
    fn a_flat_tile_gets_no_weights() {
        let mut padded = Padded::new();
        padded.take(&[7; PLANE], 64, 64);
        assert_eq!(Fit::new().weights(&padded, 64, 64), [0; WEIGHTS]);
    }
}
