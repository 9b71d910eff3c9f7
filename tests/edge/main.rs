//! Clients that come through an edge, on real sockets: what is let in sees its session exactly, what is not never reaches the gateway.

mod moving;
mod people;
mod proxies;
mod squid;
mod stage;
mod strangers;

use chevet::client::{Client, Event, Roads, SignInFailed, SignedIn, Site};
use chevet::gateway::SignInConfig;
use chevet::identity::{Hasher, add_user};
use chevet::link::Road;
use chevet::policy::Zone;
use chevet::store::{Role, Store};
use chevet::wire::InputEvent;
use hyper::Method;
use stage::{SOON, Stage, until, view};
use std::time::Duration;

const PASSWORD: &str = "a long enough password";

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_known_over_tcp_may_then_come_by_quic_and_sees_the_exact_screen_on_both() {
    let stage = Stage::open().await.ready().await;
    let refused = tokio::time::timeout(Duration::from_secs(2), stage.view(Roads::OnlyQuic)).await;
    assert!(!matches!(refused, Ok(Ok(_))), "nobody at this address is known yet");
    let first = stage.view(Roads::All).await.unwrap();
    assert_eq!(first.road(), Some(Road::WebSocket));
    let second = stage.view(Roads::OnlyQuic).await.unwrap();
    assert_eq!((second.road(), second.mismatches()), (Some(Road::Quic), 0));
    first.close().await;
    second.close().await;
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn people_sign_in_through_an_edge_and_find_there_nothing_of_the_inside() {
    let stage = Stage::open_with(|_, config| {
        config.access.ticket = None;
        config.sign_in = Some(SignInConfig::default());
        config.publish = toml::from_str::<chevet::gateway::Config>(
            "[[publish]]\nsession = 'pattern'\ngroups = ['nurses']",
        )
        .unwrap()
        .publish;
    });
    let stage = stage.await.ready().await;
    let store = Store::open(&stage.config.store_url().unwrap()).await.unwrap();
    for (name, role) in [("anne", Role::User), ("boss", Role::Administrator)] {
        let id = add_user(&store, name, name, role, &["nurses".to_owned()], 0).await.unwrap();
        store.set_password(&id, &Hasher::default().hash(PASSWORD).await.unwrap()).await.unwrap();
    }
    let outside = stage.outside();
    let site = || Site {
        host: outside.ip().to_string(),
        port: outside.port(),
        tls: true,
        pins: stage.address("pattern").target.pins,
        proxy: None,
    };
    let wrong = SignedIn::with_password(site(), "anne", "not her password", None, "").await;
    assert!(matches!(wrong, Err(SignInFailed::Refused { .. })), "{:?}", wrong.err());
    let boss = SignedIn::with_password(site(), "boss", PASSWORD, None, "").await.unwrap();
    for path in ["/api/admin/users", "/admin", "/metrics", "/healthz", "/api/seats/nonce", "/api/cards/start"]
    {
        let (status, _) = site().ask(Method::GET, path, None, None).await.unwrap_or_default();
        assert_eq!(status, 404, "{path}");
        let asked = boss.ask(Method::GET, path, None).await;
        assert!(asked.is_err(), "{path} was answered to an administrator: {asked:?}");
    }
    let anne = SignedIn::with_password(site(), "anne", PASSWORD, None, "").await.unwrap();
    let address = anne.address("pattern").await.unwrap();
    assert_eq!(address.target.udp_port, Some(outside.port()), "the edge's port, not the gateway's");
    let client = view(address, Roads::OnlyQuic).await.unwrap();
    assert_eq!(client.mismatches(), 0);
    client.close().await;
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_comes_back_by_itself_when_the_edge_is_started_anew_and_when_the_gateway_is() {
    let mut stage = Stage::open().await.ready().await;
    let mut client = stage.view(Roads::All).await.unwrap();
    stage.restart_edge().await;
    comes_back(&mut client).await;
    let Stage { folder, settings, config, edge, gateway } = stage;
    gateway.stop().await;
    let gateway = chevet::gateway::Gateway::start(&config).await.unwrap();
    let stage = Stage { folder, settings, config, edge, gateway };
    comes_back(&mut client).await;
    assert_eq!(client.mismatches(), 0);
    client.close().await;
    stage.close().await;
}

/// The link is lost and another one carries the session.
async fn comes_back(client: &mut Client) {
    let back = async {
        let mut attached = false;
        loop {
            match client.next().await.expect("it goes on") {
                Event::Attached { .. } => attached = true,
                Event::Exact if attached => return,
                _ => {}
            }
        }
    };
    tokio::time::timeout(SOON, back).await.expect("it comes back");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_typed_outside_reaches_the_session_inside_once() {
    let stage = Stage::open().await.ready().await;
    for roads in [Roads::OnlyWebSocket, Roads::OnlyQuic] {
        let mut client = stage.view(roads).await.unwrap();
        for number in 0..50_u16 {
            let (key, keysym) = (4 + number % 20, 0x61 + u32::from(number % 20));
            assert!(client.input(InputEvent::KeyDown { key, keysym }));
            assert!(client.input(InputEvent::KeyUp { key, keysym }));
        }
        let acknowledged = async {
            while client.input_waiting() > 0 {
                client.next().await.unwrap();
            }
        };
        tokio::time::timeout(SOON, acknowledged).await.expect("all of it is acknowledged");
        client.close().await;
    }
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_is_not_believed_that_its_clients_come_from_inside_unless_it_may_say_so() {
    let zone = |config: &mut chevet::gateway::Config| {
        config.access.ticket = None;
        config.sign_in = Some(SignInConfig::default());
        config.zones = vec![Zone { name: "inside".into(), addresses: vec!["127.0.0.0/8".parse().unwrap()] }];
    };
    for allowed in [false, true] {
        let stage = Stage::open_with(|_, config| {
            zone(config);
            if allowed {
                config.edges[0].zones = vec!["inside".into()];
            }
        });
        let stage = stage.await.ready().await;
        let pins = stage.address("pattern").target.pins;
        let site =
            Site { host: "127.0.0.1".into(), port: stage.outside().port(), tls: true, pins, proxy: None };
        let asked = site.ask(Method::GET, "/api/connect", None, None).await;
        assert_eq!(asked.is_ok(), allowed, "{asked:?}");
        stage.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_comes_through_an_edge_is_refused_even_with_the_secret() {
    use chevet::link::{dial, software};
    use chevet::wire::{self, Control, Role, Secret};
    let stage = Stage::open().await.ready().await;
    let (link, mut inbox) = dial(&stage.address("pattern").target, Road::WebSocket).await.unwrap();
    let (major, minor, role) = (wire::MAJOR, wire::MINOR, Role::Host);
    link.control(&Control::Hello { major, minor, role, software: software() });
    let secret = Secret(stage::TICKET.into());
    link.control(&Control::Offer { session: "mine".into(), title: "Mine".into(), secret });
    let ended = async { while inbox.next().await.is_ok() {} };
    tokio::time::timeout(SOON, ended).await.expect("it is closed");
    let closed = link.closed().expect("with a reason");
    assert!(closed.reason.contains("inside alone"), "{closed}");
    assert!(stage.gateway.registry().session("mine").is_none());
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gateways_and_edges_that_do_not_know_each_other_have_no_tunnel() {
    for wrong_gateway in [true, false] {
        let other = "5a".repeat(32);
        let stage = Stage::open_with(|settings, config| match wrong_gateway {
            true => settings.gateways = vec![other],
            false => config.edges[0].fingerprint = other,
        });
        let stage = stage.await;
        // Several attempts have been made by then.
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(stage.edge.as_ref().unwrap().gateways(), 0);
        let site = Site {
            host: "127.0.0.1".into(),
            port: stage.outside().port(),
            tls: true,
            pins: vec![[0; 32]],
            proxy: None,
        };
        assert!(site.ask(Method::GET, "/api/connect", None, None).await.is_err());
        stage.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_with_two_gateways_keeps_each_viewer_where_it_is_known() {
    let stage = Stage::open().await;
    let other = stage::Folder::new();
    let second = chevet::gateway::identity(&other.0.join("gateway")).unwrap();
    let mut stage = stage.ready().await;
    // The edge learns of a second gateway.
    stage.settings.gateways.push(chevet::link::fingerprint_text(&second.fingerprint()));
    stage.restart_edge().await;
    let mut config = stage.config.clone();
    config.state_directory = Some(other.0.join("gateway"));
    let gateway = chevet::gateway::Gateway::start(&config).await.unwrap();
    let edge = stage.edge.as_ref().unwrap();
    until("both have a tunnel", || edge.gateways() == 2).await;
    // Whichever the address goes to, TCP and QUIC go to the same: the certificate is one of the two, and stays so.
    let mut address = stage.address("pattern");
    let theirs = chevet::client::Address::parse(&gateway.native_url("pattern")).unwrap();
    address.target.pins.extend(theirs.target.pins);
    let first = view(address.clone(), Roads::OnlyWebSocket).await.unwrap();
    let second = view(address.clone(), Roads::OnlyQuic).await.unwrap();
    let viewers =
        |gateway: &chevet::gateway::Gateway| gateway.registry().session("pattern").unwrap().status().viewers;
    let (here, there) = (viewers(&stage.gateway), viewers(&gateway));
    assert!((here, there) == (2, 0) || (here, there) == (0, 2), "{here} and {there}");
    first.close().await;
    second.close().await;
    // When that one is gone the other one has the viewer, and when it is gone, too, the one that came back.
    let Stage { folder: _folder, config: ours, edge, gateway: one, .. } = stage;
    let edge = edge.unwrap();
    let (known, known_config, left) = if here == 2 { (one, ours, gateway) } else { (gateway, config, one) };
    known.stop().await;
    until("one tunnel is left", || edge.gateways() == 1).await;
    view(address.clone(), Roads::OnlyWebSocket).await.unwrap().close().await;
    view(address.clone(), Roads::OnlyQuic).await.unwrap().close().await;
    let known = chevet::gateway::Gateway::start(&known_config).await.unwrap();
    until("both have a tunnel", || edge.gateways() == 2).await;
    left.stop().await;
    until("one tunnel is left", || edge.gateways() == 1).await;
    view(address, Roads::OnlyQuic).await.unwrap().close().await;
    known.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_says_whether_it_is_ready_and_counts_what_it_carried_and_refused() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let stage = Stage::open_with(|settings, _| settings.metrics = Some(free)).await.ready().await;
    let ask = async |path: &str| {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut stream = tokio::net::TcpStream::connect(free).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: edge\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    assert!(ask("/readyz").await.starts_with("HTTP/1.1 200"));
    let client = stage.view(Roads::OnlyWebSocket).await.unwrap();
    // All that a client sends by QUIC is known for what it is: nothing of it is refused.
    let mut quic = stage.view(Roads::OnlyQuic).await.unwrap();
    for _ in 0..100 {
        quic.ping();
        let _ = tokio::time::timeout(Duration::from_millis(10), quic.next()).await;
    }
    assert!(ask("/metrics").await.contains("chevet_edge_packets_refused_total 0\n"));
    quic.close().await;
    let strange = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    strange.send_to(&[0x40; 60], stage.outside()).await.unwrap();
    let counted = async {
        loop {
            let text = ask("/metrics").await;
            if text.contains("chevet_edge_packets_refused_total 1") {
                return text;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let text = tokio::time::timeout(SOON, counted).await.expect("the packet is counted");
    for line in
        ["chevet_edge_tunnels 1", "chevet_edge_connections 1", "chevet_edge_connections_refused_total 0"]
    {
        assert!(text.lines().any(|each| each == line), "{line} in {text}");
    }
    client.close().await;
    stage.gateway.stop().await;
    let end = std::time::Instant::now() + SOON;
    while !ask("/readyz").await.starts_with("HTTP/1.1 503") {
        assert!(std::time::Instant::now() < end, "it says that it is ready without a gateway");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
