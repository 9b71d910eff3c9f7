//! The directory in which recordings are kept: their names, how much room there is, how long each stays.

use super::label::Label;
use crate::clock;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const SEALED: &str = "age";
const LABEL: &str = "json";
/// What the recordings take is counted anew as often as this.
const COUNT_EVERY: Duration = Duration::from_secs(5);
/// A label is no longer than this, in bytes.
const MAX_LABEL: u64 = 64 << 10;

#[derive(Debug, thiserror::Error)]
pub enum ShelfError {
    #[error(
        "keeping recordings in {path}: {source}; give [recording] a `directory` that the gateway may write to"
    )]
    Directory { path: PathBuf, source: io::Error },
    #[error("the system gives no random numbers: {0}")]
    Random(getrandom::Error),
}

/// Why nothing more may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    #[error("the recordings take {used} bytes, and may take {most}")]
    Most { used: u64, most: u64 },
    #[error("the disk has {free} bytes left, and {least} must stay free")]
    Disk { free: u64, least: u64 },
    #[error("the room that there is cannot be found out")]
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub most_bytes: u64,
    pub least_free_bytes: u64,
    pub keep_ms: i64,
}

/// A recording that is there.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct Kept {
    pub name: String,
    pub bytes: u64,
    #[serde(flatten)]
    pub label: Label,
}

/// A recording that was removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removed {
    pub name: String,
    pub label: Label,
}

pub struct Shelf {
    directory: PathBuf,
    limits: Limits,
    counted: Mutex<Option<(Instant, u64)>>,
}

