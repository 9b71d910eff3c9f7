//! What one viewer has been sent of its session's scene, and what it gets next.
//!
//! Streams are reliable: what was sent and not dropped will arrive. So `has` holds, for each tile, the hash of
//! what the viewer will show once all that is on the way (and the copies that wait to be sent) has been applied.
//! A tile lacks when that is not the scene's. Nothing else is remembered of earlier states, and a slow
//! viewer simply skips them.
//!
//! What a viewer is shown as video is nobody's hash: such tiles are *deferred*, neither had nor lacking, for as long as
//! their region moves. What part of them lies outside the region's rectangle must have been sent exactly all the same.

mod level;
mod watch;

use self::level::level;
use super::budget::{Budget, Sent};
use super::motion::MOST_REGIONS;
use super::tile_bytes::TileBytes;
use super::{CacheMirror, Change, Micros, Scene, Teaching, root};
use crate::codec::{MOST_LIVE_PIXELS, MOST_PIXELS, Reach};
use crate::screen::{Framebuffer, Grid, HashKey, Move, Rect, TILE, TileHash, TileId, TileSet, hash_tile};
use crate::wire::limits::{MAX_COPIED_SCREENS, MAX_COPIES, MAX_UPDATE_TILES, MAX_WAITING};
use crate::wire::{CachedTile, CopyRect, KnownScreen, TilePart, UpdateHeader, WireError};
use std::collections::BTreeMap;

/// Updates that may be on the way to one viewer. A frame of video that is being made when the limit is reached still
/// goes, and copies before it: two updates for each region.
const MAX_IN_FLIGHT: usize = 64 - 2 * MOST_REGIONS;
const MAX_AHEAD: u64 = (MAX_WAITING - 2 * MOST_REGIONS) as u64;
/// A tile that was shown this long is worth keeping in the viewer's cache when it is replaced.
const WORTH_KEEPING: Micros = 300_000;
/// An update this old whose content is out of date is dropped.
const SUPERSEDED_AFTER: Micros = 150_000;

/// Where the viewer's pointer is, in pixels: tiles near it go first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pointer {
    pub x: u32,
    pub y: u32,
}

/// What was counted of one viewer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeliveryCounters {
    pub updates: u64,
    pub tiles: u64,
    pub cached_tiles: u64,
    pub copies: u64,
    pub bytes: u64,
    /// Updates whose stream was reset because their content was out of date.
    pub dropped: u64,
    /// Named tiles that the viewer no longer had.
    pub misses: u64,
    /// Tiles that a proof showed to differ, and that were sent again.
    pub repaired: u64,
    pub video_frames: u64,
}

struct InFlight {
    sent: Sent,
    epoch: u64,
    /// Ascending by tile.
    tiles: Vec<(TileId, TileHash)>,
    barrier: bool,
}

/// A region that this viewer is shown as video.
struct Watched {
    region: u64,
    video: u64,
    next_frame: u64,
}

/// The session's half of what keeps one viewer's screen the same as its own.
pub struct Delivery {
    key: HashKey,
    grid: Grid,
    epoch: u64,
    has: Vec<Option<TileHash>>,
    sent_at: Vec<Micros>,
    /// The generation of the scene in which all of a tile was last sent exactly, or known to be had.
    exact_at: Vec<u64>,
    deferred: TileSet,
    watched: Vec<Watched>,
    next_video: u64,
    motion_version: u64,
    /// Outside this part of the screen, a lacking tile is as the viewer has it.
    changed: Vec<Option<Rect>>,
    /// The update that wrote each tile last, and whether it may not have: its cache may miss what was named.
    written_by: Vec<(u64, bool)>,
    /// How it knows small parts of tiles to be coded, if it takes parts at all.
    takes_parts: Option<Reach>,
    takes_short: bool,
    teaching: Teaching,
    /// The epoch of the last update that the viewer applied: it knows that screen's size.
    shown_epoch: u64,
    lacking: TileSet,
    lacking_since: Vec<Micros>,
    copies: Vec<CopyRect>,
    in_flight: BTreeMap<u64, InFlight>,
    last_number: u64,
    last_barrier: u64,
    /// No update up to this one is dropped: parts of tiles were sent to go over it.
    built_upon: u64,
    complete_told: bool,
    busy_told: bool,
    tile_bytes: TileBytes,
    cache: CacheMirror,
    budget: Budget,
    counters: DeliveryCounters,
}

