use super::Failure;
use clap::Subcommand;
use std::process::ExitCode;

/// Look at hosts that the gateway reaches by their own protocols
#[derive(clap::Args)]
pub struct Source {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Check(Check),
}

/// Connect to a host as the gateway would, and say what was negotiated and what is missing
///
/// The password comes from --password-file, from CHEVET_PASSWORD, or is asked for; never from the command line. Nothing
/// secret is sent before the host's certificate is known: give its fingerprint, or be asked on a terminal.
/// Exits with an error if no picture came.
///
/// Example:
///   chevet source check rdp://nurse@ts1.example --fingerprint 5e...
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
struct Check {
    /// rdp://[DOMAIN;]USER@HOST[:PORT]
    url: url::Url,
    #[cfg(feature = "rdp")]
    #[command(flatten)]
    rdp: super::source_rdp::Options,
}

impl Source {
    pub async fn run(self) -> Result<ExitCode, Failure> {
        let Command::Check(check) = self.command;
        match check.url.scheme() {
            #[cfg(feature = "rdp")]
            "rdp" => super::source_rdp::check(&check.url, &check.rdp).await,
            other => {
                Err(format!("{other:?} is no protocol that this chevet knows; try rdp://USER@HOST").into())
            }
        }
    }
}
