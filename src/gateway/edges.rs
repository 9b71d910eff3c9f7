//! The edges that this gateway dials: tunnels by which clients come that may not come straight. What an edge brings is a client's
//! own TLS or QUIC, and is served here as if the client had come itself, but for what is for the inside alone.

use super::handshakes::Handshakes;
use super::listen::{self, Entrance, Place, Way};
use super::outside::{self, ADMITTED, Addresses, OutsideConfig, Users};
use super::{GatewayError, Shared, page};
use crate::link::{self, Identity, Tag, TunnelSocket, tunnel_transport};
use crate::policy::Policies;
use crate::wire::{MAX_HEAD, TAG_KEY, TUNNEL_ALPN, TunnelMessage, household, read_head};
use aws_lc_rs::hmac;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::BytesMut;
use serde::Deserialize;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, broadcast};

/// Messages to an edge that wait.
const WAITING: usize = 4_096;
/// TCP connections of an edge.
const MOST_CONNECTIONS: u32 = 4_096;
/// An edge has this long for what is due.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between attempts to reach an edge, at first and at most.
const RETRY: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));

/// An edge that is dialled.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct EdgeConfig {
    /// Host and port of its inner side.
    pub address: String,
    pub fingerprint: String,
    /// Zones that its clients may be in. An address in any other zone is not believed.
    #[serde(default)]
    pub zones: Vec<String>,
    /// What a packet on the way to it may carry, in bytes of UDP.
    #[serde(default = "mtu")]
    pub mtu: u16,
}

fn mtu() -> u16 {
    1_452
}

impl EdgeConfig {
    /// What is wrong with it, if anything.
    pub(super) fn fault(&self) -> Option<&'static str> {
        let port = self.address.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
        match () {
            () if port.is_none() => Some("`address` is host:port, of the edge's `inside`"),
            () if link::parse_fingerprint(&self.fingerprint).is_none() => Some(
                "`fingerprint` has 64 hexadecimal digits: `chevet edge --config FILE --identity` prints it",
            ),
            () if self.mtu < 1_300 => Some("`mtu` must be 1,300 or more, as the edge's"),
            () => None,
        }
    }
}

/// What this gateway's edges share.
pub(super) struct Edges {
    socket: Arc<TunnelSocket>,
    key: [u8; TAG_KEY],
    policies: Policies,
    said: broadcast::Sender<TunnelMessage>,
    addresses: Mutex<Addresses>,
    users: Arc<Users>,
    leaving: AtomicBool,
}

impl Edges {
    pub fn new(secret: &hmac::Key, policies: Policies, outside: OutsideConfig) -> Arc<Edges> {
        // Kept over restarts, so that connections of an earlier start still come here and are reset at once.
        let mut key = [0; TAG_KEY];
        key.copy_from_slice(hmac::sign(secret, b"connection ids behind edges").as_ref());
        let (said, _) = broadcast::channel(WAITING);
        Arc::new(Edges {
            socket: TunnelSocket::new(),
            key,
            policies,
            said,
            addresses: Mutex::default(),
            users: Users::new(outside),
            leaving: AtomicBool::new(false),
        })
    }

    /// The endpoint for QUIC through all edges.
    pub fn endpoint(&self, shared: &Shared, secret: &hmac::Key) -> Result<quinn::Endpoint, GatewayError> {
        let tag = hmac::sign(secret, b"QUIC stateless reset behind edges");
        let reset_key = hmac::Key::new(hmac::HMAC_SHA256, tag.as_ref());
        let tag = Tag::new(&self.key);
        Ok(link::listen_in_tunnels(self.socket.clone(), &shared.certificate(), reset_key, &tag)?)
    }

    /// Somebody at this address is known, by their sign-in if people sign in: it may open QUIC connections at the edges.
    pub fn admit(&self, address: IpAddr, sign_in: Option<&str>) {
        self.admit_if(address, sign_in, false);
    }

    /// The same, for somebody whom another gateway knows: said again even if it was said just now, since that gateway may
    /// have said it of itself meanwhile, and the last one to say so is whom an edge brings an address to.
    pub fn admit_anew(&self, address: IpAddr, sign_in: Option<&str>) {
        self.admit_if(address, sign_in, true);
    }

