//! Where a session's screen is in sustained motion: rectangles that are worth a video, found, followed and let go.
//!
//! A tile warms up with every change and cools with time. Warm neighbours of natural content become a region; what
//! is text or thin lines stays out of it, because 4:2:0 smears it. A tile that rests leaves its region, and is then
//! owed to every viewer exactly.

use super::Micros;
use super::texture::{Texture, texture};
use crate::codec::video;
use crate::screen::{Framebuffer, Grid, Rect, TileId, TileSet, difference};
use crate::wire::Policy;

/// A tile's warmth halves in this time, and each change adds one: 25 changes a second keep it above 11, 8 at 4.
const HALVES_IN: f32 = 300_000.0;
/// What has not changed for this long rests.
const RESTS_AFTER: Micros = 150_000;
/// Regions are looked for this often at most.
const LOOKED_FOR_EVERY: Micros = 60_000;
/// A region's rectangle stays for this long at least: another one costs a key frame.
const RECTANGLE_STAYS: Micros = 600_000;
/// How often a warm tile is looked at again for text.
const TEXTURE_STAYS: Micros = 400_000;
/// A session has at most this many regions; the largest ones.
pub const MOST_REGIONS: usize = 4;
/// Smaller than this, exact tiles are as cheap.
const LEAST_AREA: u64 = 96 * 96;

/// A rectangle in motion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// Counts up; a region keeps its rectangle for life.
    pub id: u64,
    /// In pixels of the screen; corner and sides are even.
    pub rect: Rect,
    /// The tiles that move in it; the others of the rectangle are none of its business.
    pub tiles: TileSet,
    /// The scene's generation that changed it last.
    pub generation: u64,
    pub changed_at: Micros,
    born_at: Micros,
}

#[derive(Clone, Copy, Default)]
struct TileMotion {
    warmth: f32,
    changed_at: Micros,
    /// What has changed since the tile was last cold, in pixels of the screen.
    extent: Rect,
    texture: Texture,
    texture_at: Micros,
    /// The scene's generation in which something changed outside the rectangle of the tile's region.
    outside: u64,
}

/// Follows the motion on one screen.
pub struct Motion {
    grid: Grid,
    warm_enough: f32,
    tiles: Vec<TileMotion>,
    /// Tiles that changed lately: the only ones that are looked at.
    warm: TileSet,
    regions: Vec<Region>,
    next_id: u64,
    /// Counts the changes of the regions or their tiles.
    version: u64,
    looked_at: Micros,
    enabled: bool,
}

impl Motion {
    pub fn new(grid: Grid, policy: Policy) -> Self {
        let warm_enough = if policy == Policy::Motion { 1.8 } else { 2.5 };
        Motion {
            grid,
            warm_enough,
            tiles: vec![TileMotion::default(); grid.len()],
            warm: TileSet::new(grid.len()),
            regions: Vec::new(),
            next_id: 1,
            version: 0,
            looked_at: 0,
            enabled: policy != Policy::ExactOnly,
        }
    }

    /// For one that takes the place of another whose changes were counted.
    pub fn counting_from(self, version: u64) -> Self {
        Motion { version, ..self }
    }

    /// A screen of another size, on which nothing moves yet.
    pub fn restart(&mut self, grid: Grid) {
        self.grid = grid;
        self.tiles = vec![TileMotion::default(); grid.len()];
        self.warm = TileSet::new(grid.len());
        self.version += u64::from(!self.regions.is_empty());
        self.regions.clear();
    }

    pub fn regions(&self) -> &[Region] {
        &self.regions
    }

    /// Changes whenever the regions or their tiles do.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The generation in which `tile` last changed outside its region's rectangle; 0 if it never did.
    pub fn outside(&self, tile: TileId) -> u64 {
        self.tiles[tile as usize].outside
    }

    /// Whether the tile, when it last moved, had writing in it.
    pub fn carries_text(&self, tile: TileId) -> bool {
        self.tiles[tile as usize].texture.has_edges
    }

