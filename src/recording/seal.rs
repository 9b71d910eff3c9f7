//! Encryption at rest: a recording is an age file for X25519 recipients, in chunks of 64 KiB that are sealed one by one.

use age::stream::{StreamReader, StreamWriter};
use age::x25519::Recipient;
use age::{DecryptError, Decryptor, Encryptor, Identity, IdentityFile};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Plain bytes that are sealed together.
pub const CHUNK: u64 = 64 << 10;
/// What sealing adds to a chunk.
const TAG: u64 = 16;

#[derive(Debug, thiserror::Error)]
pub enum SealError {
    #[error("{0:?} is no public age key; one looks like age1... and is made by `age-keygen`")]
    Recipient(String),
    #[error("reading the identity {path}: {source}")]
    Identity { path: PathBuf, source: io::Error },
    #[error("{0} holds no identity; it is the file that `age-keygen` wrote, with a line AGE-SECRET-KEY-1...")]
    NoIdentity(PathBuf),
    #[error("opening {path}: {source}")]
    Open { path: PathBuf, source: io::Error },
    #[error("{path} cannot be opened with this identity: it is not one of those that it was made for")]
    NotYours { path: PathBuf },
    #[error("{path} is no recording, or its beginning is damaged: {reason}")]
    NotSealed { path: PathBuf, reason: String },
}

/// Public keys as they stand in a configuration.
pub fn recipients_of(texts: &[String]) -> Result<Vec<Recipient>, SealError> {
    texts.iter().map(|text| text.trim().parse().map_err(|_| SealError::Recipient(text.clone()))).collect()
}

/// Begins a sealed file.
pub fn seal(file: File, recipients: &[Recipient]) -> io::Result<StreamWriter<File>> {
    let each = recipients.iter().map(|recipient| recipient as &dyn age::Recipient);
    let encryptor = Encryptor::with_recipients(each).map_err(io::Error::other)?;
    encryptor.wrap_output(file)
}

/// Who may open recordings.
#[derive(Clone)]
pub struct Keys(Arc<Vec<Box<dyn Identity + Send + Sync>>>);

impl Keys {
    /// Reads a file of `age-keygen`.
    pub fn read(path: &Path) -> Result<Keys, SealError> {
        let failed = |source| SealError::Identity { path: path.to_owned(), source };
        let text = std::fs::read(path).map_err(failed)?;
        let none = || SealError::NoIdentity(path.to_owned());
        let file = IdentityFile::from_buffer(text.as_slice()).map_err(|_| none())?;
        let keys = file.into_identities().map_err(|_| none())?;
        if keys.is_empty() { Err(none()) } else { Ok(Keys(Arc::new(keys))) }
    }

    /// Opens a sealed file.
    pub fn open(&self, path: &Path) -> Result<Opened, SealError> {
        let (reader, payload) = self.reader(path)?;
        let chunks = payload.div_ceil(CHUNK + TAG);
        let size = payload.saturating_sub(chunks * TAG);
        Ok(Opened { keys: self.clone(), path: path.to_owned(), reader, at: Some(0), size })
    }

    /// A reader of the plain bytes, and how many sealed ones there are.
    fn reader(&self, path: &Path) -> Result<(StreamReader<File>, u64), SealError> {
        let failed = |source| SealError::Open { path: path.to_owned(), source };
        let refused = |error: DecryptError| match error {
            DecryptError::NoMatchingKeys => SealError::NotYours { path: path.to_owned() },
            other => SealError::NotSealed { path: path.to_owned(), reason: other.to_string() },
        };
        let file = File::open(path).map_err(failed)?;
        let mut twin = file.try_clone().map_err(failed)?;
        let decryptor = Decryptor::new(file).map_err(refused)?;
        let reader =
            decryptor.decrypt(self.0.iter().map(|key| key.as_ref() as &dyn Identity)).map_err(refused)?;
        let payload_at = twin.stream_position().map_err(failed)?;
        let length = twin.metadata().map_err(failed)?.len();
        Ok((reader, length.saturating_sub(payload_at)))
    }
}

/// A sealed file's plain bytes. Unlike age's own reader it goes on to be read and sought in where the file is damaged or cut.
pub struct Opened {
    keys: Keys,
    path: PathBuf,
    reader: StreamReader<File>,
    /// `None` after an error: nothing can be said of the reader then.
    at: Option<u64>,
    size: u64,
}

impl Read for Opened {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let Some(at) = self.at else { return Err(io::Error::other("it was not sought in after an error")) };
        match self.reader.read(into) {
            Ok(read) => {
                self.at = Some(at + read as u64);
                Ok(read)
            }
            Err(error) => {
                self.at = None;
                Err(error)
            }
        }
    }
}

impl Seek for Opened {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let wanted = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::End(offset) => self.size.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.at.and_then(|at| at.checked_add_signed(offset)),
        };
        let wanted = wanted.ok_or(io::ErrorKind::InvalidInput)?;
        if self.at == Some(wanted) {
            return Ok(wanted);
        }
        self.at = None;
        (self.reader, _) = self.keys.reader(&self.path).map_err(io::Error::other)?;
        // Where a chunk begins, age's reader would ask for the end of the file, which may be cut.
        let before = u64::from(wanted > 0 && wanted % CHUNK == 0);
        self.reader.seek(SeekFrom::Start(wanted - before))?;
        self.reader.read_exact(&mut [0][..before as usize])?;
        self.at = Some(wanted);
        Ok(wanted)
    }
}