    fn admit_if(&self, address: IpAddr, sign_in: Option<&str>, anew: bool) {
        if self.addresses().admit(address, sign_in, anew, Instant::now()) {
            let (address, seconds) = (household(address), ADMITTED.as_secs() as u32);
            let _ = self.said.send(TunnelMessage::Admit { address, seconds });
        }
    }

    /// A sign-in has ended: where nobody else is known the edges let no QUIC in any more.
    pub fn forget(&self, sign_in: &str) {
        for address in self.addresses().forget(sign_in, Instant::now()) {
            let _ = self.said.send(TunnelMessage::Withdraw { address });
        }
    }

    fn addresses(&self) -> MutexGuard<'_, Addresses> {
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn users(&self) -> &Arc<Users> {
        &self.users
    }

    /// This gateway takes no new clients.
    pub fn leave(&self) {
        self.leaving.store(true, Ordering::Relaxed);
        let _ = self.said.send(TunnelMessage::Leaving);
    }

    /// What an edge that has just come, or has missed something, is told.
    fn all_said(&self) -> Vec<TunnelMessage> {
        let now = Instant::now();
        let mut addresses = self.addresses();
        let withdrawn = addresses.withdrawn(now).into_iter();
        let withdrawn = withdrawn.map(|address| TunnelMessage::Withdraw { address });
        let message = |(address, left): (IpAddr, Duration)| TunnelMessage::Admit {
            address,
            seconds: left.as_secs() as u32,
        };
        let admitted = addresses.admitted(now).map(message);
        let leaving = self.leaving.load(Ordering::Relaxed).then_some(TunnelMessage::Leaving);
        withdrawn.chain(admitted).chain(leaving).collect()
    }

    /// Whether an edge may speak for this address: an edge that was taken over cannot pass for the inside.
    fn believes(&self, edge: &EdgeConfig, address: IpAddr) -> bool {
        let zone = self.policies.zone_of(address);
        zone.is_empty() || edge.zones.iter().any(|allowed| allowed == zone)
    }
}

/// Who this gateway is to its edges.
pub fn identity(state_directory: &Path) -> Result<Identity, link::IdentityError> {
    Identity::kept(&state_directory.join("tunnel.pem"))
}

/// Keeps a tunnel to an edge.
pub(super) async fn keep(
    edge: EdgeConfig,
    client: quinn::ClientConfig,
    shared: Arc<Shared>,
    edges: Arc<Edges>,
) {
    let (mut pause, most) = RETRY;
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS as usize));
    loop {
        let begun = Instant::now();
        let ended = match dial(&edge, &client).await {
            Ok((endpoint, connection)) => {
                let ended = serve(&edge, &connection, &shared, &edges, &places).await;
                edges.socket.ended(&connection);
                connection.close(0_u32.into(), b"");
                drop(endpoint);
                ended
            }
            Err(reason) => reason,
        };
        if begun.elapsed() > most {
            pause = RETRY.0;
        }
        tracing::warn!(edge = edge.address, reason = ended, "no tunnel to the edge; it is tried again");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(most);
    }
}

async fn dial(
    edge: &EdgeConfig,
    client: &quinn::ClientConfig,
) -> Result<(quinn::Endpoint, quinn::Connection), String> {
    let text = |error: &dyn std::error::Error| error.to_string();
    let mut last = "the name has no address".to_owned();
    let found = tokio::net::lookup_host(&edge.address).await.map_err(|error| text(&error))?;
    for address in found.take(4) {
        let any: SocketAddr = if address.is_ipv4() { ([0; 4], 0).into() } else { ([0_u16; 8], 0).into() };
        let socket = link::udp_socket(any).map_err(|error| text(&error))?;
        let runtime = Arc::new(quinn::TokioRuntime);
        let mut config = quinn::EndpointConfig::default();
        config.max_udp_payload_size(edge.mtu.max(1_472)).map_err(|error| text(&error))?;
        let endpoint = quinn::Endpoint::new(config, None, socket, runtime).map_err(|error| text(&error))?;
        let connecting =
            endpoint.connect_with(client.clone(), address, "edge").map_err(|error| text(&error))?;
        match tokio::time::timeout(PATIENCE, connecting).await {
            Ok(Ok(connection)) => return Ok((endpoint, connection)),
            Ok(Err(error)) => last = error.to_string(),
            Err(_) => last = format!("no answer within {} s", PATIENCE.as_secs()),
        }
    }
    Err(last)
}

