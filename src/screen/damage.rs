//! Damage, told apart from mere redrawing: which tiles truly hold other pixels than before.

use super::{Framebuffer, Grid, Rect, TILE, TileSet};

/// The tiles of `damage` in which at least one pixel of `new` differs from `old`.
///
/// Both framebuffers must have the same size, and `damage` be of their grid.
pub fn find_changes(old: &Framebuffer, new: &Framebuffer, damage: &TileSet) -> TileSet {
    assert_same_grid(old, new, damage);
    let grid = new.grid();
    let mut changed = TileSet::new(grid.len());
    for_each_run(&grid, damage, |row, columns| {
        let bottom = ((row + 1) * TILE).min(new.height());
        compare_run(old, new, row * TILE..bottom, columns, &mut changed);
    });
    changed
}

/// Copies the pixels of `tiles` to the same place in `to`, which must have the size of `from`.
pub fn copy_tiles(from: &Framebuffer, to: &mut Framebuffer, tiles: &TileSet) {
    assert_same_grid(from, to, tiles);
    for_each_run(&from.grid(), tiles, |row, columns| {
        let (x, width) = span(from, &columns);
        for y in row * TILE..((row + 1) * TILE).min(from.height()) {
            to.row_mut(x, y, width).copy_from_slice(from.row(x, y, width));
        }
    });
}

/// The smallest rectangle that holds every pixel of `place` that differs; empty if none does.
pub fn difference(old: &Framebuffer, new: &Framebuffer, place: &Rect) -> Rect {
    let differs = |&y: &u32| old.row(place.x, y, place.width) != new.row(place.x, y, place.width);
    let mut rows = place.y..place.bottom();
    let Some(top) = rows.find(differs) else { return Rect::default() };
    let bottom = (top..place.bottom()).rfind(differs).unwrap_or(top);
    let (mut left, mut right) = (place.width as usize, 0);
    for y in top..=bottom {
        let (a, b) = (old.row(place.x, y, place.width), new.row(place.x, y, place.width));
        // Only what would widen the rectangle is looked at.
        if let Some(first) = a[..left].iter().zip(&b[..left]).position(|(a, b)| a != b) {
            left = first;
        }
        let from = right.max(left.min(a.len()));
        if let Some(last) = a[from..].iter().zip(&b[from..]).rposition(|(a, b)| a != b) {
            right = from + last + 1;
        }
    }
    Rect::new(place.x + left as u32, top, (right - left) as u32, bottom + 1 - top)
}

fn assert_same_grid(old: &Framebuffer, new: &Framebuffer, tiles: &TileSet) {
    assert_eq!(old.bounds(), new.bounds(), "the two framebuffers must have the same size");
    assert_eq!(new.grid().len(), tiles.grid_len(), "the tiles must be of the framebuffers' grid");
}

/// Calls `visit` with the tile row and the tile columns of each horizontal run of tiles in the set.
/// Long rows of pixels are compared and copied faster than 64 pixels at a time.
fn for_each_run(grid: &Grid, tiles: &TileSet, mut visit: impl FnMut(u32, std::ops::Range<u32>)) {
    let columns = grid.columns();
    let mut tiles = tiles.iter().peekable();
    while let Some(first) = tiles.next() {
        let row = first / columns;
        let mut last = first;
        while let Some(next) = tiles.next_if(|&next| next == last + 1 && next / columns == row) {
            last = next;
        }
        visit(row, first % columns..last % columns + 1);
    }
}

/// The first pixel column and the width of a run of tile columns.
fn span(framebuffer: &Framebuffer, columns: &std::ops::Range<u32>) -> (u32, u32) {
    let x = columns.start * TILE;
    (x, (columns.end * TILE).min(framebuffer.width()) - x)
}

/// Compares a run of tiles from `rows.start` down. At the first row that differs, the tiles at fault are
/// done with, and what lies between them goes on as shorter runs: every call but the first has lost a
/// tile, so the depth is at most the number of columns.
fn compare_run(
    old: &Framebuffer,
    new: &Framebuffer,
    rows: std::ops::Range<u32>,
    columns: std::ops::Range<u32>,
    changed: &mut TileSet,
) {
    let (x, width) = span(new, &columns);
    let Some(y) = rows.clone().find(|&y| old.row(x, y, width) != new.row(x, y, width)) else {
        return;
    };
    let mut same_from = columns.start;
    for column in columns.clone() {
        let (x, width) = span(new, &(column..column + 1));
        if old.row(x, y, width) != new.row(x, y, width) {
            changed.insert(new.grid().tile_at(x, y));
            if same_from < column {
                compare_run(old, new, y + 1..rows.end, same_from..column, changed);
            }
            same_from = column + 1;
        }
    }
    if same_from < columns.end {
        compare_run(old, new, y + 1..rows.end, same_from..columns.end, changed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::screen::TileId;
    use proptest::prelude::*;

    /// What `find_changes` must say, pixel by pixel.
    fn differing(old: &Framebuffer, new: &Framebuffer, damage: &TileSet) -> TileSet {
        let mut tiles = TileSet::new(new.grid().len());
        for y in 0..new.height() {
            for x in 0..new.width() {
                let tile = new.grid().tile_at(x, y);
                if damage.contains(tile) && old.row(x, y, 1) != new.row(x, y, 1) {
                    tiles.insert(tile);
                }
            }
        }
        tiles
    }

    proptest! {
        #[test]
        fn changes_are_the_damaged_tiles_that_differ(
            width in 1u32..400, height in 1u32..300,
            dots in proptest::collection::vec((any::<u32>(), any::<u32>()), 0..40),
            reported in proptest::collection::vec(any::<u32>(), 0..40), whole: bool,
        ) {
            let old = Framebuffer::new(width, height).unwrap();
            let mut new = old.clone();
            for (x, y) in dots {
                new.row_mut(x % width, y % height, 1)[0] = 1;
            }
            let tiles = new.grid().len();
            let mut damage = if whole { TileSet::full(tiles) } else { TileSet::new(tiles) };
            reported.iter().for_each(|tile| damage.insert((*tile as usize % tiles) as TileId));
            let changed = find_changes(&old, &new, &damage);
            prop_assert_eq!(&changed, &differing(&old, &new, &damage));

            let mut copy = old.clone();
            copy_tiles(&new, &mut copy, &changed);
            prop_assert!(differing(&copy, &new, &damage).is_empty());
            prop_assert_eq!(
                differing(&copy, &old, &TileSet::full(tiles)),
                changed,
                "tiles that were not named stay as they were"
            );
        }
    }

    #[test]
    fn the_last_pixel_of_the_screen_counts() {
        let old = Framebuffer::new(130, 70).unwrap();
        let mut new = old.clone();
        new.row_mut(129, 69, 1)[0] = 1;
        let changed = find_changes(&old, &new, &TileSet::full(6));
        assert_eq!(changed.iter().collect::<Vec<_>>(), [5]);
    }
}
