//! What the gateway's sessions on VNC servers share: the certificates that are remembered, and the journal.

use super::certificates::Certificates;
use crate::audit::{Audit, Event, Record};
use crate::source::KnownHosts;
use crate::source::rfb::{Notice, Notify, Ties};
use std::path::Path;
use std::sync::Arc;
use zeroize::Zeroizing;

/// In the state directory.
const KNOWN_HOSTS: &str = "known_vnc_hosts";
/// The same of a gateway whose store has the say.
const SEEN_HOSTS: &str = "seen_vnc_hosts";

pub(super) struct VncHosts {
    known: Arc<KnownHosts>,
    audit: Option<Arc<Audit>>,
}

impl Default for VncHosts {
    fn default() -> Self {
        VncHosts { known: Arc::new(KnownHosts::new(None)), audit: None }
    }
}

impl VncHosts {
    pub(super) fn new(
        state_directory: Option<&Path>,
        audit: Arc<Audit>,
        store: Option<&Certificates>,
    ) -> Self {
        let path = |name| state_directory.map(|directory| directory.join(name));
        let known = match store {
            Some(store) => store.of("vnc", path(SEEN_HOSTS).as_deref()),
            None => KnownHosts::new(path(KNOWN_HOSTS)),
        };
        VncHosts { known: Arc::new(known), audit: Some(audit) }
    }

    pub(super) fn known(&self) -> &KnownHosts {
        &self.known
    }

    /// What a session's source is started with beside its settings.
    pub(super) fn ties(&self, session: &str, host: &str, password: Option<Zeroizing<String>>) -> Ties {
        let notify = self.notify(session.to_owned(), host.to_owned());
        Ties { password, known: self.known.clone(), notify }
    }

    fn notify(&self, session: String, host: String) -> Notify {
        let audit = self.audit.clone();
        Arc::new(move |notice| {
            let Some(audit) = &audit else { return };
            let event = match notice {
                Notice::Trusted { fingerprint } => {
                    Event::CertificateTrusted { certificate: fingerprint.into() }
                }
                Notice::Distrusted { reason } => Event::CertificateRefused { reason: reason.into() },
                Notice::SignedIn { user } => Event::HostSignedIn { host_user: user.into() },
                Notice::SignInRefused { user, reason } => {
                    Event::HostSignInRefused { host_user: user.into(), reason: reason.into() }
                }
                Notice::Lost { reason } => Event::HostLost { reason: reason.into() },
            };
            audit.record(Record::new(event).host(host.as_str()).session(session.as_str()));
        })
    }
}