    /// `tiles` changed from `old` to `new`, not counting those whose content merely came from elsewhere on the screen.
    pub fn changed(
        &mut self,
        old: &Framebuffer,
        new: &Framebuffer,
        tiles: &TileSet,
        generation: u64,
        now: Micros,
    ) {
        if !self.enabled {
            return;
        }
        for tile in tiles.iter() {
            let place = self.grid.rect(tile);
            let state = &mut self.tiles[tile as usize];
            let warmth = cooled(state.warmth, now.saturating_sub(state.changed_at));
            if warmth < 0.5 {
                state.extent = Rect::default();
            }
            state.warmth = warmth + 1.0;
            state.changed_at = now;
            self.warm.insert(tile);
            // A tile that changes now and then costs no more than this.
            if warmth < 0.5 {
                continue;
            }
            let changed = difference(old, new, &place);
            state.extent = state.extent.union(&changed);
            if now.saturating_sub(state.texture_at) >= TEXTURE_STAYS {
                state.texture = texture(new, &place.intersect(&state.extent));
                state.texture_at = now;
            }
            for region in self.regions.iter_mut().filter(|region| region.tiles.contains(tile)) {
                region.generation = generation;
                region.changed_at = now;
                if !region.rect.contains(&changed) {
                    state.outside = generation;
                }
            }
        }
    }

    /// The content of these tiles came from elsewhere on the screen, all of it.
    pub fn moved(&mut self, tiles: impl Iterator<Item = TileId>, generation: u64) {
        for tile in tiles {
            if self.regions.iter().any(|region| region.tiles.contains(tile)) {
                self.tiles[tile as usize].outside = generation;
            }
        }
    }

    /// Lets go what rests, and looks for what moves. `generation` is the scene's.
    pub fn look(&mut self, generation: u64, now: Micros) {
        if !self.enabled || self.warm.is_empty() {
            return;
        }
        self.let_go(now);
        if now.saturating_sub(self.looked_at) < LOOKED_FOR_EVERY {
            return;
        }
        self.looked_at = now;
        let cold = |tile: &TileId| {
            let state = &self.tiles[*tile as usize];
            cooled(state.warmth, now.saturating_sub(state.changed_at)) < 0.25
        };
        let cold: Vec<TileId> = self.warm.iter().filter(cold).collect();
        cold.into_iter().for_each(|tile| self.warm.remove(tile));
        self.find(generation, now);
    }

    /// When [`Motion::look`] should be called next, if something may come to rest.
    pub fn deadline(&self) -> Option<Micros> {
        let oldest = |region: &Region| {
            let times = region.tiles.iter().map(|tile| self.tiles[tile as usize].changed_at);
            times.min().unwrap_or(region.changed_at)
        };
        self.regions.iter().map(|region| oldest(region) + RESTS_AFTER + 1).min()
    }

    fn let_go(&mut self, now: Micros) {
        let tiles = &self.tiles;
        let rests = |tile: &TileId| now.saturating_sub(tiles[*tile as usize].changed_at) > RESTS_AFTER;
        let mut changed = false;
        for region in &mut self.regions {
            let resting: Vec<TileId> = region.tiles.iter().filter(rests).collect();
            changed |= !resting.is_empty();
            resting.into_iter().for_each(|tile| region.tiles.remove(tile));
        }
        self.regions.retain(|region| !region.tiles.is_empty());
        self.version += u64::from(changed);
    }

    fn moves(&self, tile: TileId, now: Micros) -> bool {
        let state = &self.tiles[tile as usize];
        let known = self.regions.iter().any(|region| region.tiles.contains(tile));
        let needed = if known { self.warm_enough / 2.0 } else { self.warm_enough };
        let age = now.saturating_sub(state.changed_at);
        age <= RESTS_AFTER && cooled(state.warmth, age) >= needed && !state.texture.is_text
    }

    fn find(&mut self, generation: u64, now: Micros) {
        let mut moving = TileSet::new(self.grid.len());
        self.warm.iter().filter(|&tile| self.moves(tile, now)).for_each(|tile| moving.insert(tile));
        let mut found = self.components(moving);
        found.sort_by_key(|(rect, _)| std::cmp::Reverse(rect.area()));
        found.truncate(MOST_REGIONS);
        let mut next = Vec::with_capacity(found.len());
        for (rect, tiles) in found {
            match self.regions.iter().find(|old| is_still(old, &rect, now)) {
                Some(old) if !next.iter().any(|region: &Region| region.id == old.id) => {
                    let mut tiles = tiles;
                    // What lies outside the old rectangle waits until the rectangle may change.
                    let outside: Vec<TileId> = tiles
                        .iter()
                        .filter(|&tile| self.grid.rect(tile).intersect(&old.rect).is_empty())
                        .collect();
                    outside.into_iter().for_each(|tile| tiles.remove(tile));
                    for tile in tiles.iter().filter(|&tile| !old.tiles.contains(tile)) {
                        mark_outside(
                            &mut self.tiles[tile as usize],
                            &self.grid.rect(tile),
                            &old.rect,
                            generation,
                        );
                    }
                    next.push(Region { tiles, ..old.clone() });
                }
                _ => {
                    for tile in tiles.iter() {
                        mark_outside(
                            &mut self.tiles[tile as usize],
                            &self.grid.rect(tile),
                            &rect,
                            generation,
                        );
                    }
                    let id = self.next_id;
                    self.next_id += 1;
                    next.push(Region { id, rect, tiles, generation, changed_at: now, born_at: now });
                }
            }
        }
        let same = next.len() == self.regions.len()
            && next.iter().zip(&self.regions).all(|(a, b)| a.id == b.id && a.tiles == b.tiles);
        if !same {
            self.version += 1;
            self.regions = next;
        }
    }

