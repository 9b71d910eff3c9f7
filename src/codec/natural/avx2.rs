//! The encoder of a natural tile compiled for AVX2: the same code, in wider registers. The portable build of
//! it is the twin; a test holds them together.

use super::NaturalEncoder;
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
