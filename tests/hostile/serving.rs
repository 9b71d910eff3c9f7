//! A session's side that means harm: hosts to a gateway, a gateway to a viewer.

use crate::stage::{LONG, SECRET, Stage, address, hello, offer, resident, varint};
use chevet::client::{Address, Client, ClientError, Event};
use chevet::link::{
    Certificate, Inbox, Incoming, Link, Road, accept, dial, fingerprint_text, listen, udp_socket,
};
use chevet::screen::HashKey;
use chevet::wire::{Attached, CloseCode, Control, Policy, Role, Token, UpdateHeader};
use std::time::Duration;
use tokio::time::timeout;

fn header(number: u64, width: u32, height: u32) -> UpdateHeader {
    UpdateHeader { number, epoch: number, width, height, complete: true, ..UpdateHeader::default() }
}

fn stream(header: &UpdateHeader, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    header.write(&mut bytes);
    bytes.extend_from_slice(payload);
    bytes
}

fn attached() -> Control {
    Control::Attached(Attached {
        token: Token([1; 16]),
        key: HashKey(1),
        width: 64,
        height: 64,
        next_input: u64::MAX >> 2,
        title: "a\u{1b}[2J".into(),
        policy: Policy::default(),
    })
}

/// A host whose session `name` the gateway has attached to.
async fn host(stage: &Stage, name: &str, road: Road) -> (Link, Inbox) {
    let (link, mut inbox) = dial(&address(&stage.gateway, name).target, road).await.unwrap();
    link.control(&hello(Role::Host));
    link.control(&offer(name, SECRET));
    loop {
        if let Incoming::Control(Control::Attach(_)) = timeout(LONG, inbox.next()).await.unwrap().unwrap() {
            break;
        }
    }
    link.control(&attached());
    link.control(&Control::State { live: true, text: String::new() });
    (link, inbox)
}

async fn end(link: &Link, mut inbox: Inbox) -> (CloseCode, String) {
    let reading = async {
        loop {
            match inbox.next().await {
                Ok(Incoming::Control(Control::Closing { code, reason })) => return (code, reason),
                Ok(_) => {}
                Err(closed) => return (closed.code, closed.reason),
            }
        }
    };
    let end = timeout(LONG, reading).await.expect("the gateway ends the link");
    timeout(LONG, link.ended()).await.expect("and the connection");
    end
}

