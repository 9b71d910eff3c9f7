//! Small interface content, a letter or a caret: each pixel is guessed from those around it, and only what was guessed
//! wrongly costs much. Nothing is sent before the pixels, neither palette nor table.

mod coder;

use self::coder::{Chance, Coder, Decisions, Writer};
use super::TILE_PIXELS;
use super::decoder::Placed;
use super::payload::{DecodeError, Reader};
use crate::screen::{Framebuffer, Rect};

/// More pixels than this in one payload are better left to zstd, which takes less time for each.
const MOST_PIXELS: u64 = 8_192;
/// The same where a payload goes on from what others taught, which saves more.
const MOST_LIVE_PIXELS: u64 = 12_288;
/// More colours are no small interface content.
const MOST_COLOURS: usize = 255;
/// What stands above the first row: no colour.
const OUTSIDE: u32 = 1 << 24;
const SLOT_BITS: u32 = 12;
const SUREST: u8 = 15;

/// What followed a surrounding when it was last seen.
#[derive(Clone, Copy, Default)]
struct Slot {
    surrounding: u32,
    colour: u32,
    /// 0: never used; otherwise one more than how sure the guess is.
    sure: u8,
}

impl Slot {
    fn guess(&self, surrounding: u32) -> Option<(u32, usize)> {
        (self.sure > 0 && self.surrounding == surrounding).then(|| (self.colour, usize::from(self.sure - 1)))
    }

    fn learn(&mut self, surrounding: u32, colour: u32) {
        if self.sure == 0 || self.surrounding != surrounding {
            *self = Slot { surrounding, colour, sure: 1 };
        } else if self.colour == colour {
            self.sure = (self.sure + 1).min(SUREST + 1);
        } else if self.sure > 2 {
            self.sure = (self.sure - 1) / 2 + 1;
        } else {
            (self.colour, self.sure) = (colour, 1);
        }
    }
}

/// Two guesses for each pixel, by six neighbours and by two, and the colours seen so far. Begins anew with every payload, or goes
/// on from what was learnt of an earlier one. 104 KiB.
#[derive(Clone)]
pub struct ContextModel {
    wide: Box<[Slot]>,
    narrow: Box<[Slot]>,
    wide_hits: [Chance; 16],
    /// Of the narrow guess: when there was no wide one, and when that failed.
    narrow_hits: [[Chance; 16]; 2],
    is_new: [Chance; 2],
    was_new: bool,
    is_grey: Chance,
    ranks: [Chance; 256],
    green: [Chance; 256],
    red: [Chance; 256],
    blue: [Chance; 256],
    /// The last one that was not guessed first.
    colours: Vec<u32>,
    /// When there are too many colours, the one that was not needed for longest is forgotten.
    forgets: bool,
}

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

/// The colours are too many, or one is meant that there is not.
struct NoSuchColour;

impl Default for ContextModel {
    fn default() -> Self {
        let slots = || vec![Slot::default(); 1 << SLOT_BITS].into_boxed_slice();
        ContextModel {
            wide: slots(),
            narrow: slots(),
            wide_hits: [Chance::EVEN; 16],
            narrow_hits: [[Chance::EVEN; 16]; 2],
            is_new: [Chance::EVEN; 2],
            was_new: false,
            is_grey: Chance::EVEN,
            ranks: [Chance::EVEN; 256],
            green: [Chance::EVEN; 256],
            red: [Chance::EVEN; 256],
            blue: [Chance::EVEN; 256],
            colours: Vec::with_capacity(MOST_COLOURS),
            forgets: false,
        }
    }
}

impl ContextModel {
    fn start(&mut self, beginning: Beginning) {
        self.forgets = matches!(beginning, Beginning::Live(_));
        let Beginning::Live(Some(base)) = beginning else { return self.clear() };
        self.wide.copy_from_slice(&base.wide);
        self.narrow.copy_from_slice(&base.narrow);
        (self.wide_hits, self.narrow_hits) = (base.wide_hits, base.narrow_hits);
        (self.is_new, self.was_new, self.is_grey) = (base.is_new, base.was_new, base.is_grey);
        (self.ranks, self.green, self.red, self.blue) = (base.ranks, base.green, base.red, base.blue);
        self.colours.clone_from(&base.colours);
    }

    fn clear(&mut self) {
        self.wide.fill(Slot::default());
        self.narrow.fill(Slot::default());
        self.wide_hits.fill(Chance::EVEN);
        self.narrow_hits = [[Chance::EVEN; 16]; 2];
        self.is_new.fill(Chance::EVEN);
        self.was_new = false;
        self.is_grey = Chance::EVEN;
        for chances in [&mut self.ranks, &mut self.green, &mut self.red, &mut self.blue] {
            chances.fill(Chance::EVEN);
        }
        self.colours.clear();
    }

