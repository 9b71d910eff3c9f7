//! The beginning of an update stream: everything but the tiles' pixels.

use super::limits::*;
use super::parts::{read_parts, write_parts};
use super::short::read_short;
use super::stream_kind;
use super::value::*;
use crate::screen::{Grid, MAX_PIXELS, Rect, TileHash, TileId};

/// The content of `from` moves to `(x, y)` of the viewer's own screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopyRect {
    pub from: Rect,
    pub x: u32,
    pub y: u32,
}

impl CopyRect {
    pub fn target(&self) -> Rect {
        Rect::new(self.x, self.y, self.from.width, self.from.height)
    }
}

/// A tile that the viewer's cache holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CachedTile {
    pub tile: TileId,
    pub hash: TileHash,
}

/// The part of a tile that an update gives; the rest stays as the viewer has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TilePart {
    pub tile: TileId,
    /// From the tile's upper left corner.
    pub within: Rect,
}

/// A frame of video, which is an update's whole payload: one H.264 access unit in the byte stream format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VideoFrame {
    /// Counts up on each link; a video keeps its rectangle.
    pub video: u64,
    /// Counts up from 0, which is a key frame; a frame can be decoded only after all before it.
    pub frame: u64,
    /// What the picture covers. Sides and corner are even.
    pub rect: Rect,
}

/// How the pixels of parts of tiles go on from what was learnt of earlier ones (`docs/codec.md`, "Live models").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Live {
    /// The update whose model this one goes on from; 0: none.
    pub base: u64,
    /// The model after this update is kept: another one may go on from it.
    pub kept: bool,
    /// No later update goes on from one below this.
    pub oldest: u64,
}

/// What an update says before its pixels.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct UpdateHeader {
    /// Counts up from 1 on each link.
    pub number: u64,
    /// Every update up to this one must have been applied or dropped first.
    pub after: u64,
    /// Counts the sizes that the screen has had on this link.
    pub epoch: u64,
    pub width: u32,
    pub height: u32,
    /// When the newest damage in it was noticed, by the session's clock.
    pub captured_us: u64,
    /// With this and all before, the viewer has all that the session has.
    pub complete: bool,
    /// With this and all before, the viewer has all that is not shown as video.
    pub caught_up: bool,
    /// The tiles that this update replaces are worth keeping in the viewer's cache.
    pub keep: bool,
    pub copies: Vec<CopyRect>,
    pub cached: Vec<CachedTile>,
    /// The tiles whose pixels follow, ascending; with video, those that its picture is painted on.
    pub tiles: Vec<TileId>,
    /// Those of `tiles` that are given only in part, ascending.
    pub parts: Vec<TilePart>,
    pub video: Option<VideoFrame>,
    /// Written in the short form, for viewers whose features say that they take it. Only there, but for video:
    pub short: bool,
    /// whether the screen's size is in it, which the viewer otherwise knows of an earlier one of this epoch,
    pub sized: bool,
    /// the lower half of the fold over the hashes of all tiles, if it is `complete`,
    pub root: u32,
    /// and how the payload was coded, if all its tiles are in `parts`.
    pub live: Option<Live>,
}

impl UpdateHeader {
    pub fn grid(&self) -> Grid {
        Grid::new(self.width, self.height)
    }

    /// Where the pixels of each of `tiles` lie on the screen: the whole tile, or its part.
    pub fn places(&self) -> impl Iterator<Item = Rect> + Clone {
        let grid = self.grid();
        let mut parts = self.parts.iter().peekable();
        self.tiles.iter().map(move |&tile| {
            let place = grid.rect(tile);
            match parts.next_if(|part| part.tile == tile) {
                Some(TilePart { within, .. }) => {
                    Rect { x: place.x + within.x, y: place.y + within.y, ..*within }
                }
                None => place,
            }
        })
    }

