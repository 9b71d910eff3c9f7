//! Tunnels between gateways and edges. A gateway's endpoint for clients behind edges has no socket of the system's: what clients
//! send arrives as datagrams of the tunnels, and goes back by the tunnel by which a client was last heard. Who stands
//! in the middle sees packets, and not what is in them.

use super::tls::fingerprint;
use super::{Certificate, TlsError};
use crate::wire::{CONNECTION_ID, MAX_HEAD, TAG_KEY, TunnelMessage, household, put_head};
use aws_lc_rs::hmac;
use bytes::{Bytes, BytesMut};
use quinn::congestion::{Controller, ControllerFactory};
use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, UdpPoller, VarInt};
use rustls_pki_types::CertificateDer;
use std::any::Any;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::io::IoSliceMut;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Datagrams that wait to be taken by the endpoint; later ones are lost, as in any full queue.
const WAITING: usize = 8_192;
/// Clients that are remembered, by the tunnel that they come through.
const MOST_CLIENTS: usize = 65_536;
/// Of them, of one household.
const MOST_OF_HOUSEHOLD: u32 = 512;
/// A client not heard for this long may be forgotten, which is looked for this often.
const FORGOTTEN: Duration = Duration::from_secs(30);
const SWEEP: Duration = Duration::from_secs(5);
/// A client whose tunnel brought nothing of it for this long may come by another one.
const SILENT: Duration = Duration::from_secs(1);
/// Packets that the endpoint may hand over at once.
const SEGMENTS: usize = 16;
/// What a tunnel keeps of datagrams that the network has not taken, in bytes.
const DATAGRAMS: usize = 4 << 20;
/// What one TCP connection may have under way in a tunnel, in bytes.
const STREAM: u32 = 128 << 10;
/// A tunnel on which nothing was heard for this long is gone.
const IDLE: Duration = Duration::from_secs(3);
/// What is read of a control stream at once, in bytes.
const CHUNK: usize = 4 << 10;
const KEEP_ALIVE: Duration = Duration::from_millis(800);

/// The transport of a tunnel, in a network whose packets carry `mtu` bytes of UDP. `connections` is how many TCP connections
/// the peer may begin in it.
pub fn tunnel_transport(mtu: u16, connections: u32) -> quinn::TransportConfig {
    let mut transport = quinn::TransportConfig::default();
    transport
        .max_idle_timeout(quinn::IdleTimeout::try_from(IDLE).ok())
        .keep_alive_interval(Some(KEEP_ALIVE))
        // A client's packets have to fit in the tunnel's from the first one on.
        .initial_mtu(mtu)
        .min_mtu(mtu)
        .congestion_controller_factory(Arc::new(WideConfig))
        .stream_receive_window(VarInt::from_u32(STREAM))
        .receive_window(VarInt::MAX)
        .send_window(u64::MAX >> 8)
        .max_concurrent_bidi_streams(VarInt::from_u32(connections))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(Some(DATAGRAMS))
        .datagram_send_buffer_size(DATAGRAMS);
    transport
}

/// The next message of a tunnel's control stream; what is of a kind not known is passed over. `arrived` keeps what came
/// beyond it. The error is the reason for which there are no more.
pub async fn next_tunnel_message(
    from: &mut quinn::RecvStream,
    arrived: &mut BytesMut,
) -> Result<TunnelMessage, String> {
    loop {
        match TunnelMessage::take(arrived).map_err(|error| error.to_string())? {
            Some(Some(message)) => return Ok(message),
            Some(None) => continue,
            None => {}
        }
        match from.read_chunk(CHUNK, true).await {
            Ok(Some(chunk)) => arrived.extend_from_slice(&chunk.bytes),
            Ok(None) => return Err("the other end said no more".into()),
            Err(error) => return Err(error.to_string()),
        }
    }
}

/// The hash of the certificate that the other end of a connection showed.
pub fn peer_fingerprint(connection: &quinn::Connection) -> Option<[u8; 32]> {
    let chain = connection.peer_identity()?.downcast::<Vec<CertificateDer<'static>>>().ok()?;
    chain.first().map(fingerprint)
}

/// Proves that a connection id is the gateway's, to edges that were given the key: anybody may send them packets.
#[derive(Clone, Debug)]
pub struct Tag(hmac::Key);

