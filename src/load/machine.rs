//! The two ways to be a viewer behind one face: with a screen, or with the updates' headers only.

use super::headers::HeaderViewer;
use crate::clock;
use crate::screen::{HashKey, TileId};
use crate::sync::{Applied, Attachment, Identity, Micros, News, SILENT_AFTER, Viewer, ViewerError};
use crate::wire::{Attach, CloseCode, Control, InputEvent};
use bytes::Bytes;

/// What a control message brought.
#[derive(Default)]
pub struct Heard {
    /// The title and the screen's size.
    pub attached: Option<(String, u32, u32)>,
    pub seen: Vec<Seen>,
    pub closing: Option<(CloseCode, String)>,
}

impl Heard {
    pub fn attached(title: String, width: u32, height: u32) -> Heard {
        Heard { attached: Some((title, width, height)), ..Heard::default() }
    }
}

/// An update that was applied, or, without a screen, read.
pub struct Seen {
    /// Every tile that it changes, ascending.
    pub tiles: Vec<TileId>,
    /// When its newest damage was noticed, on this side's clock.
    pub captured_us: Micros,
    pub complete: bool,
    pub bytes: usize,
}

pub enum Machine {
    Headers(HeaderViewer),
    Pixels(Box<Attachment>),
}

impl Machine {
    /// With a screen and `cache_bytes` of tiles, or without either.
    pub fn new(cache_bytes: Option<u64>, now: Micros) -> Machine {
        match cache_bytes {
            None => Machine::Headers(HeaderViewer::new(now)),
            Some(bytes) => {
                let viewer = Viewer::new(HashKey::default(), bytes as usize);
                Machine::Pixels(Box::new(Attachment::new(viewer, Identity::default(), now)))
            }
        }
    }

    pub fn attach(&mut self, wish: Attach, now: Micros) -> Control {
        match self {
            Machine::Headers(viewer) => {
                viewer.ping(now);
                viewer.attach(wish)
            }
            Machine::Pixels(attachment) => {
                attachment.ping(now);
                attachment.attach(wish)
            }
        }
    }

    pub fn control(&mut self, message: Control, now: Micros) -> Result<Heard, ViewerError> {
        let attachment = match self {
            Machine::Headers(viewer) => return Ok(viewer.control(message, now)),
            Machine::Pixels(attachment) => attachment,
        };
        Ok(match attachment.control(message, now)? {
            Some(News::Attached { title, width, height, .. }) => {
                let mut heard = Heard::attached(title, width, height);
                for stream in attachment.early_updates() {
                    let applied = attachment.update(stream, clock::now_us)?;
                    heard.seen.extend(applied.into_iter().map(|one| seen(attachment, one)));
                }
                heard
            }
            Some(News::Applied(applied)) => {
                let seen = applied.into_iter().map(|one| seen(attachment, one)).collect();
                Heard { seen, ..Heard::default() }
            }
            Some(News::Closing { code, reason }) => {
                Heard { closing: Some((code, reason)), ..Heard::default() }
            }
            _ => Heard::default(),
        })
    }

    pub fn update(&mut self, stream: Bytes) -> Result<Vec<Seen>, ViewerError> {
        match self {
            Machine::Headers(viewer) => Ok(vec![viewer.update(&stream, clock::now_us())?]),
            Machine::Pixels(attachment) => {
                let applied = attachment.update(stream, clock::now_us)?;
                Ok(applied.into_iter().map(|one| seen(attachment, one)).collect())
            }
        }
    }

    pub fn tick(&mut self, now: Micros) {
        match self {
            Machine::Headers(viewer) => viewer.tick(now),
            Machine::Pixels(attachment) => attachment.tick(now),
        }
    }

    pub fn is_silent(&self, now: Micros) -> bool {
        match self {
            Machine::Headers(viewer) => now.saturating_sub(viewer.heard_at()) >= SILENT_AFTER,
            Machine::Pixels(attachment) => attachment.is_silent(now),
        }
    }

    pub fn reply(&mut self) -> Option<Control> {
        match self {
            Machine::Headers(viewer) => viewer.reply(),
            Machine::Pixels(attachment) => attachment.reply(),
        }
    }

    pub fn input(&mut self, event: InputEvent) -> Option<Vec<u8>> {
        match self {
            Machine::Headers(viewer) => viewer.input(&event),
            Machine::Pixels(attachment) => attachment.input(event),
        }
    }

    /// Proofs with which the session did not agree: 0 for who proves nothing.
    pub fn mismatches(&self) -> u64 {
        match self {
            Machine::Headers(_) => 0,
            Machine::Pixels(attachment) => attachment.mismatches(),
        }
    }
}

fn seen(attachment: &Attachment, applied: Applied) -> Seen {
    Seen {
        tiles: applied.tiles,
        captured_us: attachment.local_time(applied.captured_us),
        complete: applied.complete,
        bytes: applied.bytes,
    }
}
