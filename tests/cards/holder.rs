//! What a browser or a program does that holds a card: it keeps cookies, follows nothing by itself, and shows the card where
//! one is asked for.

use super::authority::Card;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{HeaderMap, Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, HandshakeKind};
use rustls_pki_types::ServerName;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use url::Url;

#[derive(Default)]
pub struct Holder {
    pub cookies: BTreeMap<String, String>,
    /// Sent beside the usual ones.
    pub headers: Vec<(&'static str, String)>,
    tls: Option<ClientConfig>,
}

#[derive(Debug)]
pub struct Page {
    pub status: StatusCode,
    pub location: Option<Url>,
    pub headers: HeaderMap,
    pub text: String,
    pub handshake: Option<HandshakeKind>,
}

impl Page {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    pub fn fragment(&self) -> &str {
        self.location.as_ref().and_then(Url::fragment).unwrap_or_default()
    }
}

/// A client that knows this gateway's certificate, and shows a card if it has one.
pub fn tls(pin: [u8; 32], card: Option<&Card>) -> ClientConfig {
    let mut config = chevet::link::tcp_client_config(&[pin]).unwrap();
    if let Some(card) = card {
        show(&mut config, card.chain.clone(), card);
    }
    config
}

/// Shows these certificates with the key of that card, whether they belong together or not.
pub fn show(config: &mut ClientConfig, chain: Vec<rustls_pki_types::CertificateDer<'static>>, card: &Card) {
    let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&card.key()).unwrap();
    config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(CertifiedKey::new(chain, key)));
}

impl Holder {
    pub fn with(tls: ClientConfig) -> Holder {
        Holder { tls: Some(tls), ..Holder::default() }
    }

    pub async fn get(&mut self, url: &Url) -> Page {
        self.ask(url, "GET", None).await.unwrap_or_else(|error| panic!("{url}: {error}"))
    }

    pub async fn post(&mut self, url: &Url, body: &serde_json::Value) -> Page {
        self.ask(url, "POST", Some(body.to_string())).await.unwrap_or_else(|error| panic!("{url}: {error}"))
    }

    pub async fn ask(&mut self, url: &Url, method: &str, body: Option<String>) -> Result<Page, String> {
        let site = &url[url::Position::BeforeHost..url::Position::AfterPort];
        let mut request = Request::builder()
            .method(method)
            .uri(&url[url::Position::BeforePath..url::Position::AfterQuery])
            .header(header::HOST, site);
        if !self.cookies.is_empty() {
            let cookies: Vec<String> =
                self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            request = request.header(header::COOKIE, cookies.join("; "));
        }
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        let request = request.body(Full::new(Bytes::from(body.unwrap_or_default()))).unwrap();
        let stream = TcpStream::connect(site).await.map_err(|error| error.to_string())?;
        let page = match (url.scheme(), &self.tls) {
            ("https", Some(tls)) => {
                let name = ServerName::try_from(url.host_str().unwrap().to_owned()).unwrap();
                let connector = tokio_rustls::TlsConnector::from(Arc::new(tls.clone()));
                let stream = connector.connect(name, stream).await.map_err(|error| error.to_string())?;
                let kind = stream.get_ref().1.handshake_kind();
                Page { handshake: kind, ..exchange(stream, request, url).await? }
            }
            _ => exchange(stream, request, url).await?,
        };
        for line in page.headers.get_all(header::SET_COOKIE) {
            let (name, value) = line.to_str().unwrap().split(';').next().unwrap().split_once('=').unwrap();
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        Ok(page)
    }
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    request: Request<Full<Bytes>>,
    url: &Url,
) -> Result<Page, String> {
    let (mut sender, link) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| error.to_string())?;
    let link = tokio::spawn(link);
    let answer = match sender.send_request(request).await {
        Ok(answer) => answer,
        // What the connection died of says more.
        Err(error) => {
            let died = link.await.ok().and_then(Result::err);
            return Err(died.map_or(error.to_string(), |died| format!("{died:?}")));
        }
    };
    let (parts, body) = answer.into_parts();
    let text = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
    link.abort();
    let location = parts.headers.get(header::LOCATION).map(|to| url.join(to.to_str().unwrap()).unwrap());
    let text = String::from_utf8_lossy(&text).into_owned();
    Ok(Page { status: parts.status, location, headers: parts.headers, text, handshake: None })
}
