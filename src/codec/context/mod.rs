//! Small interface content, a letter or a caret: each pixel is guessed from those around it, and only what was guessed
//! wrongly costs much. Nothing is sent before the pixels, neither palette nor table.

mod coder;
mod model;
mod slots;

use self::coder::{Decisions, Writer};
use self::model::{Area, NoSuchColour};
use super::TILE_PIXELS;
use super::decoder::Placed;
use super::payload::{Class, DecodeError, Reader};
use crate::screen::{Framebuffer, Rect};

pub use self::model::ContextModel;

/// More pixels than this in one payload are better left to zstd, which takes less time for each.
pub const MOST_PIXELS: u64 = 8_192;
/// The same where a payload goes on from what others taught, which saves more.
pub const MOST_LIVE_PIXELS: u64 = 12_288;

/// What a payload's model begins with.
#[derive(Clone, Copy)]
pub enum Beginning<'a> {
    /// Nothing; what it learns is forgotten after it.
    Alone,
    /// What was learnt of an earlier payload, or nothing; another payload may go on from what it learns.
    Live(Option<&'a ContextModel>),
}

impl Beginning<'_> {
    /// The most pixels of one payload.
    pub(super) fn most_pixels(&self) -> u64 {
        match self {
            Beginning::Alone => MOST_PIXELS,
            Beginning::Live(_) => MOST_LIVE_PIXELS,
        }
    }
}

/// How much of what surrounds a pixel says what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Six neighbours, none of them of another tile: what decoders before version 1.7 of the wire know.
    Near,
    /// Sixteen neighbours, also of the tile to the left.
    Far,
}

impl Reach {
    pub(super) fn class(self) -> Class {
        match self {
            Reach::Near => Class::NearContext,
            Reach::Far => Class::FarContext,
        }
    }

    pub(super) fn of(class: Class) -> Option<Reach> {
        [Reach::Near, Reach::Far].into_iter().find(|reach| reach.class() == class)
    }

    /// Whether a rectangle is coded in one area with the one before it.
    fn joins(self, before: &Rect, next: &Rect) -> bool {
        let touch = (before.right(), before.y, before.height) == (next.x, next.y, next.height);
        self == Reach::Far && touch
    }
}

/// Encodes the section.
pub(super) struct ContextEncoder {
    model: Box<ContextModel>,
    area: Area,
}

impl ContextEncoder {
    pub(super) fn new() -> Self {
        ContextEncoder { model: Box::default(), area: Area::default() }
    }

    /// Appends the section; false, with nothing appended, if there are too many colours.
    pub(super) fn encode(
        &mut self,
        framebuffer: &Framebuffer,
        rects: &[Rect],
        reach: Reach,
        beginning: Beginning,
        out: &mut Vec<u8>,
    ) -> bool {
        let start = out.len();
        self.model.start(beginning);
        let mut writer = Writer::new(out);
        for joined in rects.chunk_by(|before, next| reach.joins(before, next)) {
            let Rect { x, y, height, .. } = joined[0];
            let width = joined.iter().map(|rect| rect.width).sum::<u32>();
            self.area.start(width as usize, height as usize);
            for line in 0..height {
                let row = framebuffer.row(x, y + line, width);
                let pixels = self.area.row_mut(line as usize);
                pixels.iter_mut().zip(row).for_each(|(pixel, shown)| *pixel = shown & 0x00FF_FFFF);
            }
            if self.model.area(&mut writer, &mut self.area, reach).is_err() {
                out.truncate(start);
                return false;
            }
        }
        writer.finish();
        true
    }

    /// What was learnt up to the end of the last section; `spare` takes its place.
    pub(super) fn learnt(&mut self, spare: Box<ContextModel>) -> Box<ContextModel> {
        std::mem::replace(&mut self.model, spare)
    }
}

/// Decodes the section.
pub(super) struct ContextDecoder {
    model: Box<ContextModel>,
    area: Area,
    joined: Vec<Placed>,
    pixels: Box<[u32; TILE_PIXELS]>,
}

impl ContextDecoder {
    pub(super) fn new() -> Self {
        ContextDecoder {
            model: Box::default(),
            area: Area::default(),
            joined: Vec::new(),
            pixels: Box::new([0; TILE_PIXELS]),
        }
    }

    /// The section is all that is left of the payload.
    pub(super) fn decode<Tiles: Iterator<Item = Placed>>(
        &mut self,
        reader: &mut Reader<'_>,
        tiles: impl Fn() -> Tiles,
        reach: Reach,
        beginning: Beginning,
        sink: &mut impl FnMut(usize, &Rect, &[u32]),
    ) -> Result<(), DecodeError> {
        let area: u64 = tiles().map(|tile| tile.rect.area()).sum();
        let limit = beginning.most_pixels();
        if area > limit {
            let what = "the number of context-coded pixels";
            return Err(DecodeError::OutOfRange { what, value: area, limit });
        }
        self.model.start(beginning);
        let mut decisions = Decisions::new(reader);
        let mut tiles = tiles().peekable();
        while let Some(first) = tiles.next() {
            self.joined.clear();
            let (mut last, mut width) = (first, first.rect.width);
            self.joined.push(first);
            while let Some(next) = tiles.next_if(|next| reach.joins(&last.rect, &next.rect)) {
                self.joined.push(next);
                (last, width) = (next, width + next.rect.width);
            }
            self.area.start(width as usize, first.rect.height as usize);
            let decoded = self.model.area(&mut decisions, &mut self.area, reach);
            decoded.map_err(|NoSuchColour| DecodeError::Indices)?;
            for Placed { index, rect, .. } in &self.joined {
                let pixels = &mut self.pixels[..rect.area() as usize];
                let left = (rect.x - first.rect.x) as usize;
                for (y, row) in pixels.chunks_exact_mut(rect.width as usize).enumerate() {
                    row.copy_from_slice(self.area.row(left, y, rect.width as usize));
                }
                sink(*index, rect, pixels);
            }
        }
        decisions.finish()
    }

    /// What was learnt up to the end of the last section; `spare` takes its place.
    pub(super) fn learnt(&mut self, spare: Box<ContextModel>) -> Box<ContextModel> {
        std::mem::replace(&mut self.model, spare)
    }
}
