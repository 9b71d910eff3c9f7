//! Colours of screens and of video: ITU-R BT.709, limited range, chroma of 2x2 pixels in one sample (4:2:0).

use crate::screen::{Framebuffer, Rect};

/// A picture in three planes: luma of `width * height` bytes, then two of a quarter of that. Sides are even.
#[derive(Clone, Default)]
pub struct I420 {
    width: usize,
    height: usize,
    bytes: Vec<u8>,
}

/// Fixed-point factors, 16 bits of fraction.
const fn fixed(factor: f64) -> i32 {
    (factor * 65_536.0 + if factor < 0.0 { -0.5 } else { 0.5 }) as i32
}

// BT.709, Kr = 0.2126 and Kb = 0.0722, from 0..=255 to 16..=235 and 16..=240.
const Y_OF: [i32; 3] = [fixed(0.182_586), fixed(0.614_231), fixed(0.062_007)];
const U_OF: [i32; 3] = [fixed(-0.100_644), fixed(-0.338_572), fixed(0.439_216)];
const V_OF: [i32; 3] = [fixed(0.439_216), fixed(-0.398_942), fixed(-0.040_274)];
const LUMA: i32 = fixed(1.164_384);
const RED_V: i32 = fixed(1.792_741);
const GREEN_U: i32 = fixed(0.213_249);
const GREEN_V: i32 = fixed(0.532_909);
const BLUE_U: i32 = fixed(2.112_402);
const HALF: i32 = 1 << 15;

impl I420 {
    pub fn width(&self) -> u32 {
        self.width as u32
    }

    pub fn height(&self) -> u32 {
        self.height as u32
    }

    /// Luma, blue difference, red difference. The luma's stride is the width, the others' half of it.
    pub fn planes(&self) -> [&[u8]; 3] {
        let luma = self.width * self.height;
        let (y, chroma) = self.bytes.split_at(luma);
        let (u, v) = chroma.split_at(luma / 4);
        [y, u, v]
    }

    /// Takes the pixels of a rectangle, whose sides are even and which lies inside the screen.
    pub fn load(&mut self, screen: &Framebuffer, rect: &Rect) {
        debug_assert!(rect.width.is_multiple_of(2) && rect.height.is_multiple_of(2));
        (self.width, self.height) = (rect.width as usize, rect.height as usize);
        self.bytes.resize(self.width * self.height * 3 / 2, 0);
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") {
            return avx2::load(self, screen, rect);
        }
        self.load_portable(screen, rect);
    }

    #[inline(always)]
    fn load_portable(&mut self, screen: &Framebuffer, rect: &Rect) {
        let width = self.width;
        let (luma, chroma) = self.bytes.split_at_mut(width * self.height);
        let (us, vs) = chroma.split_at_mut(width * self.height / 4);
        let rows = luma.chunks_exact_mut(2 * width);
        let chroma = us.chunks_exact_mut(width / 2).zip(vs.chunks_exact_mut(width / 2));
        for ((y, luma), (us, vs)) in (rect.y..).step_by(2).zip(rows).zip(chroma) {
            let upper = screen.row(rect.x, y, rect.width);
            let lower = screen.row(rect.x, y + 1, rect.width);
            let (first, second) = luma.split_at_mut(width);
            luma_row(upper, first);
            luma_row(lower, second);
            chroma_row(upper, lower, us, vs);
        }
    }

    /// A row of pixels of the picture, from column `x` on, written over `pixels`.
    pub fn write_row(&self, x: usize, y: usize, pixels: &mut [u32]) {
        let [luma, us, vs] = self.planes();
        let luma = &luma[y * self.width + x..][..pixels.len()];
        let half = self.width / 2;
        let chroma = y / 2 * half..(y / 2 + 1) * half;
        let (us, vs) = (&us[chroma.clone()], &vs[chroma]);
        for (at, (pixel, &luma)) in (x..).zip(pixels.iter_mut().zip(luma)) {
            *pixel = pixel_of(luma, us[at / 2], vs[at / 2]);
        }
    }

    /// An empty picture to be filled from planes with strides of their own: see [`I420::plane_rows`].
    #[cfg(feature = "h264")]
    pub(super) fn resize(&mut self, width: usize, height: usize) {
        (self.width, self.height) = (width, height);
        self.bytes.resize(width * height * 3 / 2, 0);
    }

    /// The rows of each plane, to be written.
    #[cfg(feature = "h264")]
    pub(super) fn plane_rows(&mut self) -> [std::slice::ChunksExactMut<'_, u8>; 3] {
        let width = self.width.max(2);
        let (y, chroma) = self.bytes.split_at_mut(self.width * self.height);
        let (u, v) = chroma.split_at_mut(self.width * self.height / 4);
        [y.chunks_exact_mut(width), u.chunks_exact_mut(width / 2), v.chunks_exact_mut(width / 2)]
    }
}

