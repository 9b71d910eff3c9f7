//! Anchors: places that the content itself chooses, so that they travel with it.
//!
//! A place is an anchor if a colour edge is there and the hash of the eight pixels that follow falls below a
//! limit. Anchors of the new screen are taken from one row in four or eight, and looked for in every row of
//! the old one, by a hash of a larger window. Only windows that occur once on either side speak for a move:
//! blank areas have no edges, and periodic patterns no window that occurs once.

use super::spans::{CHUNK, NO_SPAN, READ, hash_spans};
use crate::screen::{Framebuffer, Grid, MAX_SIDE, Rect, TILE, TileSet};

/// An anchor stands for this many pixels to the right of its place, in its row and in [`LOWER`].
pub(super) const WINDOW: u32 = 24;
/// How far below its first row the second row of an anchor's window is.
pub(super) const LOWER: u32 = 3;

/// From so many tiles on, fewer rows tell enough.
const MANY_TILES: usize = 32;
const MAX_ANCHORS: usize = 8192;
const SLOTS: usize = 2 * MAX_ANCHORS;
const FILTER_WORDS: usize = 1024;
/// At most one edge in 2^MIN_BITS becomes an anchor.
const MIN_BITS: u32 = 4;

/// What the old screen said of an anchor.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    Unknown,
    At { x: u16, y: u16 },
    Ambiguous,
}

/// A window of the new screen.
#[derive(Clone, Copy)]
pub(super) struct Anchor {
    pub x: u16,
    pub y: u16,
    hash: u32,
    origin: Origin,
}

/// The anchors of one pair of screens. All memory is kept from one use to the next.
pub(super) struct Anchors {
    list: Vec<Anchor>,
    /// Open addressing by hash; 0 is empty, else the anchor's index plus one.
    slots: Vec<u16>,
    /// A bit for each span hash in the list: most spans of the old screen stop here.
    filter: Vec<u64>,
    hits: Vec<(u32, u32)>,
}

impl Anchors {
    pub fn new() -> Self {
        Anchors {
            list: Vec::with_capacity(MAX_ANCHORS),
            slots: vec![0; SLOTS],
            filter: vec![0; FILTER_WORDS],
            hits: Vec::with_capacity(CHUNK),
        }
    }

    pub fn list(&self) -> &[Anchor] {
        &self.list
    }

    /// Takes the anchors of `new` in `tiles` whose content does not stand in `old` at the same place.
    /// Returns how dense they are, for [`Anchors::look_up`].
    pub fn collect(&mut self, old: &Framebuffer, new: &Framebuffer, tiles: &TileSet) -> Density {
        self.list.clear();
        self.slots.fill(0);
        self.filter.fill(0);
        let density = Density::for_tiles(tiles.len());
        let mut hits = std::mem::take(&mut self.hits);
        for tile in tiles.iter() {
            let rect = new.grid().rect(tile);
            for y in (rect.y..rect.bottom()).step_by(density.row_step) {
                if old.row(rect.x, y, rect.width) == new.row(rect.x, y, rect.width) {
                    continue;
                }
                find_hits(new, rect.x, y, density, &mut hits);
                for &(x, span) in &hits {
                    if old.row(x, y, WINDOW) != new.row(x, y, WINDOW) && self.list.len() < MAX_ANCHORS {
                        self.insert(new, x, y, span);
                    }
                }
            }
        }
        self.hits = hits;
        density
    }

    fn insert(&mut self, new: &Framebuffer, x: u32, y: u32, span: u32) {
        let hash = hash_window(new, x, y);
        let slot = match self.slot_of(hash) {
            Ok(index) => {
                self.list[index].origin = Origin::Ambiguous;
                return;
            }
            Err(slot) => slot,
        };
        // Sides are at most 16384 pixels and the list at most 8192 long: all fit.
        self.list.push(Anchor { x: x as u16, y: y as u16, hash, origin: Origin::Unknown });
        self.slots[slot] = self.list.len() as u16;
        let bit = filter_bit(span);
        self.filter[bit / 64] |= 1 << (bit % 64);
    }

    /// The index of the anchor with this hash, or the free slot where it would go. The table is at most
    /// half full, so the search ends.
    fn slot_of(&self, hash: u32) -> Result<usize, usize> {
        let mut slot = hash as usize % SLOTS;
        loop {
            match self.slots[slot] {
                0 => return Err(slot),
                entry if self.list[entry as usize - 1].hash == hash => return Ok(entry as usize - 1),
                _ => slot = (slot + 1) % SLOTS,
            }
        }
    }

    /// Looks for the anchors in a part of `tiles` of the old screen.
    pub fn look_up(&mut self, old: &Framebuffer, tiles: &TileSet, part: Part, density: Density) {
        let mut hits = std::mem::take(&mut self.hits);
        for_each_tile_row(&old.grid(), tiles, part, |x, y| {
            find_hits(old, x, y, density, &mut hits);
            for &(x, span) in &hits {
                let bit = filter_bit(span);
                if self.filter[bit / 64] >> (bit % 64) & 1 == 1 {
                    self.meet(old, x, y);
                }
            }
        });
        self.hits = hits;
    }