    /// Joins neighbours, and then what overlaps; keeps what is worth a video.
    fn components(&self, mut moving: TileSet) -> Vec<(Rect, TileSet)> {
        let mut found: Vec<(Rect, TileSet)> = Vec::new();
        let columns = self.grid.columns();
        loop {
            let Some(first) = moving.iter().next() else { break };
            let mut tiles = TileSet::new(self.grid.len());
            let mut rect = Rect::default();
            let mut edge = vec![first];
            moving.remove(first);
            while let Some(tile) = edge.pop() {
                tiles.insert(tile);
                rect = rect.union(&self.tiles[tile as usize].extent);
                let (column, row) = (tile % columns, tile / columns);
                let around = [
                    (column > 0).then(|| tile - 1),
                    (column + 1 < columns).then(|| tile + 1),
                    (row > 0).then(|| tile - columns),
                    (row + 1 < self.grid.rows()).then(|| tile + columns),
                ];
                for next in around.into_iter().flatten() {
                    if moving.contains(next) {
                        moving.remove(next);
                        edge.push(next);
                    }
                }
            }
            found.push((rect, tiles));
        }
        join_overlapping(&mut found);
        found.retain_mut(|(rect, tiles)| {
            let natural = tiles.iter().filter(|&tile| self.tiles[tile as usize].texture.is_natural).count();
            let evened = even(rect, &self.grid);
            *rect = evened.unwrap_or_default();
            evened.is_some() && natural * 3 >= tiles.len() && rect.area() >= LEAST_AREA
        });
        found
    }
}

fn cooled(warmth: f32, age: Micros) -> f32 {
    warmth * (-(age.min(10_000_000) as f32) / HALVES_IN).exp2()
}

/// Whether a region may go on for what moves now in `rect`.
fn is_still(region: &Region, rect: &Rect, now: Micros) -> bool {
    let young = now.saturating_sub(region.born_at) < RECTANGLE_STAYS;
    let shared = region.rect.intersect(rect).area();
    match young {
        true => shared * 2 > region.rect.area().min(rect.area()),
        false => region.rect.contains(rect) && rect.area() * 2 > region.rect.area(),
    }
}

/// A tile that joins a region with a part outside the rectangle: that part must be sent once, whatever it was before.
fn mark_outside(tile: &mut TileMotion, place: &Rect, rect: &Rect, generation: u64) {
    tile.outside = if rect.contains(place) { 0 } else { generation };
}

fn join_overlapping(found: &mut Vec<(Rect, TileSet)>) {
    let mut at = 0;
    while at < found.len() {
        let other = (at + 1..found.len()).find(|&other| !found[at].0.intersect(&found[other].0).is_empty());
        match other {
            Some(other) => {
                let (rect, tiles) = found.swap_remove(other);
                found[at].0 = found[at].0.union(&rect);
                found[at].1.union_with(&tiles);
                at = 0;
            }
            None => at += 1,
        }
    }
}

/// The smallest rectangle with even corner and sides around `rect` on the screen that can be a video.
fn even(rect: &Rect, grid: &Grid) -> Option<Rect> {
    let (width, height) = grid.size();
    let (x, y) = (rect.x & !1, rect.y & !1);
    let side =
        |end: u32, start: u32, most: u32| (end.next_multiple_of(2).min(most & !1)).saturating_sub(start);
    let (width, height) = (side(rect.right(), x, width), side(rect.bottom(), y, height));
    video::is_possible(width, height).then(|| Rect::new(x, y, width, height))
}

#[cfg(test)]
mod tests;
