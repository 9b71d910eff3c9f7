//! A network that means harm: roads that swallow what they should carry.

use crate::stage::{LONG, SESSION, Stage};
use chevet::client::{Address, Client, Event};
use chevet::link::Road;
use chevet::wire::InputEvent;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::time::timeout;

/// A way to the gateway on a port of its own: TCP is carried faithfully, of UDP to the viewer only
/// datagrams that are not larger than what is allowed.
struct Way {
    port: u16,
    to_viewer: Arc<AtomicUsize>,
}

impl Way {
    async fn open(gateway: SocketAddr, allowed: usize) -> Way {
        let (tcp, udp) = loop {
            let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
            if let Ok(udp) = UdpSocket::bind(tcp.local_addr().unwrap()).await {
                break (tcp, Arc::new(udp));
            }
        };
        let port = tcp.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut near, _)) = tcp.accept().await {
                tokio::spawn(async move {
                    let mut far = TcpStream::connect(gateway).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
                });
            }
        });
        let to_viewer = Arc::new(AtomicUsize::new(allowed));
        tokio::spawn(carry(udp, gateway, to_viewer.clone()));
        Way { port, to_viewer }
    }

    async fn view(&self, stage: &Stage) -> Client {
        let own = format!(":{}/", stage.address().port());
        let address = stage.gateway.native_url(SESSION).replace(&own, &format!(":{}/", self.port));
        Client::connect(Address::parse(&address).unwrap()).await.unwrap()
    }
}

async fn carry(near: Arc<UdpSocket>, gateway: SocketAddr, allowed: Arc<AtomicUsize>) {
    let mut ways: HashMap<SocketAddr, Arc<UdpSocket>> = HashMap::new();
    let mut buffer = vec![0; 65_536];
    while let Ok((length, viewer)) = near.recv_from(&mut buffer).await {
        if let Entry::Vacant(way) = ways.entry(viewer) {
            let far = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
            far.connect(gateway).await.unwrap();
            way.insert(far.clone());
            let (near, allowed) = (near.clone(), allowed.clone());
            tokio::spawn(async move {
                let mut buffer = vec![0; 65_536];
                while let Ok(length) = far.recv(&mut buffer).await {
                    if length <= allowed.load(Ordering::Relaxed) {
                        let _ = near.send_to(&buffer[..length], viewer).await;
                    }
                }
            });
        }
        let _ = ways[&viewer].send(&buffer[..length]).await;
    }
}

/// Goes on until the viewer is exact over this road.
async fn exact_over(client: &mut Client, road: Road) {
    let exact = async {
        loop {
            let event = client.next().await.expect("the viewer stays");
            if matches!(event, Event::Exact) && client.road() == Some(road) {
                return;
            }
        }
    };
    timeout(LONG, exact).await.unwrap_or_else(|_| panic!("not exact over {}", road.name()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_whose_udp_is_swallowed_is_exact_over_websocket_at_once() {
    let stage = Stage::open().await;
    let way = Way::open(stage.address(), 0).await;
    let begun = Instant::now();
    let mut client = way.view(&stage).await;
    exact_over(&mut client, Road::WebSocket).await;
    println!("exact after {} ms", begun.elapsed().as_millis());
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    stage.is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_whose_udp_opens_and_then_brings_no_pixels_is_exact_over_websocket() {
    let stage = Stage::open().await;
    let way = Way::open(stage.address(), usize::MAX).await;
    let mut client = way.view(&stage).await;
    assert_eq!(client.road(), Some(Road::Quic));
    way.to_viewer.store(200, Ordering::Relaxed);
    let begun = Instant::now();
    exact_over(&mut client, Road::WebSocket).await;
    println!("exact after {} ms", begun.elapsed().as_millis());
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    stage.is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_stalls_is_left_for_the_other_road_and_no_key_is_lost() {
    let stage = Stage::open().await;
    let way = Way::open(stage.address(), usize::MAX).await;
    let mut client = way.view(&stage).await;
    exact_over(&mut client, Road::Quic).await;
    way.to_viewer.store(200, Ordering::Relaxed);
    let begun = Instant::now();
    let (mut typed, mut next_key) = (0, Instant::now());
    let mut silences = Vec::new();
    let leaving = async {
        while client.road() != Some(Road::WebSocket) {
            if Instant::now() >= next_key {
                assert!(
                    client.input(InputEvent::KeyDown { key: 4, keysym: 0x61 }),
                    "key {typed} was refused"
                );
                assert!(client.input(InputEvent::KeyUp { key: 4, keysym: 0x61 }));
                (typed, next_key) = (typed + 1, next_key + Duration::from_millis(50));
            }
            match timeout(Duration::from_millis(20), client.next()).await {
                Ok(Ok(Event::Silent(reason))) => silences.push(reason),
                Ok(event) => drop(event.expect("the viewer stays")),
                Err(_) => {}
            }
        }
    };
    timeout(LONG, leaving).await.expect("the stalled road is left");
    println!("left after {} ms, {typed} keys, silences: {silences:?}", begun.elapsed().as_millis());
    assert!(typed > 10 && silences.is_empty(), "{typed} keys; {silences:?}");
    exact_over(&mut client, Road::WebSocket).await;
    let confirmed = async {
        while client.input_waiting() > 0 {
            client.next().await.expect("the viewer stays");
        }
    };
    timeout(LONG, confirmed).await.expect("every key was handed to the session");
    assert_eq!(client.mismatches(), 0);
    stage.is_well().await;
}