    /// Appends the stream's kind and the header. The payload follows it.
    pub fn write(&self, out: &mut Vec<u8>) {
        if self.short {
            return self.write_short(out);
        }
        put_varint(out, stream_kind::UPDATE);
        for value in
            [self.number, self.after, self.epoch, self.width.into(), self.height.into(), self.captured_us]
        {
            put_varint(out, value);
        }
        out.push(
            u8::from(self.complete)
                | u8::from(self.keep) << 1
                | u8::from(self.video.is_some()) << 2
                | u8::from(self.caught_up) << 4
                | u8::from(!self.parts.is_empty()) << 5,
        );
        self.write_copies(out);
        self.write_cached(out);
        self.write_runs(&self.whole(), out);
        if !self.parts.is_empty() {
            write_parts(&self.parts, self.grid(), out);
        }
        if let Some(VideoFrame { video, frame, rect }) = self.video {
            for value in [video, frame, rect.x.into(), rect.y.into(), rect.width.into(), rect.height.into()] {
                put_varint(out, value);
            }
        }
    }

    /// The tiles that are given whole.
    pub(super) fn whole(&self) -> Vec<TileId> {
        let mut parts = self.parts.iter().map(|part| part.tile).peekable();
        self.tiles.iter().copied().filter(|tile| parts.next_if_eq(tile).is_none()).collect()
    }

    pub(super) fn write_copies(&self, out: &mut Vec<u8>) {
        put_varint(out, self.copies.len() as u64);
        for copy in &self.copies {
            let Rect { x, y, width, height } = copy.from;
            for value in [x, y, width, height, copy.x, copy.y] {
                put_varint(out, value.into());
            }
        }
    }

    pub(super) fn write_cached(&self, out: &mut Vec<u8>) {
        put_varint(out, self.cached.len() as u64);
        let mut next = 0;
        for cached in &self.cached {
            put_varint(out, (cached.tile - next).into());
            put_u64(out, cached.hash.0);
            next = cached.tile + 1;
        }
    }

    pub(super) fn write_runs(&self, whole: &[TileId], out: &mut Vec<u8>) {
        let runs: Vec<&[TileId]> = whole.chunk_by(|a, b| a + 1 == *b).collect();
        put_varint(out, runs.len() as u64);
        let mut next = 0;
        for run in runs {
            put_varint(out, (run[0] - next).into());
            put_varint(out, run.len() as u64);
            next = run[0] + run.len() as TileId;
        }
    }
}

/// The screen that a viewer shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    pub epoch: u64,
    pub width: u32,
    pub height: u32,
}

/// Reads an update stream, the kind included: the header and the payload. Everything that the header names
/// lies inside its screen.
pub fn read_update(stream: &[u8]) -> Result<(UpdateHeader, &[u8]), WireError> {
    read_update_of(stream, None)
}

/// The same for a viewer that shows a screen. Of a short update of an earlier one only number, order and epoch are read.
pub fn read_update_of(stream: &[u8], shown: Option<Shown>) -> Result<(UpdateHeader, &[u8]), WireError> {
    let r = &mut Reader::new(stream);
    let kind = r.varint("a stream's kind")?;
    if kind == stream_kind::SHORT_UPDATE {
        let header = read_short(r, shown)?;
        return Ok((header, r.rest()));
    }
    if kind != stream_kind::UPDATE {
        return Err(WireError::Meaningless { what: "a stream's kind", value: kind });
    }
    let mut header = UpdateHeader {
        number: r.varint("an update's number")?,
        after: r.varint("an update's order")?,
        epoch: r.varint("an update's epoch")?,
        width: side(r, "an update's width")?,
        height: side(r, "an update's height")?,
        captured_us: r.varint("an update's time")?,
        ..UpdateHeader::default()
    };
    let flags = r.u8("an update's flags")?;
    header.complete = flags & 1 != 0;
    header.keep = flags & 2 != 0;
    header.caught_up = flags & 16 != 0;
    check_screen(&header)?;
    header.copies = read_copies(r, Rect::new(0, 0, header.width, header.height))?;
    let tiles = header.grid().len() as u64;
    header.cached = read_cached(r, tiles)?;
    header.tiles = read_runs(r, tiles)?;
    if flags & 32 != 0 {
        let grid = header.grid();
        header.parts = read_parts(r, grid, &mut header.tiles)?;
    }
    if flags & 4 != 0 {
        header.video = Some(read_video(r, &header)?);
        let bytes = r.rest().len();
        if bytes > MAX_VIDEO_FRAME {
            let limit = MAX_VIDEO_FRAME as u64;
            return Err(WireError::TooMuch { what: "a frame of video", value: bytes as u64, limit });
        }
    }
    Ok((header, r.rest()))
}

