//! Pixels and what changed in them: framebuffers, rectangles, the tile grid, tile hashes, damage,
//! and moved content. Pure: this room knows nothing of codecs, wires or sessions.

mod framebuffer;
mod grid;
mod hash;
mod rect;

pub use framebuffer::{Framebuffer, SizeError};
pub use grid::{Grid, TILE, TileId, TileSet};
pub use hash::{HashKey, TileHash, hash_tile};
pub use rect::Rect;

/// The longest side of a screen, in pixels.
pub const MAX_SIDE: u32 = 16_384;
/// The most pixels that a screen may have: 8K UHD (7680 x 4320).
pub const MAX_PIXELS: u32 = 7_680 * 4_320;
mod damage;
mod moves;
pub use damage::{copy_tiles, find_changes};
pub use moves::{Move, MoveFinder};
