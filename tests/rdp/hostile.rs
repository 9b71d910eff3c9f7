//! Hosts that lie: nothing that they send harms more than their own session, which says why it waits.

use crate::peers::{Desktop, Xrdp};
use crate::{Shown, nla_settings, show, xrdp_settings};
use chevet::source::{SourceEvent, SourceState};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs as provider;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// A host that reads the first packet, says this, and closes.
fn host_that_says(answer: &'static [u8]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let _ = stream.read(&mut [0; 1_024]);
            let _ = stream.write_all(answer);
        }
    });
    port
}

#[test]
fn a_host_that_speaks_no_rdp_is_told_of_and_nothing_else_happens() {
    let answers: [(&[u8], &str); 7] = [
        (b"", "trying again"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "trying again"),
        (&[0; 4_096], "trying again"),
        (&[0xff; 65_536], "trying again"),
        // A packet that says that it is longer than it is, one that is shorter than its own header, and a bare one.
        (&[3, 0, 0x10, 0, 2, 0xf0, 0x80], "trying again"),
        (&[3, 0, 0, 1, 0, 0, 0, 0], "trying again"),
        // A refusal: the host demands network level authentication.
        (&[3, 0, 0, 19, 14, 0xd0, 0, 0, 0x12, 0x34, 0, 3, 0, 8, 0, 5, 0, 0, 0], "NLA"),
    ];
    for (answer, expected) in answers {
        let mut shown = show(nla_settings(host_that_says(answer)), "secret", (640, 480));
        let reason = shown.wait_reason();
        assert!(reason.contains(expected) && reason.contains("localhost"), "{reason}");
    }
}

/// What a relay does to the bytes that a host sends, given how many came before.
type Meddling = Arc<dyn Fn(u64, &mut [u8]) + Send + Sync>;

/// A man in the middle of xrdp's TLS, who changes what the host says. Ends with the runtime.
async fn relay(port: u16, meddle: Meddling) -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let here = listener.local_addr().unwrap().port();
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate =
        rcgen::CertificateParams::new(vec!["localhost".into()]).unwrap().self_signed(&key).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let server = rustls::ServerConfig::builder_with_provider(Arc::new(provider::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(server));
    tokio::spawn(async move {
        while let Ok((viewer, _)) = listener.accept().await {
            let (acceptor, meddle) = (acceptor.clone(), meddle.clone());
            tokio::spawn(async move { carry(viewer, port, acceptor, meddle).await });
        }
    });
    here
}

async fn carry(
    mut viewer: tokio::net::TcpStream,
    port: u16,
    acceptor: TlsAcceptor,
    meddle: Meddling,
) -> Option<()> {
    let mut host = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.ok()?;
    // The negotiation goes in the clear, one packet each way.
    let mut buffer = vec![0; 4_096];
    let size = viewer.read(&mut buffer).await.ok()?;
    host.write_all(&buffer[..size]).await.ok()?;
    let size = host.read(&mut buffer).await.ok()?;
    viewer.write_all(&buffer[..size]).await.ok()?;
    let client = rustls::ClientConfig::builder_with_provider(Arc::new(provider::default_provider()))
        .with_safe_default_protocol_versions()
        .ok()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Credulous))
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").ok()?;
    let host = TlsConnector::from(Arc::new(client)).connect(name, host).await.ok()?;
    let viewer = acceptor.accept(viewer).await.ok()?;
    let (from_host, to_host) = tokio::io::split(host);
    let (from_viewer, to_viewer) = tokio::io::split(viewer);
    tokio::select! {
        () = pour(from_host, to_viewer, meddle) => {}
        () = pour(from_viewer, to_host, Arc::new(|_, _| {})) => {}
    }
    Some(())
}

async fn pour(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, meddle: Meddling) {
    let mut buffer = vec![0; 65_536];
    let mut before = 0;
    while let Ok(size) = from.read(&mut buffer).await {
        if size == 0 {
            return;
        }
        meddle(before, &mut buffer[..size]);
        before += size as u64;
        if to.write_all(&buffer[..size]).await.is_err() || to.flush().await.is_err() {
            return;
        }
    }
}

/// Believes every certificate, as men in the middle do.
#[derive(Debug)]
struct Credulous;

