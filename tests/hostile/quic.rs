//! Dishonest peers on QUIC, and what is not even QUIC.

use crate::stage::{LONG, PORTAL, Stage, attach, hello, resident};
use chevet::link::{Road, dial};
use chevet::wire::{ALPN, Attach, Control, Role};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{Connection, ConnectionError, Endpoint, TransportConfig, VarInt};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::{DigitallySignedStruct, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// An attacker does not care whom it attacks.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

/// A connection that keeps itself alive below chevet's own messages.
async fn connect(address: SocketAddr, alpn: &[u8], transport: TransportConfig) -> Connection {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody))
        .with_no_client_auth();
    tls.alpn_protocols = vec![alpn.to_vec()];
    let mut config = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap()));
    let mut transport = transport;
    transport.keep_alive_interval(Some(Duration::from_secs(1)));
    config.transport_config(Arc::new(transport));
    let endpoint = Endpoint::client(([127, 0, 0, 1], 0).into()).unwrap();
    endpoint.connect_with(config, address, "localhost").unwrap().await.unwrap()
}

/// The code and reason with which the gateway closed.
async fn end(connection: &Connection) -> (u64, String) {
    match timeout(LONG, connection.closed()).await.expect("the gateway closes the connection") {
        ConnectionError::ApplicationClosed(close) => {
            (close.error_code.into_inner(), String::from_utf8_lossy(&close.reason).into_owned())
        }
        other => panic!("closed otherwise: {other}"),
    }
}

