//! The direction to the server: input first, then answers.

use super::Errand;
use super::config::Keys;
use super::connect::{Failure, Writing};
use super::report::Reporter;
use crate::rfb::{self, ClipNews, Event, Hands, Monitor, encodings};
use crate::screen::Rect;
use crate::wire::{Clip, InputEvent};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;

/// A server that takes nothing for so long is not there any more.
const PATIENCE: Duration = Duration::from_secs(20);
/// Said at once; input that comes meanwhile waits behind no more than this.
const MOST_AT_ONCE: usize = 16 << 10;

/// What a source says, and what of that outlasts a connection.
pub(super) struct Speech {
    keys: Keys,
    wanted_size: Option<(u32, u32)>,
    clip: Option<String>,
    /// From here on, of one connection.
    hands: Hands,
    size: (u32, u32),
    monitor: Option<Monitor>,
    asked_size: Option<(u32, u32)>,
    extended_clipboard: bool,
    continuous: bool,
}

impl Speech {
    pub(super) fn new(keys: Keys) -> Self {
        Speech {
            keys,
            wanted_size: None,
            clip: None,
            hands: Hands::default(),
            size: (0, 0),
            monitor: None,
            asked_size: None,
            extended_clipboard: false,
            continuous: false,
        }
    }

    /// A viewer wants this size.
    pub(super) fn wish(&mut self, width: u32, height: u32) {
        self.wanted_size = Some((width, height));
    }

    /// A viewer has copied this, which the server can have when it wants it.
    pub(super) fn keep(&mut self, clip: Clip) {
        if let Clip::Text(text) = clip {
            self.clip = Some(text);
        }
    }

    /// Speaks until the server does not listen any more; `None`: nobody wants the session any more.
    pub(super) async fn run(
        &mut self,
        mut writing: Writing,
        size: (u32, u32),
        encodings: &[i32],
        mut heard: mpsc::Receiver<Event>,
        errands: &mut mpsc::Receiver<Errand>,
        report: &Reporter,
    ) -> Option<Failure> {
        self.begin(size);
        let mut out = rfb::set_pixel_format().to_vec();
        out.extend(rfb::set_encodings(encodings));
        out.extend(rfb::update_request(false, self.bounds()));
        loop {
            if let Err(failure) = write(&mut writing, &out).await {
                return Some(failure);
            }
            out.clear();
            tokio::select! {
                biased;
                errand = errands.recv() => {
                    let Some(mut errand) = errand else {
                        // The server's keys must not stay down because nobody watches any more.
                        self.hands.event(&InputEvent::ReleaseAll, &mut out);
                        let _ = write(&mut writing, &out).await;
                        return None;
                    };
                    while let (true, Ok(next)) = (out.len() < MOST_AT_ONCE, errands.try_recv()) {
                        let passed = std::mem::replace(&mut errand, next);
                        // Of two moves in a row only the second one counts.
                        if !(is_move(&passed) && is_move(&errand)) {
                            self.errand(passed, &mut out);
                        }
                    }
                    self.errand(errand, &mut out);
                }
                event = heard.recv() => match event {
                    Some(event) => self.answer(event, report, &mut out),
                    None => return Some(Failure::Broken(std::io::ErrorKind::ConnectionAborted.into())),
                },
            }
        }
    }

    fn begin(&mut self, size: (u32, u32)) {
        self.hands = Hands::default();
        self.size = size;
        self.monitor = None;
        self.asked_size = None;
        self.extended_clipboard = false;
        self.continuous = false;
    }

    fn bounds(&self) -> Rect {
        Rect::new(0, 0, self.size.0, self.size.1)
    }

    fn errand(&mut self, errand: Errand, out: &mut Vec<u8>) {
        match errand {
            Errand::Input(event) => self.hands.event(&event, out),
            Errand::Resize(width, height) => {
                self.wish(width, height);
                self.ask_size(out);
            }
            Errand::Clip(clip) => {
                self.keep(clip);
                self.announce_clip(out);
            }
        }
    }

