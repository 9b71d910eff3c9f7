//! From an address to a VNC server that has let us in.

use super::config::{VncConfig, host_and_port};
use super::trust::Trust;
use super::{Notice, Ties};
use crate::rfb::{Credentials, Encryption, Handshake, RfbError, Server, Step};
use rustls_pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// How long a server may take until it has let us in.
const PATIENCE: Duration = Duration::from_secs(15);
/// After how long without a word, and how often, the network is asked whether the server is still there.
const KEEPALIVE: Duration = Duration::from_secs(10);
const MAX_PASSWORD: u64 = 1_024;

/// Why a connection was not made or ended, in words for the session's user.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("cannot reach the VNC server {address}: {source}")]
    Reach { address: String, source: std::io::Error },
    #[error("the VNC server {0} did not let us in within {seconds} seconds", seconds = PATIENCE.as_secs())]
    Slow(String),
    #[error("the VNC server {0} closed the connection")]
    Closed(String),
    #[error("the connection to the VNC server broke: {0}")]
    Broken(std::io::Error),
    #[error(transparent)]
    Rfb(#[from] RfbError),
    #[error("{0}")]
    Tls(String),
    /// The certificate is not believed.
    #[error("{0}")]
    Distrusted(String),
    /// The operator's to put right.
    #[error("{0}")]
    Setting(String),
}

impl Failure {
    /// Whether trying again at once would only make the server angry.
    pub(super) fn is_lasting(&self) -> bool {
        matches!(
            self,
            Failure::Rfb(
                RfbError::WrongPassword(_)
                    | RfbError::TooManyAttempts(_)
                    | RfbError::NeedsPassword(_)
                    | RfbError::NeedsUser
                    | RfbError::NeedsTls { .. }
                    | RfbError::NeedsNoTls(_)
                    | RfbError::NoCommonSecurity(_)
                    | RfbError::AnonymousTls(_),
            ) | Failure::Tls(_)
                | Failure::Distrusted(_)
                | Failure::Setting(_)
        )
    }
}

/// The two directions of a connection.
pub(super) type Reading = Box<dyn AsyncRead + Send + Unpin>;
pub(super) type Writing = Box<dyn AsyncWrite + Send + Unpin>;

/// A server that has let us in.
pub(super) struct Connection {
    pub server: Server,
    pub reading: Reading,
    pub writing: Writing,
    /// What has already been read of what follows.
    pub early: Vec<u8>,
    pub certificate: Option<String>,
}

/// Dials, secures and signs in.
pub(super) async fn connect(config: &VncConfig, ties: &Ties) -> Result<Connection, Failure> {
    let slow = |_| Failure::Slow(config.address.clone());
    tokio::time::timeout(PATIENCE, dial(config, ties)).await.map_err(slow)?
}

async fn dial(config: &VncConfig, ties: &Ties) -> Result<Connection, Failure> {
    let address = &config.address;
    let reach = |source| Failure::Reach { address: address.clone(), source };
    let (host, port) = host_and_port(address).map_err(Failure::Setting)?;
    let credentials = Credentials { user: config.user.clone(), password: password(config, ties).await? };
    let stream = TcpStream::connect((host.as_str(), port)).await.map_err(reach)?;
    stream.set_nodelay(true).map_err(reach)?;
    let alive = TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE).with_retries(3);
    SockRef::from(&stream).set_tcp_keepalive(&alive).map_err(reach)?;
    let mut handshake = Handshake::new(Encryption::from(config.tls), credentials);
    let (mut reading, mut writing): (Reading, Writing) =
        (Box::new(tokio::io::empty()), Box::new(tokio::io::sink()));
    let mut plain = Some(stream);
    let mut certificate = None;
    loop {
        // Until the server asks for TLS, both directions are one socket.
        let ended = match &mut plain {
            Some(stream) => shake(&mut handshake, stream, address).await?,
            None => {
                let mut both = tokio::io::join(&mut reading, &mut writing);
                shake(&mut handshake, &mut both, address).await?
            }
        };
        match (ended, plain.take()) {
            (Step::StartTls, Some(stream)) => {
                let secured = secure(config, ties, (&host, port), stream).await?;
                certificate = secured.1;
                let (read, write) = tokio::io::split(secured.0);
                (reading, writing) = (Box::new(read), Box::new(write));
            }
            (Step::Ready(server), stream) => {
                if let Some(stream) = stream {
                    let (read, write) = stream.into_split();
                    (reading, writing) = (Box::new(read), Box::new(write));
                }
                let early = handshake.into_rest();
                return Ok(Connection { server, reading, writing, early, certificate });
            }
            (Step::StartTls | Step::Send(_), _) => {
                return Err(Failure::Setting("the VNC server asks for TLS within TLS".into()));
            }
        }
    }
}

/// Goes on with the handshake until it is over or needs TLS.
async fn shake(
    handshake: &mut Handshake,
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    address: &str,
) -> Result<Step, Failure> {
    let mut buffer = [0; 1_024];
    // What TLS's first bytes let us say is due before the server says anything.
    let mut count = 0;
    loop {
        for step in handshake.feed(&buffer[..count])? {
            match step {
                Step::Send(bytes) => stream.write_all(&bytes).await.map_err(Failure::Broken)?,
                step => return Ok(step),
            }
        }
        stream.flush().await.map_err(Failure::Broken)?;
        count = stream.read(&mut buffer).await.map_err(Failure::Broken)?;
        if count == 0 {
            return Err(Failure::Closed(address.to_owned()));
        }
    }
}

async fn secure(
    config: &VncConfig,
    ties: &Ties,
    (host, port): (&str, u16),
    stream: TcpStream,
) -> Result<(tokio_rustls::client::TlsStream<TcpStream>, Option<String>), Failure> {
    let trust = Trust::new(config, format!("{}:{port}", host.to_lowercase()), &ties.known);
    let trust = Arc::new(trust.map_err(Failure::Setting)?);
    let client = trust.client().map_err(|error| Failure::Tls(error.to_string()))?;
    let name = ServerName::try_from(host.to_owned()).map_err(|error| Failure::Setting(error.to_string()))?;
    let connected = TlsConnector::from(Arc::new(client)).connect(name, stream).await;
    let stream = connected.map_err(|error| {
        let other = || Failure::Tls(format!("encrypting the connection to the VNC server failed: {error}"));
        trust.refusal().map_or_else(other, Failure::Distrusted)
    })?;
    let seen = trust.seen();
    // Told even if what follows fails: the next time it is known already.
    if let Some(fingerprint) = seen.clone().filter(|_| trust.is_first()) {
        (ties.notify)(Notice::Trusted { fingerprint });
    }
    Ok((stream, seen))
}

async fn password(config: &VncConfig, ties: &Ties) -> Result<Option<String>, Failure> {
    if let Some(password) = &ties.password {
        return Ok(Some(password.to_string()));
    }
    let Some(path) = &config.password_file else { return Ok(None) };
    let read = async {
        let mut text = String::new();
        let file = tokio::fs::File::open(path).await?;
        file.take(MAX_PASSWORD).read_to_string(&mut text).await?;
        Ok::<_, std::io::Error>(text)
    };
    let text = read.await.map_err(|error| {
        // The path is the operator's business, not the user's.
        tracing::warn!(path = %path.display(), %error, "the password of a VNC server cannot be read");
        Failure::Setting("the gateway cannot read the password of this VNC server: tell its operator".into())
    })?;
    Ok(Some(text.lines().next().unwrap_or_default().to_owned()))
}
