//! A relay that makes the loopback a bad network: UDP datagrams and TCP streams between processes, through the
//! model's paths. One thread, at a user's pace: kernels' own queues are kept small so that the model's is the one that counts.

use crate::model::{Fate, Micros, Path, Profile};
use hdrhistogram::Histogram;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UdpSocket};
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep_until};

/// What of a TCP stream travels as one packet, and what headers add to it and to a datagram.
const SEGMENT: usize = 1_448;
const TCP_HEADERS: u64 = 52;
const UDP_HEADERS: u64 = 28;
/// A kernel's queue on the relay's TCP sockets; kernels double it.
const TCP_BUFFER: u32 = 8 << 10;
const UDP_BUFFER: usize = 4 << 20;
/// What waits behind a TCP stream's delay.
const UNDER_WAY: usize = 16_384;

/// What one direction saw.
struct Seen {
    path: Path,
    packets: u64,
    bytes: u64,
    lost: u64,
    overflowed: u64,
    swallowed: u64,
    queue: Histogram<u64>,
}

impl Seen {
    fn new(path: Path) -> Self {
        let queue = Histogram::new_with_bounds(1, 60_000_000, 3).expect("bounds in order");
        Seen { path, packets: 0, bytes: 0, lost: 0, overflowed: 0, swallowed: 0, queue }
    }

    fn count(&mut self, bytes: u64, now: Micros) {
        self.packets += 1;
        self.bytes += bytes;
        self.queue.saturating_record(self.path.queue(now));
    }

    fn offer(&mut self, bytes: u64, now: Micros) -> Option<Micros> {
        self.count(bytes, now);
        let counter = match self.path.offer(bytes, now) {
            Fate::Arrives(at) => return Some(at),
            Fate::Lost => &mut self.lost,
            Fate::Overflowed => &mut self.overflowed,
            Fate::Swallowed => &mut self.swallowed,
        };
        *counter += 1;
        None
    }

    fn json(&self) -> Value {
        let quantile = |q| self.queue.value_at_quantile(q);
        json!({
            "packets": self.packets,
            "bytes": self.bytes,
            "lost": self.lost,
            "overflowed": self.overflowed,
            "swallowed": self.swallowed,
            "queue_us": { "p50": quantile(0.5), "p95": quantile(0.95), "p99": quantile(0.99), "max": self.queue.max() },
        })
    }
}

/// What may be done to a path while it carries.
#[derive(Default)]
struct Deeds {
    /// So many large datagrams to the client are yet to be held back.
    hold: AtomicU64,
    hold_for_ms: AtomicU64,
    rebind: Notify,
}

struct Shared {
    profile: Profile,
    began: Instant,
    down: Mutex<Seen>,
    up: Mutex<Seen>,
    deeds: Deeds,
}

impl Shared {
    fn now(&self) -> Micros {
        self.began.elapsed().as_micros() as Micros
    }

    fn at(&self, time: Micros) -> Instant {
        self.began + Duration::from_micros(time)
    }

