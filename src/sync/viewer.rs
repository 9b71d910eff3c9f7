//! The viewer's half: updates in, in whatever order they arrive; a screen, acknowledgements and proofs out.

mod videos;

use self::videos::{Painted, Videos};
use super::{Learning, NoModel, TileCache, root};
use crate::codec::{DecodeError, Decoder};
use crate::screen::{Framebuffer, Grid, HashKey, Rect, SizeError, TileHash, TileId, hash_tile};
use crate::wire::limits::{MAX_WAITING, MAX_WAITING_BYTES};
use crate::wire::{KnownScreen, Policy, Shown, UpdateHeader, VideoFrame, WireError, read_update_of};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};

/// What a session sent that a viewer cannot use. The link is to be closed.
#[derive(Debug, thiserror::Error)]
pub enum ViewerError {
    #[error("an update could not be read: {0}")]
    Wire(#[from] WireError),
    #[error("the tiles of update {update} could not be decoded: {source}")]
    Decode { update: u64, source: DecodeError },
    #[error("the parts of tiles of update {update} could not be decoded: {source}")]
    Untaught { update: u64, source: NoModel },
    #[error("an update's screen is not possible: {0}")]
    Size(#[from] SizeError),
    #[error("a frame of video came, though the session promised never to send a lossy pixel")]
    BrokenPromise,
    #[error("{updates} updates ({bytes} bytes) wait for an earlier one, which is more than a viewer holds")]
    TooManyWaiting { updates: usize, bytes: usize },
}

/// An update that was applied to the screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    pub number: u64,
    pub captured_us: u64,
    pub complete: bool,
    /// Tiles with new content, by any way, ascending: all of them on a new screen, and none if a later update of the
    /// same batch began another screen.
    pub tiles: Vec<TileId>,
    /// The screen began anew with this update, maybe in another size.
    pub new_screen: bool,
    /// Named tiles that the cache did not hold.
    pub missing: Vec<TileId>,
    pub copies: usize,
    pub cached_tiles: usize,
    pub pixel_tiles: usize,
    /// Tiles on which a frame of video was to be painted.
    pub video_tiles: usize,
    /// The whole stream's bytes.
    pub bytes: usize,
}

/// A viewer's screen and what it knows of it.
pub struct Viewer {
    key: HashKey,
    epoch: u64,
    framebuffer: Option<Framebuffer>,
    /// The number of the last update that wrote each tile.
    written_by: Vec<u64>,
    /// The last frame of video on each tile.
    painted: Vec<Painted>,
    videos: Videos,
    policy: Policy,
    /// The session has promised exact pixels for as long as this link is there.
    promised: bool,
    /// Hashes as far as they were asked for since each tile was written.
    hashes: Vec<Option<TileHash>>,
    cache: TileCache,
    decoder: Decoder,
    learning: Learning,
    /// Every update up to this number was applied or dropped, and these above it.
    done_below: u64,
    done: BTreeSet<u64>,
    waiting: BTreeMap<u64, (UpdateHeader, Bytes)>,
    waiting_bytes: usize,
    newest: u64,
    newest_complete: bool,
    newest_caught_up: bool,
    /// What the newest update's screen folds to, if it said so.
    newest_root: Option<u32>,
    proven: u64,
}

impl Viewer {
    /// A viewer of a session whose hashes have this key, with a cache of at most `cache_bytes`.
    pub fn new(key: HashKey, cache_bytes: usize) -> Self {
        Viewer {
            key,
            epoch: 0,
            framebuffer: None,
            written_by: Vec::new(),
            painted: Vec::new(),
            videos: Videos::default(),
            policy: Policy::default(),
            promised: false,
            hashes: Vec::new(),
            cache: TileCache::new(cache_bytes),
            decoder: Decoder::new(),
            learning: Learning::default(),
            done_below: 0,
            done: BTreeSet::new(),
            waiting: BTreeMap::new(),
            waiting_bytes: 0,
            newest: 0,
            newest_complete: false,
            newest_caught_up: false,
            newest_root: None,
            proven: 0,
        }
    }

