//! Pixels and what changed in them: framebuffers, rectangles, the tile grid, tile hashes, damage,
//! and moved content. Pure: this room knows nothing of codecs, wires or sessions.

mod cursor;
mod damage;
mod framebuffer;
mod grid;
mod hash;
mod moves;
mod rect;

pub use cursor::CursorShape;
pub use damage::{copy_tiles, difference, find_changes};
pub use framebuffer::{Framebuffer, SizeError};
pub use grid::{Grid, TILE, TileId, TileSet};
pub use hash::{HashKey, TileHash, hash_tile};
#[cfg(any(test, fuzzing))]
pub use moves::check_moves;
pub use moves::{MAX_MOVES, Move, MoveFinder, ToldMoves};
pub use rect::Rect;

/// The longest side of a screen, in pixels.
pub const MAX_SIDE: u32 = 16_384;
/// The most pixels that a screen may have: 8K UHD (7680 x 4320).
pub const MAX_PIXELS: u32 = 7_680 * 4_320;
