//! Decodes the Tight encoding: fill, JPEG, and zlib with its copy, palette and gradient filters.

use crate::rfb::{Place, Screen, byte};
use crate::stage::Result;
use flate2::{Decompress, FlushDecompress};
use std::io::Read;

/// Less than this is sent as it is.
const LEAST_COMPRESSED: usize = 12;

pub struct Tight {
    streams: [Decompress; 4],
    compressed: Vec<u8>,
    data: Vec<u8>,
}

impl Default for Tight {
    fn default() -> Self {
        let streams = std::array::from_fn(|_| Decompress::new(true));
        Tight { streams, compressed: Vec::new(), data: Vec::new() }
    }
}

impl Tight {
    pub fn rect(&mut self, from: &mut impl Read, screen: &mut Screen, place: Place) -> Result<()> {
        let control = byte(from)?;
        for (number, stream) in self.streams.iter_mut().enumerate() {
            if control & (1 << number) != 0 {
                stream.reset(true);
            }
        }
        match control >> 4 {
            8 => {
                let colour = colour(from)?;
                (0..place.height)
                    .for_each(|row| screen.row_mut(place.x, place.y + row, place.width).fill(colour));
                Ok(())
            }
            9 => self.jpeg(from, screen, place),
            kind @ 0..8 => {
                let filter = if kind & 4 != 0 { byte(from)? } else { 0 };
                self.basic(from, screen, place, usize::from(kind & 3), filter)
            }
            other => Err(format!("Tight compression {other} is not known").into()),
        }
    }

    fn jpeg(&mut self, from: &mut impl Read, screen: &mut Screen, place: Place) -> Result<()> {
        let length = compact(from)?;
        self.compressed.resize(length, 0);
        from.read_exact(&mut self.compressed)?;
        let mut decoder = zune_jpeg::JpegDecoder::new(std::io::Cursor::new(&self.compressed));
        let pixels = decoder.decode()?;
        if decoder.dimensions() != Some((place.width, place.height)) {
            return Err("a JPEG of another size than its rectangle".into());
        }
        for row in 0..place.height {
            let line = &pixels[row * place.width * 3..(row + 1) * place.width * 3];
            let target = screen.row_mut(place.x, place.y + row, place.width);
            target.iter_mut().zip(line.as_chunks::<3>().0).for_each(|(pixel, rgb)| *pixel = packed(*rgb));
        }
        Ok(())
    }

    fn basic(
        &mut self,
        from: &mut impl Read,
        screen: &mut Screen,
        place: Place,
        stream: usize,
        filter: u8,
    ) -> Result<()> {
        let Place { x, y, width, height } = place;
        match filter {
            0 => {
                self.read(from, stream, width * height * 3)?;
                for (row, line) in self.data.chunks_exact(width * 3).enumerate() {
                    let target = screen.row_mut(x, y + row, width);
                    target
                        .iter_mut()
                        .zip(line.as_chunks::<3>().0)
                        .for_each(|(pixel, rgb)| *pixel = packed(*rgb));
                }
            }
            1 => {
                let count = usize::from(byte(from)?) + 1;
                let palette = (0..count).map(|_| colour(from)).collect::<Result<Vec<u32>>>()?;
                let look =
                    |index: u8| palette.get(usize::from(index)).copied().ok_or("an index beyond the palette");
                if count == 2 {
                    let stride = width.div_ceil(8);
                    self.read(from, stream, stride * height)?;
                    for (row, line) in self.data.chunks_exact(stride).enumerate() {
                        for (column, pixel) in screen.row_mut(x, y + row, width).iter_mut().enumerate() {
                            *pixel = palette[usize::from((line[column / 8] >> (7 - column % 8)) & 1)];
                        }
                    }
                } else {
                    self.read(from, stream, width * height)?;
                    for (row, line) in self.data.chunks_exact(width).enumerate() {
                        for (pixel, &index) in screen.row_mut(x, y + row, width).iter_mut().zip(line) {
                            *pixel = look(index)?;
                        }
                    }
                }
            }
            2 => {
                self.read(from, stream, width * height * 3)?;
                self.undo_gradient(width);
                for (row, line) in self.data.chunks_exact(width * 3).enumerate() {
                    let target = screen.row_mut(x, y + row, width);
                    target
                        .iter_mut()
                        .zip(line.as_chunks::<3>().0)
                        .for_each(|(pixel, rgb)| *pixel = packed(*rgb));
                }
            }
            other => return Err(format!("Tight filter {other} is not known").into()),
        }
        Ok(())
    }

    fn undo_gradient(&mut self, width: usize) {
        let stride = width * 3;
        for at in 0..self.data.len() {
            let left = if at % stride >= 3 { i32::from(self.data[at - 3]) } else { 0 };
            let up = if at >= stride { i32::from(self.data[at - stride]) } else { 0 };
            let corner =
                if at >= stride && at % stride >= 3 { i32::from(self.data[at - stride - 3]) } else { 0 };
            self.data[at] = self.data[at].wrapping_add((left + up - corner).clamp(0, 255) as u8);
        }
    }

    /// Fills `data` with `length` bytes.
    fn read(&mut self, from: &mut impl Read, stream: usize, length: usize) -> Result<()> {
        self.data.resize(length, 0);
        if length < LEAST_COMPRESSED {
            return Ok(from.read_exact(&mut self.data)?);
        }
        let packed = compact(from)?;
        self.compressed.resize(packed, 0);
        from.read_exact(&mut self.compressed)?;
        let zlib = &mut self.streams[stream];
        let (taken, given) = (zlib.total_in(), zlib.total_out());
        let progress = |now: u64, before: u64| (now - before) as usize;
        loop {
            let (input, output) = (progress(zlib.total_in(), taken), progress(zlib.total_out(), given));
            zlib.decompress(&self.compressed[input..], &mut self.data[output..], FlushDecompress::Sync)?;
            let (next_input, next_output) =
                (progress(zlib.total_in(), taken), progress(zlib.total_out(), given));
            if next_output == length && next_input == packed {
                return Ok(());
            }
            if (next_input, next_output) == (input, output) {
                // Left over is the end of the flush, which gives no more bytes.
                let done = next_output == length;
                return if done { Ok(()) } else { Err("a Tight rectangle of too few bytes".into()) };
            }
        }
    }
}

fn packed([red, green, blue]: [u8; 3]) -> u32 {
    u32::from_be_bytes([0, red, green, blue])
}

fn colour(from: &mut impl Read) -> Result<u32> {
    let mut rgb = [0; 3];
    from.read_exact(&mut rgb)?;
    Ok(packed(rgb))
}

fn compact(from: &mut impl Read) -> Result<usize> {
    let mut length = 0;
    for shift in [0, 7, 14] {
        let part = usize::from(byte(from)?);
        if shift == 14 {
            return Ok(length | (part << 14));
        }
        length |= (part & 127) << shift;
        if part < 128 {
            break;
        }
    }
    Ok(length)
}