impl Delivery {
    /// For a viewer that shows nothing yet, or `known`, and keeps `cache_bytes` of tiles.
    pub fn new(scene: &Scene, cache_bytes: u64, known: Option<&KnownScreen>, now: Micros) -> Self {
        let mut delivery = Delivery {
            key: scene.key(),
            grid: scene.grid(),
            epoch: 0,
            has: Vec::new(),
            sent_at: Vec::new(),
            exact_at: Vec::new(),
            deferred: TileSet::default(),
            watched: Vec::new(),
            next_video: 1,
            motion_version: 0,
            changed: Vec::new(),
            written_by: Vec::new(),
            takes_parts: None,
            takes_short: false,
            teaching: Teaching::default(),
            shown_epoch: 0,
            lacking: TileSet::default(),
            lacking_since: Vec::new(),
            copies: Vec::new(),
            in_flight: BTreeMap::new(),
            last_number: 0,
            last_barrier: 0,
            built_upon: 0,
            complete_told: false,
            busy_told: false,
            tile_bytes: TileBytes::default(),
            cache: CacheMirror::new(cache_bytes),
            budget: Budget::new(),
            counters: DeliveryCounters::default(),
        };
        delivery.restart(scene, now);
        let fits = |known: &&KnownScreen| {
            known.key == scene.key()
                && Grid::new(known.width, known.height) == scene.grid()
                && known.hashes.len() == delivery.has.len()
        };
        if let Some(known) = known.filter(fits) {
            delivery.has = known.hashes.iter().copied().map(Some).collect();
            delivery.exact_at.fill(0);
            delivery.find_lacking(scene, now);
        }
        delivery
    }

    /// The scene has another size: the viewer starts again with a black screen.
    pub fn restart(&mut self, scene: &Scene, now: Micros) {
        self.grid = scene.grid();
        self.epoch += 1;
        self.has = black(self.key, self.grid);
        self.sent_at = vec![0; self.grid.len()];
        self.exact_at = vec![0; self.grid.len()];
        self.changed = vec![None; self.grid.len()];
        self.written_by = vec![(0, false); self.grid.len()];
        self.deferred = TileSet::new(self.grid.len());
        self.watched.clear();
        self.lacking_since = vec![now; self.grid.len()];
        self.copies.clear();
        self.in_flight.values_mut().for_each(|update| update.tiles.clear());
        self.teaching.restart();
        self.complete_told = false;
        self.find_lacking(scene, now);
    }

    fn find_lacking(&mut self, scene: &Scene, now: Micros) {
        self.lacking = TileSet::new(self.grid.len());
        for tile in 0..self.grid.len() as TileId {
            self.compare(scene, tile, now);
        }
    }

    fn compare(&mut self, scene: &Scene, tile: TileId, now: Micros) {
        if self.has[tile as usize] == Some(scene.hashes()[tile as usize]) {
            self.exact_at[tile as usize] = scene.generation();
            self.lacking.remove(tile);
            self.deferred.remove(tile);
        } else if self.is_shown_as_video(scene, tile) {
            self.lacking.remove(tile);
            self.deferred.insert(tile);
            self.complete_told = false;
        } else if !self.lacking.contains(tile) {
            self.lacking.insert(tile);
            self.deferred.remove(tile);
            self.lacking_since[tile as usize] = now;
            self.complete_told = false;
        }
    }

    /// The scene changed. Moves are taken as copies if the viewer has all that they touch as it was.
    pub fn changed(&mut self, scene: &Scene, change: &Change, now: Micros) {
        let has_before = change.moved.iter().all(|moved| self.has[moved.tile as usize] == Some(moved.before));
        if !change.moves.is_empty() && has_before && self.has_room_for(&change.moves) {
            self.copies.extend(change.moves.iter().map(|each| CopyRect {
                from: each.from,
                x: each.x,
                y: each.y,
            }));
            for moved in &change.moved {
                self.has[moved.tile as usize] = Some(moved.after_moves);
            }
            self.complete_told = false;
        }
        self.note_parts(change);
        let touched = change.moved.iter().map(|moved| moved.tile);
        for tile in change.tiles.iter().chain(touched) {
            self.compare(scene, tile, now);
        }
    }

