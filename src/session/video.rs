//! A session's regions in motion as video: which viewers share an encoder, when a frame is made, and whom it is sent to.
//!
//! Viewers in step share a stream. A frame is only made when all of them have room for it, so that no viewer is ever
//! sent a frame it lacks the predecessor of; who cannot keep step gets a stream of its own, at its own rate.

use super::encoders::{Encoded, Encoders, Lent};
use super::task::ViewerId;
use super::viewer::Viewer;
use crate::codec::video::EncodedFrame;
use crate::sync::{Micros, Region, Scene};
use bytes::Bytes;
use std::collections::HashMap;
use tokio::sync::mpsc;

/// Between two frames of a stream.
const FRAME_EVERY: Micros = 32_000;
/// Who has had no room for this long while others had does not keep step.
const OUT_OF_STEP_AFTER: Micros = 120_000;
/// Viewers whose rates differ more than this do not share a stream.
const MOST_DIFFERENCE: u32 = 3;
/// Who could not keep step does not share a stream again for this long.
const PARTED_FOR: Micros = 5_000_000;
/// The share of a path that video may take: what rests beside it must get through too.
const SHARE_PERCENT: u64 = 75;
const LEAST_BITS_PER_SECOND: u32 = 150_000;
/// Before a path is known.
const FIRST_BITS_PER_SECOND: u32 = 3_000_000;
/// Above this many bits a pixel pictures hardly get better. The encoder stops there by itself; this keeps the rates of
/// viewers with plenty from differing.
const MOST_BITS_PER_PIXEL: f64 = 0.6;
/// Videos that a viewer may fail to decode before it is given none.
pub(super) const MOST_FAILURES: u32 = 3;

pub(super) type Viewers = HashMap<ViewerId, Viewer>;

/// One encoder's work for a region.
struct Stream {
    number: u64,
    region: u64,
    /// `None` while a frame is being made.
    encoder: Option<Lent>,
    bits_per_second: u32,
    /// In step since the last key frame.
    members: Vec<ViewerId>,
    /// Wait for a key frame.
    joining: Vec<ViewerId>,
    /// The scene's generation in the picture made last.
    generation: u64,
    captured_us: Micros,
    made_at: Micros,
    /// Since when a frame could have been made, had all members had room.
    due_since: Option<Micros>,
}

/// A frame that was made.
pub(super) struct Made {
    pub picture: u64,
    stream: u64,
    encoded: Option<Encoded>,
}

/// All streams of a session.
pub(super) struct Videos {
    picture: u64,
    streams: Vec<Stream>,
    next: u64,
    made: mpsc::Sender<Made>,
}

impl Videos {
    /// Of what a session shows to those of its viewers who see this picture; where the frames go that are made.
    pub fn of_picture(picture: u64, made: mpsc::Sender<Made>) -> Self {
        Videos { picture, streams: Vec::new(), next: 0, made }
    }

    /// Lets go of what is over, gives every viewer that decodes video its streams, and has frames made that are due.
    /// Returns when to be called again, if nothing else happens.
    pub fn run(
        &mut self,
        scene: &mut Scene,
        viewers: &mut Viewers,
        captured_us: Micros,
        now: Micros,
    ) -> Option<Micros> {
        let lives = |stream: &Stream| scene.regions().iter().any(|region| region.id == stream.region);
        self.streams.retain(lives);
        if scene.regions().is_empty() {
            return None;
        }
        let regions = scene.regions().to_vec();
        for region in &regions {
            self.assign(region, scene, viewers, now);
        }
        let mut again = None;
        for region in &regions {
            self.part_company(region, scene, viewers, now);
            for stream in self.streams.iter_mut().filter(|stream| stream.region == region.id) {
                let wait =
                    stream.make_frame(region, scene, viewers, captured_us, now, (self.picture, &self.made));
                again = again.into_iter().chain(wait).min();
            }
        }
        again
    }

    /// Every viewer without a stream for `region` joins one of about its rate, or begins one if there is room for it.
    fn assign(&mut self, region: &Region, scene: &Scene, viewers: &mut Viewers, now: Micros) {
        for stream in self.streams.iter_mut().filter(|stream| stream.region == region.id) {
            // A viewer decodes so many videos, the newest: one that would be given up begins again.
            let outnumbered =
                |id: &ViewerId| viewers.get(id).is_some_and(|v| v.delivery.is_outnumbered(region.id));
            stream.members.retain(|id| !outnumbered(id));
            stream.joining.retain(|id| !outnumbered(id));
        }
        let served: Vec<ViewerId> = self.of(region).flat_map(|stream| stream.everybody().copied()).collect();
        // Who has no room would only be made a key frame that it cannot be sent.
        let picture = self.picture;
        let wanting = |id: &ViewerId, viewer: &Viewer| {
            let ready = viewer.decodes_video && viewer.delivery.has_room_for_video(now);
            viewer.picture == picture && !served.contains(id) && (ready || viewer.delivery.watches(region.id))
        };
        for (&id, viewer) in viewers.iter_mut().filter(|(id, viewer)| wanting(id, viewer)) {
            if !(viewer.decodes_video && viewer.delivery.has_room_for_video(now)) {
                // Without a stream the tiles are owed.
                viewer.delivery.unwatch(scene, region.id, now);
                continue;
            }
            let rate = rate_for(viewer, region);
            let alone = now.saturating_sub(viewer.parted_us) < PARTED_FOR;
            match self.stream_for(region, rate, alone) {
                Some(stream) => {
                    stream.joining.push(id);
                    viewer.delivery.watch(scene, region, now);
                }
                None => viewer.delivery.unwatch(scene, region.id, now),
            }
        }
    }

