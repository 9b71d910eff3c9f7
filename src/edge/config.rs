//! The edge's configuration: one TOML file.

use super::guard::Allowance;
use crate::link::parse_fingerprint;
use crate::policy::Network;
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// The defaults, as `chevet edge --print-config` prints them.
pub const DEFAULT_CONFIG: &str = include_str!("default.toml");

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error(
        "reading the configuration {path}: {source}; `chevet edge --print-config` prints one to begin with"
    )]
    Read { path: PathBuf, source: std::io::Error },
    #[error("the configuration {path} is not right:\n{reason}")]
    Parse { path: PathBuf, reason: String },
    #[error("`listen` has one address of IPv4, one of IPv6, or one of each, with the same port")]
    Listen,
    #[error("`state_directory` is missing: the edge keeps its key there, by which gateways know it")]
    NoState,
    #[error(
        "`gateways` names none: `chevet gateway --config FILE --identity` prints a gateway's fingerprint"
    )]
    NoGateway,
    #[error("`gateways`: {0:?} is no fingerprint; it has 64 hexadecimal digits")]
    Fingerprint(String),
    #[error(
        "`mtu` is {0}: it must be 1,300 or more, since clients' first packets of 1,200 bytes have to fit"
    )]
    Mtu(u16),
    #[error("[limits] must all be 1 or more")]
    Limits,
}

/// What an edge is told.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    pub listen: Vec<SocketAddr>,
    pub inside: SocketAddr,
    pub state_directory: Option<PathBuf>,
    pub gateways: Vec<String>,
    pub names: Vec<String>,
    pub proxies: Vec<Network>,
    pub mtu: u16,
    pub metrics: Option<SocketAddr>,
    pub limits: Limits,
}

#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    pub connections_of_address: u32,
    pub connections_of_network: u32,
    pub connections: u32,
    pub begun_a_second: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connections_of_address: 64,
            connections_of_network: 1_024,
            connections: 4_096,
            begun_a_second: 20,
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Config {
            listen: vec![([0, 0, 0, 0], 443).into()],
            inside: ([127, 0, 0, 1], 7443).into(),
            state_directory: None,
            gateways: Vec::new(),
            names: Vec::new(),
            proxies: Vec::new(),
            mtu: 1_452,
            metrics: None,
            limits: Limits::default(),
        }
    }
}

impl Config {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Config, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        toml::from_str(&text)
            .map_err(|error| ConfigError::Parse { path: path.to_owned(), reason: error.to_string() })
    }

    /// Whether this can be run; the error says what to change. Gives the gateways' fingerprints.
    pub(super) fn check(&self) -> Result<Vec<[u8; 32]>, ConfigError> {
        let fits = match self.listen[..] {
            [_] => true,
            [one, other] => one.is_ipv4() != other.is_ipv4() && one.port() == other.port(),
            _ => false,
        };
        if !fits {
            return Err(ConfigError::Listen);
        }
        if self.mtu < 1_300 {
            return Err(ConfigError::Mtu(self.mtu));
        }
        let Limits { connections_of_address, connections_of_network, connections, begun_a_second } =
            self.limits;
        if [connections_of_address, connections_of_network, connections, begun_a_second].contains(&0) {
            return Err(ConfigError::Limits);
        }
        if self.gateways.is_empty() {
            return Err(ConfigError::NoGateway);
        }
        let read =
            |text: &String| parse_fingerprint(text).ok_or_else(|| ConfigError::Fingerprint(text.clone()));
        self.gateways.iter().map(read).collect()
    }

    /// Where the edge's own key is kept.
    pub fn key_file(&self) -> Result<PathBuf, ConfigError> {
        self.state_directory
            .as_ref()
            .map(|directory| directory.join("tunnel.pem"))
            .ok_or(ConfigError::NoState)
    }

    pub(super) fn allowance(&self) -> Allowance {
        Allowance {
            of_address: self.limits.connections_of_address,
            of_network: self.limits.connections_of_network,
            of_all: self.limits.connections,
            a_second: self.limits.begun_a_second,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_printed_defaults_are_the_defaults() {
        assert_eq!(toml::from_str::<Config>(DEFAULT_CONFIG).unwrap(), Config::default());
    }

    #[test]
    fn what_cannot_be_run_is_told_before_anything_is_opened() {
        let right = Config { gateways: vec!["0a".repeat(32)], ..Config::default() };
        assert_eq!(right.check().unwrap(), [[10; 32]]);
        let wrong = |change: &dyn Fn(&mut Config)| {
            let mut config = right.clone();
            change(&mut config);
            config.check().unwrap_err().to_string()
        };
        assert!(wrong(&|config| config.gateways.clear()).contains("names none"));
        assert!(wrong(&|config| config.gateways[0].push('0')).contains("64 hexadecimal"));
        assert!(wrong(&|config| config.listen.push("0.0.0.0:443".parse().unwrap())).contains("one of each"));
        assert!(wrong(&|config| config.listen.push("[::]:444".parse().unwrap())).contains("same port"));
        assert!(wrong(&|config| config.mtu = 1_280).contains("1,300"));
        assert!(wrong(&|config| config.limits.connections = 0).contains("1 or more"));
        assert!(right.key_file().unwrap_err().to_string().contains("state_directory"));
    }
}
