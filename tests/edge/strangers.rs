//! Who is not let in by an edge, and what that costs others.

use super::stage::{SOON, Stage, until, view};
use chevet::client::{Client, Event, Roads, Site};
use hyper::Method;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

/// Says something on a TCP connection, and waits until the other side ends it; what it said, and after how long.
async fn say(to: SocketAddr, bytes: &[u8]) -> (Vec<u8>, Duration) {
    let began = Instant::now();
    let mut stream = TcpStream::connect(to).await.unwrap();
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let ended = tokio::time::timeout(SOON, stream.read_to_end(&mut answer)).await;
    let _ = ended.expect("it is ended");
    (answer, began.elapsed())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_tls_is_ended_without_a_word_and_who_says_nothing_after_some_seconds() {
    let stage = Stage::open().await.ready().await;
    let outside = stage.outside();
    let (answer, _) = say(outside, b"GET /api/admin HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(answer.is_empty(), "{answer:?}");
    // The beginning of a hello, and no more of it.
    let (answer, after) = say(outside, &[0x16, 3, 1, 2, 0, 1, 0, 1]).await;
    assert!(answer.is_empty() && after > Duration::from_secs(3), "{after:?}");
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_tls_for_a_name_of_the_edge_s_goes_further() {
    let stage = Stage::open_with(|settings, _| settings.names = vec!["localhost".into()]).await.ready().await;
    let site = |host: &str| Site {
        host: host.into(),
        port: stage.outside().port(),
        tls: true,
        pins: stage.address("pattern").target.pins,
        proxy: None,
    };
    let asked = site("localhost").ask(Method::GET, "/api/connect", None, None).await;
    assert!(asked.is_ok(), "{asked:?}");
    // By its number there is no name in the hello.
    assert!(site("127.0.0.1").ask(Method::GET, "/api/connect", None, None).await.is_err());
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn packets_of_strangers_are_neither_answered_nor_brought_further() {
    let stage = Stage::open().await.ready().await;
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mut initial = vec![0xC0, 0, 0, 0, 1, 8];
    initial.resize(1_200, 7);
    let mut short = vec![0x40];
    short.resize(60, 9);
    for packet in [&initial[..], &short, b"", b"x", &[0xFF; 1_400]] {
        socket.send_to(packet, stage.outside()).await.unwrap();
    }
    let mut answer = [0; 2_000];
    let answered = tokio::time::timeout(Duration::from_secs(1), socket.recv(&mut answer)).await;
    assert!(answered.is_err(), "somebody answered a stranger");
    // And it still serves who is known.
    stage.view(Roads::All).await.unwrap().close().await;
    stage.close().await;
}

/// A viewer goes on being shown what changes; how many updates came.
async fn goes_on(client: &mut Client, time: Duration) -> usize {
    let (end, mut updates) = (tokio::time::Instant::now() + time, 0);
    while let Ok(event) = tokio::time::timeout_at(end, client.next()).await {
        updates += usize::from(matches!(event.expect("the link stays"), Event::Updated(_)));
    }
    updates
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_from_outside_has_its_share_and_a_viewer_that_is_in_goes_on() {
    let stage = Stage::open_with(|settings, _| {
        settings.limits.connections_of_address = 8;
        settings.limits.begun_a_second = 20;
    });
    let stage = stage.await.ready().await;
    let mut client = stage.view(Roads::OnlyWebSocket).await.unwrap();
    let outside = stage.outside();
    let packets = tokio::spawn(async move {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let mut initial = vec![0xC0, 0, 0, 0, 1, 8];
        initial.resize(1_200, 7);
        for round in 0..20_000_u32 {
            initial[6..10].copy_from_slice(&round.to_be_bytes());
            let _ = socket.send_to(&initial, outside).await;
            if round % 64 == 0 {
                tokio::task::yield_now().await;
            }
        }
    });
    let connections = tokio::spawn(async move {
        let mut open = Vec::new();
        for _ in 0..300 {
            open.extend(TcpStream::connect(outside).await);
        }
        // Those that there is no place for are ended at once.
        let mut ended = 0;
        for stream in &mut open {
            let read = tokio::time::timeout(Duration::from_millis(50), stream.read(&mut [0; 1])).await;
            ended += usize::from(matches!(read, Ok(Ok(0) | Err(_))));
        }
        (open.len(), ended)
    });
    let updates = goes_on(&mut client, Duration::from_secs(3)).await;
    assert!(updates > 0, "the viewer was shown nothing");
    let (all, ended) = connections.await.unwrap();
    assert!(ended + 8 >= all, "{ended} of {all} were ended");
    packets.await.unwrap();
    assert_eq!(client.mismatches(), 0);
    client.close().await;
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_balancer_says_by_the_proxy_protocol_whom_it_speaks_for() {
    let stage = Stage::open_with(|settings, _| settings.proxies = vec!["127.0.0.0/8".parse().unwrap()]);
    let stage = stage.await.ready().await;
    // Without a header nothing goes through.
    let pins = stage.address("pattern").target.pins;
    let site = Site { host: "127.0.0.1".into(), port: stage.outside().port(), tls: true, pins, proxy: None };
    assert!(site.ask(Method::GET, "/api/connect", None, None).await.is_err());
    let mut binary = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0C".to_vec();
    binary.extend_from_slice(&[203, 0, 113, 9, 127, 0, 0, 1, 0x10, 0, 1, 0xBB]);
    let text = b"PROXY TCP4 203.0.113.9 127.0.0.1 4096 443\r\n".to_vec();
    for header in [text, binary] {
        // A balancer of one connection, in front of the edge.
        let balancer = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = balancer.local_addr().unwrap().port();
        let outside = stage.outside();
        let balancing = tokio::spawn(async move {
            let (mut near, _) = balancer.accept().await.unwrap();
            let mut far = TcpStream::connect(outside).await.unwrap();
            far.write_all(&header).await.unwrap();
            let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
        });
        let mut address = stage.address("pattern");
        (address.target.tcp_port, address.target.udp_port) = (Some(port), None);
        let client = view(address, Roads::OnlyWebSocket).await.unwrap();
        client.close().await;
        balancing.abort();
    }
    let journal = stage.folder.0.join("gateway/audit");
    let recorded = || {
        let files = std::fs::read_dir(&journal).unwrap().map(|entry| entry.unwrap().path());
        let text: String = files.filter_map(|path| std::fs::read_to_string(path).ok()).collect();
        let attached = |line: &&str| line.contains("\"attached\"") && line.contains("203.0.113.9");
        text.lines().filter(attached).count()
    };
    until("the journal names the client", || recorded() == 2).await;
    stage.close().await;
}
