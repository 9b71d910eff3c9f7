//! The HTTP proxy that a command goes through.

use super::Failure;
use chevet::link::Proxy;
use std::path::PathBuf;
use std::sync::Arc;

#[derive(clap::Args)]
pub struct Through {
    /// Go through this HTTP proxy, by CONNECT, where QUIC does not get through; without it HTTPS_PROXY or ALL_PROXY. Not for
    /// gateways in NO_PROXY
    #[arg(long, value_name = "http://[USER@]HOST:PORT", help_heading = "Proxy")]
    proxy: Option<String>,
    /// Read the password for the proxy from the first line of this file
    #[arg(long, value_name = "FILE", help_heading = "Proxy")]
    proxy_password_file: Option<PathBuf>,
}

impl Through {
    pub fn is_asked_for(&self) -> bool {
        self.proxy.is_some()
    }

    /// The proxy that is asked for, or the environment's.
    pub fn proxy(&self) -> Result<Option<Arc<Proxy>>, Failure> {
        let password = self.proxy_password_file.as_deref().map(|path| {
            let text = std::fs::read_to_string(path);
            let text =
                text.map_err(|error| format!("reading the proxy's password {}: {error}", path.display()))?;
            Ok::<_, String>(zeroize::Zeroizing::new(text.lines().next().unwrap_or_default().to_owned()))
        });
        let password = password.transpose()?;
        let password = password.as_ref().map(|password| password.as_str());
        Ok(Proxy::wanted(self.proxy.as_deref(), password, |name| std::env::var(name).ok())?)
    }
}
