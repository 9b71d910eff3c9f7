//! Which tiles are worth a search: those that changed in vain before are left in peace for a while.

use super::Move;
use crate::screen::{Grid, TileSet};

/// After this many searches in vain a tile rests longest: for `2^(MAX_MISSES - 1) - 1` changes. After one it does not rest: what
/// has just come up for the first time is scrolled next.
const MAX_MISSES: u8 = 5;

#[derive(Clone, Copy, Default)]
struct Tile {
    /// Searches in vain since content last moved here.
    misses: u8,
    /// How many more changes go by without a search.
    rest: u8,
}

/// A memory of each tile of one grid.
pub(super) struct BackOff {
    grid: Grid,
    tiles: Vec<Tile>,
}

impl BackOff {
    pub fn new() -> Self {
        BackOff { grid: Grid::new(0, 0), tiles: Vec::new() }
    }

    /// Puts into `seek` the tiles of `changed` that are not at rest. A new grid begins afresh.
    pub fn choose(&mut self, grid: Grid, changed: &TileSet, seek: &mut TileSet) {
        if self.grid != grid {
            self.grid = grid;
            self.tiles.clear();
            self.tiles.resize(grid.len(), Tile::default());
        }
        if seek.grid_len() == grid.len() {
            seek.clear();
        } else {
            *seek = TileSet::new(grid.len());
        }
        for tile in changed.iter() {
            let state = &mut self.tiles[tile as usize];
            if state.rest == 0 {
                seek.insert(tile);
            } else {
                state.rest -= 1;
            }
        }
    }

    /// Takes in what a search of `seek` has found.
    pub fn learn(&mut self, seek: &TileSet, moves: &[Move]) {
        for tile in seek.iter() {
            let rect = self.grid.rect(tile);
            let moved = moves
                .iter()
                .any(|m| !m.from.intersect(&rect).is_empty() || !m.target().intersect(&rect).is_empty());
            let state = &mut self.tiles[tile as usize];
            state.misses = if moved { 0 } else { (state.misses + 1).min(MAX_MISSES) };
            state.rest = (1 << state.misses.saturating_sub(1)) - 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::screen::Rect;

    #[test]
    fn a_tile_in_vain_rests_longer_each_time_and_wakes_when_content_moves() {
        let grid = Grid::new(128, 64);
        let (mut backoff, mut seek) = (BackOff::new(), TileSet::default());
        let changed = TileSet::full(2);
        let mut searches = Vec::new();
        for change in 0..60 {
            backoff.choose(grid, &changed, &mut seek);
            if !seek.is_empty() {
                searches.push(change);
                backoff.learn(&seek, &[]);
            }
        }
        assert_eq!(searches, [0, 1, 3, 7, 15, 31, 47]);
        while seek.is_empty() {
            backoff.choose(grid, &changed, &mut seek);
        }
        backoff.learn(&seek, &[Move { from: Rect::new(0, 0, 30, 30), x: 20, y: 20 }]);
        backoff.choose(grid, &changed, &mut seek);
        assert_eq!(seek.iter().collect::<Vec<_>>(), [0]);
    }
}
