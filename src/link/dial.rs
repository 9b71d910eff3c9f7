//! Opening links to a gateway.

use super::{
    Closed, Exporter, Inbox, Link, Proxy, ProxyError, Road, TlsError, WebSocketFault, Written, quic, tls,
    websocket,
};
use crate::wire;
use futures_util::{SinkExt, StreamExt};
use rustls_pki_types::ServerName;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest, http};

/// A dialled peer must have answered by then.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// The same through a proxy, which has to look the name up and to connect itself.
const PROXY_PATIENCE: Duration = Duration::from_secs(10);
/// How much earlier a host tries QUIC than WebSocket. It stays on the road that it takes.
const HEAD_START: Duration = Duration::from_secs(1);
/// What a socket buffers: a burst of updates, not more.
const SOCKET_BUFFER: usize = 4 << 20;

/// Where a gateway is reached, and how it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// A name or an address, without brackets.
    pub host: String,
    pub udp_port: Option<u16>,
    pub tcp_port: Option<u16>,
    /// Whether the TCP port speaks TLS.
    pub tls: bool,
    /// SHA-256 of acceptable certificates; empty: one that a public authority signed.
    pub pins: Vec<[u8; 32]>,
    /// The HTTP proxy through which TCP goes, where it stands before this host.
    pub proxy: Option<Arc<Proxy>>,
}

impl Target {
    fn proxy_before(&self, port: u16) -> Option<&Proxy> {
        self.proxy.as_deref().filter(|proxy| proxy.stands_before(&self.host, port))
    }
}

