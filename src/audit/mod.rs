//! What happened, as records that an auditor's tools read: who was let in or refused, where, to what, and what was changed. Each
//! record goes to the journal on this machine, a chain of hashes, and from there to a repository if one is configured.
//! It never holds anybody up, and never loses a record without saying so. It never sees a secret, a pixel or a key.

pub mod atna;
mod chain;
mod config;
mod files;
mod journal;
mod record;
mod refusals;
#[cfg(test)]
mod tests;
mod time;
mod verify;

pub use chain::{Entry, Fault, Head, SealKey, read};
pub use config::{Config, ConfigError, WhenFull};
pub use files::{JournalFile, list, read_line};
pub use journal::{Journal, JournalError, NotKept};
pub use record::{Event, Outcome, Record, Text};
pub use time::{NoTime, Time};
pub use verify::{Broken, Check, Findings, Unreadable, files_of, verify};

use atna::{Cursor, Repository, Sender, Target, TlsFiles};
use refusals::Refusals;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A grant waits this long for its record to be on disk.
const PATIENCE: Duration = Duration::from_secs(5);
/// A repository's receipt is asked for after so much silence.
const RECEIPT_AFTER: Duration = Duration::from_secs(5);

#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Tls(#[from] atna::TlsFilesError),
    #[error("[audit] reading what is owed to the repository from {path}: {source}")]
    Owed { path: PathBuf, source: io::Error },
}

/// A gateway's audit trail. Handles are shared.
pub struct Audit {
    /// Declared before the journal, so that it stops before it.
    repository: Option<Repository>,
    journal: Option<Arc<Journal>>,
    owed_at_start: u64,
    spool_bytes: u64,
    when_full: WhenFull,
    refusals: Mutex<Refusals>,
    /// The log has said that the spool is full.
    full_said: AtomicBool,
}

impl Audit {
    /// Opens the trail of a configuration. `state` is the gateway's state directory, and `secret` what it keeps there.
    pub fn open(
        config: &Config,
        state: Option<&Path>,
        secret: &aws_lc_rs::hmac::Key,
    ) -> Result<Audit, AuditError> {
        Audit::open_with(config, state, secret, RECEIPT_AFTER)
    }

    /// The same, with a time after which receipts are asked for.
    pub fn open_with(
        config: &Config,
        state: Option<&Path>,
        secret: &aws_lc_rs::hmac::Key,
        receipt_after: Duration,
    ) -> Result<Audit, AuditError> {
        config.check(state.is_some())?;
        let mut audit = Audit {
            repository: None,
            journal: None,
            owed_at_start: 0,
            spool_bytes: config.spool_megabytes << 20,
            when_full: config.when_spool_full,
            refusals: Mutex::default(),
            full_said: AtomicBool::new(false),
        };
        let in_state = state.map(|state| state.join("audit"));
        let Some(directory) = config.directory.clone().or(in_state) else {
            tracing::info!(
                "no audit journal is kept: give [audit] a `directory`, or the gateway a `state_directory`"
            );
            return Ok(audit);
        };
        // Without a state directory the secret is forgotten, and nobody could check a seal made with it.
        let key = state.map(|_| SealKey::derive(secret));
        let Some(address) = &config.repository else {
            audit.journal = Some(Arc::new(Journal::open(&directory, config.file_megabytes << 20, key)?));
            return Ok(audit);
        };
        let tls = TlsFiles { ca: config.ca.clone(), own: config.certificate.clone().zip(config.key.clone()) };
        let tls = tls.client()?;
        let failed = |source| AuditError::Owed { path: directory.clone(), source };
        let journal = Arc::new(Journal::open(&directory, config.file_megabytes << 20, key)?);
        let kept = journal.kept();
        let mut cursor = Cursor::open(&directory).map_err(failed)?;
        let newest = *kept.borrow();
        if cursor.next() > newest + 1 {
            let (next, newest) = (cursor.next(), newest);
            tracing::warn!(
                next,
                newest,
                "the journal is not the one that was sent before; all of it is sent"
            );
            cursor.advance(1).map_err(failed)?;
        }
        audit.owed_at_start =
            owed(&directory, cursor.next(), newest).map_err(failed)?.saturating_sub(journal.written());
        let (host, port) = config::split(address).ok_or_else(|| ConfigError::Repository(address.clone()))?;
        let host_name = host_name();
        let target = Target {
            host: host.to_owned(),
            port,
            tls,
            sender: Sender {
                source: config.source.clone().unwrap_or_else(|| host_name.clone()),
                site: config.site.clone(),
                host_name,
                process: std::process::id(),
            },
            directory: directory.clone(),
            receipt_after,
        };
        let telling = Arc::downgrade(&journal);
        let tell = move |record| {
            if let Some(journal) = telling.upgrade() {
                journal.record(record);
            }
        };
        audit.repository = Some(Repository::start(target, cursor, kept, tell).map_err(failed)?);
        audit.journal = Some(journal);
        Ok(audit)
    }

