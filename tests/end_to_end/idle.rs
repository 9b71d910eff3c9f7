//! A session at rest costs nearly nothing.

use crate::chevet::{Gateway, TICKET, View};
use crate::drawing::draw_for;
use crate::lanes::alone;
use crate::server::{Program, Server};
use serde_json::Value;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const REST: Duration = Duration::from_secs(5);

/// Stands between a viewer and a gateway, and counts what passes.
struct Relay {
    port: u16,
    bytes: Arc<AtomicU64>,
    datagrams: Arc<AtomicU64>,
}

impl Relay {
    fn start(gateway: u16) -> Relay {
        let front = UdpSocket::bind("127.0.0.1:0").unwrap();
        let back = UdpSocket::bind("127.0.0.1:0").unwrap();
        back.connect(("127.0.0.1", gateway)).unwrap();
        let relay = Relay {
            port: front.local_addr().unwrap().port(),
            bytes: Arc::default(),
            datagrams: Arc::default(),
        };
        let viewer: Arc<Mutex<Option<SocketAddr>>> = Arc::default();
        let (to_back, from_front, learn) =
            (back.try_clone().unwrap(), front.try_clone().unwrap(), viewer.clone());
        let count = relay.counter();
        std::thread::spawn(move || {
            let mut datagram = [0; 65_536];
            while let Ok((length, from)) = from_front.recv_from(&mut datagram) {
                *learn.lock().unwrap() = Some(from);
                count(length);
                let _ = to_back.send(&datagram[..length]);
            }
        });
        let count = relay.counter();
        std::thread::spawn(move || {
            let mut datagram = [0; 65_536];
            while let Ok(length) = back.recv(&mut datagram) {
                count(length);
                let to = *viewer.lock().unwrap();
                let _ = to.map(|to| front.send_to(&datagram[..length], to));
            }
        });
        relay
    }

    fn counter(&self) -> impl Fn(usize) + Send + use<> {
        let (bytes, datagrams) = (self.bytes.clone(), self.datagrams.clone());
        move |length| {
            bytes.fetch_add(length as u64, Ordering::Relaxed);
            datagrams.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Processor time that a process has had, in hundredths of a second.
fn processor_time(process: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    // The name, in brackets, may hold anything; user and system time are the 14th and 15th of all.
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

#[test]
fn at_rest_only_signs_of_life_pass_and_the_gateway_does_nearly_nothing() {
    let _alone = alone();
    let server = Server::start(Program::Xvfb, 1024, 768, 24);
    let gateway = Gateway::start(&[("desk", &server.display)]);
    let relay = Relay::start(gateway.port);
    let connect: Value = serde_json::from_str(&gateway.ask("/api/connect").unwrap()).unwrap();
    let pin = connect["certificate_sha256"][0].as_str().unwrap();
    let address = format!("chevet://127.0.0.1:{}/desk?ticket={TICKET}&pin={pin}", relay.port);
    let mut view = View::start(&address, "quic", &[]);
    draw_for(&server.display, Duration::from_secs(1), 51);
    view.expect_exact(&server.display);
    assert!(relay.bytes.load(Ordering::Relaxed) > 100_000, "the screen did not pass here");
    // Proofs and answers of what was drawn last may still be on their way.
    let before = view.fresh_stats();
    let passed = || [&relay.bytes, &relay.datagrams].map(|count| count.load(Ordering::Relaxed));
    let (bytes, ticks) = (passed(), processor_time(gateway.program.id()));
    std::thread::sleep(REST);
    let (now, used) = (passed(), processor_time(gateway.program.id()) - ticks);
    let [bytes, datagrams] = [now[0] - bytes[0], now[1] - bytes[1]];
    println!(
        "5 s of rest: {bytes} bytes in {datagrams} datagrams, {used}0 ms of the gateway's processor time"
    );
    let after = view.fresh_stats();
    assert_eq!(after["updates"], before["updates"], "updates were sent though nothing was drawn");
    assert!(bytes < 10_000, "{bytes} bytes in {datagrams} datagrams passed at rest");
    assert!(used < 10, "{used}0 ms of processor time at rest in 5 s");
}
