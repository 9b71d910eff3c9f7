//! The encoder of a natural tile and the linear predictor compiled for AVX2: the same code, in wider registers.
//! The portable build is the twin; tests hold them together.

use super::NaturalEncoder;
use super::linear::{Padded, Weights};
use crate::codec::payload::Class;
use crate::screen::{Framebuffer, Rect};

/// Adds a tile. The caller has seen that the processor has AVX2.
pub(super) fn add(encoder: &mut NaturalEncoder, framebuffer: &Framebuffer, rect: &Rect, class: Class) {
    // SAFETY: AVX2 is there by the caller's check; nothing else is asked of the function.
    unsafe { add_avx2(encoder, framebuffer, rect, class) }
}

#[target_feature(enable = "avx2")]
fn add_avx2(encoder: &mut NaturalEncoder, framebuffer: &Framebuffer, rect: &Rect, class: Class) {
    encoder.add_portable(framebuffer, rect, class);
}

/// Restores a tile. The caller has seen that the processor has AVX2.
pub(super) fn restore_linear(
    cells: &mut Padded,
    residuals: &[u8],
    stride: usize,
    size: (usize, usize),
    weights: &Weights,
    each: impl FnMut(usize, &[u8]),
) {
    // SAFETY: AVX2 is there by the caller's check; nothing else is asked of the function.
    unsafe { restore_linear_avx2(cells, residuals, stride, size, weights, each) }
}

#[target_feature(enable = "avx2")]
fn restore_linear_avx2(
    cells: &mut Padded,
    residuals: &[u8],
    stride: usize,
    size: (usize, usize),
    weights: &Weights,
    each: impl FnMut(usize, &[u8]),
) {
    cells.restore_portable(residuals, stride, size, weights, each);
}
