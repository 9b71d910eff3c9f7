//! The part of a viewer's delivery that is video: which regions it is shown as video, and what that leaves owing.

use super::{Delivery, Watched};
use crate::screen::TileId;
use crate::sync::{Micros, Region, Scene};
use crate::wire::limits::MAX_VIDEOS;
use crate::wire::{UpdateHeader, VideoFrame};

/// Tiles with writing in them are made exact before others that came to rest with them.
const TEXT_FIRST: Micros = 5_000_000;

impl Delivery {
    /// Whether this viewer is shown `region` as video.
    pub fn watches(&self, region: u64) -> bool {
        self.watched.iter().any(|watched| watched.region == region)
    }

    /// Whether so many videos have begun since this region's that the viewer is about to give it up.
    pub fn is_outnumbered(&self, region: u64) -> bool {
        let begun = self.watched.iter().find(|watched| watched.region == region).map(|watched| watched.video);
        begun.is_some_and(|video| self.next_video - video >= MAX_VIDEOS as u64)
    }

    /// From now on `region` is shown as video: its tiles are owed only once they rest. The first frame must be a key
    /// frame, and frames must follow: what is deferred is otherwise not sent.
    pub fn watch(&mut self, scene: &Scene, region: &Region, now: Micros) {
        self.unwatch(scene, region.id, now);
        self.watched.push(Watched { region: region.id, video: self.next_video, next_frame: 0 });
        self.next_video += 1;
        region.tiles.iter().for_each(|tile| self.compare(scene, tile, now));
    }

    /// `region` is not shown as video any more: what was deferred for it is owed now.
    pub fn unwatch(&mut self, scene: &Scene, region: u64, now: Micros) {
        let before = self.watched.len();
        self.watched.retain(|watched| watched.region != region);
        if self.watched.len() != before {
            self.owe_what_rests(scene, now);
        }
    }

    /// The region that a video of this viewer shows.
    pub fn region_of(&self, video: u64) -> Option<u64> {
        self.watched.iter().find(|watched| watched.video == video).map(|watched| watched.region)
    }

    /// Regions may have come, gone, or lost tiles.
    pub fn follow_motion(&mut self, scene: &Scene, now: Micros) {
        let version = scene.motion().version();
        if version == self.motion_version {
            return;
        }
        self.motion_version = version;
        self.watched.retain(|watched| scene.regions().iter().any(|region| region.id == watched.region));
        self.owe_what_rests(scene, now);
    }

    fn owe_what_rests(&mut self, scene: &Scene, now: Micros) {
        let deferred: Vec<TileId> = self.deferred.iter().collect();
        for tile in deferred {
            self.compare(scene, tile, now);
            // The longest lacking go first, so these count as lacking for longer.
            if self.lacking.contains(tile) && scene.motion().carries_text(tile) {
                self.lacking_since[tile as usize] = now.saturating_sub(TEXT_FIRST);
            }
        }
    }

    /// Whether what differs of a tile is shown as video, and the rest of it is had.
    pub(super) fn is_shown_as_video(&self, scene: &Scene, tile: TileId) -> bool {
        let watched = |region: &&Region| self.watches(region.id) && region.tiles.contains(tile);
        scene.regions().iter().any(|region| watched(&region))
            && self.exact_at[tile as usize] >= scene.motion().outside(tile)
    }

    /// Whether a frame of a watched region may be sent now.
    pub fn has_room_for_video(&self, now: Micros) -> bool {
        !self.has_too_much_under_way() && self.budget.room(now) > 0
    }

    /// Copies that wait must go before a frame that may paint over what they read: the update that carries them, to be
    /// sent without tiles.
    pub fn copies_update(&mut self, scene: &Scene, captured_us: Micros) -> Option<UpdateHeader> {
        (!self.copies.is_empty()).then(|| self.header_with_copies(scene, captured_us))
    }

    /// The update that carries the next frame of `region`, which this viewer watches: a picture of the scene in
    /// `generation`. The caller puts the frame behind it and calls [`Delivery::sent`]. No copies may wait.
    pub fn video_update(
        &mut self,
        scene: &Scene,
        region: &Region,
        generation: u64,
        captured_us: Micros,
    ) -> Option<UpdateHeader> {
        debug_assert!(self.copies.is_empty(), "copies go first");
        let watched = self.watched.iter_mut().find(|watched| watched.region == region.id)?;
        let video = VideoFrame { video: watched.video, frame: watched.next_frame, rect: region.rect };
        watched.next_frame += 1;
        // What was made exact since the picture was taken, or is exact now, must not become an older state.
        let stale = |tile: &TileId| {
            let tile = *tile as usize;
            self.exact_at[tile] <= generation && self.has[tile] != Some(scene.hashes()[tile])
        };
        let tiles: Vec<TileId> = region.tiles.iter().filter(stale).collect();
        for &tile in &tiles {
            self.has[tile as usize] = None;
            self.changed[tile as usize] = None;
            if !self.lacking.contains(tile) {
                self.deferred.insert(tile);
            }
        }
        self.complete_told = false;
        let caught_up = self.lacking.is_empty();
        Some(UpdateHeader { tiles, caught_up, video: Some(video), ..self.header(scene, captured_us) })
    }
}
