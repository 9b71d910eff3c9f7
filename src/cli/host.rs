use super::proxy::Through;
use super::{Failure, interrupted};
use chevet::host::{GatewayAt, HostConfig, Stop};
use chevet::identity::HostKey;
use chevet::link::{Proxy, Target, parse_fingerprint};
use chevet::screen::HashKey;
use chevet::session::Session;
use chevet::source::{Canvas, X11Source, XServer};
use chevet::wire::Policy;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bring this machine's sessions to a gateway, dialling outwards
///
/// With --display: an X display that is there already. It may die and return; so may the gateway. The secret is the
/// gateway's [access] host_secret; it comes from CHEVET_HOST_SECRET or a file, never from the command line, where other
/// users could read it.
///
/// With --offers: applications of the gateway's, started when its users ask, each with an X server of its own, as its user
/// if this runs as root. The gateway knows this host by its key: `chevet host key` prints it. A first SIGTERM, or
/// `chevet host drain`, lets sessions end by themselves; a second one ends them.
///
/// Examples:
///   chevet host --display :1 --gateway gateway.example:4380 --name ward-3
///   chevet host --display :1 --gateway gw-1.example:4380 --gateway gw-2.example:4380 --name ward-3
///   chevet host --gateway gateway.example:4380 --name app-1 --offers record --offers imaging
///   chevet host --gateway gw-1.example:4380 --gateway gw-2.example:4380 --name app-1 --offers record
///   chevet host --config /etc/chevet/host.toml
#[derive(clap::Args)]
#[command(verbatim_doc_comment, args_conflicts_with_subcommands = true)]
pub struct Host {
    #[command(subcommand)]
    job: Option<Job>,
    /// The X display to show, as in DISPLAY
    #[arg(long, value_name = ":N", conflicts_with_all = ["offers", "config"])]
    display: Option<String>,
    /// The file with the display's cookie, as in XAUTHORITY
    #[arg(long, value_name = "FILE", requires = "display")]
    xauthority: Option<PathBuf>,
    /// The gateway's address. Several may be given, of gateways that share a database: a session is at one that can be
    /// had, and at another one when that is gone
    #[arg(long, value_name = "HOST:PORT")]
    gateway: Vec<String>,
    /// What the session, or the host, is called: letters, digits, . - _
    #[arg(long)]
    name: Option<String>,
    /// What the session is called for people; the name, if not given
    #[arg(long, requires = "display")]
    title: Option<String>,
    /// How exact the pixels must be: balanced (what moves is video until it rests), exact-only (never a lossy pixel,
    /// as for diagnostic images), or motion (video first)
    #[arg(long, value_name = "POLICY", default_value_t, requires = "display")]
    policy: Policy,
    /// SHA-256 of the gateway's certificate, if no public authority signed it. On loopback the gateway is asked
    #[arg(long, value_name = "HEX")]
    pin: Vec<String>,
    /// The file that holds the gateway's host secret
    #[arg(long, value_name = "FILE", requires = "display")]
    secret_file: Option<PathBuf>,
    /// An application that this host can run, by the gateway's name for it; may be given several times
    #[arg(long, value_name = "NAME")]
    offers: Vec<String>,
    /// The host's configuration, a TOML file; docs/operators.md has every setting
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    through: Through,
}

#[derive(clap::Subcommand)]
enum Job {
    /// Print this host's key, which an administrator enrols at the gateway: `chevet hosts add NAME KEY`
    Key(Where),
    /// Have the host of this machine take no new sessions, and end when those that there are have ended
    Drain(Where),
}

