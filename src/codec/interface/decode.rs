//! Decodes interface tiles.

use super::palette::escapes;
use crate::codec::TILE_PIXELS;
use crate::codec::decoder::Placed;
use crate::codec::entropy::Unpacker;
use crate::codec::payload::{DecodeError, Reader};
use crate::screen::Rect;

/// Decodes the interface section.
pub(in crate::codec) struct InterfaceDecoder {
    part: Vec<u8>,
    palette: Vec<u32>,
    pixels: Box<[u32; TILE_PIXELS]>,
}

impl InterfaceDecoder {
    pub(in crate::codec) fn new() -> Self {
        InterfaceDecoder { part: Vec::new(), palette: Vec::new(), pixels: Box::new([0; TILE_PIXELS]) }
    }

    pub(in crate::codec) fn decode<Tiles: Iterator<Item = Placed>>(
        &mut self,
        unpacker: &mut Unpacker,
        reader: &mut Reader<'_>,
        tiles: impl Fn() -> Tiles,
        sink: &mut impl FnMut(usize, &Rect, &[u32]),
    ) -> Result<(), DecodeError> {
        let (mut area, mut flags) = (0, 0);
        for tile in tiles() {
            area += tile.rect.area() as usize;
            flags += tile.rect.height.div_ceil(4) as usize;
        }
        let colours = reader.varint_to(super::MAX_COLOURS.min(area), "the number of colours")?;
        if colours == 1 {
            let colour = reader.bytes(3)?.iter().fold(0, |colour, &byte| colour << 8 | u32::from(byte));
            self.pixels.fill(colour);
            tiles().for_each(|tile| sink(tile.index, &tile.rect, &self.pixels[..tile.rect.area() as usize]));
            return Ok(());
        }
        let codes = reader.varint_to(area * 2, "the number of colour indices")?;
        // All three sizes are bounded by the tiles' pixels, whatever the payload says.
        self.part.resize(colours * 3 + flags + codes, 0);
        unpacker.unpack(reader, &mut self.part)?;
        let (palette, rest) = self.part.split_at(colours * 3);
        let (flags, codes) = rest.split_at(flags);
        read_palette(palette, &mut self.palette);
        let direct = 256 - escapes(colours);
        let mut codes = Codes { rest: codes, palette: &self.palette, direct };
        let mut flags = flags;
        for tile in tiles() {
            let (tile_flags, more) = flags.split_at(tile.rect.height.div_ceil(4) as usize);
            flags = more;
            decode_tile(&tile.rect, tile_flags, &mut codes, &mut self.pixels)?;
            sink(tile.index, &tile.rect, &self.pixels[..tile.rect.area() as usize]);
        }
        if codes.rest.is_empty() { Ok(()) } else { Err(DecodeError::Indices) }
    }
}

fn read_palette(planes: &[u8], palette: &mut Vec<u32>) {
    palette.clear();
    let count = planes.len() / 3;
    let mut colour = [0u8; 3];
    for at in 0..count {
        for (plane, value) in colour.iter_mut().enumerate() {
            *value = value.wrapping_add(planes[plane * count + at]);
        }
        palette.push(u32::from_be_bytes([0, colour[0], colour[1], colour[2]]));
    }
    // Codes beyond the palette are black, so that a lookup of one byte needs no check.
    palette.resize(count.max(256), 0);
}

/// The colour indices not yet read.
struct Codes<'a> {
    rest: &'a [u8],
    palette: &'a [u32],
    direct: usize,
}

impl Codes<'_> {
    /// Reads one colour.
    fn one(&mut self) -> Result<u32, DecodeError> {
        let (&code, rest) = self.rest.split_first().ok_or(DecodeError::Indices)?;
        self.rest = rest;
        if (code as usize) < self.direct {
            return Ok(self.palette[code as usize]);
        }
        let (&second, rest) = rest.split_first().ok_or(DecodeError::Indices)?;
        self.rest = rest;
        self.rare(code, second)
    }

    /// The colour of a code of two bytes.
    #[inline(always)]
    fn rare(&self, code: u8, second: u8) -> Result<u32, DecodeError> {
        let place = self.direct + (code as usize - self.direct) * 256 + second as usize;
        self.palette.get(place).copied().ok_or(DecodeError::Indices)
    }

    /// Reads the colours of a strip, column by column, into `pixels` from `start` on.
    fn strip(
        &mut self,
        pixels: &mut [u32; TILE_PIXELS],
        start: usize,
        width: usize,
        lines: usize,
    ) -> Result<(), DecodeError> {
        debug_assert!(start + width * lines <= TILE_PIXELS);
        let palette: &[u32; 256] = self.palette.first_chunk().ok_or(DecodeError::Indices)?;
        if self.direct < 256 {
            let (codes, direct) = (self.rest, self.direct);
            let mut next = 0;
            for x in 0..width {
                let mut at = start + x;
                for _ in 0..lines {
                    let code = *codes.get(next).ok_or(DecodeError::Indices)?;
                    next += 1;
                    pixels[at % TILE_PIXELS] = palette[code as usize];
                    if code as usize >= direct {
                        let second = *codes.get(next).ok_or(DecodeError::Indices)?;
                        next += 1;
                        pixels[at % TILE_PIXELS] = self.rare(code, second)?;
                    }
                    at += width;
                }
            }
            self.rest = &codes[next..];
            return Ok(());
        }
        let (codes, rest) = self.rest.split_at_checked(width * lines).ok_or(DecodeError::Indices)?;
        self.rest = rest;
        for (x, column) in codes.chunks_exact(lines).enumerate() {
            let mut at = start + x;
            for &code in column {
                // The remainder changes nothing and spares a check.
                pixels[at % TILE_PIXELS] = palette[code as usize];
                at += width;
            }
        }
        Ok(())
    }
}

fn decode_tile(
    rect: &Rect,
    flags: &[u8],
    codes: &mut Codes<'_>,
    pixels: &mut [u32; TILE_PIXELS],
) -> Result<(), DecodeError> {
    let (width, height) = (rect.width as usize, rect.height as usize);
    let kind = |y: usize| flags[y / 4] >> (y % 4 * 2) & 3;
    let mut y = 0;
    while y < height {
        match kind(y) {
            0 if y > 0 => {
                pixels.copy_within((y - 1) * width..y * width, y * width);
                y += 1;
            }
            1 => {
                pixels[y * width..(y + 1) * width].fill(codes.one()?);
                y += 1;
            }
            2 => {
                let lines = (y..height).take_while(|&y| kind(y) == 2).count();
                codes.strip(pixels, y * width, width, lines)?;
                y += lines;
            }
            _ => return Err(DecodeError::Indices),
        }
    }
    Ok(())
}
