//! The decoder: classes first, then each section's tiles.

use super::context::{Beginning, ContextDecoder, ContextModel, Reach};
use super::entropy::Unpacker;
use super::interface::InterfaceDecoder;
use super::natural::NaturalDecoder;
use super::payload::{Class, DecodeError, Reader, read_classes};
use crate::screen::{Grid, Rect, TILE, TileId};

/// Decodes payloads. Keep one and use it again: its buffers are reused.
pub struct Decoder {
    unpacker: Unpacker,
    interface: InterfaceDecoder,
    natural: NaturalDecoder,
    context: ContextDecoder,
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
            context: ContextDecoder::new(),
            classes: Vec::new(),
        }
    }

    /// Decodes a payload that holds exactly `tiles` of `grid`, in this order.
    ///
    /// `sink` is called once a tile with its index in `tiles`, its place, and its pixels, row by row
    /// without gaps; interface tiles come first, then natural, then context-coded ones. A damaged payload ends in an error,
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
        self.decode_places(payload, tiles.len(), |index| grid.rect(tiles[index]), Beginning::Alone, &mut sink)
    }

    /// The same for a payload that holds exactly `parts`: rectangles no larger than a tile, as
    /// [`super::Encoder::encode_parts`] was given them, with the same beginning.
    pub fn decode_parts(
        &mut self,
        payload: &[u8],
        parts: &[Rect],
        beginning: Beginning,
        mut sink: impl FnMut(usize, &Rect, &[u32]),
    ) -> Result<(), DecodeError> {
        if let Some(&part) = parts.iter().find(|part| part.is_empty() || part.width.max(part.height) > TILE) {
            return Err(DecodeError::NoSuchPart(part));
        }
        self.decode_places(payload, parts.len(), |index| parts[index], beginning, &mut sink)
    }

    /// What was learnt of the last payload, if all of it was context-coded; `spare` is used from now on.
    pub fn learnt(&mut self, spare: Box<ContextModel>) -> Option<Box<ContextModel>> {
        let learnt = !self.classes.is_empty() && self.classes.iter().all(|class| Reach::of(*class).is_some());
        learnt.then(|| self.context.learnt(spare))
    }

    fn decode_places(
        &mut self,
        payload: &[u8],
        count: usize,
        place: impl Fn(usize) -> Rect,
        beginning: Beginning,
        sink: &mut impl FnMut(usize, &Rect, &[u32]),
    ) -> Result<(), DecodeError> {
        let mut reader = Reader::new(payload);
        read_classes(&mut reader, count, &mut self.classes)?;
        let classes = self.classes.iter().enumerate();
        let places = || classes.clone().map(|(index, &class)| Placed { index, rect: place(index), class });
        let interface = || places().filter(|tile| tile.class == Class::Interface);
        if interface().next().is_some() {
            self.interface.decode(&mut self.unpacker, &mut reader, interface, sink)?;
        }
        let natural = || places().filter(|tile| matches!(tile.class, Class::Grey | Class::Colour));
        if natural().next().is_some() {
            self.natural.decode(&mut self.unpacker, &mut reader, natural, sink)?;
        }
        let context = || places().filter(|tile| Reach::of(tile.class).is_some());
        if let Some(reach) = context().next().and_then(|first| Reach::of(first.class)) {
            if context().any(|tile| tile.class != reach.class()) {
                return Err(DecodeError::TwoReaches);
            }
            self.context.decode(&mut reader, context, reach, beginning, sink)?;
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
