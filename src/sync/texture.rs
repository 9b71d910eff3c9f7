//! What a piece of a screen looks like to somebody who may smear it: natural, text, or flat.

use crate::screen::{Framebuffer, Rect};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Texture {
    /// Soft: most neighbours differ a little, as in photographs and films.
    pub is_natural: bool,
    /// Sharp strokes on something even: writing, lines, icons.
    pub is_text: bool,
    /// Some strokes at least.
    pub has_edges: bool,
}

/// Looks at every second row of `rect`: at how strongly each pixel's green, red and blue differ from the left one's.
pub fn texture(screen: &Framebuffer, rect: &Rect) -> Texture {
    let (mut soft, mut sharp, mut seen) = (0u32, 0u32, 0u32);
    for y in (rect.y..rect.bottom()).step_by(2) {
        let row = screen.row(rect.x, y, rect.width);
        for (left, pixel) in row.iter().zip(&row[1..]) {
            let step = step(*left, *pixel);
            soft += u32::from((1..=24).contains(&step));
            sharp += u32::from(step >= 64);
        }
        seen += rect.width - 1;
    }
    Texture {
        is_natural: soft * 4 >= seen && soft >= sharp * 2 && seen > 0,
        is_text: sharp * 33 >= seen && soft < sharp * 2 && seen > 0,
        has_edges: sharp * 50 >= seen && seen > 0,
    }
}

/// The largest difference of two pixels' colours.
fn step(one: u32, other: u32) -> u32 {
    let part = |shift: u32| (one >> shift & 0xFF).abs_diff(other >> shift & 0xFF);
    part(0).max(part(8)).max(part(16))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn screen(colour: impl Fn(u32, u32) -> u32) -> Framebuffer {
        let mut screen = Framebuffer::new(64, 64).unwrap();
        for y in 0..64 {
            screen.row_mut(0, y, 64).iter_mut().zip(0..).for_each(|(pixel, x)| *pixel = colour(x, y));
        }
        screen
    }

    #[test]
    fn photographs_writing_and_flat_areas_are_told_apart() {
        let of = |screen: &Framebuffer| texture(screen, &screen.bounds());
        let soft = of(&screen(|x, y| ((x * 3 + y * 2) & 0xFF) * 0x0001_0101));
        assert!(soft.is_natural && !soft.is_text);
        // Strokes two pixels wide with one soft pixel beside each, a third of the lines empty.
        let written = of(&screen(|x, y| match (y % 16 < 10, x % 7) {
            (true, 1..=2) => 0x0020_2020,
            (true, 3) => 0x0090_9090,
            _ => 0x00F4_F4F4,
        }));
        assert!(written.is_text && !written.is_natural && written.has_edges);
        let flat = of(&screen(|_, y| if y < 30 { 0 } else { 0x0033_3333 }));
        assert_eq!(flat, Texture::default());
    }
}
