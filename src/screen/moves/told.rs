//! What a source says it has moved, as far as it still tells where content of the screen stood before.

use super::{Displacement, Move};
use crate::screen::Rect;

/// Of more the oldest are forgotten: what they moved is searched for, or sent as pixels.
const MOST: usize = 16;

/// The copies that a source has made since somebody last looked, put together: what was copied twice tells of the whole way. They
/// are hints. What was painted over since is not known here, and what does not hold is dropped by who compares pixels.
#[derive(Clone, Debug, Default)]
pub struct ToldMoves(Vec<Move>);

impl ToldMoves {
    /// The source has just copied `from` to the same-sized rectangle at `(x, y)`. Both lie on the screen.
    pub fn copied(&mut self, from: Rect, x: u32, y: u32) {
        let copied = Move { from, x, y };
        if from.is_empty() || from == copied.target() {
            return;
        }
        let further = self.0.iter().filter_map(|earlier| further(earlier, &copied));
        let mut told: Vec<Move> = further.collect();
        // All of it stood elsewhere when somebody last looked.
        if !self.0.iter().any(|earlier| earlier.target().contains(&from)) {
            told.push(copied);
        }
        told.extend(self.0.iter().filter(|earlier| !copied.target().contains(&earlier.target())));
        told.truncate(MOST);
        self.0 = told;
    }

    /// At most sixteen, the likeliest first: the newest, and of those what was moved twice.
    pub fn list(&self) -> &[Move] {
        &self.0
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }
}

/// What went by `earlier` and then by `later`, if that moved it at all.
fn further(earlier: &Move, later: &Move) -> Option<Move> {
    let between = earlier.target().intersect(&later.from);
    let there = shifted(&between, displacement(later));
    let from = shifted(&between, back(displacement(earlier)));
    let both = Move { from, x: there.x, y: there.y };
    (!between.is_empty() && from != there).then_some(both)
}

pub(super) fn displacement(each: &Move) -> Displacement {
    // Sides are at most 16384 pixels.
    (each.x as i32 - each.from.x as i32, each.y as i32 - each.from.y as i32)
}

fn back((dx, dy): Displacement) -> Displacement {
    (-dx, -dy)
}

/// Part of a move's source or target, which stays on the screen.
fn shifted(rect: &Rect, (dx, dy): Displacement) -> Rect {
    Rect { x: rect.x.wrapping_add_signed(dx), y: rect.y.wrapping_add_signed(dy), ..*rect }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::screen::Framebuffer;
    use proptest::prelude::*;

    #[test]
    fn a_scroll_of_two_steps_tells_of_both_together() {
        let mut told = ToldMoves::default();
        told.copied(Rect::new(0, 16, 100, 84), 0, 0);
        told.copied(Rect::new(0, 16, 100, 84), 0, 0);
        assert!(told.list().contains(&Move { from: Rect::new(0, 32, 100, 68), x: 0, y: 0 }), "{told:?}");
    }

    #[test]
    fn what_was_copied_back_has_not_moved() {
        let mut told = ToldMoves::default();
        told.copied(Rect::new(0, 0, 50, 50), 60, 0);
        told.copied(Rect::new(60, 0, 50, 50), 0, 0);
        assert_eq!(told.list(), [Move { from: Rect::new(0, 0, 50, 50), x: 60, y: 0 }]);
    }

    proptest! {
        /// Each pixel of a screen of distinct ones is where a hint says that it is, or else was copied over afterwards; and all
        /// that moved is told of.
        #[test]
        fn every_pixel_that_copies_moved_is_told_of(
            copies in proptest::collection::vec((0u32..30, 0u32..20, 1u32..15, 1u32..15, 0u32..30, 0u32..20), 1..4)
        ) {
            let (width, height) = (45, 35);
            let mut screen = Framebuffer::new(width, height).unwrap();
            (1..).zip(screen.pixels_mut()).for_each(|(number, pixel)| *pixel = number);
            let old = screen.clone();
            let mut told = ToldMoves::default();
            for (x, y, w, h, to_x, to_y) in copies {
                let from = Rect::new(x, y, w, h);
                screen.copy_within(from, to_x, to_y);
                told.copied(from, to_x, to_y);
                prop_assert!(told.list().len() <= MOST);
            }
            for each in told.list() {
                prop_assert!(screen.bounds().contains(&each.from) && screen.bounds().contains(&each.target()));
            }
            for y in 0..height {
                for x in 0..width {
                    let pixel = screen.row(x, y, 1)[0];
                    let explains = |each: &Move| {
                        let (dx, dy) = displacement(each);
                        each.target().contains(&Rect::new(x, y, 1, 1))
                            && old.row(x.wrapping_add_signed(-dx), y.wrapping_add_signed(-dy), 1)[0] == pixel
                    };
                    let stayed = old.row(x, y, 1)[0] == pixel;
                    prop_assert!(stayed || told.list().iter().any(explains), "({x}, {y}) by {told:?}");
                }
            }
        }

        #[test]
        fn however_much_is_copied_few_hints_are_kept(
            copies in proptest::collection::vec((0u32..30, 0u32..20, 1u32..15, 1u32..15, 0u32..30, 0u32..20), 0..60)
        ) {
            let mut told = ToldMoves::default();
            for (x, y, w, h, to_x, to_y) in copies {
                told.copied(Rect::new(x, y, w, h), to_x, to_y);
                prop_assert!(told.list().len() <= MOST);
                for each in told.list() {
                    prop_assert!(Rect::new(0, 0, 45, 35).contains(&each.from));
                    prop_assert!(Rect::new(0, 0, 45, 35).contains(&each.target()));
                }
            }
        }
    }
}
