//! Which of the moves found are worth sending, and in what order they can be applied.

use super::Move;
use crate::screen::{Framebuffer, Rect, TileSet};

/// Puts the moves into an order in which none overwrites what a later one reads.
/// Returns false if there is none; moves that were in such an order before keep one among themselves.
pub(super) fn put_in_order(moves: &mut [Move]) -> bool {
    for first in 0..moves.len() {
        let free = (first..moves.len()).find(|&candidate| {
            let target = moves[candidate].target();
            (first..moves.len())
                .all(|other| other == candidate || target.intersect(&moves[other].from).is_empty())
        });
        match free {
            Some(candidate) => moves[first..=candidate].rotate_right(1),
            None => return false,
        }
    }
    true
}

/// The largest rectangle of `rect` that holds `(x, y)` and does not meet `taken`, which does not hold it.
pub(super) fn clip(rect: &Rect, taken: &Rect, x: u32, y: u32) -> Rect {
    let met = rect.intersect(taken);
    if met.is_empty() {
        return *rect;
    }
    let above = Rect { height: met.y - rect.y, ..*rect };
    let below = Rect { y: met.bottom(), height: rect.bottom() - met.bottom(), ..*rect };
    let left = Rect { width: met.x - rect.x, ..*rect };
    let right = Rect { x: met.right(), width: rect.right() - met.right(), ..*rect };
    let seed = Rect::new(x, y, 1, 1);
    [above, below, left, right]
        .into_iter()
        .filter(|part| part.contains(&seed))
        .max_by_key(Rect::area)
        .unwrap_or_default()
}

/// Drops moves without which just as many tiles come out right, the smallest first, and then the smallest
/// until at most `most` remain.
pub(super) fn prune(
    moves: &mut Vec<Move>,
    most: usize,
    old: &Framebuffer,
    new: &Framebuffer,
    changed: &TileSet,
) {
    let mut kept = Rect::default();
    // By area, the place in the list breaking ties, so that every move is asked about once.
    while let Some(smallest) = next_smallest(moves, &kept) {
        let candidate = moves[smallest];
        if !saves_a_tile(moves, smallest, old, new, changed) {
            moves.remove(smallest);
        }
        kept = candidate.target();
    }
    while moves.len() > most
        && let Some(index) = (0..moves.len()).min_by_key(|&index| moves[index].from.area())
    {
        moves.remove(index);
    }
}

/// The index of the smallest move that comes after `kept` by area and then by place.
fn next_smallest(moves: &[Move], kept: &Rect) -> Option<usize> {
    let rank = |rect: &Rect| (rect.area(), rect.y, rect.x, rect.width);
    (0..moves.len())
        .filter(|&index| rank(&moves[index].target()) > rank(kept))
        .min_by_key(|&index| rank(&moves[index].target()))
}

/// Whether there is a changed tile that is right with all the moves, but not without this one.
fn saves_a_tile(
    moves: &[Move],
    index: usize,
    old: &Framebuffer,
    new: &Framebuffer,
    changed: &TileSet,
) -> bool {
    let grid = new.grid();
    let all = || moves.iter().map(Move::target);
    let others = || moves.iter().enumerate().filter(|(other, _)| *other != index).map(|(_, m)| m.target());
    grid.tiles_in(&moves[index].target()).filter(|tile| changed.contains(*tile)).any(|tile| {
        let tile = grid.rect(tile);
        is_right(&tile, all(), old, new) && !is_right(&tile, others(), old, new)
    })
}

/// Whether a tile needs no pixels once these targets have been filled.
pub(super) fn is_right(
    tile: &Rect,
    targets: impl Iterator<Item = Rect> + Clone,
    old: &Framebuffer,
    new: &Framebuffer,
) -> bool {
    if targets.clone().any(|target| target.contains(tile)) {
        return true;
    }
    (tile.y..tile.bottom()).all(|y| {
        let mut x = tile.x;
        while x < tile.right() {
            // Skip what a target covers; compare from there to where the next one begins.
            let mut next = tile.right();
            let mut covered = x;
            for target in targets.clone().filter(|target| target.y <= y && y < target.bottom()) {
                if target.x <= x {
                    covered = covered.max(target.right().min(tile.right()));
                } else {
                    next = next.min(target.x);
                }
            }
            if covered > x {
                x = covered;
            } else if old.row(x, y, next - x) == new.row(x, y, next - x) {
                x = next;
            } else {
                return false;
            }
        }
        true
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shift(x: u32, y: u32, width: u32, height: u32, to_x: u32, to_y: u32) -> Move {
        Move { from: Rect::new(x, y, width, height), x: to_x, y: to_y }
    }

    #[test]
    fn a_move_goes_before_the_one_that_overwrites_its_source() {
        // Both go down by 100; the lower must go first.
        let upper = shift(0, 0, 100, 100, 0, 100);
        let lower = shift(0, 100, 100, 100, 0, 200);
        let mut moves = [upper, lower];
        assert!(put_in_order(&mut moves));
        assert_eq!(moves, [lower, upper]);
    }

    #[test]
    fn two_places_that_swap_have_no_order() {
        let mut moves = [shift(0, 0, 50, 50, 100, 0), shift(100, 0, 50, 50, 0, 0)];
        assert!(!put_in_order(&mut moves));
    }

    #[test]
    fn clipping_keeps_the_largest_part_around_the_seed() {
        let rect = Rect::new(0, 0, 100, 100);
        assert_eq!(clip(&rect, &Rect::new(200, 0, 10, 10), 5, 5), rect);
        assert_eq!(clip(&rect, &Rect::new(0, 40, 100, 10), 5, 90), Rect::new(0, 50, 100, 50));
        assert_eq!(clip(&rect, &Rect::new(30, 60, 70, 40), 5, 90), Rect::new(0, 0, 30, 100));
    }

    #[test]
    fn a_tile_is_right_if_moves_cover_what_differs_in_it() {
        let old = Framebuffer::new(64, 64).unwrap();
        let mut new = old.clone();
        new.row_mut(10, 20, 8).fill(1);
        let tile = new.bounds();
        let right = |targets: &[Rect]| is_right(&tile, targets.iter().copied(), &old, &new);
        assert!(!right(&[]));
        assert!(!right(&[Rect::new(10, 20, 7, 1)]));
        assert!(right(&[Rect::new(10, 20, 8, 1)]));
        assert!(right(&[Rect::new(0, 0, 14, 64), Rect::new(14, 20, 50, 9)]));
    }

    #[test]
    fn moves_that_save_no_tile_are_dropped() {
        let old = Framebuffer::new(256, 256).unwrap();
        let mut new = old.clone();
        new.row_mut(0, 64, 256).fill(1);
        let changed = TileSet::full(16);
        let useful = shift(0, 0, 128, 128, 0, 64);
        let mut moves = vec![useful, shift(0, 200, 32, 32, 0, 64), shift(0, 0, 256, 8, 0, 128)];
        prune(&mut moves, 16, &old, &new, &changed);
        assert_eq!(moves, [useful]);
    }
}
