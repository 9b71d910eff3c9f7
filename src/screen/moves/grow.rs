//! From one pixel that moved to the largest rectangle that moved with it.

use crate::screen::{Framebuffer, Rect};

/// No narrower rectangle is worth a search.
const MIN_WIDTH: u32 = 16;
/// Rows may narrow the rectangle this often in each direction before the search goes no further.
const MAX_STEPS: usize = 48;

/// Two screens, of which `new` shows content of `old` moved right by `dx` and down by `dy`.
pub(super) struct Displaced<'a> {
    pub old: &'a Framebuffer,
    pub new: &'a Framebuffer,
    pub dx: i32,
    pub dy: i32,
}

/// So many rows in one direction agree in at least these columns.
#[derive(Clone, Copy)]
struct Step {
    rows: u32,
    left: u32,
    right: u32,
}

/// Reusable memory of a search.
#[derive(Default)]
pub(super) struct Growth {
    up: Vec<Step>,
    down: Vec<Step>,
}

impl Displaced<'_> {
    /// The part of `area` whose source lies on the screen.
    fn reachable(&self, area: &Rect) -> Rect {
        let width = i64::from(self.new.width());
        let height = i64::from(self.new.height());
        let (dx, dy) = (i64::from(self.dx), i64::from(self.dy));
        let left = dx.clamp(0, width);
        let top = dy.clamp(0, height);
        let right = (width + dx).clamp(left, width);
        let bottom = (height + dy).clamp(top, height);
        // All are between 0 and a side of the screen.
        let on_screen = Rect::new(left as u32, top as u32, (right - left) as u32, (bottom - top) as u32);
        on_screen.intersect(area)
    }

    /// Where the content of a reachable target came from.
    pub fn source(&self, target: &Rect) -> Rect {
        Rect {
            x: target.x.wrapping_add_signed(-self.dx),
            y: target.y.wrapping_add_signed(-self.dy),
            ..*target
        }
    }

    /// Row `y` of the new screen from `left` to `right`, and where it came from.
    fn rows(&self, y: u32, left: u32, right: u32) -> (&[u32], &[u32]) {
        let from = self.source(&Rect::new(left, y, right - left, 1));
        (self.new.row(left, y, right - left), self.old.row(from.x, from.y, from.width))
    }

    /// The longest run of agreeing pixels in row `y` that holds column `x` and stays in `left..right`.
    fn run(&self, x: u32, y: u32, left: u32, right: u32) -> Option<(u32, u32)> {
        let (new, old) = self.rows(y, left, right);
        if new == old {
            return Some((left, right));
        }
        let seed = (x - left) as usize;
        let before = equal_suffix(&new[..seed], &old[..seed]) as u32;
        let after = equal_prefix(&new[seed..], &old[seed..]) as u32;
        (after > 0).then_some((x - before, x + after))
    }

    /// The largest rectangle of exactly moved pixels in `area` around `(x, y)` of the new screen.
    /// Takes the pixels that it compares from `budget`, and stops growing when that is spent.
    pub fn grow(&self, x: u32, y: u32, area: &Rect, growth: &mut Growth, budget: &mut u64) -> Option<Rect> {
        let area = self.reachable(area);
        if !area.contains(&Rect::new(x, y, 1, 1)) {
            return None;
        }
        let (left, right) = self.run(x, y, area.x, area.right())?;
        *budget = budget.saturating_sub(u64::from(area.width));
        let seed = Step { rows: 0, left, right };
        self.extend(x, (area.y..y).rev(), seed, &mut growth.up, budget);
        self.extend(x, y + 1..area.bottom(), seed, &mut growth.down, budget);
        growth.largest(y)
    }

    /// Goes from row to row until one ends it. A step is written whenever the columns become
    /// fewer, and at the end.
    fn extend(
        &self,
        x: u32,
        rows: impl Iterator<Item = u32>,
        seed: Step,
        steps: &mut Vec<Step>,
        budget: &mut u64,
    ) {
        steps.clear();
        let mut last = seed;
        for y in rows {
            let cost = u64::from(last.right - last.left);
            if *budget < cost {
                break;
            }
            *budget -= cost;
            let Some((left, right)) = self.run(x, y, last.left, last.right) else {
                break;
            };
            if (left, right) != (last.left, last.right) {
                if steps.len() == MAX_STEPS || right - left < MIN_WIDTH {
                    break;
                }
                steps.push(last);
                (last.left, last.right) = (left, right);
            }
            last.rows += 1;
        }
        steps.push(last);
    }
}