    fn of(&self, region: &Region) -> impl Iterator<Item = &Stream> {
        self.streams.iter().filter(|stream| stream.region == region.id)
    }

    /// `alone`: it could not keep step with others lately.
    fn stream_for(&mut self, region: &Region, rate: u32, alone: bool) -> Option<&mut Stream> {
        let fits = |stream: &Stream| {
            let (least, most) = (stream.bits_per_second.min(rate), stream.bits_per_second.max(rate));
            stream.region == region.id && most / least.max(1) < MOST_DIFFERENCE
        };
        if let Some(at) = self.streams.iter().position(fits).filter(|_| !alone) {
            return Some(&mut self.streams[at]);
        }
        let encoder = Encoders::of_this_process().lend(region.rect.width, region.rect.height, rate);
        match encoder {
            Some(encoder) => {
                self.next += 1;
                self.streams.push(Stream::new(self.next, region.id, encoder, rate));
                self.streams.last_mut()
            }
            // Another's rate is better than no video.
            None if alone => None,
            None => self.streams.iter_mut().find(|stream| stream.region == region.id),
        }
    }

    /// Who slows the others of its stream down gets one of its own, or tiles.
    fn part_company(&mut self, region: &Region, scene: &Scene, viewers: &mut Viewers, now: Micros) {
        let mut leaving = Vec::new();
        for stream in self.streams.iter_mut().filter(|stream| stream.region == region.id) {
            stream.forget_gone(viewers);
            leaving.append(&mut stream.out_of_step(region, viewers, now));
        }
        for id in leaving {
            let Some(viewer) = viewers.get_mut(&id) else { continue };
            viewer.delivery.unwatch(scene, region.id, now);
            viewer.parted_us = now;
            let rate = rate_for(viewer, region);
            let encoder = Encoders::of_this_process().lend(region.rect.width, region.rect.height, rate);
            if let Some(encoder) = encoder {
                self.next += 1;
                let mut stream = Stream::new(self.next, region.id, encoder, rate);
                stream.joining.push(id);
                self.streams.push(stream);
                viewer.delivery.watch(scene, region, now);
            }
        }
        self.streams.retain(|stream| !stream.members.is_empty() || !stream.joining.is_empty());
    }

    /// A frame was made: it goes to everybody who is in step.
    pub fn send(&mut self, made: Made, scene: &Scene, viewers: &mut Viewers, now: Micros) {
        let Some(at) = self.streams.iter().position(|stream| stream.number == made.stream) else { return };
        let region = scene.regions().iter().find(|region| region.id == self.streams[at].region);
        let (Some(region), Some(encoded)) = (region, made.encoded) else {
            self.streams.remove(at);
            return;
        };
        let stream = &mut self.streams[at];
        stream.encoder = Some(encoded.encoder);
        match encoded.result {
            Ok((EncodedFrame::Skipped, _)) => {}
            Ok((kind, frame)) => {
                if kind == EncodedFrame::Key {
                    stream.members.append(&mut stream.joining);
                }
                for id in &stream.members {
                    if let Some(viewer) = viewers.get_mut(id) {
                        send_frame(viewer, scene, region, stream.generation, stream.captured_us, &frame, now);
                    }
                }
            }
            Err(error) => {
                tracing::warn!(%error, "a video ends");
                let stream = self.streams.remove(at);
                for id in stream.members.iter().chain(&stream.joining) {
                    if let Some(viewer) = viewers.get_mut(id) {
                        viewer.decodes_video = false;
                        viewer.delivery.unwatch(scene, region.id, now);
                    }
                }
            }
        }
    }

    /// A viewer could not decode a video: it is given another one, a few times.
    pub fn failed(&mut self, id: ViewerId, video: u64, scene: &Scene, viewers: &mut Viewers, now: Micros) {
        let Some(viewer) = viewers.get_mut(&id) else { return };
        let Some(region) = viewer.delivery.region_of(video) else { return };
        viewer.video_failures += 1;
        viewer.decodes_video &= viewer.video_failures < MOST_FAILURES;
        viewer.delivery.unwatch(scene, region, now);
        for stream in self.streams.iter_mut().filter(|stream| stream.region == region) {
            stream.members.retain(|member| *member != id);
            stream.joining.retain(|member| *member != id);
        }
    }

    /// Every stream ends: the regions are not what they were.
    pub fn clear(&mut self) {
        self.streams.clear();
    }
}

impl Stream {
    fn new(number: u64, region: u64, encoder: Lent, bits_per_second: u32) -> Self {
        Stream {
            number,
            region,
            encoder: Some(encoder),
            bits_per_second,
            members: Vec::new(),
            joining: Vec::new(),
            generation: 0,
            captured_us: 0,
            made_at: 0,
            due_since: None,
        }
    }