    fn meet(&mut self, old: &Framebuffer, x: u32, y: u32) {
        if let Ok(index) = self.slot_of(hash_window(old, x, y)) {
            let origin = &mut self.list[index].origin;
            *origin = match *origin {
                Origin::Unknown => Origin::At { x: x as u16, y: y as u16 },
                _ => Origin::Ambiguous,
            };
        }
    }

    /// Each anchor that was met exactly once: its index, and how far it came right and down.
    pub fn displacements(&self) -> impl Iterator<Item = (usize, i32, i32)> + '_ {
        self.list.iter().enumerate().filter_map(|(index, anchor)| match anchor.origin {
            Origin::At { x, y } => {
                Some((index, i32::from(anchor.x) - i32::from(x), i32::from(anchor.y) - i32::from(y)))
            }
            _ => None,
        })
    }
}

/// Which share of the edges become anchors: those whose span hash is below the limit.
#[derive(Clone, Copy)]
pub(super) struct Density {
    limit: u32,
    /// Anchors of the new screen are in every so-manieth row.
    row_step: usize,
}

impl Density {
    /// Such that even noise does not fill the list.
    fn for_tiles(tiles: usize) -> Self {
        let row_step = if tiles < MANY_TILES { 4 } else { 8 };
        let sampled = tiles * (TILE * TILE) as usize / row_step;
        let bits = sampled.div_ceil(MAX_ANCHORS).next_power_of_two().trailing_zeros().max(MIN_BITS);
        Density { limit: u32::MAX >> bits.min(31), row_step }
    }
}

/// Which tiles of the old screen to look through.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// One in four, so that each row, column and larger area has some.
    Sample,
    /// Those that the sample left.
    Rest,
}

impl Part {
    fn holds(self, column: u32, row: u32) -> bool {
        (column + row).is_multiple_of(4) == (self == Part::Sample)
    }
}

/// Visits each pixel row of each tile in a part of `tiles`, as the row's first column and its y: tiles of one
/// row of the grid together, row of pixels by row of pixels, which is how memory lies.
fn for_each_tile_row(grid: &Grid, tiles: &TileSet, part: Part, mut visit: impl FnMut(u32, u32)) {
    let mut together = [Rect::default(); (MAX_SIDE / TILE) as usize];
    let mut tiles = tiles
        .iter()
        .map(|tile| grid.rect(tile))
        .filter(|rect| part.holds(rect.x / TILE, rect.y / TILE))
        .peekable();
    while let Some(first) = tiles.next() {
        together[0] = first;
        let mut count = 1;
        while let Some(next) = tiles.next_if(|next| next.y == first.y) {
            together[count] = next;
            count += 1;
        }
        for y in first.y..first.bottom() {
            together[..count].iter().for_each(|rect| visit(rect.x, y));
        }
    }
}

/// Puts into `hits` the column and span hash of each anchor place in a tile's row of pixels.
fn find_hits(framebuffer: &Framebuffer, x: u32, y: u32, density: Density, hits: &mut Vec<(u32, u32)>) {
    hits.clear();
    // Windows must end inside the screen.
    let places = (framebuffer.width() + 1).saturating_sub(x + WINDOW).min(TILE) as usize;
    if places == 0 || y + LOWER >= framebuffer.height() {
        return;
    }
    let mut spans = [NO_SPAN; CHUNK];
    let row = framebuffer.row(x, y, framebuffer.width() - x);
    let mut below = match row.first_chunk::<READ>() {
        Some(pixels) => hash_spans(pixels, density.limit, &mut spans),
        None => {
            let mut pixels = [0; READ];
            pixels[..row.len()].copy_from_slice(row);
            hash_spans(&pixels, density.limit, &mut spans)
        }
    };
    below &= u64::MAX >> (CHUNK - places);
    while below != 0 {
        let column = below.trailing_zeros();
        hits.push((x + column, spans[column as usize]));
        below &= below - 1;
    }
}

fn filter_bit(span: u32) -> usize {
    span.wrapping_mul(0x9E37_79B1) as usize >> 16
}

/// Odd constants, one for each pixel of a window.
const WINDOW_FACTORS: [u32; 2 * WINDOW as usize] = {
    let mut factors = [0; 2 * WINDOW as usize];
    let mut state = 0x2545_F491_u32;
    let mut index = 0;
    while index < factors.len() {
        state = state.wrapping_mul(0x2C92_77B5).wrapping_add(0xAC56_4B05);
        factors[index] = state ^ state >> 15 | 1;
        index += 1;
    }
    factors
};

/// The hash of the window at a place; it must lie inside the screen.
fn hash_window(framebuffer: &Framebuffer, x: u32, y: u32) -> u32 {
    let (upper_factors, lower_factors) = WINDOW_FACTORS.split_at(WINDOW as usize);
    let sum = |row: &[u32], factors: &[u32]| {
        row.iter().zip(factors).fold(0u32, |sum, (pixel, factor)| {
            // The high half of a product is where the mixing is: bring it down.
            let product = pixel.wrapping_mul(*factor);
            sum.wrapping_add(product ^ product >> 15)
        })
    };
    let upper = sum(framebuffer.row(x, y, WINDOW), upper_factors);
    let lower = sum(framebuffer.row(x, y + LOWER, WINDOW), lower_factors);
    let mixed = (upper ^ lower.rotate_left(16)).wrapping_mul(0x85EB_CA6B);
    mixed ^ mixed >> 16
}
