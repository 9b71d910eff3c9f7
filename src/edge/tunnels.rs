//! The gateways that have dialled in, and which of them a client goes to.

use super::admissions::Admissions;
use super::joined::Joined;
use super::udp::Fronts;
use super::{Config, EdgeError};
use crate::link::{self, Identity, Tag, TlsError, tunnel_transport};
use crate::wire::{CONNECTION_ID, TAG_KEY, TUNNEL_ALPN, TunnelMessage, household, read_head};
use bytes::BytesMut;
use futures_util::FutureExt as _;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

/// Tunnels at once: gateways have one each, and a new one while an old one is found to be dead.
const MOST: usize = 64;
/// A gateway says who it is within this time.
const PATIENCE: Duration = Duration::from_secs(5);

/// A gateway's tunnel.
pub(super) struct Tunnel {
    id: u64,
    gateway: [u8; 32],
    pub connection: quinn::Connection,
    tag: Tag,
    leaving: AtomicBool,
}

pub(super) struct Tunnels {
    all: RwLock<Vec<Arc<Tunnel>>>,
    admissions: Mutex<Admissions>,
    udp_port: u16,
    fronts: Arc<Fronts>,
    next: AtomicU64,
}

impl Tunnels {
    pub(super) fn new(udp_port: u16, fronts: Arc<Fronts>) -> Arc<Tunnels> {
        let (all, admissions, next) = Default::default();
        Arc::new(Tunnels { all, admissions, udp_port, fronts, next })
    }

