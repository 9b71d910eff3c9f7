//! What a session shows: its framebuffer, the hash of every tile, and what the newest damage changed.

use crate::screen::{
    Framebuffer, Grid, HashKey, Move, MoveFinder, Rect, SizeError, TileHash, TileId, TileSet,
};
use crate::screen::{copy_tiles, find_changes, hash_tile};

/// A session's framebuffer as its viewers are to see it.
pub struct Scene {
    key: HashKey,
    framebuffer: Framebuffer,
    hashes: Vec<TileHash>,
    generation: u64,
    moves: MoveFinder,
}

/// What one generation changed.
#[derive(Default)]
pub struct Change {
    pub tiles: TileSet,
    /// Content that stands elsewhere now; to be applied in order.
    pub moves: Vec<Move>,
    /// For every tile that the moves read or write: its hash before, and its hash once the moves were applied
    /// to the old screen.
    pub moved: Vec<MovedTile>,
}

pub struct MovedTile {
    pub tile: TileId,
    pub before: TileHash,
    pub after_moves: TileHash,
}

impl Scene {
    /// A black scene.
    pub fn new(key: HashKey, width: u32, height: u32) -> Result<Self, SizeError> {
        let framebuffer = Framebuffer::new(width, height)?;
        let hashes = hash_all(key, &framebuffer);
        Ok(Scene { key, framebuffer, hashes, generation: 1, moves: MoveFinder::new() })
    }

    pub fn key(&self) -> HashKey {
        self.key
    }

    pub fn framebuffer(&self) -> &Framebuffer {
        &self.framebuffer
    }

    pub fn grid(&self) -> Grid {
        self.framebuffer.grid()
    }

    /// One hash a tile, in the grid's order.
    pub fn hashes(&self) -> &[TileHash] {
        &self.hashes
    }

    /// Counts the changes.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Starts again with a black scene of another size; every viewer's [`super::Delivery`] must be told.
    pub fn resize(&mut self, width: u32, height: u32) -> Result<(), SizeError> {
        self.framebuffer = Framebuffer::new(width, height)?;
        self.hashes = hash_all(self.key, &self.framebuffer);
        self.generation += 1;
        Ok(())
    }

    /// Takes over what differs inside `damage` from a source's framebuffer of the same size. `None` if
    /// nothing does.
    pub fn absorb(&mut self, source: &Framebuffer, damage: &TileSet) -> Option<Change> {
        let tiles = find_changes(&self.framebuffer, source, damage);
        if tiles.is_empty() {
            return None;
        }
        self.generation += 1;
        let moves = self.moves.find(&self.framebuffer, source, &tiles);
        let moved = self.apply_moves(&moves);
        copy_tiles(source, &mut self.framebuffer, &tiles);
        let grid = self.grid();
        for tile in tiles.iter() {
            self.hashes[tile as usize] = hash_tile(self.key, &self.framebuffer, &grid.rect(tile));
        }
        Some(Change { tiles, moves, moved })
    }

    /// Moves content on the own framebuffer just as a viewer will, to know what that makes of each tile.
    fn apply_moves(&mut self, moves: &[Move]) -> Vec<MovedTile> {
        let grid = self.grid();
        let mut touched = TileSet::new(grid.len());
        for each in moves {
            let target = Rect { x: each.x, y: each.y, ..each.from };
            grid.tiles_in(&each.from).chain(grid.tiles_in(&target)).for_each(|tile| touched.insert(tile));
        }
        for each in moves {
            self.framebuffer.copy_within(each.from, each.x, each.y);
        }
        touched
            .iter()
            .map(|tile| MovedTile {
                tile,
                before: self.hashes[tile as usize],
                after_moves: hash_tile(self.key, &self.framebuffer, &grid.rect(tile)),
            })
            .collect()
    }
}

fn hash_all(key: HashKey, framebuffer: &Framebuffer) -> Vec<TileHash> {
    let grid = framebuffer.grid();
    (0..grid.len() as TileId).map(|tile| hash_tile(key, framebuffer, &grid.rect(tile))).collect()
}