    /// Another viewer with a copy of this one's screen, for another link. Its cache is empty, as each link's is.
    pub fn twin(&self) -> Viewer {
        let cache_bytes = self.cache.limit();
        Viewer {
            epoch: self.epoch,
            framebuffer: self.framebuffer.clone(),
            written_by: vec![0; self.written_by.len()],
            painted: vec![Painted::default(); self.painted.len()],
            hashes: self.hashes.clone(),
            ..Viewer::new(self.key, cache_bytes)
        }
    }

    /// The screen, once the first update has come.
    pub fn framebuffer(&self) -> Option<&Framebuffer> {
        self.framebuffer.as_ref()
    }

    /// Whether a first update has come, and so there is a screen.
    pub fn has_begun(&self) -> bool {
        !self.written_by.is_empty()
    }

    /// Puts another framebuffer in the place of the own one, for a screen that is kept elsewhere between calls.
    pub fn exchange(&mut self, framebuffer: Option<Framebuffer>) -> Option<Framebuffer> {
        std::mem::replace(&mut self.framebuffer, framebuffer)
    }

    pub fn key(&self) -> HashKey {
        self.key
    }

    /// A new link to the session: numbers start again, the screen stays. `resumed` says that the session
    /// goes by what this viewer still shows; otherwise the next update starts with black.
    pub fn relink(&mut self, key: HashKey, resumed: bool) {
        self.done_below = 0;
        self.done.clear();
        self.waiting.clear();
        self.waiting_bytes = 0;
        self.newest = 0;
        self.newest_complete = false;
        self.newest_caught_up = false;
        self.newest_root = None;
        self.learning.forget();
        self.proven = 0;
        self.written_by.fill(0);
        self.painted.fill(Painted::default());
        self.videos.clear();
        self.epoch = u64::from(resumed && self.framebuffer.is_some());
        if key != self.key {
            self.key = key;
            self.hashes.fill(None);
            self.cache = TileCache::new(self.cache.limit());
        }
    }

    /// What the session promises at the beginning of a link: under `ExactOnly` a frame of video breaks it.
    pub fn begin_policy(&mut self, policy: Policy) {
        (self.policy, self.promised) = (policy, policy == Policy::ExactOnly);
    }

    /// The session promises something else: frames that are still on the way are passed over under `ExactOnly`.
    pub fn set_policy(&mut self, policy: Policy) {
        self.policy = policy;
        self.promised &= policy == Policy::ExactOnly;
    }

    /// Videos that could not be decoded since this was last asked.
    pub fn failed_videos(&mut self) -> Vec<u64> {
        self.videos.failed()
    }

    /// What this viewer shows, for a resume.
    pub fn known_screen(&mut self) -> Option<KnownScreen> {
        let (width, height) = self.framebuffer.as_ref().map(|screen| (screen.width(), screen.height()))?;
        Some(KnownScreen { key: self.key, width, height, hashes: self.hashes() })
    }

    /// Takes a whole update stream. Returns what could be applied, this one or ones that had waited for it.
    pub fn take(&mut self, stream: Bytes) -> Result<Vec<Applied>, ViewerError> {
        let shown = self.framebuffer.as_ref().map(|screen| Shown {
            epoch: self.epoch,
            width: screen.width(),
            height: screen.height(),
        });
        let (header, payload) = read_update_of(&stream, shown)?;
        if self.is_done(header.number) {
            // Its Dropped, on the control stream, overtook it: the session no longer counts on it.
            return Ok(Vec::new());
        }
        if self.waiting.contains_key(&header.number) {
            return Err(WireError::Meaningless { what: "an update sent twice", value: header.number }.into());
        }
        let payload = stream.slice_ref(payload);
        self.waiting_bytes += payload.len();
        self.waiting.insert(header.number, (header, payload));
        self.apply_ready()
    }

