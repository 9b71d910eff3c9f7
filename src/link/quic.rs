//! QUIC and WebTransport on one UDP port, told apart by ALPN.

mod gate;
mod line;
mod parity;
mod reading;
mod spare;

use super::congestion::SteadyConfig;
use super::{
    Certificate, Closed, EXPORTER_LABEL, Exporter, Inbox, Link, Outgoing, Road, TlsError, Transport,
};
use crate::wire::limits::MAX_WAITING;
use crate::wire::{self, CloseCode, Path};
use aws_lc_rs::hmac;
use bytes::Bytes;
pub use gate::Gate;
use line::Which;
use quinn::VarInt;
use reading::{Spares, read_control, read_datagrams, read_streams};
use spare::Spare;
use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use web_transport_quinn::{self as wt, RecvStream, SendStream, Session, SessionError};

/// The code of a reset update stream.
const SUPERSEDED: u32 = 1;
/// How long a closing link may still send what it holds.
const FAREWELL: Duration = Duration::from_millis(200);
const CHUNK: usize = 64 << 10;
/// What a session may have under way to one viewer.
const RECEIVE_WINDOW: u32 = 64 << 20;
/// What a viewer, or a peer of whom nothing is known yet, may have under way to this side.
const GUARDED_WINDOW: u32 = 1 << 20;
/// A link on which nothing was heard for this long is gone.
const IDLE: Duration = Duration::from_secs(10);
/// An update's stream is written this far ahead of what the path takes.
const SEND_WINDOW: u64 = 64 << 20;

/// An endpoint for native QUIC and WebTransport on `socket`, and the gate in front of it. With the `reset_key` of an earlier
/// start, peers of that start learn at once that their connections are gone (RFC 9000, 10.3).
pub fn listen(
    socket: std::net::UdpSocket,
    certificate: &Certificate,
    reset_key: hmac::Key,
) -> Result<(quinn::Endpoint, Arc<Gate>), TlsError> {
    let config = server_config(certificate)?;
    let mut endpoint = quinn::EndpointConfig::new(Arc::new(reset_key));
    endpoint.cid_generator(|| Box::new(ConnectionIds { key: RandomState::new(), count: 0 }));
    let runtime: Arc<dyn quinn::Runtime> = Arc::new(quinn::TokioRuntime);
    let opened = runtime.wrap_udp_socket(socket).map(Gate::new).and_then(|gate| {
        let endpoint =
            quinn::Endpoint::new_with_abstract_socket(endpoint, Some(config), gate.clone(), runtime)?;
        Ok((endpoint, gate))
    });
    opened.map_err(TlsError::Endpoint)
}

/// Connection ids that cannot be foreseen. Unlike quinn's own, those of an earlier start are answered with a reset.
struct ConnectionIds {
    key: RandomState,
    count: u64,
}

impl quinn::ConnectionIdGenerator for ConnectionIds {
    fn generate_cid(&mut self) -> quinn::ConnectionId {
        self.count += 1;
        quinn::ConnectionId::new(&self.key.hash_one(self.count).to_le_bytes())
    }

