//! One request to a server that a gateway is told of (a provider of identities, a collector of traces): bounded in time
//! and bytes, and no redirect is followed.

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use rustls::crypto::aws_lc_rs as provider;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use url::Url;

const PATIENCE: Duration = Duration::from_secs(8);
/// No answer is longer.
const MOST_BYTES: usize = 1 << 20;

type Fault = Box<dyn std::error::Error + Send + Sync>;

pub(crate) struct Answer {
    pub status: StatusCode,
    pub is_jwt: bool,
    pub body: Bytes,
}

impl Answer {
    pub fn json(&self) -> Result<serde_json::Value, String> {
        serde_json::from_slice(&self.body).map_err(|error| format!("an answer that is no JSON: {error}"))
    }
}

/// How a request shows who asks.
pub(crate) enum Showing<'a> {
    Nothing,
    Basic(&'a str, &'a str),
    Bearer(&'a str),
}

#[derive(Clone, Debug)]
pub(crate) struct Http {
    tls: Arc<ClientConfig>,
}

impl Http {
    /// Trusts the authorities of this file, or else the public ones.
    pub fn new(ca: Option<&Path>) -> Result<Http, String> {
        let roots = match ca {
            None => RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() },
            Some(path) => {
                let wrong = |reason: String| format!("reading the authority {}: {reason}", path.display());
                let certificates = CertificateDer::pem_file_iter(path)
                    .and_then(Iterator::collect::<Result<Vec<_>, _>>)
                    .map_err(|error| wrong(error.to_string()))?;
                let mut roots = RootCertStore::empty();
                for certificate in certificates {
                    roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
                }
                if roots.is_empty() {
                    return Err(wrong("there is no certificate in it".into()));
                }
                roots
            }
        };
        let mut tls = ClientConfig::builder_with_provider(Arc::new(provider::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots)
            .with_no_client_auth();
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Http { tls: Arc::new(tls) })
    }

    pub async fn get(&self, url: &Url, showing: Showing<'_>) -> Result<Answer, String> {
        self.ask(url, showing, None).await
    }

    pub async fn post(&self, url: &Url, showing: Showing<'_>, form: &str) -> Result<Answer, String> {
        self.ask(url, showing, Some(form)).await
    }

    async fn ask(&self, url: &Url, showing: Showing<'_>, form: Option<&str>) -> Result<Answer, String> {
        match tokio::time::timeout(PATIENCE, self.try_ask(url, showing, form)).await {
            Ok(answer) => answer.map_err(|error| error.to_string()),
            Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
        }
    }

    async fn try_ask(&self, url: &Url, showing: Showing<'_>, form: Option<&str>) -> Result<Answer, Fault> {
        let mut request = Request::builder().method(if form.is_some() { "POST" } else { "GET" });
        request = request.header(header::ACCEPT, "application/json");
        request = match showing {
            Showing::Nothing => request,
            Showing::Basic(id, secret) => {
                use base64::Engine;
                let pair = format!("{}:{}", form_encoded(id), form_encoded(secret));
                let pair = base64::engine::general_purpose::STANDARD.encode(pair);
                request.header(header::AUTHORIZATION, format!("Basic {pair}"))
            }
            Showing::Bearer(token) => request.header(header::AUTHORIZATION, format!("Bearer {token}")),
        };
        if form.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        }
        self.send(url, request.body(Full::new(Bytes::from(form.unwrap_or_default().to_owned())))?).await
    }

    /// Sends a request to this address, whatever its own URI says.
    pub async fn send(&self, url: &Url, mut request: Request<Full<Bytes>>) -> Result<Answer, Fault> {
        // A provider's own metadata name its endpoints: they are no safer than that.
        if !is_safe(url) {
            return Err(format!("{url} is neither https nor on this machine").into());
        }
        let host = url.host_str().unwrap_or_default();
        let port = url.port_or_known_default().unwrap_or(443);
        *request.uri_mut() = url[url::Position::BeforePath..url::Position::AfterQuery].parse()?;
        let named = &url[url::Position::BeforeHost..url::Position::AfterPort];
        request.headers_mut().insert(header::HOST, named.parse()?);
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let stream = TcpStream::connect((bare, port)).await?;
        if url.scheme() == "http" {
            return exchange(stream, request).await;
        }
        let name = ServerName::try_from(bare.to_owned())?;
        let stream = tokio_rustls::TlsConnector::from(self.tls.clone()).connect(name, stream).await?;
        exchange(stream, request).await
    }
}

/// Whether what is sent there can be read by nobody on the way.
pub(crate) fn is_safe(url: &Url) -> bool {
    let loopback = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    url.has_host() && (url.scheme() == "https" || (url.scheme() == "http" && loopback))
}

fn form_encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    request: Request<Full<Bytes>>,
) -> Result<Answer, Fault> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let answer = sender.send_request(request).await?;
    let status = answer.status();
    let kind = answer.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let is_jwt = kind.is_some_and(|kind| kind.starts_with("application/jwt"));
    let body = Limited::new(answer.into_body(), MOST_BYTES).collect().await;
    connection.abort();
    Ok(Answer { status, is_jwt, body: body?.to_bytes() })
}