    pub(super) fn count(&self) -> usize {
        self.all.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// For QUIC from an address: of the gateways that let it in, the first one that is there.
    pub(super) fn of_admitted(&self, address: IpAddr, now: Instant) -> Option<Arc<Tunnel>> {
        self.of_admitted_if(address, now, |_| true)
    }

    fn of_admitted_if(
        &self,
        address: IpAddr,
        now: Instant,
        may: impl Fn(&Tunnel) -> bool,
    ) -> Option<Arc<Tunnel>> {
        let gateways =
            self.admissions.lock().unwrap_or_else(PoisonError::into_inner).gateways_of(address, now);
        gateways.into_iter().find_map(|gateway| self.find(|tunnel| tunnel.gateway == gateway && may(tunnel)))
    }

    /// The gateway that made a connection id.
    pub(super) fn of_connection(&self, id: &[u8; CONNECTION_ID]) -> Option<Arc<Tunnel>> {
        self.find(|tunnel| tunnel.tag.holds(id))
    }

    /// For a TCP connection: the gateway that let its address in, or always the same one for the same address.
    pub(super) fn for_connection_of(&self, address: IpAddr) -> Option<Arc<Tunnel>> {
        let stays = |tunnel: &Tunnel| !tunnel.leaving.load(Ordering::Relaxed);
        if let Some(tunnel) = self.of_admitted_if(address, Instant::now(), stays) {
            return Some(tunnel);
        }
        let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
        let weight = |tunnel: &&Arc<Tunnel>| {
            let mut hasher = DefaultHasher::new();
            (household(address), tunnel.gateway).hash(&mut hasher);
            hasher.finish()
        };
        let chosen = all.iter().filter(|tunnel| stays(tunnel)).max_by_key(weight);
        chosen.or_else(|| all.iter().max_by_key(weight)).cloned()
    }

    fn find(&self, of: impl Fn(&Tunnel) -> bool) -> Option<Arc<Tunnel>> {
        let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
        // The newest first: an old one of the same gateway may be dead.
        all.iter().rev().find(|tunnel| of(tunnel)).cloned()
    }

    fn add(&self, connection: quinn::Connection, key: &[u8; TAG_KEY]) -> Option<Arc<Tunnel>> {
        let gateway = link::peer_fingerprint(&connection)?;
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let tunnel =
            Arc::new(Tunnel { id, gateway, connection, tag: Tag::new(key), leaving: AtomicBool::new(false) });
        let mut all = self.all.write().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST {
            return None;
        }
        all.push(tunnel.clone());
        Some(tunnel)
    }

    fn remove(&self, id: u64) {
        self.all.write().unwrap_or_else(PoisonError::into_inner).retain(|tunnel| tunnel.id != id);
    }
}

/// The endpoint that gateways dial.
pub(super) fn listen(
    config: &Config,
    identity: &Identity,
    gateways: &[[u8; 32]],
) -> Result<quinn::Endpoint, EdgeError> {
    let mut server = quinn::ServerConfig::with_crypto(Arc::new(identity.quic_server(TUNNEL_ALPN, gateways)?));
    // Only the gateway's control stream is opened from the inside.
    server.transport_config(Arc::new(tunnel_transport(config.mtu, 1)));
    let failed = |source| EdgeError::Listen { address: config.inside, source };
    let socket = link::udp_socket(config.inside).map_err(failed)?;
    let runtime = Arc::new(quinn::TokioRuntime);
    let mut endpoint = quinn::EndpointConfig::default();
    endpoint.max_udp_payload_size(config.mtu.max(1_472)).ok();
    let endpoint =
        quinn::Endpoint::new(endpoint, Some(server), socket, runtime).map_err(TlsError::Endpoint)?;
    Ok(endpoint)
}

pub(super) async fn serve(endpoint: quinn::Endpoint, tunnels: Arc<Tunnels>) {
    while let Some(incoming) = endpoint.accept().await {
        let tunnels = tunnels.clone();
        tokio::spawn(async move {
            let from = incoming.remote_address();
            match tokio::time::timeout(PATIENCE, async { incoming.await }).await {
                Ok(Ok(connection)) => accompany(connection, from, &tunnels).await,
                Ok(Err(error)) => tracing::warn!(%from, %error, "a gateway was not let in"),
                Err(_) => tracing::warn!(%from, "a gateway did not finish its handshake"),
            }
        });
    }
}

/// Serves a gateway's tunnel to its end.
async fn accompany(connection: quinn::Connection, from: SocketAddr, tunnels: &Arc<Tunnels>) {
    let introduced = tokio::time::timeout(PATIENCE, introduce(&connection, tunnels));
    let Ok(Ok((tunnel, control, arrived))) = introduced.await else {
        tracing::warn!(%from, "a gateway did not say who it is");
        connection.close(1_u32.into(), b"the tunnel's first message is Gateway");
        return;
    };
    tracing::info!(%from, "a gateway has a tunnel");
    let reason = tokio::select! {
        reason = hear(&tunnel, tunnels, control, arrived) => reason,
        reason = relay(&tunnel, &tunnels.fronts) => reason,
    };
    tunnels.remove(tunnel.id);
    connection.close(0_u32.into(), b"");
    tracing::warn!(%from, %reason, "a gateway's tunnel has ended");
}

type Introduced = (Arc<Tunnel>, (quinn::SendStream, quinn::RecvStream), BytesMut);

async fn introduce(connection: &quinn::Connection, tunnels: &Tunnels) -> Result<Introduced, String> {
    let (mut send, mut receive) = connection.accept_bi().await.map_err(|error| error.to_string())?;
    let mut arrived = BytesMut::new();
    let TunnelMessage::Gateway { key, .. } = link::next_tunnel_message(&mut receive, &mut arrived).await?
    else {
        return Err("another message came first".into());
    };
    let tunnel = tunnels.add(connection.clone(), &key).ok_or("there are too many tunnels")?;
    let answer = TunnelMessage::Edge { software: link::software(), udp_port: tunnels.udp_port };
    if let Err(error) = send.write_all(&answer.to_bytes()).await {
        tunnels.remove(tunnel.id);
        return Err(error.to_string());
    }
    Ok((tunnel, (send, receive), arrived))
}

/// What the gateway says, until it ends.
async fn hear(
    tunnel: &Tunnel,
    tunnels: &Tunnels,
    (_send, mut receive): (quinn::SendStream, quinn::RecvStream),
    mut arrived: BytesMut,
) -> String {
    loop {
        match link::next_tunnel_message(&mut receive, &mut arrived).await {
            Ok(TunnelMessage::Admit { address, seconds }) => {
                let lasting = Duration::from_secs(seconds.into());
                let mut admissions = tunnels.admissions.lock().unwrap_or_else(PoisonError::into_inner);
                admissions.admit(tunnel.gateway, address, lasting, Instant::now());
            }
            Ok(TunnelMessage::Withdraw { address }) => {
                tunnels
                    .admissions
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .withdraw(tunnel.gateway, address);
            }
            Ok(TunnelMessage::Leaving) => tunnel.leaving.store(true, Ordering::Relaxed),
            Ok(TunnelMessage::Gateway { .. } | TunnelMessage::Edge { .. }) => {
                return "the gateway said who it is again".into();
            }
            Err(reason) => return reason,
        }
    }
}

/// Brings what the gateway sends to clients: what has come already goes together.
async fn relay(tunnel: &Tunnel, fronts: &Fronts) -> String {
    let mut joined = Joined::default();
    let send = |client, packets: &[u8], length| fronts.send(client, packets, length);
    let reason = loop {
        let datagram = match tunnel.connection.read_datagram().now_or_never() {
            Some(datagram) => datagram,
            None => {
                joined.flush(send);
                tunnel.connection.read_datagram().await
            }
        };
        let datagram = match datagram {
            Ok(datagram) => datagram,
            Err(error) => break error.to_string(),
        };
        match read_head(&datagram) {
            Ok((client, head)) => {
                joined.add(client, &datagram[head..], fronts.most_at_once(client), send);
            }
            Err(error) => break error.to_string(),
        }
        // What the gateway says of addresses is heard in between.
        tokio::task::consume_budget().await;
    };
    // A gateway's farewell to its clients is among the last.
    joined.flush(send);
    reason
}
