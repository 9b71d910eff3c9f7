//! Parts of tiles side by side that are hardly of different height: made level they are one rectangle on the wire, and one area
//! to be coded. A line of text is such a row.

use crate::screen::{Grid, Rect};
use crate::wire::TilePart;

/// Pixels that a row may have in addition, whatever its size: letters with and without descenders, gaps between them.
const FEW: u64 = 64;

/// Makes rows of parts level, with at most `room` more pixels in all. Parts ascend by tile.
pub(super) fn level(parts: &mut [TilePart], grid: Grid, mut room: u64) {
    let mut rest = parts;
    while !rest.is_empty() {
        let (count, row, added) = longest_row(rest, grid, room);
        let (parts, after) = rest.split_at_mut(count);
        room -= added;
        for part in parts {
            let tile = grid.rect(part.tile);
            let Rect { x, y, width, height } = tile.intersect(&row);
            part.within = Rect { x: x - tile.x, y: y - tile.y, width, height };
        }
        rest = after;
    }
}

/// How many of the first parts are made level, to which rectangle, and how many pixels that adds.
fn longest_row(parts: &[TilePart], grid: Grid, room: u64) -> (usize, Rect, u64) {
    let place = |part: &TilePart| {
        let tile = grid.rect(part.tile);
        Rect { x: tile.x + part.within.x, y: tile.y + part.within.y, ..part.within }
    };
    let (mut row, mut area, mut count) = (place(&parts[0]), parts[0].within.area(), 1);
    for [before, next] in parts.array_windows() {
        let (left, right) = (grid.rect(before.tile), grid.rect(next.tile));
        if (left.right(), left.y) != (right.x, right.y) {
            break;
        }
        let (longer, more) = (row.union(&place(next)), area + next.within.area());
        if longer.area() - more > (more / 2 + FEW).min(room) {
            break;
        }
        (row, area, count) = (longer, more, count + 1);
    }
    (count, row, row.area() - area)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn part(tile: u32, x: u32, y: u32, width: u32, height: u32) -> TilePart {
        TilePart { tile, within: Rect::new(x, y, width, height) }
    }

    #[test]
    fn the_parts_of_a_line_of_text_become_one_row_and_another_line_is_left() {
        let grid = Grid::new(640, 480);
        let mut parts = vec![
            part(0, 20, 10, 44, 9),
            part(1, 1, 10, 60, 11),
            part(2, 0, 12, 30, 7),
            part(4, 9, 10, 8, 9),
            part(10, 20, 40, 9, 11),
        ];
        level(&mut parts, grid, 1_000);
        assert_eq!(parts[0], part(0, 20, 10, 44, 11));
        assert_eq!(parts[1], part(1, 0, 10, 64, 11));
        assert_eq!(parts[2], part(2, 0, 10, 30, 11));
        assert_eq!(parts[3..], [part(4, 9, 10, 8, 9), part(10, 20, 40, 9, 11)]);
    }

    #[test]
    fn what_is_far_apart_or_of_very_different_height_stays_as_it_is() {
        let grid = Grid::new(640, 480);
        let apart = vec![part(0, 2, 10, 8, 9), part(1, 50, 10, 8, 9)];
        let uneven = vec![part(0, 30, 0, 34, 60), part(1, 0, 10, 60, 9)];
        for parts in [apart, uneven] {
            let mut levelled = parts.clone();
            level(&mut levelled, grid, 10_000);
            assert_eq!(levelled, parts);
        }
        let mut parts = vec![part(0, 20, 10, 44, 9), part(1, 0, 10, 60, 11)];
        level(&mut parts, grid, 3);
        assert_eq!(parts[0], part(0, 20, 10, 44, 9), "there is no room");
    }

    proptest! {
        #[test]
        fn levelled_parts_hold_all_that_they_held_within_their_tiles_and_the_room_that_there_is(
            tiles in prop::collection::btree_map(0u32..80, (0u32..64, 0u32..64, 1u32..64, 1u32..64), 1..30),
            room in 0u64..20_000,
        ) {
            let grid = Grid::new(600, 500);
            let whole = |tile| Rect { x: 0, y: 0, ..grid.rect(tile) };
            let parts = tiles.into_iter().filter_map(|(tile, (x, y, width, height))| {
                let within = Rect::new(x, y, width, height).intersect(&whole(tile));
                (!within.is_empty()).then_some(TilePart { tile, within })
            });
            let parts: Vec<TilePart> = parts.collect();
            let mut levelled = parts.clone();
            level(&mut levelled, grid, room);
            let area = |parts: &[TilePart]| parts.iter().map(|part| part.within.area()).sum::<u64>();
            prop_assert!(area(&levelled) <= area(&parts) + room);
            for (before, after) in parts.iter().zip(&levelled) {
                prop_assert_eq!(before.tile, after.tile);
                prop_assert!(after.within.contains(&before.within) && whole(after.tile).contains(&after.within));
            }
        }
    }
}
