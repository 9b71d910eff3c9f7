//! What a host that starts sessions is told: a TOML file, or the command line alone.

use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum HostConfigError {
    #[error("reading the host's configuration {path}: {source}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("the host's configuration {path} is not right:\n{reason}")]
    Parse { path: PathBuf, reason: String },
    #[error("a host needs {0}")]
    Missing(&'static str),
    #[error("the host's name {0:?} is not one: it has 1 to 64 letters, digits, dots, dashes or underlines")]
    Name(String),
}

/// A host that starts sessions on demand.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct HostConfig {
    /// HOST:PORT, one or several that share a database.
    #[serde(deserialize_with = "one_or_several")]
    pub gateway: Vec<String>,
    pub pin: Vec<String>,
    pub name: String,
    /// The applications that it offers, by the gateway's names; what the gateway does not allow it is not given.
    pub offers: Vec<String>,
    /// Where its key is kept.
    pub state_directory: PathBuf,
    /// Where its sessions' folders are; without: made below the machine's own place for such.
    pub runtime_directory: Option<PathBuf>,
    /// Sessions that it runs at most.
    pub capacity: u32,
    /// Users of the gateway and the Unix users that they are here. Others are whoever has the same name.
    pub users: BTreeMap<String, String>,
    /// Unix users below this number are nobody's, unless `users` says so.
    pub least_uid: u32,
    /// What a session of "desktop" runs.
    pub desktop: Vec<String>,
    /// Xtigervnc or Xvfb; without: the first of them that there is.
    pub x_server: Option<String>,
    /// How long sessions may go on once the host is asked to end.
    pub drain_minutes: f64,
}

fn one_or_several<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "an address HOST:PORT, or a list of such")]
    enum Gateways {
        One(String),
        Several(Vec<String>),
    }
    Ok(match Gateways::deserialize(from)? {
        Gateways::One(gateway) => vec![gateway],
        Gateways::Several(gateways) => gateways,
    })
}

impl Default for HostConfig {
    fn default() -> Self {
        HostConfig {
            gateway: Vec::new(),
            pin: Vec::new(),
            name: String::new(),
            offers: Vec::new(),
            state_directory: "/var/lib/chevet-host".into(),
            runtime_directory: None,
            capacity: 64,
            users: BTreeMap::new(),
            least_uid: 1_000,
            desktop: vec!["/etc/X11/Xsession".into()],
            x_server: None,
            drain_minutes: 10.0,
        }
    }
}

impl HostConfig {
    /// Reads a file. What it lacks may come from the command line, so [`HostConfig::check`] follows.
    pub fn read(path: &Path) -> Result<HostConfig, HostConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| HostConfigError::Read { path: path.to_owned(), source })?;
        toml::from_str(&text)
            .map_err(|error| HostConfigError::Parse { path: path.to_owned(), reason: error.to_string() })
    }

    /// Whether this can be run.
    pub fn check(&self) -> Result<(), HostConfigError> {
        let allowed = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_');
        let missing = [
            (self.gateway.is_empty(), "its gateway: --gateway HOST:PORT, or `gateway` in its configuration"),
            (self.name.is_empty(), "a name: --name, or `name` in its configuration"),
            (self.offers.is_empty(), "something to offer: --offers NAME, or `offers` in its configuration"),
            (self.capacity == 0, "a `capacity` of at least 1"),
            (!(0.0..1e6).contains(&self.drain_minutes), "`drain_minutes` of 0 or more"),
        ];
        if let Some((_, what)) = missing.into_iter().find(|(missing, _)| *missing) {
            return Err(HostConfigError::Missing(what));
        }
        if self.name.chars().count() > 64 || !self.name.chars().all(allowed) {
            return Err(HostConfigError::Name(self.name.clone()));
        }
        Ok(())
    }

    pub fn key_file(&self) -> PathBuf {
        self.state_directory.join("host-key")
    }

    /// Where sessions' folders are. Programs of every user come through it, and see nothing of each other.
    pub fn runtime(&self) -> PathBuf {
        match &self.runtime_directory {
            Some(directory) => directory.clone(),
            None if rustix::process::geteuid().is_root() => "/run/chevet-host".into(),
            None => std::env::var_os("XDG_RUNTIME_DIR")
                .map(PathBuf::from)
                .unwrap_or_else(std::env::temp_dir)
                .join("chevet-host"),
        }
    }

    /// Holds the process id of a host that runs.
    pub fn process_file(&self) -> PathBuf {
        self.state_directory.join("host.pid")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_host_lacks_is_named() {
        let config = |text: &str| toml::from_str::<HostConfig>(text).unwrap();
        let wrong = |text: &str| config(text).check().unwrap_err().to_string();
        assert!(wrong("").contains("--gateway"));
        assert!(wrong("gateway='a:1'").contains("--name"));
        assert!(wrong("gateway='a:1'\nname='a'").contains("--offers"));
        assert!(wrong("gateway='a:1'\nname='a/b'\noffers=['x']").contains("letters"));
        assert!(config("gateway='a:1'\nname='a'\noffers=['x']").check().is_ok());
        let several = config("gateway=['a:1', 'b:1']\nname='a'\noffers=['x']");
        assert_eq!((several.check().is_ok(), several.gateway), (true, vec!["a:1".into(), "b:1".into()]));
        assert!(toml::from_str::<HostConfig>("ofers = []").unwrap_err().to_string().contains("ofers"));
    }
}
