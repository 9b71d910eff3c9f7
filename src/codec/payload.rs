//! The payload's small change: tile classes, lengths, and what can be wrong with a payload.

use crate::screen::Rect;

/// Why a payload is not the pixels of the tiles that it was said to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("reading a tile payload: it ends early; ask for the tiles again")]
    Truncated,
    #[error("reading a tile payload: {0} bytes are left over; ask for the tiles again")]
    TrailingBytes(usize),
    #[error("reading a tile payload: tile class {0} is unknown; this viewer is older than its gateway")]
    UnknownClass(u8),
    #[error("reading a tile payload: its classes cover more tiles than the {0} of the update")]
    TooManyTiles(usize),
    #[error("reading a tile payload: tile {0} is not of the grid")]
    NoSuchTile(u32),
    #[error("reading a tile payload: {0:?} is no part of a tile")]
    NoSuchPart(Rect),
    #[error("reading a tile payload: {what} is {value}, but at most {limit} is possible")]
    OutOfRange { what: &'static str, value: u64, limit: u64 },
    #[error("reading a tile payload: a compressed part is damaged or not {expected} bytes long")]
    Compressed { expected: usize },
    #[error("reading a tile payload: the colour indices do not fit the tiles")]
    Indices,
    #[error("reading a tile payload: its context-coded tiles are of two classes; ask for the tiles again")]
    TwoReaches,
}

/// How a tile is coded. Numbers up to [`Class::LIMIT`] can be written; those not named here are reserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// Text, lines, flat areas: indices into the payload's palette.
    Interface = 0,
    /// Natural content whose red, green and blue are equal: one predicted plane.
    Grey = 1,
    /// Natural content: three predicted planes.
    Colour = 2,
    /// Interface content of a few pixels, each coded by six around it.
    NearContext = 3,
    /// The same by sixteen.
    FarContext = 4,
}

const CLASS_BITS: u32 = 3;
const LONG_RUN: u8 = 31;

/// Writes each tile's class as runs: three bits of class, five of the run's length less one, and from 31 on
/// the rest as a varint.
pub(super) fn write_classes(classes: &[Class], out: &mut Vec<u8>) {
    for run in classes.chunk_by(|one, next| one == next) {
        let more = run.len() - 1;
        let short = more.min(LONG_RUN as usize) as u8;
        out.push(run[0] as u8 | short << CLASS_BITS);
        if short == LONG_RUN {
            write_varint((more - LONG_RUN as usize) as u64, out);
        }
    }
}

/// Reads the classes of `tiles` tiles.
pub(super) fn read_classes(
    reader: &mut Reader<'_>,
    tiles: usize,
    classes: &mut Vec<Class>,
) -> Result<(), DecodeError> {
    classes.clear();
    while classes.len() < tiles {
        let byte = reader.byte()?;
        let class = match byte & ((1 << CLASS_BITS) - 1) {
            0 => Class::Interface,
            1 => Class::Grey,
            2 => Class::Colour,
            3 => Class::NearContext,
            4 => Class::FarContext,
            unknown => return Err(DecodeError::UnknownClass(unknown)),
        };
        let mut run = u64::from(byte >> CLASS_BITS) + 1;
        if byte >> CLASS_BITS == LONG_RUN {
            run = run.saturating_add(reader.varint()?);
        }
        if run > (tiles - classes.len()) as u64 {
            return Err(DecodeError::TooManyTiles(tiles));
        }
        classes.resize(classes.len() + run as usize, class);
    }
    Ok(())
}

/// Writes an unsigned LEB128 number.
pub(super) fn write_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A payload read from the front.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(payload: &'a [u8]) -> Self {
        Reader { rest: payload }
    }

    pub(super) fn byte(&mut self) -> Result<u8, DecodeError> {
        let (&byte, rest) = self.rest.split_first().ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(byte)
    }

    /// An unsigned LEB128 number of at most five bytes.
    pub(super) fn varint(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0;
        for shift in (0..35).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(DecodeError::OutOfRange { what: "a number", value, limit: (1 << 35) - 1 })
    }

    /// A number that `what` allows to be at most `limit`.
    pub(super) fn varint_to(&mut self, limit: usize, what: &'static str) -> Result<usize, DecodeError> {
        let value = self.varint()?;
        if value > limit as u64 {
            return Err(DecodeError::OutOfRange { what, value, limit: limit as u64 });
        }
        Ok(value as usize)
    }

    pub(super) fn bytes(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(bytes)
    }

    pub(super) fn end(&self) -> Result<(), DecodeError> {
        if self.rest.is_empty() { Ok(()) } else { Err(DecodeError::TrailingBytes(self.rest.len())) }
    }
}
