//! Two ends of a QUIC link with a relay between them: what becomes of updates that are reset, and of what is lost.

#[allow(dead_code)]
#[path = "paths/model.rs"]
mod model;
#[allow(dead_code)]
#[path = "paths/relay.rs"]
mod relay;

use bytes::Bytes;
use chevet::link::{self, Certificate, Inbox, Incoming, Link, Road, Target};
use chevet::wire::{Control, InputEvent, write_event, write_input_start};
use model::{Conditions, Profile};
use relay::Relay;
use std::net::Ipv4Addr;
use std::time::Duration;

const HERE: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 0);
/// Far beyond what any of this takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// A session's end and its viewer's, joined.
struct Ends {
    session: Link,
    session_inbox: Inbox,
    viewer: Link,
    viewer_inbox: Inbox,
    relay: Relay,
    _endpoint: quinn::Endpoint,
}

impl Ends {
    /// With a delay and losses each way, and 20 Mbit/s.
    async fn join(delay_us: u64, lost_per_million: u64) -> Ends {
        let way =
            Conditions { delay: delay_us, jitter: 0, lost_per_million, rate: 2_500_000, queue: 400_000 };
        let (certificate, _) = Certificate::self_signed(&["localhost".into()]).unwrap();
        let config = link::server_config(&certificate).unwrap();
        let endpoint = quinn::Endpoint::server(config, HERE.into()).unwrap();
        let relay = Relay::new(Profile { name: "steady", down: way, up: way, dead: None }, 1);
        let port = relay.udp(HERE.into(), endpoint.local_addr().unwrap()).await.unwrap().port();
        let accepting = endpoint.clone();
        let accepted = tokio::spawn(async move {
            let connection = accepting.accept().await.unwrap().await.unwrap();
            link::accept(connection, |_, _| true).await.unwrap()
        });
        let target = Target {
            host: "127.0.0.1".into(),
            udp_port: Some(port),
            tcp_port: None,
            tls: false,
            pins: vec![certificate.fingerprint()],
            proxy: None,
        };
        let (viewer, viewer_inbox) = link::dial(&target, Road::Quic).await.unwrap();
        viewer.control(&Control::Ping { number: 0, time_us: 0 });
        let (session, session_inbox) = accepted.await.unwrap();
        let mut ends = Ends { session, session_inbox, viewer, viewer_inbox, relay, _endpoint: endpoint };
        assert!(matches!(next(&mut ends.session_inbox).await, Incoming::Control(Control::Ping { .. })));
        ends
    }
}

async fn next(inbox: &mut Inbox) -> Incoming {
    tokio::time::timeout(PATIENCE, inbox.next()).await.expect("something comes").unwrap()
}

fn update(number: u8, length: usize) -> Bytes {
    let mut stream = vec![2, number];
    stream.resize(length, number);
    stream.into()
}

async fn next_update(inbox: &mut Inbox) -> Bytes {
    loop {
        if let Incoming::Update(update) = next(inbox).await {
            return update;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_that_is_reset_does_not_come_whether_it_was_written_or_waits_for_room() {
    let mut ends = Ends::join(5_000, 0).await;
    // The first takes nearly all that may be written ahead, so that the second finds no room.
    let (first, second) = (60 << 20, 8 << 20);
    ends.session.update(1, update(1, first));
    ends.session.update(2, update(2, second));
    tokio::time::timeout(PATIENCE, async {
        while ends.viewer.update_bytes().0 == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("it begins to come");
    assert!(ends.viewer.update_bytes().1, "part of an update waits for the rest");
    ends.session.reset_update(2);
    ends.session.reset_update(1);
    ends.session.reset_update(9);
    ends.session.update(3, update(3, 3_000));
    assert_eq!(next_update(&mut ends.viewer_inbox).await, update(3, 3_000));
    let (arrived, _) = ends.viewer.update_bytes();
    assert!(arrived < first, "{arrived} bytes came of what was reset");
    // One that has arrived is not called back.
    ends.session.reset_update(3);
    ends.session.update(4, update(4, 30_000));
    assert_eq!(next_update(&mut ends.viewer_inbox).await, update(4, 30_000));
    assert!(!ends.viewer.update_bytes().1, "nothing of the others is waited for");
    assert_eq!(ends.session.closed(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_of_which_a_packet_is_lost_comes_before_it_could_have_been_asked_for() {
    let mut ends = Ends::join(150_000, 0).await;
    for (number, length) in [(1, 5_000), (3, 1_100), (5, 12_000)] {
        // As good as lost: of the short one, all that there is.
        ends.relay.hold(1, 20_000);
        ends.session.update(number.into(), update(number, length));
        // A round trip takes twice as long.
        tokio::time::sleep(Duration::from_millis(140)).await;
        ends.session.update(u64::from(number) + 1, update(number + 1, 900));
        let came = next_update(&mut ends.viewer_inbox).await;
        assert!(came == update(number, length), "update {} of {} bytes came first", came[1], came.len());
        assert!(next_update(&mut ends.viewer_inbox).await == update(number + 1, 900));
        // A share of the path is saved up for the next.
        tokio::time::sleep(Duration::from_millis(600)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_come_once_and_in_order_over_a_path_that_loses_packets() {
    let mut ends = Ends::join(10_000, 50_000).await;
    let mut bytes = Vec::new();
    write_input_start(&mut bytes, 0);
    for number in 0..60u64 {
        let event = InputEvent::KeyDown { key: 30 + number as u16 % 10, keysym: 0x61 };
        write_event(&mut bytes, &event);
        ends.viewer.input(std::mem::take(&mut bytes));
        ends.viewer.control(&Control::Ping { number: number + 1, time_us: number });
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    let (mut keys, mut pings) = (0, 0);
    while keys < 60 || pings < 60 {
        match next(&mut ends.session_inbox).await {
            Incoming::Input(number, InputEvent::KeyDown { key, .. }) => {
                assert_eq!((number, u64::from(key)), (keys, 30 + keys % 10));
                keys += 1;
            }
            Incoming::Control(Control::Ping { number, .. }) => {
                assert_eq!(number, pings + 1);
                pings += 1;
            }
            _ => panic!("nothing else was sent"),
        }
    }
}
