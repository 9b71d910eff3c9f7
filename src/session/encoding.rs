use crate::codec::{Beginning, Encoder, Packed, Reach};
use crate::screen::{Framebuffer, TileId};
use crate::sync::{Scene, Teaching};
use crate::wire::{TilePart, UpdateHeader};
use bytes::Bytes;
use std::sync::Arc;

/// Payloads that may be wanted again by another viewer in the same state.
const REMEMBERED: usize = 4;

/// Encodes tiles once for all viewers that need the same ones.
pub(super) struct Encoding {
    encoder: Encoder,
    recent: Vec<Payload>,
    scratch: Vec<u8>,
}

struct Payload {
    generation: u64,
    tiles: Vec<TileId>,
    parts: Vec<TilePart>,
    reach: Reach,
    bytes: Bytes,
}

impl Encoding {
    pub fn new() -> Self {
        Encoding { encoder: Encoder::new(), recent: Vec::new(), scratch: Vec::new() }
    }

    /// The pixels of an update's tiles as they are in the scene now. `shared`: somebody else may want the same.
    pub fn payload(&mut self, scene: &mut Scene, header: &UpdateHeader, reach: Reach, shared: bool) -> Bytes {
        let UpdateHeader { tiles, parts, .. } = header;
        if tiles.is_empty() {
            return Bytes::new();
        }
        if let Some(payload) =
            scene.rested().filter(|_| tiles.len() == scene.grid().len() && parts.is_empty())
        {
            return Bytes::copy_from_slice(payload);
        }
        let generation = scene.generation();
        let known = self.recent.iter().find(|p| {
            let same_reach = parts.is_empty() || p.reach == reach;
            p.generation == generation && p.tiles == *tiles && p.parts == *parts && same_reach
        });
        if let Some(known) = known {
            return known.bytes.clone();
        }
        self.scratch.clear();
        // Who takes parts of tiles also knows how small ones are coded.
        let (framebuffer, alone) = (scene.framebuffer(), Beginning::Alone);
        match parts.is_empty() {
            true => self.encoder.encode(framebuffer, tiles, &mut self.scratch),
            false => self.encoder.encode_parts(framebuffer, header.places(), reach, alone, &mut self.scratch),
        };
        let bytes = Bytes::copy_from_slice(&self.scratch);
        if shared {
            if self.recent.len() == REMEMBERED {
                self.recent.remove(0);
            }
            self.recent.push(Payload {
                generation,
                tiles: tiles.clone(),
                parts: parts.clone(),
                reach,
                bytes: bytes.clone(),
            });
        }
        bytes
    }

    /// The same for one viewer alone and an update with parts: those go on from what it was taught.
    pub fn taught(
        &mut self,
        scene: &mut Scene,
        header: &mut UpdateHeader,
        reach: Reach,
        teaching: &mut Teaching,
    ) -> Bytes {
        self.scratch.clear();
        teaching.encode(&mut self.encoder, scene.framebuffer(), header, reach, &mut self.scratch);
        Bytes::copy_from_slice(&self.scratch)
    }

    /// The session rests: neither pixels nor what was encoded of them are worth their memory.
    pub fn rest(&mut self, scene: &mut Scene) -> Option<(Framebuffer, Arc<Packed>)> {
        let rested = scene.rest(&mut self.encoder);
        *self = Encoding::new();
        rested
    }
}