impl Growth {
    /// The best of all pairs of a step up and a step down from row `y`.
    fn largest(&self, y: u32) -> Option<Rect> {
        let mut best = Rect::default();
        for up in &self.up {
            for down in &self.down {
                let left = up.left.max(down.left);
                let right = up.right.min(down.right);
                let height = up.rows + 1 + down.rows;
                let rect = Rect::new(left, y - up.rows, right - left, height);
                if rect.width >= MIN_WIDTH && rect.area() > best.area() {
                    best = rect;
                }
            }
        }
        (!best.is_empty()).then_some(best)
    }
}

const BLOCK: usize = 32;

fn equal_prefix(a: &[u32], b: &[u32]) -> usize {
    let blocks = a.chunks(BLOCK).zip(b.chunks(BLOCK)).take_while(|(a, b)| a == b).count();
    let start = (blocks * BLOCK).min(a.len());
    start + a[start..].iter().zip(&b[start..]).take_while(|(a, b)| a == b).count()
}

fn equal_suffix(a: &[u32], b: &[u32]) -> usize {
    let blocks = a.rchunks(BLOCK).zip(b.rchunks(BLOCK)).take_while(|(a, b)| a == b).count();
    let end = a.len() - (blocks * BLOCK).min(a.len());
    a.len() - end + a[..end].iter().rev().zip(b[..end].iter().rev()).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn prefixes_and_suffixes_end_at_the_first_difference(
            len in 0usize..150, dots in proptest::collection::vec(0usize..150, 0..3)
        ) {
            let a = vec![7u32; len];
            let mut b = a.clone();
            dots.into_iter().filter(|dot| *dot < len).for_each(|dot| b[dot] = 8);
            let first = b.iter().position(|pixel| *pixel == 8).unwrap_or(len);
            let last = b.iter().rev().position(|pixel| *pixel == 8).unwrap_or(len);
            prop_assert_eq!(equal_prefix(&a, &b), first);
            prop_assert_eq!(equal_suffix(&a, &b), last);
        }

        #[test]
        fn the_rectangle_is_the_largest_exact_one_around_its_seed(
            dx in -3i32..=3, dy in -3i32..=3, dots in proptest::collection::vec((0u32..40, 0u32..14), 0..8),
        ) {
            let (width, height, x, y) = (40, 14, 20, 7);
            let old = Framebuffer::new(width, height).unwrap();
            let mut new = old.clone();
            for (x, y) in dots {
                new.row_mut(x, y, 1)[0] = 9;
            }
            let displaced = Displaced { old: &old, new: &new, dx, dy };
            let (mut growth, mut budget) = (Growth::default(), u64::MAX);
            let grown = displaced.grow(x, y, &new.bounds(), &mut growth, &mut budget);

            let reachable = displaced.reachable(&new.bounds());
            let clean = |rect: &Rect| {
                (rect.y..rect.bottom()).all(|y| new.row(rect.x, y, rect.width).iter().all(|p| *p == 0))
            };
            let mut largest = 0;
            for left in reachable.x..=x {
                for right in (x + 1).max(left + MIN_WIDTH)..=reachable.right() {
                    for top in reachable.y..=y {
                        for bottom in y + 1..=reachable.bottom() {
                            let rect = Rect::new(left, top, right - left, bottom - top);
                            if rect.area() > largest && clean(&rect) {
                                largest = rect.area();
                            }
                        }
                    }
                }
            }
            prop_assert_eq!(grown.map_or(0, |rect| rect.area()), largest);
            prop_assert!(grown.is_none_or(|rect| clean(&rect)));
        }
    }
}
