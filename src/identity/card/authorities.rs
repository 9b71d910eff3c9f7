//! Who issues cards, and which they have withdrawn. Revocation lists are read again when their files change.

use super::certificate::Card;
use super::{CardError, CardsConfig, Depth, Stale};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{CertificateError, DistinguishedName, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// No revocation list is longer, in bytes.
const MOST_BYTES: u64 = 64 << 20;
/// Nor does a card come with more certificates.
const MOST_SHOWN: usize = 8;

#[derive(Debug, thiserror::Error)]
pub enum AuthoritiesError {
    #[error("[cards] reading {path}: {reason}")]
    File { path: PathBuf, reason: String },
    #[error("[cards] the authorities cannot be used: {0}")]
    Unusable(String),
}

type Lists = Vec<CertificateRevocationListDer<'static>>;

/// What tells that a file was written anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    bytes: u64,
    changed_ns: (i64, i64),
}

struct Loaded {
    /// Of each file that was read, in the configuration's order.
    files: Vec<(Stamp, Lists)>,
    verifier: Arc<dyn ClientCertVerifier>,
    /// How many times they were read.
    generation: u64,
}

pub struct Authorities {
    config: CardsConfig,
    roots: Arc<RootCertStore>,
    intermediates: Vec<CertificateDer<'static>>,
    loaded: Mutex<Loaded>,
}

impl Authorities {
    /// Reads all files; one that is missing or cannot be used is an error.
    pub fn read(config: &CardsConfig) -> Result<Authorities, AuthoritiesError> {
        let mut roots = RootCertStore::empty();
        for path in &config.authorities {
            for certificate in certificates(path)? {
                let added = roots.add(certificate);
                added.map_err(|error| failed(path, error.to_string()))?;
            }
        }
        let roots = Arc::new(roots);
        let intermediates = config.intermediates.iter().map(|path| certificates(path));
        let intermediates = intermediates.collect::<Result<Vec<_>, _>>()?.concat();
        let mut files = Vec::new();
        for path in lists_of(config) {
            files.push(read_lists(path, &roots).map_err(|reason| failed(path, reason))?);
        }
        let verifier = verifier(config, &roots, &files).map_err(AuthoritiesError::Unusable)?;
        let loaded = Mutex::new(Loaded { files, verifier, generation: 1 });
        Ok(Authorities { config: config.clone(), roots, intermediates, loaded })
    }

    pub fn config(&self) -> &CardsConfig {
        &self.config
    }

    /// The names by which browsers choose among certificates.
    pub fn names(&self) -> Vec<DistinguishedName> {
        self.roots.subjects()
    }

    /// Whom these certificates name, the card's own first, if it holds now. Reads files and checks signatures: not for a
    /// thread that others wait for.
    pub fn check(&self, shown: &[CertificateDer<'static>], now: UnixTime) -> Result<Card, CardError> {
        let (card, others) = shown.split_first().ok_or(CardError::Missing)?;
        if others.len() > MOST_SHOWN {
            return Err(CardError::Unusable("it comes with too many other certificates".into()));
        }
        let intermediates: Vec<_> = others.iter().chain(&self.intermediates).cloned().collect();
        let verified = self.current().0.verify_client_cert(card, &intermediates, now);
        verified.map_err(|error| refusal(&error))?;
        Card::read(card, &self.config)
    }

    /// Another number once the revocation lists were read again. Looks at the files.
    pub fn generation(&self) -> u64 {
        self.current().1
    }

    /// What is checked by, after a look at the files.
    fn current(&self) -> (Arc<dyn ClientCertVerifier>, u64) {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        let mut changed = false;
        for (path, file) in lists_of(&self.config).zip(&mut loaded.files) {
            if stamp_of(path).is_ok_and(|stamp| stamp == file.0) {
                continue;
            }
            match read_lists(path, &self.roots) {
                Ok(read) => (*file, changed) = (read, true),
                // What it said last holds until its own end, and is then too old.
                Err(reason) => {
                    tracing::error!(path = %path.display(), reason, "a revocation list cannot be read again");
                }
            }
        }
        if changed {
            match verifier(&self.config, &self.roots, &loaded.files) {
                Ok(verifier) => {
                    loaded.verifier = verifier;
                    loaded.generation += 1;
                }
                Err(reason) => tracing::error!(reason, "the revocation lists cannot be used"),
            }
        }
        (loaded.verifier.clone(), loaded.generation)
    }
}

fn lists_of(config: &CardsConfig) -> impl Iterator<Item = &PathBuf> {
    let most = if config.check_revocation == Depth::No { 0 } else { usize::MAX };
    config.revocation.iter().take(most)
}

fn failed(path: &Path, reason: String) -> AuthoritiesError {
    AuthoritiesError::File { path: path.to_owned(), reason }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, AuthoritiesError> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(read) if read.is_empty() => Err(failed(path, "there is no certificate in it".into())),
        Ok(read) => Ok(read),
        Err(error) => Err(failed(path, error.to_string())),
    }
}

