//! The relay in the zone between the Internet and the inside. Gateways dial out to it and keep a tunnel; clients come to its one
//! port, and what they send goes through a tunnel as it is: TLS and QUIC end at the gateway, so the edge has no key of theirs,
//! and sees who speaks to whom and how much, not what. Nothing that is not TLS for a right name, or QUIC from where a gateway
//! has said somebody is known, goes any further.

mod admissions;
mod config;
mod guard;
mod health;
mod hello;
mod joined;
mod tcp;
mod tunnels;
mod udp;

pub use config::{Config, ConfigError, DEFAULT_CONFIG, Limits};

use crate::link::{Identity, IdentityError, TlsError, udp_socket};
use crate::metrics::{Counter, Gauge};
use futures_util::future::BoxFuture;
use guard::{Allowance, Guard};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tunnels::Tunnels;

/// Packets of QUIC that may begin a connection, for each connection: a long hello, acknowledgements, what was lost.
const FIRST_PACKETS: u32 = 8;
/// A stopping edge lets gateways hear of it for this long.
const FAREWELL: Duration = Duration::from_millis(500);
/// How often the log says what was refused, if anything was.
const TELL_EVERY: Duration = Duration::from_secs(60);

#[derive(Debug, thiserror::Error)]
pub enum EdgeError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(
        "cannot listen on {address}: {source}; another program may have the port, or it needs rights (CAP_NET_BIND_SERVICE)"
    )]
    Listen { address: SocketAddr, source: std::io::Error },
}

/// A running edge. It stops when dropped.
pub struct Edge {
    addresses: Vec<SocketAddr>,
    inside: SocketAddr,
    identity: Identity,
    tunnels: Arc<Tunnels>,
    tasks: JoinSet<()>,
    endpoint: quinn::Endpoint,
}

/// What was refused, and let through.
#[derive(Default)]
struct Counters {
    packets: Counter,
    packets_refused: Counter,
    connections: Counter,
    connections_refused: Counter,
    /// TCP connections that are being carried.
    carried: Gauge,
}

impl Edge {
    // Boxed, so that it is compiled here, and not again for each program that awaits it.
    pub fn start(config: &Config) -> BoxFuture<'_, Result<Edge, EdgeError>> {
        Box::pin(Edge::open(config))
    }

    async fn open(config: &Config) -> Result<Edge, EdgeError> {
        let gateways = config.check()?;
        let identity = Identity::kept(&config.key_file()?)?;
        let counters = Arc::new(Counters::default());
        // Apart, since anybody can send packets in another's name and so use up what that one may begin.
        let (guard, allowance) = (Guard::new(config.allowance()), config.allowance());
        let a_second = allowance.a_second.saturating_mul(FIRST_PACKETS);
        let packets_guard = Guard::new(Allowance { a_second, ..allowance });
        let mut addresses = Vec::new();
        let (mut listeners, mut sockets) = (Vec::new(), Vec::new());
        for &address in &config.listen {
            let failed = |source| EdgeError::Listen { address, source };
            let listener = tcp::listen(address).map_err(failed)?;
            // Port 0 is any free one, the same for both.
            let bound = listener.local_addr().map_err(failed)?;
            sockets.push(udp_socket(bound).map_err(failed)?);
            listeners.push(listener);
            addresses.push(bound);
        }
        let fronts = udp::Fronts::new(sockets)
            .map_err(|source| EdgeError::Listen { address: addresses[0], source })?;
        let fronts = Arc::new(fronts);
        let tunnels = Tunnels::new(addresses[0].port(), fronts.clone());
        let endpoint = tunnels::listen(config, &identity, &gateways)?;
        let inside =
            endpoint.local_addr().map_err(|source| EdgeError::Listen { address: config.inside, source })?;
        let mut tasks = JoinSet::new();
        tasks.spawn(tunnels::serve(endpoint.clone(), tunnels.clone()));
        for front in fronts.each() {
            tasks.spawn(udp::serve(front, tunnels.clone(), packets_guard.clone(), counters.clone()));
        }
        let entrance = Arc::new(tcp::Entrance {
            names: config.names.iter().map(|name| name.to_ascii_lowercase()).collect(),
            proxies: config.proxies.clone(),
            guard,
            tunnels: tunnels.clone(),
            counters: counters.clone(),
        });
        for listener in listeners {
            tasks.spawn(tcp::serve(listener, entrance.clone()));
        }
        if let Some(address) = config.metrics {
            let listener = tcp::listen(address).map_err(|source| EdgeError::Listen { address, source })?;
            tasks.spawn(health::serve(listener, tunnels.clone(), counters.clone()));
        }
        tasks.spawn(tell(counters));
        Ok(Edge { addresses, inside, identity, tunnels, tasks, endpoint })
    }

    /// Where clients come.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Where gateways come.
    pub fn inside(&self) -> SocketAddr {
        self.inside
    }

    /// By what gateways know this edge.
    pub fn fingerprint(&self) -> [u8; 32] {
        self.identity.fingerprint()
    }

    /// Ends all tunnels, and what they carry.
    pub async fn stop(mut self) {
        self.endpoint.close(0_u32.into(), b"the edge is stopping");
        self.tasks.shutdown().await;
        let _ = tokio::time::timeout(FAREWELL, self.endpoint.wait_idle()).await;
    }

    /// How many gateways have a tunnel.
    pub fn gateways(&self) -> usize {
        self.tunnels.count()
    }
}

async fn tell(counters: Arc<Counters>) {
    let mut told = [0; 3];
    loop {
        tokio::time::sleep(TELL_EVERY).await;
        let Counters { packets_refused, connections_refused, connections, .. } = &*counters;
        let now = [packets_refused, connections_refused, connections].map(Counter::counted);
        if now[..2] != told[..2] {
            let [packets_refused, connections_refused, connections] = [0, 1, 2].map(|at| now[at] - told[at]);
            tracing::info!(packets_refused, connections_refused, connections, "in the last minute");
        }
        told = now;
    }
}
