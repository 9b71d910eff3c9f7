//! The state directory: what a gateway remembers over its restarts, readable by its owner alone.

use super::config::Config;
use crate::link::Certificate;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// A self-signed certificate is replaced this often, long before it ends.
pub const RENEW: Duration = Duration::from_secs(4 * 24 * 3_600);

#[derive(Debug, thiserror::Error)]
#[error(
    "keeping {path} in the state directory: {source}; give one that this user may write to, or take \
     `state_directory` out of the configuration"
)]
pub struct KeepError {
    path: PathBuf,
    source: std::io::Error,
}

/// The certificate of a configuration: its files, or one that was kept, or a new one.
pub fn certificate(config: &Config) -> Result<Certificate, super::GatewayError> {
    if let (Some(chain), Some(key)) = (&config.tls.certificate, &config.tls.key) {
        return Ok(Certificate::from_files(chain, key)?);
    }
    let addresses = config.listen.iter().map(|address| address.ip().to_string());
    let names: Vec<String> = config.names.iter().cloned().chain(addresses).collect();
    let Some(directory) = &config.state_directory else {
        return Ok(Certificate::self_signed(&names)?.0);
    };
    // Viewers and hosts know a gateway by the hash of its certificate: after a restart, they must know it again.
    let path = directory.join("certificate.pem");
    // PEM's readers pass over what stands before its first line.
    let heading = format!("names: {}\n", names.join(" "));
    match kept_certificate(&path, &heading) {
        Some(certificate) => Ok(certificate),
        None => Ok(new_certificate(directory, &path, &names, &heading)?),
    }
}

/// The kept certificate, if it is young and for the same names.
fn kept_certificate(path: &Path, heading: &str) -> Option<Certificate> {
    let made = std::fs::metadata(path).ok()?.modified().ok()?;
    // Made later than now: the clock was set back. Hosts know the certificate, and another one would lock them out.
    let age = SystemTime::now().duration_since(made).unwrap_or_default();
    let text = std::fs::read_to_string(path).ok()?;
    let body = text.strip_prefix(heading).filter(|_| age < RENEW)?;
    Certificate::from_self_signed(body)
}

fn new_certificate(
    directory: &Path,
    path: &Path,
    names: &[String],
    heading: &str,
) -> Result<Certificate, super::GatewayError> {
    let (certificate, text) = Certificate::self_signed(names)?;
    let begun = path.with_extension("new");
    let keep = || -> std::io::Result<()> {
        std::fs::create_dir_all(directory)?;
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&begun)?;
        file.write_all(heading.as_bytes())?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        // A gateway that dies on the way leaves the old one whole.
        std::fs::rename(&begun, path)
    };
    keep().map_err(|source| KeepError { path: path.to_owned(), source })?;
    Ok(certificate)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_certificate_is_kept_for_its_owner_alone_until_it_is_old_or_has_other_names() {
        let directory = std::env::temp_dir().join(format!("chevet-keep-{}", std::process::id()));
        let mut config = Config { state_directory: Some(directory.clone()), ..Config::default() };
        let hash = |config: &Config| certificate(config).unwrap().fingerprint();
        let first = hash(&config);
        assert_eq!(hash(&config), first);
        let path = directory.join("certificate.pem");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let set_made =
            |made| std::fs::File::options().write(true).open(&path).unwrap().set_modified(made).unwrap();
        set_made(SystemTime::now() + RENEW);
        assert_eq!(hash(&config), first, "the clock was set back");
        set_made(SystemTime::now() - RENEW);
        let second = hash(&config);
        assert_ne!(second, first);
        config.names = vec!["gateway.example".into()];
        let third = hash(&config);
        assert_ne!(third, second);
        std::fs::write(&path, "not a certificate").unwrap();
        assert_ne!(hash(&config), third);
        std::fs::remove_dir_all(directory).unwrap();
    }
}