    fn forget_gone(&mut self, viewers: &Viewers) {
        let watches =
            |id: &ViewerId| viewers.get(id).is_some_and(|viewer| viewer.delivery.watches(self.region));
        self.members.retain(watches);
        self.joining.retain(watches);
    }

    fn everybody(&self) -> impl Iterator<Item = &ViewerId> {
        self.members.iter().chain(&self.joining)
    }

    /// Takes out those who do not keep step with the others.
    fn out_of_step(&mut self, region: &Region, viewers: &Viewers, now: Micros) -> Vec<ViewerId> {
        let rate = |id: &ViewerId| viewers.get(id).map_or(0, |viewer| rate_for(viewer, region));
        let most = self.everybody().map(rate).max().unwrap_or(0);
        let late = self.due_since.is_some_and(|since| now.saturating_sub(since) > OUT_OF_STEP_AFTER);
        let has_room =
            |id: &ViewerId| viewers.get(id).is_some_and(|viewer| viewer.delivery.has_room_for_video(now));
        let some_have_room = self.everybody().any(has_room);
        let slow = |id: &ViewerId| {
            rate(id).saturating_mul(MOST_DIFFERENCE) < most || late && some_have_room && !has_room(id)
        };
        let leaving: Vec<ViewerId> = self.everybody().copied().filter(slow).collect();
        self.members.retain(|id| !leaving.contains(id));
        self.joining.retain(|id| !leaving.contains(id));
        leaving
    }

    /// Has a frame made if one is due and everybody has room; returns when it may be due.
    fn make_frame(
        &mut self,
        region: &Region,
        scene: &mut Scene,
        viewers: &Viewers,
        captured_us: Micros,
        now: Micros,
        (picture, made): (u64, &mpsc::Sender<Made>),
    ) -> Option<Micros> {
        let fresh = region.generation > self.generation || !self.joining.is_empty();
        if self.encoder.is_none() || !fresh {
            return None;
        }
        if now < self.made_at + FRAME_EVERY {
            return Some(self.made_at + FRAME_EVERY);
        }
        let has_room =
            |id: &ViewerId| viewers.get(id).is_some_and(|viewer| viewer.delivery.has_room_for_video(now));
        if !self.members.iter().all(has_room) {
            let since = *self.due_since.get_or_insert(now);
            let paced = |id: &ViewerId| viewers.get(id).and_then(|v| v.delivery.budget().room_at(now));
            let late = (self.everybody().count() > 1).then_some(since + OUT_OF_STEP_AFTER + 1_000);
            // A time that is past would be asked for again and again.
            return self.members.iter().filter_map(paced).chain(late).filter(|&at| at > now).min();
        }
        self.due_since = None;
        let wanted =
            self.everybody().filter_map(|id| viewers.get(id)).map(|viewer| rate_for(viewer, region)).min();
        let mut encoder = self.encoder.take()?;
        self.follow_rate(&mut encoder, wanted?);
        (self.generation, self.captured_us, self.made_at) = (scene.generation(), captured_us, now);
        encoder.get().load(scene.framebuffer(), &region.rect);
        let (stream, key, made) = (self.number, !self.joining.is_empty(), made.clone());
        tokio::spawn(async move {
            let encoded = Encoders::of_this_process().encode(encoder, key, now / 1_000).await;
            // The session may have ended; then nobody wants it.
            let _ = made.send(Made { picture, stream, encoded }).await;
        });
        None
    }

    /// Small differences are not worth the encoder's unrest.
    fn follow_rate(&mut self, encoder: &mut Lent, wanted: u32) {
        let (least, most) = (self.bits_per_second.min(wanted), self.bits_per_second.max(wanted));
        if u64::from(most) * 8 > u64::from(least) * 9 && encoder.get().set_rate(wanted).is_ok() {
            self.bits_per_second = wanted;
        }
    }
}

/// What a viewer's path carries beside everything else, and no more than is of use.
fn rate_for(viewer: &Viewer, region: &Region) -> u32 {
    let useful = region.rect.area() as f64 * 30.0 * MOST_BITS_PER_PIXEL;
    let path = match viewer.delivery.budget().rate() {
        0 => FIRST_BITS_PER_SECOND.into(),
        bytes => bytes.saturating_mul(8) / 100 * SHARE_PERCENT,
    };
    path.min(useful as u64).max(LEAST_BITS_PER_SECOND.into()).min(u32::MAX.into()) as u32
}

fn send_frame(
    viewer: &mut Viewer,
    scene: &Scene,
    region: &Region,
    generation: u64,
    captured_us: Micros,
    frame: &Bytes,
    now: Micros,
) {
    let captured_us = captured_us.max(viewer.attached_us);
    if let Some(copies) = viewer.delivery.copies_update(scene, captured_us) {
        viewer.send(&copies, &[], now);
    }
    let Some(header) = viewer.delivery.video_update(scene, region, generation, captured_us) else { return };
    viewer.send(&header, frame, now);
}