    /// The session says that an update will not come. If it has come and waits for another, it is given up.
    pub fn dropped(&mut self, number: u64) -> Result<Vec<Applied>, ViewerError> {
        if let Some((_, payload)) = self.waiting.remove(&number) {
            self.waiting_bytes -= payload.len();
        }
        self.finish(number);
        self.apply_ready()
    }

    fn apply_ready(&mut self) -> Result<Vec<Applied>, ViewerError> {
        let mut applied = Vec::new();
        while let Some(number) = self.first_ready() {
            let Some((header, payload)) = self.waiting.remove(&number) else { break };
            self.waiting_bytes -= payload.len();
            let next = self.apply(&header, &payload)?;
            if next.new_screen {
                applied.iter_mut().for_each(|earlier: &mut Applied| earlier.tiles.clear());
            }
            applied.push(next);
            self.finish(number);
        }
        if self.waiting.len() > MAX_WAITING || self.waiting_bytes > MAX_WAITING_BYTES {
            return Err(ViewerError::TooManyWaiting {
                updates: self.waiting.len(),
                bytes: self.waiting_bytes,
            });
        }
        // Numbers far above the first gap cannot be remembered without bound.
        if self.done.len() > MAX_WAITING * 4 {
            return Err(ViewerError::TooManyWaiting { updates: self.done.len(), bytes: 0 });
        }
        Ok(applied)
    }

    fn first_ready(&self) -> Option<u64> {
        let ready = |header: &&UpdateHeader| {
            // A video of an earlier screen may have lost its beginning with it: nobody waits for that.
            let past = header.epoch < self.epoch;
            let next = |frame: VideoFrame| past || self.videos.is_ready(&frame);
            header.after <= self.done_below && header.video.is_none_or(next)
        };
        self.waiting.values().map(|(header, _)| header).find(ready).map(|header| header.number)
    }

    fn is_done(&self, number: u64) -> bool {
        number <= self.done_below || self.done.contains(&number)
    }

    fn finish(&mut self, number: u64) {
        if !self.is_done(number) {
            self.done.insert(number);
        }
        while self.done.first() == Some(&(self.done_below + 1)) {
            self.done.pop_first();
            self.done_below += 1;
        }
    }

    fn apply(&mut self, header: &UpdateHeader, payload: &[u8]) -> Result<Applied, ViewerError> {
        let mut applied = Applied {
            number: header.number,
            captured_us: header.captured_us,
            complete: header.complete,
            tiles: Vec::new(),
            new_screen: false,
            missing: Vec::new(),
            copies: header.copies.len(),
            cached_tiles: header.cached.len(),
            pixel_tiles: if header.video.is_some() { 0 } else { header.tiles.len() },
            video_tiles: if header.video.is_some() { header.tiles.len() } else { 0 },
            bytes: payload.len(),
        };
        if header.number > self.newest {
            self.newest = header.number;
            self.newest_complete = header.complete;
            self.newest_caught_up = header.caught_up;
            self.newest_root = (header.short && header.complete).then_some(header.root);
        }
        if header.epoch < self.epoch {
            return Ok(applied);
        }
        let same_size = |screen: &Framebuffer| screen.grid() == header.grid();
        if header.epoch > self.epoch || !self.framebuffer.as_ref().is_some_and(same_size) {
            self.start_screen(header)?;
            applied.new_screen = true;
            applied.tiles.extend(0..header.grid().len() as TileId);
        }
        if let Some(frame) = header.video {
            self.apply_video(header, frame, payload, &mut applied)?;
            return Ok(applied);
        }
        let Some(screen) = &mut self.framebuffer else { return Ok(applied) };
        let grid = screen.grid();
        for copy in &header.copies {
            screen.copy_within(copy.from, copy.x, copy.y);
            for tile in grid.tiles_in(&copy.target()) {
                self.written_by[tile as usize] = header.number;
                self.hashes[tile as usize] = None;
                applied.tiles.push(tile);
            }
        }
        if header.keep {
            self.keep_replaced(header, grid);
        }
        self.apply_cached(header, grid, &mut applied);
        self.apply_pixels(header, payload, grid, &mut applied)?;
        applied.tiles.sort_unstable();
        applied.tiles.dedup();
        Ok(applied)
    }