impl Shelf {
    /// Makes the directory, for its owner alone, if it is not there.
    pub fn open(directory: &Path, limits: Limits) -> Result<Shelf, ShelfError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
        made.map_err(|source| ShelfError::Directory { path: directory.to_owned(), source })?;
        Ok(Shelf { directory: directory.to_owned(), limits, counted: Mutex::default() })
    }

    /// Begins a recording: a name that says when and nothing else, and its file, for its owner alone.
    pub fn begin(&self, label: &Label) -> Result<(String, File), ShelfError> {
        let mut random = [0; 6];
        getrandom::fill(&mut random).map_err(ShelfError::Random)?;
        let digits: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let name = format!("{}-{digits}", stamp(label.began_at));
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(self.sealed(&name));
        let file = file.map_err(|source| ShelfError::Directory { path: self.directory.clone(), source })?;
        self.keep_label(&name, label)?;
        Ok((name, file))
    }

    /// The sealed file of a recording that may be there.
    pub fn sealed(&self, name: &str) -> PathBuf {
        self.directory.join(name).with_extension(SEALED)
    }

    /// Writes a recording's label anew: all of it or nothing.
    pub fn keep_label(&self, name: &str, label: &Label) -> Result<(), ShelfError> {
        let failed = |source| ShelfError::Directory { path: self.directory.clone(), source };
        let (path, draft) = (self.label(name), self.directory.join(format!("{name}.draft")));
        let text = serde_json::to_vec(label).map_err(|error| failed(error.into()))?;
        let written = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft);
        let written = written.and_then(|mut file| file.write_all(&text).and_then(|()| file.sync_data()));
        written.and_then(|()| std::fs::rename(&draft, &path)).map_err(failed)
    }

    fn label(&self, name: &str) -> PathBuf {
        self.directory.join(name).with_extension(LABEL)
    }

    fn read_label(&self, name: &str) -> Label {
        let path = self.label(name);
        let small = std::fs::metadata(&path).is_ok_and(|about| about.len() <= MAX_LABEL);
        let text = if small { std::fs::read(&path).unwrap_or_default() } else { Vec::new() };
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// Every recording, the newest first.
    pub fn list(&self) -> Vec<Kept> {
        let mut kept: Vec<Kept> = self.sizes(SEALED).map(|(name, bytes)| self.kept(name, bytes)).collect();
        kept.sort_by(|a, b| b.name.cmp(&a.name));
        kept
    }

    /// One recording, if it is there.
    pub fn find(&self, name: &str) -> Option<Kept> {
        let about = is_name(name).then(|| std::fs::metadata(self.sealed(name)).ok())??;
        Some(self.kept(name.to_owned(), about.len()))
    }

    fn kept(&self, name: String, bytes: u64) -> Kept {
        Kept { label: self.read_label(&name), name, bytes }
    }

    /// Names and sizes of the files of a kind.
    fn sizes(&self, kind: &'static str) -> impl Iterator<Item = (String, u64)> {
        let entries = std::fs::read_dir(&self.directory).into_iter().flatten().flatten();
        entries.filter_map(move |entry| {
            let name = entry.file_name().into_string().ok()?;
            let name = name.strip_suffix(kind)?.strip_suffix('.').filter(|name| is_name(name))?.to_owned();
            Some((name, entry.metadata().ok()?.len()))
        })
    }

    /// Whether more may be written.
    pub fn room(&self) -> Result<(), Full> {
        let Limits { most_bytes, least_free_bytes, .. } = self.limits;
        let used = self.used();
        if used > most_bytes {
            return Err(Full::Most { used, most: most_bytes });
        }
        let disk = rustix::fs::statvfs(&self.directory).map_err(|_| Full::Unknown)?;
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        if free < least_free_bytes {
            return Err(Full::Disk { free, least: least_free_bytes });
        }
        Ok(())
    }

    fn used(&self) -> u64 {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        match *counted {
            Some((at, used)) if at.elapsed() < COUNT_EVERY => used,
            _ => {
                let used = self.sizes(SEALED).map(|(_, bytes)| bytes).sum();
                *counted = Some((Instant::now(), used));
                used
            }
        }
    }

    /// Recordings that ended longer ago than they are kept. One that was not ended goes by when it was last written.
    pub fn overdue(&self, now_ms: i64) -> Vec<Kept> {
        let ended = |kept: &Kept| kept.label.ended_at.unwrap_or_else(|| written_at(&self.sealed(&kept.name)));
        let mut all = self.list();
        all.retain(|kept| ended(kept).saturating_add(self.limits.keep_ms) < now_ms);
        all
    }

    /// Removes a recording. Its label stays, and says so, until [`Shelf::forget`].
    pub fn remove(&self, name: &str, reason: &str) -> Result<(), ShelfError> {
        let mut label = self.read_label(name);
        (label.removed_at, label.reason) = (Some(clock::unix_ms()), reason.to_owned());
        self.keep_label(name, &label)?;
        let removed = std::fs::remove_file(self.sealed(name));
        removed.map_err(|source| ShelfError::Directory { path: self.directory.clone(), source })
    }

    /// What was removed and not yet audited, by whichever process.
    pub fn removed(&self) -> Vec<Removed> {
        let gone = |name: &String| !self.sealed(name).exists();
        let labels = self.sizes(LABEL).map(|(name, _)| name).filter(gone);
        labels.map(|name| Removed { label: self.read_label(&name), name }).collect()
    }

    /// It is audited that a recording was removed.
    pub fn forget(&self, name: &str) {
        let _ = std::fs::remove_file(self.label(name));
    }
}

fn written_at(path: &Path) -> i64 {
    let modified = std::fs::metadata(path).and_then(|about| about.modified()).ok();
    let since = modified.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
    since.map_or(i64::MAX, |since| since.as_millis() as i64)
}

/// Whether a recording may be called so: nothing that leads out of the directory may.
pub fn is_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-';
    (1..=64).contains(&name.len()) && name.chars().all(allowed)
}

/// A time in UTC, as names have it: 20260131T080500Z.
fn stamp(unix_ms: i64) -> String {
    let text = crate::audit::Time::from_micros(unix_ms.saturating_mul(1_000)).to_string();
    let seconds = text.split('.').next().unwrap_or_default();
    let digits: String = seconds.chars().filter(|c| c.is_ascii_digit() || *c == 'T').collect();
    format!("{digits}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_when_and_lead_nowhere_else() {
        assert_eq!(stamp(1_769_846_700_123), "20260131T080500Z");
        assert!(is_name("20260131T080500Z-00ff00ff00ff"));
        for wrong in ["", "..", "a/b", "a.age", "é", &"a".repeat(65)] {
            assert!(!is_name(wrong), "{wrong:?}");
        }
    }
}
