//! Checks a journal as an auditor does: every line as it was written, each following the one before it.

use super::chain::{self, Entry, Fault, Head, MAX_LINE, SealKey};
use super::files;
use super::time::Time;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

/// Where a chain is broken first.
#[derive(Debug, PartialEq, Eq)]
pub struct Broken {
    pub file: PathBuf,
    /// Counted from 1.
    pub line: u64,
    pub fault: Fault,
}

/// What was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Findings {
    pub files: usize,
    /// Records up to the first break.
    pub records: u64,
    pub first: Option<(u64, Time)>,
    pub last: Option<(u64, Time)>,
    /// The hash of the last record: who noted it elsewhere can tell later whether the end was cut off.
    pub last_hash: String,
    pub broken: Option<Broken>,
    /// Bytes behind the last line's end: being written just now, or left by a crash.
    pub unfinished_bytes: u64,
    /// The noted record was found with its noted hash.
    pub noted: Option<bool>,
}

/// What to check.
pub struct Check<'a> {
    pub key: Option<&'a SealKey>,
    /// A record's number and hash that were noted elsewhere, for instance by the repository.
    pub noted: Option<(u64, &'a str)>,
    /// Whether a journal that does not begin with record 1 is broken.
    pub complete: bool,
}

#[derive(Debug, thiserror::Error)]
#[error("reading the audit journal {path}: {source}")]
pub struct Unreadable {
    pub path: PathBuf,
    pub source: std::io::Error,
}

/// The files of journals and directories, in the order of their records, and their bytes in all.
pub fn files_of(paths: &[PathBuf]) -> Result<(Vec<PathBuf>, u64), Unreadable> {
    let mut found = Vec::new();
    for path in paths {
        let failed = |source| Unreadable { path: path.clone(), source };
        if std::fs::metadata(path).map_err(failed)?.is_dir() {
            let listed = files::list(path).map_err(failed)?;
            found.extend(listed.into_iter().map(|file| file.path));
        } else {
            found.push(path.clone());
        }
    }
    found.sort_by_key(|path| path.file_name().map(ToOwned::to_owned));
    found.dedup();
    let mut bytes = 0;
    for path in &found {
        bytes += std::fs::metadata(path).map_err(|source| Unreadable { path: path.clone(), source })?.len();
    }
    Ok((found, bytes))
}

/// Reads files as one journal. `progress` is told the bytes read since it was told last.
pub fn verify(
    files: &[PathBuf],
    check: &Check<'_>,
    mut progress: impl FnMut(u64),
) -> Result<Findings, Unreadable> {
    let mut findings = Findings { files: files.len(), ..Findings::default() };
    let mut head = None;
    for (index, path) in files.iter().enumerate() {
        let is_last = index + 1 == files.len();
        if let Some((line, fault)) = one(path, is_last, check, &mut head, &mut findings, &mut progress)? {
            findings.broken = Some(Broken { file: path.clone(), line, fault });
            break;
        }
    }
    if check.noted.is_some() {
        findings.noted.get_or_insert(false);
    }
    Ok(findings)
}

fn one(
    path: &Path,
    is_last: bool,
    check: &Check<'_>,
    head: &mut Option<Head>,
    findings: &mut Findings,
    progress: &mut impl FnMut(u64),
) -> Result<Option<(u64, Fault)>, Unreadable> {
    let failed = |source| Unreadable { path: path.to_owned(), source };
    let mut reader = BufReader::with_capacity(MAX_LINE, File::open(path).map_err(failed)?);
    let mut line = Vec::new();
    for number in 1.. {
        let length = files::read_line(&mut reader, &mut line).map_err(failed)?;
        if length == 0 {
            break;
        }
        progress(length as u64);
        let Some(text) = line.strip_suffix(b"\n") else {
            if is_last && length <= MAX_LINE {
                findings.unfinished_bytes = length as u64;
                break;
            }
            return Ok(Some((number, Fault::Form)));
        };
        match take(text, check, head) {
            Ok(entry) => findings.note(&entry, check),
            Err(fault) => return Ok(Some((number, fault))),
        }
    }
    Ok(None)
}

fn take(line: &[u8], check: &Check<'_>, head: &mut Option<Head>) -> Result<Entry, Fault> {
    let entry = chain::read(line, check.key)?;
    match head {
        Some(head) => head.follow(&entry)?,
        None if check.complete || entry.sequence <= 1 => Head::default().follow(&entry)?,
        None => {}
    }
    *head = Some(Head::after(&entry));
    Ok(entry)
}

impl Findings {
    fn note(&mut self, entry: &Entry, check: &Check<'_>) {
        let here = (entry.sequence, entry.record.time);
        self.records += 1;
        self.first.get_or_insert(here);
        self.last = Some(here);
        self.last_hash.clone_from(&entry.hash);
        if let Some((sequence, hash)) = check.noted
            && sequence == entry.sequence
        {
            self.noted = Some(hash == entry.hash);
        }
    }

    /// Whether nothing is wrong.
    pub fn is_whole(&self) -> bool {
        self.broken.is_none() && self.noted != Some(false)
    }
}
