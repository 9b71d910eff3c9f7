//! A server's half of the encodings, written from their description: what tests and fuzzers decode must be what was
//! encoded here. It chooses among an encoding's ways as it is told, not for smallness.

use super::encodings;
use crate::screen::{Framebuffer, Rect};
use flate2::{Compress, Compression, FlushCompress};

/// How a rectangle is encoded; `way` picks among an encoding's ways, where the pixels allow it.
#[derive(Clone, Copy, Debug)]
pub struct How {
    pub encoding: i32,
    pub way: u8,
}

/// An encoder with the streams that last.
pub struct Oracle {
    zrle: Compress,
    tight: [Compress; 4],
}

impl Default for Oracle {
    fn default() -> Self {
        let stream = || Compress::new(Compression::fast(), true);
        Oracle { zrle: stream(), tight: std::array::from_fn(|_| stream()) }
    }
}

/// An update of so many rectangles begins.
pub fn begin_update(count: u16, out: &mut Vec<u8>) {
    out.extend([0, 0]);
    out.extend(count.to_be_bytes());
}

fn head(rect: Rect, encoding: i32, out: &mut Vec<u8>) {
    for value in [rect.x, rect.y, rect.width, rect.height] {
        out.extend((value as u16).to_be_bytes());
    }
    out.extend(encoding.to_be_bytes());
}

/// A rectangle that is copied from elsewhere on the screen.
pub fn copy_rect(rect: Rect, from: (u32, u32), out: &mut Vec<u8>) {
    head(rect, encodings::COPY_RECT, out);
    out.extend((from.0 as u16).to_be_bytes());
    out.extend((from.1 as u16).to_be_bytes());
}

fn deflate(stream: &mut Compress, plain: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(plain.len() + plain.len() / 100 + 1_024);
    let before = stream.total_in();
    loop {
        out.reserve(1_024);
        let used = (stream.total_in() - before) as usize;
        stream.compress_vec(&plain[used..], &mut out, FlushCompress::Sync).unwrap();
        if (stream.total_in() - before) as usize == plain.len() && out.len() < out.capacity() {
            return out;
        }
    }
}

fn pixels_of(screen: &Framebuffer, rect: Rect) -> Vec<u32> {
    (rect.y..rect.bottom()).flat_map(|y| screen.row(rect.x, y, rect.width).to_vec()).collect()
}

fn palette_of(pixels: &[u32]) -> Vec<u32> {
    let mut palette = pixels.to_vec();
    palette.sort_unstable();
    palette.dedup();
    palette
}

fn index(palette: &[u32], pixel: u32) -> u8 {
    palette.binary_search(&pixel).unwrap() as u8
}

/// Blue, green, red.
fn cpixel(pixel: u32, out: &mut Vec<u8>) {
    out.extend(&pixel.to_le_bytes()[..3]);
}

/// Red, green, blue.
fn tpixel(pixel: u32, out: &mut Vec<u8>) {
    let [b, g, r, _] = pixel.to_le_bytes();
    out.extend([r, g, b]);
}

/// Indices of some bits each, in rows that begin with a byte.
fn packed(indices: &[u8], width: usize, bits: usize, out: &mut Vec<u8>) {
    for row in indices.chunks(width) {
        for group in row.chunks(8 / bits) {
            let byte = group.iter().enumerate().map(|(at, index)| index << (8 - bits - at * bits));
            out.push(byte.fold(0, |byte, bits| byte | bits));
        }
    }
}

/// Pixels and how often they follow one another.
fn runs(pixels: &[u32]) -> Vec<(u32, usize)> {
    pixels.chunk_by(|a, b| a == b).map(|run| (run[0], run.len())).collect()
}

fn run_length(length: usize, out: &mut Vec<u8>) {
    out.extend(std::iter::repeat_n(255u8, (length - 1) / 255));
    out.push(((length - 1) % 255) as u8);
}

impl Oracle {
    /// Appends a rectangle of the screen.
    pub fn rectangle(&mut self, screen: &Framebuffer, rect: Rect, how: How, out: &mut Vec<u8>) {
        head(rect, how.encoding, out);
        match how.encoding {
            encodings::HEXTILE => {
                tiles(rect, 16, |tile| hextile(&pixels_of(screen, tile), tile, how.way, out));
            }
            encodings::ZRLE => {
                let mut plain = Vec::new();
                tiles(rect, 64, |tile| zrle(&pixels_of(screen, tile), tile.width, how.way, &mut plain));
                let compressed = deflate(&mut self.zrle, &plain);
                out.extend((compressed.len() as u32).to_be_bytes());
                out.extend(compressed);
            }
            encodings::TIGHT => self.tight(&pixels_of(screen, rect), rect, how.way, out),
            _ => pixels_of(screen, rect).iter().for_each(|pixel| out.extend(pixel.to_le_bytes())),
        }
    }

