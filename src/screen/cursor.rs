//! Cursors as sources have them.

/// A cursor's picture. Pixels are premultiplied ARGB (`0xAARRGGBB`), row by row, `width * height` of them.
#[derive(Clone, PartialEq, Eq)]
pub struct CursorShape {
    pub width: u16,
    pub height: u16,
    pub hot_x: u16,
    pub hot_y: u16,
    pub pixels: Vec<u32>,
}