#[tokio::test(flavor = "multi_thread")]
async fn updates_that_cannot_be_are_refused_and_the_host_may_come_again() {
    let stage = Stage::open().await;
    // A magicless zstd frame that claims a window of the largest size, and blocks of one byte repeated.
    let bomb: Vec<u8> =
        [0x00, 0xff].into_iter().chain([0x02, 0x00, 0xff, 0x07].into_iter().cycle().take(1 << 20)).collect();
    let pixels = |width: u32| UpdateHeader { tiles: (0..4).collect(), ..header(1, width, 256) };
    let mut wide = Vec::new();
    wide.extend_from_slice(&[2, 1, 0, 1]);
    wide.extend([varint(16_384), varint(16_384), varint(0)].concat());
    wide.extend_from_slice(&[0, 0, 0, 0]);
    let cases: [(Vec<u8>, &str); 4] = [
        (stream(&pixels(1_024), &bomb), "decoded"),
        (stream(&pixels(1_024), &[]), "decoded"),
        (wide, "screen"),
        (vec![2, 1], "early"),
    ];
    let before = resident();
    for (road, (bytes, reason)) in [Road::Quic, Road::WebSocket].into_iter().cycle().zip(cases) {
        let (link, inbox) = host(&stage, "harmful", road).await;
        link.update(1, bytes.into());
        let (code, why) = end(&link, inbox).await;
        assert!(code == CloseCode::PROTOCOL && why.contains(reason), "{code:?}: {why}");
    }
    let grown = resident().saturating_sub(before);
    assert!(grown < 300 << 20, "{grown} bytes");
    stage.is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn updates_that_wait_for_one_that_never_comes_are_not_kept_without_end() {
    let stage = Stage::open().await;
    let (link, inbox) = host(&stage, "waiting", Road::WebSocket).await;
    for number in 2..1_000 {
        let waiting = UpdateHeader { after: 1, ..header(number, 64, 64) };
        link.update(number, stream(&waiting, &[]).into());
    }
    let (code, reason) = end(&link, inbox).await;
    assert!(code == CloseCode::PROTOCOL && reason.contains("wait"), "{code:?}: {reason}");
    stage.is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_smaller_screen_that_waited_for_a_larger_one_is_shown() {
    let stage = Stage::open().await;
    let (link, _inbox) = host(&stage, "shrinking", Road::WebSocket).await;
    // The second arrives first and waits; both are then applied at once.
    let copied = chevet::wire::CopyRect { from: chevet::screen::Rect::new(0, 0, 64, 64), x: 960, y: 704 };
    let large = UpdateHeader { copies: vec![copied], ..header(1, 1_024, 768) };
    let small = UpdateHeader { after: 1, ..header(2, 100, 70) };
    link.update(2, stream(&small, &[]).into());
    tokio::time::sleep(Duration::from_millis(100)).await;
    link.update(1, stream(&large, &[]).into());
    let shown = async {
        loop {
            let list = stage.gateway.registry().list();
            if list.iter().any(|s| s.name == "shrinking" && (s.width, s.height) == (100, 70)) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(LONG, shown).await.expect("the gateway follows the host");
    // And the host's session can be offered anew: its task lives.
    host(&stage, "shrinking", Road::Quic).await;
    stage.is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_sizes_of_one_host_does_not_reach_another_session() {
    let stage = Stage::open().await;
    let (link, _inbox) = host(&stage, "storm", Road::Quic).await;
    for number in 1..60 {
        let side = 64 + number as u32 % 7 * 300;
        link.update(
            number,
            stream(&UpdateHeader { after: number - 1, ..header(number, side, side) }, &[]).into(),
        );
    }
    stage.is_well().await;
    assert_eq!(link.closed(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offered_session_whose_host_has_been_gone_for_a_day_is_forgotten() {
    let stage = Stage::open().await;
    let (link, inbox) = host(&stage, "gone", Road::Quic).await;
    let (_kept, _inbox) = host(&stage, "kept", Road::Quic).await;
    let registry = stage.gateway.registry();
    let hours = |hours: u64| std::time::Instant::now() + Duration::from_secs(hours * 3_600);
    registry.forget_gone(hours(0));
    registry.forget_gone(hours(30));
    assert!(registry.session("gone").is_some(), "its host is there");
    drop(inbox);
    timeout(LONG, link.ended()).await.unwrap();
    let waiting = async {
        while registry.is_connected("gone") {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(LONG, waiting).await.expect("the gateway notices that the host is gone");
    registry.forget_gone(hours(0));
    registry.forget_gone(hours(23));
    assert!(registry.session("gone").is_some(), "its host may come back");
    registry.forget_gone(hours(25));
    assert!(registry.session("gone").is_none() && registry.session("kept").is_some());
    stage.is_well().await;
}

/// A viewer that dials a gateway which does with its link what `harm` does.
async fn view<F>(harm: impl Fn(Link) -> F + Send + 'static) -> Client
where
    F: Future<Output = ()> + Send + 'static,
{
    let (certificate, _) = Certificate::self_signed(&["localhost".to_owned()]).unwrap();
    let reset_key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &[7; 32]);
    let socket = udp_socket(([127, 0, 0, 1], 0).into()).unwrap();
    let (endpoint, _gate) = listen(socket, &certificate, reset_key).unwrap();
    let port = endpoint.local_addr().unwrap().port();
    let pin = fingerprint_text(&certificate.fingerprint());
    tokio::spawn(async move {
        while let Some(incoming) = endpoint.accept().await {
            let Ok(connection) = incoming.await else { continue };
            let Ok((link, mut inbox)) = accept(connection, |_, _| true).await else { continue };
            loop {
                if let Ok(Incoming::Control(Control::Attach(_))) = inbox.next().await {
                    break;
                }
            }
            link.control(&attached());
            // The inbox is kept and not read: this gateway takes no interest in answers.
            tokio::spawn(harm(link.clone()));
            link.ended().await;
        }
    });
    let address = format!("chevet://127.0.0.1:{port}/x?ticket=y&pin={pin}");
    let roads = chevet::client::Roads::OnlyQuic;
    Client::connect_by(Address::parse(&address).unwrap(), roads, (0, 0)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_loses_a_gateway_that_asks_without_end_and_keeps_little_for_it() {
    let before = resident();
    let mut client = view(|link| async move {
        let large =
            UpdateHeader { number: 1, epoch: 1, width: 16_320, height: 2_000, ..UpdateHeader::default() };
        link.update(1, stream(&large, &[]).into());
        while link.closed().is_none() {
            link.control(&Control::HashesWanted { update: 1 });
            tokio::time::sleep(Duration::from_micros(300)).await;
        }
    })
    .await;
    let lost = async {
        loop {
            if let Event::Silent(reason) = client.next().await.expect("worth dialling again") {
                return reason;
            }
        }
    };
    let reason = timeout(LONG, lost).await.expect("the viewer gives this gateway up");
    assert!(reason.contains("does not read"), "{reason}");
    let grown = resident().saturating_sub(before);
    assert!(grown < 600 << 20, "{grown} bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_gateway_says_in_parting_cannot_move_a_terminal() {
    let mut client =
        view(|link| async move { link.close(CloseCode::REFUSED, "\u{1b}[2J\nnot so\u{9b}") }).await;
    let parting = async {
        loop {
            if let Err(ClientError::Closed(closed)) = client.next().await {
                return closed.to_string();
            }
        }
    };
    let text = timeout(LONG, parting).await.expect("the viewer is told");
    assert!(text.contains("not so") && !text.chars().any(char::is_control), "{text:?}");
}
