//! The listeners: UDP for QUIC and WebTransport, TCP for the page and WebSocket, on the same port numbers.

use super::edges::Edges;
use super::handover::Predecessor;
use super::handshakes::{Handshake, Handshakes};
use super::outside::{TooMany, UserLink};
use super::{Config, GatewayError, Shared, admit, cards, page};
use crate::audit::{Event, Record};
use crate::link::{self, Certificate, Exporter, Gate};
use crate::wire::CloseCode;
use aws_lc_rs::hmac;
use axum::Extension;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;

/// Connections of each kind at once.
const MAX_CONNECTIONS: usize = 8_192;
/// TCP connections that wait to be accepted.
const BACKLOG: i32 = 1_024;
/// What a TCP connection's kernel buffer may hold that was not sent yet, in bytes.
const UNSENT: u32 = 16 << 10;
/// A TLS or HTTP head must come within this time.
const PATIENCE: Duration = Duration::from_secs(10);

/// Which way a connection came.
#[derive(Clone)]
pub(super) enum Way {
    Straight,
    /// Through an edge, whose UDP port clients dial.
    Edge {
        edges: Arc<Edges>,
        udp_port: Option<u16>,
    },
}

impl Way {
    /// Somebody who came this way is known, by their sign-in if people sign in.
    pub fn admit(&self, address: IpAddr, sign_in: Option<&str>) {
        if let Way::Edge { edges, .. } = self {
            edges.admit(address, sign_in);
        }
    }

    /// The place of another link of a user who came this way, if that is counted.
    pub fn place_of(&self, user: Option<&str>) -> Result<Option<UserLink>, TooMany> {
        match (self, user) {
            (Way::Edge { edges, .. }, Some(user)) => edges.users().attach(user, Instant::now()).map(Some),
            _ => Ok(None),
        }
    }

    pub fn is_edge(&self) -> bool {
        matches!(self, Way::Edge { .. })
    }
}

/// A TCP connection's place among those that there may be, for as long as somebody holds it; and where it comes from.
#[derive(Clone)]
pub(super) struct Place {
    _permit: Arc<OwnedSemaphorePermit>,
    from: IpAddr,
    way: Way,
    exporter: Option<Exporter>,
}

impl Place {
    pub fn new(permit: OwnedSemaphorePermit, from: IpAddr, way: Way) -> Place {
        Place { _permit: Arc::new(permit), from, way, exporter: None }
    }

    pub fn way(&self) -> &Way {
        &self.way
    }

    pub fn from(&self) -> IpAddr {
        self.from
    }

    /// The place of somebody at this address, for whom it is asked here.
    pub fn asked_for(&self, from: IpAddr) -> Place {
        Place { from, ..self.clone() }
    }

    pub fn exporter(&self) -> Option<Exporter> {
        self.exporter
    }
}

/// The sockets of a gateway, on which nothing is read yet.
pub(super) struct Sockets {
    pub addresses: Vec<SocketAddr>,
    udp: Vec<UdpSocket>,
    tcp: Vec<std::net::TcpListener>,
    cards: Vec<std::net::TcpListener>,
}

pub(super) struct Listeners {
    pub udp: Vec<(quinn::Endpoint, Arc<Gate>)>,
    pub tcp: Vec<TcpListener>,
    pub cards: Vec<TcpListener>,
}

/// What a TCP listener is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Entrance {
    Page,
    /// Clients are asked for a certificate.
    Cards,
    /// The page, for those who come through an edge.
    Edge,
}