/// Whether the screen is possible, and the order.
pub(super) fn check_screen(header: &UpdateHeader) -> Result<(), WireError> {
    let area = u64::from(header.width) * u64::from(header.height);
    if area == 0 {
        return Err(WireError::Meaningless { what: "an update's screen", value: 0 });
    }
    if area > MAX_PIXELS.into() {
        return Err(WireError::TooMuch { what: "an update's screen", value: area, limit: MAX_PIXELS.into() });
    }
    if header.number == 0 || header.after >= header.number {
        return Err(WireError::Meaningless { what: "an update's order", value: header.after });
    }
    Ok(())
}

fn read_video(r: &mut Reader, header: &UpdateHeader) -> Result<VideoFrame, WireError> {
    let (video, frame) = (r.varint("a video's number")?, r.varint("a video's frame")?);
    let mut value = || side(r, "a video's rectangle");
    let rect = Rect::new(value()?, value()?, value()?, value()?);
    let screen = Rect::new(0, 0, header.width, header.height);
    let even = (rect.x | rect.y | rect.width | rect.height).is_multiple_of(2);
    if rect.is_empty() || !screen.contains(&rect) || !even {
        return Err(WireError::Meaningless { what: "a video's rectangle", value: rect.x.into() });
    }
    if !header.copies.is_empty() || !header.cached.is_empty() || header.complete || !header.parts.is_empty() {
        return Err(WireError::Meaningless { what: "an update with video and more", value: video });
    }
    Ok(VideoFrame { video, frame, rect })
}

pub(super) fn read_copies(r: &mut Reader, screen: Rect) -> Result<Vec<CopyRect>, WireError> {
    let count = r.count(MAX_COPIES, "an update's copies")?;
    let mut copies = Vec::with_capacity(count);
    let (mut moved, limit) = (0, screen.area() * MAX_COPIED_SCREENS);
    for _ in 0..count {
        let mut value = || side(r, "a copy");
        let from = Rect::new(value()?, value()?, value()?, value()?);
        let copy = CopyRect { from, x: value()?, y: value()? };
        if from.is_empty() || !screen.contains(&from) || !screen.contains(&copy.target()) {
            return Err(WireError::Meaningless { what: "a copy outside the screen", value: from.x.into() });
        }
        moved += from.area();
        if moved > limit {
            return Err(WireError::TooMuch { what: "the pixels that an update copies", value: moved, limit });
        }
        copies.push(copy);
    }
    Ok(copies)
}

pub(super) fn read_cached(r: &mut Reader, tiles: u64) -> Result<Vec<CachedTile>, WireError> {
    let count = r.count(tiles as usize, "an update's cached tiles")?;
    if count > r.rest().len() / 9 {
        return Err(WireError::Truncated { what: "an update's cached tiles" });
    }
    let mut cached = Vec::with_capacity(count);
    let mut next = 0;
    for _ in 0..count {
        let tile = next + r.bounded(tiles, "a cached tile")?;
        within(tile, tiles, "a cached tile")?;
        cached.push(CachedTile { tile: tile as TileId, hash: TileHash(r.u64("a cached tile's hash")?) });
        next = tile + 1;
    }
    Ok(cached)
}

pub(super) fn read_runs(r: &mut Reader, tiles: u64) -> Result<Vec<TileId>, WireError> {
    let runs = r.count(MAX_UPDATE_TILES, "an update's runs")?;
    let mut listed = Vec::new();
    let mut next = 0;
    for _ in 0..runs {
        let first = next + r.bounded(tiles, "a run of tiles")?;
        let length = r.bounded(MAX_UPDATE_TILES as u64, "a run of tiles")?;
        if length == 0 {
            return Err(WireError::Meaningless { what: "a run of tiles", value: 0 });
        }
        within(first + length - 1, tiles, "a run of tiles")?;
        let total = listed.len() as u64 + length;
        if total > MAX_UPDATE_TILES as u64 {
            return Err(WireError::TooMuch {
                what: "an update's tiles",
                value: total,
                limit: MAX_UPDATE_TILES as u64,
            });
        }
        listed.extend(first as TileId..(first + length) as TileId);
        next = first + length;
    }
    Ok(listed)
}

fn within(tile: u64, tiles: u64, what: &'static str) -> Result<(), WireError> {
    if tile < tiles { Ok(()) } else { Err(WireError::TooMuch { what, value: tile, limit: tiles - 1 }) }
}
