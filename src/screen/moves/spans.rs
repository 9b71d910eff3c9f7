//! The hash of every eight pixels in a row, by whatever vector width the processor has.
//!
//! One source, compiled twice: the compiler vectorises the loops; only the gathering of bits has a twin of
//! its own for AVX2. A test holds them together.

/// How many places are hashed at once: the width of a tile.
pub(super) const CHUNK: usize = 64;
/// How many pixels that reads.
pub(super) const READ: usize = CHUNK + 7;
/// The hash of a span that begins without an edge.
pub(super) const NO_SPAN: u32 = u32::MAX;

const FACTOR: u32 = 0x9E37_79B1;
/// The first seven powers of the factor.
const POWERS: [u32; 7] = {
    let mut powers = [FACTOR; 7];
    let mut index = 1;
    while index < powers.len() {
        powers[index] = powers[index - 1].wrapping_mul(FACTOR);
        index += 1;
    }
    powers
};

/// For each of the first [`CHUNK`] pixels, the hash of the eight from there, or [`NO_SPAN`] if
/// the next pixel has the same colour. Returns a bit for each hash that is below `limit`.
pub(super) fn hash_spans(pixels: &[u32; READ], limit: u32, spans: &mut [u32; CHUNK]) -> u64 {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: AVX2 is there.
        return unsafe { hash_spans_avx2(pixels, limit, spans) };
    }
    hash_spans_any(pixels, spans);
    bits_below_any(spans, limit)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn hash_spans_avx2(pixels: &[u32; READ], limit: u32, spans: &mut [u32; CHUNK]) -> u64 {
    hash_spans_any(pixels, spans);
    bits_below_avx2(spans, limit)
}

fn bits_below_any(spans: &[u32; CHUNK], limit: u32) -> u64 {
    spans.iter().rev().fold(0, |bits, &span| bits << 1 | u64::from(span < limit))
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn bits_below_avx2(spans: &[u32; CHUNK], limit: u32) -> u64 {
    use std::arch::x86_64::*;
    let limit = _mm256_set1_epi32(limit as i32);
    spans.as_chunks::<8>().0.iter().rev().fold(0, |bits, eight| {
        // SAFETY: eight words are one vector; the load may be unaligned.
        let eight = unsafe { _mm256_loadu_si256(eight.as_ptr().cast()) };
        // The comparison of unsigned words is made of a maximum and an equality: not below is at least.
        let not_below = _mm256_cmpeq_epi32(_mm256_max_epu32(eight, limit), eight);
        let byte = _mm256_movemask_ps(_mm256_castsi256_ps(not_below)) as u8;
        bits << 8 | u64::from(!byte)
    })
}

/// A polynomial in the pixels. All terms at once are faster than doubling: nothing waits for a store.
#[inline(always)]
fn hash_spans_any(pixels: &[u32; READ], spans: &mut [u32; CHUNK]) {
    for (index, span) in spans.iter_mut().enumerate() {
        let mut sum = pixels[index];
        for (pixel, power) in POWERS.iter().enumerate() {
            sum = sum.wrapping_add(pixels[index + 1 + pixel].wrapping_mul(*power));
        }
        *span = if pixels[index] == pixels[index + 1] { NO_SPAN } else { sum };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn both_compilations_and_the_plain_sum_agree(
            pixels in proptest::collection::vec(
                prop_oneof![Just(0u32), Just(0xFF_FFFF), 0u32..1 << 24],
                READ,
            ),
            limit: u32,
        ) {
            let pixels: [u32; READ] = pixels.try_into().unwrap();
            let mut spans = [0; CHUNK];
            let bits = hash_spans(&pixels, limit, &mut spans);
            let mut portable = [0; CHUNK];
            hash_spans_any(&pixels, &mut portable);
            prop_assert_eq!(spans, portable);
            prop_assert_eq!(bits, bits_below_any(&spans, limit));
            for (index, span) in spans.into_iter().enumerate() {
                let sum = (0..8).rev().fold(0u32, |sum, pixel| {
                    sum.wrapping_mul(FACTOR).wrapping_add(pixels[index + pixel])
                });
                let edge = pixels[index] != pixels[index + 1];
                prop_assert_eq!(span, if edge { sum } else { NO_SPAN });
                prop_assert_eq!(bits >> index & 1 == 1, span < limit);
            }
        }
    }
}
