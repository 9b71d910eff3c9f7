//! The VNC source against real servers (Debian packages tigervnc-standalone-server, x11vnc, xvfb, qemu-system-x86, xterm,
//! xclip): what they show arrives, what is typed is received, and what is wrong is said.

mod gateway;
mod hostile;
mod input;
mod pixels;
mod security;
mod server;
#[path = "../x11_source/terminal.rs"]
mod terminal;

use chevet::source::rfb::{Ties, Tls, VncConfig, VncSource};
use chevet::source::{Canvas, SourceEvent, SourceState};
use server::eventually;
use std::sync::Arc;
use tokio::runtime::Runtime;
use tokio::sync::mpsc::{Receiver, channel};

/// A source under test with its canvas and events, and what runs it.
struct Shown {
    canvas: Arc<Canvas>,
    events: Receiver<SourceEvent>,
    source: VncSource,
    _runtime: Runtime,
}

/// An unencrypted server at this address.
fn plain(address: String) -> VncConfig {
    VncConfig { address, tls: Tls::Never, ..VncConfig::default() }
}

/// Shows a server that lets us in.
fn show(config: VncConfig) -> Shown {
    let mut shown = show_early(config);
    shown.wait_live();
    shown
}

/// Shows a server whether or not it is there.
fn show_early(config: VncConfig) -> Shown {
    assert_eq!(config.fault(), None);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let canvas = Arc::new(Canvas::new(16, 16).unwrap());
    let (sender, events) = channel(64);
    let entered = runtime.enter();
    let source = VncSource::start(config, Ties::default(), Arc::clone(&canvas), sender);
    drop(entered);
    Shown { canvas, events, source, _runtime: runtime }
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
        let mut last = String::new();
        let end = std::time::Instant::now() + std::time::Duration::from_secs(15);
        loop {
            match self.events.try_recv() {
                Ok(SourceEvent::State(SourceState::Live)) => return,
                Ok(SourceEvent::State(SourceState::Waiting(text))) => last = text,
                _ => std::thread::sleep(std::time::Duration::from_millis(5)),
            }
            assert!(std::time::Instant::now() < end, "never live: {last}");
        }
    }

    /// Why the source waits, beside that it has begun to connect.
    fn wait_waiting(&mut self) -> String {
        self.event("the source waits", |event| match event {
            SourceEvent::State(SourceState::Waiting(text)) if !text.starts_with("connecting") => {
                Some(text.clone())
            }
            _ => None,
        })
    }

    fn size(&self) -> (u32, u32) {
        let painting = self.canvas.lock();
        (painting.framebuffer.width(), painting.framebuffer.height())
    }
}
