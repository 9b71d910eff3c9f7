//! The certificates that hosts without chevet showed first, so that another one is noticed.

use crate::link::{fingerprint_text, parse_fingerprint};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Hosts that are remembered.
const MOST_KNOWN: usize = 65_536;

/// The certificates that hosts showed first: a file of lines `host:port fingerprint`, or nothing but memory.
#[derive(Debug)]
pub struct KnownHosts {
    path: Option<PathBuf>,
    lines: Mutex<()>,
    remembered: Mutex<Vec<(String, [u8; 32])>>,
}

/// What is known of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// It was seen for the first time, and is remembered from now on.
    New,
    Same,
    /// It had this one before.
    Other([u8; 32]),
}

impl KnownHosts {
    /// Without a path nothing is remembered over a restart.
    pub fn new(path: Option<PathBuf>) -> Self {
        KnownHosts { path, lines: Mutex::new(()), remembered: Mutex::default() }
    }

    fn alone(&self) -> MutexGuard<'_, ()> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Compares a host's certificate with what is remembered; a new host is remembered.
    pub fn meet(&self, host: &str, fingerprint: &[u8; 32]) -> std::io::Result<Known> {
        let _alone = self.alone();
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(path) = &self.path {
            *remembered = read(path)?;
        }
        if let Some((_, known)) = remembered.iter().find(|(name, _)| name == host) {
            return Ok(if known == fingerprint { Known::Same } else { Known::Other(*known) });
        }
        if remembered.len() >= MOST_KNOWN {
            return Err(std::io::Error::other("too many hosts are remembered"));
        }
        if let Some(path) = &self.path {
            append(path, host, fingerprint)?;
        }
        remembered.push((host.to_owned(), *fingerprint));
        Ok(Known::New)
    }
}

fn read(path: &Path) -> std::io::Result<Vec<(String, [u8; 32])>> {
    let text = match std::fs::read_to_string(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        text => text?,
    };
    let line = |line: &str| {
        let (host, fingerprint) = line.split_once(' ')?;
        Some((host.to_owned(), parse_fingerprint(fingerprint.trim())?))
    };
    Ok(text.lines().filter_map(line).collect())
}

fn append(path: &Path, host: &str, fingerprint: &[u8; 32]) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    file.write_all(format!("{host} {}\n", fingerprint_text(fingerprint)).as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_certificate_is_kept_and_another_one_refused_even_after_a_restart() {
        let directory = std::env::temp_dir().join(format!("chevet-known-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let path = directory.join("known_rdp_hosts");
        let _ = std::fs::remove_file(&path);
        let known = KnownHosts::new(Some(path.clone()));
        assert_eq!(known.meet("a:3389", &[1; 32]).unwrap(), Known::New);
        assert_eq!(known.meet("a:3389", &[1; 32]).unwrap(), Known::Same);
        assert_eq!(known.meet("b:3389", &[2; 32]).unwrap(), Known::New);
        let again = KnownHosts::new(Some(path.clone()));
        assert_eq!(again.meet("a:3389", &[2; 32]).unwrap(), Known::Other([1; 32]));
        assert_eq!(again.meet("b:3389", &[2; 32]).unwrap(), Known::Same);
        // Taking its line out is how an operator believes a host anew.
        std::fs::write(&path, "").unwrap();
        assert_eq!(again.meet("a:3389", &[2; 32]).unwrap(), Known::New);
        std::fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn without_a_file_hosts_are_remembered_until_the_end() {
        let known = KnownHosts::new(None);
        assert_eq!(known.meet("a:1", &[1; 32]).unwrap(), Known::New);
        assert_eq!(known.meet("a:1", &[2; 32]).unwrap(), Known::Other([1; 32]));
    }
}
