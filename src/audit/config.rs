//! `[audit]` in the gateway's configuration.

use serde::Deserialize;
use std::path::PathBuf;

/// What a gateway does that cannot keep its audit trail, or owes the repository more than its spool may hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WhenFull {
    /// Lets nobody in any more. Whoever is attached stays, and a grant waits until its record is on disk.
    Refuse,
    /// Lets in, says so in the log, and sends everything as soon as it can.
    #[default]
    GoOn,
}

#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    pub directory: Option<PathBuf>,
    pub file_megabytes: u64,
    pub repository: Option<String>,
    pub ca: Option<PathBuf>,
    pub certificate: Option<PathBuf>,
    pub key: Option<PathBuf>,
    pub source: Option<String>,
    pub site: Option<String>,
    pub spool_megabytes: u64,
    pub when_spool_full: WhenFull,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            directory: None,
            file_megabytes: 64,
            repository: None,
            ca: None,
            certificate: None,
            key: None,
            source: None,
            site: None,
            spool_megabytes: 256,
            when_spool_full: WhenFull::default(),
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("[audit] repository {0:?} is not an address: write HOST:PORT, such as \"arr.example:6514\"")]
    Repository(String),
    #[error(
        "[audit] repository needs a journal to send from: give [audit] a `directory`, or the gateway a `state_directory`"
    )]
    NoJournal,
    #[error("[audit] needs both `certificate` and `key`, or neither")]
    HalfCertificate,
    #[error("[audit] `file_megabytes` and `spool_megabytes` must be at least 1 and at most 1048576")]
    Size,
}

impl Config {
    /// Whether this can be run; the error says what to change.
    pub fn check(&self, has_state: bool) -> Result<(), ConfigError> {
        if let Some(address) = &self.repository {
            split(address).ok_or_else(|| ConfigError::Repository(address.clone()))?;
            if self.directory.is_none() && !has_state {
                return Err(ConfigError::NoJournal);
            }
        }
        if self.certificate.is_some() != self.key.is_some() {
            return Err(ConfigError::HalfCertificate);
        }
        let sane = 1..=1 << 20;
        if !sane.contains(&self.file_megabytes) || !sane.contains(&self.spool_megabytes) {
            return Err(ConfigError::Size);
        }
        Ok(())
    }
}

/// Host and port of an address.
pub(super) fn split(address: &str) -> Option<(&str, u16)> {
    let (host, port) = address.rsplit_once(':')?;
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let host = bare.unwrap_or(host);
    let right = !host.is_empty() && (bare.is_some() || !host.contains(':'));
    Some((host, port.parse().ok().filter(|&port| port > 0)?)).filter(|_| right)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_host_and_a_port() {
        assert_eq!(split("arr.example:6514"), Some(("arr.example", 6514)));
        assert_eq!(split("[::1]:6514"), Some(("::1", 6514)));
        for wrong in ["", "arr", ":6514", "arr:0", "arr:x", "::1:6514"] {
            assert_eq!(split(wrong), None, "{wrong:?}");
        }
    }
}