impl ServerCertVerifier for Credulous {
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
        _: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        provider::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

/// What the source has come to within a second and a half: live, or waiting with a reason.
async fn outcome(shown: &mut Shown) -> String {
    let end = Instant::now() + Duration::from_millis(1_500);
    let mut last = String::from("nothing");
    while Instant::now() < end {
        while let Ok(event) = shown.events.try_recv() {
            match event {
                SourceEvent::State(SourceState::Live) => last = "live".into(),
                SourceEvent::State(SourceState::Waiting(text)) if !text.starts_with("connecting") => {
                    return text;
                }
                _ => {}
            }
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    last
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_of_an_absurd_size_is_refused_before_memory_is_taken_for_it() {
    let desktop = Desktop::start(640, 480);
    let xrdp = Xrdp::start(&desktop);
    // The bitmap capabilities say how large the desktop is: type 2, 28 bytes long.
    let meddle: Meddling = Arc::new(|_, bytes| {
        if let Some(at) = bytes.windows(4).position(|four| four == [2, 0, 0x1c, 0])
            && let Some(size) = bytes.get_mut(at + 12..at + 16)
        {
            size.fill(0xff);
        }
    });
    let port = relay(xrdp.port, meddle).await;
    let mut shown = show(xrdp_settings(port), "any", (640, 480));
    let reason = outcome(&mut shown).await;
    assert!(reason.contains("65535 x 65535"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_sends_nonsense_harms_its_own_session_only() {
    let desktop = Desktop::start(640, 480);
    let xrdp = Xrdp::start(&desktop);
    crate::session::scribble(&desktop.display, 8, 30);
    let mut honest = show(xrdp_settings(xrdp.port), "any", (640, 480));
    tokio::task::block_in_place(|| honest.wait_live());
    let mut outcomes = Vec::new();
    for seed in 0..10_u64 {
        // From the first byte on with even seeds, and after the connection with odd ones: every 97th byte or so.
        let meddle: Meddling = Arc::new(move |before, bytes| {
            for (place, byte) in (before..).zip(bytes.iter_mut()) {
                let dice = (place ^ seed << 40).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                if (seed % 2 == 0 || place > 3_000) && dice >> 32 & 0xff < 3 {
                    *byte ^= (dice >> 48) as u8;
                }
            }
        });
        let port = relay(xrdp.port, meddle).await;
        let mut shown = show(xrdp_settings(port), "any", (640, 480));
        outcomes.push(outcome(&mut shown).await);
        let (width, height, pixels) = shown.pixels();
        assert_eq!(pixels.len(), (width * height) as usize);
    }
    println!("{outcomes:#?}");
    assert!(outcomes.iter().any(|outcome| outcome.contains("trying again")), "{outcomes:?}");
    // The other session has not noticed, and the host is shown as before.
    crate::session::scribble(&desktop.display, 9, 30);
    tokio::task::block_in_place(|| honest.expect_same(&desktop.display));
}

#[cfg(debug_assertions)]
#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_makes_the_decoder_panic_loses_its_connection_and_nothing_else_does() {
    let desktop = Desktop::start(640, 480);
    let xrdp = Xrdp::start(&desktop);
    let mut honest = show(xrdp_settings(xrdp.port), "any", (640, 480));
    tokio::task::block_in_place(|| honest.wait_live());
    // A fast-path packet of surface bits that end before the screen begins, over the beginning of what comes once the
    // connection stands: IronRDP's arithmetic overflows, which a build with debug assertions notices.
    const PACKET: [u8; 31] =
        [0, 31, 4, 26, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0, 0, 1, 0, 1, 0, 4, 0, 0, 0, 1, 2, 3, 4];
    let meddle: Meddling = Arc::new(|before, bytes| {
        if before > 3_000
            && let Some(place) = bytes.first_chunk_mut()
        {
            *place = PACKET;
        }
    });
    let port = relay(xrdp.port, meddle).await;
    let mut shown = show(xrdp_settings(port), "any", (640, 480));
    let reason = tokio::task::block_in_place(|| shown.wait_reason());
    assert!(reason.contains("broke the decoder") && reason.contains("trying again"), "{reason}");
    crate::session::scribble(&desktop.display, 10, 30);
    tokio::task::block_in_place(|| honest.expect_same(&desktop.display));
}
