//! `chevet source check vnc://...`

use super::Failure;
use super::source::Host;
use chevet::source::check;
use chevet::source::rfb::{Ties, Tls, VncConfig};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Options {
    /// PEM certificates of the authorities that vouch for the host
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Whether the connection must be encrypted
    #[arg(long, value_enum, default_value_t = Encrypted::IfOffered)]
    tls: Encrypted,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Encrypted {
    Required,
    IfOffered,
    Never,
}

pub async fn check(url: &url::Url, asked: &Host, options: &Options) -> Result<ExitCode, Failure> {
    let host = url.host_str().ok_or("the address names no host: write vnc://HOST:5900")?;
    if url.password().is_some() {
        return Err(
            "a password in an address is seen by everybody on this machine: use --password-file".into()
        );
    }
    let config = VncConfig {
        address: format!("{host}:{}", url.port().unwrap_or(5900)),
        user: Some(url.username().to_owned()).filter(|user| !user.is_empty()),
        password_file: asked.password_file.clone(),
        tls: match options.tls {
            Encrypted::Required => Tls::Required,
            Encrypted::IfOffered => Tls::IfOffered,
            Encrypted::Never => Tls::Never,
        },
        ca_file: options.ca_file.clone(),
        fingerprint: asked.fingerprint.clone(),
        ..VncConfig::default()
    };
    if let Some(fault) = config.fault() {
        return Err(fault.into());
    }
    let seen = check::vnc(config, Ties::default(), asked.watch()).await?;
    for (name, value) in &seen.lines {
        println!("{name:<14}{value}");
    }
    match seen.failure {
        None => Ok(ExitCode::SUCCESS),
        Some(reason) => {
            eprintln!("{reason}");
            Ok(ExitCode::FAILURE)
        }
    }
}