impl Sockets {
    /// Opens every address for TCP and, at the same port, UDP; or takes what a predecessor had opened.
    pub fn open(config: &Config, mut before: Option<&mut Predecessor>) -> Result<Sockets, GatewayError> {
        let mut sockets =
            Sockets { addresses: Vec::new(), udp: Vec::new(), tcp: Vec::new(), cards: Vec::new() };
        let mut handed = |kind, address| before.as_mut().and_then(|before| before.take(kind, address));
        let mut tcp = |address: SocketAddr| match handed(socket2::Type::STREAM, address) {
            Some(socket) => Ok(std::net::TcpListener::from(socket)),
            None => tcp_listener(address).map_err(|source| GatewayError::Listen { address, source }),
        };
        for &address in &config.listen {
            let listener = tcp(address)?;
            let bound = listener.local_addr();
            sockets.addresses.push(bound.map_err(|source| GatewayError::Listen { address, source })?);
            sockets.tcp.push(listener);
        }
        for &address in config.cards.iter().flat_map(|cards| &cards.listen) {
            sockets.cards.push(tcp(address)?);
        }
        for &address in sockets.addresses.iter().filter(|_| config.udp) {
            sockets.udp.push(match handed(socket2::Type::DGRAM, address) {
                Some(socket) => socket.into(),
                None => {
                    link::udp_socket(address).map_err(|source| GatewayError::ListenUdp { address, source })?
                }
            });
        }
        Ok(sockets)
    }

    /// The same sockets once more, for a successor.
    pub fn copies(&self) -> std::io::Result<Vec<OwnedFd>> {
        let udp = self.udp.iter().map(|socket| socket.try_clone().map(OwnedFd::from));
        let tcp = self.tcp.iter().chain(&self.cards).map(|socket| socket.try_clone().map(OwnedFd::from));
        udp.chain(tcp).collect()
    }

    /// Begins to listen.
    pub fn listen(self, certificate: &Certificate, secret: &hmac::Key) -> Result<Listeners, GatewayError> {
        let mut udp = Vec::new();
        for (socket, bound) in self.udp.into_iter().zip(&self.addresses) {
            // A key for each address, so that none can be asked for another's resets.
            let tag = hmac::sign(secret, format!("QUIC stateless reset {bound}").as_bytes());
            let reset_key = hmac::Key::new(hmac::HMAC_SHA256, tag.as_ref());
            udp.push(link::listen(socket, certificate, reset_key)?);
        }
        let ready = |listeners: Vec<std::net::TcpListener>| {
            let listening = |listener: std::net::TcpListener| {
                let address = listener.local_addr().unwrap_or_else(|_| ([0, 0, 0, 0], 0).into());
                TcpListener::from_std(listener).map_err(|source| GatewayError::Listen { address, source })
            };
            listeners.into_iter().map(listening).collect::<Result<Vec<_>, _>>()
        };
        Ok(Listeners { udp, tcp: ready(self.tcp)?, cards: ready(self.cards)? })
    }
}

