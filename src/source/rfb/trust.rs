//! Whether a VNC server's certificate is believed.

use super::config::VncConfig;
use crate::link::{fingerprint_text, parse_fingerprint};
use crate::source::{Known, KnownHosts};
use aws_lc_rs::digest;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs as provider, verify_tls12_signature, verify_tls13_signature};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// By what a certificate is judged.
#[derive(Debug)]
enum Rule {
    Pinned([u8; 32]),
    Authorities(Arc<WebPkiServerVerifier>),
    FirstUse(Arc<KnownHosts>),
    /// By nothing: none is believed.
    None,
}

/// Looks at a server's certificate in the TLS handshake, and remembers which it was and why it was refused.
#[derive(Debug)]
pub(super) struct Trust {
    /// `host:port`, as it is remembered.
    host: String,
    rule: Rule,
    provider: Arc<CryptoProvider>,
    seen: Mutex<Option<String>>,
    /// It was seen for the first time, and is believed from now on.
    first: AtomicBool,
    refusal: Mutex<Option<String>>,
}

impl Trust {
    pub(super) fn new(config: &VncConfig, host: String, known: &Arc<KnownHosts>) -> Result<Trust, String> {
        let provider = Arc::new(provider::default_provider());
        let pin = config.fingerprint.as_deref().and_then(parse_fingerprint);
        let rule = match (pin, &config.ca_file) {
            (Some(pin), _) => Rule::Pinned(pin),
            (None, Some(path)) => Rule::Authorities(authorities(path, provider.clone())?),
            (None, None) if config.first_use => Rule::FirstUse(known.clone()),
            (None, None) => Rule::None,
        };
        let (seen, first, refusal) = Default::default();
        Ok(Trust { host, rule, provider, seen, first, refusal })
    }

    /// A client's TLS that this decides.
    pub(super) fn client(self: &Arc<Self>) -> Result<ClientConfig, rustls::Error> {
        let builder = ClientConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?;
        let verifier = self.clone();
        Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
    }

    /// The fingerprint of the certificate that the server showed.
    pub(super) fn seen(&self) -> Option<String> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether it is believed because it was the first.
    pub(super) fn is_first(&self) -> bool {
        self.first.load(Ordering::Relaxed)
    }

    /// Why it was not believed.
    pub(super) fn refusal(&self) -> Option<String> {
        self.refusal.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn judge(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<(), String> {
        let hash = digest::digest(&digest::SHA256, end_entity);
        let hash: [u8; 32] = hash.as_ref().first_chunk().copied().unwrap_or_default();
        let text = fingerprint_text(&hash);
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(text.clone());
        match &self.rule {
            Rule::Pinned(pin) if hash == *pin => Ok(()),
            Rule::Pinned(_) => Err(format!(
                "the VNC server's certificate is not the pinned one: its fingerprint is {text}. If the server has a \
                 new certificate, set `fingerprint` to that; otherwise somebody stands between"
            )),
            Rule::Authorities(verifier) => verifier
                .verify_server_cert(end_entity, intermediates, name, ocsp, now)
                .map(|_| ())
                .map_err(|error| format!("the VNC server's certificate is not believed: {}", reason(&error))),
            Rule::FirstUse(known) => match known.meet(&self.host, &hash) {
                Ok(Known::New) => {
                    self.first.store(true, Ordering::Relaxed);
                    Ok(())
                }
                Ok(Known::Same) => Ok(()),
                Ok(Known::Other(before)) => Err(format!(
                    "the VNC server's certificate has changed: it is {text} and was {}. If the server was set up anew, \
                     {}; else somebody may stand between",
                    fingerprint_text(&before),
                    known.remedy("known_vnc_hosts")
                )),
                Err(error) => Err(format!(
                    "the VNC server's certificate could not be compared with the last one: {error}"
                )),
            },
            Rule::None => Err(format!(
                "the VNC server's certificate has the fingerprint {text}; compare it at the server, then set \
                 `fingerprint` to it, or `ca_file` to its authority's certificate"
            )),
        }
    }
}

fn authorities(path: &Path, provider: Arc<CryptoProvider>) -> Result<Arc<WebPkiServerVerifier>, String> {
    let failed = |reason: String| format!("the authorities' certificates {}: {reason}", path.display());
    let certificates = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| failed(error.to_string()))?;
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots.add(certificate).map_err(|error| failed(error.to_string()))?;
    }
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
    verifier.build().map_err(|error| failed(error.to_string()))
}

fn reason(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature,
        ) => "none of the authorities in `ca_file` made it".into(),
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => "it is for another name than the one in `address`".into(),
        rustls::Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        ) => "it has expired".into(),
        other => other.to_string(),
    }
}

impl ServerCertVerifier for Trust {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.judge(end_entity, intermediates, name, ocsp, now).map_err(|refusal| {
            *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = Some(refusal.clone());
            rustls::Error::General(refusal)
        })?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
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
