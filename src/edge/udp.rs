//! Clients' packets of QUIC: to the gateway that let them in, or that made their connection, and back.

use super::Counters;
use super::guard::Guard;
use super::tunnels::{Tunnel, Tunnels};
use crate::wire::{CONNECTION_ID, MAX_HEAD, Outside, outside, put_head};
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

    /// A packet that the network does not take at once is lost, as it might be later on the way.
    pub(super) fn send(&self, client: SocketAddr, packet: &[u8]) {
        let Some((_, socket)) = self.sockets.iter().find(|(is_ipv4, _)| *is_ipv4 == client.is_ipv4()) else {
            return;
        };
        let transmit =
            Transmit { destination: client, ecn: None, contents: packet, segment_size: None, src_ip: None };
        let _ = socket.try_send(&transmit);
    }
}

/// Brings what comes on one socket to the gateways.
pub(super) async fn serve(socket: Socket, tunnels: Arc<Tunnels>, guard: Guard, counters: Arc<Counters>) {
    let mut relay = Relay { tunnels, guard, counters, known: HashMap::new() };
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
    known: HashMap<[u8; CONNECTION_ID], Weak<Tunnel>>,
}

impl Relay {
    fn bring(&mut self, client: SocketAddr, packet: &[u8], now: Instant) {
        let tunnel = match outside(packet) {
            Some(Outside::Long) => self.of_handshake(client.ip(), packet, now),
            Some(Outside::Short(id)) => self.of_connection(id),
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

    fn of_handshake(&self, address: IpAddr, packet: &[u8], now: Instant) -> Option<Arc<Tunnel>> {
        let tunnel = self.tunnels.of_admitted(address, now)?;
        // Bits 4 and 5 of an Initial are 0 (RFC 9000, 17.2.2).
        let is_first = packet[0] & 0x30 == 0;
        (!is_first || self.guard.may_begin(address, now)).then_some(tunnel)
    }

    fn of_connection(&mut self, id: &[u8; CONNECTION_ID]) -> Option<Arc<Tunnel>> {
        if let Some(tunnel) = self.known.get(id).and_then(Weak::upgrade) {
            return Some(tunnel);
        }
        let tunnel = self.tunnels.of_connection(id)?;
        if self.known.len() >= MOST_KNOWN {
            self.known.clear();
        }
        self.known.insert(*id, Arc::downgrade(&tunnel));
        Some(tunnel)
    }
}
