//! Decodes interface tiles.

use super::palette::escapes;
use crate::codec::TILE_PIXELS;
use crate::codec::decoder::Placed;
use crate::codec::entropy::Unpacker;
use crate::codec::payload::{DecodeError, Reader};
use crate::screen::{Rect, TILE};

/// Decodes the interface section.
pub(in crate::codec) struct InterfaceDecoder {
    part: Vec<u8>,
    palette: Vec<u32>,
    pixels: Box<[u32; TILE_PIXELS]>,
    strip: Box<[u32; TILE_PIXELS]>,
}

impl InterfaceDecoder {
    pub(in crate::codec) fn new() -> Self {
        InterfaceDecoder {
            part: Vec::new(),
            palette: Vec::new(),
            pixels: Box::new([0; TILE_PIXELS]),
            strip: Box::new([0; TILE_PIXELS]),
        }
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
        let codes = reader.varint_to(area * 2, "the number of colour indices")?;
        // A palette is no longer than its use, so that a few bytes cannot ask for much work.
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
            decode_tile(&tile.rect, tile_flags, &mut codes, &mut self.pixels, &mut self.strip)?;
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
    /// Reads as many colours as `pixels` holds.
    fn read(&mut self, pixels: &mut [u32]) -> Result<(), DecodeError> {
        if self.direct == 256 {
            let (codes, rest) = self.rest.split_at_checked(pixels.len()).ok_or(DecodeError::Indices)?;
            let palette: &[u32; 256] = self.palette.first_chunk().ok_or(DecodeError::Indices)?;
            for (pixel, &code) in pixels.iter_mut().zip(codes) {
                *pixel = palette[code as usize];
            }
            self.rest = rest;
            return Ok(());
        }
        let mut codes = self.rest.iter();
        for pixel in pixels {
            let code = *codes.next().ok_or(DecodeError::Indices)? as usize;
            *pixel = if code < self.direct {
                self.palette[code]
            } else {
                let second = *codes.next().ok_or(DecodeError::Indices)? as usize;
                let place = self.direct + (code - self.direct) * 256 + second;
                *self.palette.get(place).ok_or(DecodeError::Indices)?
            };
        }
        self.rest = codes.as_slice();
        Ok(())
    }
}

fn decode_tile(
    rect: &Rect,
    flags: &[u8],
    codes: &mut Codes<'_>,
    pixels: &mut [u32; TILE_PIXELS],
    strip: &mut [u32; TILE_PIXELS],
) -> Result<(), DecodeError> {
    let (width, height) = (rect.width as usize, rect.height as usize);
    let kind = |y: usize| flags[y / 4] >> (y % 4 * 2) & 3;
    let mut y = 0;
    while y < height {
        match kind(y) {
            0 => {
                if y == 0 {
                    return Err(DecodeError::Indices);
                }
                pixels.copy_within((y - 1) * width..y * width, y * width);
                y += 1;
            }
            1 => {
                let mut colour = [0];
                codes.read(&mut colour)?;
                pixels[y * width..(y + 1) * width].fill(colour[0]);
                y += 1;
            }
            2 => {
                let lines = (y..height).take_while(|&y| kind(y) == 2).count();
                let strip = &mut strip[..lines * width];
                codes.read(strip)?;
                let target = &mut pixels[y * width..(y + lines) * width];
                transpose(strip, lines, width, target);
                y += lines;
            }
            _ => return Err(DecodeError::Indices),
        }
    }
    Ok(())
}

/// Turns columns of `lines` pixels into rows of `width`.
fn transpose(strip: &[u32], lines: usize, width: usize, rows: &mut [u32]) {
    for (line, row) in rows.chunks_exact_mut(width).enumerate() {
        for (pixel, &value) in row.iter_mut().zip(strip[line..].iter().step_by(lines)) {
            *pixel = value;
        }
    }
}

const _: () = assert!(TILE as usize * TILE as usize == TILE_PIXELS);
