//! Connections that carry chevet: QUIC, WebTransport and WebSocket behind one face. A link takes and gives
//! whole messages; streams, priorities and frames are its own business. It never knows what a message means.

mod congestion;
mod dial;
mod dialler;
mod inside;
mod pinned;
mod proxy;
mod quic;
mod tls;
mod tunnel;
mod websocket;

pub use dial::{DialError, Target, connect_tcp, dial, dial_any, udp_socket};
pub use dialler::Dialler;
pub use inside::{Outlet, Sent, inside};
pub use pinned::{Identity, IdentityError};
pub use proxy::{NotAProxy, Proxy, ProxyError};
pub use quic::{Gate, accept, listen, server_config};
pub use tls::{
    Certificate, TlsError, fingerprint_text, parse_fingerprint, tcp_client_config, tcp_client_unproven,
};
pub use tunnel::{
    Tag, TunnelSocket, listen_in_tunnels, next_tunnel_message, peer_fingerprint, tunnel_transport,
};
pub use websocket::{WebSocketFault, Written, exporter_of, join};

use crate::wire::limits::MAX_UPDATE;
use crate::wire::{CloseCode, Control, InputEvent, Motion, Path, SoundPacket, WireError};
use bytes::Bytes;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use tokio::sync::{mpsc, watch};

/// Messages that wait to be taken from a link before its peer is held back.
const INBOX: usize = 256;
/// Messages that wait to be sent before the sender is held to be stuck, and bytes of control messages.
const OUTBOX: usize = 4_096;
const OUTBOX_BYTES: usize = 4 << 20;

/// Packets of sound that may wait to be sent: what is a quarter of a second late is not worth its place.
const MOST_SOUND_WAITING: usize = 12;

/// How a link is carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Road {
    Quic,
    WebTransport,
    WebSocket,
    /// Within the process: a recorder.
    Inside,
}

impl Road {
    pub fn name(self) -> &'static str {
        match self {
            Road::Quic => "QUIC",
            Road::WebTransport => "WebTransport",
            Road::WebSocket => "WebSocket",
            Road::Inside => "inside",
        }
    }
}

/// What arrives on a link.
pub enum Incoming {
    Control(Control),
    /// An event of the input stream and its number.
    Input(u64, InputEvent),
    Motion(Motion),
    Sound(SoundPacket),
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
    /// The other side ended the link. Its words may stand in a log, so nothing in them may move a cursor.
    pub fn by_peer(code: CloseCode, reason: &str) -> Self {
        let visible = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
        Closed { code, reason: reason.chars().map(visible).collect(), by_peer: true }
    }

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
    /// A datagram of sound.
    Sound(Bytes),
    Update {
        number: u64,
        stream: Bytes,
    },
    Reset {
        number: u64,
    },
}

/// The sending half of a link, and its end. Clones are the same link.
#[derive(Clone)]
pub struct Link {
    road: Road,
    outbox: mpsc::Sender<Outgoing>,
    shared: Arc<Shared>,
}

/// The receiving half of a link. A link that nobody reads has no use: it ends with its inbox.
pub struct Inbox {
    messages: mpsc::Receiver<Incoming>,
    shared: Arc<Shared>,
    /// Waits for why the link ended.
    ending: Option<Pin<Box<dyn Future<Output = Closed> + Send>>>,
}

struct Shared {
    closed: watch::Sender<Option<Closed>>,
    updates_welcome: AtomicBool,
    has_input: AtomicBool,
    /// Bytes of update streams that have begun to arrive and were not taken yet.
    gathering: AtomicUsize,
    /// Bytes of update streams that have arrived.
    update_bytes: AtomicUsize,
    /// Messages that were taken from the link.
    heard: AtomicU64,
    /// Bytes of control messages that were not given to the transport yet.
    unsent: AtomicUsize,
    /// Packets of sound that were not.
    unsent_sound: AtomicUsize,
    begun: std::time::Instant,
    transport: Box<dyn Transport>,
}

/// The label of a link's TLS exporter (RFC 8446, section 7.5), and what is taken of it: the same on both sides of one TLS
/// session, and of no other.
const EXPORTER_LABEL: &[u8] = b"EXPORTER-chevet-attach";
pub type Exporter = [u8; 32];

