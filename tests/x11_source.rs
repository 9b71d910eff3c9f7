//! The X11 source against real X servers (Debian packages xvfb, tigervnc-standalone-server, xterm,
//! x11-xkb-utils, xkb-data): what is drawn arrives, what is typed is received.

#[path = "x11_source/clipboard.rs"]
mod clipboard;
#[path = "x11_source/keyboard.rs"]
mod keyboard;
#[path = "x11_source/screen.rs"]
mod screen;
#[path = "x11_source/server.rs"]
mod server;
#[path = "x11_source/terminal.rs"]
mod terminal;
#[path = "x11_source/viewer.rs"]
mod viewer;

use chevet::source::{Canvas, SourceEvent, SourceState, X11Source, XServer};
use server::eventually;
use std::sync::Arc;
use tokio::sync::mpsc::{Receiver, channel};

/// A source under test with its canvas and events.
struct Shown {
    canvas: Arc<Canvas>,
    events: Receiver<SourceEvent>,
    source: X11Source,
}

/// Shows a display that is there.
fn show(display: &str) -> Shown {
    let mut shown = show_early(display);
    shown.wait_live();
    shown
}

/// Shows a display whether or not it is there.
fn show_early(display: &str) -> Shown {
    let canvas = Arc::new(Canvas::new(16, 16).unwrap());
    let (sender, events) = channel(64);
    let source = X11Source::start(&XServer::at(display), Arc::clone(&canvas), sender).unwrap();
    Shown { canvas, events, source }
}

impl Shown {
    /// The next event that `wanted` takes; others are passed over.
    fn event<T>(&mut self, what: &str, mut wanted: impl FnMut(&SourceEvent) -> Option<T>) -> T {
        let mut found = None;
        eventually(what, || {
            while let (None, Ok(event)) = (&found, self.events.try_recv()) {
                found = wanted(&event);
            }
            found.is_some()
        });
        found.unwrap()
    }

    fn wait_live(&mut self) {
        self.event("the source is live", |event| {
            matches!(event, SourceEvent::State(SourceState::Live)).then_some(())
        });
    }

    fn wait_waiting(&mut self) -> String {
        self.event("the source waits", |event| match event {
            SourceEvent::State(SourceState::Waiting(text)) => Some(text.clone()),
            _ => None,
        })
    }

    fn size(&self) -> (u32, u32) {
        let painting = self.canvas.lock();
        (painting.framebuffer.width(), painting.framebuffer.height())
    }

    /// How often the source wakes its session within this time.
    fn wakes(&self, millis: u64) -> usize {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let mut wakes = 0;
            let end = tokio::time::sleep(std::time::Duration::from_millis(millis));
            tokio::pin!(end);
            loop {
                tokio::select! {
                    () = self.canvas.changed() => wakes += 1,
                    () = &mut end => return wakes,
                }
            }
        })
    }
}
