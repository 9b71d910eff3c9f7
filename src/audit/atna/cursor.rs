//! The number of the record that the repository is to have next, kept in the journal's directory.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

pub struct Cursor {
    path: PathBuf,
    next: u64,
}

impl Cursor {
    /// Reads it. Where there is none yet, everything in the journal is owed.
    pub fn open(directory: &Path) -> io::Result<Cursor> {
        let path = directory.join("repository.next");
        let next = match std::fs::read_to_string(&path) {
            Ok(text) => text.trim().parse().map_err(|_| {
                let reason =
                    format!("{} holds no number; write the first record to send into it", path.display());
                io::Error::other(reason)
            })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => 1,
            Err(error) => return Err(error),
        };
        Ok(Cursor { path, next })
    }

    pub fn next(&self) -> u64 {
        self.next
    }

    /// Remembers that everything before this record has arrived.
    pub fn advance(&mut self, next: u64) -> io::Result<()> {
        let begun = self.path.with_extension("new");
        let mut options = File::options();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&begun)?;
        writeln!(file, "{next}")?;
        file.sync_all()?;
        std::fs::rename(&begun, &self.path)?;
        self.next = next;
        Ok(())
    }
}
