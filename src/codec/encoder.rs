//! The encoder: each tile to its class, each class to its section.

use super::classify::classify;
use super::context::{Beginning, ContextEncoder, ContextModel, Reach};
use super::entropy::Packer;
use super::interface::InterfaceEncoder;
use super::natural::NaturalEncoder;
use super::payload::{Class, write_classes};
use crate::screen::{Framebuffer, Rect, TileId};

/// What became of the tiles of a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct EncodeStats {
    pub interface_tiles: u32,
    pub grey_tiles: u32,
    pub colour_tiles: u32,
    /// Bytes of the palette, flags and indices of interface tiles.
    pub interface_bytes: usize,
    /// Bytes of the predicted planes of grey and colour tiles.
    pub natural_bytes: usize,
    /// The parts were context-coded, so another payload may go on from there.
    pub learnt: bool,
}

/// Encodes tiles. Keep one and use it again: its buffers and tables are reused.
pub struct Encoder {
    packer: Packer,
    interface: InterfaceEncoder,
    natural: NaturalEncoder,
    context: ContextEncoder,
    classes: Vec<Class>,
    small: Vec<Rect>,
    scratch: Vec<u8>,
}

impl Default for Encoder {
    fn default() -> Self {
        Encoder::new()
    }
}

impl Encoder {
    pub fn new() -> Self {
        Encoder {
            packer: Packer::new(),
            interface: InterfaceEncoder::new(),
            natural: NaturalEncoder::new(),
            context: ContextEncoder::new(),
            classes: Vec::new(),
            small: Vec::new(),
            scratch: Vec::new(),
        }
    }

    /// Appends to `out` a payload with the pixels of `tiles`, which must be of the framebuffer's grid.
    /// The decoder needs the same tiles in the same order; ascending compresses best.
    pub fn encode(&mut self, framebuffer: &Framebuffer, tiles: &[TileId], out: &mut Vec<u8>) -> EncodeStats {
        let grid = framebuffer.grid();
        self.encode_sections(framebuffer, tiles.iter().map(|&tile| grid.rect(tile)), out)
    }

    /// The same for any rectangles of the framebuffer that are no larger than a tile, such as parts of tiles, for a decoder
    /// that knows content context-coded with this reach. It needs the same rectangles in the same order, and the same
    /// beginning.
    pub fn encode_parts(
        &mut self,
        framebuffer: &Framebuffer,
        parts: impl Iterator<Item = Rect> + Clone,
        reach: Reach,
        beginning: Beginning,
        out: &mut Vec<u8>,
    ) -> EncodeStats {
        let area: u64 = parts.clone().map(|part| part.area()).sum();
        if area <= beginning.most_pixels()
            && let Some(stats) = self.encode_small(framebuffer, parts.clone(), reach, beginning, out)
        {
            return stats;
        }
        self.encode_sections(framebuffer, parts, out)
    }

    /// What was learnt of the last payload, if [`EncodeStats::learnt`]; `spare` is used from now on.
    pub fn learnt(&mut self, spare: Box<ContextModel>) -> Box<ContextModel> {
        self.context.learnt(spare)
    }

    /// All parts context-coded; `None`, with nothing appended, if some are natural, the colours too many, or only one: a
    /// palette says that in fewer bytes.
    fn encode_small(
        &mut self,
        framebuffer: &Framebuffer,
        parts: impl Iterator<Item = Rect>,
        reach: Reach,
        beginning: Beginning,
        out: &mut Vec<u8>,
    ) -> Option<EncodeStats> {
        self.small.clear();
        self.small.extend(parts);
        let Rect { x, y, .. } = *self.small.first()?;
        let colour = framebuffer.row(x, y, 1)[0];
        let is_plain = |part: &Rect| {
            (part.y..part.bottom())
                .all(|y| framebuffer.row(part.x, y, part.width).iter().all(|pixel| *pixel == colour))
        };
        let is_interface = |part: &Rect| classify(framebuffer, part) == Class::Interface;
        if self.small.iter().all(is_plain) || !self.small.iter().all(is_interface) {
            return None;
        }
        self.scratch.clear();
        if !self.context.encode(framebuffer, &self.small, reach, beginning, &mut self.scratch) {
            return None;
        }
        self.classes.clear();
        self.classes.resize(self.small.len(), reach.class());
        write_classes(&self.classes, out);
        out.extend_from_slice(&self.scratch);
        let (interface_tiles, interface_bytes) = (self.small.len() as u32, self.scratch.len());
        Some(EncodeStats { interface_tiles, interface_bytes, learnt: true, ..EncodeStats::default() })
    }

    pub(super) fn encode_sections(
        &mut self,
        framebuffer: &Framebuffer,
        parts: impl Iterator<Item = Rect>,
        out: &mut Vec<u8>,
    ) -> EncodeStats {
        let mut stats = EncodeStats::default();
        self.classes.clear();
        self.interface.start();
        self.natural.start();
        for rect in parts {
            let mut class = classify(framebuffer, &rect);
            // A palette that grew too long sends the tile to the planes instead.
            if class == Class::Interface && !self.interface.add(framebuffer, &rect) {
                class = Class::Colour;
            }
            match class {
                Class::Interface | Class::NearContext | Class::FarContext => stats.interface_tiles += 1,
                Class::Grey => stats.grey_tiles += 1,
                Class::Colour => stats.colour_tiles += 1,
            }
            if class != Class::Interface {
                self.natural.add(framebuffer, &rect, class);
            }
            self.classes.push(class);
        }
        write_classes(&self.classes, out);
        let start = out.len();
        if stats.interface_tiles > 0 {
            self.interface.finish(&mut self.packer, out);
        }
        stats.interface_bytes = out.len() - start;
        if stats.grey_tiles + stats.colour_tiles > 0 {
            self.natural.finish(&mut self.packer, out);
        }
        stats.natural_bytes = out.len() - start - stats.interface_bytes;
        stats
    }
}
