use super::{Failure, source_vnc};
use clap::Subcommand;
use std::path::PathBuf;
use std::process::ExitCode;

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
/// The password comes from --password-file, never from the command line. Exits with an error if no picture came.
///
/// Example:
///   chevet source check vnc://pc7.example:5900 --ca-file /etc/chevet/ward-ca.pem
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
struct Check {
    /// vnc://[USER@]HOST[:PORT]
    url: url::Url,
    /// The file with the password
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// The SHA-256 of the certificate that the host must show
    #[arg(long, value_name = "HEX")]
    fingerprint: Option<String>,
    #[command(flatten)]
    vnc: source_vnc::Options,
}

impl Source {
    pub async fn run(self) -> Result<ExitCode, Failure> {
        let Command::Check(check) = self.command;
        match check.url.scheme() {
            "vnc" => source_vnc::check(&check.url, check.password_file, check.fingerprint, &check.vnc).await,
            other => {
                Err(format!("{other:?} is no protocol that this chevet knows; try vnc://HOST:5900").into())
            }
        }
    }
}
