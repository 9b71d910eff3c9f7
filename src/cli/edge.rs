use super::{Failure, interrupted, notify};
use chevet::edge::{Config, DEFAULT_CONFIG, Edge as Running};
use chevet::gateway::make_state_directory;
use chevet::link::{Identity, fingerprint_text};
use std::path::PathBuf;

/// Relay clients from outside to gateways inside, unopened
///
/// Stands between the Internet and the inside. Gateways dial it and keep a tunnel; it dials nobody. Clients' TLS and QUIC
/// end at the gateways: the edge holds no key of theirs and stores nothing but its own. What is not TLS for a right
/// name, or QUIC from where somebody has signed in, goes no further.
///
/// Examples:
///   chevet edge --print-config > edge.toml
///   chevet edge --config edge.toml --identity     what gateways' [[edge]] has as `fingerprint`
///   chevet edge --config edge.toml
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Edge {
    /// The configuration: a TOML file such as --print-config prints
    #[arg(long, value_name = "FILE", required_unless_present = "print_config")]
    config: Option<PathBuf>,
    /// Print the defaults, with comments, and exit
    #[arg(long)]
    print_config: bool,
    /// Print the fingerprint by which gateways know this edge, and exit
    #[arg(long)]
    identity: bool,
}

impl Edge {
    pub async fn run(self) -> Result<(), Failure> {
        let Some(path) = self.config.filter(|_| !self.print_config) else {
            print!("{DEFAULT_CONFIG}");
            return Ok(());
        };
        let config = Config::read(&path)?;
        let key = config.key_file()?;
        if let Some(directory) = &config.state_directory {
            make_state_directory(directory)?;
        }
        if self.identity {
            println!("{}", fingerprint_text(&Identity::kept(&key)?.fingerprint()));
            return Ok(());
        }
        let edge = Running::start(&config).await?;
        for address in edge.addresses() {
            tracing::info!(%address, "clients come to this address, TCP and UDP");
        }
        tracing::info!(address = %edge.inside(), fingerprint = fingerprint_text(&edge.fingerprint()), "gateways come to this one");
        notify::serving();
        interrupted().await;
        tracing::info!("stopping");
        edge.stop().await;
        Ok(())
    }
}
