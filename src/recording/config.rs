//! `[recording]` in the gateway's configuration.

use super::seal::{SealError, recipients_of};
use super::shelf::Limits;
use serde::Deserialize;
use std::path::PathBuf;

/// What happens when there is no room for what is to be recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WhenFull {
    /// Who is to be recorded is not let in, and whose recording fails loses the session's view.
    #[default]
    Refuse,
    /// People go on without being recorded; they are told, and it is audited.
    Stop,
}

/// What is recorded of the input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RecordedInput {
    #[default]
    None,
    /// Where the pointer is; never a key.
    Pointer,
}

#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub directory: PathBuf,
    pub recipients: Vec<String>,
    /// Sessions that are recorded whoever opens them; a * at the end stands for any further letters.
    #[serde(default)]
    pub sessions: Vec<String>,
    #[serde(default = "keep_days")]
    pub keep_days: u32,
    #[serde(default = "most_gib")]
    pub most_gib: f64,
    #[serde(default = "least_free_gib")]
    pub least_free_gib: f64,
    #[serde(default)]
    pub when_full: WhenFull,
    #[serde(default)]
    pub input: RecordedInput,
    #[serde(default = "lose_at_most_seconds")]
    pub lose_at_most_seconds: u32,
}

fn keep_days() -> u32 {
    90
}

fn most_gib() -> f64 {
    100.0
}

fn least_free_gib() -> f64 {
    5.0
}

fn lose_at_most_seconds() -> u32 {
    60
}

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error(
        "[recording] needs `recipients`: public age keys (age1...), for who may watch; `age-keygen` makes a pair"
    )]
    NoRecipient,
    #[error("[recording] recipients: {0}")]
    Recipient(#[from] SealError),
    #[error("[recording] `most_gib` and `least_free_gib` are numbers of GiB that are not negative")]
    Size,
    #[error("[recording] `keep_days` and `lose_at_most_seconds` must be at least 1")]
    Time,
}

impl Config {
    /// Whether this can be run; the error says what to change.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.recipients.is_empty() {
            return Err(ConfigError::NoRecipient);
        }
        recipients_of(&self.recipients)?;
        let sane = |gib: f64| gib.is_finite() && (0.0..1e9).contains(&gib);
        if !sane(self.most_gib) || !sane(self.least_free_gib) {
            return Err(ConfigError::Size);
        }
        if self.keep_days == 0 || self.lose_at_most_seconds == 0 {
            return Err(ConfigError::Time);
        }
        Ok(())
    }

    pub fn limits(&self) -> Limits {
        let bytes = |gib: f64| (gib * (1u64 << 30) as f64) as u64;
        Limits {
            most_bytes: bytes(self.most_gib),
            least_free_bytes: bytes(self.least_free_gib),
            keep_ms: i64::from(self.keep_days) * 86_400_000,
        }
    }

    /// Whether this session is recorded whoever opens it.
    pub fn records(&self, session: &str) -> bool {
        self.sessions.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(beginning) => session.starts_with(beginning),
            None => session == pattern,
        })
    }
}
