//! The certificates that hosts without chevet showed first, so that another one is noticed.

use crate::link::{fingerprint_text, parse_fingerprint};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Hosts that are remembered.
const MOST_KNOWN: usize = 65_536;

/// Where several gateways keep the certificates of hosts.
pub trait Keeper: std::fmt::Debug + Send + Sync {
    /// Keeps a certificate, if it is the first one; what is known else. `None`: it cannot be said now.
    fn meet(&self, host: &str, fingerprint: &[u8; 32]) -> Option<Known>;
}

/// The certificates that hosts showed first: a file of lines `host:port fingerprint`, or nothing but memory. With a keeper
/// that one has the say, and the file is what this gateway goes on with while the keeper is away.
#[derive(Debug)]
pub struct KnownHosts {
    keeper: Option<Box<dyn Keeper>>,
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
        KnownHosts { keeper: None, path, lines: Mutex::new(()), remembered: Mutex::default() }
    }

    /// The keeper has the say.
    pub fn kept(keeper: Box<dyn Keeper>, path: Option<PathBuf>) -> Self {
        KnownHosts { keeper: Some(keeper), ..KnownHosts::new(path) }
    }

    /// What an operator can do about a host that was set up anew.
    pub fn remedy(&self, file: &str) -> String {
        match self.keeper {
            Some(_) => "an administrator forgets the old one, on the administration page".into(),
            None => format!("an operator removes its line from {file}"),
        }
    }

    fn alone(&self) -> MutexGuard<'_, ()> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Compares a host's certificate with what is remembered; a new host is remembered.
    pub fn meet(&self, host: &str, fingerprint: &[u8; 32]) -> std::io::Result<Known> {
        let said = match &self.keeper {
            Some(keeper) => match keeper.meet(host, fingerprint) {
                Some(Known::Other(before)) => return Ok(Known::Other(before)),
                Some(said) => {
                    // That it cannot be noted matters only while the keeper is away.
                    if let Err(error) = self.note(host, Some(fingerprint)) {
                        tracing::warn!(%error, host, "a host's certificate could not be noted");
                    }
                    return Ok(said);
                }
                None => None,
            },
            None => Some(()),
        };
        let _alone = self.alone();
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(path) = &self.path {
            *remembered = read(path)?;
        }
        if let Some((_, known)) = remembered.iter().find(|(name, _)| name == host) {
            return Ok(if known == fingerprint { Known::Same } else { Known::Other(*known) });
        }
        if said.is_none() {
            return Err(std::io::Error::other(
                "the gateways' database does not answer, and this gateway has not seen the host before: try again \
                 when it does",
            ));
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

    /// Forgets what this gateway goes on with while the keeper is away.
    pub fn forget(&self, host: &str) -> std::io::Result<()> {
        self.note(host, None)
    }

    fn note(&self, host: &str, fingerprint: Option<&[u8; 32]>) -> std::io::Result<()> {
        let _alone = self.alone();
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(path) = &self.path {
            *remembered = read(path)?;
        }
        let before = remembered.iter().find(|(name, _)| name == host).map(|(_, known)| *known);
        if before.as_ref() == fingerprint {
            return Ok(());
        }
        remembered.retain(|(name, _)| name != host);
        if let Some(fingerprint) = fingerprint
            && remembered.len() < MOST_KNOWN
        {
            remembered.push((host.to_owned(), *fingerprint));
        }
        match &self.path {
            Some(path) => write(path, &remembered),
            None => Ok(()),
        }
    }
}

/// What a file of lines `host:port fingerprint` says; nothing, if there is none.
pub fn read(path: &Path) -> std::io::Result<Vec<(String, [u8; 32])>> {
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

fn write(path: &Path, known: &[(String, [u8; 32])]) -> std::io::Result<()> {
    let text: String =
        known.iter().map(|(host, known)| format!("{host} {}\n", fingerprint_text(known))).collect();
    let beside = path.with_extension("new");
    let mut file =
        std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(beside, path)
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

    /// A keeper that another gateway shares, and that may be away.
    #[derive(Clone, Debug, Default)]
    struct Elsewhere(std::sync::Arc<Mutex<Option<Lines>>>);

    type Lines = Vec<(String, [u8; 32])>;

    impl Keeper for Elsewhere {
        fn meet(&self, host: &str, fingerprint: &[u8; 32]) -> Option<Known> {
            let mut all = self.0.lock().unwrap();
            let all = all.as_mut()?;
            match all.iter().find(|(name, _)| name == host) {
                Some((_, known)) if known == fingerprint => Some(Known::Same),
                Some((_, known)) => Some(Known::Other(*known)),
                None => {
                    all.push((host.to_owned(), *fingerprint));
                    Some(Known::New)
                }
            }
        }
    }

    #[test]
    fn a_keeper_has_the_say_and_without_it_only_hosts_that_were_seen_here_go_on() {
        let elsewhere = Elsewhere(std::sync::Arc::new(Mutex::new(Some(vec![("b:1".to_owned(), [2; 32])]))));
        let known = KnownHosts::kept(Box::new(elsewhere.clone()), None);
        assert_eq!(known.meet("a:1", &[1; 32]).unwrap(), Known::New);
        assert_eq!(known.meet("b:1", &[3; 32]).unwrap(), Known::Other([2; 32]));
        *elsewhere.0.lock().unwrap() = None;
        assert_eq!(known.meet("a:1", &[1; 32]).unwrap(), Known::Same);
        assert_eq!(known.meet("a:1", &[9; 32]).unwrap(), Known::Other([1; 32]));
        let refused = known.meet("b:1", &[2; 32]).unwrap_err().to_string();
        assert!(refused.contains("database does not answer"), "{refused}");
        // Forgotten, and shown anew with another one.
        *elsewhere.0.lock().unwrap() = Some(Vec::new());
        assert_eq!(known.meet("a:1", &[9; 32]).unwrap(), Known::New);
        *elsewhere.0.lock().unwrap() = None;
        assert_eq!(known.meet("a:1", &[9; 32]).unwrap(), Known::Same);
        known.forget("a:1").unwrap();
        assert!(known.meet("a:1", &[9; 32]).is_err());
    }

    #[test]
    fn without_a_file_hosts_are_remembered_until_the_end() {
        let known = KnownHosts::new(None);
        assert_eq!(known.meet("a:1", &[1; 32]).unwrap(), Known::New);
        assert_eq!(known.meet("a:1", &[2; 32]).unwrap(), Known::Other([1; 32]));
    }
}