    /// Whether these can go in one update with the copies that wait. Else their tiles do.
    fn has_room_for(&self, moves: &[Move]) -> bool {
        let areas =
            self.copies.iter().map(|copy| copy.from.area()).chain(moves.iter().map(|each| each.from.area()));
        let (width, height) = self.grid.size();
        let most = u64::from(width) * u64::from(height) * MAX_COPIED_SCREENS;
        self.copies.len() + moves.len() <= MAX_COPIES && areas.sum::<u64>() <= most
    }

    /// The viewer takes updates that give only a part of a tile, small ones so coded.
    pub fn take_parts(&mut self, reach: Reach) {
        self.takes_parts = Some(reach);
    }

    /// How small parts of tiles are coded for this viewer.
    pub fn reach(&self) -> Reach {
        self.takes_parts.unwrap_or(Reach::Near)
    }

    /// The viewer takes short updates, finds by itself whether its screen is exact, and keeps what parts teach.
    pub fn take_short(&mut self) {
        self.takes_short = true;
    }

    /// Whether the viewer is told only of a proof with which the session does not agree.
    pub fn takes_short(&self) -> bool {
        self.takes_short
    }

    /// What the parts of tiles that this viewer was sent taught both sides; `None` if it keeps nothing of that.
    pub fn teaching(&mut self) -> Option<&mut Teaching> {
        self.takes_short.then_some(&mut self.teaching)
    }

    /// Follows which part of each tile is not as the viewer has it, as far as that is known.
    fn note_parts(&mut self, change: &Change) {
        let mut parts = change.parts.iter().peekable();
        for tile in change.tiles.iter() {
            let (has, known) = (self.has[tile as usize], self.changed[tile as usize]);
            let part = parts.next_if(|part| part.tile == tile);
            self.changed[tile as usize] = match part {
                Some(part) if has == Some(part.base) => Some(part.part),
                // It lacked before: what changed then is added.
                Some(part) if has.is_some() && !part.moved => known.map(|known| known.union(&part.part)),
                _ => None,
            };
        }
    }

    /// The part of a tile that is enough, if it is much less than the tile and the viewer surely has the rest, and the update
    /// that must be applied before: one that is still on the way, or none. Up to `barrier`, which is applied before in any
    /// case, a miss makes everything be sent again.
    fn part_of(&self, tile: TileId, barrier: u64) -> Option<(TilePart, u64)> {
        let place = self.grid.rect(tile);
        let part = self.changed[tile as usize]?;
        self.has[tile as usize]?;
        let after = match self.written_by[tile as usize] {
            (by, _) if by <= barrier || !self.in_flight.contains_key(&by) => 0,
            (by, false) => by,
            (_, true) => return None,
        };
        let worth_it = self.takes_parts.is_some() && part.area() * 4 <= place.area() * 3 && !part.is_empty();
        let within = Rect { x: part.x.wrapping_sub(place.x), y: part.y.wrapping_sub(place.y), ..part };
        worth_it.then_some((TilePart { tile, within }, after))
    }

