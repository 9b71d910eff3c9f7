//! What a gigabyte of updates costs in processor time on either road: `cargo bench --bench roads`.
//!
//! One process sends as a gateway does, another receives as a viewer does, both on this machine. Updates are of
//! 64 KiB, a few of them unacknowledged at a time. QUIC and WebSocket with TLS take turns, so that whatever else the
//! machine does falls on both. CHEVET_BENCH_MB sets how much each road sends, 2,048 MB without it.

use bytes::Bytes;
use chevet::link::{self, Certificate, Inbox, Incoming, Link, Road, Target, WebSocketFault, Written};
use chevet::wire::{Control, UpdateHeader};
use futures_util::{SinkExt, StreamExt};
use rustix::time::{ClockId, clock_gettime};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Command, Stdio};
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

type Fault = Box<dyn std::error::Error + Send + Sync>;

const UPDATE: usize = 64 << 10;
/// Updates on the way at once.
const WINDOW: u64 = 32;
const ROUNDS: u64 = 4;
const RECEIVER: &str = "CHEVET_BENCH_RECEIVER";

fn main() -> Result<(), Fault> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match std::env::var(RECEIVER) {
        Ok(what) => runtime.block_on(receive(&what)),
        Err(_) => runtime.block_on(send_all()),
    }
}

/// Processor time of this process so far, in seconds.
fn processor_s() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

async fn send_all() -> Result<(), Fault> {
    let megabytes: u64 = std::env::var("CHEVET_BENCH_MB").ok().map_or(Ok(2_048), |text| text.parse())?;
    let updates = megabytes * 1_000_000 / UPDATE as u64 / ROUNDS;
    let certificate = Certificate::self_signed(&["127.0.0.1".to_owned()])?.0;
    let pin = link::fingerprint_text(&certificate.fingerprint());
    let any: SocketAddr = (Ipv4Addr::LOCALHOST, 0).into();
    let reset_key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &[0; 32]);
    let (endpoint, _gate) = link::listen(link::udp_socket(any)?, &certificate, reset_key)?;
    let listener = TcpListener::bind(any).await?;
    let tls = tokio_rustls::TlsAcceptor::from(Arc::new(certificate.tcp_server()?));
    let mut totals = [Total::default(), Total::default()];
    for round in 0..ROUNDS {
        for (index, road) in [Road::Quic, Road::WebSocket].into_iter().enumerate() {
            let port = match road {
                Road::WebSocket => listener.local_addr()?.port(),
                _ => endpoint.local_addr()?.port(),
            };
            let what = format!("{} {port} {pin} {updates}", road.name());
            let receiver =
                Command::new(std::env::current_exe()?).env(RECEIVER, what).stdout(Stdio::piped()).spawn()?;
            let (link, inbox) = match road {
                Road::WebSocket => accept_websocket(&listener, &tls).await?,
                _ => {
                    let incoming = endpoint.accept().await.ok_or("the endpoint is closed")?;
                    link::accept(incoming.await?, |_, _| true).await?
                }
            };
            let (began, processor) = (std::time::Instant::now(), processor_s());
            send(&link, inbox, updates).await?;
            let sender_s = processor_s() - processor;
            let elapsed_s = began.elapsed().as_secs_f64();
            let output = tokio::task::spawn_blocking(|| receiver.wait_with_output()).await??;
            let receiver_s: f64 = String::from_utf8(output.stdout)?.trim().parse()?;
            let gigabytes = (updates * UPDATE as u64) as f64 / 1e9;
            println!(
                "round {} {:<10} {:.2} s/GB sending, {:.2} s/GB receiving, {:.2} GB/s",
                round + 1,
                road.name(),
                sender_s / gigabytes,
                receiver_s / gigabytes,
                gigabytes / elapsed_s
            );
            totals[index].add(gigabytes, sender_s, receiver_s, elapsed_s);
        }
    }
    let [quic, websocket] = totals;
    quic.print("QUIC");
    websocket.print("WebSocket");
    println!(
        "QUIC to WebSocket: {:.2} sending, {:.2} receiving, {:.2} together",
        quic.sender_s / websocket.sender_s,
        quic.receiver_s / websocket.receiver_s,
        (quic.sender_s + quic.receiver_s) / (websocket.sender_s + websocket.receiver_s)
    );
    Ok(())
}

#[derive(Default)]
struct Total {
    gigabytes: f64,
    sender_s: f64,
    receiver_s: f64,
    elapsed_s: f64,
}