/// What a road knows of its connection.
trait Transport: Send + Sync {
    /// What is measured of the path, if it is.
    fn path(&self) -> Option<Path>;
    /// Update streams will come: the peer may send much more than a viewer does.
    fn expect_updates(&self);
    /// What binds to the TLS session, if there is one.
    fn exporter(&self) -> Option<Exporter>;
}

impl Link {
    /// A link and what its tasks need: what is to be sent, and where to put what arrives.
    fn new(
        road: Road,
        transport: impl Transport + 'static,
    ) -> (Link, Inbox, mpsc::Receiver<Outgoing>, mpsc::Sender<Incoming>) {
        let (outbox, to_send) = mpsc::channel(OUTBOX);
        let (arrived, messages) = mpsc::channel(INBOX);
        let shared = Arc::new(Shared {
            closed: watch::channel(None).0,
            updates_welcome: AtomicBool::new(false),
            has_input: AtomicBool::new(false),
            gathering: AtomicUsize::new(0),
            update_bytes: AtomicUsize::new(0),
            heard: AtomicU64::new(0),
            unsent: AtomicUsize::new(0),
            unsent_sound: AtomicUsize::new(0),
            begun: std::time::Instant::now(),
            transport: Box::new(transport),
        });
        let link = Link { road, outbox, shared: shared.clone() };
        (link, Inbox { messages, shared, ending: None }, to_send, arrived)
    }

    pub fn road(&self) -> Road {
        self.road
    }

    /// How long there has been this link.
    pub fn age(&self) -> std::time::Duration {
        self.shared.begun.elapsed()
    }

    /// From now on update streams are accepted: this side is the viewer.
    pub fn welcome_updates(&self) {
        self.shared.updates_welcome.store(true, Ordering::Relaxed);
        self.shared.transport.expect_updates();
    }

    pub fn control(&self, message: &Control) {
        let bytes = message.to_bytes();
        let unsent = self.shared.unsent.fetch_add(bytes.len(), Ordering::Relaxed) + bytes.len();
        match unsent > OUTBOX_BYTES {
            true => self.end_unread(),
            false => self.send(Outgoing::Control(bytes.into())),
        }
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

    /// A packet of sound, as a datagram. It is left out if others wait: nothing waits for sound.
    pub fn sound(&self, datagram: Bytes) {
        let waiting = self.shared.unsent_sound.fetch_add(1, Ordering::Relaxed);
        if waiting >= MOST_SOUND_WAITING || self.outbox.try_send(Outgoing::Sound(datagram)).is_err() {
            self.sound_left();
        }
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
            self.end_unread();
        }
    }

    fn end_unread(&self) {
        let reason = "the other side does not read".into();
        self.end(Closed { code: CloseCode::LIMIT, reason, by_peer: false });
    }

