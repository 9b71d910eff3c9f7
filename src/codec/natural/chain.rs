//! The prediction chain of a row with SSE2, which every x86-64 processor has: the cells of all planes of one
//! pixel share a register, so that the chain from west to east costs a few cycles a pixel. Its scalar twin
//! is `predict::restore_row`; a property test holds them together.

use super::predict::{MEAN, MEDIAN, SLOPE};
use std::arch::x86_64::*;

/// As `predict::restore_row`, with four lanes or one.
#[inline]
pub(super) fn restore_row<const PREDICTOR: u8, const LANES: usize>(
    cells: &mut [[u8; LANES]],
    above: &[[u8; LANES]],
    residuals: &[[u8; LANES]],
) {
    // SAFETY: SSE2 is part of x86-64; nothing else is asked of the function.
    unsafe { restore_row_sse2::<PREDICTOR, LANES>(cells, above, residuals) }
}

#[inline]
#[target_feature(enable = "sse2")]
fn restore_row_sse2<const PREDICTOR: u8, const LANES: usize>(
    cells: &mut [[u8; LANES]],
    above: &[[u8; LANES]],
    residuals: &[[u8; LANES]],
) {
    let width = residuals.len();
    let (cells, east) = (&mut cells[..width + 1], &above[2..width + 2]);
    let [mut west, mut nw, mut north] = [load(cells[0]), load(above[0]), load(above[1])];
    for x in 0..width {
        let ne = load(east[x]);
        west = _mm_add_epi8(load(residuals[x]), predict::<PREDICTOR>(west, north, nw, ne));
        cells[x + 1] = store(west);
        (nw, north) = (north, ne);
    }
}

#[inline]
#[target_feature(enable = "sse2")]
fn predict<const PREDICTOR: u8>(w: __m128i, n: __m128i, nw: __m128i, ne: __m128i) -> __m128i {
    match PREDICTOR {
        MEDIAN => median(w, n, nw),
        MEAN => _mm_avg_epu8(w, n),
        SLOPE => {
            let (up, down) = (half(_mm_subs_epu8(ne, nw)), half(_mm_subs_epu8(nw, ne)));
            let sloped = _mm_subs_epu8(_mm_adds_epu8(w, up), down);
            let low = _mm_min_epu8(w, _mm_min_epu8(n, ne));
            let high = _mm_max_epu8(w, _mm_max_epu8(n, ne));
            let kept = _mm_min_epu8(_mm_max_epu8(sloped, low), high);
            _mm_avg_epu8(median(w, n, nw), kept)
        }
        _ => _mm_avg_epu8(median(w, n, nw), _mm_avg_epu8(w, n)),
    }
}

#[inline]
#[target_feature(enable = "sse2")]
fn median(w: __m128i, n: __m128i, nw: __m128i) -> __m128i {
    let (low, high) = (_mm_min_epu8(w, n), _mm_max_epu8(w, n));
    _mm_sub_epi8(_mm_add_epi8(low, high), _mm_min_epu8(_mm_max_epu8(nw, low), high))
}

#[inline]
#[target_feature(enable = "sse2")]
fn half(bytes: __m128i) -> __m128i {
    _mm_and_si128(_mm_srli_epi16::<1>(bytes), _mm_set1_epi8(0x7F))
}

#[inline]
#[target_feature(enable = "sse2")]
fn load<const LANES: usize>(cell: [u8; LANES]) -> __m128i {
    let mut bytes = [0; 4];
    bytes[..LANES].copy_from_slice(&cell);
    _mm_cvtsi32_si128(i32::from_le_bytes(bytes))
}

#[inline]
#[target_feature(enable = "sse2")]
fn store<const LANES: usize>(cells: __m128i) -> [u8; LANES] {
    let bytes = _mm_cvtsi128_si32(cells).to_le_bytes();
    std::array::from_fn(|lane| bytes[lane])
}

#[cfg(test)]
mod tests {
    use super::super::predict;
    use super::*;
    use proptest::prelude::*;

    fn check<const PREDICTOR: u8, const LANES: usize>(bytes: &[u8], width: usize) {
        let cell =
            |at: usize| std::array::from_fn::<u8, LANES, _>(|lane| bytes[(at * 5 + lane * 7) % bytes.len()]);
        let above: Vec<_> = (0..width + 2).map(cell).collect();
        let residuals: Vec<_> = (0..width).map(|at| cell(at + 100)).collect();
        let mut scalar = vec![cell(200); width + 1];
        let mut vector = scalar.clone();
        predict::restore_row::<PREDICTOR, LANES>(&mut scalar, &above, &residuals);
        restore_row::<PREDICTOR, LANES>(&mut vector, &above, &residuals);
        assert_eq!(scalar, vector);
        let flat =
            |cells: &[[u8; LANES]], lane: usize| cells.iter().map(|cell| cell[lane]).collect::<Vec<u8>>();
        for lane in 0..LANES {
            let mut again = vec![0; width];
            predict::residual_row::<PREDICTOR>(&flat(&scalar, lane), &flat(&above, lane), &mut again);
            assert_eq!(again, flat(&residuals, lane));
        }
    }

    proptest! {
        #[test]
        fn the_vector_chain_agrees_with_the_scalar_chain_and_inverts_the_residuals(
            bytes in prop::collection::vec(any::<u8>(), 400), width in 1usize..65,
        ) {
            check::<0, 1>(&bytes, width);
            check::<1, 1>(&bytes, width);
            check::<2, 1>(&bytes, width);
            check::<3, 1>(&bytes, width);
            check::<0, 4>(&bytes, width);
            check::<1, 4>(&bytes, width);
            check::<2, 4>(&bytes, width);
            check::<3, 4>(&bytes, width);
        }
    }
}
