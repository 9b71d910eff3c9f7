//! Counters over whole runs.

/// What a run did, to show that it did something.
#[derive(Clone, Copy, Debug, Default)]
pub struct Totals {
    pub updates: u64,
    pub tiles: u64,
    pub cached_tiles: u64,
    pub copies: u64,
    pub dropped: u64,
    pub misses: u64,
    pub links: u64,
    pub inputs: u64,
    pub bytes: u64,
    pub video_frames: u64,
    pub parts: u64,
    /// Updates that went on from what earlier ones taught.
    pub taught: u64,
    pub video_tiles_shown: u64,
}

impl std::ops::AddAssign for Totals {
    fn add_assign(&mut self, more: Totals) {
        self.updates += more.updates;
        self.tiles += more.tiles;
        self.cached_tiles += more.cached_tiles;
        self.copies += more.copies;
        self.dropped += more.dropped;
        self.misses += more.misses;
        self.links += more.links;
        self.inputs += more.inputs;
        self.bytes += more.bytes;
        self.video_frames += more.video_frames;
        self.parts += more.parts;
        self.taught += more.taught;
        self.video_tiles_shown += more.video_tiles_shown;
    }
}
