//! A connection to another site's gateway, which has proven that it is one before it is asked anything.

use super::{Peer, Sites};
use crate::link::{Exporter, exporter_of, tcp_client_unproven};
use crate::site::{MOST_BYTES, SPEAKER, STATEMENT, message, proven};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Method, Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use url::Url;

/// A connection is there, and its other end proven, within this time.
const OPEN_WITHIN: Duration = Duration::from_secs(4);
pub const TICKETS: &str = "/api/site/tickets";
const ANSWER_WITHIN: Duration = Duration::from_secs(8);
/// The same where an application may have to be started first.
const OPENED_WITHIN: Duration = Duration::from_secs(40);
/// What is asked first: who is there.
pub const HELLO: &str = "/api/site/hello";

#[derive(Debug, thiserror::Error)]
pub(in crate::gateway) enum Problem {
    #[error("{0}")]
    Unreachable(String),
    #[error("it answered {status}: {reason}")]
    Refused { status: StatusCode, error: String, reason: String },
    #[error("its answer is of no use: {0}")]
    Absurd(String),
    #[error(transparent)]
    Store(#[from] crate::store::StoreError),
}

type Fault = Box<dyn std::error::Error + Send + Sync>;

pub(in crate::gateway) struct Call {
    sender: SendRequest<Full<Bytes>>,
    exporter: Exporter,
    gateway: Url,
    own: String,
    peer: String,
    keys: Arc<crate::identity::Keys>,
    _connection: JoinSet<()>,
}

/// How long it takes to reach a gateway, in microseconds.
pub async fn distance(gateway: &Url) -> Option<u64> {
    let begun = Instant::now();
    let dialled = tokio::time::timeout(OPEN_WITHIN, TcpStream::connect(place_of(gateway))).await;
    matches!(dialled, Ok(Ok(_))).then(|| begun.elapsed().as_micros() as u64)
}

/// The host without brackets, and the port.
pub fn place_of(gateway: &Url) -> (&str, u16) {
    let host = gateway.host_str().unwrap_or_default().trim_matches(['[', ']']);
    (host, gateway.port_or_known_default().unwrap_or(443))
}

impl Call {
    /// Dials a gateway of another site, and has it prove that it is one.
    pub async fn open(sites: &Sites, peer: &Peer, gateway: &Url) -> Result<Call, Problem> {
        let opened = async {
            let mut call = Call::dial(sites, peer, gateway)
                .await
                .map_err(|error| Problem::Unreachable(format!("{gateway} cannot be reached: {error}")))?;
            let answer: Value = call.ask(HELLO, &Value::Null).await?;
            let shown = answer["statement"].as_str().unwrap_or_default();
            let said = message(&call.exporter, &call.peer, &call.own, HELLO, b"here");
            match proven(&peer.config.key, &said, shown) {
                true => Ok(call),
                false => Err(Problem::Absurd(format!(
                    "whoever answers at {gateway} does not have the key of the site {}: is `key` right, or does \
                     somebody stand between?",
                    peer.config.name
                ))),
            }
        };
        let late = || Problem::Unreachable(format!("{gateway} does not answer"));
        tokio::time::timeout(OPEN_WITHIN, opened).await.unwrap_or_else(|_| Err(late()))
    }

    async fn dial(sites: &Sites, peer: &Peer, gateway: &Url) -> Result<Call, Fault> {
        let (host, port) = place_of(gateway);
        let begun = Instant::now();
        let stream = TcpStream::connect((host, port)).await?;
        peer.nearest().answered(gateway, begun.elapsed().as_micros() as u64);
        stream.set_nodelay(true)?;
        let name = ServerName::try_from(host.to_owned())?;
        let tls = Arc::new(tcp_client_unproven()?);
        let stream = tokio_rustls::TlsConnector::from(tls).connect(name, stream).await?;
        let exporter = exporter_of(stream.get_ref().1).ok_or("its TLS exports no key")?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        let mut running = JoinSet::new();
        running.spawn(async move { drop(connection.await) });
        Ok(Call {
            sender,
            exporter,
            gateway: gateway.clone(),
            own: sites.name.clone(),
            peer: peer.config.name.clone(),
            keys: sites.keys.clone(),
            _connection: running,
        })
    }

    pub fn gateway(&self) -> &Url {
        &self.gateway
    }

    /// Asks for something; what is asked is signed, for this connection alone.
    pub async fn ask<T: DeserializeOwned>(
        &mut self,
        what: &str,
        body: &impl Serialize,
    ) -> Result<T, Problem> {
        let absurd = |error: Fault| Problem::Absurd(error.to_string());
        let body = serde_json::to_vec(body).map_err(|error| absurd(error.into()))?;
        let statement = self.keys.sign_for_site(&message(&self.exporter, &self.own, &self.peer, what, &body));
        let host = &self.gateway[url::Position::BeforeHost..url::Position::AfterPort];
        let request = Request::builder()
            .method(Method::POST)
            .uri(what)
            .header(header::HOST, host)
            .header(header::CONTENT_TYPE, "application/json")
            .header(SPEAKER, &self.own)
            .header(STATEMENT, statement)
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| absurd(error.into()))?;
        let asked = async {
            self.sender.ready().await?;
            let answer = self.sender.send_request(request).await?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), MOST_BYTES).collect().await?.to_bytes();
            Ok::<_, Fault>((status, body))
        };
        let within = if what == TICKETS { OPENED_WITHIN } else { ANSWER_WITHIN };
        let answered = tokio::time::timeout(within, asked).await;
        let (status, body) = match answered {
            Ok(answer) => answer.map_err(|error| Problem::Unreachable(error.to_string()))?,
            Err(_) => return Err(Problem::Unreachable("it does not answer".into())),
        };
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(|error| absurd(error.into()));
        }
        let told: Value = serde_json::from_slice(&body).unwrap_or_default();
        let text = |name: &str| told[name].as_str().unwrap_or_default().chars().take(200).collect::<String>();
        Err(Problem::Refused { status, error: text("error"), reason: text("reason") })
    }
}