impl Tag {
    pub fn new(key: &[u8; TAG_KEY]) -> Tag {
        Tag(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    fn connection_id(&self, nonce: [u8; 8]) -> [u8; CONNECTION_ID] {
        let mut id = [0; CONNECTION_ID];
        id[..8].copy_from_slice(&nonce);
        id[8..].copy_from_slice(&hmac::sign(&self.0, &nonce).as_ref()[..8]);
        id
    }

    /// Whether it was made with this key.
    pub fn holds(&self, id: &[u8; CONNECTION_ID]) -> bool {
        let (nonce, tag) = id.split_at(8);
        let right = hmac::sign(&self.0, nonce);
        aws_lc_rs::constant_time::verify_slices_are_equal(&right.as_ref()[..8], tag).is_ok()
    }
}

struct TaggedIds {
    tag: Tag,
    key: RandomState,
    count: u64,
}

impl quinn::ConnectionIdGenerator for TaggedIds {
    fn generate_cid(&mut self) -> quinn::ConnectionId {
        self.count += 1;
        quinn::ConnectionId::new(&self.tag.connection_id(self.key.hash_one(self.count).to_le_bytes()))
    }

    fn cid_len(&self) -> usize {
        CONNECTION_ID
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

/// An endpoint for clients behind edges, with connection ids that edges know by the tag.
pub fn listen_in_tunnels(
    socket: Arc<TunnelSocket>,
    certificate: &Certificate,
    reset_key: hmac::Key,
    tag: &Tag,
) -> Result<quinn::Endpoint, TlsError> {
    let config = super::server_config(certificate)?;
    let mut endpoint = quinn::EndpointConfig::new(Arc::new(reset_key));
    // Clients that are allowed to would clear the bit by which an edge tells QUIC from anything else (RFC 9287).
    endpoint.grease_quic_bit(false);
    let tag = tag.clone();
    endpoint
        .cid_generator(move || Box::new(TaggedIds { tag: tag.clone(), key: RandomState::new(), count: 0 }));
    let runtime: Arc<dyn quinn::Runtime> = Arc::new(quinn::TokioRuntime);
    quinn::Endpoint::new_with_abstract_socket(endpoint, Some(config), socket, runtime)
        .map_err(TlsError::Endpoint)
}

/// What stands in a socket's place for clients behind edges.
pub struct TunnelSocket {
    arrived: mpsc::Sender<(SocketAddr, Bytes)>,
    waiting: Mutex<mpsc::Receiver<(SocketAddr, Bytes)>>,
    ways: Mutex<Ways>,
}

/// By which tunnels clients come.
#[derive(Default)]
struct Ways {
    of: HashMap<SocketAddr, Way>,
    /// How many clients a household has here.
    households: HashMap<IpAddr, u32>,
    swept: Option<Instant>,
}

struct Way {
    tunnel: quinn::Connection,
    heard: Instant,
}

impl std::fmt::Debug for TunnelSocket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TunnelSocket")
    }
}

impl TunnelSocket {
    pub fn new() -> Arc<TunnelSocket> {
        let (arrived, waiting) = mpsc::channel(WAITING);
        Arc::new(TunnelSocket { arrived, waiting: Mutex::new(waiting), ways: Mutex::default() })
    }

    /// A client's datagram came through this tunnel.
    pub fn arrived(&self, client: SocketAddr, datagram: Bytes, tunnel: &quinn::Connection) {
        let mut ways = self.ways.lock().unwrap_or_else(PoisonError::into_inner);
        if !ways.heard(client, tunnel, Instant::now()) {
            return;
        }
        drop(ways);
        let _ = self.arrived.try_send((client, datagram));
    }

    /// Forgets the clients that came through a tunnel that has ended.
    pub fn ended(&self, tunnel: &quinn::Connection) {
        let mut ways = self.ways.lock().unwrap_or_else(PoisonError::into_inner);
        ways.keep(|way| way.tunnel.stable_id() != tunnel.stable_id());
    }
}

impl Ways {
    /// Notes that a client was heard; whether there is room for it.
    fn heard(&mut self, client: SocketAddr, tunnel: &quinn::Connection, now: Instant) -> bool {
        if let Some(way) = self.of.get_mut(&client) {
            let same = way.tunnel.stable_id() == tunnel.stable_id();
            // Anybody may send packets in a client's name: they do not lead what it is sent elsewhere.
            if same || now.duration_since(way.heard) > SILENT || way.tunnel.close_reason().is_some() {
                if !same {
                    way.tunnel = tunnel.clone();
                }
                way.heard = now;
            }
            return true;
        }
        if self.swept.is_none_or(|swept| now.duration_since(swept) > SWEEP) {
            self.swept = Some(now);
            self.keep(|way| now.duration_since(way.heard) < FORGOTTEN);
        }
        let household = self.households.entry(household(client.ip())).or_default();
        if self.of.len() >= MOST_CLIENTS || *household >= MOST_OF_HOUSEHOLD {
            return false;
        }
        *household += 1;
        self.of.insert(client, Way { tunnel: tunnel.clone(), heard: now });
        true
    }

    fn keep(&mut self, wanted: impl Fn(&Way) -> bool) {
        let Ways { of, households, .. } = self;
        of.retain(|client, way| {
            let keep = wanted(way);
            if !keep && let Some(count) = households.get_mut(&household(client.ip())) {
                *count -= 1;
            }
            keep
        });
        households.retain(|_, count| *count > 0);
    }
}

/// The queue of a tunnel loses its oldest datagrams when it is full, and never says that it is.
#[derive(Debug)]
struct AlwaysReady;

impl UdpPoller for AlwaysReady {
    fn poll_writable(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl AsyncUdpSocket for TunnelSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(AlwaysReady)
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> std::io::Result<()> {
        let client = transmit.destination;
        let ways = self.ways.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(tunnel) = ways.of.get(&client).map(|way| way.tunnel.clone()) else { return Ok(()) };
        drop(ways);
        let size = transmit.segment_size.unwrap_or(transmit.contents.len()).max(1);
        let packets = transmit.contents.chunks(size);
        // One piece of memory for all of them.
        let mut datagrams = BytesMut::with_capacity(transmit.contents.len() + packets.len() * MAX_HEAD);
        for packet in packets {
            put_head(&mut datagrams, client);
            datagrams.extend_from_slice(packet);
            // What is too large is a probe of the path's size; what is lost otherwise is lost as in a network.
            let _ = tunnel.send_datagram(datagrams.split().freeze());
        }
        Ok(())
    }

    fn poll_recv(
        &self,
        context: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<std::io::Result<usize>> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let mut taken = 0;
        for (buffer, meta) in buffers.iter_mut().zip(meta) {
            match waiting.poll_recv(context) {
                Poll::Ready(Some((client, datagram))) => {
                    let length = datagram.len().min(buffer.len());
                    buffer[..length].copy_from_slice(&datagram[..length]);
                    *meta = RecvMeta { addr: client, len: length, stride: length, ecn: None, dst_ip: None };
                    taken += 1;
                }
                // This socket holds a sender itself, so the channel has no end.
                Poll::Ready(None) | Poll::Pending => break,
            }
        }
        if taken > 0 { Poll::Ready(Ok(taken)) } else { Poll::Pending }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        Ok((Ipv6Addr::UNSPECIFIED, 0).into())
    }

    fn max_transmit_segments(&self) -> usize {
        SEGMENTS
    }

    fn may_fragment(&self) -> bool {
        false
    }
}

/// Clients' QUIC has a congestion control of its own, end to end, and their TCP to the edge; a second one below would only hold
/// them up. The network between gateway and edge has to carry what all clients of the edge take together.
#[derive(Debug, Default)]
struct WideConfig;

impl ControllerFactory for WideConfig {
    fn build(self: Arc<Self>, _: Instant, _: u16) -> Box<dyn Controller> {
        Box::new(Wide)
    }
}

#[derive(Clone, Copy, Debug)]
struct Wide;

const WIDE: u64 = 64 << 20;

impl Controller for Wide {
    fn on_congestion_event(&mut self, _: Instant, _: Instant, _: bool, _: u64) {}

    fn on_mtu_update(&mut self, _: u16) {}

    fn window(&self) -> u64 {
        WIDE
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(*self)
    }

    fn initial_window(&self) -> u64 {
        WIDE
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quinn::ConnectionIdGenerator;

    #[test]
    fn a_connection_id_is_known_by_the_key_that_made_it_and_by_no_other() {
        let (ours, other) = (Tag::new(&[1; TAG_KEY]), Tag::new(&[2; TAG_KEY]));
        let mut ids = TaggedIds { tag: ours.clone(), key: RandomState::new(), count: 0 };
        let (one, two) = (ids.generate_cid(), ids.generate_cid());
        assert_ne!(one, two);
        let mut id: [u8; CONNECTION_ID] = (*one).try_into().unwrap();
        assert!(ours.holds(&id) && !other.holds(&id));
        for at in 0..CONNECTION_ID {
            id[at] ^= 1;
            assert!(!ours.holds(&id), "changed at {at}");
            id[at] ^= 1;
        }
    }
}
