use super::{Grid, MAX_PIXELS, MAX_SIDE, Rect};

/// A size that no screen may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a screen of {width}x{height} pixels is not possible: each side must be 1 to {MAX_SIDE} pixels, \
     and the whole at most {MAX_PIXELS}"
)]
pub struct SizeError {
    pub width: u32,
    pub height: u32,
}

/// A screen's pixels, row by row from the top, without gaps: the stride is `width` pixels.
///
/// A pixel is a `u32` of the value `0x00RRGGBB`, which is B, G, R, X in the bytes of a little-endian
/// machine. X is always 0, so that equal pixels are equal words.
///
/// The default is nothing at all, 0 x 0: what stays where a framebuffer was taken from to be lent elsewhere.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Framebuffer {
    width: u32,
    height: u32,
    pixels: Vec<u32>,
}

impl Framebuffer {
    /// A black screen.
    pub fn new(width: u32, height: u32) -> Result<Self, SizeError> {
        check_size(width, height)?;
        Ok(Framebuffer { width, height, pixels: vec![0; width as usize * height as usize] })
    }

    pub fn width(&self) -> u32 {
        self.width
    }

    pub fn height(&self) -> u32 {
        self.height
    }

    /// Pixels from one row to the next; rows are not padded.
    pub fn stride(&self) -> usize {
        self.width as usize
    }

    pub fn bounds(&self) -> Rect {
        Rect::new(0, 0, self.width, self.height)
    }

    pub fn grid(&self) -> Grid {
        Grid::new(self.width, self.height)
    }

    pub fn pixels(&self) -> &[u32] {
        &self.pixels
    }

    pub fn pixels_mut(&mut self) -> &mut [u32] {
        &mut self.pixels
    }

    /// `width` pixels of row `y`, from column `x`.
    pub fn row(&self, x: u32, y: u32, width: u32) -> &[u32] {
        let start = y as usize * self.stride() + x as usize;
        &self.pixels[start..start + width as usize]
    }

    pub fn row_mut(&mut self, x: u32, y: u32, width: u32) -> &mut [u32] {
        let start = y as usize * self.stride() + x as usize;
        &mut self.pixels[start..start + width as usize]
    }

    /// Copies the pixels of `from` to the same-sized rectangle at `(x, y)`; the two may overlap.
    /// Both must lie inside the screen.
    pub fn copy_within(&mut self, from: Rect, x: u32, y: u32) {
        let stride = self.stride();
        let copy_row = |pixels: &mut [u32], row: usize| {
            let source = (from.y as usize + row) * stride + from.x as usize;
            let target = (y as usize + row) * stride + x as usize;
            pixels.copy_within(source..source + from.width as usize, target);
        };
        // Downward moves go from the last row up, so that no row is overwritten before it is read.
        if y > from.y {
            (0..from.height as usize).rev().for_each(|row| copy_row(&mut self.pixels, row));
        } else {
            (0..from.height as usize).for_each(|row| copy_row(&mut self.pixels, row));
        }
    }
}

impl std::fmt::Debug for Framebuffer {
    // Pixels never reach a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Framebuffer({}x{})", self.width, self.height)
    }
}

fn check_size(width: u32, height: u32) -> Result<(), SizeError> {
    let sides = 1..=MAX_SIDE;
    if !sides.contains(&width) || !sides.contains(&height) || width * height > MAX_PIXELS {
        return Err(SizeError { width, height });
    }
    Ok(())
}
