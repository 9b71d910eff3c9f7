//! ZRLE: tiles of 64 pixels a side, packed and then compressed by one zlib stream. Decoded while it arrives.

use super::inbox::{Reader, Stop};
use super::inflate::Inflate;
use super::{RfbError, Surface};
use crate::screen::Rect;

const SIDE: u32 = 64;
/// The longest a tile can be: a plain run of one pixel each is 4 bytes long, and a palette comes before packed ones.
const MAX_TILE: usize = 1 + 128 * 3 + (SIDE * SIDE) as usize * 4;

/// A rectangle that is being decoded.
pub(super) struct Progress {
    rect: Rect,
    /// Compressed bytes that are still to come.
    left: usize,
    tile: (u32, u32),
    plain: Vec<u8>,
}

impl Progress {
    pub fn new(rect: Rect, left: u32) -> Self {
        let nothing = rect.is_empty();
        Progress {
            rect,
            left: left as usize,
            tile: (0, if nothing { rect.height } else { 0 }),
            plain: Vec::new(),
        }
    }

    /// Takes what has come, and says how much that was; done once all of it was.
    pub fn advance(
        &mut self,
        bytes: &[u8],
        inflate: &mut Inflate,
        surface: &mut dyn Surface,
    ) -> Result<(usize, bool), RfbError> {
        let bytes = &bytes[..bytes.len().min(self.left)];
        let mut used = 0;
        while !self.painted() {
            let before = self.plain.len();
            self.plain.resize(before.max(MAX_TILE), 0);
            let inflated = inflate.some(&bytes[used..], &mut self.plain[before..]);
            let (more_in, more_out) = inflated?;
            self.plain.truncate(before + more_out);
            used += more_in;
            if !self.tiles(surface)? && more_in == 0 && more_out == 0 {
                if used == self.left {
                    return Err(RfbError::ZlibTooLittle("ZRLE"));
                }
                self.left -= used;
                return Ok((used, false));
            }
        }
        if !self.plain.is_empty() {
            return Err(RfbError::ZlibTooMuch("ZRLE"));
        }
        let finished = inflate.finish(&bytes[used..])?;
        if finished < bytes.len() - used {
            return Err(RfbError::ZlibTooMuch("ZRLE"));
        }
        self.left -= bytes.len();
        Ok((bytes.len(), self.left == 0))
    }

    fn painted(&self) -> bool {
        self.tile.1 >= self.rect.height
    }

    /// Paints the tiles that are whole; whether there was any.
    fn tiles(&mut self, surface: &mut dyn Surface) -> Result<bool, RfbError> {
        let mut used = 0;
        while !self.painted() {
            let (x, y) = self.tile;
            let (width, height) = (SIDE.min(self.rect.width - x), SIDE.min(self.rect.height - y));
            let place = Rect::new(self.rect.x + x, self.rect.y + y, width, height);
            let mut reader = Reader::new(&self.plain[used..]);
            match tile(&mut reader, place, surface) {
                Ok(()) => used += reader.used(),
                Err(Stop::More) => break,
                Err(Stop::Wrong(error)) => return Err(error),
            }
            self.tile = if x + SIDE < self.rect.width { (x + SIDE, y) } else { (0, y + SIDE) };
        }
        self.plain.drain(..used);
        Ok(used > 0)
    }
}

fn tile(reader: &mut Reader, place: Rect, surface: &mut dyn Surface) -> Result<(), Stop> {
    let kind = reader.u8()?;
    let area = place.area() as usize;
    let pixels = match kind {
        0 => {
            let (packed, _) = reader.take(area * 3)?.as_chunks::<3>();
            packed.iter().map(|&[b, g, r]| u32::from_le_bytes([b, g, r, 0])).collect()
        }
        1 => {
            surface.fill(place, reader.cpixel()?);
            return Ok(());
        }
        2..=16 => packed(reader, kind.into(), place)?,
        128 => runs(reader, area, |reader| {
            let pixel = reader.cpixel()?;
            Ok((pixel, run_length(reader, area)?))
        })?,
        130..=255 => {
            let palette = palette(reader, usize::from(kind) - 128)?;
            runs(reader, area, |reader| {
                let index = reader.u8()?;
                let length = if index >= 128 { run_length(reader, area)? } else { 1 };
                Ok((colour(&palette, index & 127)?, length))
            })?
        }
        _ => return Err(RfbError::Meaningless { what: "the kind of a ZRLE tile", value: kind.into() }.into()),
    };
    surface.rows(place, &pixels);
    Ok(())
}

fn palette(reader: &mut Reader, size: usize) -> Result<Vec<u32>, Stop> {
    (0..size).map(|_| reader.cpixel()).collect()
}

fn colour(palette: &[u32], index: u8) -> Result<u32, RfbError> {
    let colour = palette.get(usize::from(index)).copied();
    colour.ok_or(RfbError::Meaningless { what: "a colour of a ZRLE palette", value: index.into() })
}

fn packed(reader: &mut Reader, size: usize, place: Rect) -> Result<Vec<u32>, Stop> {
    let palette = palette(reader, size)?;
    let bits = match size {
        2 => 1,
        3..=4 => 2,
        _ => 4,
    };
    let row_bytes = (place.width as usize * bits).div_ceil(8);
    let mut pixels = Vec::with_capacity(place.area() as usize);
    for row in reader.take(row_bytes * place.height as usize)?.chunks_exact(row_bytes) {
        for x in 0..place.width as usize {
            let shift = 8 - bits - x * bits % 8;
            let index = row[x * bits / 8] >> shift & ((1 << bits) - 1);
            pixels.push(colour(&palette, index)?);
        }
    }
    Ok(pixels)
}

/// One more than the sum of bytes, of which the last is not 255.
fn run_length(reader: &mut Reader, most: usize) -> Result<usize, Stop> {
    let mut length = 1;
    loop {
        let byte = reader.u8()?;
        length += usize::from(byte);
        if length > most {
            return Err(too_long(length, most).into());
        }
        if byte < 255 {
            return Ok(length);
        }
    }
}

fn runs(
    reader: &mut Reader,
    area: usize,
    mut run: impl FnMut(&mut Reader) -> Result<(u32, usize), Stop>,
) -> Result<Vec<u32>, Stop> {
    let mut pixels = Vec::with_capacity(area);
    while pixels.len() < area {
        let (pixel, length) = run(reader)?;
        if pixels.len() + length > area {
            return Err(too_long(pixels.len() + length, area).into());
        }
        pixels.resize(pixels.len() + length, pixel);
    }
    Ok(pixels)
}

fn too_long(value: usize, limit: usize) -> RfbError {
    RfbError::TooMuch { what: "a run in a ZRLE tile", value: value as u64, limit: limit as u64 }
}
