//! The command line.

mod audit;
mod badge;
mod demo;
mod edge;
mod gateway;
mod heap;
mod host;
mod hosts;
mod load;
mod notify;
mod proxy;
mod recording;
mod report;
mod seat;
mod site;
mod source;
#[cfg(feature = "rdp")]
mod source_rdp;
mod source_vnc;
mod user;
mod view;

use chevet::doctor::Verdict;
use chevet::gateway::{Config, make_state_directory};
use chevet::store::Store;
use clap::{Parser, Subcommand};
use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;
use tracing_subscriber::filter::FilterExt as _;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

/// What a command fails with: it is printed, and says what to do.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Brings a running desktop session to whichever screen its user stands at, exact to the pixel.
#[derive(Parser)]
#[command(version, about, long_about = LONG_ABOUT, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

const LONG_ABOUT: &str = "\
Brings a running desktop session to whichever screen its user stands at, exact to the pixel.

A session runs on a host. A gateway joins hosts and viewers: browsers open its page, `chevet view` dials it
directly. Try it on this machine with `chevet demo`.

CHEVET_LOG sets what is logged: error, warn, info, debug, or finer as in `chevet=debug,quinn=warn`.";

#[derive(Subcommand)]
enum Command {
    Demo(demo::Demo),
    Gateway(gateway::Gateway),
    Edge(edge::Edge),
    Host(Box<host::Host>),
    Hosts(hosts::Hosts),
    /// Keeps one session of a host's; `chevet host` starts it
    #[command(hide = true)]
    HostKeeper,
    View(Box<view::View>),
    Load(load::Load),
    User(user::User),
    Badge(badge::Badge),
    Seat(seat::Seat),
    Site(site::Site),
    Source(source::Source),
    Audit(audit::Audit),
    Recording(recording::Recording),
    Report(report::Report),
    Doctor(DoctorCommand),
}

/// Say what works on this machine, and how to mend what does not
///
/// Looks at UDP buffers and ports, X servers and their extensions, the codec, clocks and limits. Exits with
/// an error only if something that chevet cannot do without is missing.
#[derive(clap::Args)]
struct DoctorCommand {
    /// Print the findings as JSON
    #[arg(long)]
    json: bool,
}

impl Cli {
    pub fn run(self) -> Result<ExitCode, Failure> {
        heap::give_back_large_blocks();
        let quiet = matches!(
            self.command,
            Command::View(_)
                | Command::Demo(_)
                | Command::User(_)
                | Command::Hosts(_)
                | Command::HostKeeper
                | Command::Badge(_)
                | Command::Seat(_)
                | Command::Site(_)
                | Command::Source(_)
                | Command::Doctor(_)
                | Command::Load(_)
                | Command::Audit(_)
                | Command::Recording(_)
                | Command::Report(_)
        );
        let level = if quiet { "warn" } else { "info" };
        let filter = EnvFilter::try_from_env("CHEVET_LOG").unwrap_or_else(|_| {
            // Spans for a collector of traces would stand before every line.
            EnvFilter::new(format!("{level},{}=off", chevet::telemetry::TARGET))
        });
        // IronRDP's finer messages hold what it sends: passwords, keys, what is copied.
        let kept = tracing_subscriber::filter::filter_fn(|event| {
            *event.level() <= tracing::Level::WARN
                || !["ironrdp", "sspi", "picky"].iter().any(|secretive| event.target().starts_with(secretive))
        })
        // Else the quieter of both is unknown, and what nobody logs is asked about each time.
        .with_max_level_hint(tracing::level_filters::LevelFilter::TRACE);
        let log = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_filter(kept.and(filter));
        if let Command::Gateway(gateway) = self.command {
            // Where its traces go stands in its configuration.
            return gateway.start(tracing_subscriber::registry().with(log));
        }
        tracing_subscriber::registry().with(log).init();
        match self.command {
            Command::Demo(demo) => runtime()?.block_on(demo.run())?,
            Command::Gateway(_) => unreachable!("it has started above"),
            Command::Edge(edge) => runtime()?.block_on(edge.run())?,
            Command::Host(host) => runtime()?.block_on(host.run())?,
            Command::View(view) => runtime()?.block_on(view.run())?,
            Command::Hosts(hosts) => runtime()?.block_on(hosts.run())?,
            Command::HostKeeper => return Ok(chevet::host::keep()),
            Command::User(user) => runtime()?.block_on(user.run())?,
            Command::Badge(badge) => runtime()?.block_on(badge.run())?,
            Command::Seat(seat) => runtime()?.block_on(seat.run())?,
            Command::Site(site) => site.run()?,
            Command::Source(source) => return runtime()?.block_on(source.run()),
            Command::Report(report) => runtime()?.block_on(report.run())?,
            Command::Load(load) => return runtime()?.block_on(load.run()),
            Command::Audit(audit) => return Ok(audit.run()),
            Command::Recording(recording) => return recording.run(),
            Command::Doctor(doctor) => return doctor.run(),
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl DoctorCommand {
    fn run(self) -> Result<ExitCode, Failure> {
        let mut out = std::io::stdout();
        let colour = out.is_terminal();
        Ok(match chevet::doctor::run(self.json, colour, &mut out)? {
            Verdict::Fail => ExitCode::FAILURE,
            _ => ExitCode::SUCCESS,
        })
    }
}

/// The gateway's configuration and the store that it names, whether the gateway runs or not.
async fn store_of(config: &Path) -> Result<(Config, Store), Failure> {
    let config = Config::read(config)?;
    if let Some(directory) = &config.state_directory {
        make_state_directory(directory)?;
    }
    let url =
        config.store_url().ok_or("the configuration has neither `state_directory` nor [store] `url`")?;
    let store = Store::open(&url).await?;
    Ok((config, store))
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}

/// Resolves at Ctrl-C, or when the system asks the program to end.
pub async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    let mut asked = match signal(SignalKind::terminate()) {
        Ok(signal) => signal,
        Err(_) => return std::future::pending().await,
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = asked.recv() => {}
    }
}
