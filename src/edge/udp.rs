//! Clients' packets of QUIC: to the gateway that let them in, or that made their connection, and back.

use super::Counters;
use super::guard::Guard;
use super::tunnels::{Tunnel, Tunnels};
use crate::wire::{CONNECTION_ID, MAX_HEAD, Outside, household, outside, put_head};
use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, Runtime, TokioRuntime};
use std::collections::HashMap;
use std::future::poll_fn;
use std::io::IoSliceMut;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Arc, Weak};
use std::time::Instant;

/// Datagrams that the kernel may join to one.
const JOINED: usize = 64 << 10;
/// Buffers for one call.
const BATCH: usize = 8;
/// Connections whose gateway is remembered rather than computed.
const MOST_KNOWN: usize = 65_536;
/// Packets a second, and at once, of one connection: a viewer answers at most each packet that it is sent.
const PACKETS: (f32, f32) = (20_000.0, 20_000.0);
/// Changes of a connection's address.
const MOVES: (f32, f32) = (1.0, 4.0);
/// Packets of handshakes from one household.
const HANDSHAKES: (f32, f32) = (200.0, 400.0);

type Socket = Arc<dyn AsyncUdpSocket>;

/// The sockets towards the outside: one of IPv4, one of IPv6, or both.
pub(super) struct Fronts {
    sockets: Vec<(bool, Socket)>,
}

impl Fronts {
    pub(super) fn new(sockets: Vec<UdpSocket>) -> std::io::Result<Fronts> {
        let wrapped = sockets.into_iter().map(|socket| {
            let is_ipv4 = socket.local_addr()?.is_ipv4();
            Ok((is_ipv4, TokioRuntime.wrap_udp_socket(socket)?))
        });
        Ok(Fronts { sockets: wrapped.collect::<std::io::Result<_>>()? })
    }

    pub(super) fn each(&self) -> Vec<Socket> {
        self.sockets.iter().map(|(_, socket)| socket.clone()).collect()
    }

    /// How many packets to a client the kernel takes at once.
    pub(super) fn most_at_once(&self, client: SocketAddr) -> usize {
        self.towards(client).map_or(1, |socket| socket.max_transmit_segments())
    }

    /// Packets of `length` bytes, of which the last may have fewer. What the network does not take at once is lost, as it
    /// might be later on the way.
    pub(super) fn send(&self, client: SocketAddr, packets: &[u8], length: usize) {
        let Some(socket) = self.towards(client) else { return };
        let segment_size = (packets.len() > length).then_some(length);
        let transmit =
            Transmit { destination: client, ecn: None, contents: packets, segment_size, src_ip: None };
        let _ = socket.try_send(&transmit);
    }

    fn towards(&self, client: SocketAddr) -> Option<&Socket> {
        self.sockets.iter().find(|(is_ipv4, _)| *is_ipv4 == client.is_ipv4()).map(|(_, socket)| socket)
    }
}

/// Brings what comes on one socket to the gateways.
pub(super) async fn serve(socket: Socket, tunnels: Arc<Tunnels>, guard: Guard, counters: Arc<Counters>) {
    let mut relay = Relay { tunnels, guard, counters, known: HashMap::new(), handshakes: HashMap::new() };
    let length = JOINED.min(socket.max_receive_segments() * 2_048);
    let mut memory = vec![0; length * BATCH];
    loop {
        let mut meta = [RecvMeta::default(); BATCH];
        let received = poll_fn(|context| {
            let mut buffers = memory.chunks_exact_mut(length).map(IoSliceMut::new);
            let mut buffers: [IoSliceMut<'_>; BATCH] =
                std::array::from_fn(|_| buffers.next().unwrap_or_else(|| IoSliceMut::new(&mut [])));
            socket.poll_recv(context, &mut buffers, &mut meta)
        });
        let Ok(count) = received.await else { continue };
        let now = Instant::now();
        for (meta, bytes) in meta[..count].iter().zip(memory.chunks_exact(length)) {
            for packet in bytes[..meta.len].chunks(meta.stride.max(1)) {
                relay.bring(meta.addr, packet, now);
            }
        }
    }
}

struct Relay {
    tunnels: Arc<Tunnels>,
    guard: Guard,
    counters: Arc<Counters>,
    /// Which gateway made a connection id: found once, by its key.
    known: HashMap<[u8; CONNECTION_ID], Known>,
    /// Of handshakes that go on.
    handshakes: HashMap<IpAddr, Bucket>,
}

/// A connection that was seen.
struct Known {
    tunnel: Weak<Tunnel>,
    client: SocketAddr,
    packets: Bucket,
    /// Addresses that it may come from anew: who overheard an id does not send in anybody's name.
    moves: Bucket,
}

/// What may come at once, and how much more with time.
struct Bucket {
    left: f32,
    at: Instant,
}

impl Bucket {
    fn full(burst: f32, now: Instant) -> Bucket {
        Bucket { left: burst, at: now }
    }

    fn take(&mut self, (a_second, burst): (f32, f32), now: Instant) -> bool {
        let gained = now.saturating_duration_since(self.at).as_secs_f32() * a_second;
        (self.left, self.at) = ((self.left + gained).min(burst), now);
        let may = self.left >= 1.0;
        if may {
            self.left -= 1.0;
        }
        may
    }
}

impl Relay {
    fn bring(&mut self, client: SocketAddr, packet: &[u8], now: Instant) {
        let tunnel = match outside(packet) {
            Some(Outside::Initial) => {
                let tunnel = self.tunnels.of_admitted(client.ip(), now);
                tunnel.filter(|_| self.guard.may_begin(client.ip(), now))
            }
            Some(Outside::Handshake) => {
                let tunnel = self.tunnels.of_admitted(client.ip(), now);
                tunnel.filter(|_| self.may_go_on(client.ip(), now))
            }
            Some(Outside::Short(id)) => self.of_connection(id, client, now),
            None => None,
        };
        let Some(tunnel) = tunnel else { return self.counters.packets_refused.count() };
        self.counters.packets.count();
        let mut datagram = Vec::with_capacity(MAX_HEAD + packet.len());
        put_head(&mut datagram, client);
        datagram.extend_from_slice(packet);
        // What is too large is a probe of the path's size.
        let _ = tunnel.connection.send_datagram(datagram.into());
    }

    fn may_go_on(&mut self, address: IpAddr, now: Instant) -> bool {
        if self.handshakes.len() >= MOST_KNOWN {
            self.handshakes.clear();
        }
        let bucket = self.handshakes.entry(household(address));
        bucket.or_insert_with(|| Bucket::full(HANDSHAKES.1, now)).take(HANDSHAKES, now)
    }

    fn of_connection(
        &mut self,
        id: &[u8; CONNECTION_ID],
        client: SocketAddr,
        now: Instant,
    ) -> Option<Arc<Tunnel>> {
        if let Some(known) = self.known.get_mut(id)
            && let Some(tunnel) = known.tunnel.upgrade()
        {
            if known.client != client {
                if !known.moves.take(MOVES, now) {
                    return None;
                }
                known.client = client;
            }
            return known.packets.take(PACKETS, now).then_some(tunnel);
        }
        let tunnel = self.tunnels.of_connection(id)?;
        if self.known.len() >= MOST_KNOWN {
            self.known.clear();
        }
        let (packets, moves) = (Bucket::full(PACKETS.1, now), Bucket::full(MOVES.1, now));
        self.known.insert(*id, Known { tunnel: Arc::downgrade(&tunnel), client, packets, moves });
        Some(tunnel)
    }
}