    /// The next update, if there is one to send and room for it; the caller encodes the pixels of its tiles
    /// and calls [`Delivery::sent`].
    pub fn next(
        &mut self,
        scene: &Scene,
        pointer: Option<Pointer>,
        captured_us: Micros,
        now: Micros,
    ) -> Option<UpdateHeader> {
        let settled = self.complete_told || !self.deferred.is_empty();
        if self.lacking.is_empty() && self.copies.is_empty() && settled {
            // Video is paced by its own frames; only a session at rest is idle.
            if self.deferred.is_empty() {
                self.budget.idle();
            }
            return None;
        }
        if self.has_too_much_under_way() {
            return None;
        }
        let (room, most) = (self.budget.room(now), self.budget.update());
        if !self.in_flight.is_empty() && room < self.tile_bytes.of_all(self.lacking.len()).min(most / 2) {
            return None;
        }
        let bytes = if self.in_flight.is_empty() { most } else { most.min(room) };
        let chosen = self.choose(scene, bytes, pointer);
        let mut header = self.header_with_copies(scene, captured_us);
        header.keep = self.replaced_are_worth_keeping(&chosen, now);
        let barrier = header.after;
        for &tile in &chosen {
            let hash = scene.hashes()[tile as usize];
            if self.cache.uses(hash) {
                header.cached.push(CachedTile { tile, hash });
            } else {
                header.tiles.push(tile);
                if let Some((part, after)) = self.part_of(tile, barrier) {
                    header.parts.push(part);
                    header.after = header.after.max(after);
                }
            }
        }
        let area: u64 = header.parts.iter().map(|part| part.within.area()).sum();
        // Of more pixels zstd would take more bytes than a level row saves.
        let most = if self.takes_short { MOST_LIVE_PIXELS } else { MOST_PIXELS };
        level(&mut header.parts, self.grid, most.saturating_sub(area));
        self.built_upon = self.built_upon.max(header.after);
        self.tile_bytes.expect(scene, &header.tiles);
        self.note_as_had(scene, &chosen, header.keep, now);
        header.caught_up = self.lacking.is_empty();
        header.complete = header.caught_up && self.deferred.is_empty();
        self.complete_told = header.complete;
        if header.complete && header.short {
            header.root = root(scene.hashes().iter().copied()) as u32;
        }
        Some(header)
    }

    /// The beginning of the next update.
    fn header(&self, scene: &Scene, captured_us: Micros) -> UpdateHeader {
        let (width, height) = scene.size();
        let (number, after, epoch) = (self.last_number + 1, self.last_barrier, self.epoch);
        UpdateHeader { number, after, epoch, width, height, captured_us, ..UpdateHeader::default() }
    }

    /// The same, with the copies that wait, if any do.
    fn header_with_copies(&mut self, scene: &Scene, captured_us: Micros) -> UpdateHeader {
        let mut header = self.header(scene, captured_us);
        header.short = self.takes_short;
        header.sized = self.takes_short && self.shown_epoch < self.epoch;
        if !self.copies.is_empty() {
            header.after = self.last_number;
            header.copies = std::mem::take(&mut self.copies);
        }
        header
    }

    /// Whether too many updates are on the way, or the oldest of them is so far behind that the viewer could no longer
    /// remember all that came after it.
    fn has_too_much_under_way(&self) -> bool {
        let oldest = self.in_flight.first_key_value().map_or(self.last_number, |(&number, _)| number);
        self.in_flight.len() >= MAX_IN_FLIGHT || self.last_number - oldest >= MAX_AHEAD
    }

    /// Lacking tiles of about this many bytes, ascending: the longest lacking, and before them, in every second
    /// update, those near the pointer.
    fn choose(&self, scene: &Scene, bytes: u64, pointer: Option<Pointer>) -> Vec<TileId> {
        let mut chosen: Vec<TileId> = self.lacking.iter().collect();
        let near = pointer.filter(|_| self.last_number.is_multiple_of(2)).map(|at| {
            let reach = TILE * 2;
            Rect::new(at.x.saturating_sub(reach), at.y.saturating_sub(reach), 2 * reach, 2 * reach)
        });
        let is_near =
            |tile: TileId| near.is_some_and(|near| !near.intersect(&self.grid.rect(tile)).is_empty());
        chosen.sort_by_cached_key(|&tile| (!is_near(tile), self.lacking_since[tile as usize], tile));
        chosen.truncate(MAX_UPDATE_TILES);
        self.tile_bytes.truncate(&mut chosen, scene, bytes);
        chosen.sort_unstable();
        chosen
    }

    fn replaced_are_worth_keeping(&self, chosen: &[TileId], now: Micros) -> bool {
        let rested = |tile: &&TileId| {
            let sent_at = self.sent_at[**tile as usize];
            sent_at > 0 && now.saturating_sub(sent_at) >= WORTH_KEEPING
        };
        chosen.iter().filter(rested).count() * 2 > chosen.len()
    }

