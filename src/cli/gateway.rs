use super::{Failure, interrupted, notify};
use chevet::gateway::{
    Config, DEFAULT_CONFIG, Gateway as Running, Predecessor, SessionConfig, ask_to_drain, identity,
    make_state_directory,
};
use chevet::link::fingerprint_text;
use chevet::store::Store;
use chevet::telemetry::Telemetry;
use std::path::PathBuf;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

/// Join hosts and viewers: serve the page, QUIC, WebTransport and WebSocket
///
/// One UDP port carries QUIC and WebTransport, the TCP port of the same number the page and WebSocket. Sessions come
/// from the configuration, from --display, and from hosts that run `chevet host`.
///
/// A SIGHUP (`systemctl reload chevet-gateway`) starts the program anew, as it is on disk by then and with the settings of
/// then, which takes over the ports while viewers keep their screens. If it cannot start, this one goes on.
///
/// Examples:
///   chevet gateway --print-config > chevet.toml
///   chevet gateway --config chevet.toml
///   chevet gateway --display :1          one session, for this machine alone
#[derive(clap::Args)]
#[command(verbatim_doc_comment, args_conflicts_with_subcommands = true)]
pub struct Gateway {
    #[command(subcommand)]
    job: Option<Job>,
    /// The configuration: a TOML file such as --print-config prints
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print the defaults, with comments, and exit
    #[arg(long)]
    print_config: bool,
    /// Print the fingerprint by which edges know this gateway, and exit
    #[arg(long)]
    identity: bool,
    /// Show this X display as the session "desk", beside those of the configuration
    #[arg(long, value_name = ":N")]
    display: Option<String>,
    /// Listen here instead of where the configuration says; may be given several times
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Vec<std::net::SocketAddr>,
}

#[derive(clap::Subcommand)]
enum Job {
    /// Have a gateway of several that share a database go: its sessions, viewers and hosts go on at the others, then it ends
    Drain {
        /// The configuration of a gateway that shares the database
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Which gateway is to go, if it is another one than this configuration's
        #[arg(long)]
        name: Option<String>,
    },
}

/// Asks a gateway to go.
async fn drain(config: PathBuf, name: Option<String>) -> Result<(), Failure> {
    let config = Config::read(&config)?;
    let gateways =
        config.gateways.as_ref().ok_or("this gateway shares nothing with others: it has no [gateways]")?;
    let name = name.unwrap_or_else(|| gateways.name.clone());
    let url = config.store_url().ok_or("this gateway has no [store]")?;
    match ask_to_drain(&Store::open(&url).await?, &name).await? {
        true => println!("{name} goes once its sessions are at other gateways, or after 30 s"),
        false => return Err(format!("there is no gateway {name:?} now").into()),
    }
    Ok(())
}

impl Gateway {
    /// `log` is what listens to the program's events; traces, if they are configured, are added to it.
    pub fn start<S>(self, log: S) -> Result<ExitCode, Failure>
    where
        S: tracing::Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    {
        if let Some(Job::Drain { config, name }) = self.job {
            super::runtime()?.block_on(drain(config, name))?;
            return Ok(ExitCode::SUCCESS);
        }
        if self.print_config {
            print!("{DEFAULT_CONFIG}");
            return Ok(ExitCode::SUCCESS);
        }
        if self.identity {
            return self.print_identity();
        }
        let before = Predecessor::of_this_process()?;
        let config = self.config()?;
        let runtime = super::runtime()?;
        let begin = |telemetry| Telemetry::start(telemetry, runtime.handle().clone());
        let telemetry = config.telemetry.as_ref().map(begin).transpose()?;
        log.with(telemetry.as_ref().map(Telemetry::layer)).init();
        runtime.block_on(run(&config, before))?;
        Ok(ExitCode::SUCCESS)
    }

    fn print_identity(self) -> Result<ExitCode, Failure> {
        let config = self.config()?;
        let directory = config
            .state_directory
            .ok_or("the configuration has no `state_directory`, where the key is kept")?;
        make_state_directory(&directory)?;
        println!("{}", fingerprint_text(&identity(&directory)?.fingerprint()));
        Ok(ExitCode::SUCCESS)
    }

    fn config(self) -> Result<Config, Failure> {
        let mut config = match &self.config {
            Some(path) => Config::read(path)?,
            None => Config::default(),
        };
        if !self.listen.is_empty() {
            config.listen = self.listen;
        }
        if let Some(display) = self.display {
            config.sessions.push(SessionConfig {
                name: "desk".into(),
                display: Some(display),
                ..SessionConfig::default()
            });
        }
        Ok(config)
    }
}

async fn run(config: &Config, before: Option<Predecessor>) -> Result<(), Failure> {
    let mut gateway = Running::follow(config, before).await?;
    for address in gateway.addresses() {
        let udp = if config.udp { "TCP and UDP" } else { "TCP" };
        tracing::info!(%address, "listening on {udp}");
    }
    // A configured ticket is its owner's business; one that was made here is of no use unless it is told.
    if gateway.made_ticket() {
        for session in &config.sessions {
            println!("{}: {}", session.name, gateway.page_url(&session.name));
            println!("{}: {}", session.name, gateway.native_url(&session.name));
        }
    }
    notify::serving();
    serve(&mut gateway).await?;
    gateway.stop().await;
    Ok(())
}

/// Whatever others can go on with goes to them first, unless somebody is in a hurry.
async fn go(gateway: &Running) -> Result<(), Failure> {
    tokio::select! {
        () = gateway.drain() => {}
        () = interrupted() => tracing::info!("stopping at once"),
    }
    Ok(())
}

/// Until the gateway is asked to stop, or a successor has taken its place.
async fn serve(gateway: &mut Running) -> Result<(), Failure> {
    let mut asked = signal(SignalKind::hangup())?;
    loop {
        tokio::select! {
            () = interrupted() => {
                tracing::info!("stopping");
                return go(gateway).await;
            }
            () = gateway.drain_asked() => {
                tracing::info!("asked to go");
                return go(gateway).await;
            }
            _ = asked.recv() => {}
        }
        notify::reloading();
        match gateway.hand_over().await {
            Ok(process) => {
                notify::succeeded_by(process);
                tracing::info!(process, "another gateway with the settings of now takes this one's place");
                return Ok(());
            }
            Err(error) => {
                tracing::error!(%error, "this gateway goes on as it is");
                notify::status("the new settings or program could not be taken over: see the log");
            }
        }
    }
}
