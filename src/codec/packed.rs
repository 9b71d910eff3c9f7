use super::{Decoder, Encoder};
use crate::screen::{Framebuffer, Grid, Rect, TileId};

/// A whole framebuffer as the codec's bytes, for one that is not looked at for a while: a payload of all its tiles.
pub struct Packed {
    width: u32,
    height: u32,
    payload: Box<[u8]>,
}

impl Packed {
    pub fn pack(framebuffer: &Framebuffer, encoder: &mut Encoder) -> Packed {
        let tiles: Vec<TileId> = (0..framebuffer.grid().len() as TileId).collect();
        let mut payload = Vec::new();
        encoder.encode(framebuffer, &tiles, &mut payload);
        Packed { width: framebuffer.width(), height: framebuffer.height(), payload: payload.into() }
    }

    /// The pixels again.
    pub fn unpack(&self) -> Framebuffer {
        let mut framebuffer =
            Framebuffer::new(self.width, self.height).expect("a size that a framebuffer has had");
        let grid = Grid::new(self.width, self.height);
        let tiles: Vec<TileId> = (0..grid.len() as TileId).collect();
        let write = |_: usize, rect: &Rect, pixels: &[u32]| {
            for (row, pixels) in pixels.chunks_exact(rect.width as usize).enumerate() {
                framebuffer.row_mut(rect.x, rect.y + row as u32, rect.width).copy_from_slice(pixels);
            }
        };
        let decoded = Decoder::new().decode(&self.payload, grid, &tiles, write);
        decoded.expect("the codec reads what it wrote");
        framebuffer
    }

    /// The payload of all tiles, in order.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }
}
