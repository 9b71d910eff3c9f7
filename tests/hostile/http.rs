//! What comes to the TCP port and is no viewer.

use crate::stage::{LONG, Stage};
use chevet::gateway::Tls;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Sends bytes and reads to the end.
async fn answer(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The other side may have heard enough before the end.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let _ = timeout(LONG, stream.read_to_end(&mut answer)).await.expect("the gateway closes the connection");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_path_leads_out_of_the_page() {
    let stage = Stage::open().await;
    for path in [
        "/../Cargo.toml",
        "/..%2f..%2fetc%2fpasswd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "//etc/passwd",
        "/index.html/../../etc/passwd",
        "/index.html%00.png",
        "/%ff%fe",
        "/api/../api/sessions",
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let answer = answer(stage.address(), request.as_bytes()).await;
        let status = answer.split(' ').nth(1).unwrap_or_default();
        assert!(matches!(status, "404" | "400"), "{path}: {answer}");
        assert!(!answer.contains("root:") && !answer.contains("[package]"));
    }
    stage.is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_of_sessions_needs_the_ticket() {
    let stage = Stage::open().await;
    for header in
        ["", "Authorization: Bearer \r\n", "Authorization: Bearer x\r\n", "Authorization: Basic x\r\n"]
    {
        let request = format!("GET /api/sessions HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{header}\r\n");
        let answer = answer(stage.address(), request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 401") && !answer.contains("pattern"), "{answer}");
    }
    let request = b"GET /api/connect HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let answer = answer(stage.address(), request).await;
    assert!(!answer.contains(crate::stage::TICKET) && !answer.contains("pattern"));
    stage.is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_headers_is_refused() {
    let stage = Stage::open().await;
    let many: String = (0..1_000).map(|index| format!("x-{index}: y\r\n")).collect();
    let long = format!("x: {}\r\n", "y".repeat(1 << 20));
    for headers in [many, long] {
        let request = format!("GET / HTTP/1.1\r\nHost: x\r\n{headers}\r\n");
        let answer = answer(stage.address(), request.as_bytes()).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    stage.is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sends_no_request_or_half_of_one_is_cut_off() {
    let stage = Stage::open().await;
    let address = stage.address();
    let half = b"GET / HTTP/1.1\r\nHost: x\r\nx: ";
    let body = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000000\r\n\r\nx";
    let idle = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
    tokio::join!(answer(address, b""), answer(address, half), answer(address, body), answer(address, idle));
    stage.is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_tls_does_not_harm_a_port_that_speaks_it() {
    let folder = std::env::temp_dir().join(format!("chevet-hostile-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".into(), "127.0.0.1".into()]).unwrap();
    let (certificate, key) = (folder.join("certificate.pem"), folder.join("key.pem"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let tls = Tls { certificate: Some(certificate), key: Some(key) };
    let pin = {
        use aws_lc_rs::digest;
        let digest = digest::digest(&digest::SHA256, made.cert.der());
        digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let stage = Stage::open_pinned(tls, &pin).await;
    std::fs::remove_dir_all(&folder).unwrap();
    let mut hello = vec![0x16, 3, 1, 0xff, 0xff, 1, 0xff, 0xff, 0xff];
    hello.resize(70_000, 0xff);
    let mut noise = vec![0; 70_000];
    getrandom::fill(&mut noise).unwrap();
    let plain = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    let address = stage.address();
    let half = [0x16u8, 3, 1, 2, 0, 1];
    tokio::join!(
        answer(address, &hello),
        answer(address, &noise),
        answer(address, plain),
        answer(address, &half)
    );
    stage.is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_opens_connections_and_asks_nothing_has_a_share_of_them() {
    let stage = Stage::open().await;
    let mut idle = Vec::new();
    for _ in 0..64 {
        idle.push(TcpStream::connect(stage.address()).await.unwrap());
    }
    let request = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    assert_eq!(answer(stage.address(), request).await, "", "one more was served");
    idle.truncate(32);
    let free = async {
        while !answer(stage.address(), request).await.ends_with("ok\n") {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    timeout(LONG, free).await.expect("there is room again");
    stage.is_well().await;
}