    fn start_screen(&mut self, header: &UpdateHeader) -> Result<(), SizeError> {
        let screen = Framebuffer::new(header.width, header.height)?;
        let tiles = screen.grid().len();
        self.epoch = header.epoch;
        self.written_by = vec![0; tiles];
        self.painted = vec![Painted::default(); tiles];
        self.hashes = vec![None; tiles];
        self.framebuffer = Some(screen);
        Ok(())
    }

    fn apply_video(
        &mut self,
        header: &UpdateHeader,
        frame: VideoFrame,
        bytes: &[u8],
        applied: &mut Applied,
    ) -> Result<(), ViewerError> {
        if self.promised {
            return Err(ViewerError::BrokenPromise);
        }
        if self.policy == Policy::ExactOnly {
            return Ok(());
        }
        let Some(screen) = &mut self.framebuffer else { return Ok(()) };
        let older = |by: u64| by < header.number;
        let (written_by, painted) = (&self.written_by, &mut self.painted);
        let wanted = |tile: &TileId| older(written_by[*tile as usize]) && older(painted[*tile as usize].by);
        applied.tiles = header.tiles.iter().copied().filter(wanted).collect();
        self.videos.show(&frame, bytes, applied.tiles.iter().copied(), screen);
        for &tile in &applied.tiles {
            painted[tile as usize] = Painted { by: header.number, rect: frame.rect };
            self.hashes[tile as usize] = None;
        }
        Ok(())
    }

    fn keep_replaced(&mut self, header: &UpdateHeader, grid: Grid) {
        let named = header.cached.iter().map(|cached| cached.tile);
        for tile in header.tiles.iter().copied().chain(named) {
            if self.written_by[tile as usize] > header.number {
                continue;
            }
            let hash = self.hash(tile);
            let Some(screen) = &self.framebuffer else { return };
            self.cache.insert(hash, || read_tile(screen, &grid.rect(tile)));
        }
    }

    fn apply_cached(&mut self, header: &UpdateHeader, grid: Grid, applied: &mut Applied) {
        let Some(screen) = &mut self.framebuffer else { return };
        for cached in &header.cached {
            let index = cached.tile as usize;
            if self.written_by[index] > header.number {
                continue;
            }
            let rect = grid.rect(cached.tile);
            match self.cache.get(cached.hash) {
                Some(pixels) if pixels.len() as u64 == rect.area() => {
                    let whole = write_tile(screen, &rect, pixels, newer_video(&self.painted[index], header));
                    self.written_by[index] = header.number;
                    self.hashes[index] = whole.then_some(cached.hash);
                    applied.tiles.push(cached.tile);
                }
                _ => applied.missing.push(cached.tile),
            }
        }
    }