#[derive(Debug, thiserror::Error)]
pub enum DialError {
    #[error("finding the address of {host}: {source}; check the name and the network")]
    Resolve { host: String, source: std::io::Error },
    #[error("{host} has no address")]
    NoAddress { host: String },
    #[error("{host} offers no {road}")]
    NotOffered { host: String, road: &'static str },
    #[error(
        "connecting to {address} by {road}: {reason}; check the address, and that the gateway runs there"
    )]
    Failed { address: SocketAddr, road: &'static str, reason: String },
    #[error("connecting to {host} by {road}: {reason}; check that the gateway runs there")]
    Through { host: String, road: &'static str, reason: String },
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// Opens a link to `target` by one road.
pub async fn dial(target: &Target, road: Road) -> Result<(Link, Inbox), DialError> {
    let port = match road {
        Road::WebSocket => target.tcp_port,
        Road::Quic | Road::WebTransport => target.udp_port,
        Road::Inside => None,
    };
    let port = port.ok_or(DialError::NotOffered { host: target.host.clone(), road: road.name() })?;
    if road == Road::WebSocket
        && let Some(proxy) = target.proxy_before(port)
    {
        let (link, inbox) = dial_through(target, port, proxy).await?;
        link.welcome_updates();
        return Ok((link, inbox));
    }
    let mut last = DialError::NoAddress { host: target.host.clone() };
    for address in resolve(&target.host, port).await? {
        let failed = |reason: String| DialError::Failed { address, road: road.name(), reason };
        let attempt = async {
            match road {
                Road::WebSocket => dial_websocket(target, address).await.map_err(|e| failed(e.to_string())),
                _ => dial_quic(target, address).await.map_err(|e| failed(e.to_string())),
            }
        };
        match tokio::time::timeout(PATIENCE, attempt).await {
            Ok(Ok((link, inbox))) => {
                link.welcome_updates();
                return Ok((link, inbox));
            }
            Ok(Err(error)) => last = error,
            Err(_) => last = failed(format!("no answer within {} s", PATIENCE.as_secs())),
        }
    }
    Err(last)
}

/// Opens a link to `target` by QUIC, or by WebSocket if QUIC fails or is not there within a second.
pub async fn dial_any(target: &Target) -> Result<(Link, Inbox), DialError> {
    if target.tcp_port.is_none() {
        return dial(target, Road::Quic).await;
    }
    let mut quic = std::pin::pin!(dial(target, Road::Quic));
    if let Ok(result) = tokio::time::timeout(HEAD_START, &mut quic).await {
        return match result {
            Ok(opened) => Ok(opened),
            Err(_) => dial(target, Road::WebSocket).await,
        };
    }
    let mut websocket = std::pin::pin!(dial(target, Road::WebSocket));
    tokio::select! {
        opened = &mut quic => match opened {
            Ok(opened) => Ok(opened),
            Err(_) => websocket.await,
        },
        opened = &mut websocket => match opened {
            Ok(opened) => Ok(opened),
            // What is wrong with the way that is left, or with both.
            Err(error) => quic.await.map_err(|_| error),
        },
    }
}

/// A TCP connection to `host` and `port`, through the proxy if it stands before them; what is said if there is none.
pub async fn connect_tcp(host: &str, port: u16, proxy: Option<&Proxy>) -> Result<TcpStream, WebSocketFault> {
    match proxy.filter(|proxy| proxy.stands_before(host, port)) {
        Some(proxy) => Ok(proxy.connect(host, port).await?),
        None => Ok(TcpStream::connect((host, port)).await?),
    }
}

async fn dial_through(target: &Target, port: u16, proxy: &Proxy) -> Result<(Link, Inbox), DialError> {
    let failed = |reason: String| DialError::Through {
        host: format!("{} through the proxy {}", target.host, proxy.name()),
        road: Road::WebSocket.name(),
        reason,
    };
    let attempt = async {
        let stream = proxy.connect(&target.host, port).await?;
        open_websocket(target, port, stream).await.map_err(|error| failed(error.to_string()))
    };
    let late = |_| Err(failed(format!("no answer within {} s", PROXY_PATIENCE.as_secs())));
    tokio::time::timeout(PROXY_PATIENCE, attempt).await.unwrap_or_else(late)
}

pub(super) async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, DialError> {
    let failed = |source| DialError::Resolve { host: host.to_owned(), source };
    Ok(tokio::net::lookup_host((host, port)).await.map_err(failed)?.take(4).collect())
}

/// Each connection that is dialled has a socket of its own: no packet to it need say which one it is for.
struct NoConnectionIds;

impl quinn::ConnectionIdGenerator for NoConnectionIds {
    fn generate_cid(&mut self) -> quinn::ConnectionId {
        quinn::ConnectionId::new(&[])
    }

    fn cid_len(&self) -> usize {
        0
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

async fn dial_quic(target: &Target, address: SocketAddr) -> Result<(Link, Inbox), WebSocketFault> {
    let mut config = quinn::ClientConfig::new(Arc::new(tls::quic_client(&target.pins)?));
    config.transport_config(Arc::new(quic::transport()));
    let local: SocketAddr = match address {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let mut endpoint = quinn::EndpointConfig::default();
    endpoint.cid_generator(|| Box::new(NoConnectionIds));
    let endpoint = quinn::Endpoint::new(endpoint, None, udp_socket(local)?, Arc::new(quinn::TokioRuntime))?;
    let connection = endpoint.connect_with(config, address, &target.host)?.await?;
    Ok(quic::open(connection).await?)
}

async fn dial_websocket(target: &Target, address: SocketAddr) -> Result<(Link, Inbox), WebSocketFault> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    open_websocket(target, address.port(), stream).await
}

async fn open_websocket(
    target: &Target,
    port: u16,
    stream: TcpStream,
) -> Result<(Link, Inbox), WebSocketFault> {
    let host = if target.host.contains(':') { format!("[{}]", target.host) } else { target.host.clone() };
    let scheme = if target.tls { "wss" } else { "ws" };
    let mut request = format!("{scheme}://{host}:{port}{}", wire::PATH).into_client_request()?;
    request
        .headers_mut()
        .insert(http::header::SEC_WEBSOCKET_PROTOCOL, http::HeaderValue::from_static(wire::SUBPROTOCOL));
    if !target.tls {
        return finish_websocket(request, stream, None).await;
    }
    let config = tls::client(&target.pins, b"http/1.1")?;
    let name = ServerName::try_from(target.host.clone())?;
    let stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    let exporter = websocket::exporter_of(stream.get_ref().1);
    finish_websocket(request, stream, exporter).await
}

async fn finish_websocket(
    request: http::Request<()>,
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    exporter: Option<Exporter>,
) -> Result<(Link, Inbox), WebSocketFault> {
    let (socket, _) = tokio_tungstenite::client_async(request, stream).await?;
    let (sink, stream) = socket.split();
    let sink = Box::pin(
        sink.sink_map_err(WebSocketFault::from)
            .with(|written: Written| std::future::ready(Ok::<_, WebSocketFault>(message(written)))),
    );
    let stream = stream.filter_map(|message| {
        std::future::ready(match message {
            Ok(Message::Binary(bytes)) => Some(Ok(bytes)),
            Ok(Message::Close(frame)) => Some(Err(Box::new(Closed::lost(
                frame.map(|frame| frame.reason.to_string()).unwrap_or_default(),
            )) as WebSocketFault)),
            Ok(_) => None,
            Err(error) => Some(Err(error.into())),
        })
    });
    Ok(websocket::join(sink, stream, exporter))
}

fn message(written: Written) -> Message {
    match written {
        Written::Frame(bytes) => Message::Binary(bytes),
        Written::Close(code, reason) => {
            Message::Close(Some(CloseFrame { code: code.into(), reason: reason.into() }))
        }
    }
}

/// A UDP socket with large buffers, as far as the system gives them.
pub fn udp_socket(address: SocketAddr) -> std::io::Result<UdpSocket> {
    let domain = socket2::Domain::for_address(address);
    let socket = socket2::Socket::new(domain, socket2::Type::DGRAM, Some(socket2::Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // The system caps what it gives without a word; `chevet doctor` looks at the caps.
    let _ = socket.set_recv_buffer_size(SOCKET_BUFFER);
    let _ = socket.set_send_buffer_size(SOCKET_BUFFER);
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}
