//! From IronRDP's image to a screen's rows, and pointers to cursors.

use crate::screen::{CursorShape, MAX_PIXELS, MAX_SIDE};
use ironrdp_graphics::pointer::DecodedPointer;
use ironrdp_pdu::geometry::InclusiveRectangle;

/// Pixels of a cursor's side; RDP's large pointers reach 384.
const MOST_CURSOR: u16 = 384;

/// Whether a screen of this size can be shown.
pub fn is_possible(width: u16, height: u16) -> bool {
    let (width, height) = (u32::from(width), u32::from(height));
    width >= 1 && height >= 1 && width <= MAX_SIDE && height <= MAX_SIDE && width * height <= MAX_PIXELS
}

/// Gives what changed, row by row, from an image of RGBA pixels, `width` to a row. `paint` gets a column, a row, and
/// `0x00RRGGBB` pixels from there on, all of them inside the image; the result is whether it ever said yes.
pub fn copy(
    data: &[u8],
    (width, height): (u16, u16),
    rects: &[InclusiveRectangle],
    row: &mut Vec<u32>,
    mut paint: impl FnMut(u32, u32, &[u32]) -> bool,
) -> bool {
    let stride = usize::from(width) * 4;
    let mut changed = false;
    for rect in rects {
        let right = rect.right.min(width.saturating_sub(1));
        let bottom = rect.bottom.min(height.saturating_sub(1));
        if rect.left > right || rect.top > bottom {
            continue;
        }
        let count = usize::from(right - rect.left) + 1;
        for y in rect.top..=bottom {
            let start = usize::from(y) * stride + usize::from(rect.left) * 4;
            let Some(bytes) = data.get(start..start + count * 4) else { return changed };
            let (quads, _) = bytes.as_chunks::<4>();
            row.clear();
            row.extend(quads.iter().map(|&[red, green, blue, _]| u32::from_le_bytes([blue, green, red, 0])));
            changed |= paint(rect.left.into(), y.into(), row);
        }
    }
    changed
}

/// A pointer's picture as a cursor; nothing if it makes no sense.
pub fn cursor(pointer: &DecodedPointer) -> Option<CursorShape> {
    let &DecodedPointer { width, height, hotspot_x, hotspot_y, ref bitmap_data } = pointer;
    let whole = usize::from(width) * usize::from(height);
    if width == 0
        || height == 0
        || width > MOST_CURSOR
        || height > MOST_CURSOR
        || bitmap_data.len() != whole * 4
    {
        return None;
    }
    let (quads, _) = bitmap_data.as_chunks::<4>();
    let pixels = quads.iter().map(|&[red, green, blue, alpha]| {
        let part = |part: u8| ((u32::from(part) * u32::from(alpha) + 127) / 255) as u8;
        u32::from_le_bytes([part(blue), part(green), part(red), alpha])
    });
    Some(CursorShape {
        width,
        height,
        hot_x: hotspot_x.min(width - 1),
        hot_y: hotspot_y.min(height - 1),
        pixels: pixels.collect(),
    })
}

/// No cursor at all.
pub fn hidden() -> CursorShape {
    CursorShape { width: 1, height: 1, hot_x: 0, hot_y: 0, pixels: vec![0] }
}

/// The arrow that a host means when it names none: white with a black edge.
pub fn arrow() -> CursorShape {
    const SIDE: u16 = 18;
    let pixel = |x: i32, y: i32| {
        // A triangle down to row 16, with its point at the top left, and a short tail.
        let inside = |x: i32, y: i32| {
            let head = x >= 0 && x <= y && y <= 11 || x >= 0 && (11..=14).contains(&y) && x <= 14 - y;
            let tail = (10..=17).contains(&y) && (x - (y - 10) / 2 - 3).abs() <= 1;
            head || tail
        };
        let edge = [(1, 0), (-1, 0), (0, 1), (0, -1)].iter().any(|(dx, dy)| !inside(x + dx, y + dy));
        match (inside(x, y), edge) {
            (false, _) => 0,
            (true, true) => 0xff00_0000,
            (true, false) => 0xffff_ffff,
        }
    };
    let rows = 0..i32::from(SIDE);
    let pixels = rows.flat_map(|y| (0..i32::from(SIDE)).map(move |x| pixel(x, y))).collect();
    CursorShape { width: SIDE, height: SIDE, hot_x: 0, hot_y: 0, pixels }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::screen::Framebuffer;

    fn rect(left: u16, top: u16, right: u16, bottom: u16) -> InclusiveRectangle {
        InclusiveRectangle { left, top, right, bottom }
    }

    #[test]
    fn only_what_changed_is_given_and_nothing_beyond_the_image() {
        let mut data = vec![0; 200 * 100 * 4];
        let at = (70 * 200 + 130) * 4;
        data[at..at + 4].copy_from_slice(&[1, 2, 3, 255]);
        let mut screen = Framebuffer::new(200, 100).unwrap();
        let row = &mut Vec::new();
        let everything = [rect(0, 0, u16::MAX, u16::MAX), rect(300, 300, 400, 400), rect(5, 5, 2, 2)];
        assert!(copy(&data, (200, 100), &everything, row, |x, y, pixels| {
            screen.row_mut(x, y, pixels.len() as u32).copy_from_slice(pixels);
            true
        }));
        assert_eq!(screen.row(130, 70, 1), [0x0001_0203]);
        assert_eq!(screen.pixels().iter().filter(|&&pixel| pixel != 0).count(), 1);
        // An image that is shorter than it says gives what there is.
        let mut rows = 0;
        copy(&data[..200 * 4 * 3], (200, 100), &[rect(0, 0, 199, 99)], row, |_, _, _| {
            rows += 1;
            true
        });
        assert_eq!(rows, 3);
        assert!(!copy(&[], (0, 0), &everything, row, |_, _, _| true));
    }

    #[test]
    fn sizes_that_no_screen_has_are_known() {
        assert!(is_possible(1, 1) && is_possible(7_680, 4_320));
        assert!(!is_possible(0, 5) && !is_possible(u16::MAX, u16::MAX) && !is_possible(16_384, 16_384));
    }

    #[test]
    fn a_pointers_colours_are_multiplied_by_their_opacity() {
        let pointer = |width, data: Vec<u8>| DecodedPointer {
            width,
            height: 1,
            hotspot_x: 9,
            hotspot_y: 9,
            bitmap_data: data,
        };
        let shape = cursor(&pointer(1, vec![200, 100, 0, 128])).unwrap();
        assert_eq!((shape.pixels[0], shape.hot_x, shape.hot_y), (0x8064_3200, 0, 0));
        assert!(cursor(&pointer(2, vec![0; 4])).is_none());
        assert!(cursor(&pointer(0, vec![])).is_none());
        assert!(arrow().pixels.contains(&0xffff_ffff));
    }
}
