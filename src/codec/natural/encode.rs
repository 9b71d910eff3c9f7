//! Encodes natural tiles.

use super::fit::Fit;
use super::linear::{Padded, Weights};
use super::planes::{fill_sides, split_row};
use super::predict::{
    LINEAR, LINEAR_AGAIN, MEAN, MEDIAN, PREDICTORS, SLOPE, SOFT, first_residual_row, residual_row,
};
use super::{ACTIVITIES, BLOCK, PLANE, STRIDE, block_count, blocks, planes_of};
use crate::codec::TILE_PIXELS;
use crate::codec::entropy::{Content, Packer};
use crate::codec::payload::Class;
use crate::screen::{Framebuffer, Rect};

type Residuals = [[u8; TILE_PIXELS]; 3];

/// Gathers natural tiles and writes their section.
pub(in crate::codec) struct NaturalEncoder {
    planes: Box<[[u8; PLANE]; 3]>,
    residuals: Box<[Residuals; PREDICTORS]>,
    linear: Box<Linear>,
    predictors: Vec<u8>,
    weights: Vec<Weights>,
    activities: Vec<u8>,
    streams: [Vec<u8>; ACTIVITIES],
}

impl NaturalEncoder {
    pub(in crate::codec) fn new() -> Self {
        NaturalEncoder {
            planes: Box::new([[0; PLANE]; 3]),
            residuals: Box::new([[[0; TILE_PIXELS]; 3]; PREDICTORS]),
            linear: Box::new(Linear {
                cells: Padded::new(),
                fit: Fit::new(),
                residuals: [[0; TILE_PIXELS]; 2],
            }),
            predictors: Vec::new(),
            weights: Vec::new(),
            activities: Vec::new(),
            streams: Default::default(),
        }
    }

    pub(in crate::codec) fn start(&mut self) {
        self.predictors.clear();
        self.weights.clear();
        self.activities.clear();
        self.streams.iter_mut().for_each(Vec::clear);
    }

    /// Adds a tile of class grey or colour.
    pub(in crate::codec) fn add(&mut self, framebuffer: &Framebuffer, rect: &Rect, class: Class) {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") {
            return super::avx2::add(self, framebuffer, rect, class);
        }
        self.add_portable(framebuffer, rect, class);
    }

    /// The whole of [`Self::add`], inlined so that it can be compiled for several processors.
    #[inline(always)]
    pub(super) fn add_portable(&mut self, framebuffer: &Framebuffer, rect: &Rect, class: Class) {
        let planes = planes_of(class);
        self.split(framebuffer, rect, planes);
        let mut best = (u32::MAX, 0);
        for predictor in 0..PREDICTORS {
            let mut activity = 0;
            for plane in 0..planes {
                let residuals = &mut self.residuals[predictor][plane];
                let cells = &self.planes[plane];
                activity += match predictor as u8 {
                    MEDIAN => predict_plane::<MEDIAN>(cells, rect, residuals),
                    MEAN => predict_plane::<MEAN>(cells, rect, residuals),
                    SLOPE => predict_plane::<SLOPE>(cells, rect, residuals),
                    _ => predict_plane::<SOFT>(cells, rect, residuals),
                };
            }
            best = best.min((activity, predictor));
        }
        let linear = match class {
            Class::Grey => self.linear.predict(&self.planes[0], rect, best.0, self.weights.last()),
            _ => None,
        };
        match linear {
            Some(Chosen::Again) => self.predictors.push(LINEAR_AGAIN),
            Some(Chosen::New(weights)) => {
                self.predictors.push(LINEAR);
                self.weights.push(weights);
            }
            None => self.predictors.push(best.1 as u8),
        }
        let width = rect.width as usize;
        for plane in 0..planes {
            let residuals = match linear {
                Some(Chosen::New(_)) => &self.linear.residuals[0],
                Some(Chosen::Again) => &self.linear.residuals[1],
                None => &self.residuals[best.1][plane],
            };
            for (x, y, columns, lines) in blocks(rect) {
                let mut block = [0; BLOCK * BLOCK];
                let block = gather(residuals, y * width + x, width, columns, lines, &mut block);
                let kind = activity_class(activity_of(block));
                self.activities.push(kind as u8);
                if kind > 0 {
                    self.streams[kind].extend_from_slice(block);
                }
            }
        }
        debug_assert!(self.activities.len() >= planes * block_count(rect));
    }

    #[inline(always)]
    fn split(&mut self, framebuffer: &Framebuffer, rect: &Rect, planes: usize) {
        for y in 0..rect.height as usize {
            let row = framebuffer.row(rect.x, rect.y + y as u32, rect.width);
            split_row(row, &mut self.planes, y * STRIDE + 1);
            for plane in &mut self.planes[..planes] {
                if y == 0 {
                    plane[0] = 0;
                } else {
                    fill_sides(plane, rect.width as usize, y);
                }
            }
        }
    }

    /// Writes the section of the tiles added since the start.
    pub(in crate::codec) fn finish(&mut self, packer: &mut Packer, out: &mut Vec<u8>) {
        self.predictors.append(&mut self.activities);
        packer.pack(Content::Map, &self.predictors, out);
        if !self.weights.is_empty() {
            self.predictors.clear();
            self.predictors.extend(self.weights.iter().flatten().map(|&weight| weight as u8));
            packer.pack(Content::Map, &self.predictors, out);
        }
        for stream in self.streams.iter().filter(|stream| !stream.is_empty()) {
            packer.pack(Content::Noise, stream, out);
        }
    }
}

