//! Hextile: tiles of 16 pixels a side, raw or as rectangles on a background.

use super::inbox::{Reader, Stop};
use super::{RfbError, Surface};
use crate::screen::Rect;

const SIDE: u32 = 16;
const RAW: u8 = 1;
const BACKGROUND: u8 = 2;
const FOREGROUND: u8 = 4;
const RECTANGLES: u8 = 8;
const COLOURED: u8 = 16;

/// A rectangle that is being decoded.
pub(super) struct Progress {
    rect: Rect,
    tile: (u32, u32),
    /// Which last from tile to tile.
    background: u32,
    foreground: u32,
}

impl Progress {
    pub fn new(rect: Rect) -> Self {
        let nothing = rect.is_empty();
        Progress { rect, tile: (0, if nothing { rect.height } else { 0 }), background: 0, foreground: 0 }
    }

    pub fn is_done(&self) -> bool {
        self.tile.1 >= self.rect.height
    }

    /// Paints the next tile.
    pub fn tile(&mut self, reader: &mut Reader, surface: &mut dyn Surface) -> Result<(), Stop> {
        let (x, y) = self.tile;
        let (width, height) = (SIDE.min(self.rect.width - x), SIDE.min(self.rect.height - y));
        let place = Rect::new(self.rect.x + x, self.rect.y + y, width, height);
        let kind = reader.u8()?;
        let pixels = if kind & RAW != 0 {
            let (raw, _) = reader.take(place.area() as usize * 4)?.as_chunks::<4>();
            raw.iter().map(|&pixel| u32::from_le_bytes(pixel) & 0x00ff_ffff).collect()
        } else {
            // Nothing may change before all of the tile is there.
            let background = if kind & BACKGROUND != 0 { reader.pixel()? } else { self.background };
            let mut foreground = if kind & FOREGROUND != 0 { reader.pixel()? } else { self.foreground };
            let mut pixels = vec![background; place.area() as usize];
            let count = if kind & RECTANGLES != 0 { reader.u8()? } else { 0 };
            for _ in 0..count {
                if kind & COLOURED != 0 {
                    foreground = reader.pixel()?;
                }
                let part = part(reader, width, height)?;
                for y in part.y..part.bottom() {
                    let start = (y * width + part.x) as usize;
                    pixels[start..start + part.width as usize].fill(foreground);
                }
            }
            self.background = background;
            if kind & COLOURED == 0 {
                self.foreground = foreground;
            }
            pixels
        };
        surface.rows(place, &pixels);
        self.tile = if x + SIDE < self.rect.width { (x + SIDE, y) } else { (0, y + SIDE) };
        Ok(())
    }
}

/// A rectangle within a tile.
fn part(reader: &mut Reader, width: u32, height: u32) -> Result<Rect, Stop> {
    let [place, size] = [u32::from(reader.u8()?), u32::from(reader.u8()?)];
    let part = Rect::new(place >> 4, place & 15, (size >> 4) + 1, (size & 15) + 1);
    if part.right() > width || part.bottom() > height {
        let Rect { x, y, width: w, height: h } = part;
        let (screen_width, screen_height) = (width, height);
        return Err(RfbError::Outside { x, y, width: w, height: h, screen_width, screen_height }.into());
    }
    Ok(part)
}
