//! The short form of an update's header: what is empty is left out, and a complete update says what its screen's tiles fold to.

use super::parts::{read_parts, write_parts};
use super::stream_kind;
use super::update::{Live, Shown, UpdateHeader, check_screen, read_cached, read_copies, read_runs};
use super::value::*;
use crate::screen::Rect;

const COMPLETE: u64 = 1;
const KEEP: u64 = 2;
const PARTS: u64 = 4;
const LIVE: u64 = 8;
const COPIES: u64 = 16;
const CACHED: u64 = 32;
const RUNS: u64 = 64;
const CAUGHT_UP: u64 = 128;
const SIZED: u64 = 256;
const KNOWN: u64 = 511;

impl UpdateHeader {
    pub(super) fn write_short(&self, out: &mut Vec<u8>) {
        debug_assert!(self.video.is_none(), "a frame of video has no short form");
        let whole = self.whole();
        let flags = [
            (COMPLETE, self.complete),
            (KEEP, self.keep),
            (PARTS, !self.parts.is_empty()),
            (LIVE, self.live.is_some()),
            (COPIES, !self.copies.is_empty()),
            (CACHED, !self.cached.is_empty()),
            (RUNS, !whole.is_empty()),
            // What is complete is also caught up.
            (CAUGHT_UP, self.caught_up && !self.complete),
            (SIZED, self.sized),
        ];
        let flags = flags.into_iter().map(|(bit, set)| bit * u64::from(set)).sum();
        put_varint(out, stream_kind::SHORT_UPDATE);
        for value in [flags, self.number, self.number - self.after, self.epoch] {
            put_varint(out, value);
        }
        if self.sized {
            put_varint(out, self.width.into());
            put_varint(out, self.height.into());
        }
        put_varint(out, self.captured_us);
        if self.complete {
            out.extend_from_slice(&self.root.to_le_bytes());
        }
        if let Some(live) = &self.live {
            write_live(live, self.number, out);
        }
        if !self.copies.is_empty() {
            self.write_copies(out);
        }
        if !self.cached.is_empty() {
            self.write_cached(out);
        }
        if !whole.is_empty() {
            self.write_runs(&whole, out);
        }
        if !self.parts.is_empty() {
            write_parts(&self.parts, self.grid(), out);
        }
    }
}

/// Bit 0 kept, bit 1 whether `oldest` follows, above them how far back the base is.
fn write_live(live: &Live, number: u64, out: &mut Vec<u8>) {
    let back = if live.base == 0 { 0 } else { number - live.base };
    let usual = live.oldest == usual_oldest(live.base, number);
    put_varint(out, back << 2 | u64::from(!usual) << 1 | u64::from(live.kept));
    if !usual {
        put_varint(out, number - live.oldest);
    }
}

fn usual_oldest(base: u64, number: u64) -> u64 {
    if base == 0 { number } else { base }
}

/// What follows the stream's kind.
pub(super) fn read_short(r: &mut Reader, shown: Option<Shown>) -> Result<UpdateHeader, WireError> {
    let flags = r.varint("a short update's flags")?;
    if flags & !KNOWN != 0 {
        return Err(WireError::Meaningless { what: "a short update's flags", value: flags });
    }
    let has = |bit: u64| flags & bit != 0;
    let number = r.varint("an update's number")?;
    let order = r.varint("an update's order")?;
    let after = number
        .checked_sub(order)
        .ok_or(WireError::Meaningless { what: "an update's order", value: order })?;
    let epoch = r.varint("an update's epoch")?;
    let mut header =
        UpdateHeader { number, after, epoch, short: true, sized: has(SIZED), ..UpdateHeader::default() };
    (header.width, header.height) = match shown {
        _ if header.sized => (side(r, "an update's width")?, side(r, "an update's height")?),
        Some(shown) if shown.epoch == epoch => (shown.width, shown.height),
        // Nothing of it will be shown.
        Some(shown) if shown.epoch > epoch => {
            (header.width, header.height) = (shown.width, shown.height);
            r.skip();
            check_screen(&header)?;
            return Ok(header);
        }
        _ => {
            return Err(WireError::Meaningless {
                what: "an update of a screen of unknown size",
                value: epoch,
            });
        }
    };
    header.captured_us = r.varint("an update's time")?;
    header.complete = has(COMPLETE);
    header.caught_up = has(COMPLETE) || has(CAUGHT_UP);
    header.keep = has(KEEP);
    check_screen(&header)?;
    if header.complete {
        header.root = r.u32_le("an update's root")?;
    }
    if has(LIVE) {
        header.live = Some(read_live(r, number)?);
    }
    let tiles = header.grid().len() as u64;
    if has(COPIES) {
        header.copies = read_copies(r, Rect::new(0, 0, header.width, header.height))?;
    }
    if has(CACHED) {
        header.cached = read_cached(r, tiles)?;
    }
    if has(RUNS) {
        header.tiles = read_runs(r, tiles)?;
    }
    if has(PARTS) {
        header.parts = read_parts(r, header.grid(), &mut header.tiles)?;
    }
    if header.live.is_some() && (header.parts.is_empty() || header.parts.len() != header.tiles.len()) {
        return Err(WireError::Meaningless {
            what: "a model beside whole tiles",
            value: header.tiles.len() as u64,
        });
    }
    Ok(header)
}

fn read_live(r: &mut Reader, number: u64) -> Result<Live, WireError> {
    let word = r.varint("an update's model")?;
    let back = word >> 2;
    if back >= number {
        return Err(WireError::Meaningless { what: "an update's model", value: back });
    }
    let base = if back == 0 { 0 } else { number - back };
    let oldest = match word & 2 != 0 {
        false => usual_oldest(base, number),
        true => {
            let back = r.varint("an update's oldest model")?;
            number
                .checked_sub(back)
                .ok_or(WireError::Meaningless { what: "an update's oldest model", value: back })?
        }
    };
    if base > 0 && oldest > base {
        return Err(WireError::Meaningless { what: "an update's oldest model", value: oldest });
    }
    Ok(Live { base, kept: word & 1 != 0, oldest })
}