/// What the linear predictor needs, and its residuals with new weights and with those sent last.
struct Linear {
    cells: Padded,
    fit: Fit,
    residuals: [[u8; TILE_PIXELS]; 2],
}

/// With which weights a tile is predicted linearly.
#[derive(Clone, Copy)]
enum Chosen {
    New(Weights),
    Again,
}

/// What sending weights costs, as the product of a tile's pixels and the share of activity that must be saved:
/// eleven bytes are some eighty bits, and a pixel's bits change by 1.44 times that share.
const WEIGHTS_COST: u64 = 56;

impl Linear {
    /// Predicts a plane if that is worth it against another predictor's `activity`.
    #[inline(always)]
    fn predict(
        &mut self,
        plane: &[u8; PLANE],
        rect: &Rect,
        activity: u32,
        last: Option<&Weights>,
    ) -> Option<Chosen> {
        let worth = |saved: u32, of: u32| u64::from(saved) * rect.area() > u64::from(of) * WEIGHTS_COST;
        if !worth(activity, activity) {
            return None;
        }
        let (width, height) = (rect.width as usize, rect.height as usize);
        self.cells.take(plane, width, height);
        let again = last.map_or(u32::MAX, |weights| self.residuals_with(weights, plane, rect, 1));
        let weights = self.fit.weights(&self.cells, width, height);
        let new = self.residuals_with(&weights, plane, rect, 0);
        let other = activity.min(again);
        if new < other && worth(other - new, other) {
            return Some(Chosen::New(weights));
        }
        (again < activity).then_some(Chosen::Again)
    }

    /// Writes the residuals without gaps and returns their activity.
    #[inline(always)]
    fn residuals_with(&mut self, weights: &Weights, plane: &[u8; PLANE], rect: &Rect, set: usize) -> u32 {
        let residuals = &mut self.residuals[set][..rect.area() as usize];
        for (y, row) in residuals.chunks_exact_mut(rect.width as usize).enumerate() {
            match y {
                0 => first_residual_row(&plane[..STRIDE], row),
                _ => self.cells.residual_row(y, weights, row),
            }
        }
        activity_of(residuals)
    }
}