    fn with<R>(&self, way: Way, work: impl FnOnce(&mut Seen) -> R) -> R {
        let seen = if way == Way::Down { &self.down } else { &self.up };
        work(&mut seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Down,
    Up,
}

/// A relay at work. Its listeners live as long as the runtime does.
#[derive(Clone)]
pub struct Relay(Arc<Shared>);

impl Relay {
    pub fn new(profile: Profile, seed: u64) -> Relay {
        let down = Mutex::new(Seen::new(Path::new(profile.down, profile.dead, seed)));
        let up = Mutex::new(Seen::new(Path::new(profile.up, profile.dead, !seed)));
        Relay(Arc::new(Shared { profile, began: Instant::now(), down, up, deeds: Deeds::default() }))
    }

    /// Relays datagrams that come to `listen`; returns where it listens.
    pub async fn udp(&self, listen: SocketAddr, to: SocketAddr) -> std::io::Result<SocketAddr> {
        let socket = Arc::new(udp_socket(listen)?);
        let address = socket.local_addr()?;
        tokio::spawn(relay_udp(self.0.clone(), socket, to));
        Ok(address)
    }

    /// Relays TCP connections that come to `listen`; returns where it listens.
    pub async fn tcp(&self, listen: SocketAddr, to: SocketAddr) -> std::io::Result<SocketAddr> {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        let _ = socket.set_recv_buffer_size(TCP_BUFFER);
        socket.bind(listen)?;
        let listener = socket.listen(64)?;
        let address = listener.local_addr()?;
        tokio::spawn(accept_tcp(self.0.clone(), listener, to));
        Ok(address)
    }

    /// From now on the gateway sees every client of UDP at another address.
    #[allow(dead_code)]
    pub fn rebind(&self) {
        self.0.deeds.rebind.notify_waiters();
    }

    /// The next `count` large datagrams to clients come this much later.
    #[allow(dead_code)]
    pub fn hold(&self, count: u64, milliseconds: u64) {
        self.0.deeds.hold_for_ms.store(milliseconds, Ordering::Relaxed);
        self.0.deeds.hold.store(count, Ordering::Relaxed);
    }

    /// Forgets what was seen so far, not what is under way.
    #[allow(dead_code)]
    pub fn start_counting(&self) {
        for way in [Way::Down, Way::Up] {
            self.0.with(way, |seen| *seen = Seen::new(seen.path.clone()));
        }
    }

    /// Whether nothing comes through now.
    #[allow(dead_code)]
    pub fn is_dead(&self) -> bool {
        let now = self.0.now();
        self.0.with(Way::Down, |seen| seen.path.is_dead(now))
    }

    pub fn report(&self) -> Value {
        json!({
            "profile": self.0.profile.name,
            "seconds": self.0.now() as f64 / 1e6,
            "down": self.0.with(Way::Down, |seen| seen.json()),
            "up": self.0.with(Way::Up, |seen| seen.json()),
        })
    }
}

fn udp_socket(address: SocketAddr) -> std::io::Result<UdpSocket> {
    let socket =
        socket2::Socket::new(socket2::Domain::for_address(address), socket2::Type::DGRAM, None)?;
    let _ = socket.set_recv_buffer_size(UDP_BUFFER);
    let _ = socket.set_send_buffer_size(UDP_BUFFER);
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    UdpSocket::from_std(socket.into())
}

type Delayed = mpsc::UnboundedSender<(Instant, Vec<u8>)>;

async fn relay_udp(shared: Arc<Shared>, socket: Arc<UdpSocket>, to: SocketAddr) {
    let mut clients: HashMap<SocketAddr, Delayed> = HashMap::new();
    let mut datagram = vec![0; 65_536];
    loop {
        let Ok((length, client)) = socket.recv_from(&mut datagram).await else { continue };
        let up = clients.entry(client).or_insert_with(|| {
            let (up, to_send) = mpsc::unbounded_channel();
            tokio::spawn(serve_client(shared.clone(), socket.clone(), client, to, to_send));
            up
        });
        let now = shared.now();
        if let Some(at) = shared.with(Way::Up, |seen| seen.offer(length as u64 + UDP_HEADERS, now)) {
            let _ = up.send((shared.at(at), datagram[..length].to_vec()));
        }
    }
}

/// One client's datagrams, by sockets of its own towards the gateway.
async fn serve_client(
    shared: Arc<Shared>,
    downstream: Arc<UdpSocket>,
    client: SocketAddr,
    to: SocketAddr,
    mut up: mpsc::UnboundedReceiver<(Instant, Vec<u8>)>,
) -> std::io::Result<()> {
    let (down, mut to_client) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    tokio::spawn({
        let downstream = downstream.clone();
        async move {
            while let Some((at, datagram)) = to_client.recv().await {
                sleep_until(at).await;
                let _ = downstream.send_to(&datagram, client).await;
            }
        }
    });
    let mut upstream = udp_socket((Ipv4Addr::LOCALHOST, 0).into())?;
    let mut datagram = vec![0; 65_536];
    let mut next: Option<(Instant, Vec<u8>)> = None;
    loop {
        let rebind = shared.deeds.rebind.notified();
        let due = next.as_ref().map_or_else(Instant::now, |(at, _)| *at);
        tokio::select! {
            () = rebind => upstream = udp_socket((Ipv4Addr::LOCALHOST, 0).into())?,
            received = upstream.recv_from(&mut datagram) => {
                let Ok((length, _)) = received else { continue };
                send_down(&shared, &downstream, client, &datagram[..length], &down);
            }
            () = sleep_until(due), if next.is_some() => {
                if let Some((_, datagram)) = next.take() {
                    let _ = upstream.send_to(&datagram, to).await;
                }
            }
            Some(queued) = up.recv(), if next.is_none() => next = Some(queued),
        }
    }
}

fn send_down(
    shared: &Arc<Shared>,
    downstream: &Arc<UdpSocket>,
    client: SocketAddr,
    datagram: &[u8],
    down: &Delayed,
) {
    let now = shared.now();
    let arrival = shared.with(Way::Down, |seen| seen.offer(datagram.len() as u64 + UDP_HEADERS, now));
    let Some(arrival) = arrival else { return };
    let at = shared.at(arrival);
    let deeds = &shared.deeds;
    let one_less = |count: u64| count.checked_sub(1);
    let relaxed = Ordering::Relaxed;
    if datagram.len() >= 1_000 && deeds.hold.fetch_update(relaxed, relaxed, one_less).is_ok() {
        let at = at + Duration::from_millis(deeds.hold_for_ms.load(relaxed));
        let (downstream, datagram) = (downstream.clone(), datagram.to_vec());
        tokio::spawn(async move {
            sleep_until(at).await;
            let _ = downstream.send_to(&datagram, client).await;
        });
        return;
    }
    let _ = down.send((at, datagram.to_vec()));
}

async fn accept_tcp(shared: Arc<Shared>, listener: TcpListener, to: SocketAddr) {
    loop {
        let Ok((client, _)) = listener.accept().await else { continue };
        tokio::spawn(serve_tcp(shared.clone(), client, to));
    }
}

async fn serve_tcp(shared: Arc<Shared>, client: TcpStream, to: SocketAddr) -> std::io::Result<()> {
    let opened = shared.with(Way::Up, |seen| seen.path.opened(shared.now()));
    sleep_until(shared.at(opened + shared.profile.round_trip())).await;
    let socket = TcpSocket::new_v4()?;
    let _ = socket.set_recv_buffer_size(TCP_BUFFER);
    let gateway = socket.connect(to).await?;
    client.set_nodelay(true)?;
    gateway.set_nodelay(true)?;
    let (from_client, to_client) = client.into_split();
    let (from_gateway, to_gateway) = gateway.into_split();
    tokio::spawn(carry(shared.clone(), Way::Up, from_client, to_gateway));
    carry(shared, Way::Down, from_gateway, to_client).await;
    Ok(())
}

/// Carries one direction of a TCP connection. It reads on only while the path's queue has room, so that the
/// sender feels the path.
async fn carry(shared: Arc<Shared>, way: Way, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
    let (under_way, mut arriving) = mpsc::channel::<(Instant, Vec<u8>)>(UNDER_WAY);
    tokio::spawn(async move {
        while let Some((at, piece)) = arriving.recv().await {
            sleep_until(at).await;
            if to.write_all(&piece).await.is_err() {
                break;
            }
        }
    });
    let round_trip = shared.profile.round_trip();
    let mut piece = vec![0; SEGMENT];
    let mut last = 0;
    loop {
        let now = shared.now();
        let (queue, most) = shared.with(way, |seen| (seen.path.queue(now), seen.path.conditions().queue));
        // A queue of one millisecond less than it holds: timers are no finer.
        if queue + 1_000 > most {
            sleep_until(shared.at(now + (queue + 1_000 - most).max(500))).await;
            continue;
        }
        let Ok(length @ 1..) = from.read(&mut piece).await else { return };
        let now = shared.now();
        last = shared.with(way, |seen| {
            let bytes = length as u64 + TCP_HEADERS;
            seen.count(bytes, now);
            seen.path.carry(bytes, now, round_trip, last)
        });
        if under_way.send((shared.at(last), piece[..length].to_vec())).await.is_err() {
            return;
        }
    }
}
