//! The journal's files in their directory: `audit-` and the number of their first record, so that their names sort as
//! their records do.

use super::chain::{self, Entry, MAX_LINE};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// One file of the journal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct JournalFile {
    pub first: u64,
    pub path: PathBuf,
}

pub fn name(first: u64) -> String {
    format!("audit-{first:020}.jsonl")
}

/// The journal's files, the oldest first.
pub fn list(directory: &Path) -> io::Result<Vec<JournalFile>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        let file = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let number = file.strip_prefix("audit-").and_then(|rest| rest.strip_suffix(".jsonl"));
        if let Some(first) = number.and_then(|digits| digits.parse().ok()) {
            files.push(JournalFile { first, path });
        }
    }
    files.sort();
    Ok(files)
}

/// Reads a line, its end included, into `line`; reads on, but keeps no more, where it is longer than any can be.
pub fn read_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<usize> {
    line.clear();
    let mut length = 0;
    loop {
        let part = reader.fill_buf()?;
        if part.is_empty() {
            return Ok(length);
        }
        let end = part.iter().position(|&byte| byte == b'\n').map_or(part.len(), |at| at + 1);
        let room = (MAX_LINE + 2).saturating_sub(line.len());
        line.extend_from_slice(&part[..end.min(room)]);
        let whole = part[end - 1] == b'\n';
        reader.consume(end);
        length += end;
        if whole {
            return Ok(length);
        }
    }
}

/// The last line of a file that is whole in itself, and where it ends. Looked for from the end of the file.
pub fn last_whole_line(file: &mut File) -> io::Result<Option<(Entry, u64)>> {
    const BLOCK: u64 = 2 * MAX_LINE as u64;
    let mut end = file.metadata()?.len();
    let mut block = Vec::new();
    while end > 0 {
        let start = end.saturating_sub(BLOCK);
        file.seek(SeekFrom::Start(start))?;
        block.clear();
        file.by_ref().take(end - start).read_to_end(&mut block)?;
        let mut stop = block.len();
        // Behind each end of a line there may stand the line that ends there.
        while let Some(newline) = block[..stop].iter().rposition(|&byte| byte == b'\n') {
            let begin = block[..newline].iter().rposition(|&byte| byte == b'\n').map(|at| at + 1);
            let begin = match begin {
                Some(begin) => begin,
                None if start == 0 => 0,
                None => break,
            };
            if let Ok(entry) = chain::read(&block[begin..newline], None) {
                return Ok(Some((entry, start + newline as u64 + 1)));
            }
            stop = newline;
        }
        if start == 0 {
            return Ok(None);
        }
        // The next block overlaps this one by a line, which may lie across their border.
        end = start + (MAX_LINE as u64).min(end - start - 1);
    }
    Ok(None)
}

/// Reads a journal's lines one after the other, over its files' borders.
pub struct Follower {
    directory: PathBuf,
    /// The number of the record that is read next.
    next: u64,
    /// The first number of the open file, and the file.
    open: Option<(u64, BufReader<File>)>,
    line: Vec<u8>,
}

/// What a follower finds.
pub enum Found {
    /// An entry, and its length in bytes.
    Entry(Box<Entry>, u64),
    /// The records from the first on, before the second, are no longer there.
    Gap(u64, u64),
    /// Nothing further yet.
    End,
}

impl Follower {
    pub fn new(directory: &Path, next: u64) -> Follower {
        Follower { directory: directory.to_owned(), next, open: None, line: Vec::new() }
    }

    /// The number of the record that is due.
    pub fn due(&self) -> u64 {
        self.next
    }

    /// What comes next. Lines that are not whole in themselves are passed over: they then miss.
    pub fn read(&mut self) -> io::Result<Found> {
        loop {
            let Some((first, reader)) = &mut self.open else {
                let files = list(&self.directory)?;
                let at = files.partition_point(|file| file.first <= self.next).saturating_sub(1);
                let Some(file) = files.get(at) else { return Ok(Found::End) };
                self.open = Some((file.first, BufReader::new(File::open(&file.path)?)));
                continue;
            };
            let length = read_line(reader, &mut self.line)?;
            if length == 0 {
                let newer = list(&self.directory)?.into_iter().find(|file| file.first > *first);
                let Some(file) = newer else { return Ok(Found::End) };
                self.open = Some((file.first, BufReader::new(File::open(&file.path)?)));
                continue;
            }
            let line = self.line.strip_suffix(b"\n").unwrap_or_default();
            let Ok(entry) = chain::read(line, None) else { continue };
            if entry.sequence > self.next {
                let gap = Found::Gap(self.next, entry.sequence);
                (self.next, self.open) = (entry.sequence, None);
                return Ok(gap);
            }
            if entry.sequence == self.next {
                self.next += 1;
                return Ok(Found::Entry(Box::new(entry), length as u64));
            }
        }
    }
}
