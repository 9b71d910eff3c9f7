//! Whether a host's certificate is believed.

use super::settings::{CertificatePolicy, RdpSettings, fingerprint_text, parse_fingerprint};
use aws_lc_rs::digest;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs as provider, verify_tls12_signature, verify_tls13_signature};
use rustls::{CertificateError, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Hosts that are remembered.
const MOST_KNOWN: usize = 65_536;

/// The certificates that hosts showed first: a file of lines `host:port fingerprint`, or nothing but memory.
pub struct KnownHosts {
    path: Option<PathBuf>,
    lines: Mutex<()>,
    remembered: Mutex<Vec<(String, [u8; 32])>>,
}

/// What is known of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// It was seen for the first time, and is remembered from now on.
    New,
    Same,
    /// It had this one before.
    Other([u8; 32]),
}

impl KnownHosts {
    /// Without a path nothing is remembered over a restart.
    pub fn new(path: Option<PathBuf>) -> Self {
        KnownHosts { path, lines: Mutex::new(()), remembered: Mutex::default() }
    }

    fn alone(&self) -> MutexGuard<'_, ()> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Compares a host's certificate with what is remembered; a new host is remembered.
    pub fn meet(&self, host: &str, fingerprint: &[u8; 32]) -> std::io::Result<Known> {
        let _alone = self.alone();
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(path) = &self.path {
            *remembered = read(path)?;
        }
        if let Some((_, known)) = remembered.iter().find(|(name, _)| name == host) {
            return Ok(if known == fingerprint { Known::Same } else { Known::Other(*known) });
        }
        if remembered.len() >= MOST_KNOWN {
            return Err(std::io::Error::other("too many hosts are remembered"));
        }
        if let Some(path) = &self.path {
            append(path, host, fingerprint)?;
        }
        remembered.push((host.to_owned(), *fingerprint));
        Ok(Known::New)
    }
}

fn read(path: &Path) -> std::io::Result<Vec<(String, [u8; 32])>> {
    let text = match std::fs::read_to_string(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        text => text?,
    };
    let line = |line: &str| {
        let (host, fingerprint) = line.split_once(' ')?;
        Some((host.to_owned(), parse_fingerprint(fingerprint.trim())?))
    };
    Ok(text.lines().filter_map(line).collect())
}

fn append(path: &Path, host: &str, fingerprint: &[u8; 32]) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    file.write_all(format!("{host} {}\n", fingerprint_text(fingerprint)).as_bytes())?;
    file.sync_all()
}

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
                    "its certificate has changed: it is {} and was {}. If the host was set up anew, an operator removes \
                     its line from known_rdp_hosts; else somebody may be listening",
                    fingerprint_text(&shown),
                    fingerprint_text(&before)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_certificate_is_kept_and_another_one_refused_even_after_a_restart() {
        let directory = std::env::temp_dir().join(format!("chevet-known-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let path = directory.join("known_rdp_hosts");
        let _ = std::fs::remove_file(&path);
        let known = KnownHosts::new(Some(path.clone()));
        assert_eq!(known.meet("a:3389", &[1; 32]).unwrap(), Known::New);
        assert_eq!(known.meet("a:3389", &[1; 32]).unwrap(), Known::Same);
        assert_eq!(known.meet("b:3389", &[2; 32]).unwrap(), Known::New);
        let again = KnownHosts::new(Some(path.clone()));
        assert_eq!(again.meet("a:3389", &[2; 32]).unwrap(), Known::Other([1; 32]));
        assert_eq!(again.meet("b:3389", &[2; 32]).unwrap(), Known::Same);
        // Taking its line out is how an operator believes a host anew.
        std::fs::write(&path, "").unwrap();
        assert_eq!(again.meet("a:3389", &[2; 32]).unwrap(), Known::New);
        std::fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn without_a_file_hosts_are_remembered_until_the_end() {
        let known = KnownHosts::new(None);
        assert_eq!(known.meet("a:1", &[1; 32]).unwrap(), Known::New);
        assert_eq!(known.meet("a:1", &[2; 32]).unwrap(), Known::Other([1; 32]));
    }
}
