//! Where the desktop's windows stand on a screen of a given size. Pure arithmetic.

use crate::screen::Rect;

/// What a window of the demonstration is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A patient's record: tables, text, a picture in the page.
    Record,
    /// A greyscale picture.
    Picture,
    /// A text being edited.
    Notes,
    Terminal,
}

impl Role {
    /// In the order in which they start: the slowest program first.
    pub const ALL: [Role; 4] = [Role::Record, Role::Picture, Role::Notes, Role::Terminal];

    pub fn label(self) -> &'static str {
        match self {
            Role::Record => "Patient record",
            Role::Picture => "Picture",
            Role::Notes => "Notes",
            Role::Terminal => "Terminal",
        }
    }

    /// The class part of the program's `WM_CLASS` (ICCCM 4.1.2.5).
    pub fn window_class(self) -> &'static str {
        match self {
            Role::Record => "Netsurf-gtk",
            Role::Picture => "Viewnior",
            Role::Notes => "L3afpad",
            Role::Terminal => "XTerm",
        }
    }
}

/// The window's place, its frame included, in pixels, on a screen of `width` x `height` pixels.
///
/// On a wide screen the record is on the left, picture and notes over the terminal on the right. On a narrow
/// one they are below each other.
pub fn place(role: Role, width: u32, height: u32) -> Rect {
    let gap = (width.min(height) / 60).max(6);
    let (left, top) = (gap, gap);
    let (across, down) = (width.saturating_sub(2 * gap).max(1), height.saturating_sub(2 * gap).max(1));
    let rect = if width * 10 >= height * 13 {
        let record = across * 53 / 100;
        let (right, side) = (left + record + gap, across.saturating_sub(record + gap).max(1));
        let upper = down * 50 / 100;
        let picture = side * 45 / 100;
        match role {
            Role::Record => Rect::new(left, top, record, down),
            Role::Picture => Rect::new(right, top, picture, upper),
            Role::Notes => {
                Rect::new(right + picture + gap, top, side.saturating_sub(picture + gap).max(1), upper)
            }
            Role::Terminal => {
                Rect::new(right, top + upper + gap, side, down.saturating_sub(upper + gap).max(1))
            }
        }
    } else {
        let (upper, middle) = (down * 46 / 100, down * 28 / 100);
        let (second, third) = (top + upper + gap, top + upper + middle + 2 * gap);
        let notes = across.saturating_sub(gap) * 58 / 100;
        match role {
            Role::Record => Rect::new(left, top, across, upper),
            Role::Notes => Rect::new(left, second, notes, middle),
            Role::Picture => {
                Rect::new(left + notes + gap, second, across.saturating_sub(notes + gap).max(1), middle)
            }
            Role::Terminal => {
                Rect::new(left, third, across, down.saturating_sub(upper + middle + 2 * gap).max(1))
            }
        }
    };
    rect.intersect(&Rect::new(0, 0, width, height))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_window_is_on_the_screen(width in 320u32..=16_384, height in 240u32..=16_384) {
            for role in Role::ALL {
                let rect = place(role, width, height);
                prop_assert!(rect.width >= 50 && rect.height >= 40, "{role:?}: {rect:?}");
                prop_assert!(rect.right() <= width && rect.bottom() <= height, "{role:?}: {rect:?}");
            }
        }

        #[test]
        fn windows_do_not_overlap(width in 320u32..=7_680, height in 240u32..=4_320) {
            for (index, a) in Role::ALL.into_iter().enumerate() {
                for b in &Role::ALL[index + 1..] {
                    let both = place(a, width, height).intersect(&place(*b, width, height));
                    prop_assert!(both.is_empty(), "{a:?} and {b:?} share {both:?}");
                }
            }
        }
    }
}
