//! What the gateway's sessions on RDP hosts share: the certificates that are remembered, and the journal.

mod sign_ins;

pub(super) use sign_ins::{SignIns, Verdict};

use super::certificates::Certificates;
use crate::audit::{Audit, Event, Record};
use crate::source::rdp::{Keyring, KnownHosts, Notice, Notify, RdpConfig, RdpSettings, fingerprint_text};
use std::collections::HashSet;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// In the state directory.
const KNOWN_HOSTS: &str = "known_rdp_hosts";
/// The same of a gateway whose store has the say.
const SEEN_HOSTS: &str = "seen_rdp_hosts";

pub(super) struct RdpHosts {
    known: Arc<KnownHosts>,
    audit: Option<Arc<Audit>>,
    /// The sessions whose users have signed out on their hosts.
    over: Arc<Mutex<HashSet<String>>>,
    sign_ins: Arc<SignIns>,
}

impl Default for RdpHosts {
    fn default() -> Self {
        RdpHosts {
            known: Arc::new(KnownHosts::new(None)),
            audit: None,
            over: Arc::default(),
            sign_ins: Arc::default(),
        }
    }
}

impl RdpHosts {
    pub(super) fn new(
        state_directory: Option<&Path>,
        audit: Arc<Audit>,
        store: Option<&Certificates>,
    ) -> Self {
        let path = |name| state_directory.map(|directory| directory.join(name));
        let known = Arc::new(match store {
            Some(store) => store.of("rdp", path(SEEN_HOSTS).as_deref()),
            None => KnownHosts::new(path(KNOWN_HOSTS)),
        });
        RdpHosts { known, audit: Some(audit), over: Arc::default(), sign_ins: Arc::default() }
    }

    pub(super) fn known(&self) -> &KnownHosts {
        &self.known
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

    /// Whether a session's user has signed out on its host, or closed its application, since this was asked last.
    pub(super) fn is_over(&self, session: &str) -> bool {
        self.over.lock().unwrap_or_else(PoisonError::into_inner).remove(session)
    }

    /// How sessions were let in.
    pub(super) fn sign_ins(&self) -> &Arc<SignIns> {
        &self.sign_ins
    }

    fn notify(&self, session: String) -> Notify {
        let (audit, over, sign_ins) = (self.audit.clone(), self.over.clone(), self.sign_ins.clone());
        let source = sign_ins.begin(&session);
        Arc::new(move |notice| {
            if let Some(verdict) = verdict_of(&notice) {
                sign_ins.tell(&session, source, verdict);
            }
            if matches!(notice, Notice::SignedOut | Notice::Closed) {
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
                Notice::SignedOut | Notice::Closed | Notice::NotReached => return,
                Notice::SignedIn { host, user } => (host, Event::HostSignedIn { host_user: user.into() }),
                Notice::SignInRefused { host, user, reason } => {
                    // What was typed, and is no user's name there, may be a password in the wrong field.
                    let user = if sign_ins.was_typed(&session) { String::new() } else { user };
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

/// What a notice says of whether the host lets the session in.
fn verdict_of(notice: &Notice) -> Option<Verdict> {
    match notice {
        Notice::SignedIn { .. } => Some(Verdict::LetIn),
        Notice::SignInRefused { reason, .. } => Some(Verdict::Refused(reason.clone())),
        Notice::Distrusted { .. } | Notice::NotReached => Some(Verdict::Unsettled),
        Notice::Trusted { .. }
        | Notice::Lost { .. }
        | Notice::NoRemoteApp { .. }
        | Notice::SignedOut
        | Notice::Closed => None,
    }
}
