//! The videos that a viewer decodes: each its own sequence of frames, in order, on its own rectangle.

use crate::codec::video::{I420, VideoDecoder};
use crate::screen::{Framebuffer, Rect, TileId};
use crate::wire::VideoFrame;
use crate::wire::limits::MAX_VIDEOS;
use std::collections::BTreeMap;

/// Who painted video on a tile last, and where.
#[derive(Clone, Copy, Default)]
pub(super) struct Painted {
    /// The update's number; 0: nobody.
    pub by: u64,
    pub rect: Rect,
}

struct Video {
    rect: Rect,
    next_frame: u64,
    /// `None` once a frame could not be decoded: the rest of the video is passed over.
    decoder: Option<VideoDecoder>,
}

/// Every video that is being shown.
#[derive(Default)]
pub(super) struct Videos {
    shown: BTreeMap<u64, Video>,
    /// Videos below this number have been given up for newer ones.
    first: u64,
    failed: Vec<u64>,
}

impl Videos {
    /// Whether a frame is the next of its video, or one that nobody waits for.
    pub fn is_ready(&self, frame: &VideoFrame) -> bool {
        frame.video < self.first
            || match self.shown.get(&frame.video) {
                Some(video) => video.decoder.is_none() || frame.frame <= video.next_frame,
                None => frame.frame == 0,
            }
    }

    /// Decodes the next frame of a video and paints it on `tiles`. A frame that cannot be decoded ends its video;
    /// [`Videos::failed`] tells.
    pub fn show(
        &mut self,
        frame: &VideoFrame,
        bytes: &[u8],
        tiles: impl Iterator<Item = TileId>,
        screen: &mut Framebuffer,
    ) {
        if frame.video < self.first {
            return;
        }
        if frame.frame == 0 && !self.shown.contains_key(&frame.video) {
            self.begin(frame);
        }
        let Some(video) = self.shown.get_mut(&frame.video) else { return };
        let Some(decoder) = &mut video.decoder else { return };
        video.next_frame = frame.frame + 1;
        match decoder.decode(bytes) {
            Ok(picture) if frame.rect == video.rect => paint(picture, &video.rect, tiles, screen),
            _ => {
                video.decoder = None;
                self.failed.push(frame.video);
            }
        }
    }

    fn begin(&mut self, frame: &VideoFrame) {
        while self.shown.len() >= MAX_VIDEOS {
            let Some((oldest, _)) = self.shown.pop_first() else { break };
            self.first = oldest + 1;
        }
        let decoder = VideoDecoder::new(frame.rect.width, frame.rect.height).ok();
        if decoder.is_none() {
            self.failed.push(frame.video);
        }
        self.shown.insert(frame.video, Video { rect: frame.rect, next_frame: 0, decoder });
    }

    /// Videos that could not be decoded, each once.
    pub fn failed(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.failed)
    }

    /// A new link: its videos are numbered from the beginning.
    pub fn clear(&mut self) {
        *self = Videos::default();
    }
}

/// Writes the picture's rows over the part of each tile that it covers.
fn paint(picture: &I420, rect: &Rect, tiles: impl Iterator<Item = TileId>, screen: &mut Framebuffer) {
    let grid = screen.grid();
    for part in tiles.map(|tile| grid.rect(tile).intersect(rect)).filter(|part| !part.is_empty()) {
        for y in part.y..part.bottom() {
            let row = screen.row_mut(part.x, y, part.width);
            picture.write_row((part.x - rect.x) as usize, (y - rect.y) as usize, row);
        }
    }
}