/// Copies a block's residuals out of its plane.
#[inline(always)]
fn gather<'a>(
    residuals: &[u8; TILE_PIXELS],
    start: usize,
    width: usize,
    columns: usize,
    lines: usize,
    block: &'a mut [u8; BLOCK * BLOCK],
) -> &'a [u8] {
    if (columns, lines) == (BLOCK, BLOCK) {
        for (line, cells) in block.as_chunks_mut::<BLOCK>().0.iter_mut().enumerate() {
            cells.copy_from_slice(&residuals[start + line * width..][..BLOCK]);
        }
        return block;
    }
    for (line, cells) in block.chunks_exact_mut(columns).take(lines).enumerate() {
        cells.copy_from_slice(&residuals[start + line * width..][..columns]);
    }
    &block[..columns * lines]
}

/// Writes a plane's residuals without gaps and returns their activity.
#[inline(always)]
fn predict_plane<const PREDICTOR: u8>(
    cells: &[u8; PLANE],
    rect: &Rect,
    residuals: &mut [u8; TILE_PIXELS],
) -> u32 {
    let width = rect.width as usize;
    let mut activity = 0;
    for (y, row) in residuals[..rect.area() as usize].chunks_exact_mut(width).enumerate() {
        let start = y * STRIDE;
        if y == 0 {
            first_residual_row(&cells[..STRIDE], row);
        } else {
            let (above, here) = cells[start - STRIDE..start + STRIDE].split_at(STRIDE);
            residual_row::<PREDICTOR>(here, above, row);
        }
        activity += activity_of(row);
    }
    activity
}

/// The sum of the residuals' distances from zero.
#[inline(always)]
fn activity_of(residuals: &[u8]) -> u32 {
    residuals.iter().map(|&residual| u32::from((residual as i8).unsigned_abs())).sum()
}

/// Classes double in activity: below half a level a pixel, below one, below two and so on, in a whole block.
#[inline(always)]
fn activity_class(activity: u32) -> usize {
    if activity == 0 { 0 } else { 1 + (activity >> 4).max(1).ilog2() as usize }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::oracle::screen_from_bytes;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_build_for_avx2_agrees_with_the_portable_one(
            bytes in prop::collection::vec(any::<u8>(), 11..120), width in 1u32..65, height in 1u32..65, grey: bool,
        ) {
            let screen = screen_from_bytes(width, height, &bytes);
            let class = if grey { Class::Grey } else { Class::Colour };
            let (mut chosen, mut portable) = (NaturalEncoder::new(), NaturalEncoder::new());
            chosen.add(&screen, &screen.bounds(), class);
            portable.add_portable(&screen, &screen.bounds(), class);
            prop_assert_eq!(chosen.predictors, portable.predictors);
            prop_assert_eq!(chosen.weights, portable.weights);
            prop_assert_eq!(chosen.activities, portable.activities);
            prop_assert_eq!(chosen.streams, portable.streams);
        }
    }

    #[test]
    fn smeared_grey_noise_is_predicted_linearly_and_shares_its_weights() {
        let mut screen = Framebuffer::new(256, 64).unwrap();
        let speck = |x: u32, y: u32| {
            let word = (x * 613 + y * 7919).wrapping_mul(0x2C1B_3C6D);
            (word ^ word >> 12).wrapping_mul(0x297A_2D39) >> 26
        };
        for y in 0..64 {
            for x in 0..256 {
                let around = speck(x, y + 1) + speck(x + 2, y + 1) + speck(x + 1, y) + speck(x + 1, y + 2);
                screen.row_mut(x, y, 1)[0] = (60 + (4 * speck(x + 1, y + 1) + around) / 8) * 0x0001_0101;
            }
        }
        let mut encoder = NaturalEncoder::new();
        for tile in 0..4 {
            encoder.add(&screen, &Rect::new(tile * 64, 0, 64, 64), Class::Grey);
        }
        assert_eq!(encoder.predictors, [LINEAR, LINEAR_AGAIN, LINEAR_AGAIN, LINEAR_AGAIN]);
        assert_eq!(encoder.weights.len(), 1);
    }
}