    /// Takes a record. Never waits.
    pub fn record(&self, record: Record) {
        crate::metrics::recorded(&record.event);
        self.keep(record);
    }

    fn keep(&self, record: Record) {
        match &self.journal {
            Some(journal) => journal.record(record),
            None => log(&record),
        }
    }

    /// Takes a refusal. Many of the same address in a short time are counted rather than written one by one, so that nobody
    /// fills the journal by being refused.
    pub fn refused(&self, record: Record) {
        crate::metrics::recorded(&record.event);
        self.tell(|refusals| refusals.take(record, Instant::now()));
    }

    /// Writes down how many refusals were counted whose time is over. To be called every few seconds.
    pub fn tell_counted(&self) {
        self.tell(|refusals| refusals.over(Instant::now()));
    }

    /// Writes down all that were counted: the gateway is stopping.
    pub fn tell_all_counted(&self) {
        self.tell(Refusals::all);
    }

    fn tell(&self, which: impl FnOnce(&mut Refusals) -> Vec<Record>) {
        let records = which(&mut self.refusals.lock().unwrap_or_else(PoisonError::into_inner));
        records.into_iter().for_each(|record| self.keep(record));
    }

    /// Takes the record of a grant, and says whether the grant may be given: under `refuse` only if the trail is being kept
    /// and this record is on disk.
    pub async fn grant(&self, record: Record) -> Result<(), NotKept> {
        crate::metrics::recorded(&record.event);
        let Some(journal) = &self.journal else {
            log(&record);
            return Ok(());
        };
        if self.when_full == WhenFull::GoOn {
            journal.record(record);
            return Ok(());
        }
        if !self.admits() {
            return Err(NotKept);
        }
        tokio::time::timeout(PATIENCE, journal.durable(record)).await.unwrap_or(Err(NotKept))
    }

    /// Takes a record and waits until it is on disk.
    pub async fn durable(&self, record: Record) -> Result<(), NotKept> {
        crate::metrics::recorded(&record.event);
        match &self.journal {
            Some(journal) => journal.durable(record).await,
            None => {
                log(&record);
                Ok(())
            }
        }
    }

    /// Whether new sessions may be let in: always under `go-on`; under `refuse` while the trail is being kept.
    pub fn admits(&self) -> bool {
        self.when_full == WhenFull::GoOn || (self.healthy() && !self.spool_is_full())
    }

    /// Whether the journal keeps every record.
    pub fn healthy(&self) -> bool {
        self.journal.as_ref().is_none_or(|journal| journal.healthy())
    }

    /// Whether more is owed to the repository than the spool may hold.
    pub fn spool_is_full(&self) -> bool {
        self.owed_bytes() > self.spool_bytes
    }

    /// Says in the log when the spool has become full, and when it no longer is. To be called every few seconds.
    pub fn log_spool(&self) {
        let (full, owed) = (self.spool_is_full(), self.owed_bytes());
        match (full, self.full_said.swap(full, Ordering::Relaxed)) {
            (true, false) if self.when_full == WhenFull::Refuse => {
                tracing::error!(
                    owed,
                    "the audit spool is full: nobody is let in until the repository takes records"
                );
            }
            (true, false) => tracing::error!(owed, "the audit spool is full; records stay in the journal"),
            (false, true) => tracing::warn!(owed, "the audit spool has room again"),
            _ => {}
        }
    }

    /// Bytes of the journal that the repository has given no receipt for.
    pub fn owed_bytes(&self) -> u64 {
        let (Some(journal), Some(repository)) = (&self.journal, &self.repository) else { return 0 };
        (self.owed_at_start + journal.written()).saturating_sub(repository.arrived())
    }
}

/// Without a journal the log is all there is.
fn log(record: &Record) {
    let text = serde_json::to_string(record).unwrap_or_default();
    tracing::info!(target: "chevet::audit", "{text}");
}

fn owed(directory: &Path, next: u64, newest: u64) -> io::Result<u64> {
    let mut follower = files::Follower::new(directory, next);
    let mut bytes = 0;
    while follower.due() <= newest {
        match follower.read()? {
            files::Found::Entry(_, length) => bytes += length,
            files::Found::Gap(..) => {}
            files::Found::End => break,
        }
    }
    Ok(bytes)
}

fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
