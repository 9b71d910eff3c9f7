//! The hash's rows by AVX2. The scalar twin is `take_rows` in the parent; a property test holds them together.

use super::{LANES, PRIME_PIXEL, PRIME_STEP, ROTATE, VECTOR};
use crate::screen::TILE;
use std::arch::x86_64::*;

/// Takes in `height` rows of [`TILE`] pixels each, `stride` pixels apart.
///
/// The caller has seen that the processor has AVX2.
pub(super) fn take_rows(lanes: &mut [u32; LANES], pixels: &[u32], stride: usize, height: usize) {
    assert!(height > 0 && pixels.len() >= (height - 1) * stride + TILE as usize);
    // SAFETY: the assertion keeps every load inside `pixels`; AVX2 is there by the caller's check.
    unsafe { take_rows_avx2(lanes, pixels.as_ptr(), stride, height) }
}

#[target_feature(enable = "avx2")]
unsafe fn take_rows_avx2(lanes: &mut [u32; LANES], pixels: *const u32, stride: usize, height: usize) {
    let base = lanes.as_mut_ptr().cast::<__m256i>();
    // SAFETY: 32 lanes are four vectors of eight.
    let mut state: [__m256i; 4] = std::array::from_fn(|index| unsafe { _mm256_loadu_si256(base.add(index)) });
    let whole = height / 4 * 4;
    // SAFETY, here and below: the caller vouches for `height` rows of 64 pixels.
    // Each row starts one group of lanes further on. Four at a time, which group is which is known when this is compiled, and the
    // lanes stay in registers.
    for y in (0..whole).step_by(4) {
        unsafe {
            take_row::<0>(&mut state, pixels.add(y * stride));
            take_row::<1>(&mut state, pixels.add((y + 1) * stride));
            take_row::<2>(&mut state, pixels.add((y + 2) * stride));
            take_row::<3>(&mut state, pixels.add((y + 3) * stride));
        }
    }
    for y in whole..height {
        let row = unsafe { pixels.add(y * stride) };
        match y % 4 {
            0 => unsafe { take_row::<0>(&mut state, row) },
            1 => unsafe { take_row::<1>(&mut state, row) },
            _ => unsafe { take_row::<2>(&mut state, row) },
        }
    }
    for (index, group) in state.into_iter().enumerate() {
        // SAFETY: as for the loads above.
        unsafe { _mm256_storeu_si256(base.add(index), group) };
    }
}

/// One row of [`TILE`] pixels, the first eight of which go into the group of lanes `FIRST`.
#[target_feature(enable = "avx2")]
#[inline]
unsafe fn take_row<const FIRST: usize>(state: &mut [__m256i; 4], row: *const u32) {
    let prime_pixel = _mm256_set1_epi32(PRIME_PIXEL as i32);
    let prime_step = _mm256_set1_epi32(PRIME_STEP as i32);
    for vector in 0..TILE as usize / VECTOR {
        // SAFETY: the caller vouches for 64 pixels.
        let eight = unsafe { _mm256_loadu_si256(row.add(vector * VECTOR).cast()) };
        let group = &mut state[(vector + FIRST) % 4];
        let sum = _mm256_add_epi32(*group, _mm256_mullo_epi32(eight, prime_pixel));
        let turned = _mm256_or_si256(
            _mm256_slli_epi32(sum, ROTATE as i32),
            _mm256_srli_epi32(sum, 32 - ROTATE as i32),
        );
        *group = _mm256_mullo_epi32(turned, prime_step);
    }
}