#[inline(always)]
fn luma_row(pixels: &[u32], luma: &mut [u8]) {
    for (luma, &pixel) in luma.iter_mut().zip(pixels) {
        let [r, g, b] = [pixel >> 16 & 0xFF, pixel >> 8 & 0xFF, pixel & 0xFF].map(|part| part as i32);
        *luma = ((Y_OF[0] * r + Y_OF[1] * g + Y_OF[2] * b + (16 << 16) + HALF) >> 16) as u8;
    }
}

#[inline(always)]
fn chroma_row(upper: &[u32], lower: &[u32], us: &mut [u8], vs: &mut [u8]) {
    let (upper, lower) = (upper.as_chunks::<2>().0, lower.as_chunks::<2>().0);
    for (((u, v), [a, b]), [c, d]) in us.iter_mut().zip(vs).zip(upper).zip(lower) {
        let sum = |shift: u32| {
            ((a >> shift & 0xFF) + (b >> shift & 0xFF) + (c >> shift & 0xFF) + (d >> shift & 0xFF)) as i32
        };
        let [red, green, blue] = [sum(16), sum(8), sum(0)];
        let mixed =
            |of: [i32; 3]| (of[0] * red + of[1] * green + of[2] * blue + (128 << 18) + (HALF << 2)) >> 18;
        *u = mixed(U_OF) as u8;
        *v = mixed(V_OF) as u8;
    }
}

/// One pixel, `0x00RRGGBB`, of its luma and chroma.
#[inline(always)]
fn pixel_of(luma: u8, u: u8, v: u8) -> u32 {
    let light = (i32::from(luma) - 16) * LUMA + HALF;
    let (u, v) = (i32::from(u) - 128, i32::from(v) - 128);
    let part = |value: i32| (value >> 16).clamp(0, 255) as u32;
    part(light + RED_V * v) << 16 | part(light - GREEN_U * u - GREEN_V * v) << 8 | part(light + BLUE_U * u)
}

/// The peak signal-to-noise ratio of two screens' red, green and blue inside `rect`, in decibels.
pub fn psnr(one: &Framebuffer, other: &Framebuffer, rect: &Rect) -> f64 {
    let mut error = 0u64;
    for y in rect.y..rect.bottom() {
        for (a, b) in one.row(rect.x, y, rect.width).iter().zip(other.row(rect.x, y, rect.width)) {
            for shift in [0, 8, 16] {
                let difference = (a >> shift & 0xFF) as i64 - (b >> shift & 0xFF) as i64;
                error += (difference * difference) as u64;
            }
        }
    }
    let mean = error as f64 / (rect.area() * 3) as f64;
    10.0 * (255.0 * 255.0 / mean).log10()
}

/// The conversion compiled for AVX2: the same code in wider registers.
#[cfg(target_arch = "x86_64")]
mod avx2 {
    use super::{Framebuffer, I420, Rect};

    /// The caller has seen that the processor has AVX2.
    pub(super) fn load(picture: &mut I420, screen: &Framebuffer, rect: &Rect) {
        // SAFETY: AVX2 is there by the caller's check; nothing else is asked of the function.
        unsafe { load_avx2(picture, screen, rect) }
    }

    #[target_feature(enable = "avx2")]
    fn load_avx2(picture: &mut I420, screen: &Framebuffer, rect: &Rect) {
        picture.load_portable(screen, rect);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_colours_of_the_standard_come_out() {
        // BT.709, 8 bits: white, black, and the three primaries.
        let colours = [(0xFF_FFFF, [235, 128, 128]), (0, [16, 128, 128]), (0xFF_0000, [63, 102, 240])];
        for (colour, expected) in colours.into_iter().chain([(0xFF00, [173, 42, 26]), (0xFF, [32, 240, 118])])
        {
            let mut screen = Framebuffer::new(2, 2).unwrap();
            screen.pixels_mut().fill(colour);
            let mut picture = I420::default();
            picture.load(&screen, &screen.bounds());
            assert_eq!(picture.planes().map(|plane| plane[0]), expected, "of {colour:06x}");
        }
    }

    proptest! {
        #[test]
        fn the_build_for_avx2_agrees_with_the_portable_one_and_greys_come_back(
            pixels in prop::collection::vec(0u32..0x100_0000, 16 * 6), grey in 0u32..256,
        ) {
            let mut screen = Framebuffer::new(16, 6).unwrap();
            screen.pixels_mut().copy_from_slice(&pixels);
            let rect = Rect::new(2, 2, 14, 4);
            let (mut chosen, mut portable) = (I420::default(), I420::default());
            chosen.load(&screen, &rect);
            portable.resize_for_test(14, 4);
            portable.load_portable(&screen, &rect);
            prop_assert!(chosen.bytes == portable.bytes);

            screen.pixels_mut().fill(grey * 0x0001_0101);
            chosen.load(&screen, &rect);
            let mut row = [0; 14];
            chosen.write_row(0, 3, &mut row);
            prop_assert!(row.iter().all(|pixel| (pixel & 0xFF).abs_diff(grey) <= 1), "{:x?} of {}", row, grey);
        }
    }

    impl I420 {
        fn resize_for_test(&mut self, width: usize, height: usize) {
            (self.width, self.height) = (width, height);
            self.bytes.resize(width * height * 3 / 2, 0);
        }
    }
}
