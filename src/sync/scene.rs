//! What a session shows: its framebuffer, the hash of every tile, and what the newest damage changed.

use super::Micros;
use super::motion::{Motion, Region};
use crate::codec::{Encoder, Packed};
use crate::screen::{
    Framebuffer, Grid, HashKey, Move, MoveFinder, Rect, SizeError, TileHash, TileId, TileSet, ToldMoves,
};
use crate::screen::{copy_tiles, difference, find_changes, hash_tile};
use crate::wire::Policy;
use std::sync::Arc;

/// A session's framebuffer as its viewers are to see it. While nothing happens it can rest, as the codec's bytes.
pub struct Scene {
    key: HashKey,
    grid: Grid,
    size: (u32, u32),
    /// `None` while the scene rests.
    framebuffer: Option<Framebuffer>,
    rested: Option<Arc<Packed>>,
    hashes: Vec<TileHash>,
    generation: u64,
    moves: MoveFinder,
    policy: Policy,
    motion: Motion,
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
    /// Which part of each tile changed, unless many did so of themselves.
    pub parts: Vec<ChangedPart>,
}

/// The part of a tile outside which it still is as it was when it had the hash `base`: before the change, or after its moves.
pub struct ChangedPart {
    pub tile: TileId,
    pub base: TileHash,
    /// In pixels of the screen.
    pub part: Rect,
    /// Moves wrote or read the tile: whoever did not take them cannot use this part.
    pub moved: bool,
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
        Ok(Scene {
            key,
            grid: framebuffer.grid(),
            size: (width, height),
            framebuffer: Some(framebuffer),
            rested: None,
            hashes,
            generation: 1,
            moves: MoveFinder::new(),
            policy: Policy::default(),
            motion: Motion::new(Grid::new(width, height), Policy::default()),
        })
    }

    /// Gives the framebuffer's memory back until something changes: it and what it rests as, for who keeps the same
    /// pixels. Nothing if the scene rests already.
    pub fn rest(&mut self, encoder: &mut Encoder) -> Option<(Framebuffer, Arc<Packed>)> {
        let framebuffer = self.framebuffer.take()?;
        let packed = Arc::new(Packed::pack(&framebuffer, encoder));
        self.rested = Some(packed.clone());
        self.moves = MoveFinder::new();
        Some((framebuffer, packed))
    }

    /// The payload of all tiles, if the scene rests: it need not wake for a viewer that has nothing yet.
    pub fn rested(&self) -> Option<&[u8]> {
        self.rested.as_ref().map(|packed| packed.payload())
    }

    /// Has the framebuffer again, if the scene rested.
    fn wake(&mut self) {
        if let Some(rested) = self.rested.take() {
            self.framebuffer = Some(rested.unpack());
        }
    }

    pub fn policy(&self) -> Policy {
        self.policy
    }

    /// From now on; what moves is looked for anew.
    pub fn set_policy(&mut self, policy: Policy) {
        if policy != self.policy {
            self.policy = policy;
            let version = self.motion.version() + 1;
            self.motion = Motion::new(self.grid, policy).counting_from(version);
        }
    }

    /// The rectangles in sustained motion.
    pub fn regions(&self) -> &[Region] {
        self.motion.regions()
    }

    pub(super) fn motion(&self) -> &Motion {
        &self.motion
    }

    /// Finds what moves and lets go what rests; when to ask again, if time alone may change it.
    pub fn look_for_motion(&mut self, now: Micros) -> Option<Micros> {
        self.motion.look(self.generation, now);
        self.motion.deadline()
    }

    pub fn key(&self) -> HashKey {
        self.key
    }

    /// The pixels; a scene that rests wakes up.
    pub fn framebuffer(&mut self) -> &Framebuffer {
        self.wake();
        self.framebuffer.as_ref().expect("awake")
    }

    /// Whether a tile is like a photograph, as far as can be seen: of a scene that rests, all may be.
    pub fn is_natural(&self, tile: TileId) -> bool {
        let awake = self.framebuffer.as_ref();
        awake.is_none_or(|pixels| crate::codec::is_natural(pixels, &self.grid.rect(tile)))
    }

    /// Width and height in pixels.
    pub fn size(&self) -> (u32, u32) {
        self.size
    }

    pub fn grid(&self) -> Grid {
        self.grid
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
        let framebuffer = Framebuffer::new(width, height)?;
        self.hashes = hash_all(self.key, &framebuffer);
        self.grid = framebuffer.grid();
        self.size = (width, height);
        self.framebuffer = Some(framebuffer);
        self.rested = None;
        self.generation += 1;
        self.motion.restart(self.grid);
        Ok(())
    }

    /// Takes over what differs inside `damage` from a source's framebuffer of the same size. `None` if
    /// nothing does.
    pub fn absorb(&mut self, source: &Framebuffer, damage: &TileSet, now: Micros) -> Option<Change> {
        self.absorb_told(source, damage, &ToldMoves::default(), now)
    }

    /// The same of a source that says what it moved. That is believed only where the pixels agree.
    pub fn absorb_told(
        &mut self,
        source: &Framebuffer,
        damage: &TileSet,
        told: &ToldMoves,
        now: Micros,
    ) -> Option<Change> {
        self.wake();
        let own = self.framebuffer.as_mut().expect("awake");
        let mut tiles = find_changes(own, source, damage);
        if tiles.is_empty() {
            return None;
        }
        self.generation += 1;
        let moves = self.moves.find_told(own, source, &tiles, told);
        let moving = without_moved(&tiles, &moves, self.grid);
        self.motion.changed(own, source, &moving, self.generation, now);
        self.motion.moved(tiles.iter().filter(|&tile| !moving.contains(tile)), self.generation);
        let moved = apply_moves(self.key, own, &moves, &self.hashes);
        // A source may have painted more than it has said so far, and moves may have found it.
        moved
            .iter()
            .filter(|moved| moved.after_moves != moved.before)
            .for_each(|moved| tiles.insert(moved.tile));
        // Moves are exact: what lies wholly in a target is as in the source already, and was hashed.
        let rest = without_moved(&tiles, &moves, self.grid);
        let parts = changed_parts(own, source, (&tiles, &rest), &self.hashes, &moved);
        copy_tiles(source, own, &rest);
        for moved in &moved {
            self.hashes[moved.tile as usize] = moved.after_moves;
        }
        for tile in rest.iter() {
            self.hashes[tile as usize] = hash_tile(self.key, own, &self.grid.rect(tile));
        }
        Some(Change { tiles, moves, moved, parts })
    }
}

