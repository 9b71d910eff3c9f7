use super::{Failure, interrupted};
use chevet::client::ask_target;
use chevet::link::{Target, parse_fingerprint};
use chevet::screen::HashKey;
use chevet::session::Session;
use chevet::source::{Canvas, X11Source, XServer};
use chevet::wire::Policy;
use std::path::PathBuf;
use std::sync::Arc;

/// Offer an X display of this machine to a gateway, dialling outwards
///
/// The display need not be there yet, and may die and return; so may the gateway. Keys and pointer of the
/// gateway's viewers are handed to the display.
///
/// The secret is the gateway's [access] host_secret; it comes from CHEVET_HOST_SECRET or a file, never from the
/// command line, where other users could read it.
#[derive(clap::Args)]
pub struct Host {
    /// The X display to show, as in DISPLAY
    #[arg(long, value_name = ":N")]
    display: String,
    /// The file with the display's cookie, as in XAUTHORITY
    #[arg(long, value_name = "FILE")]
    xauthority: Option<PathBuf>,
    /// The gateway's address
    #[arg(long, value_name = "HOST:PORT")]
    gateway: String,
    /// What the session is called in addresses: letters, digits, . - _
    #[arg(long)]
    name: String,
    /// What the session is called for people; the name, if not given
    #[arg(long)]
    title: Option<String>,
    /// How exact the pixels must be: balanced (what moves is video until it rests), exact-only (never a lossy pixel,
    /// as for diagnostic images), or motion (video first)
    #[arg(long, value_name = "POLICY", default_value_t)]
    policy: Policy,
    /// SHA-256 of the gateway's certificate, if no public authority signed it. On loopback the gateway is asked
    #[arg(long, value_name = "HEX")]
    pin: Vec<String>,
    /// The file that holds the gateway's host secret
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
}

impl Host {
    pub async fn run(self) -> Result<(), Failure> {
        let secret = self.secret()?;
        let (host, port) = self.host_and_port()?;
        let pins = self.pins()?;
        let mut random = [0; 8];
        getrandom::fill(&mut random)
            .map_err(|error| format!("the system gives no random numbers: {error}"))?;
        let canvas = Arc::new(Canvas::new(1024, 768)?);
        let (events, to_session) = tokio::sync::mpsc::channel(64);
        let server = XServer { display: self.display.clone(), authority: self.xauthority.clone() };
        let source = Arc::new(X11Source::start(&server, canvas.clone(), events)?);
        let title = self.title.as_deref().unwrap_or(&self.name);
        let key = HashKey(u64::from_le_bytes(random));
        let session = Session::start(&self.name, title, key, self.policy, canvas, source, to_session)?;
        let target = self.target(&host, port, pins).await?;
        tokio::select! {
            refused = chevet::host::offer(&session, &target, &secret) => Err(refused.into()),
            () = interrupted() => Ok(()),
        }
    }

    fn secret(&self) -> Result<Vec<u8>, Failure> {
        let text = match &self.secret_file {
            Some(path) => std::fs::read_to_string(path)
                .map_err(|error| format!("reading the secret {}: {error}", path.display()))?,
            None => std::env::var("CHEVET_HOST_SECRET").map_err(|_| {
                "a host shows the gateway's [access] host_secret: put it in CHEVET_HOST_SECRET, or give --secret-file"
            })?,
        };
        Ok(text.trim_end_matches(['\r', '\n']).as_bytes().to_vec())
    }

    fn host_and_port(&self) -> Result<(String, u16), Failure> {
        let wrong = || format!("--gateway {:?}: write HOST:PORT, such as gateway.example:4380", self.gateway);
        let (host, port) = self.gateway.rsplit_once(':').ok_or_else(wrong)?;
        let port = port.parse().map_err(|_| wrong())?;
        Ok((host.trim_start_matches('[').trim_end_matches(']').to_owned(), port))
    }

    fn pins(&self) -> Result<Vec<[u8; 32]>, Failure> {
        let pin = |text: &String| parse_fingerprint(text);
        let pins: Option<_> = self.pin.iter().map(pin).collect();
        pins.ok_or_else(|| "--pin: write the SHA-256 as 64 hexadecimal digits".into())
    }

    async fn target(&self, host: &str, port: u16, pins: Vec<[u8; 32]>) -> Result<Target, Failure> {
        let loopback = matches!(host, "127.0.0.1" | "::1" | "localhost");
        if pins.is_empty() && loopback {
            // The gateway may start later than its hosts.
            loop {
                match ask_target(host, port).await {
                    Ok(target) => return Ok(target),
                    Err(error) => tracing::warn!(%error, "waiting for the gateway"),
                }
                tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            }
        }
        Ok(Target { host: host.to_owned(), udp_port: Some(port), tcp_port: Some(port), tls: !loopback, pins })
    }
}
