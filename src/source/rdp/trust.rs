//! Whether a host's certificate is believed.

pub use crate::source::known_hosts::{Known, KnownHosts};

use super::settings::{CertificatePolicy, RdpSettings, fingerprint_text, parse_fingerprint};
use aws_lc_rs::digest;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs as provider, verify_tls12_signature, verify_tls13_signature};
use rustls::{CertificateError, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// What became of a certificate, for the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Believed,
    /// Believed because it was the first.
    First,
    /// With the reason, for the user.
    Refused(String),
}

/// Looks at a host's certificate in the TLS handshake, and remembers what it was.
pub struct Examiner {
    /// `host:port`, as it is remembered.
    host: String,
    rule: Rule,
    provider: Arc<CryptoProvider>,
    seen: Mutex<Option<(Vec<u8>, Verdict)>>,
}

enum Rule {
    Pinned([u8; 32]),
    Authorities(Arc<WebPkiServerVerifier>),
    FirstUse(Arc<KnownHosts>),
}

impl std::fmt::Debug for Examiner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Examiner({})", self.host)
    }
}

impl Examiner {
    /// By the settings' policy. An error is a text for the operator.
    pub fn new(settings: &RdpSettings, host: &str, known: &Arc<KnownHosts>) -> Result<Examiner, String> {
        let provider = Arc::new(provider::default_provider());
        let rule = match settings.certificate {
            CertificatePolicy::Pinned => {
                let pinned = settings.fingerprint.as_deref().and_then(parse_fingerprint);
                Rule::Pinned(pinned.ok_or("no fingerprint is configured")?)
            }
            CertificatePolicy::Ca => {
                let path = settings.authorities.as_deref().ok_or("no authorities are configured")?;
                Rule::Authorities(authorities(path, &provider)?)
            }
            CertificatePolicy::FirstUse => Rule::FirstUse(known.clone()),
        };
        Ok(Examiner { host: host.to_owned(), rule, provider, seen: Mutex::new(None) })
    }

    /// The certificate that was shown, and what became of it.
    pub fn seen(&self) -> Option<(Vec<u8>, Verdict)> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The client's side of TLS with this examiner.
    pub fn client(self: &Arc<Self>) -> Result<rustls::ClientConfig, rustls::Error> {
        let mut config = rustls::ClientConfig::builder_with_provider(self.provider.clone())
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(self.clone())
            .with_no_client_auth();
        // CredSSP is bound to the certificate of this very handshake.
        config.resumption = rustls::client::Resumption::disabled();
        Ok(config)
    }

    fn judge(
        &self,
        end: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Verdict {
        let shown = fingerprint(end);
        match &self.rule {
            Rule::Pinned(pinned) if *pinned == shown => Verdict::Believed,
            Rule::Pinned(pinned) => Verdict::Refused(format!(
                "its certificate is {} and not {}, which is configured",
                fingerprint_text(&shown),
                fingerprint_text(pinned)
            )),
            Rule::Authorities(verifier) => match verifier.verify_server_cert(end, between, name, &[], now) {
                Ok(_) => Verdict::Believed,
                Err(error) => Verdict::Refused(format!("its certificate is not vouched for: {error}")),
            },
            Rule::FirstUse(known) => match known.meet(&self.host, &shown) {
                Ok(Known::New) => Verdict::First,
                Ok(Known::Same) => Verdict::Believed,
                Ok(Known::Other(before)) => Verdict::Refused(format!(
                    "its certificate has changed: it is {} and was {}. If the host was set up anew, {}; else \
                     somebody may be listening",
                    fingerprint_text(&shown),
                    fingerprint_text(&before),
                    known.remedy("known_rdp_hosts")
                )),
                Err(error) => Verdict::Refused(format!(
                    "its certificate could not be compared with the last one: {error}"
                )),
            },
        }
    }
}

/// The SHA-256 of a certificate.
pub fn fingerprint(certificate: &[u8]) -> [u8; 32] {
    let mut fingerprint = [0; 32];
    fingerprint.copy_from_slice(digest::digest(&digest::SHA256, certificate).as_ref());
    fingerprint
}

fn authorities(path: &Path, provider: &Arc<CryptoProvider>) -> Result<Arc<WebPkiServerVerifier>, String> {
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| format!("reading the authorities {}: {error}", path.display()))?;
    roots.add_parsable_certificates(certificates);
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .build()
        .map_err(|error| format!("the authorities {} cannot be used: {error}", path.display()))
}

impl ServerCertVerifier for Examiner {
    fn verify_server_cert(
        &self,
        end: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verdict = self.judge(end, between, name, now);
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some((end.to_vec(), verdict.clone()));
        match verdict {
            Verdict::Believed | Verdict::First => Ok(ServerCertVerified::assertion()),
            Verdict::Refused(_) => Err(CertificateError::ApplicationVerificationFailure.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
