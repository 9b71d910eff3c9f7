//! TLS to the repository: its authority, and the gateway's own certificate if the repository asks for one.

use rustls::crypto::aws_lc_rs as provider;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// PEM files.
#[derive(Clone, Debug, Default)]
pub struct TlsFiles {
    /// The authority that signed the repository's certificate; without it the public authorities are asked.
    pub ca: Option<PathBuf>,
    /// The gateway's certificate and key.
    pub own: Option<(PathBuf, PathBuf)>,
}

#[derive(Debug, thiserror::Error)]
pub enum TlsFilesError {
    #[error("[audit] reading {path}: {reason}")]
    File { path: PathBuf, reason: String },
    #[error("[audit] the certificates for the repository cannot be used: {0}")]
    Unusable(#[from] rustls::Error),
}

impl TlsFiles {
    /// TLS 1.3, and 1.2 for repositories that have no better.
    pub fn client(&self) -> Result<Arc<ClientConfig>, TlsFilesError> {
        let mut roots = RootCertStore::empty();
        match &self.ca {
            Some(path) => {
                for certificate in certificates(path)? {
                    roots.add(certificate)?;
                }
            }
            None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(provider::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
            .with_root_certificates(roots);
        let config = match &self.own {
            Some((certificate, key)) => {
                let key_der = PrivateKeyDer::from_pem_file(key).map_err(|error| failed(key, &error))?;
                builder.with_client_auth_cert(certificates(certificate)?, key_der)?
            }
            None => builder.with_no_client_auth(),
        };
        Ok(Arc::new(config))
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsFilesError> {
    let found = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| failed(path, &error))?;
    match found.is_empty() {
        true => Err(failed(path, &"there is no certificate in it")),
        false => Ok(found),
    }
}

fn failed(path: &Path, reason: &dyn std::fmt::Display) -> TlsFilesError {
    TlsFilesError::File { path: path.to_owned(), reason: reason.to_string() }
}