    fn cid_len(&self) -> usize {
        8
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

/// What an endpoint needs to accept with this certificate.
pub fn server_config(certificate: &Certificate) -> Result<quinn::ServerConfig, TlsError> {
    let mut config = quinn::ServerConfig::with_crypto(Arc::new(certificate.quic_server()?));
    config.transport_config(Arc::new(transport()));
    Ok(config)
}

pub(super) fn transport() -> quinn::TransportConfig {
    let mut transport = quinn::TransportConfig::default();
    transport
        .max_idle_timeout(quinn::IdleTimeout::try_from(IDLE).ok())
        .receive_window(VarInt::from_u32(GUARDED_WINDOW))
        .stream_receive_window(VarInt::from_u32(RECEIVE_WINDOW))
        .send_window(SEND_WINDOW)
        .congestion_controller_factory(Arc::new(SteadyConfig))
        .max_concurrent_uni_streams(VarInt::from_u32(128))
        .max_concurrent_bidi_streams(VarInt::from_u32(4))
        .datagram_receive_buffer_size(Some(64 << 10));
    transport
}

/// Makes a link of an incoming connection, of either kind. The peer has a few seconds for it. A browser says which
/// site's page dials; `admit` is asked about this origin and the host that was dialled.
pub async fn accept(
    connection: quinn::Connection,
    admit: impl FnOnce(Option<&str>, Option<&str>) -> bool,
) -> Result<(Link, Inbox), Closed> {
    let handshake = connection.handshake_data();
    let data = handshake.and_then(|data| data.downcast::<quinn::crypto::rustls::HandshakeData>().ok());
    let native = data.and_then(|data| data.protocol).is_some_and(|protocol| protocol == wire::ALPN);
    let (session, road) = if native {
        (Session::raw(connection), Road::Quic)
    } else {
        let lost = |error: wt::ServerError| Closed::lost(format!("WebTransport handshake: {error}"));
        let request = wt::Request::accept(connection.clone()).await.map_err(lost)?;
        if request.connect().url.path() != wire::PATH {
            let _ = request.reject(wt::http::StatusCode::NOT_FOUND).await;
            return Err(Closed::lost("WebTransport to a path that does not exist"));
        }
        if !admit_page(request.connect(), admit) {
            let _ = request.reject(wt::http::StatusCode::FORBIDDEN).await;
            // The answer needs a moment to leave.
            let _ = tokio::time::timeout(FAREWELL, connection.closed()).await;
            return Err(Closed::lost("WebTransport from a page of another site"));
        }
        (request.ok().await.map_err(lost)?, Road::WebTransport)
    };
    let (send, receive) = session.accept_bi().await.map_err(closed)?;
    Ok(start(session, road, send, receive))
}

fn admit_page(
    request: &wt::proto::ConnectRequest,
    admit: impl FnOnce(Option<&str>, Option<&str>) -> bool,
) -> bool {
    // What is no text is no origin that could be admitted.
    let origin = request.headers.get("origin").map(|value| value.to_str().unwrap_or_default());
    let host = request.url.host_str().map(|host| match request.url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    });
    admit(origin, host.as_deref())
}

/// Makes a link of a connection that this side opened.
pub(super) async fn open(connection: quinn::Connection) -> Result<(Link, Inbox), Closed> {
    let session = Session::raw(connection);
    let (send, receive) = session.open_bi().await.map_err(closed)?;
    Ok(start(session, Road::Quic, send, receive))
}

fn start(session: Session, road: Road, send: SendStream, receive: RecvStream) -> (Link, Inbox) {
    let (link, inbox, to_send, arrived) = Link::new(road, session.clone());
    let _ = send.set_priority(i32::MAX - 1);
    tokio::spawn(send_all(session.clone(), link.clone(), send, to_send));
    let end = {
        let link = link.clone();
        move |result: Result<(), Closed>| {
            if let Err(closed) = result {
                link.end(closed);
            }
        }
    };
    let spares = Arc::new(Spares::default());
    let (ended, with, control) = (end.clone(), spares.clone(), arrived.clone());
    tokio::spawn(async move { ended(read_control(receive, &with, control).await) });
    let (ended, of, on) = (end.clone(), link.clone(), session.clone());
    let (with, datagrams) = (spares.clone(), arrived.clone());
    tokio::spawn(async move { ended(read_datagrams(on, of, with, datagrams).await) });
    let streams_of = link.clone();
    tokio::spawn(async move { end(read_streams(session, streams_of, spares, arrived).await) });
    (link, inbox)
}

impl Transport for Session {
    fn path(&self) -> Option<Path> {
        let connection: &quinn::Connection = self;
        let stats = connection.stats().path;
        let round_trip = stats.rtt.as_micros().max(1) as u64;
        Some(Path {
            round_trip_us: round_trip,
            bytes_per_second: stats.cwnd.saturating_mul(1_000_000) / round_trip,
            lost_per_million: stats.lost_packets.saturating_mul(1_000_000) / stats.sent_packets.max(1),
            in_flight_bytes: 0,
        })
    }

    fn expect_updates(&self) {
        let connection: &quinn::Connection = self;
        connection.set_receive_window(VarInt::from_u32(RECEIVE_WINDOW));
    }

