//! Connections that carry chevet: QUIC, WebTransport and WebSocket behind one face. A link takes and gives
//! whole messages; streams, priorities and frames are its own business. It never knows what a message means.

mod dial;
mod quic;
mod tls;
mod websocket;

pub use dial::{DialError, Target, dial};
pub use quic::{accept, listen, server_config};
pub use tls::{Certificate, TlsError, fingerprint_text, parse_fingerprint};
pub use websocket::{WebSocketFault, join};

use crate::wire::limits::MAX_UPDATE;
use crate::wire::{CloseCode, Control, InputEvent, Motion, Path, WireError};
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::sync::{mpsc, watch};

/// Messages that wait to be taken from a link before its peer is held back.
const INBOX: usize = 256;
/// Messages that wait to be sent before the sender is held to be stuck.
const OUTBOX: usize = 4_096;

/// How a link is carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Road {
    Quic,
    WebTransport,
    WebSocket,
}

impl Road {
    pub fn name(self) -> &'static str {
        match self {
            Road::Quic => "QUIC",
            Road::WebTransport => "WebTransport",
            Road::WebSocket => "WebSocket",
        }
    }
}

/// What arrives on a link.
pub enum Incoming {
    Control(Control),
    /// An event of the input stream and its number.
    Input(u64, InputEvent),
    Motion(Motion),
    /// A whole update stream, its kind included.
    Update(Bytes),
}

/// How a link ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{}{reason}", .code.name(), if .reason.is_empty() { "" } else { ": " })]
pub struct Closed {
    pub code: CloseCode,
    pub reason: String,
    /// Whether the other side said so, rather than this one or the network.
    pub by_peer: bool,
}

impl Closed {
    fn lost(reason: impl Into<String>) -> Self {
        Closed { code: CloseCode::IDLE, reason: reason.into(), by_peer: false }
    }

    fn violation(error: &WireError) -> Self {
        Closed { code: CloseCode::PROTOCOL, reason: error.to_string(), by_peer: false }
    }
}

/// What a link's own tasks are asked to do.
enum Outgoing {
    Control(Bytes),
    Input(Bytes),
    Datagram(Bytes),
    Update { number: u64, stream: Bytes },
    Reset { number: u64 },
}

/// The sending half of a link, and its end. Clones are the same link.
#[derive(Clone)]
pub struct Link {
    road: Road,
    outbox: mpsc::Sender<Outgoing>,
    shared: Arc<Shared>,
}

/// The receiving half of a link.
pub struct Inbox {
    messages: mpsc::Receiver<Incoming>,
    closed: watch::Receiver<Option<Closed>>,
}

struct Shared {
    closed: watch::Sender<Option<Closed>>,
    updates_welcome: AtomicBool,
    /// Bytes of update streams that have begun to arrive.
    gathering: AtomicUsize,
    path: Box<dyn Fn() -> Option<Path> + Send + Sync>,
}

impl Link {
    /// A link and what its tasks need: what is to be sent, and where to put what arrives.
    fn new(
        road: Road,
        path: impl Fn() -> Option<Path> + Send + Sync + 'static,
    ) -> (Link, Inbox, mpsc::Receiver<Outgoing>, mpsc::Sender<Incoming>) {
        let (outbox, to_send) = mpsc::channel(OUTBOX);
        let (arrived, messages) = mpsc::channel(INBOX);
        let (closed, when_closed) = watch::channel(None);
        let shared = Shared {
            closed,
            updates_welcome: AtomicBool::new(false),
            gathering: AtomicUsize::new(0),
            path: Box::new(path),
        };
        let link = Link { road, outbox, shared: Arc::new(shared) };
        (link, Inbox { messages, closed: when_closed }, to_send, arrived)
    }

    pub fn road(&self) -> Road {
        self.road
    }

    /// From now on update streams are accepted: this side is the viewer.
    pub fn welcome_updates(&self) {
        self.shared.updates_welcome.store(true, Ordering::Relaxed);
    }

