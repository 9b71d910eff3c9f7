//! Encryption at rest: a recording is an age file for X25519 recipients, in chunks of 64 KiB that are sealed one by one.

use age::stream::{StreamReader, StreamWriter};
use age::x25519::Recipient;
use age::{DecryptError, Decryptor, Encryptor, Identity, IdentityFile};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// Plain bytes that are sealed together.
pub const CHUNK: u64 = 64 << 10;

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
pub struct Keys(Vec<Box<dyn Identity + Send + Sync>>);

impl Keys {
    /// Reads a file of `age-keygen`.
    pub fn read(path: &Path) -> Result<Keys, SealError> {
        let failed = |source| SealError::Identity { path: path.to_owned(), source };
        let text = std::fs::read(path).map_err(failed)?;
        let none = || SealError::NoIdentity(path.to_owned());
        let file = IdentityFile::from_buffer(text.as_slice()).map_err(|_| none())?;
        let keys = file.into_identities().map_err(|_| none())?;
        if keys.is_empty() { Err(none()) } else { Ok(Keys(keys)) }
    }

    /// Opens a sealed file.
    pub fn open(&self, path: &Path) -> Result<StreamReader<File>, SealError> {
        let failed = |source| SealError::Open { path: path.to_owned(), source };
        let file = File::open(path).map_err(failed)?;
        let refused = |error: DecryptError| match error {
            DecryptError::NoMatchingKeys => SealError::NotYours { path: path.to_owned() },
            DecryptError::Io(source) => {
                SealError::NotSealed { path: path.to_owned(), reason: source.to_string() }
            }
            other => SealError::NotSealed { path: path.to_owned(), reason: other.to_string() },
        };
        let decryptor = Decryptor::new(file).map_err(refused)?;
        decryptor.decrypt(self.0.iter().map(|key| key.as_ref() as &dyn Identity)).map_err(refused)
    }
}