    fn exporter(&self) -> Option<Exporter> {
        let connection: &quinn::Connection = self;
        let mut bytes = Exporter::default();
        connection.export_keying_material(&mut bytes, EXPORTER_LABEL, &[]).ok()?;
        Some(bytes)
    }
}

async fn send_all(
    session: Session,
    link: Link,
    mut control: SendStream,
    mut to_send: mpsc::Receiver<Outgoing>,
) {
    let mut ended = link.watch_end();
    let mut updates = Updates::new(session.clone(), link.road());
    let mut input = None;
    let mut whole = true;
    let result = loop {
        updates.spare.send(&session);
        let message = tokio::select! {
            biased;
            message = to_send.recv() => message,
            _ = ended.wait_for(Option::is_some) => None,
            () = until(updates.spare.due()) => continue,
        };
        // A peer that gives no room to write may not hold up the link's end.
        let sent = match message {
            None => break Ok(()),
            Some(Outgoing::Control(bytes)) => {
                link.control_left(bytes.len());
                updates.noted(Which::Control, &bytes);
                tokio::select! {
                    sent = control.write_chunk(bytes) => sent.map_err(lost),
                    _ = ended.wait_for(Option::is_some) => {
                        whole = false;
                        break Ok(());
                    }
                }
            }
            Some(Outgoing::Input(bytes)) => {
                updates.noted(Which::Input, &bytes);
                tokio::select! {
                    sent = write_input(&session, &mut input, bytes) => sent,
                    _ = ended.wait_for(Option::is_some) => break Ok(()),
                }
            }
            Some(Outgoing::Datagram(bytes)) => {
                // A datagram may be lost; so one that does not fit the moment is simply not sent.
                let _ = session.send_datagram(bytes);
                Ok(())
            }
            Some(Outgoing::Sound(bytes)) => {
                link.sound_left();
                let _ = session.send_datagram(bytes);
                Ok(())
            }
            Some(Outgoing::Update { number, stream }) => {
                updates.start(number, stream).await;
                Ok(())
            }
            Some(Outgoing::Reset { number }) => {
                updates.reset(number);
                Ok(())
            }
        };
        if sent.is_err() {
            break sent;
        }
    };
    if let Err(closed) = result {
        link.end(closed);
    }
    // What still waits, and why the link ends, goes out before the connection is closed.
    let farewell = async {
        if !whole {
            // A message was cut short: nothing that follows it on this stream could be understood.
            return Ok(());
        }
        while let Ok(message) = to_send.try_recv() {
            if let Outgoing::Control(bytes) = message {
                control.write_chunk(bytes).await?;
            }
        }
        if let Some(bytes) = link.farewell() {
            control.write_chunk(bytes).await?;
        }
        let _ = control.finish();
        let _ = control.stopped().await;
        Ok::<_, wt::WriteError>(())
    };
    let _ = tokio::time::timeout(FAREWELL, farewell).await;
    let closed = link.closed().unwrap_or_else(|| Closed::lost(""));
    session.close(closed.code.0, closed.reason.as_bytes());
}

async fn write_input(session: &Session, input: &mut Option<SendStream>, bytes: Bytes) -> Result<(), Closed> {
    let stream = match input {
        Some(stream) => stream,
        None => {
            let stream = session.open_uni().await.map_err(closed)?;
            let _ = stream.set_priority(i32::MAX);
            input.insert(stream)
        }
    };
    stream.write_chunk(bytes).await.map_err(lost)
}

/// The update streams under way, oldest first. One is written at once, so that it leaves with what was written before
/// it; only what finds no room has a task of its own.
struct Updates {
    session: Session,
    under_way: VecDeque<(u64, UnderWay)>,
    /// A browser reads streams in order and could not mend one.
    takes_spares: bool,
    spare: Spare,
}

enum UnderWay {
    Written(SendStream),
    /// In a task that can be told to reset it.
    Writing(oneshot::Sender<()>),
}

type Opening = Pin<Box<dyn Future<Output = Result<SendStream, Closed>> + Send>>;

impl UnderWay {
    fn begin(number: u64, open: Opening, left: Bytes) -> Self {
        let (reset, when_reset) = oneshot::channel();
        tokio::spawn(write_update(number, open, left, when_reset));
        UnderWay::Writing(reset)
    }

    fn has_arrived(&self) -> bool {
        match self {
            UnderWay::Written(stream) => stream.priority().is_err(),
            UnderWay::Writing(task) => task.is_closed(),
        }
    }
}

impl Updates {
    fn new(session: Session, road: Road) -> Self {
        let takes_spares = road == Road::Quic;
        Updates { session, under_way: VecDeque::new(), takes_spares, spare: Spare::new() }
    }