fn said(messages: &[Control]) -> Vec<u8> {
    messages.iter().flat_map(Control::to_bytes).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_without_a_control_stream_is_closed_after_a_while() {
    let stage = Stage::open().await;
    let native = connect(stage.address(), ALPN, TransportConfig::default()).await;
    let web = connect(stage.address(), b"h3", TransportConfig::default()).await;
    let ((code, reason), (web_code, _)) = tokio::join!(end(&native), end(&web));
    assert!(code == 9 && reason.contains("control stream"), "{code}: {reason}");
    assert_eq!(web_code, 9);
    stage.is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_gives_no_room_to_answer_is_closed_all_the_same() {
    let stage = Stage::open().await;
    let mut transport = TransportConfig::default();
    transport.stream_receive_window(VarInt::from_u32(0)).receive_window(VarInt::from_u32(0));
    let connection = connect(stage.address(), ALPN, transport).await;
    let (mut send, _receive) = connection.open_bi().await.unwrap();
    send.write_all(&said(&[hello(Role::Viewer), Control::Attach(attach())])).await.unwrap();
    let pings = said(&[Control::Ping { number: 1, time_us: 1 }]).repeat(1_000);
    let flood = async { while send.write_all(&pings).await.is_ok() {} };
    let ((code, reason), ()) = tokio::join!(end(&connection), flood);
    assert!(code == 7 && reason.contains("does not read"), "{code}: {reason}");
    stage.is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_that_gives_no_room_to_answer_is_closed_all_the_same() {
    let stage = Stage::open().await;
    let mut transport = TransportConfig::default();
    transport.stream_receive_window(VarInt::from_u32(0)).receive_window(VarInt::from_u32(0));
    let connection = connect(stage.address(), ALPN, transport).await;
    let (mut send, _receive) = connection.open_bi().await.unwrap();
    send.write_all(&said(&[hello(Role::Viewer)])).await.unwrap();
    let (code, reason) = end(&connection).await;
    assert!(code == 9 && reason.contains("nothing was asked"), "{code}: {reason}");
    stage.is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_can_leave_little_with_the_gateway() {
    let stage = Stage::open().await;
    let mut transport = TransportConfig::default();
    transport.send_window(64 << 10);
    let connection = connect(stage.address(), ALPN, transport).await;
    let (mut control, _receive) = connection.open_bi().await.unwrap();
    control.write_all(&said(&[hello(Role::Viewer)])).await.unwrap();
    // The gateway reads none of the further bidirectional streams.
    let (mut unread, _other) = connection.open_bi().await.unwrap();
    let mut left = 0;
    while let Ok(Ok(written)) = timeout(Duration::from_millis(500), unread.write(&[0; 16_384])).await {
        left += written;
        assert!(left < 8 << 20, "the gateway takes {left} bytes that it does not read");
    }
    assert!(left > 0 && connection.close_reason().is_none());
    stage.is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_and_datagrams_that_mean_harm_end_the_link_with_the_reason() {
    let stage = Stage::open().await;
    let update = [2u8, 1, 0];
    for (streams, datagram, reason) in [
        (vec![&update[..]], None, "update stream"),
        (vec![&[1, 0][..], &[1, 0][..]], None, "second input stream"),
        (vec![&[1, 0, 6, 2, 77, 1][..]], None, "button"),
        (vec![], Some(&[1u8][..]), "too early"),
    ] {
        let connection = connect(stage.address(), ALPN, TransportConfig::default()).await;
        let (mut send, mut receive) = connection.open_bi().await.unwrap();
        send.write_all(&said(&[hello(Role::Viewer), Control::Attach(attach())])).await.unwrap();
        receive.read_exact(&mut [0; 4]).await.unwrap();
        let mut kept = Vec::new();
        for bytes in streams {
            let mut stream = connection.open_uni().await.unwrap();
            stream.write_all(bytes).await.unwrap();
            kept.push(stream);
        }
        if let Some(bytes) = datagram {
            connection.send_datagram(bytes.into()).unwrap();
        }
        let (code, why) = end(&connection).await;
        assert!(code == 1 && why.contains(reason), "{code}: {why}");
    }
    stage.is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_streams_of_one_byte_cost_nothing() {
    let stage = Stage::open().await;
    let before = resident();
    let connection = connect(stage.address(), ALPN, TransportConfig::default()).await;
    let (mut send, _receive) = connection.open_bi().await.unwrap();
    send.write_all(&said(&[hello(Role::Viewer), Control::Attach(attach())])).await.unwrap();
    let mut kept = Vec::new();
    for _ in 0..3_000 {
        // Of a kind that nobody knows: each is stopped, and makes room for another.
        let opened = timeout(Duration::from_millis(200), connection.open_uni()).await;
        let Ok(Ok(mut stream)) = opened else { break };
        let _ = stream.write_all(&[63]).await;
        kept.push(stream);
        if kept.len() == 128 {
            kept.clear();
        }
    }
    let grown = resident().saturating_sub(before);
    assert!(grown < 200 << 20, "{grown} bytes");
    stage.is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn datagrams_that_are_not_quic_are_passed_over() {
    let stage = Stage::open().await;
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut bytes = [0; 1_200];
    for round in 0..3_000 {
        getrandom::fill(&mut bytes).unwrap();
        match round % 3 {
            // An Initial of version 1 with random connection ids, and one of a version that does not exist.
            0 => bytes[..6].copy_from_slice(&[0xc3, 0, 0, 0, 1, 8]),
            1 => bytes[..6].copy_from_slice(&[0xc0, 0x0a, 0x1a, 0x2a, 0x3a, 8]),
            _ => {}
        }
        socket.send_to(&bytes[..20 + round % 1_180], stage.address()).unwrap();
    }
    stage.is_well().await;
    let target = crate::stage::address(&stage.gateway, "pattern").target;
    assert!(dial(&target, Road::Quic).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn many_connections_half_open_keep_nobody_out() {
    let stage = Stage::open().await;
    let mut kept = Vec::new();
    for _ in 0..150 {
        kept.push(connect(stage.address(), ALPN, TransportConfig::default()).await);
    }
    let target = crate::stage::address(&stage.gateway, "pattern").target;
    let (link, mut inbox) = dial(&target, Road::Quic).await.expect("there is room");
    link.control(&hello(Role::Viewer));
    link.control(&Control::Attach(Attach { ticket: b"wrong".to_vec(), ..attach() }));
    while inbox.next().await.is_ok() {}
    assert_eq!(link.closed().unwrap().code.0, 3);
    stage.is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_whose_inbox_is_dropped_ends() {
    let stage = Stage::open().await;
    let target = crate::stage::address(&stage.gateway, "pattern").target;
    for road in [Road::Quic, Road::WebSocket] {
        let (link, inbox) = dial(&target, road).await.unwrap();
        drop(inbox);
        // The answer to this finds nobody.
        link.control(&hello(Role::Viewer));
        let closed = timeout(LONG, link.ended()).await.expect("the link ends");
        assert_eq!(closed.code.0, 6);
    }
    stage.is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_another_site_gets_no_web_transport() {
    let stage = Stage::open().await;
    let dial = async |origin: Option<&str>| {
        let connection = connect(stage.address(), b"h3", TransportConfig::default()).await;
        let url = url::Url::parse(&format!("https://{}/chevet", stage.address())).unwrap();
        let mut request = web_transport_quinn::proto::ConnectRequest::new(url);
        if let Some(origin) = origin {
            let name = web_transport_quinn::http::HeaderName::from_static("origin");
            request = request.with_header(name, origin.parse().unwrap());
        }
        timeout(LONG, web_transport_quinn::Session::connect(connection, request)).await.unwrap()
    };
    for origin in ["https://elsewhere.example", "null", "https://127.0.0.1:1"] {
        let answer = dial(Some(origin)).await.expect_err(origin).to_string();
        assert!(answer.contains("403"), "{origin}: {answer}");
    }
    let own = format!("https://{}", stage.address());
    for origin in [Some(own.as_str()), Some(PORTAL), None] {
        assert!(dial(origin).await.is_ok(), "{origin:?} was refused");
    }
    stage.is_well().await;
}