impl Total {
    fn add(&mut self, gigabytes: f64, sender_s: f64, receiver_s: f64, elapsed_s: f64) {
        self.gigabytes += gigabytes;
        self.sender_s += sender_s;
        self.receiver_s += receiver_s;
        self.elapsed_s += elapsed_s;
    }

    fn print(&self, road: &str) {
        println!(
            "{road:<10} {:.2} GB: {:.3} s/GB sending, {:.3} s/GB receiving, {:.2} GB/s",
            self.gigabytes,
            self.sender_s / self.gigabytes,
            self.receiver_s / self.gigabytes,
            self.gigabytes / self.elapsed_s
        );
    }
}

/// Sends as a session does: the next update when an acknowledgement makes room for it.
async fn send(link: &Link, mut inbox: Inbox, updates: u64) -> Result<(), Fault> {
    let mut stream = Vec::new();
    let header = UpdateHeader { number: 1, width: 1920, height: 1080, ..UpdateHeader::default() };
    header.write(&mut stream);
    // What no road can make smaller.
    let mut bits = 1u64;
    stream.resize_with(UPDATE, || {
        bits = bits.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (bits >> 56) as u8
    });
    let stream = Bytes::from(stream);
    let mut sent = 0;
    let mut acknowledged = 0;
    while acknowledged < updates {
        while sent < updates && sent - acknowledged < WINDOW {
            sent += 1;
            // Each is a block of its own, as those of a session are.
            link.update(sent, Bytes::copy_from_slice(&stream));
        }
        if let Incoming::Control(Control::Ack { .. }) = inbox.next().await? {
            acknowledged += 1;
        }
    }
    Ok(())
}

async fn receive(what: &str) -> Result<(), Fault> {
    let [road, port, pin, updates] = what.split(' ').collect::<Vec<_>>()[..] else {
        return Err("the receiver was not told what to receive".into());
    };
    let port = port.parse()?;
    let target = Target {
        host: "127.0.0.1".into(),
        udp_port: Some(port),
        tcp_port: Some(port),
        tls: true,
        pins: vec![link::parse_fingerprint(pin).ok_or("not a fingerprint")?],
        proxy: None,
    };
    let road = if road == Road::Quic.name() { Road::Quic } else { Road::WebSocket };
    let (link, mut inbox) = link::dial(&target, road).await?;
    // The peer notices a stream by what is written to it.
    link.control(&Control::Ping { number: 1, time_us: 0 });
    let processor = processor_s();
    for number in 1..=updates.parse::<u64>()? {
        while !matches!(inbox.next().await?, Incoming::Update(_)) {}
        link.control(&Control::Ack { update: number, decode_us: 0, missing: Vec::new() });
    }
    println!("{}", processor_s() - processor);
    // The last acknowledgement needs a moment to leave.
    let _ = tokio::time::timeout(std::time::Duration::from_millis(200), inbox.next()).await;
    Ok(())
}

async fn accept_websocket(
    listener: &TcpListener,
    tls: &tokio_rustls::TlsAcceptor,
) -> Result<(Link, Inbox), Fault> {
    let (stream, _) = listener.accept().await?;
    stream.set_nodelay(true)?;
    let stream = tls.accept(stream).await?;
    #[allow(clippy::result_large_err)] // The library's own type.
    let select = |_: &_, mut response: tokio_tungstenite::tungstenite::handshake::server::Response| {
        let protocol =
            tokio_tungstenite::tungstenite::http::HeaderValue::from_static(chevet::wire::SUBPROTOCOL);
        response.headers_mut().insert("sec-websocket-protocol", protocol);
        Ok(response)
    };
    let socket = tokio_tungstenite::accept_hdr_async(stream, select).await?;
    let (sink, stream) = socket.split();
    let sink = Box::pin(sink.sink_map_err(WebSocketFault::from).with(|written| {
        std::future::ready(Ok::<_, WebSocketFault>(match written {
            Written::Frame(bytes) => Message::Binary(bytes),
            Written::Close(code, reason) => {
                Message::Close(Some(CloseFrame { code: code.into(), reason: reason.into() }))
            }
        }))
    }));
    let stream = stream.filter_map(|message| {
        std::future::ready(match message {
            Ok(Message::Binary(bytes)) => Some(Ok(bytes)),
            Ok(_) => None,
            Err(error) => Some(Err(error.into())),
        })
    });
    Ok(link::join(sink, stream, None))
}