/// How an edge is dialled.
pub(super) fn client(edge: &EdgeConfig, identity: &Identity) -> Result<quinn::ClientConfig, GatewayError> {
    // `fault` was asked before.
    let pin = link::parse_fingerprint(&edge.fingerprint).unwrap_or_default();
    let mut client = quinn::ClientConfig::new(Arc::new(identity.quic_client(TUNNEL_ALPN, pin)?));
    client.transport_config(Arc::new(tunnel_transport(edge.mtu, MOST_CONNECTIONS)));
    Ok(client)
}

/// Serves what comes through a tunnel until it ends; the reason for that.
async fn serve(
    edge: &EdgeConfig,
    tunnel: &quinn::Connection,
    shared: &Arc<Shared>,
    edges: &Arc<Edges>,
    places: &Arc<Semaphore>,
) -> String {
    let introduced = tokio::time::timeout(PATIENCE, introduce(tunnel, edges)).await;
    let ((send, receive, arrived), udp_port) = match introduced {
        Ok(Ok(introduced)) => introduced,
        Ok(Err(reason)) => return reason,
        Err(_) => return "it did not answer".into(),
    };
    tracing::info!(edge = edge.address, "a tunnel to the edge");
    let way = Way::Edge { edges: edges.clone(), udp_port: (udp_port != 0).then_some(udp_port) };
    tokio::select! {
        reason = say(send, edges) => reason,
        reason = hear(receive, arrived) => reason,
        reason = packets(edge, tunnel, edges) => reason,
        reason = connections(edge, tunnel, shared, way, places) => reason,
    }
}

type Control = (quinn::SendStream, quinn::RecvStream, BytesMut);

async fn introduce(tunnel: &quinn::Connection, edges: &Edges) -> Result<(Control, u16), String> {
    let (mut send, mut receive) = tunnel.open_bi().await.map_err(|error| error.to_string())?;
    let first = TunnelMessage::Gateway { software: link::software(), key: edges.key };
    send.write_all(&first.to_bytes()).await.map_err(|error| error.to_string())?;
    let mut arrived = BytesMut::new();
    match link::next_tunnel_message(&mut receive, &mut arrived).await? {
        TunnelMessage::Edge { udp_port, .. } => Ok(((send, receive, arrived), udp_port)),
        _ => Err("it did not say what it is".into()),
    }
}

async fn say(mut send: quinn::SendStream, edges: &Edges) -> String {
    let mut said = edges.said.subscribe();
    let mut due = edges.all_said();
    loop {
        for message in due.drain(..) {
            if let Err(error) = send.write_all(&message.to_bytes()).await {
                return error.to_string();
            }
        }
        match said.recv().await {
            Ok(message) => due.push(message),
            // Too slow for what was said one by one: all of it again.
            Err(broadcast::error::RecvError::Lagged(_)) => due = edges.all_said(),
            Err(broadcast::error::RecvError::Closed) => return "the gateway is stopping".into(),
        }
    }
}

async fn hear(mut receive: quinn::RecvStream, mut arrived: BytesMut) -> String {
    loop {
        if let Err(reason) = link::next_tunnel_message(&mut receive, &mut arrived).await {
            return reason;
        }
    }
}

async fn packets(edge: &EdgeConfig, tunnel: &quinn::Connection, edges: &Edges) -> String {
    loop {
        let mut datagram = match tunnel.read_datagram().await {
            Ok(datagram) => datagram,
            Err(error) => return error.to_string(),
        };
        match read_head(&datagram) {
            Ok((client, head)) if edges.believes(edge, client.ip()) => {
                let packet = datagram.split_off(head);
                edges.socket.arrived(client, packet, tunnel);
            }
            Ok(_) => {}
            Err(error) => return error.to_string(),
        }
    }
}

async fn connections(
    edge: &EdgeConfig,
    tunnel: &quinn::Connection,
    shared: &Arc<Shared>,
    way: Way,
    places: &Arc<Semaphore>,
) -> String {
    let router = router(shared, &way);
    let handshakes = Handshakes::default();
    loop {
        let (send, mut receive) = match tunnel.accept_bi().await {
            Ok(stream) => stream,
            Err(error) => return error.to_string(),
        };
        let Ok(place) = places.clone().try_acquire_owned() else { continue };
        let (shared, router, way, edge) = (shared.clone(), router.clone(), way.clone(), edge.clone());
        let handshakes = handshakes.clone();
        tokio::spawn(async move {
            let head = tokio::time::timeout(PATIENCE, head(&mut receive)).await;
            let Ok(Some(client)) = head else { return };
            let Way::Edge { edges, .. } = &way else { return };
            if !edges.believes(&edge, client.ip()) {
                tracing::warn!(edge = edge.address, address = %client.ip(), "an address of a zone was not believed");
                return;
            }
            let Some(handshake) = handshakes.begin(client.ip()) else { return };
            let place = Place::new(place, client.ip(), way);
            let stream = tokio::io::join(receive, send);
            let _ = listen::serve_connection(stream, &shared, router, Entrance::Edge, place, handshake).await;
        });
    }
}

