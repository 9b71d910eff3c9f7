//! Pixels to bytes and back: lossless tiles, encoder beside decoder. Pure: no wire, no session.
//!
//! A payload holds the pixels of some tiles of one framebuffer and depends on nothing else, so payloads may
//! arrive in any order; only small parts may go on from what an earlier one taught, if the caller says so. Interface content (text, lines, flat areas) becomes indices into one palette that
//! all tiles share; natural content (photographs, medical images) is predicted from its neighbours and its
//! residuals are sorted by activity; a letter or a caret is coded pixel by pixel. `docs/codec.md` is the format.

mod classify;
mod context;
mod decoder;
mod encoder;
mod entropy;
mod interface;
mod natural;
pub mod oracle;
mod packed;
mod payload;
pub mod video;

pub use classify::is_natural;
pub use context::{Beginning, ContextModel, MOST_LIVE_PIXELS, MOST_PIXELS, Reach};
pub use decoder::Decoder;
pub use encoder::{EncodeStats, Encoder};
pub use packed::Packed;
pub use payload::DecodeError;

/// The most pixels of a tile.
const TILE_PIXELS: usize = (crate::screen::TILE * crate::screen::TILE) as usize;

#[cfg(test)]
mod tests;
