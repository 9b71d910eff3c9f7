//! One request to a gateway's HTTP side, in JSON.

use crate::link::{Proxy, connect_tcp, tcp_client_config};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Method, Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use rustls::client::ResolvesClientCert;
use rustls_pki_types::ServerName;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};

const PATIENCE: Duration = Duration::from_secs(5);
/// A card signs slowly, and some readers ask first.
const CARD_PATIENCE: Duration = Duration::from_secs(60);
/// A ticket may be for an application that has to be started first, on one host after another, or that a host lets in slowly.
const TICKET_PATIENCE: Duration = Duration::from_secs(50);
/// No gateway's answer is longer.
const MOST_BYTES: usize = 1 << 20;

type Fault = Box<dyn std::error::Error + Send + Sync>;

/// A gateway's HTTP side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    pub host: String,
    pub port: u16,
    pub tls: bool,
    /// SHA-256 of the certificates that are accepted; none: those that public authorities signed.
    pub pins: Vec<[u8; 32]>,
    /// The HTTP proxy to go through, where it stands before this host.
    pub proxy: Option<Arc<Proxy>>,
}

impl Site {
    /// Asks, and returns the status with the answer, or why there is none. `bearer` is the secret of a sign-in.
    // Boxed, so that it is compiled here, and not again for each program that awaits it.
    pub fn ask<'a>(
        &'a self,
        method: Method,
        path: &'a str,
        bearer: Option<&'a str>,
        body: Option<&'a Value>,
    ) -> BoxFuture<'a, Result<(StatusCode, Value), String>> {
        let slow = matches!(path, "/api/tickets" | "/api/credentials");
        let patience = if slow { TICKET_PATIENCE } else { PATIENCE };
        Box::pin(within(patience, self.try_ask(method, path, bearer, body, None)))
    }

    /// The same with a certificate in the handshake, whose key may have to wait for somebody.
    pub(super) async fn ask_showing(
        &self,
        shows: Arc<dyn ResolvesClientCert>,
        path: &str,
        body: &Value,
    ) -> Result<(StatusCode, Value), String> {
        within(CARD_PATIENCE, self.try_ask(Method::POST, path, None, Some(body), Some(shows))).await
    }

    async fn try_ask(
        &self,
        method: Method,
        path: &str,
        bearer: Option<&str>,
        body: Option<&Value>,
        shows: Option<Arc<dyn ResolvesClientCert>>,
    ) -> Result<(StatusCode, Value), Fault> {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        let mut request =
            Request::builder().method(method).uri(path).header(header::HOST, format!("{host}:{}", self.port));
        if let Some(bearer) = bearer {
            request = request.header(header::AUTHORIZATION, format!("Bearer {bearer}"));
        }
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let bytes = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
        let request = request.body(Full::new(bytes))?;
        let stream = connect_tcp(&self.host, self.port, self.proxy.as_deref()).await?;
        if !self.tls {
            return exchange(stream, request).await.map_err(in_clear);
        }
        let mut config = tcp_client_config(&self.pins)?;
        if let Some(shows) = shows {
            config.client_auth_cert_resolver = shows;
        }
        let name = ServerName::try_from(self.host.clone())?;
        let stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
        exchange(stream, request).await
    }
}

async fn within<T>(patience: Duration, asked: impl Future<Output = Result<T, Fault>>) -> Result<T, String> {
    match tokio::time::timeout(patience, asked).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {} s", patience.as_secs())),
    }
}

/// What answers a plain question in no HTTP mostly speaks TLS.
fn in_clear(fault: Fault) -> Fault {
    match fault.downcast_ref::<hyper::Error>() {
        Some(error) if error.is_parse() && !error.is_parse_too_large() => {
            format!("{error}; if it speaks TLS, write https:// or give its certificate's fingerprint (`pin`)")
                .into()
        }
        _ => fault,
    }
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    request: Request<Full<Bytes>>,
) -> Result<(StatusCode, Value), Fault> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let answer = sender.send_request(request).await?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), MOST_BYTES).collect().await?.to_bytes();
    Ok((status, serde_json::from_slice(&body).unwrap_or(Value::Null)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::Certificate;

    #[tokio::test]
    async fn who_asks_a_server_of_tls_in_clear_is_told_that_it_may_be_one() {
        let certificate = Certificate::self_signed(&["localhost".into()]).unwrap().0;
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(certificate.tcp_server().unwrap()));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let serving =
            tokio::spawn(async move { acceptor.accept(listener.accept().await.unwrap().0).await.is_ok() });
        let site = Site { host: "127.0.0.1".into(), port, tls: false, pins: Vec::new(), proxy: None };
        let told = site.ask(Method::GET, "/api/connect", None, None).await.unwrap_err();
        assert!(told.contains("if it speaks TLS, write https://"), "{told}");
        assert!(!serving.await.unwrap());
    }
}
