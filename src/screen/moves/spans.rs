//! The hash of every eight pixels in a row, by whatever vector width the processor has.
//!
//! One source, compiled twice: the compiler vectorises the loops, and the `unsafe` is only the call that
//! promises AVX2. A test holds the two together.

/// How many places are hashed at once: the width of a tile.
pub(super) const CHUNK: usize = 64;
/// How many pixels that reads; those past `CHUNK + 7` do not matter.
pub(super) const READ: usize = CHUNK + 24;
/// The hash of a span that begins without an edge.
pub(super) const NO_SPAN: u32 = u32::MAX;

const FACTOR: u32 = 0x9E37_79B1;
const FACTOR_2: u32 = FACTOR.wrapping_mul(FACTOR);
const FACTOR_4: u32 = FACTOR_2.wrapping_mul(FACTOR_2);

/// For each of the first [`CHUNK`] pixels, the hash of the eight from there, or [`NO_SPAN`] if
/// the next pixel has the same colour.
pub(super) fn hash_spans(pixels: &[u32; READ], spans: &mut [u32; CHUNK]) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: AVX2 is there.
        unsafe { hash_spans_avx2(pixels, spans) };
        return;
    }
    hash_spans_any(pixels, spans);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn hash_spans_avx2(pixels: &[u32; READ], spans: &mut [u32; CHUNK]) {
    hash_spans_any(pixels, spans);
}

/// A polynomial in the pixels by doubling: two, four, eight at a time.
#[inline(always)]
fn hash_spans_any(pixels: &[u32; READ], spans: &mut [u32; CHUNK]) {
    let mut twos = [0u32; CHUNK + 16];
    for (index, two) in twos.iter_mut().enumerate() {
        *two = pixels[index].wrapping_add(pixels[index + 1].wrapping_mul(FACTOR));
    }
    let mut fours = [0u32; CHUNK + 8];
    for (index, four) in fours.iter_mut().enumerate() {
        *four = twos[index].wrapping_add(twos[index + 2].wrapping_mul(FACTOR_2));
    }
    for (index, span) in spans.iter_mut().enumerate() {
        let eight = fours[index].wrapping_add(fours[index + 4].wrapping_mul(FACTOR_4));
        *span = if pixels[index] == pixels[index + 1] { NO_SPAN } else { eight };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn both_compilations_and_the_plain_sum_agree(
            pixels in proptest::collection::vec(prop_oneof![Just(0u32), Just(0xFF_FFFF), 0u32..1 << 24], READ)
        ) {
            let pixels: [u32; READ] = pixels.try_into().unwrap();
            let mut spans = [0; CHUNK];
            hash_spans(&pixels, &mut spans);
            let mut portable = [0; CHUNK];
            hash_spans_any(&pixels, &mut portable);
            prop_assert_eq!(spans, portable);
            for (index, span) in spans.into_iter().enumerate() {
                let sum = (0..8).rev().fold(0u32, |sum, pixel| {
                    sum.wrapping_mul(FACTOR).wrapping_add(pixels[index + pixel])
                });
                let edge = pixels[index] != pixels[index + 1];
                prop_assert_eq!(span, if edge { sum } else { NO_SPAN });
            }
        }
    }
}