    /// Asks for the size that a viewer wants, once each, of servers that can change theirs.
    fn ask_size(&mut self, out: &mut Vec<u8>) {
        let (Some(wanted), Some(monitor)) = (self.wanted_size, &self.monitor) else { return };
        let (Ok(width), Ok(height)) = (u16::try_from(wanted.0), u16::try_from(wanted.1)) else { return };
        if wanted == self.size || self.asked_size == Some(wanted) || width == 0 || height == 0 {
            return;
        }
        self.asked_size = Some(wanted);
        out.extend(rfb::set_desktop_size(width, height, monitor));
    }

    fn announce_clip(&self, out: &mut Vec<u8>) {
        if let Some(text) = &self.clip {
            out.extend(if self.extended_clipboard {
                rfb::clip_notify(true)
            } else {
                rfb::clip_classic(text)
            });
        }
    }

    fn answer(&mut self, event: Event, report: &Reporter, out: &mut Vec<u8>) {
        let has = |extension| report.write(|report| report.has(encodings::name(extension)));
        match event {
            Event::Updated if !self.continuous => out.extend(rfb::update_request(true, self.bounds())),
            Event::Resized { width, height } => {
                self.size = (width, height);
                self.asked_size = None;
                out.extend(rfb::update_request(false, self.bounds()));
                if self.continuous {
                    out.extend(rfb::enable_continuous_updates(self.bounds()));
                }
            }
            Event::Monitors { monitors, refused } => {
                has(encodings::EXTENDED_DESKTOP_SIZE);
                let first = self.monitor.is_none();
                self.monitor = Some(monitors.first().copied().unwrap_or_default());
                if let Some(status) = refused {
                    tracing::info!(reason = rfb::refusal(status), "the VNC server keeps its size");
                }
                if first {
                    self.ask_size(out);
                }
            }
            Event::Fence { flags, payload } => {
                has(encodings::FENCE);
                if rfb::wants_answer(flags) {
                    out.extend(rfb::fence_answer(flags, &payload));
                }
            }
            Event::ContinuousUpdates => {
                has(encodings::CONTINUOUS_UPDATES);
                // Said once to offer them, and again when they end.
                self.continuous = !self.continuous;
                match self.continuous {
                    true => out.extend(rfb::enable_continuous_updates(self.bounds())),
                    false => out.extend(rfb::update_request(true, self.bounds())),
                }
            }
            Event::QemuKeys => {
                has(encodings::QEMU_KEYS);
                self.hands.by_place = self.keys == Keys::Position;
            }
            Event::Clip(news) => self.clip_news(&news, report, out),
            _ => {}
        }
    }

    fn clip_news(&mut self, news: &ClipNews, report: &Reporter, out: &mut Vec<u8>) {
        match news {
            ClipNews::Capable => {
                report.write(|report| report.has(encodings::name(encodings::EXTENDED_CLIPBOARD)));
                self.extended_clipboard = true;
                out.extend(rfb::clip_capabilities());
                self.announce_clip(out);
            }
            ClipNews::Changed { text: true } => {
                // What we offered is not the newest any more.
                self.clip = None;
                out.extend(rfb::clip_request());
            }
            ClipNews::Wanted => {
                if let Some(text) = &self.clip {
                    out.extend(rfb::clip_provide(text));
                }
            }
            ClipNews::Asked => out.extend(rfb::clip_notify(self.clip.is_some())),
            ClipNews::Changed { text: false } | ClipNews::Text(_) => {}
        }
    }
}

fn is_move(errand: &Errand) -> bool {
    matches!(errand, Errand::Input(InputEvent::PointerMove { .. }))
}

async fn write(writing: &mut Writing, bytes: &[u8]) -> Result<(), Failure> {
    let all = async {
        writing.write_all(bytes).await?;
        writing.flush().await
    };
    let slow = || std::io::Error::other(format!("it takes nothing for {} seconds", PATIENCE.as_secs()));
    let written = tokio::time::timeout(PATIENCE, all).await;
    written.unwrap_or_else(|_| Err(slow())).map_err(Failure::Broken)
}
