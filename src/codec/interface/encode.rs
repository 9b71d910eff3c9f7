//! Encodes interface tiles.

use super::palette::{Palette, escapes};
use super::{MAX_COLOURS, Row};
use crate::codec::TILE_PIXELS;
use crate::codec::entropy::{Content, Packer};
use crate::codec::payload::write_varint;
use crate::screen::{Framebuffer, Rect, TILE};

/// A run of at most this many repeated rows inside a strip stays in the strip: glyphs stay whole.
const SHORT_REPEAT: usize = 2;

/// Gathers interface tiles and writes their section.
pub(in crate::codec) struct InterfaceEncoder {
    palette: Palette,
    flags: Vec<u8>,
    /// Colour numbers, in order of first use; those up to `used` count. It only grows: no clearing.
    numbers: Vec<u16>,
    used: usize,
    counts: Vec<u32>,
    order: Vec<u16>,
    /// By colour number.
    codes: Vec<Code>,
    part: Vec<u8>,
}

/// How a colour is written: its one or two bytes, the first in the lowest bits, and above them their number.
type Code = u32;
const ONE_BYTE: Code = 1 << 16;
const TWO_BYTES: Code = 2 << 16;

impl InterfaceEncoder {
    pub(in crate::codec) fn new() -> Self {
        InterfaceEncoder {
            palette: Palette::new(),
            flags: Vec::new(),
            numbers: Vec::new(),
            used: 0,
            counts: Vec::new(),
            order: Vec::new(),
            codes: Vec::new(),
            part: Vec::new(),
        }
    }

    pub(in crate::codec) fn start(&mut self) {
        self.palette.start();
        self.flags.clear();
        self.used = 0;
    }

    /// Adds a tile; false if its colours no longer fit the palette: it was then not added.
    pub(in crate::codec) fn add(&mut self, framebuffer: &Framebuffer, rect: &Rect) -> bool {
        let (flags, numbers, colours) = (self.flags.len(), self.used, self.palette.colours().len());
        if self.add_rows(framebuffer, rect).is_some() {
            return true;
        }
        self.flags.truncate(flags);
        self.used = numbers;
        self.palette.truncate(colours);
        false
    }

    fn add_rows(&mut self, framebuffer: &Framebuffer, rect: &Rect) -> Option<()> {
        let (width, height) = (rect.width as usize, rect.height as usize);
        let row = |y: usize| framebuffer.row(rect.x, rect.y + y as u32, rect.width);
        let mut rows = [Row::Same; TILE as usize];
        for (y, kind) in rows[..height].iter_mut().enumerate() {
            *kind = if y > 0 && row(y) == row(y - 1) {
                Row::Same
            } else if is_solid(row(y)) {
                Row::Solid
            } else {
                Row::Strip
            };
        }
        absorb_short_repeats(&mut rows[..height]);
        for four in rows[..height].chunks(4) {
            self.flags.push(four.iter().rev().fold(0, |byte, &row| byte << 2 | row as u8));
        }
        if self.numbers.len() < self.used + TILE_PIXELS {
            self.numbers.resize((self.used + TILE_PIXELS) * 2, 0);
        }
        let mut y = 0;
        while y < height {
            match rows[y] {
                Row::Same => y += 1,
                Row::Solid => {
                    self.numbers[self.used] = self.palette.number(row(y)[0])?;
                    self.used += 1;
                    y += 1;
                }
                Row::Strip => {
                    let strip = rows[y..height].iter().take_while(|&&row| row == Row::Strip).count();
                    for line in 0..strip {
                        let numbers = &mut self.numbers[self.used + line..];
                        self.palette.number_row(row(y + line), numbers, strip)?;
                    }
                    self.used += strip * width;
                    y += strip;
                }
            }
        }
        Some(())
    }

