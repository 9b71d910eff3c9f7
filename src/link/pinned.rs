//! The two ends of a tunnel know each other by the hash of a certificate, which either made for itself and keeps.

use super::tls::{Certificate, Pinned, TlsError, fingerprint};
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, aws_lc_rs as provider, verify_tls13_signature};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{ClientConfig, DigitallySignedStruct, DistinguishedName, ServerConfig, SignatureScheme};
use rustls_pki_types::{CertificateDer, UnixTime};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    #[error("keeping the key of tunnels in {path}: {source}; the directory must be this user's to write to")]
    Keep { path: PathBuf, source: std::io::Error },
    #[error(
        "the key of tunnels in {0} cannot be read as one; move it away and a new one is made, with another fingerprint"
    )]
    Broken(PathBuf),
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// Who one end of a tunnel is.
pub struct Identity {
    certificate: Certificate,
}

impl Identity {
    /// The kept one, or a new one, readable by its owner alone. It has no end: it is replaced by hand, as peers know its hash.
    pub fn kept(path: &Path) -> Result<Identity, IdentityError> {
        let failed = |source| IdentityError::Keep { path: path.to_owned(), source };
        match std::fs::read_to_string(path) {
            Ok(text) => {
                let certificate = Certificate::from_self_signed(&text);
                Ok(Identity {
                    certificate: certificate.ok_or_else(|| IdentityError::Broken(path.to_owned()))?,
                })
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let (certificate, text) = Certificate::lasting(&["chevet tunnel".to_owned()])?;
                let mut options = std::fs::OpenOptions::new();
                let begun = path.with_extension("new");
                let opened = options.write(true).create(true).truncate(true).mode(0o600).open(&begun);
                let mut file = opened.map_err(failed)?;
                file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
                std::fs::rename(&begun, path).map_err(failed)?;
                Ok(Identity { certificate })
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// The SHA-256 that the other end is told.
    pub fn fingerprint(&self) -> [u8; 32] {
        self.certificate.fingerprint()
    }

    /// TLS for whoever takes tunnels in, of peers with one of these fingerprints.
    pub fn quic_server(&self, alpn: &[u8], pins: &[[u8; 32]]) -> Result<QuicServerConfig, TlsError> {
        let provider = Arc::new(provider::default_provider());
        let known = Known { pins: pins.to_vec(), provider: provider.clone() };
        let (chain, key) = self.certificate.parts();
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_client_cert_verifier(Arc::new(known))
            .with_single_cert(chain, key)?;
        config.alpn_protocols = vec![alpn.to_vec()];
        config.max_early_data_size = 0;
        config.send_tls13_tickets = 0;
        QuicServerConfig::try_from(config).map_err(|_| TlsError::NoQuicCipher)
    }

    /// TLS for whoever dials, to a peer with this fingerprint.
    pub fn quic_client(&self, alpn: &[u8], pin: [u8; 32]) -> Result<QuicClientConfig, TlsError> {
        let provider = Arc::new(provider::default_provider());
        let verifier = Pinned { pins: vec![pin], provider: provider.clone() };
        let (chain, key) = self.certificate.parts();
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_auth_cert(chain, key)?;
        config.alpn_protocols = vec![alpn.to_vec()];
        QuicClientConfig::try_from(config).map_err(|_| TlsError::NoQuicCipher)
    }
}

/// Takes exactly the clients whose certificate's hash is known; that they hold its key is checked as always.
#[derive(Debug)]
struct Known {
    pins: Vec<[u8; 32]>,
    provider: Arc<CryptoProvider>,
}

impl ClientCertVerifier for Known {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        if self.pins.contains(&fingerprint(end_entity)) {
            Ok(ClientCertVerified::assertion())
        } else {
            let shown = super::fingerprint_text(&fingerprint(end_entity));
            Err(rustls::Error::General(format!("{shown} is none of the fingerprints that are let in")))
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("tunnels speak TLS 1.3 alone".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