    pub fn control(&self, message: &Control) {
        self.send(Outgoing::Control(message.to_bytes().into()));
    }

    /// The next bytes of the input stream.
    pub fn input(&self, bytes: Vec<u8>) {
        self.send(Outgoing::Input(bytes.into()));
    }

    pub fn motion(&self, motion: &Motion) {
        let mut datagram = Vec::with_capacity(16);
        motion.write(&mut datagram);
        self.send(Outgoing::Datagram(datagram.into()));
    }

    /// A whole update on a stream of its own. Lower numbers go first.
    pub fn update(&self, number: u64, stream: Bytes) {
        self.send(Outgoing::Update { number, stream });
    }

    /// What has not left of an update is not to be sent.
    pub fn reset_update(&self, number: u64) {
        self.send(Outgoing::Reset { number });
    }

    fn send(&self, message: Outgoing) {
        if let Err(mpsc::error::TrySendError::Full(_)) = self.outbox.try_send(message) {
            self.end(Closed {
                code: CloseCode::LIMIT,
                reason: "the other side does not read".into(),
                by_peer: false,
            });
        }
    }

    /// Ends the link; what was sent before is still tried for a moment.
    pub fn close(&self, code: CloseCode, reason: &str) {
        self.control(&Control::Closing { code, reason: reason.to_owned() });
        self.end(Closed { code, reason: reason.to_owned(), by_peer: false });
    }

    fn end(&self, closed: Closed) {
        self.shared.closed.send_if_modified(|state| {
            let first = state.is_none();
            if first {
                *state = Some(closed);
            }
            first
        });
    }

    /// Why the link ended, if it has.
    pub fn closed(&self) -> Option<Closed> {
        self.shared.closed.borrow().clone()
    }

    /// Waits for the link's end.
    pub async fn ended(&self) -> Closed {
        let mut watch = self.watch_end();
        let closed = watch.wait_for(Option::is_some).await.ok().and_then(|closed| closed.clone());
        closed.unwrap_or_else(|| Closed::lost("the connection ended"))
    }

    /// What the transport measures of the path, if it does.
    pub fn path(&self) -> Option<Path> {
        (self.shared.path)()
    }

    fn watch_end(&self) -> watch::Receiver<Option<Closed>> {
        self.shared.closed.subscribe()
    }

    /// Counts bytes of an update stream in; refuses what no honest session sends.
    fn gather(&self, stream: &mut Vec<u8>, bytes: &[u8]) -> Result<(), Closed> {
        let violation =
            |reason: &str| Closed { code: CloseCode::PROTOCOL, reason: reason.to_owned(), by_peer: false };
        if !self.shared.updates_welcome.load(Ordering::Relaxed) {
            return Err(violation("an update stream where none is expected"));
        }
        let gathering = self.shared.gathering.fetch_add(bytes.len(), Ordering::Relaxed) + bytes.len();
        stream.extend_from_slice(bytes);
        if stream.len() > MAX_UPDATE || gathering > 2 * MAX_UPDATE {
            return Err(violation("update streams beyond the limit of bytes"));
        }
        Ok(())
    }

    fn gathered(&self, stream: &[u8]) {
        self.shared.gathering.fetch_sub(stream.len(), Ordering::Relaxed);
    }
}

impl Inbox {
    /// The next message, or why there will be none.
    pub async fn next(&mut self) -> Result<Incoming, Closed> {
        match self.messages.recv().await {
            Some(message) => Ok(message),
            None => Err(self.reason().await),
        }
    }

    async fn reason(&mut self) -> Closed {
        let gone = || Closed::lost("the connection ended");
        match self.closed.wait_for(Option::is_some).await {
            Ok(closed) => closed.clone().unwrap_or_else(gone),
            Err(_) => gone(),
        }
    }
}

/// What this program calls itself in Hello, Welcome and Offer.
pub fn software() -> String {
    format!("chevet {}", env!("CARGO_PKG_VERSION"))
}
