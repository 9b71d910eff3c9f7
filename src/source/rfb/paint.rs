//! A session's canvas as the surface that a decoder paints on.

use crate::rfb::Surface;
use crate::screen::{Rect, SizeError};
use crate::source::Painting;

pub(super) struct Paint<'a>(pub &'a mut Painting);

impl Surface for Paint<'_> {
    fn size(&self) -> (u32, u32) {
        (self.0.framebuffer.width(), self.0.framebuffer.height())
    }

    fn resize(&mut self, width: u32, height: u32) -> Result<(), SizeError> {
        self.0.resize(width, height)
    }

    fn row(&mut self, x: u32, y: u32, pixels: &[u32]) {
        self.0.paint_row(x, y, pixels);
    }

    fn copy(&mut self, from: Rect, x: u32, y: u32) {
        self.0.copy(from, x, y);
    }
}