/// As tokio's own `bind` opens one.
fn tcp_listener(address: SocketAddr) -> std::io::Result<std::net::TcpListener> {
    let domain = socket2::Domain::for_address(address);
    let socket = socket2::Socket::new(domain, socket2::Type::STREAM, Some(socket2::Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

pub(super) async fn serve_udp(endpoint: quinn::Endpoint, shared: Arc<Shared>, way: Way) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let handshakes = Handshakes::default();
    while let Some(incoming) = endpoint.accept().await {
        let Ok(place) = places.clone().try_acquire_owned() else {
            incoming.refuse();
            continue;
        };
        if handshakes.want_proof() && !incoming.remote_address_validated() && incoming.may_retry() {
            // An address that did not answer the retry costs nothing further.
            let _ = incoming.retry();
            continue;
        }
        let Some(handshake) = handshakes.begin(incoming.remote_address().ip()) else {
            incoming.refuse();
            continue;
        };
        let (shared, way) = (shared.clone(), way.clone());
        tokio::spawn(async move {
            let _place = place;
            let shaken = tokio::time::timeout(PATIENCE, async { incoming.await }).await;
            drop(handshake);
            match shaken {
                Ok(Ok(connection)) => serve_quic(connection, &shared, &way).await,
                Ok(Err(error)) => tracing::debug!(%error, "QUIC handshake failed"),
                Err(_) => tracing::debug!("QUIC handshake took too long"),
            }
        });
    }
}

/// Serves a connection to its end.
async fn serve_quic(connection: quinn::Connection, shared: &Arc<Shared>, way: &Way) {
    match tokio::time::timeout(
        PATIENCE,
        link::accept(connection.clone(), |origin, host| shared.origins.may_dial(origin, host)),
    )
    .await
    {
        Ok(Ok((link, inbox))) => {
            admit::admit(shared, link, inbox, connection.remote_address().ip(), way).await;
        }
        Ok(Err(closed)) if closed.by_peer => {
            tracing::debug!(reason = %closed, "a connection was left before it was used");
        }
        Ok(Err(reason)) => {
            tracing::debug!(%reason, "a connection made no link");
            let reason = reason.to_string().into();
            let refused = Event::AttachRefused { road: link::Road::Quic.name().into(), reason };
            shared.audit.refused(Record::new(refused).peer(connection.remote_address().ip()));
            connection.close(CloseCode::PROTOCOL.0.into(), b"no link was made of this connection");
        }
        Err(_) => connection.close(CloseCode::IDLE.0.into(), b"no control stream was opened within 10 s"),
    }
    connection.closed().await;
}

pub(super) async fn serve_tcp(listener: TcpListener, shared: Arc<Shared>, entrance: Entrance) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let router = match entrance {
        Entrance::Page | Entrance::Edge => page::router(shared.clone()),
        Entrance::Cards => cards::card_router(shared.clone()),
    };
    let handshakes = Handshakes::default();
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let (stream, from, handshake) = match listener.accept().await {
            Ok((stream, from)) => match handshakes.begin(from.ip()) {
                Some(handshake) => (stream, from.ip(), handshake),
                None => continue,
            },
            Err(error) => {
                // Out of file descriptors, most likely: others may be freed.
                tracing::warn!(%error, "accepting a TCP connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (shared, router) = (shared.clone(), router.clone());
        tokio::spawn(async move {
            let _ = stream.set_nodelay(true);
            // What is urgent must not wait behind what the kernel has taken long before the path does.
            let _ = socket2::SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT);
            // A WebSocket keeps its place after HTTP has let it go.
            let place = Place::new(place, from, Way::Straight);
            let _ = serve_connection(stream, &shared, router, entrance, place, handshake).await;
        });
    }
}

/// Serves a client's bytes to their end. `handshake` is over with the first request.
pub(super) async fn serve_connection(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    shared: &Shared,
    router: axum::Router,
    entrance: Entrance,
    mut place: Place,
    handshake: Handshake,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    // The handshake is over with the first request's head.
    let begun = Arc::new(Mutex::new(Some(handshake)));
    let router = router.layer(axum::middleware::map_request(move |request: axum::extract::Request| {
        drop(begun.lock().unwrap_or_else(PoisonError::into_inner).take());
        std::future::ready(request)
    }));
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(PATIENCE).max_buf_size(64 << 10);
    if entrance == Entrance::Cards {
        let Some(cards) = shared.people.as_ref().and_then(|people| people.cards()) else { return Ok(()) };
        let config = shared.certificate().asking_server(cards.names())?;
        let shaken =
            tokio::time::timeout(PATIENCE, TlsAcceptor::from(Arc::new(config)).accept(stream)).await?;
        let stream = shaken.inspect_err(|error| {
            let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
            tls.into_iter().for_each(|reason| cards::handshake_failed(shared, reason, &place));
        })?;
        let shown = stream.get_ref().1.peer_certificates();
        let shown =
            cards::Shown(shown.unwrap_or_default().iter().map(|one| one.clone().into_owned()).collect());
        let service = TowerToHyperService::new(router.layer(Extension(place)).layer(Extension(shown)));
        // Each sign-in is a handshake of its own, for which the card must be there.
        http.keep_alive(false).serve_connection(TokioIo::new(stream), service).await?;
    } else if shared.tls || entrance == Entrance::Edge {
        let acceptor = TlsAcceptor::from(Arc::new(shared.certificate().tcp_server()?));
        let stream = tokio::time::timeout(PATIENCE, acceptor.accept(stream)).await??;
        place.exporter = link::exporter_of(stream.get_ref().1);
        let service = TowerToHyperService::new(router.layer(Extension(place)));
        http.serve_connection(TokioIo::new(stream), service).with_upgrades().await?;
    } else {
        let service = TowerToHyperService::new(router.layer(Extension(place)));
        http.serve_connection(TokioIo::new(stream), service).with_upgrades().await?;
    }
    Ok(())
}