    /// Messages go out on the control or the input stream.
    fn noted(&mut self, which: Which, bytes: &[u8]) {
        if self.takes_spares {
            self.spare.noted(&self.session, which, bytes);
        }
    }

    async fn start(&mut self, number: u64, bytes: Bytes) {
        while self.under_way.front().is_some_and(|(_, oldest)| oldest.has_arrived()) {
            self.under_way.pop_front();
        }
        // A session lets no update go this far ahead of one that has not arrived.
        if self.under_way.len() >= MAX_WAITING {
            self.under_way.pop_front();
        }
        let session = self.session.clone();
        let mut open: Opening = Box::pin(async move { session.open_uni().await.map_err(closed) });
        let under_way = match at_once(&mut open).await {
            Some(Ok(mut stream)) => {
                let _ = stream.set_priority(priority_of(number));
                let mut left = [bytes.clone()];
                let written = at_once(async {
                    while !left[0].is_empty() {
                        stream.write_chunks(&mut left).await.map_err(lost)?;
                    }
                    Ok::<(), Closed>(())
                });
                match written.await {
                    Some(Ok(())) => {
                        let _ = stream.finish();
                        if self.takes_spares {
                            self.spare.written(&self.session, stream.quic_id().index(), &bytes);
                        }
                        UnderWay::Written(stream)
                    }
                    Some(Err(_)) => return,
                    None => {
                        let [left] = left;
                        UnderWay::begin(number, Box::pin(std::future::ready(Ok(stream))), left)
                    }
                }
            }
            // The connection is ending.
            Some(Err(_)) => return,
            None => UnderWay::begin(number, open, bytes),
        };
        self.under_way.push_back((number, under_way));
    }

    fn reset(&mut self, number: u64) {
        let Some(at) = self.under_way.iter().position(|&(other, _)| other == number) else { return };
        match self.under_way.remove(at) {
            // One that has arrived meanwhile cannot be reset, and need not.
            Some((_, UnderWay::Written(mut stream))) => drop(stream.reset(SUPERSEDED)),
            Some((_, UnderWay::Writing(task))) => drop(task.send(())),
            None => {}
        }
    }
}

/// Lower numbers go first.
fn priority_of(number: u64) -> i32 {
    -(number.min(i32::MAX as u64 / 2) as i32)
}

async fn until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// What a future gives without waiting, if it does.
async fn at_once<F: Future>(future: F) -> Option<F::Output> {
    tokio::select! {
        biased;
        output = future => Some(output),
        () = std::future::ready(()) => None,
    }
}

/// Writes what is left of an update and stays until it has arrived, so that it can be reset until then.
async fn write_update(
    number: u64,
    open: Opening,
    left: Bytes,
    mut when_reset: oneshot::Receiver<()>,
) -> Result<(), Closed> {
    let mut stream = open.await?;
    let _ = stream.set_priority(priority_of(number));
    let written = async {
        stream.write_chunk(left).await.map_err(lost)?;
        let _ = stream.finish();
        stream.stopped().await.map_err(closed)?;
        Ok(())
    };
    let reset = tokio::select! {
        written = written => return written,
        Ok(()) = &mut when_reset => true,
        else => false,
    };
    if reset {
        let _ = stream.reset(SUPERSEDED);
    }
    Ok(())
}

fn lost(error: wt::WriteError) -> Closed {
    match error {
        wt::WriteError::SessionError(error) => closed(error),
        other => Closed::lost(other.to_string()),
    }
}

fn lost_reading(error: wt::ReadError) -> Closed {
    match error {
        wt::ReadError::SessionError(error) => closed(error),
        other => Closed::lost(other.to_string()),
    }
}

fn closed(error: SessionError) -> Closed {
    match error {
        SessionError::WebTransportError(wt::WebTransportError::Closed(code, reason)) => {
            Closed::by_peer(CloseCode(code), &reason)
        }
        SessionError::ConnectionError(quinn::ConnectionError::ApplicationClosed(close)) => {
            let code = u32::try_from(close.error_code.into_inner()).unwrap_or(u32::MAX);
            Closed::by_peer(CloseCode(code), &String::from_utf8_lossy(&close.reason))
        }
        other => Closed::lost(other.to_string()),
    }
}