    /// Writes or reads the pixels of a rectangle, row by row.
    fn rect(&mut self, coder: &mut impl Coder, pixels: &mut [u32], width: usize) -> Result<(), NoSuchColour> {
        for start in (0..pixels.len()).step_by(width) {
            for x in 0..width {
                let at = start + x;
                let north = if start > 0 { pixels[at - width] } else { OUTSIDE };
                let west = if x > 0 { pixels[at - 1] } else { north };
                let north_west = if x > 0 && start > 0 { pixels[at - width - 1] } else { north };
                let north_east = if x + 1 < width && start > 0 { pixels[at - width + 1] } else { north };
                let west_west = if x > 1 { pixels[at - 2] } else { west };
                let north_north = if start > width { pixels[at - 2 * width] } else { OUTSIDE };
                let narrow = mixed(mixed(0, west), north);
                let wide = [north_east, north_west, west_west, north_north].into_iter().fold(narrow, mixed);
                pixels[at] = self.pixel(coder, wide, narrow, pixels[at])?;
            }
        }
        Ok(())
    }

    #[inline]
    fn pixel(
        &mut self,
        coder: &mut impl Coder,
        wide: u32,
        narrow: u32,
        pixel: u32,
    ) -> Result<u32, NoSuchColour> {
        let place = |surrounding: u32| (surrounding >> (32 - SLOT_BITS)) as usize;
        let first = self.wide[place(wide)].guess(wide);
        let second = self.narrow[place(narrow)].guess(narrow);
        let pixel = 'found: {
            if let Some((guess, sure)) = first
                && coder.code(&mut self.wide_hits[sure], guess == pixel)
            {
                break 'found guess;
            }
            if let Some((guess, sure)) = second
                && first.is_none_or(|(tried, _)| tried != guess)
                && coder.code(&mut self.narrow_hits[usize::from(first.is_some())][sure], guess == pixel)
            {
                break 'found guess;
            }
            self.colour(coder, pixel)?
        };
        self.wide[place(wide)].learn(wide, pixel);
        self.narrow[place(narrow)].learn(narrow, pixel);
        Ok(pixel)
    }

    /// A colour that was not guessed: its rank among those seen, or itself.
    fn colour(&mut self, coder: &mut impl Coder, pixel: u32) -> Result<u32, NoSuchColour> {
        let rank = self.colours.iter().position(|&colour| colour == pixel);
        let is_new = coder.code(&mut self.is_new[usize::from(self.was_new)], rank.is_none());
        self.was_new = is_new;
        let pixel = if is_new {
            if self.colours.len() == MOST_COLOURS && (!self.forgets || self.colours.pop().is_none()) {
                return Err(NoSuchColour);
            }
            let [_, red, green, blue] = pixel.to_be_bytes();
            let is_grey = coder.code(&mut self.is_grey, red == green && blue == green);
            let green = coder.byte(&mut self.green, green);
            let mut other = |chances: &mut _, value: u8| match is_grey {
                true => green,
                false => coder.byte(chances, value.wrapping_sub(green)).wrapping_add(green),
            };
            let (red, blue) = (other(&mut self.red, red), other(&mut self.blue, blue));
            u32::from_be_bytes([0, red, green, blue])
        } else {
            let rank = coder.byte(&mut self.ranks, rank.unwrap_or_default() as u8);
            if usize::from(rank) >= self.colours.len() {
                return Err(NoSuchColour);
            }
            self.colours.remove(rank.into())
        };
        self.colours.insert(0, pixel);
        Ok(pixel)
    }
}

fn mixed(surrounding: u32, colour: u32) -> u32 {
    let product = (surrounding ^ colour).wrapping_mul(0x9E37_79B1);
    product ^ product >> 15
}

/// Encodes the section.
pub(super) struct ContextEncoder {
    model: Box<ContextModel>,
    pixels: Vec<u32>,
}

impl ContextEncoder {
    pub(super) fn new() -> Self {
        ContextEncoder { model: Box::default(), pixels: Vec::new() }
    }

    /// Appends the section; false, with nothing appended, if there are too many colours.
    pub(super) fn encode(
        &mut self,
        framebuffer: &Framebuffer,
        rects: &[Rect],
        beginning: Beginning,
        out: &mut Vec<u8>,
    ) -> bool {
        let start = out.len();
        self.model.start(beginning);
        let mut writer = Writer::new(out);
        for rect in rects {
            self.pixels.clear();
            for y in rect.y..rect.bottom() {
                let row = framebuffer.row(rect.x, y, rect.width);
                self.pixels.extend(row.iter().map(|pixel| pixel & 0x00FF_FFFF));
            }
            if self.model.rect(&mut writer, &mut self.pixels, rect.width as usize).is_err() {
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
    pixels: Box<[u32; TILE_PIXELS]>,
}

impl ContextDecoder {
    pub(super) fn new() -> Self {
        ContextDecoder { model: Box::default(), pixels: Box::new([0; TILE_PIXELS]) }
    }

    /// The section is all that is left of the payload.
    pub(super) fn decode<Tiles: Iterator<Item = Placed>>(
        &mut self,
        reader: &mut Reader<'_>,
        tiles: impl Fn() -> Tiles,
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
        for tile in tiles() {
            let pixels = &mut self.pixels[..tile.rect.area() as usize];
            let decoded = self.model.rect(&mut decisions, pixels, tile.rect.width as usize);
            decoded.map_err(|NoSuchColour| DecodeError::Indices)?;
            sink(tile.index, &tile.rect, pixels);
        }
        decisions.finish()
    }

    /// What was learnt up to the end of the last section; `spare` takes its place.
    pub(super) fn learnt(&mut self, spare: Box<ContextModel>) -> Box<ContextModel> {
        std::mem::replace(&mut self.model, spare)
    }
}
