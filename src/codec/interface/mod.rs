//! Interface tiles: one palette for the payload, rows that repeat or are of one colour only flagged, the
//! other rows as strips of colour indices, column by column, so that a glyph is one long match for zstd.

mod decode;
mod encode;
mod palette;

pub(super) use decode::InterfaceDecoder;
pub(super) use encode::InterfaceEncoder;

/// What a tile's row is. Four rows to a byte, the first in the lowest bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Row {
    /// The same as the row above.
    Same = 0,
    /// Of one colour.
    Solid = 1,
    /// Part of a strip: consecutive rows of this kind are one strip.
    Strip = 2,
}

/// The most colours of a payload: beyond it tiles are coded as natural content.
const MAX_COLOURS: usize = 8192;
