//! Clients' TCP connections: what begins as TLS for a right name becomes a stream of a gateway's tunnel, unopened.

use super::Counters;
use super::guard::{Guard, Place};
use super::hello::hello;
use super::tunnels::Tunnels;
use crate::policy::Network;
use crate::wire::put_head;
use ppp::{HeaderResult, PartialResult, v1, v2};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A client has said its hello by then.
const PATIENCE: Duration = Duration::from_secs(5);
/// A connection on which neither side says anything for this long is ended. Viewers say something twice a second.
const IDLE: Duration = Duration::from_secs(75);
/// Connections that wait to be accepted.
const BACKLOG: i32 = 1_024;
/// What is taken of one side before it is given to the other, in bytes.
const PIECE: usize = 32 << 10;
/// What the kernel may hold that was not sent yet, in bytes: a queue here would delay what is urgent.
const UNSENT: u32 = 16 << 10;
/// The PROXY protocol's header is no longer, in bytes.
const MOST_PROXY: usize = 4 << 10;

pub(super) struct Entrance {
    pub names: Vec<String>,
    pub proxies: Vec<Network>,
    pub guard: Guard,
    pub tunnels: Arc<Tunnels>,
    pub counters: Arc<Counters>,
}

pub(super) fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let domain = socket2::Domain::for_address(address);
    let socket = socket2::Socket::new(domain, socket2::Type::STREAM, Some(socket2::Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

pub(super) async fn serve(listener: TcpListener, entrance: Arc<Entrance>) {
    loop {
        let (stream, from) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, most likely: others may be freed.
                tracing::warn!(%error, "accepting a TCP connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let by_proxy = entrance.proxies.iter().any(|network| network.holds(from.ip()));
        // Of whom a proxy speaks for is counted once it is known.
        let place = if by_proxy { None } else { entrance.guard.connect(from.ip(), Instant::now()) };
        if place.is_none() && !by_proxy {
            entrance.counters.connections_refused.count();
            continue;
        }
        let entrance = entrance.clone();
        tokio::spawn(async move {
            if pass(&entrance, stream, from, place).await.is_none() {
                entrance.counters.connections_refused.count();
            }
        });
    }
}

/// Serves a connection to its end; `None` if it went no further than here.
async fn pass(
    entrance: &Entrance,
    mut stream: TcpStream,
    from: SocketAddr,
    place: Option<Place>,
) -> Option<()> {
    let _ = stream.set_nodelay(true);
    let _ = socket2::SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT);
    let mut begun = Vec::with_capacity(4 << 10);
    let greeted = tokio::time::timeout(PATIENCE, async {
        let (client, place) = match place {
            Some(place) => (from, place),
            None => {
                let client = spoken_for(&mut stream, &mut begun).await?.unwrap_or(from);
                (client, entrance.guard.connect(client.ip(), Instant::now())?)
            }
        };
        hello(&mut stream, &mut begun, &entrance.names).await.ok()?;
        Some((client, place))
    });
    let (client, _place) = greeted.await.ok()??;
    let tunnel = entrance.tunnels.for_connection_of(client.ip())?;
    let opened = tokio::time::timeout(PATIENCE, tunnel.connection.open_bi()).await;
    let (mut send, receive) = opened.ok()?.ok()?;
    entrance.counters.connections.count();
    let mut head = Vec::new();
    put_head(&mut head, client);
    send.write_all(&head).await.ok()?;
    send.write_all(&begun).await.ok()?;
    drop((head, begun));
    entrance.counters.carried.more();
    relay(stream, send, receive).await;
    entrance.counters.carried.less();
    Some(())
}

/// Whom a load balancer speaks for: `None` if it does not say; inside, `None` if it speaks for itself.
async fn spoken_for(stream: &mut TcpStream, begun: &mut Vec<u8>) -> Option<Option<SocketAddr>> {
    loop {
        let header = HeaderResult::parse(begun);
        if header.is_complete() {
            let (length, client) = match header {
                HeaderResult::V1(Ok(header)) => (header.header.len(), client_of_text(&header)),
                HeaderResult::V2(Ok(header)) => (header.len(), client_of_binary(&header)),
                _ => return None,
            };
            begun.drain(..length);
            return Some(client);
        }
        if begun.len() >= MOST_PROXY || stream.read_buf(begun).await.ok()? == 0 {
            return None;
        }
    }
}

fn client_of_text(header: &v1::Header<'_>) -> Option<SocketAddr> {
    match header.addresses {
        v1::Addresses::Tcp4(tcp) => Some((tcp.source_address, tcp.source_port).into()),
        v1::Addresses::Tcp6(tcp) => Some((tcp.source_address, tcp.source_port).into()),
        v1::Addresses::Unknown => None,
    }
}

fn client_of_binary(header: &v2::Header<'_>) -> Option<SocketAddr> {
    match header.addresses {
        v2::Addresses::IPv4(ip) => Some((ip.source_address, ip.source_port).into()),
        v2::Addresses::IPv6(ip) => Some((ip.source_address, ip.source_port).into()),
        v2::Addresses::Unspecified | v2::Addresses::Unix(_) => None,
    }
}

/// Brings bytes both ways until both sides have ended, one is lost, or both are silent.
async fn relay(stream: TcpStream, mut send: quinn::SendStream, mut receive: quinn::RecvStream) {
    let (mut from_client, mut to_client) = stream.into_split();
    let (started, heard) = (Instant::now(), AtomicU64::new(0));
    let both = async {
        tokio::join!(
            carry(&mut from_client, &mut send, started, &heard),
            carry(&mut receive, &mut to_client, started, &heard)
        )
    };
    let silent = async {
        loop {
            let last = Duration::from_millis(heard.load(Ordering::Relaxed));
            let left = (last + IDLE).saturating_sub(started.elapsed());
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left).await;
        }
    };
    tokio::select! {
        _ = both => {}
        () = silent => {}
    }
}

/// Brings what one side says to the other, and that it has ended.
async fn carry(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    started: Instant,
    heard: &AtomicU64,
) {
    let mut piece = vec![0; PIECE];
    loop {
        match from.read(&mut piece).await {
            Ok(0) | Err(_) => break,
            Ok(count) => {
                heard.store(started.elapsed().as_millis() as u64, Ordering::Relaxed);
                if to.write_all(&piece[..count]).await.is_err() {
                    break;
                }
            }
        }
    }
    let _ = to.shutdown().await;
}