fn stamp_of(path: &Path) -> std::io::Result<Stamp> {
    std::fs::metadata(path).map(|of| stamp(&of))
}

fn stamp(of: &std::fs::Metadata) -> Stamp {
    Stamp { inode: of.ino(), bytes: of.len(), changed_ns: (of.mtime(), of.mtime_nsec()) }
}

fn read_lists(path: &Path, roots: &Arc<RootCertStore>) -> Result<(Stamp, Lists), String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let stamp = stamp(&file.metadata().map_err(|error| error.to_string())?);
    let mut bytes = Vec::new();
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(format!("it has more than {} MiB", MOST_BYTES >> 20));
    }
    let lists: Lists = match bytes.first() {
        // A SEQUENCE: DER.
        Some(0x30) => vec![bytes.into()],
        _ => CertificateRevocationListDer::pem_slice_iter(&bytes)
            .collect::<Result<_, _>>()
            .map_err(|error| error.to_string())?,
    };
    if lists.is_empty() {
        return Err("there is no revocation list in it".into());
    }
    // One file that cannot be used must not spoil the others.
    let usable = builder(roots).with_crls(lists.clone()).build();
    usable.map_err(|error| error.to_string())?;
    Ok((stamp, lists))
}

fn builder(roots: &Arc<RootCertStore>) -> rustls::server::ClientCertVerifierBuilder {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    WebPkiClientVerifier::builder_with_provider(roots.clone(), provider)
}

fn verifier(
    config: &CardsConfig,
    roots: &Arc<RootCertStore>,
    files: &[(Stamp, Lists)],
) -> Result<Arc<dyn ClientCertVerifier>, String> {
    let mut builder = builder(roots);
    if config.check_revocation != Depth::No {
        builder = builder.with_crls(files.iter().flat_map(|(_, lists)| lists.iter().cloned()));
    }
    if config.check_revocation == Depth::Card {
        builder = builder.only_check_end_entity_revocation();
    }
    if config.stale_revocation == Stale::Refuse {
        builder = builder.enforce_revocation_expiration();
    }
    builder.build().map_err(|error| error.to_string())
}

fn refusal(error: &rustls::Error) -> CardError {
    let rustls::Error::InvalidCertificate(error) = error else {
        return CardError::Unusable(error.to_string());
    };
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => CardError::Expired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => CardError::NotYet,
        CertificateError::Revoked => CardError::Revoked,
        CertificateError::UnknownIssuer | CertificateError::BadSignature => CardError::Authority,
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            CardError::Purpose("its extended key usages say nothing of client authentication".into())
        }
        CertificateError::UnknownRevocationStatus => {
            CardError::Unchecked("there is no list of its authority, or of one above")
        }
        CertificateError::ExpiredRevocationList | CertificateError::ExpiredRevocationListContext { .. } => {
            CardError::Unchecked("an authority's list is too old")
        }
        other => CardError::Unusable(other.to_string()),
    }
}
