//! Tight: one colour, JPEG, or pixels through a filter and one of four zlib streams.

use super::inbox::{Reader, Stop};
use super::inflate::Inflate;
use super::{RfbError, Surface};
use crate::screen::Rect;
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

/// Data shorter than this is not compressed.
const LEAST_COMPRESSED: usize = 12;
/// Servers cut what is larger into several rectangles.
const MAX_JPEG_PIXELS: u64 = 1 << 22;

/// What lasts from rectangle to rectangle.
pub(super) struct Tight {
    streams: [Inflate; 4],
}

enum Filter {
    Copy,
    Palette(Vec<u32>),
    Gradient,
}

impl Tight {
    pub fn new() -> Self {
        Tight { streams: std::array::from_fn(|_| Inflate::new("Tight")) }
    }

    /// Reads and paints a whole rectangle; until all of it is there nothing changes.
    pub fn rectangle(
        &mut self,
        reader: &mut Reader,
        rect: Rect,
        surface: &mut dyn Surface,
    ) -> Result<(), Stop> {
        let control = reader.u8()?;
        match control >> 4 {
            0b1000 => {
                let pixel = reader.tpixel()?;
                self.reset(control);
                surface.fill(rect, pixel);
            }
            0b1001 => {
                let length = compact_length(reader)?;
                let jpeg = reader.take(length)?;
                self.reset(control);
                surface.rows(rect, &jpeg_pixels(jpeg, rect)?);
            }
            kind @ 0..=7 => {
                let filter = if kind & 4 != 0 { read_filter(reader)? } else { Filter::Copy };
                let row_bytes = filter.row_bytes(rect.width);
                let whole = row_bytes * rect.height as usize;
                if whole < LEAST_COMPRESSED {
                    let data = reader.take(whole)?;
                    self.reset(control);
                    let mut rows = data.chunks_exact(row_bytes.max(1));
                    return Ok(filter.paint(rect, surface, |row| {
                        row.copy_from_slice(rows.next().unwrap_or_default());
                        Ok(())
                    })?);
                }
                let length = compact_length(reader)?;
                let data = reader.take(length)?;
                self.reset(control);
                let stream = &mut self.streams[usize::from(kind & 3)];
                let mut used = 0;
                filter.paint(rect, surface, |row| {
                    used += stream.fill(&data[used..], row)?;
                    Ok(())
                })?;
                used += stream.finish(&data[used..])?;
                if used < data.len() {
                    return Err(RfbError::ZlibTooMuch("Tight").into());
                }
            }
            other => {
                let what = "the kind of compression of a Tight rectangle";
                return Err(RfbError::Meaningless { what, value: other.into() }.into());
            }
        }
        Ok(())
    }

    fn reset(&mut self, control: u8) {
        let named = self.streams.iter_mut().enumerate().filter(|(index, _)| control >> index & 1 == 1);
        named.for_each(|(_, stream)| stream.reset());
    }
}

/// A length in 7, 14 or 22 bits.
fn compact_length(reader: &mut Reader) -> Result<usize, Stop> {
    let first = usize::from(reader.u8()?);
    let second = if first & 0x80 != 0 { usize::from(reader.u8()?) } else { 0 };
    let third = if second & 0x80 != 0 { usize::from(reader.u8()?) } else { 0 };
    Ok(first & 0x7f | (second & 0x7f) << 7 | third << 14)
}

fn read_filter(reader: &mut Reader) -> Result<Filter, Stop> {
    Ok(match reader.u8()? {
        0 => Filter::Copy,
        1 => {
            let size = usize::from(reader.u8()?) + 1;
            Filter::Palette((0..size).map(|_| reader.tpixel()).collect::<Result<_, Stop>>()?)
        }
        2 => Filter::Gradient,
        other => return Err(RfbError::Meaningless { what: "a Tight filter", value: other.into() }.into()),
    })
}

