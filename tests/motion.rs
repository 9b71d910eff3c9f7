//! Films on a desktop, from a host through a gateway to real viewers on real sockets: what moves may be lossy, what
//! stands beside it never is, and what rests is exact.

#[allow(dead_code, reason = "tests of bad networks use the rest")]
#[path = "paths/model.rs"]
mod model;
#[allow(dead_code, reason = "tests of bad networks use the rest")]
#[path = "paths/relay.rs"]
mod relay;
#[path = "motion/stage.rs"]
mod stage;

use chevet::client::{Client, Event, Roads};
use chevet::codec::video::psnr;
use chevet::link::{Incoming, Road, dial};
use chevet::screen::Rect;
use chevet::sync::Exactness;
use chevet::wire::{Attach, Control, Policy, Role, features, read_update};
use model::{Conditions, Profile};
use relay::Relay;
use stage::{FILM, Stage, shown};
use std::time::{Duration, Instant};

/// Watches for a while; returns the frames of video and the tiles sent with pixels.
async fn watch(client: &mut Client, time: Duration) -> (usize, usize) {
    let end = Instant::now() + time;
    let (mut frames, mut tiles) = (0, 0);
    while let Some(left) = end.checked_duration_since(Instant::now()) {
        let Ok(event) = tokio::time::timeout(left, client.next()).await else { break };
        if let Event::Updated(update) = event.expect("the link stays") {
            frames += usize::from(update.applied.video_tiles > 0);
            tiles += update.applied.pixel_tiles;
        }
    }
    (frames, tiles)
}

/// Waits until the client is exact, and has nothing more to take in.
async fn settle(client: &mut Client) {
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        assert!(Instant::now() < end, "what rests becomes exact");
        let quiet = tokio::time::timeout(Duration::from_millis(200), client.next()).await;
        match quiet {
            Ok(event) => drop(event.expect("the link stays")),
            Err(_) if client.exactness() == Exactness::Exact => return,
            Err(_) => {}
        }
    }
}

