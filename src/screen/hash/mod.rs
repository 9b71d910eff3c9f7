//! The tile hash: 64 bits over a tile's pixels, keyed by session.
//!
//! Thirty-two lanes of 32 bits each take in pixels by the step of xxHash32 (add the pixel times one prime,
//! rotate, multiply by another), and are folded into two words at the end. 32-bit lanes, because a browser
//! without WebAssembly has to compute the same value quickly. Lanes shift by eight columns each row, so
//! that a vertical line one pixel wide touches four lanes, not one. The key keeps a program that draws in
//! a session from preparing two tiles of the same hash.

#[cfg(target_arch = "x86_64")]
mod avx2;

use super::{Framebuffer, Rect, TILE};

/// The key of a session's tile hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct HashKey(pub u64);

/// The keyed hash of a tile's size and pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct TileHash(pub u64);

const LANES: usize = 32;
const VECTOR: usize = 8;
const PRIME_STEP: u32 = 0x9E37_79B1;
const PRIME_PIXEL: u32 = 0x85EB_CA77;
const PRIME_LANE: u32 = 0xC2B2_AE3D;
const ROTATE: u32 = 13;

/// Hashes the tile that `rect` covers; it must lie inside the framebuffer and be at most
/// [`TILE`] pixels a side.
pub fn hash_tile(key: HashKey, framebuffer: &Framebuffer, rect: &Rect) -> TileHash {
    assert!(framebuffer.bounds().contains(rect) && !rect.is_empty());
    assert!(rect.width <= TILE && rect.height <= TILE);
    let start = rect.y as usize * framebuffer.stride() + rect.x as usize;
    let pixels = &framebuffer.pixels()[start..];
    #[cfg(target_arch = "x86_64")]
    if rect.width == TILE && is_x86_feature_detected!("avx2") {
        let mut lanes = first_lanes(key);
        avx2::take_rows(&mut lanes, pixels, framebuffer.stride(), rect.height as usize);
        return fold(key, &lanes, rect);
    }
    let mut lanes = first_lanes(key);
    take_rows(&mut lanes, pixels, framebuffer.stride(), rect.width as usize, rect.height as usize);
    fold(key, &lanes, rect)
}

fn first_lanes(key: HashKey) -> [u32; LANES] {
    let halves = [key.0 as u32, (key.0 >> 32) as u32];
    std::array::from_fn(|lane| halves[lane % 2].wrapping_add((lane as u32 + 1).wrapping_mul(PRIME_LANE)))
}

fn step(lane: u32, pixel: u32) -> u32 {
    lane.wrapping_add(pixel.wrapping_mul(PRIME_PIXEL)).rotate_left(ROTATE).wrapping_mul(PRIME_STEP)
}

/// The scalar twin of the AVX2 rows, and the way for narrow tiles. A row whose width is not a multiple
/// of eight is hashed as if black pixels followed.
fn take_rows(lanes: &mut [u32; LANES], pixels: &[u32], stride: usize, width: usize, height: usize) {
    for y in 0..height {
        let row = &pixels[y * stride..y * stride + width];
        for (vector, eight) in row.chunks(VECTOR).enumerate() {
            let first = (vector + y) % 4 * VECTOR;
            for column in 0..VECTOR {
                let pixel = eight.get(column).copied().unwrap_or(0);
                lanes[first + column] = step(lanes[first + column], pixel);
            }
        }
    }
}

fn fold(key: HashKey, lanes: &[u32; LANES], rect: &Rect) -> TileHash {
    let mut low = key.0 as u32 ^ (rect.width << 16 | rect.height);
    let mut high = (key.0 >> 32) as u32 ^ PRIME_LANE;
    for &lane in lanes {
        low = (low ^ lane).wrapping_mul(PRIME_STEP).rotate_left(15);
        high = high.wrapping_add(lane.wrapping_mul(PRIME_LANE)).rotate_left(17).wrapping_mul(PRIME_PIXEL);
    }
    low = avalanche(low ^ high.rotate_left(16));
    high = avalanche(high ^ low);
    TileHash(u64::from(high) << 32 | u64::from(low))
}

/// The finaliser of MurmurHash3 (32 bits).
fn avalanche(mut word: u32) -> u32 {
    word = (word ^ word >> 16).wrapping_mul(0x85EB_CA6B);
    word = (word ^ word >> 13).wrapping_mul(0xC2B2_AE35);
    word ^ word >> 16
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn patterned(width: u32, height: u32, seed: u32) -> Framebuffer {
        let mut framebuffer = Framebuffer::new(width, height).unwrap();
        for (index, pixel) in framebuffer.pixels_mut().iter_mut().enumerate() {
            *pixel = avalanche(index as u32 ^ seed) & 0x00FF_FFFF;
        }
        framebuffer
    }

    proptest! {
        #[test]
        fn the_vector_rows_agree_with_the_scalar_rows(seed: u32, key: u64, height in 1u32..=TILE) {
            let framebuffer = patterned(TILE + 9, TILE, seed);
            let rect = Rect::new(9, 0, TILE, height);
            let mut lanes = first_lanes(HashKey(key));
            take_rows(&mut lanes, &framebuffer.pixels()[9..], framebuffer.stride(), TILE as usize, height as usize);
            prop_assert_eq!(hash_tile(HashKey(key), &framebuffer, &rect), fold(HashKey(key), &lanes, &rect));
        }

        #[test]
        fn one_changed_pixel_changes_the_hash(seed: u32, x in 0u32..TILE, y in 0u32..TILE, bit in 0u32..24) {
            let mut framebuffer = patterned(TILE, TILE, seed);
            let rect = framebuffer.bounds();
            let before = hash_tile(HashKey(7), &framebuffer, &rect);
            framebuffer.row_mut(x, y, 1)[0] ^= 1 << bit;
            prop_assert_ne!(before, hash_tile(HashKey(7), &framebuffer, &rect));
        }
    }

    #[test]
    fn size_and_key_are_part_of_the_hash() {
        let black = Framebuffer::new(TILE, TILE).unwrap();
        let whole = hash_tile(HashKey(1), &black, &black.bounds());
        assert_ne!(whole, hash_tile(HashKey(2), &black, &black.bounds()));
        assert_ne!(whole, hash_tile(HashKey(1), &black, &Rect::new(0, 0, TILE, TILE - 1)));
        assert_ne!(
            hash_tile(HashKey(1), &black, &Rect::new(0, 0, 9, 9)),
            hash_tile(HashKey(1), &black, &Rect::new(0, 0, 10, 9))
        );
    }
}
