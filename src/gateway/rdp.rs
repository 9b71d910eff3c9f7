//! What the gateway's sessions on RDP hosts share: the certificates that are remembered, and the journal.

use crate::audit::{Audit, Event, Record};
use crate::source::rdp::{Keyring, KnownHosts, Notice, Notify, RdpConfig, RdpSettings, fingerprint_text};
use std::collections::HashSet;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// In the state directory.
const KNOWN_HOSTS: &str = "known_rdp_hosts";

pub(super) struct RdpHosts {
    known: Arc<KnownHosts>,
    audit: Option<Arc<Audit>>,
    /// The sessions whose users have signed out on their hosts.
    over: Arc<Mutex<HashSet<String>>>,
}

impl Default for RdpHosts {
    fn default() -> Self {
        RdpHosts { known: Arc::new(KnownHosts::new(None)), audit: None, over: Arc::default() }
    }
}

impl RdpHosts {
    pub(super) fn new(state_directory: Option<&Path>, audit: Arc<Audit>) -> Self {
        let path = state_directory.map(|directory| directory.join(KNOWN_HOSTS));
        RdpHosts { known: Arc::new(KnownHosts::new(path)), audit: Some(audit), over: Arc::default() }
    }

    /// Everything that a session's source is started with.
    pub(super) fn source(
        &self,
        session: &str,
        settings: RdpSettings,
        keyring: Keyring,
        size: (u32, u32),
    ) -> RdpConfig {
        let notify = self.notify(session.to_owned());
        RdpConfig { settings, keyring, known: self.known.clone(), size, notify }
    }

    /// Whether a session's user has signed out on its host since this was asked last.
    pub(super) fn is_over(&self, session: &str) -> bool {
        self.over.lock().unwrap_or_else(PoisonError::into_inner).remove(session)
    }

    fn notify(&self, session: String) -> Notify {
        let (audit, over) = (self.audit.clone(), self.over.clone());
        Arc::new(move |notice| {
            if matches!(notice, Notice::SignedOut) {
                over.lock().unwrap_or_else(PoisonError::into_inner).insert(session.clone());
            }
            let Some(audit) = &audit else { return };
            let (host, event) = match notice {
                Notice::Trusted { host, fingerprint } => {
                    (host, Event::CertificateTrusted { certificate: fingerprint_text(&fingerprint).into() })
                }
                Notice::Distrusted { host, reason } => {
                    (host, Event::CertificateRefused { reason: reason.into() })
                }
                Notice::SignedOut => return,
                Notice::SignedIn { host, user } => (host, Event::HostSignedIn { host_user: user.into() }),
                Notice::SignInRefused { host, user, reason } => {
                    (host, Event::HostSignInRefused { host_user: user.into(), reason: reason.into() })
                }
                Notice::Lost { host, reason } => (host, Event::HostLost { reason: reason.into() }),
                Notice::NoRemoteApp { host, reason } => {
                    (host, Event::HostWithoutRemoteApp { reason: reason.into() })
                }
            };
            audit.record(Record::new(event).host(host).session(session.as_str()));
        })
    }
}
