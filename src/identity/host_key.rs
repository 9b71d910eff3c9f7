//! How a host proves which one it is: by a key of its own that an administrator has enrolled. It signs the TLS exporter of
//! the very connection, so that what was heard of one is of no use on another.

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

const SEED_BYTES: usize = 32;

#[derive(Debug, thiserror::Error)]
pub enum HostKeyError {
    #[error("keeping the host's key in {path}: {source}; is its directory there, and this user's?")]
    File { path: PathBuf, source: std::io::Error },
    #[error("{0} does not hold a host's key: remove it, and enrol the new key that is made then")]
    Damaged(PathBuf),
    #[error("the system gives no random numbers: {0}")]
    Random(getrandom::Error),
}

/// A host's key.
pub struct HostKey(Ed25519KeyPair);

impl HostKey {
    /// The key in a file, which is made for its owner alone if it is not there.
    pub fn kept(path: &Path) -> Result<HostKey, HostKeyError> {
        let failed = |source| HostKeyError::File { path: path.to_owned(), source };
        let seed = match std::fs::read(path) {
            Ok(seed) => seed,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let mut seed = vec![0; SEED_BYTES];
                getrandom::fill(&mut seed).map_err(HostKeyError::Random)?;
                if let Some(directory) = path.parent() {
                    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory);
                    made.map_err(failed)?;
                }
                let mut options = std::fs::OpenOptions::new();
                let mut file = options.write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
                file.write_all(&seed).and_then(|()| file.sync_all()).map_err(failed)?;
                seed
            }
            Err(error) => return Err(failed(error)),
        };
        let key = Ed25519KeyPair::from_seed_unchecked(&seed);
        key.map(HostKey).map_err(|_| HostKeyError::Damaged(path.to_owned()))
    }

    pub fn public(&self) -> Vec<u8> {
        self.0.public_key().as_ref().to_vec()
    }

    /// The public key as an administrator enrols it.
    pub fn text(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0.public_key())
    }

    /// What proves on a link with this exporter that this is the host of that name.
    pub fn prove(&self, exporter: &[u8; 32], name: &str) -> Vec<u8> {
        self.0.sign(&message(exporter, name)).as_ref().to_vec()
    }
}

/// Whether a text can be a host's public key.
pub fn is_host_key(text: &str) -> bool {
    URL_SAFE_NO_PAD.decode(text).is_ok_and(|bytes| bytes.len() == 32)
}

/// Whether the owner of an enrolled key made this proof on a link with this exporter.
pub fn is_proven(enrolled: &str, exporter: &[u8; 32], name: &str, proof: &[u8]) -> bool {
    let Ok(key) = URL_SAFE_NO_PAD.decode(enrolled) else { return false };
    UnparsedPublicKey::new(&ED25519, key).verify(&message(exporter, name), proof).is_ok()
}

/// What the key signs: nothing else that chevet signs begins so.
fn message(exporter: &[u8; 32], name: &str) -> Vec<u8> {
    [b"chevet host 1\0".as_slice(), exporter, name.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_key_proves_its_host_on_its_own_connection_alone() {
        let folder = std::env::temp_dir().join(format!("chevet-host-key-{}", std::process::id()));
        let path = folder.join("key");
        let key = HostKey::kept(&path).unwrap();
        let again = HostKey::kept(&path).unwrap();
        assert_eq!(key.text(), again.text());
        assert!(is_host_key(&key.text()) && !is_host_key("AAAA"));
        let proof = again.prove(&[7; 32], "app-1");
        assert!(is_proven(&key.text(), &[7; 32], "app-1", &proof));
        assert!(!is_proven(&key.text(), &[8; 32], "app-1", &proof), "another connection");
        assert!(!is_proven(&key.text(), &[7; 32], "app-2", &proof), "another name");
        assert!(!is_proven("AAAA", &[7; 32], "app-1", &proof), "no key");
        std::fs::write(&path, b"short").unwrap();
        assert!(matches!(HostKey::kept(&path), Err(HostKeyError::Damaged(_))));
        std::fs::remove_dir_all(folder).unwrap();
    }
}