    fn tight(&mut self, pixels: &[u32], rect: Rect, way: u8, out: &mut Vec<u8>) {
        let palette = palette_of(pixels);
        if palette.len() == 1 && way & 1 == 0 {
            out.push(0x80);
            return tpixel(palette[0], out);
        }
        let number = way >> 4 & 3;
        let mut control = number << 4;
        // A stream may begin anew; the server's half has to as well.
        if way & 0x80 != 0 {
            control |= 1 << number;
            self.tight[usize::from(number)].reset();
        }
        let mut plain = Vec::new();
        match way & 3 {
            1 if palette.len() <= 256 => {
                out.extend([control | 0x40, 1, (palette.len() - 1) as u8]);
                palette.iter().for_each(|&pixel| tpixel(pixel, out));
                let indices: Vec<u8> = pixels.iter().map(|&pixel| index(&palette, pixel)).collect();
                match palette.len() {
                    ..=2 => packed(&indices, rect.width as usize, 1, &mut plain),
                    _ => plain = indices,
                }
            }
            2 => {
                out.extend([control | 0x40, 2]);
                plain = gradient(pixels, rect.width as usize);
            }
            way => {
                if way == 3 {
                    out.extend([control | 0x40, 0]);
                } else {
                    out.push(control);
                }
                pixels.iter().for_each(|&pixel| tpixel(pixel, &mut plain));
            }
        }
        if plain.len() < 12 {
            return out.extend(plain);
        }
        let data = deflate(&mut self.tight[usize::from(number)], &plain);
        let length = data.len();
        out.push(length as u8 & 0x7f | u8::from(length > 0x7f) << 7);
        if length > 0x7f {
            out.push((length >> 7) as u8 & 0x7f | u8::from(length > 0x3fff) << 7);
        }
        if length > 0x3fff {
            out.push((length >> 14) as u8);
        }
        out.extend(data);
    }
}

fn tiles(rect: Rect, side: u32, mut tile: impl FnMut(Rect)) {
    for y in (rect.y..rect.bottom()).step_by(side as usize) {
        for x in (rect.x..rect.right()).step_by(side as usize) {
            tile(Rect::new(x, y, side.min(rect.right() - x), side.min(rect.bottom() - y)));
        }
    }
}

fn hextile(pixels: &[u32], tile: Rect, way: u8, out: &mut Vec<u8>) {
    let width = tile.width as usize;
    let background = pixels[0];
    // Every run that is not background is a rectangle of one row.
    let mut parts = Vec::new();
    for (y, row) in pixels.chunks(width).enumerate() {
        let mut x = 0;
        for (pixel, length) in runs(row) {
            if pixel != background {
                parts.push((pixel, [(x << 4 | y) as u8, ((length - 1) << 4) as u8]));
            }
            x += length;
        }
    }
    if way & 1 == 1 || parts.len() > 255 {
        out.push(1);
        return pixels.iter().for_each(|pixel| out.extend(pixel.to_le_bytes()));
    }
    let coloured = parts.iter().any(|(pixel, _)| *pixel != parts[0].0) || way & 2 == 2;
    let kind = 2 | if parts.is_empty() { 0 } else { 8 } | if coloured { 16 } else { 4 };
    out.push(kind);
    out.extend(background.to_le_bytes());
    if !coloured {
        out.extend(parts.first().map_or(0, |(pixel, _)| *pixel).to_le_bytes());
    }
    if !parts.is_empty() {
        out.push(parts.len() as u8);
    }
    for (pixel, place) in parts {
        if coloured {
            out.extend(pixel.to_le_bytes());
        }
        out.extend(place);
    }
}

fn zrle(pixels: &[u32], width: u32, way: u8, out: &mut Vec<u8>) {
    let palette = palette_of(pixels);
    let size = palette.len();
    match way % 4 {
        0 if size == 1 => {
            out.push(1);
            cpixel(palette[0], out);
        }
        1 if (2..=16).contains(&size) => {
            out.push(size as u8);
            palette.iter().for_each(|&pixel| cpixel(pixel, out));
            let indices: Vec<u8> = pixels.iter().map(|&pixel| index(&palette, pixel)).collect();
            let bits = if size == 2 {
                1
            } else if size <= 4 {
                2
            } else {
                4
            };
            packed(&indices, width as usize, bits, out);
        }
        2 => {
            out.push(128);
            for (pixel, length) in runs(pixels) {
                cpixel(pixel, out);
                run_length(length, out);
            }
        }
        3 if (2..=127).contains(&size) => {
            out.push(128 + size as u8);
            palette.iter().for_each(|&pixel| cpixel(pixel, out));
            for (pixel, length) in runs(pixels) {
                let index = index(&palette, pixel);
                if length == 1 {
                    out.push(index);
                } else {
                    out.push(index | 128);
                    run_length(length, out);
                }
            }
        }
        _ => {
            out.push(0);
            pixels.iter().for_each(|&pixel| cpixel(pixel, out));
        }
    }
}

fn gradient(pixels: &[u32], width: usize) -> Vec<u8> {
    let channel = |x: usize, y: usize, c: usize| {
        // Beyond the left and the upper edge everything is black.
        let inside = x > 0 && y > 0;
        let pixel = if inside { pixels[(y - 1) * width + x - 1] } else { 0 };
        i32::from(pixel.to_be_bytes()[1 + c])
    };
    let mut out = Vec::with_capacity(pixels.len() * 3);
    for at in 0..pixels.len() {
        let (x, y) = (at % width + 1, at / width + 1);
        for c in 0..3 {
            let expected = channel(x - 1, y, c) + channel(x, y - 1, c) - channel(x - 1, y - 1, c);
            out.push((channel(x, y, c) - expected.clamp(0, 255)) as u8);
        }
    }
    out
}