/// Of more tiles than this that moves do not explain it is not worth looking for parts: most of them changed as a whole.
const MOST_PARTS: usize = 96;

/// What differs of each tile from what the moves made of it: nothing, unless the tile is one of `rest`.
fn changed_parts(
    own: &Framebuffer,
    source: &Framebuffer,
    (tiles, rest): (&TileSet, &TileSet),
    hashes: &[TileHash],
    moved: &[MovedTile],
) -> Vec<ChangedPart> {
    if rest.len() > MOST_PARTS {
        return Vec::new();
    }
    let part = |tile: TileId| {
        let moved = moved.binary_search_by_key(&tile, |moved| moved.tile).ok().map(|at| &moved[at]);
        let base = moved.map_or(hashes[tile as usize], |moved| moved.after_moves);
        let part = match rest.contains(tile) {
            true => difference(own, source, &own.grid().rect(tile)),
            false => Rect::default(),
        };
        ChangedPart { tile, base, part, moved: moved.is_some() }
    };
    tiles.iter().map(part).collect()
}

/// The tiles of which not all came from elsewhere.
fn without_moved(tiles: &TileSet, moves: &[Move], grid: Grid) -> TileSet {
    let mut rest = tiles.clone();
    for target in moves.iter().map(Move::target) {
        grid.tiles_in(&target)
            .filter(|&tile| target.contains(&grid.rect(tile)))
            .for_each(|tile| rest.remove(tile));
    }
    rest
}

/// Moves content on the session's framebuffer just as a viewer will, to know what that makes of each tile; ascending.
fn apply_moves(
    key: HashKey,
    framebuffer: &mut Framebuffer,
    moves: &[Move],
    hashes: &[TileHash],
) -> Vec<MovedTile> {
    let grid = framebuffer.grid();
    let (mut touched, mut written) = (TileSet::new(grid.len()), TileSet::new(grid.len()));
    for each in moves {
        grid.tiles_in(&each.from).for_each(|tile| touched.insert(tile));
        grid.tiles_in(&each.target()).for_each(|tile| written.insert(tile));
    }
    touched.union_with(&written);
    for each in moves {
        framebuffer.copy_within(each.from, each.x, each.y);
    }
    touched
        .iter()
        .map(|tile| {
            let before = hashes[tile as usize];
            let after_moves = match written.contains(tile) {
                true => hash_tile(key, framebuffer, &grid.rect(tile)),
                false => before,
            };
            MovedTile { tile, before, after_moves }
        })
        .collect()
}

fn hash_all(key: HashKey, framebuffer: &Framebuffer) -> Vec<TileHash> {
    let grid = framebuffer.grid();
    (0..grid.len() as TileId).map(|tile| hash_tile(key, framebuffer, &grid.rect(tile))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moved_has_the_pixels_and_hashes_of_the_source() {
        let key = HashKey(3);
        let mut scene = Scene::new(key, 640, 500).unwrap();
        let mut source = Framebuffer::new(640, 500).unwrap();
        let mut random = 1u64;
        source.pixels_mut().iter_mut().for_each(|pixel| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            *pixel = (random >> 40) as u32;
        });
        let all = TileSet::full(source.grid().len());
        scene.absorb(&source, &all, 0).unwrap();
        for (from, x, y) in [(Rect::new(20, 60, 500, 400), 20, 20), (Rect::new(70, 70, 300, 300), 131, 133)] {
            source.copy_within(from, x, y);
            // One that remembers no vain search.
            scene.moves = MoveFinder::new();
            let change = scene.absorb(&source, &all, 0).unwrap();
            assert!(!change.moves.is_empty());
            assert!(scene.framebuffer() == &source);
            assert_eq!(scene.hashes(), hash_all(key, &source));
        }
    }

    #[test]
    fn a_scene_that_rested_is_the_same_when_it_wakes() {
        let mut scene = Scene::new(HashKey(3), 200, 130).unwrap();
        let mut source = Framebuffer::new(200, 130).unwrap();
        source.row_mut(5, 100, 120).fill(0x0012_3456);
        scene.absorb(&source, &TileSet::full(source.grid().len()), 0).unwrap();
        let (framebuffer, _) = scene.rest(&mut Encoder::new()).unwrap();
        assert!(framebuffer == source && scene.rested().is_some());
        assert!(scene.framebuffer() == &source);
        assert!(scene.rested().is_none());
    }
}
