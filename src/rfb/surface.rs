//! Where decoders paint.

use crate::screen::{Framebuffer, Rect, SizeError};

/// A screen that belongs to the caller. Decoders call it with what lies inside its size only.
pub trait Surface {
    fn size(&self) -> (u32, u32);
    /// Another size. The pixels may be lost: the whole screen is asked for anew.
    fn resize(&mut self, width: u32, height: u32) -> Result<(), SizeError>;
    /// Pixels `0x00RRGGBB` of row `y` from column `x` on.
    fn row(&mut self, x: u32, y: u32, pixels: &[u32]);
    /// Moves the pixels of `from` to the same-sized rectangle at `(x, y)`; the two may overlap.
    fn copy(&mut self, from: Rect, x: u32, y: u32);

    /// One colour.
    fn fill(&mut self, rect: Rect, pixel: u32) {
        let row = vec![pixel; rect.width as usize];
        for y in rect.y..rect.bottom() {
            self.row(rect.x, y, &row);
        }
    }

    /// Pixels of a rectangle, row by row.
    fn rows(&mut self, rect: Rect, pixels: &[u32]) {
        let rows = pixels.chunks_exact(rect.width.max(1) as usize);
        (rect.y..rect.bottom()).zip(rows).for_each(|(y, row)| self.row(rect.x, y, row));
    }
}

impl Surface for Framebuffer {
    fn size(&self) -> (u32, u32) {
        (self.width(), self.height())
    }

    fn resize(&mut self, width: u32, height: u32) -> Result<(), SizeError> {
        *self = Framebuffer::new(width, height)?;
        Ok(())
    }

    fn row(&mut self, x: u32, y: u32, pixels: &[u32]) {
        self.row_mut(x, y, pixels.len() as u32).copy_from_slice(pixels);
    }

    fn copy(&mut self, from: Rect, x: u32, y: u32) {
        self.copy_within(from, x, y);
    }
}