/// The client that a stream is of.
async fn head(receive: &mut quinn::RecvStream) -> Option<SocketAddr> {
    let mut bytes = [0; MAX_HEAD];
    let (family, _) = bytes.split_at_mut(1);
    receive.read_exact(family).await.ok()?;
    let length = if bytes[0] == 4 { 1 + 4 + 2 } else { MAX_HEAD };
    receive.read_exact(&mut bytes[1..length]).await.ok()?;
    read_head(&bytes[..length]).ok().map(|(client, _)| client)
}

/// What clients behind edges may ask for: signing in, their sessions, and the page; nothing of administration, seats or hosts.
fn router(shared: &Arc<Shared>, way: &Way) -> axum::Router {
    let Way::Edge { edges, .. } = way else { return axum::Router::new() };
    let edges = edges.clone();
    let guard = move |request: Request, next: Next| guard(request, next, edges.clone());
    page::router(shared.clone()).layer(axum::middleware::from_fn(guard))
}

async fn guard(request: Request, next: Next, edges: Arc<Edges>) -> Response {
    let asked = ask(request.uri().path());
    if asked == Asked::Inside {
        return (StatusCode::NOT_FOUND, "there is nothing here\n").into_response();
    }
    let from = request.extensions().get::<Place>().map(Place::from);
    let (response, sign_in) = outside::learning(next.run(request)).await;
    if let (Asked::Known, Some(from)) = (asked, from.filter(|_| response.status().is_success())) {
        edges.admit(from, sign_in.as_deref());
    }
    response
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    /// Whoever asks: the page, and how to sign in.
    Anybody,
    /// It is answered only to somebody who is known.
    Known,
    /// Not from outside.
    Inside,
}

/// What a path is for. A path that is not named here is none.
fn ask(path: &str) -> Asked {
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    match parts[..] {
        ["api", "sign-in" | "me" | "sessions" | "tickets" | "watch"] => Asked::Known,
        ["api", "applications" | "sessions", _, _] => Asked::Known,
        ["api", "connect" | "sign-out"] | ["api", "oidc", _, _] | ["api", "oidc", _, "device", "poll"] => {
            Asked::Anybody
        }
        ["api", ..] | ["healthz" | "readyz" | "metrics"] => Asked::Inside,
        // The pages of those inside; a name that is written otherwise than it is could be one of them.
        [first, ..] if first.starts_with("admin") || first.starts_with("replay") || path.contains('%') => {
            Asked::Inside
        }
        // The page's own files, and where links attach with a ticket.
        _ => Asked::Anybody,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_for_the_inside_is_not_there_for_who_comes_by_an_edge() {
        for path in [
            "/admin",
            "/admin.html",
            "/api/admin",
            "/api/admin/users",
            "/api/admin/sessions/icu/end",
            "/api/seats/tap",
            "/api/cards/start",
            "/api/anything",
            "/api",
            "/api/",
            "/api/sessions/",
            "/metrics",
            "/healthz",
            "/readyz",
            "/replay",
            "/replay-worker.js",
            "/admin.css",
            "/%61dmin.html",
            "/admin%2ejs",
        ] {
            assert_eq!(ask(path), Asked::Inside, "{path}");
        }
    }

    #[test]
    fn signing_in_and_the_page_are_there_for_all_and_only_answers_to_known_people_admit() {
        for path in ["/", "/index.html", "/main.js", "/chevet", "/api/connect", "/api/oidc/clinic/callback"] {
            assert_eq!(ask(path), Asked::Anybody, "{path}");
        }
        for path in ["/api/sign-in", "/api/me", "/api/tickets", "/api/sessions", "/api/sessions/icu/share"] {
            assert_eq!(ask(path), Asked::Known, "{path}");
        }
    }
}