async fn a_film(roads: Roads) {
    let stage = Stage::open(Policy::Balanced).await;
    let mut client = Client::connect_by(stage.address(), roads, (0, 0)).await.unwrap();
    settle(&mut client).await;
    stage.play();
    watch(&mut client, Duration::from_millis(1_500)).await;
    let (frames, tiles) = watch(&mut client, Duration::from_secs(2)).await;
    assert!(frames >= 20, "{frames} frames of video in 2 s");
    let screen = client.screen().unwrap().clone();
    let (film, inside) = stage.newest();
    assert!(inside > 30);
    for y in 0..screen.height() {
        for x in (0..screen.width()).filter(|&x| !FILM.contains(&Rect::new(x, y, 1, 1))) {
            assert!(screen.row(x, y, 1) == film.row(x, y, 1), "pixel {x} {y} beside the film is not exact");
        }
    }
    assert!(tiles < frames * 8, "{tiles} exact tiles beside {frames} frames of video");
    stage.stop();
    settle(&mut client).await;
    assert!(shown(&client) == stage.newest().0, "what rests is exact");
    assert_eq!(client.mismatches(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_film_is_video_over_quic_text_beside_it_stays_exact_and_its_last_picture_becomes_exact() {
    a_film(Roads::OnlyQuic).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_film_is_video_over_websocket_too() {
    a_film(Roads::OnlyWebSocket).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn under_exact_only_no_viewer_is_ever_sent_a_frame_of_video() {
    let stage = Stage::open(Policy::ExactOnly).await;
    let mut client = Client::connect(stage.address()).await.unwrap();
    settle(&mut client).await;
    assert_eq!(client.policy(), Policy::ExactOnly, "the host's promise is the gateway's");
    stage.play();
    let (frames, tiles) = watch(&mut client, Duration::from_secs(2)).await;
    assert!(frames == 0 && tiles > 100, "{frames} frames, {tiles} tiles");
    stage.stop();
    settle(&mut client).await;
    assert!(shown(&client) == stage.newest().0);
}

/// A path that carries some four exact pictures of the film a second, where 25 are played.
#[tokio::test(flavor = "multi_thread")]
async fn under_exact_only_a_path_that_is_too_narrow_is_shown_fewer_pictures_each_of_them_whole() {
    let stage = Stage::open(Policy::ExactOnly).await;
    let way = Conditions { delay: 5_000, jitter: 0, lost_per_million: 0, rate: 400_000, queue: 200_000 };
    let relay = Relay::new(Profile { name: "narrow", down: way, up: way, dead: None }, 1);
    let mut address = stage.address();
    let gateway = ([127, 0, 0, 1], address.target.udp_port.unwrap()).into();
    address.target.udp_port = Some(relay.udp(([127, 0, 0, 1], 0).into(), gateway).await.unwrap().port());
    let mut client = Client::connect_by(address, Roads::OnlyQuic, (0, 0)).await.unwrap();
    settle(&mut client).await;
    stage.play();
    let end = Instant::now() + Duration::from_secs(4);
    let mut whole = std::collections::BTreeSet::new();
    while let Some(left) = end.checked_duration_since(Instant::now()) {
        let Ok(event) = tokio::time::timeout(left, client.next()).await else { break };
        if let Event::Updated(_) = event.expect("the link stays") {
            whole.extend(stage.frame_shown(client.screen().unwrap()));
        }
    }
    assert!(whole.len() >= 6, "whole pictures: {whole:?}");
    stage.stop();
    settle(&mut client).await;
    assert!(shown(&client) == stage.newest().0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_whose_network_blocks_udp_in_the_middle_of_a_film_sees_it_go_on_over_websocket() {
    let stage = Stage::open(Policy::Balanced).await;
    let way = Conditions { delay: 500, jitter: 0, lost_per_million: 0, rate: 100_000_000, queue: 100_000 };
    let relay = Relay::new(Profile { name: "blocked later", down: way, up: way, dead: None }, 1);
    let mut address = stage.address();
    let gateway = ([127, 0, 0, 1], address.target.udp_port.unwrap()).into();
    address.target.udp_port = Some(relay.udp(([127, 0, 0, 1], 0).into(), gateway).await.unwrap().port());
    let mut client = Client::connect(address).await.unwrap();
    settle(&mut client).await;
    assert_eq!(client.road(), Some(Road::Quic));
    stage.play();
    let (frames, _) = watch(&mut client, Duration::from_secs(1)).await;
    assert!(frames > 5, "{frames} frames over QUIC");
    relay.hold(u64::MAX, 600_000);
    // It is suspected after a second; the film never rests, so nothing is ever complete.
    watch(&mut client, Duration::from_millis(3_500)).await;
    assert_eq!(client.road(), Some(Road::WebSocket));
    let (frames, _) = watch(&mut client, Duration::from_secs(2)).await;
    assert!(frames > 15, "{frames} frames over WebSocket");
    stage.stop();
    settle(&mut client).await;
    assert!(shown(&client) == stage.newest().0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_that_comes_in_the_middle_of_a_film_sees_it_and_the_first_one_goes_on() {
    let stage = Stage::open(Policy::Motion).await;
    let mut first = Client::connect(stage.address()).await.unwrap();
    settle(&mut first).await;
    stage.play();
    watch(&mut first, Duration::from_secs(1)).await;
    let mut second = Client::connect(stage.address()).await.unwrap();
    let time = Duration::from_millis(2_500);
    let ((first_frames, _), (second_frames, _)) =
        tokio::join!(watch(&mut first, time), watch(&mut second, time));
    assert!(first_frames > 20 && second_frames > 15, "{first_frames} and {second_frames} frames");
    let (picture, _) = stage.newest();
    for client in [&first, &second] {
        let quality = psnr(&shown(client), &picture, &FILM);
        assert!(quality > 15.0, "{quality} dB: not even a late picture of this film");
    }
    stage.stop();
    tokio::join!(settle(&mut first), settle(&mut second));
    assert!(shown(&first) == stage.newest().0 && shown(&second) == stage.newest().0);
    assert_eq!(first.mismatches() + second.mismatches(), 0);
}

/// Says of every video that it cannot decode it; returns how many videos it was offered, and its tiles with pixels.
async fn cannot_decode(stage: &Stage, time: Duration) -> (usize, usize) {
    let address = stage.address();
    let (link, mut inbox) = dial(&address.target, Road::Quic).await.unwrap();
    link.control(&Control::Hello {
        major: 1,
        minor: 1,
        role: Role::Viewer,
        software: "cannot decode".into(),
    });
    link.control(&Control::Attach(Attach {
        session: address.session.clone(),
        ticket: address.ticket.clone(),
        width: 0,
        height: 0,
        cache_bytes: 0,
        features: features::H264,
        token: None,
        screen: None,
    }));
    let (mut videos, mut tiles) = (std::collections::BTreeSet::new(), 0);
    let end = Instant::now() + time;
    while let Some(left) = end.checked_duration_since(Instant::now()) {
        let Ok(message) = tokio::time::timeout(left, inbox.next()).await else { break };
        let Incoming::Update(stream) = message.expect("the link stays") else { continue };
        let (header, _) = read_update(&stream).unwrap();
        match header.video {
            Some(frame) => {
                videos.insert(frame.video);
                link.control(&Control::VideoFailed { video: frame.video });
                // And of others that it never had.
                link.control(&Control::VideoFailed { video: frame.video + 1_000 });
            }
            None => tiles += header.tiles.len(),
        }
        link.control(&Control::Ack { update: header.number, decode_us: 0, missing: Vec::new() });
    }
    (videos.len(), tiles)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_that_cannot_decode_is_offered_a_few_videos_then_tiles_and_others_notice_nothing() {
    let stage = Stage::open(Policy::Balanced).await;
    let mut honest = Client::connect(stage.address()).await.unwrap();
    settle(&mut honest).await;
    stage.play();
    watch(&mut honest, Duration::from_secs(1)).await;
    let time = Duration::from_secs(3);
    let ((videos, tiles), (frames, _)) = tokio::join!(cannot_decode(&stage, time), watch(&mut honest, time));
    assert!((1..=3).contains(&videos), "{videos} videos");
    assert!(tiles > 200, "{tiles} tiles");
    assert!(frames > 20, "{frames} frames for who decodes them");
    stage.stop();
    settle(&mut honest).await;
    assert!(shown(&honest) == stage.newest().0);
}