    fn note_as_had(&mut self, scene: &Scene, chosen: &[TileId], keep: bool, now: Micros) {
        for &tile in chosen {
            let index = tile as usize;
            if let Some(replaced) = self.has[index].filter(|_| keep) {
                self.cache.insert(replaced, self.grid.rect(tile).area() as u32 * 4);
            }
            self.has[index] = Some(scene.hashes()[index]);
            self.exact_at[index] = scene.generation();
            self.changed[index] = None;
            self.sent_at[index] = now;
            self.lacking.remove(tile);
        }
    }

    /// The update that [`Delivery::next`] gave was sent, with its pixels, as `bytes` bytes.
    pub fn sent(&mut self, header: &UpdateHeader, bytes: usize, now: Micros) {
        self.last_number = header.number;
        let barrier = !header.copies.is_empty();
        if barrier {
            self.last_barrier = header.number;
        }
        let tiles_sent = if header.video.is_some() { 0 } else { header.tiles.len() };
        self.tile_bytes.learn(tiles_sent, bytes as u64);
        let named = header.cached.iter().map(|cached| cached.tile);
        let tiles = header.tiles.iter().copied().chain(named);
        let mut tiles: Vec<(TileId, TileHash)> =
            tiles.filter_map(|tile| Some((tile, self.has[tile as usize]?))).collect();
        tiles.sort_unstable_by_key(|&(tile, _)| tile);
        let sent = self.budget.sent(bytes as u64, now);
        self.in_flight.insert(header.number, InFlight { sent, epoch: header.epoch, tiles, barrier });
        let copied = header.copies.iter().flat_map(|copy| self.grid.tiles_in(&copy.target()));
        for tile in copied.chain(header.tiles.iter().copied()) {
            self.written_by[tile as usize] = (header.number, false);
        }
        for cached in &header.cached {
            self.written_by[cached.tile as usize] = (header.number, true);
        }
        self.counters.updates += 1;
        self.counters.tiles += tiles_sent as u64;
        self.counters.video_frames += u64::from(header.video.is_some());
        self.counters.cached_tiles += header.cached.len() as u64;
        self.counters.copies += header.copies.len() as u64;
        self.counters.bytes += bytes as u64;
    }

    /// The viewer applied an update, and did not have the `missing` ones of its named tiles.
    pub fn acknowledged(
        &mut self,
        scene: &Scene,
        number: u64,
        decode_us: Micros,
        missing: &[TileId],
        now: Micros,
    ) -> Result<(), WireError> {
        if number == 0 || number > self.last_number {
            return Err(WireError::Meaningless { what: "an Ack of an update never sent", value: number });
        }
        // An update that was dropped may have arrived all the same; it no longer counts.
        let Some(update) = self.in_flight.remove(&number) else { return Ok(()) };
        self.budget.acknowledged(&update.sent, decode_us, now);
        self.teaching.acknowledged(number);
        self.shown_epoch = self.shown_epoch.max(update.epoch);
        let mut misses = false;
        for &tile in missing {
            // What was sent before a restart, or not at all, cannot be missed.
            let Ok(index) = update.tiles.binary_search_by_key(&tile, |&(sent, _)| sent) else { continue };
            let (_, hash) = update.tiles[index];
            misses = true;
            self.cache.forget(hash);
            self.counters.misses += 1;
            self.forget_tile(tile, hash, now);
        }
        if misses && (self.last_barrier > number || !self.copies.is_empty()) {
            self.forget_all(scene, now);
        }
        Ok(())
    }

    fn forget_tile(&mut self, tile: TileId, believed: TileHash, now: Micros) {
        let has = &mut self.has[tile as usize];
        // What was sent before the tile became video did not come: the part beside the video may lack.
        if *has == Some(believed) || self.deferred.contains(tile) {
            *has = None;
            self.exact_at[tile as usize] = 0;
            self.deferred.remove(tile);
            self.lacking.insert(tile);
            self.lacking_since[tile as usize] = now;
            self.complete_told = false;
        }
    }

