//! The session's video in virtual time: what `session::Videos` does for one viewer, but with frames that take a
//! while to be made.

use bytes::Bytes;
use chevet::codec::video::{EncodedFrame, VideoEncoder};
use chevet::sync::{Delivery, Micros, Region, Scene};
use std::collections::BTreeMap;

/// A viewer's videos, by region.
#[derive(Default)]
pub struct Films(BTreeMap<u64, Film>);

struct Film {
    encoder: VideoEncoder,
    begun: bool,
    generation: u64,
    made_at: Micros,
    /// A frame that was made, and when it will be there.
    frame: Option<(Micros, Bytes)>,
}

impl Films {
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Gives the update with the next frame that is there, with its stream; has others made. `takes` is how long
    /// making one takes.
    pub fn next(
        &mut self,
        scene: &mut Scene,
        delivery: &mut Delivery,
        now: Micros,
        takes: Micros,
    ) -> Option<(chevet::wire::UpdateHeader, Bytes)> {
        let regions: Vec<Region> = scene.regions().to_vec();
        self.0.retain(|id, _| regions.iter().any(|region| region.id == *id));
        for region in &regions {
            let film = self.0.entry(region.id).or_insert_with(|| {
                delivery.watch(scene, region, now);
                Film {
                    encoder: VideoEncoder::new(region.rect.width, region.rect.height, 1_000_000).unwrap(),
                    begun: false,
                    generation: 0,
                    made_at: 0,
                    frame: None,
                }
            });
            let is_there = film.frame.as_ref().is_some_and(|(at, _)| *at <= now);
            if is_there && let Some(copies) = delivery.copies_update(scene, now) {
                return Some((copies, Bytes::new()));
            }
            if let Some((_, frame)) = film.frame.take_if(|_| is_there)
                && let Some(header) = delivery.video_update(scene, region, film.generation, now)
            {
                return Some((header, frame));
            }
            let due =
                film.frame.is_none() && region.generation > film.generation && now >= film.made_at + 32_000;
            if due && delivery.has_room_for_video(now) {
                film.make(scene, region, now, takes);
            }
        }
        None
    }
}

impl Film {
    fn make(&mut self, scene: &mut Scene, region: &Region, now: Micros, takes: Micros) {
        let mut bytes = Vec::new();
        self.encoder.load(scene.framebuffer(), &region.rect);
        (self.generation, self.made_at) = (scene.generation(), now);
        let kind = self.encoder.encode(!self.begun, now / 1_000, &mut bytes).unwrap();
        if kind != EncodedFrame::Skipped {
            self.begun = true;
            self.frame = Some((now + takes, bytes.into()));
        }
    }
}