impl Filter {
    fn row_bytes(&self, width: u32) -> usize {
        let width = width as usize;
        match self {
            Filter::Copy | Filter::Gradient => width * 3,
            Filter::Palette(palette) if palette.len() <= 2 => width.div_ceil(8),
            Filter::Palette(_) => width,
        }
    }

    /// Paints rows, whose bytes `next` brings one after the other.
    fn paint(
        &self,
        rect: Rect,
        surface: &mut dyn Surface,
        mut next: impl FnMut(&mut [u8]) -> Result<(), RfbError>,
    ) -> Result<(), RfbError> {
        let mut bytes = vec![0; self.row_bytes(rect.width)];
        let mut pixels = vec![0u32; rect.width as usize];
        for y in rect.y..rect.bottom() {
            next(&mut bytes)?;
            match self {
                Filter::Copy => {
                    let (packed, _) = bytes.as_chunks::<3>();
                    pixels.iter_mut().zip(packed).for_each(|(pixel, &[r, g, b])| {
                        *pixel = u32::from_le_bytes([b, g, r, 0]);
                    });
                }
                Filter::Palette(palette) => indexed(palette, &bytes, &mut pixels)?,
                // `pixels` still holds the row above, black above the first.
                Filter::Gradient => gradient(&bytes, &mut pixels),
            }
            surface.row(rect.x, y, &pixels);
        }
        Ok(())
    }
}

fn indexed(palette: &[u32], bytes: &[u8], pixels: &mut [u32]) -> Result<(), RfbError> {
    let two = palette.len() <= 2;
    for (x, pixel) in pixels.iter_mut().enumerate() {
        let index = if two { bytes[x / 8] >> (7 - x % 8) & 1 } else { bytes[x] };
        let colour = palette.get(usize::from(index)).copied();
        let what = "a colour of a Tight palette";
        *pixel = colour.ok_or(RfbError::Meaningless { what, value: index.into() })?;
    }
    Ok(())
}

/// Adds to each pixel what the ones to the left, above, and above to the left let expect.
fn gradient(bytes: &[u8], pixels: &mut [u32]) {
    let channels = |pixel: u32| {
        let [b, g, r, _] = pixel.to_le_bytes();
        [r, g, b]
    };
    let (mut left, mut corner) = ([0u8; 3], [0u8; 3]);
    let (differences, _) = bytes.as_chunks::<3>();
    for (pixel, difference) in pixels.iter_mut().zip(differences) {
        let above = channels(*pixel);
        let [r, g, b] = std::array::from_fn(|c| {
            let expected = i16::from(left[c]) + i16::from(above[c]) - i16::from(corner[c]);
            (expected.clamp(0, 255) as u8).wrapping_add(difference[c])
        });
        (left, corner) = ([r, g, b], above);
        *pixel = u32::from_le_bytes([b, g, r, 0]);
    }
}

fn jpeg_pixels(jpeg: &[u8], rect: Rect) -> Result<Vec<u32>, RfbError> {
    if rect.area() > MAX_JPEG_PIXELS {
        let what = "the area of a JPEG rectangle";
        return Err(RfbError::TooMuch { what, value: rect.area(), limit: MAX_JPEG_PIXELS });
    }
    let (width, height) = (rect.width as usize, rect.height as usize);
    let options = DecoderOptions::default()
        .set_max_width(width)
        .set_max_height(height)
        .jpeg_set_max_scans(64)
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(jpeg), options);
    let bytes = decoder.decode().map_err(|error| RfbError::Jpeg(error.to_string()))?;
    let (packed, _) = bytes.as_chunks::<3>();
    if decoder.dimensions() != Some((width, height)) || packed.len() != width * height {
        return Err(RfbError::Jpeg(format!("it is not of {width}x{height} pixels")));
    }
    Ok(packed.iter().map(|&[r, g, b]| u32::from_le_bytes([b, g, r, 0])).collect())
}
