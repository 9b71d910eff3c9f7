//! The direction from the server: pixels go into the canvas, what the session wants to know to the session, and what
//! needs an answer to who writes.

use super::connect::{Failure, Reading};
use super::paint::Paint;
use super::report::{Report, Reporter};
use crate::rfb::{ClipNews, Cursor, Decoder, Event, Surface};
use crate::source::{Canvas, CursorShape, SourceEvent, SourceState};
use crate::wire::Clip;
use std::sync::Arc;
use std::time::Instant;
use tokio::io::AsyncReadExt;
use tokio::sync::mpsc;

/// Read at once: a key's echo waits behind no more than this.
const CHUNK: usize = 64 << 10;

pub(super) struct Hearing {
    pub address: String,
    pub canvas: Arc<Canvas>,
    pub events: mpsc::Sender<SourceEvent>,
    /// For who writes.
    pub heard: mpsc::Sender<Event>,
    pub report: Reporter,
    pub since: Instant,
}

impl Hearing {
    /// Listens until the connection ends.
    pub(super) async fn run(self, mut reading: Reading, early: Vec<u8>) -> Failure {
        let mut decoder = Decoder::new();
        let mut live = false;
        let mut buffer = vec![0; CHUNK];
        let mut first = early;
        loop {
            let decoded = match first.is_empty() {
                false => self.decode(&mut decoder, &std::mem::take(&mut first)),
                true => match reading.read(&mut buffer).await {
                    Ok(0) => return Failure::Closed(self.address.clone()),
                    Ok(count) => self.decode(&mut decoder, &buffer[..count]),
                    Err(error) => return Failure::Broken(error),
                },
            };
            let told = match decoded {
                Ok(told) => told,
                Err(failure) => return failure,
            };
            for event in told {
                if event == Event::Updated && !live {
                    live = true;
                    self.report.write(|report: &mut Report| {
                        report.first_screen = Some(self.since.elapsed());
                    });
                    self.tell(SourceEvent::State(SourceState::Live)).await;
                }
                self.pass_on(event).await;
            }
        }
    }

    fn decode(&self, decoder: &mut Decoder, bytes: &[u8]) -> Result<Vec<Event>, Failure> {
        let mut painting = self.canvas.lock();
        let decoded = decoder.feed(bytes, &mut Paint(&mut painting));
        let size = Paint(&mut painting).size();
        drop(painting);
        let changes = |event: &Event| matches!(event, Event::Updated | Event::Resized { .. });
        if decoded.as_ref().map_or(true, |events| events.iter().any(changes)) {
            self.canvas.notify();
            self.report.write(|report| {
                report.size = size;
                report.rectangles = decoder.seen().clone();
            });
        }
        self.report.write(|report| report.bytes += bytes.len() as u64);
        Ok(decoded?)
    }

    async fn pass_on(&self, event: Event) {
        match event {
            Event::Cursor(cursor) => self.tell(SourceEvent::Cursor(shape(cursor))).await,
            Event::Pointer { x, y } => self.tell(SourceEvent::CursorMoved { x, y }).await,
            Event::CutText(text) | Event::Clip(ClipNews::Text(text)) => {
                let clip = Clip::Text(text);
                if clip.fits() {
                    self.tell(SourceEvent::Clip(clip)).await;
                }
            }
            Event::Bell | Event::Name(_) => {}
            Event::Leds(leds) => self.report.write(|report| report.leds = Some(leds)),
            other => {
                let _ = self.heard.send(other).await;
            }
        }
    }

    async fn tell(&self, event: SourceEvent) {
        let _ = self.events.send(event).await;
    }
}

fn shape(cursor: Cursor) -> CursorShape {
    if cursor.width == 0 || cursor.height == 0 {
        // No cursor is one that nobody sees.
        return CursorShape { width: 1, height: 1, hot_x: 0, hot_y: 0, pixels: vec![0] };
    }
    let Cursor { width, height, hot_x, hot_y, pixels } = cursor;
    CursorShape { width, height, hot_x, hot_y, pixels }
}