    fn apply_pixels(
        &mut self,
        header: &UpdateHeader,
        payload: &[u8],
        grid: Grid,
        applied: &mut Applied,
    ) -> Result<(), ViewerError> {
        if header.tiles.is_empty() {
            return Ok(());
        }
        let Some(screen) = &mut self.framebuffer else { return Ok(()) };
        let places: Vec<Rect> = if header.parts.is_empty() { Vec::new() } else { header.places().collect() };
        let (written_by, hashes, painted) = (&mut self.written_by, &mut self.hashes, &self.painted);
        let sink = |index: usize, rect: &Rect, pixels: &[u32]| {
            let tile = header.tiles[index];
            if written_by[tile as usize] <= header.number {
                write_tile(screen, rect, pixels, newer_video(&painted[tile as usize], header));
                written_by[tile as usize] = header.number;
                hashes[tile as usize] = None;
                applied.tiles.push(tile);
            }
        };
        let update = header.number;
        let untaught = |source| ViewerError::Untaught { update, source };
        let beginning = self.learning.beginning(header.live.as_ref()).map_err(untaught)?;
        let decoded = match places.is_empty() {
            true => self.decoder.decode(payload, grid, &header.tiles, sink),
            false => self.decoder.decode_parts(payload, &places, beginning, sink),
        };
        decoded.map_err(|source| ViewerError::Decode { update, source })?;
        let Some(live) = &header.live else { return Ok(()) };
        let spare = self.learning.spare();
        self.learning.learnt(update, live, self.decoder.learnt(spare)).map_err(untaught)
    }

    fn hash(&mut self, tile: TileId) -> TileHash {
        let Some(screen) = &self.framebuffer else { return TileHash::default() };
        let rect = screen.grid().rect(tile);
        *self.hashes[tile as usize].get_or_insert_with(|| hash_tile(self.key, screen, &rect))
    }

    /// The hash of every tile on the screen, computed where it is not known.
    pub fn hashes(&mut self) -> Vec<TileHash> {
        (0..self.hashes.len() as TileId).map(|tile| self.hash(tile)).collect()
    }

    /// Whether everything that was sent has been applied, and was all that the session had.
    pub fn is_settled(&self) -> bool {
        self.newest > 0 && self.newest_complete && self.done_below == self.newest && self.waiting.is_empty()
    }

    /// Whether everything that was sent has been applied, and was all that the session had but for what is shown as video.
    pub fn is_caught_up(&self) -> bool {
        self.newest > 0 && (self.newest_complete || self.newest_caught_up) && self.done_below == self.newest
    }

    /// The newest update's number and the root over the screen, once for each settled state.
    pub fn proof(&mut self) -> Option<(u64, u64)> {
        if !self.is_settled() || self.proven == self.newest {
            return None;
        }
        self.proven = self.newest;
        let hashes = self.hashes();
        Some((self.newest, root(hashes)))
    }

    /// The lower half of what the session says that the newest update's screen folds to.
    pub fn told_root(&self) -> Option<u32> {
        self.newest_root
    }

    /// The number of the newest update applied.
    pub fn newest(&self) -> u64 {
        self.newest
    }

    /// Bytes that this viewer holds beside its framebuffer: cached tiles and waiting updates.
    pub fn held_bytes(&self) -> usize {
        self.cache.bytes() + self.waiting_bytes
    }
}

fn read_tile(screen: &Framebuffer, rect: &Rect) -> Box<[u32]> {
    (rect.y..rect.bottom()).flat_map(|y| screen.row(rect.x, y, rect.width)).copied().collect()
}

/// Where a frame of video that is newer than the update has been painted on a tile.
fn newer_video(painted: &Painted, header: &UpdateHeader) -> Rect {
    if painted.by > header.number { painted.rect } else { Rect::default() }
}

/// Writes a tile's pixels, but for those inside `kept`; whether that was all of them.
fn write_tile(screen: &mut Framebuffer, rect: &Rect, pixels: &[u32], kept: Rect) -> bool {
    let kept = kept.intersect(rect);
    for (y, pixels) in (rect.y..).zip(pixels.chunks_exact(rect.width as usize)) {
        let row = screen.row_mut(rect.x, y, rect.width);
        if (kept.y..kept.bottom()).contains(&y) {
            let (left, right) = ((kept.x - rect.x) as usize, (kept.right() - rect.x) as usize);
            row[..left].copy_from_slice(&pixels[..left]);
            row[right..].copy_from_slice(&pixels[right..]);
        } else {
            row.copy_from_slice(pixels);
        }
    }
    kept.is_empty()
}