    /// Writes the section of the tiles added since the start.
    pub(in crate::codec) fn finish(&mut self, packer: &mut Packer, out: &mut Vec<u8>) {
        if let [colour] = self.palette.colours() {
            // A caret, or flat tiles: the colour says it all.
            out.push(1);
            out.extend_from_slice(&colour.to_be_bytes()[1..]);
            return;
        }
        self.assign_codes();
        self.part.clear();
        let planes: [fn(u32) -> u32; 3] = [|colour| colour >> 16, |colour| colour >> 8, |colour| colour];
        for plane in planes {
            let mut before = 0u8;
            for &number in &self.order {
                let value = plane(self.palette.colours()[number as usize]) as u8;
                self.part.push(value.wrapping_sub(before));
                before = value;
            }
        }
        self.part.extend_from_slice(&self.flags);
        let start = self.part.len();
        if escapes(self.order.len()) == 0 {
            let mut firsts = [0; 256];
            self.codes.iter().zip(&mut firsts).for_each(|(&code, first)| *first = code as u8);
            // Numbers are below 256 here; the mask spares a check.
            self.part
                .extend(self.numbers[..self.used].iter().map(|&number| firsts[(number & 0xFF) as usize]));
        } else {
            self.part.resize(start + self.used * 2, 0);
            let length = write_codes(&self.numbers[..self.used], &self.codes, &mut self.part[start..]);
            self.part.truncate(start + length);
        }
        write_varint(self.order.len() as u64, out);
        write_varint((self.part.len() - start) as u64, out);
        packer.pack(Content::Repetitive, &self.part, out);
    }

    /// Puts the colours in the order in which they are sent: those with one-byte codes first, which are
    /// the most frequent, each group sorted so that differences are small.
    fn assign_codes(&mut self) {
        let colours = self.palette.colours();
        let count = colours.len();
        self.order.clear();
        self.order.extend(0..count as u16);
        let direct = if escapes(count) > 0 { 256 - escapes(count) } else { count };
        if direct < count {
            self.counts.clear();
            self.counts.resize(count, 0);
            // Every seventh is enough to tell the frequent colours, and counting runs of one colour is slow.
            self.numbers[..self.used].iter().step_by(7).for_each(|&number| self.counts[number as usize] += 1);
            let counts = &self.counts;
            self.order.select_nth_unstable_by_key(direct, |&number| {
                (std::cmp::Reverse(counts[number as usize]), number)
            });
        }
        let (frequent, rare) = self.order.split_at_mut(direct);
        frequent.sort_unstable_by_key(|&number| colours[number as usize]);
        rare.sort_unstable_by_key(|&number| colours[number as usize]);
        self.codes.clear();
        self.codes.resize(count, ONE_BYTE);
        for (place, &number) in frequent.iter().enumerate() {
            self.codes[number as usize] = ONE_BYTE | place as Code;
        }
        for (place, &number) in rare.iter().enumerate() {
            self.codes[number as usize] = TWO_BYTES | ((place % 256) << 8 | (direct + place / 256)) as Code;
        }
    }
}

/// Writes the codes of colour numbers, one or two bytes each, and returns how many bytes that took.
/// `bytes` has room for two each.
fn write_codes(numbers: &[u16], codes: &[Code], bytes: &mut [u8]) -> usize {
    let mut end = 0;
    for &number in numbers {
        let code = codes[number as usize];
        // Both bytes are written; the next code overwrites a second one that does not count.
        bytes[end..end + 2].copy_from_slice(&(code as u16).to_le_bytes());
        end += (code >> 16) as usize;
    }
    end
}

fn is_solid(row: &[u32]) -> bool {
    // The last pixel settles most rows that are not.
    row[row.len() - 1] == row[0] && row.iter().all(|&pixel| pixel == row[0])
}

fn absorb_short_repeats(rows: &mut [Row]) {
    let mut y = 1;
    while y < rows.len() {
        if rows[y] != Row::Same || rows[y - 1] != Row::Strip {
            y += 1;
            continue;
        }
        let repeats = rows[y..].iter().take_while(|&&row| row == Row::Same).count();
        if repeats <= SHORT_REPEAT && rows.get(y + repeats) == Some(&Row::Strip) {
            rows[y..y + repeats].fill(Row::Strip);
        }
        y += repeats;
    }
}

const _: () = assert!(MAX_COLOURS <= 1 << 16, "colour numbers fit 16 bits");
