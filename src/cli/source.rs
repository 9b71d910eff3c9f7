use super::{Failure, source_vnc};
use clap::Subcommand;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Look at hosts that the gateway reaches by their own protocols
#[derive(clap::Args)]
pub struct Source {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Check(Box<Check>),
}

/// Connect to a host as the gateway would, and say what was negotiated and what is missing
///
/// The password comes from --password-file or, for RDP, from CHEVET_PASSWORD or a question; never from the command line.
/// Nothing secret is sent to an RDP host before its certificate is known: give its fingerprint, or be asked on a terminal.
/// Exits with an error if no picture came.
///
/// Examples:
///   chevet source check vnc://pc7.example:5900 --ca-file /etc/chevet/ward-ca.pem
///   chevet source check rdp://nurse@ts1.example --fingerprint 5e...
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
struct Check {
    /// vnc://[USER@]HOST[:PORT] or rdp://[DOMAIN;]USER@HOST[:PORT]
    url: url::Url,
    #[command(flatten)]
    host: Host,
    #[command(flatten)]
    vnc: source_vnc::Options,
    #[cfg(feature = "rdp")]
    #[command(flatten)]
    rdp: super::source_rdp::Options,
}

/// What both protocols ask.
#[derive(clap::Args)]
pub(super) struct Host {
    /// The file with the password
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// The SHA-256 of the certificate that the host must show
    #[arg(long, value_name = "HEX")]
    pub fingerprint: Option<String>,
    /// Seconds to watch what the host sends
    #[arg(long, value_name = "SECONDS", default_value_t = 3)]
    watch: u64,
}

impl Host {
    pub fn watch(&self) -> Duration {
        Duration::from_secs(self.watch)
    }
}

impl Source {
    pub async fn run(self) -> Result<ExitCode, Failure> {
        let Command::Check(check) = self.command;
        match check.url.scheme() {
            "vnc" => source_vnc::check(&check.url, &check.host, &check.vnc).await,
            #[cfg(feature = "rdp")]
            "rdp" => super::source_rdp::check(&check.url, &check.host, &check.rdp).await,
            other => {
                let known = if cfg!(feature = "rdp") {
                    "vnc://HOST:5900 or rdp://USER@HOST"
                } else {
                    "vnc://HOST:5900"
                };
                Err(format!("{other:?} is no protocol that this chevet knows; try {known}").into())
            }
        }
    }
}
