//! Real links, gateways and viewers over a relay that makes the loopback a bad network. These tests look at what
//! happens, not at how long it takes: `benches/paths.rs` measures.

#[allow(dead_code)]
#[path = "paths/model.rs"]
mod model;
#[allow(dead_code)]
#[path = "paths/relay.rs"]
mod relay;

use bytes::Bytes;
use chevet::client::{Address, Client, Event, Roads};
use chevet::gateway::{Config, Gateway, PatternConfig, SessionConfig};
use chevet::link::{self, Certificate, Incoming, Road, Target};
use chevet::wire::{Control, InputEvent};
use model::{Conditions, DeadSpots, Profile};
use relay::Relay;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

const HERE: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 0);
/// Far beyond what any of this takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// A path without chance: 20 Mbit/s, and this delay each way.
fn steady(delay_us: u64, dead: Option<DeadSpots>) -> Profile {
    let way = Conditions { delay: delay_us, jitter: 0, lost_per_million: 0, rate: 2_500_000, queue: 200_000 };
    Profile { name: "steady", down: way, up: way, dead }
}

#[tokio::test(flavor = "multi_thread")]
async fn packets_that_are_late_delay_only_the_update_they_belong_to() {
    let (certificate, _) = Certificate::self_signed(&["localhost".into()]).unwrap();
    let endpoint = quinn::Endpoint::server(link::server_config(&certificate).unwrap(), HERE.into()).unwrap();
    let relay = Relay::new(steady(60_000, None), 1);
    let port = relay.udp(HERE.into(), endpoint.local_addr().unwrap()).await.unwrap().port();
    let accepted = tokio::spawn(async move {
        let connection = endpoint.accept().await.unwrap().await.unwrap();
        (link::accept(connection, |_, _| true).await.unwrap(), endpoint)
    });
    let target = Target {
        host: "127.0.0.1".into(),
        udp_port: Some(port),
        tcp_port: None,
        tls: false,
        pins: vec![certificate.fingerprint()],
        proxy: None,
    };
    let (viewer, mut inbox) = link::dial(&target, Road::Quic).await.unwrap();
    viewer.control(&Control::Ping { number: 1, time_us: 0 });
    let ((session, _session_inbox), _endpoint) = accepted.await.unwrap();
    tokio::spawn(async move {
        for number in 0..20u8 {
            if number == 5 {
                // All of its packets but the short last one.
                relay.hold(2, 300);
            }
            let mut stream = vec![2, number];
            stream.resize(3_000, 0);
            session.update(number.into(), Bytes::from(stream));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        std::future::pending::<()>().await;
    });
    let mut order = Vec::new();
    while order.len() < 20 {
        let message = tokio::time::timeout(PATIENCE, inbox.next()).await.unwrap().unwrap();
        if let Incoming::Update(stream) = message {
            order.push(stream[1]);
        }
    }
    // The others may change places among themselves: what a busy machine writes at one go has no order.
    let place = order.iter().position(|&number| number == 5).unwrap();
    assert!(place > 8, "others waited for the late one: {order:?}");
    order.sort_unstable();
    assert!(order.into_iter().eq(0..20), "each comes once");
}

struct Stage {
    gateway: Gateway,
    relay: Relay,
    client: Client,
    /// Links that the client has had, and times that it noticed a silence.
    attached: u32,
    silent: u32,
}

impl Stage {
    /// A pattern that only keys change, and its viewer behind a relay.
    async fn open(profile: Profile, roads: Roads) -> Stage {
        let pattern = PatternConfig { width: 640, height: 400, frames_per_second: 0, seed: 1 };
        let session =
            SessionConfig { name: "desk".into(), pattern: Some(pattern), ..SessionConfig::default() };
        let config = Config { listen: vec![HERE.into()], sessions: vec![session], ..Config::default() };
        let gateway = Gateway::start(&config).await.unwrap();
        let mut address = Address::find(&gateway.page_url("desk")).await.unwrap();
        let relay = Relay::new(profile, 1);
        let there: SocketAddr = gateway.addresses()[0];
        address.target.udp_port = Some(relay.udp(HERE.into(), there).await.unwrap().port());
        address.target.tcp_port = Some(relay.tcp(HERE.into(), there).await.unwrap().port());
        let client = Client::connect_by(address, roads, (0, 0)).await.unwrap();
        let mut stage = Stage { gateway, relay, client, attached: 0, silent: 0 };
        stage.until(|event, _| matches!(event, Some(Event::Exact))).await;
        stage
    }

    /// Drives the client until something is so; it is looked at after every event, and now and then.
    async fn until(&mut self, mut so: impl FnMut(Option<&Event>, &Client) -> bool) {
        let end = Instant::now() + PATIENCE;
        loop {
            assert!(Instant::now() < end, "it never came to be");
            let event = tokio::time::timeout(Duration::from_millis(10), self.client.next()).await;
            let event = event.ok().map(|event| event.expect("the client goes on"));
            self.attached += u32::from(matches!(event, Some(Event::Attached { .. })));
            self.silent += u32::from(matches!(event, Some(Event::Silent(_))));
            if so(event.as_ref(), &self.client) {
                return;
            }
        }
    }

    fn block(client: &Client) -> u32 {
        client.screen().unwrap().row(8, 8, 1)[0]
    }

    fn press(&mut self) {
        self.client.input(InputEvent::KeyDown { key: 4, keysym: 0x61 });
    }

    async fn end(self) {
        assert_eq!(self.client.mismatches(), 0);
        self.client.close().await;
        self.gateway.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_whose_address_changes_keeps_its_session_without_attaching_anew() {
    let mut stage = Stage::open(steady(10_000, None), Roads::OnlyQuic).await;
    for _ in 0..3 {
        let before = Stage::block(&stage.client);
        stage.relay.rebind();
        stage.press();
        stage
            .until(|event, client| Stage::block(client) != before && matches!(event, Some(Event::Exact)))
            .await;
    }
    assert_eq!((stage.attached, stage.silent), (1, 0));
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_dead_spot_the_viewer_is_exact_again_and_no_key_is_lost() {
    for roads in [Roads::OnlyQuic, Roads::OnlyWebSocket, Roads::All] {
        let dead = DeadSpots { every: 6_000_000, lasting: 3_000_000 };
        let mut stage = Stage::open(steady(15_000, Some(dead)), roads).await;
        let relay = stage.relay.clone();
        stage.until(|_, _| relay.is_dead()).await;
        let before = Stage::block(&stage.client);
        stage.press();
        stage.until(|_, _| !relay.is_dead()).await;
        let back = Instant::now();
        let mut flipped = None;
        stage
            .until(|event, client| {
                if Stage::block(client) != before {
                    flipped.get_or_insert_with(|| back.elapsed());
                }
                flipped.is_some() && matches!(event, Some(Event::Exact))
            })
            .await;
        println!(
            "{roads:?}: the key's pixels came {flipped:?} and were exact {:?} after the network's return, links {}",
            back.elapsed(),
            stage.attached,
        );
        assert!(stage.silent <= 1, "it noticed one silence");
        stage.end().await;
    }
}