    /// A copy read what the viewer did not have: what it shows is anybody's guess.
    fn forget_all(&mut self, scene: &Scene, now: Micros) {
        self.copies.clear();
        self.has.fill(None);
        self.exact_at.fill(0);
        self.deferred.clear();
        self.find_lacking(scene, now);
    }

    /// Updates on the way all of whose content is out of date; their streams are to be reset and the viewer told.
    /// Never the oldest: what changes all the time would be dropped again and again on a slow path, and
    /// nothing of it would ever be shown.
    pub fn superseded(&mut self, scene: &Scene, now: Micros) -> Vec<u64> {
        if !self.copies.is_empty() {
            return Vec::new();
        }
        let kept = self.last_barrier.max(self.built_upon);
        let stale = |(number, update): (&u64, &InFlight)| {
            let old = now.saturating_sub(update.sent.at) > SUPERSEDED_AFTER;
            let differs = |&(tile, hash): &(TileId, TileHash)| scene.hashes()[tile as usize] != hash;
            let lives = self.teaching.is_on_its_way(*number);
            let droppable = *number > kept && !update.barrier && !update.tiles.is_empty() && !lives;
            (old && droppable && update.tiles.iter().all(differs)).then_some(*number)
        };
        let numbers: Vec<u64> = self.in_flight.iter().skip(1).filter_map(stale).collect();
        for number in &numbers {
            let Some(update) = self.in_flight.remove(number) else { continue };
            self.budget.dropped(&update.sent);
            self.teaching.dropped(*number);
            self.counters.dropped += 1;
            for (tile, hash) in update.tiles {
                self.forget_tile(tile, hash, now);
            }
        }
        numbers
    }

    /// The viewer's proof; `None` if it is of a state that is no longer the newest.
    pub fn prove(&self, scene: &Scene, number: u64, proof: u64) -> Option<bool> {
        let settled = self.lacking.is_empty() && self.deferred.is_empty();
        let newest = number == self.last_number && self.complete_told && settled;
        newest.then(|| root(scene.hashes().iter().copied()) == proof)
    }

    /// After a proof failed: the viewer's own hashes. What differs is sent again.
    pub fn repair(&mut self, scene: &Scene, number: u64, hashes: &[TileHash], now: Micros) {
        if number != self.last_number || hashes.len() != self.has.len() || !self.copies.is_empty() {
            return;
        }
        for (tile, &hash) in hashes.iter().enumerate() {
            if self.has[tile] != Some(hash) {
                self.has[tile] = Some(hash);
                self.changed[tile] = None;
                self.counters.repaired += 1;
                self.compare(scene, tile as TileId, now);
            }
        }
    }

    /// Whether the viewer should be told that pixels lack, or no longer do; `None` if it knows.
    pub fn busy_news(&mut self) -> Option<bool> {
        let busy = !self.lacking.is_empty() || !self.copies.is_empty() || !self.deferred.is_empty();
        let news = busy != self.busy_told;
        self.busy_told = busy;
        news.then_some(busy)
    }

    /// When the next update may go, if only the pacing holds it back.
    pub fn next_at(&self, now: Micros) -> Option<Micros> {
        let something = !self.lacking.is_empty() || !self.copies.is_empty();
        self.budget.room_at(now).filter(|_| something)
    }

    /// Whether something is left to be sent.
    pub fn owes(&self) -> bool {
        !self.lacking.is_empty() || !self.copies.is_empty()
    }

    /// Whether something on the way may have become out of date.
    pub fn is_waiting(&self) -> bool {
        !self.in_flight.is_empty()
    }

    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    pub fn counters(&self) -> DeliveryCounters {
        self.counters
    }
}

/// What a viewer has that was just told the screen's size: black tiles.
fn black(key: HashKey, grid: Grid) -> Vec<Option<TileHash>> {
    let Ok(square) = Framebuffer::new(TILE, TILE) else { return vec![None; grid.len()] };
    (0..grid.len() as TileId)
        .map(|tile| {
            let Rect { width, height, .. } = grid.rect(tile);
            Some(hash_tile(key, &square, &Rect::new(0, 0, width, height)))
        })
        .collect()
}
