//! Certificates and TLS 1.3, by rustls with aws-lc-rs (post-quantum key exchange where the peer has it).

use crate::wire;
use aws_lc_rs::digest;
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs as provider, verify_tls12_signature, verify_tls13_signature};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    ClientConfig, DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig, SignatureScheme,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Browsers accept a certificate by its hash only if it is valid for less than 14 days.
const SELF_SIGNED_DAYS: u64 = 13;
/// What is known by its hash alone and kept.
const LASTING_DAYS: u64 = 100 * 365;

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("reading the certificate or key {path}: {reason}")]
    File { path: PathBuf, reason: String },
    #[error("the certificate cannot be used: {0}")]
    Unusable(#[from] rustls::Error),
    #[error("making a self-signed certificate: {0}")]
    SelfSigned(#[from] rcgen::Error),
    #[error("the TLS library offers no cipher that QUIC needs")]
    NoQuicCipher,
    #[error("opening QUIC: {0}")]
    Endpoint(std::io::Error),
}

/// A certificate chain and its key.
pub struct Certificate {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    self_signed: bool,
}

impl Certificate {
    /// From PEM files: the chain, the server's own certificate first, and its key.
    pub fn from_files(chain: &Path, key: &Path) -> Result<Self, TlsError> {
        let failed = |path: &Path, reason: String| TlsError::File { path: path.to_owned(), reason };
        let certificates = CertificateDer::pem_file_iter(chain)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| failed(chain, error.to_string()))?;
        if certificates.is_empty() {
            return Err(failed(chain, "there is no certificate in it".into()));
        }
        let key_der = PrivateKeyDer::from_pem_file(key).map_err(|error| failed(key, error.to_string()))?;
        Ok(Certificate { chain: certificates, key: key_der, self_signed: false })
    }

    /// A new ECDSA P-256 certificate for these names, valid for 13 days, which browsers take by its hash. The
    /// text is the same in PEM, the key after the certificate.
    pub fn self_signed(names: &[String]) -> Result<(Self, String), TlsError> {
        Certificate::own(names, SELF_SIGNED_DAYS)
    }

    /// The same with no end that matters, for a peer that knows its hash.
    pub(super) fn lasting(names: &[String]) -> Result<(Self, String), TlsError> {
        Certificate::own(names, LASTING_DAYS)
    }

    fn own(names: &[String], days: u64) -> Result<(Self, String), TlsError> {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
        let mut params = rcgen::CertificateParams::new(names)?;
        let now = std::time::SystemTime::now();
        let hour = Duration::from_secs(3_600);
        params.not_before = (now - hour).into();
        params.not_after = (now - hour + days as u32 * 24 * hour).into();
        let certificate = params.self_signed(&key)?;
        let text = certificate.pem() + &key.serialize_pem();
        let key = PrivateKeyDer::try_from(key.serialize_der())
            .map_err(|_| TlsError::Unusable(rustls::Error::General("the new key".into())))?;
        Ok((Certificate { chain: vec![certificate.der().clone()], key, self_signed: true }, text))
    }

    /// What [`Certificate::self_signed`] gave as text; nothing if it is anything else.
    pub fn from_self_signed(text: &str) -> Option<Self> {
        let certificate = CertificateDer::from_pem_slice(text.as_bytes()).ok()?;
        let key = PrivateKeyDer::from_pem_slice(text.as_bytes()).ok()?;
        Some(Certificate { chain: vec![certificate], key, self_signed: true })
    }

    pub(super) fn parts(&self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        (self.chain.clone(), self.key.clone_key())
    }

    pub fn is_self_signed(&self) -> bool {
        self.self_signed
    }

    /// The SHA-256 of the server's own certificate.
    pub fn fingerprint(&self) -> [u8; 32] {
        fingerprint(&self.chain[0])
    }

    /// Until when it is valid, in seconds since 1970.
    pub fn ends_at(&self) -> Option<i64> {
        let (_, read) = x509_parser::parse_x509_certificate(self.chain[0].as_ref()).ok()?;
        Some(read.validity().not_after.timestamp())
    }

    /// For HTTPS and WebSocket over TCP.
    pub fn tcp_server(&self) -> Result<ServerConfig, TlsError> {
        self.server(vec![b"http/1.1".to_vec()])
    }

    /// The same where clients are asked for a certificate of one of these authorities. Whoever shows any has proven to hold
    /// its key, and nothing else: what it is worth has to be looked at, anew for each connection.
    pub fn asking_server(&self, authorities: Vec<DistinguishedName>) -> Result<ServerConfig, TlsError> {
        let provider = Arc::new(provider::default_provider());
        let asking = Asking { authorities, provider: provider.clone() };
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_client_cert_verifier(Arc::new(asking))
            .with_single_cert(self.chain.clone(), self.key.clone_key())?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.max_early_data_size = 0;
        // A session that is taken up again would need no card.
        config.send_tls13_tickets = 0;
        config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
        Ok(config)
    }

    pub(super) fn quic_server(&self) -> Result<QuicServerConfig, TlsError> {
        let alpn = vec![wire::ALPN.to_vec(), web_transport_quinn::ALPN.as_bytes().to_vec()];
        QuicServerConfig::try_from(self.server(alpn)?).map_err(|_| TlsError::NoQuicCipher)
    }

    fn server(&self, alpn: Vec<Vec<u8>>) -> Result<ServerConfig, TlsError> {
        let mut config = ServerConfig::builder_with_provider(Arc::new(provider::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_no_client_auth()
            .with_single_cert(self.chain.clone(), self.key.clone_key())?;
        config.alpn_protocols = alpn;
        config.max_early_data_size = 0;
        Ok(config)
    }
}

pub(super) fn fingerprint(certificate: &CertificateDer) -> [u8; 32] {
    let digest = digest::digest(&digest::SHA256, certificate);
    let mut fingerprint = [0; 32];
    fingerprint.copy_from_slice(digest.as_ref());
    fingerprint
}

/// A fingerprint in hexadecimal digits.
pub fn fingerprint_text(fingerprint: &[u8; 32]) -> String {
    fingerprint.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads 64 hexadecimal digits, with or without colons.
pub fn parse_fingerprint(text: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> = text
        .bytes()
        .filter(|&byte| byte != b':')
        .map(|b| char::from(b).to_digit(16).map(|d| d as u8))
        .collect::<Option<_>>()?;
    let (pairs, rest) = digits.as_chunks::<2>();
    let bytes: Vec<u8> = pairs.iter().map(|[high, low]| high << 4 | low).collect();
    if rest.is_empty() { bytes.try_into().ok() } else { None }
}

/// A client's TLS: the given fingerprints and nothing else, or, without any, the public authorities.
pub(super) fn client(pins: &[[u8; 32]], alpn: &[u8]) -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(provider::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])?;
    let mut config = if pins.is_empty() {
        let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        builder.with_root_certificates(roots).with_no_client_auth()
    } else {
        let verifier = Pinned { pins: pins.to_vec(), provider };
        builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth()
    };
    config.alpn_protocols = vec![alpn.to_vec()];
    Ok(config)
}

/// A client's TLS for HTTP over TCP.
pub fn tcp_client_config(pins: &[[u8; 32]]) -> Result<ClientConfig, TlsError> {
    client(pins, b"http/1.1")
}

/// A client's TLS for HTTP over TCP to whoever proves who it is on the very session: any certificate is taken.
pub fn tcp_client_unproven() -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(provider::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Unproven(provider)))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

pub(super) fn quic_client(pins: &[[u8; 32]]) -> Result<QuicClientConfig, TlsError> {
    QuicClientConfig::try_from(client(pins, wire::ALPN)?).map_err(|_| TlsError::NoQuicCipher)
}

/// Takes any certificate whose key signs, or none.
#[derive(Debug)]
struct Asking {
    authorities: Vec<DistinguishedName>,
    provider: Arc<CryptoProvider>,
}

impl ClientCertVerifier for Asking {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.authorities
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("cards are asked for by TLS 1.3 alone".into()))
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

/// Accepts exactly the certificates whose hash is known; that they hold the key is checked as always.
#[derive(Debug)]
pub(super) struct Pinned {
    pub(super) pins: Vec<[u8; 32]>,
    pub(super) provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.pins.contains(&fingerprint(end_entity)) {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(rustls::Error::General(
                "the gateway's certificate is not the one that was pinned: the gateway may have made a new \
                 one (take the address anew), or somebody stands between"
                    .into(),
            ))
        }
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

/// Accepts any certificate; that its key signs the session is checked as always.
#[derive(Debug)]
struct Unproven(Arc<CryptoProvider>);

impl ServerCertVerifier for Unproven {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("sites speak TLS 1.3 alone".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
