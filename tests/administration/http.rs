//! HTTP by hand, so that a request can be as wrong as is wished.

use serde_json::Value;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[derive(Debug)]
pub struct Asked {
    pub status: u16,
    pub body: String,
    pub json: Value,
}

/// Sends these bytes, and reads to the end.
pub async fn raw(address: SocketAddr, request: &[u8]) -> Asked {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The gateway may have heard enough before the end.
    let _ = stream.write_all(request).await;
    let mut answer = Vec::new();
    let reading = stream.read_to_end(&mut answer);
    let _ = tokio::time::timeout(Duration::from_secs(20), reading).await.expect("the gateway answers");
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body).to_owned();
    let json = serde_json::from_str(&body).unwrap_or(Value::Null);
    Asked { status, body, json }
}

/// Asks with these headers, each a line with its end.
pub async fn ask(address: SocketAddr, method: &str, path: &str, headers: &str, body: &str) -> Asked {
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n{body}",
        body.len()
    );
    raw(address, request.as_bytes()).await
}

pub const JSON: &str = "Content-Type: application/json\r\n";