    /// A control message of this many bytes went to the transport.
    fn control_left(&self, bytes: usize) {
        self.shared.unsent.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// A packet of sound went to the transport, or was left out.
    fn sound_left(&self) {
        self.shared.unsent_sound.fetch_sub(1, Ordering::Relaxed);
    }

    /// Ends the link; what was sent before and the reason are still tried for a moment.
    pub fn close(&self, code: CloseCode, reason: &str) {
        self.end(Closed { code, reason: reason.to_owned(), by_peer: false });
    }

    fn end(&self, closed: Closed) {
        self.shared.end(closed);
    }

    /// The last control message of a link that this side ended.
    fn farewell(&self) -> Option<Bytes> {
        let Closed { code, reason, by_peer } = self.closed()?;
        (!by_peer).then(|| Control::Closing { code, reason }.to_bytes().into())
    }

    /// A link has one input stream; an honest viewer needs no more.
    fn begin_input(&self) -> Result<(), Closed> {
        match self.shared.has_input.swap(true, Ordering::Relaxed) {
            true => Err(Closed {
                code: CloseCode::PROTOCOL,
                reason: "a second input stream".into(),
                by_peer: false,
            }),
            false => Ok(()),
        }
    }

    /// Why the link ended, if it has.
    pub fn closed(&self) -> Option<Closed> {
        self.shared.closed.borrow().clone()
    }

    /// Waits for the link's end.
    pub async fn ended(&self) -> Closed {
        why_ended(self.watch_end()).await
    }

    /// What the transport measures of the path, if it does.
    pub fn path(&self) -> Option<Path> {
        self.shared.transport.path()
    }

    /// What binds to this link's TLS session, if it is over one.
    pub fn exporter(&self) -> Option<Exporter> {
        self.shared.transport.exporter()
    }

    /// How many bytes of updates have arrived, and whether there are some that were not taken yet.
    pub fn update_bytes(&self) -> (usize, bool) {
        let (arrived, gathering) = (&self.shared.update_bytes, &self.shared.gathering);
        (arrived.load(Ordering::Relaxed), gathering.load(Ordering::Relaxed) > 0)
    }

    /// How many messages have been taken from this link.
    pub fn heard(&self) -> u64 {
        self.shared.heard.load(Ordering::Relaxed)
    }

    fn watch_end(&self) -> watch::Receiver<Option<Closed>> {
        self.shared.closed.subscribe()
    }

    /// Takes the next bytes of an update stream; refuses what no honest session sends.
    fn gather(&self, stream: &mut Vec<u8>, bytes: &[u8]) -> Result<(), Closed> {
        self.count(bytes.len(), stream.len() + bytes.len())?;
        stream.extend_from_slice(bytes);
        Ok(())
    }

    /// Counts bytes of an update stream in, which is at least as long as `stream` then.
    fn count(&self, bytes: usize, stream: usize) -> Result<(), Closed> {
        let violation =
            |reason: &str| Closed { code: CloseCode::PROTOCOL, reason: reason.to_owned(), by_peer: false };
        if !self.expects_updates() {
            return Err(violation("an update stream where none is expected"));
        }
        let gathering = self.shared.gathering.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.shared.update_bytes.fetch_add(bytes, Ordering::Relaxed);
        if stream > MAX_UPDATE || gathering > 2 * MAX_UPDATE {
            return Err(violation("update streams beyond the limit of bytes"));
        }
        Ok(())
    }

    /// So many bytes of a stream will not be handed over: it was cut short.
    fn abandoned(&self, bytes: usize) {
        self.shared.gathering.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Whether this side is the viewer.
    fn expects_updates(&self) -> bool {
        self.shared.updates_welcome.load(Ordering::Relaxed)
    }
}

impl Shared {
    fn end(&self, closed: Closed) {
        self.closed.send_if_modified(|state| {
            let first = state.is_none();
            if first {
                *state = Some(closed);
            }
            first
        });
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        let reason = "nobody reads this link any more".into();
        self.shared.end(Closed { code: CloseCode::GOING_AWAY, reason, by_peer: false });
    }
}

impl Inbox {
    /// The next message, or why there will be none.
    pub async fn next(&mut self) -> Result<Incoming, Closed> {
        std::future::poll_fn(|context| self.poll_next(context)).await
    }

    /// The same, for who waits for several links.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Result<Incoming, Closed>> {
        match ready!(self.messages.poll_recv(context)) {
            Some(message) => Poll::Ready(Ok(self.taken(message))),
            None => {
                let shared = &self.shared;
                let ending =
                    self.ending.get_or_insert_with(|| Box::pin(why_ended(shared.closed.subscribe())));
                ending.as_mut().poll(context).map(Err)
            }
        }
    }

    /// The next message if it is there.
    pub fn try_next(&mut self) -> Option<Incoming> {
        let message = self.messages.try_recv().ok()?;
        Some(self.taken(message))
    }

    fn taken(&self, message: Incoming) -> Incoming {
        self.shared.heard.fetch_add(1, Ordering::Relaxed);
        if let Incoming::Update(stream) = &message {
            self.shared.gathering.fetch_sub(stream.len(), Ordering::Relaxed);
        }
        message
    }
}

async fn why_ended(mut watch: watch::Receiver<Option<Closed>>) -> Closed {
    let closed = watch.wait_for(Option::is_some).await.ok().and_then(|closed| closed.clone());
    closed.unwrap_or_else(|| Closed::lost("the connection ended"))
}

/// What this program calls itself in Hello, Welcome and Offer.
pub fn software() -> String {
    format!("chevet {}", env!("CARGO_PKG_VERSION"))
}