#[derive(clap::Args)]
struct Where {
    /// The host's configuration, if it has one
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Host {
    pub async fn run(self) -> Result<(), Failure> {
        match &self.job {
            Some(Job::Key(place)) => {
                println!("{}", HostKey::kept(&read(place.config.as_deref())?.key_file())?.text());
                Ok(())
            }
            Some(Job::Drain(place)) => drain(&read(place.config.as_deref())?),
            None if self.display.is_some() => self.show().await,
            None => self.serve().await,
        }
    }

    /// Brings a display that is there.
    async fn show(self) -> Result<(), Failure> {
        let secret = self.secret()?;
        let name = self.name.clone().ok_or("--display needs a --name for its session")?;
        if self.gateway.is_empty() {
            return Err("--display needs its --gateway HOST:PORT".into());
        }
        let proxy = self.through.proxy()?;
        let gateways = gateways(&self.gateway, &self.pin, &proxy)?;
        let mut random = [0; 8];
        getrandom::fill(&mut random)
            .map_err(|error| format!("the system gives no random numbers: {error}"))?;
        let canvas = Arc::new(Canvas::new(1024, 768)?);
        let (events, to_session) = tokio::sync::mpsc::channel(64);
        let display = self.display.clone().unwrap_or_default();
        let server = XServer { display, authority: self.xauthority.clone() };
        let source = Arc::new(X11Source::start(&server, canvas.clone(), events)?);
        let title = self.title.as_deref().unwrap_or(&name);
        let key = HashKey(u64::from_le_bytes(random));
        let session = Session::start(&name, title, key, self.policy, canvas, source, to_session)?;
        tokio::select! {
            refused = chevet::host::offer_to(&session, &gateways, &secret) => Err(refused.into()),
            () = interrupted() => Ok(()),
        }
    }

    /// Starts sessions when they are asked for.
    async fn serve(self) -> Result<(), Failure> {
        let mut config = read(self.config.as_deref())?;
        let proxy = self.through.proxy()?;
        if !self.gateway.is_empty() {
            config.gateway = self.gateway;
        }
        config.name = self.name.unwrap_or(config.name);
        config.offers.extend(self.offers);
        config.pin.extend(self.pin);
        config.check()?;
        let key = HostKey::kept(&config.key_file())?;
        let process = Process::note(config.process_file())?;
        let (ask, stop) = tokio::sync::watch::channel(Stop::No);
        tokio::spawn(async move {
            interrupted().await;
            let _ = ask.send(Stop::Drain);
            interrupted().await;
            let _ = ask.send(Stop::Now);
            // Whoever drops the sender asks for the end, too.
            std::future::pending::<()>().await;
        });
        let gateways = gateways(&config.gateway, &config.pin, &proxy)?;
        tracing::info!(name = config.name, key = key.text(), offers = ?config.offers, "this host");
        let served = chevet::host::serve(config, gateways, key, stop).await;
        drop(process);
        Ok(served?)
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
}

fn read(path: Option<&Path>) -> Result<HostConfig, Failure> {
    Ok(match path {
        Some(path) => HostConfig::read(path)?,
        None => HostConfig::default(),
    })
}

/// The file that says which process the host of this machine is, for as long as that runs.
struct Process {
    path: PathBuf,
    _lock: std::fs::File,
}

impl Process {
    fn note(path: PathBuf) -> Result<Process, Failure> {
        let failed = |error: &dyn std::fmt::Display| format!("writing {}: {error}", path.display());
        let mut options = std::fs::OpenOptions::new();
        let mut file =
            options.write(true).create(true).truncate(false).open(&path).map_err(|error| failed(&error))?;
        file.try_lock()
            .map_err(|_| format!("a host with this state directory runs already ({})", path.display()))?;
        let written = file
            .set_len(0)
            .and_then(|()| std::io::Write::write_all(&mut file, std::process::id().to_string().as_bytes()));
        written.map_err(|error| failed(&error))?;
        Ok(Process { path, _lock: file })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Asks the host that runs with this configuration to end when its sessions have.
fn drain(config: &HostConfig) -> Result<(), Failure> {
    let path = config.process_file();
    let none = || format!("no host runs here: {} names none", path.display());
    let file = std::fs::File::open(&path).map_err(|_| none())?;
    // Who held the lock has died, and its number may be another's.
    if file.try_lock().is_ok() {
        return Err(none().into());
    }
    let id = std::fs::read_to_string(&path)?.trim().parse::<i32>().ok();
    let id = id.and_then(rustix::process::Pid::from_raw).ok_or_else(none)?;
    rustix::process::kill_process(id, rustix::process::Signal::TERM)?;
    println!("the host takes no new sessions, and ends when those that there are have ended");
    Ok(())
}

fn gateways(all: &[String], pins: &[String], proxy: &Option<Arc<Proxy>>) -> Result<Vec<GatewayAt>, Failure> {
    let pins: Option<Vec<_>> = pins.iter().map(|pin| parse_fingerprint(pin)).collect();
    let pins = pins.ok_or("--pin: write the SHA-256 as 64 hexadecimal digits")?;
    all.iter().map(|gateway| gateway_at(gateway, &pins, proxy)).collect()
}

fn gateway_at(gateway: &str, pins: &[[u8; 32]], proxy: &Option<Arc<Proxy>>) -> Result<GatewayAt, Failure> {
    let wrong = || format!("--gateway {gateway:?}: write HOST:PORT, such as gateway.example:4380");
    let (host, port) = gateway.rsplit_once(':').ok_or_else(wrong)?;
    let port: u16 = port.parse().map_err(|_| wrong())?;
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let (pins, proxy) = (pins.to_vec(), proxy.clone());
    let loopback = matches!(&*host, "127.0.0.1" | "::1" | "localhost");
    Ok(match pins.is_empty() && loopback {
        true => GatewayAt::Asked { host, port, proxy },
        false => {
            Target { host, udp_port: Some(port), tcp_port: Some(port), tls: !loopback, pins, proxy }.into()
        }
    })
}
