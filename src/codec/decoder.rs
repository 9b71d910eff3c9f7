//! The decoder: classes first, then each section's tiles.

use super::entropy::Unpacker;
use super::interface::InterfaceDecoder;
use super::natural::NaturalDecoder;
use super::payload::{Class, DecodeError, Reader, read_classes};
use crate::screen::{Grid, Rect, TileId};

/// Decodes payloads. Keep one and use it again: its buffers are reused.
pub struct Decoder {
    unpacker: Unpacker,
    interface: InterfaceDecoder,
    natural: NaturalDecoder,
    classes: Vec<Class>,
}

impl Default for Decoder {
    fn default() -> Self {
        Decoder::new()
    }
}

impl Decoder {
    pub fn new() -> Self {
        Decoder {
            unpacker: Unpacker::new(),
            interface: InterfaceDecoder::new(),
            natural: NaturalDecoder::new(),
            classes: Vec::new(),
        }
    }

    /// Decodes a payload that holds exactly `tiles` of `grid`, in this order.
    ///
    /// `sink` is called once a tile with its index in `tiles`, its place, and its pixels, row by row
    /// without gaps; interface tiles come first, then the others. A damaged payload ends in an error,
    /// perhaps after some tiles were handed over: those may be wrong, and must be asked for again.
    /// Memory is bounded by the tiles' pixels, whatever the payload says.
    pub fn decode(
        &mut self,
        payload: &[u8],
        grid: Grid,
        tiles: &[TileId],
        mut sink: impl FnMut(usize, &Rect, &[u32]),
    ) -> Result<(), DecodeError> {
        if let Some(&tile) = tiles.iter().find(|&&tile| tile as usize >= grid.len()) {
            return Err(DecodeError::NoSuchTile(tile));
        }
        let mut reader = Reader::new(payload);
        read_classes(&mut reader, tiles.len(), &mut self.classes)?;
        let classes = &self.classes;
        let places = || {
            tiles.iter().zip(classes).enumerate().map(|(index, (&tile, &class))| Placed {
                index,
                rect: grid.rect(tile),
                class,
            })
        };
        let interface = || places().filter(|tile| tile.class == Class::Interface);
        if interface().next().is_some() {
            self.interface.decode(&mut self.unpacker, &mut reader, interface, &mut sink)?;
        }
        let natural = || places().filter(|tile| tile.class != Class::Interface);
        if natural().next().is_some() {
            self.natural.decode(&mut self.unpacker, &mut reader, natural, &mut sink)?;
        }
        reader.end()
    }
}

/// A tile of a payload: its index among the payload's tiles, where it lies, and how it is coded.
#[derive(Clone, Copy)]
pub(super) struct Placed {
    pub(super) index: usize,
    pub(super) rect: Rect,
    pub(super) class: Class,
}
