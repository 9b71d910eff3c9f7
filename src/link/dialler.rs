//! Many links to one gateway, over a few sockets that they share.

use super::dial::{DialError, PATIENCE, Target, dial, resolve, udp_socket};
use super::{Inbox, Link, Road, quic, tls};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Opens links to a gateway by one road. On QUIC they share sockets, TLS configuration and its session tickets.
pub struct Dialler {
    target: Target,
    road: Road,
    udp: Option<Udp>,
}

struct Udp {
    address: SocketAddr,
    config: quinn::ClientConfig,
    endpoints: Vec<quinn::Endpoint>,
    next: AtomicUsize,
}

impl Dialler {
    /// Finds the gateway, and opens `sockets` sockets if the road needs them.
    pub async fn new(target: Target, road: Road, sockets: usize) -> Result<Dialler, DialError> {
        if road == Road::WebSocket {
            return Ok(Dialler { target, road, udp: None });
        }
        let host = target.host.clone();
        let port = target.udp_port.ok_or(DialError::NotOffered { host: host.clone(), road: road.name() })?;
        let address = resolve(&host, port).await?.into_iter().next().ok_or(DialError::NoAddress { host })?;
        let failed = |reason: String| DialError::Failed { address, road: road.name(), reason };
        let local: SocketAddr = match address {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let endpoint = || {
            let config = quinn::EndpointConfig::default();
            quinn::Endpoint::new(config, None, udp_socket(local)?, Arc::new(quinn::TokioRuntime))
        };
        let endpoints: std::io::Result<Vec<_>> = (0..sockets.max(1)).map(|_| endpoint()).collect();
        let mut config = quinn::ClientConfig::new(Arc::new(tls::quic_client(&target.pins)?));
        config.transport_config(Arc::new(quic::transport()));
        let endpoints = endpoints.map_err(|error| failed(error.to_string()))?;
        let udp = Udp { address, config, endpoints, next: AtomicUsize::new(0) };
        Ok(Dialler { target, road, udp: Some(udp) })
    }

    /// Opens another link.
    pub async fn dial(&self) -> Result<(Link, Inbox), DialError> {
        let Some(udp) = &self.udp else { return dial(&self.target, self.road).await };
        let failed =
            |reason: String| DialError::Failed { address: udp.address, road: self.road.name(), reason };
        let endpoint = &udp.endpoints[udp.next.fetch_add(1, Ordering::Relaxed) % udp.endpoints.len()];
        let attempt = async {
            let connecting = endpoint
                .connect_with(udp.config.clone(), udp.address, &self.target.host)
                .map_err(|error| failed(error.to_string()))?;
            let connection = connecting.await.map_err(|error| failed(error.to_string()))?;
            quic::open(connection).await.map_err(|closed| failed(closed.to_string()))
        };
        let (link, inbox) = tokio::time::timeout(PATIENCE, attempt)
            .await
            .unwrap_or_else(|_| Err(failed(format!("no answer within {} s", PATIENCE.as_secs()))))?;
        link.welcome_updates();
        Ok((link, inbox))
    }
}
