//! The sessions of this gateway by name: those of its own displays and those that hosts offer.

use super::config::SessionConfig;
use super::edges::Edges;
use super::handover::Applied;
use super::siblings::{Fence, Fenced};
use crate::link::{Inbox, Link};
use crate::screen::{HashKey, SizeError};
use crate::session::{HeldBy, Session, Status};
use crate::source::rfb::VncSource;
use crate::source::{
    Canvas, NativeSource, PatternConfig, PatternSource, Source, SourceEvent, SyntheticConfig,
    SyntheticSource, X11Error, X11Source, XServer,
};
use crate::wire::{CloseCode, Policy};
use aws_lc_rs::hmac;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use zeroize::Zeroizing;

/// Sessions that hosts may offer to one gateway.
pub(super) const MAX_SESSIONS: usize = 4_096;
/// An offered session whose host has been gone for this long is forgotten.
const GONE_AFTER: Duration = Duration::from_secs(24 * 3600);
/// Before a source knows better.
const FIRST_SIZE: (u32, u32) = (1024, 768);
const EVENTS: usize = 64;

#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    #[error("session {name:?}: {source}")]
    X11 { name: String, source: X11Error },
    #[error("session {name:?}: {source}")]
    Size { name: String, source: SizeError },
    #[cfg(feature = "rdp")]
    #[error("session {name:?}: {source}")]
    Rdp { name: String, source: crate::source::rdp::RdpError },
    #[error("the name {0:?} belongs to a session of the gateway's own; choose another with --name")]
    Taken(String),
    #[error("this gateway has {MAX_SESSIONS} sessions already")]
    Full,
}

/// What is told of a session to who may see it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Listed {
    pub name: String,
    pub title: String,
    pub state: &'static str,
    pub waiting_for: String,
    pub width: u32,
    pub height: u32,
    pub viewers: usize,
    #[serde(skip)]
    pub held_by: Option<HeldBy>,
}

struct Entry {
    session: Session,
    /// The source, if hosts bring it.
    host: Option<Arc<NativeSource>>,
    /// The newest link of a host, and since when it has been seen to be gone.
    link: Option<Link>,
    gone_since: Option<Instant>,
}

impl Entry {
    /// Whether the host has been gone for so long that the session is to be forgotten.
    fn is_over(&mut self, now: Instant) -> bool {
        let gone = self.link.as_ref().is_some_and(|link| link.closed().is_some());
        match gone {
            true => now.saturating_duration_since(*self.gone_since.get_or_insert(now)) >= GONE_AFTER,
            false => {
                self.gone_since = None;
                false
            }
        }
    }
}

/// A sign-in's viewers must go.
#[derive(Debug)]
pub(super) struct Dismissed {
    pub sign_in: String,
    pub code: CloseCode,
    pub reason: String,
}

/// All sessions, by name.
pub struct Registry {
    key_secret: hmac::Key,
    #[cfg(feature = "rdp")]
    rdp: super::rdp::RdpHosts,
    vnc: super::vnc::VncHosts,
    sessions: Mutex<BTreeMap<String, Entry>>,
    /// Of sessions that a gateway before this one had, and that are not here yet.
    applied: Mutex<Applied>,
    /// What sources that this gateway opens by itself are guarded by, if other gateways could have them.
    fence: Option<Arc<Fence>>,
    /// Where other gateways are told of dismissals.
    dismissals: Option<tokio::sync::mpsc::UnboundedSender<Dismissed>>,
    /// Where clients of sign-ins that have ended are let in no longer, if edges are dialled.
    edges: OnceLock<Arc<Edges>>,
}

impl Registry {
    pub(super) fn new(key_secret: hmac::Key) -> Self {
        Registry {
            key_secret,
            #[cfg(feature = "rdp")]
            rdp: super::rdp::RdpHosts::default(),
            vnc: super::vnc::VncHosts::default(),
            sessions: Mutex::default(),
            applied: Mutex::default(),
            fence: None,
            dismissals: None,
            edges: OnceLock::new(),
        }
    }

    /// Other gateways are told of those whose viewers must go.
    pub(super) fn telling(mut self, dismissals: tokio::sync::mpsc::UnboundedSender<Dismissed>) -> Self {
        self.dismissals = Some(dismissals);
        self
    }

    /// These edges are told of the ends of sign-ins.
    pub(super) fn tells(&self, edges: &Arc<Edges>) {
        let _ = self.edges.set(edges.clone());
    }

    /// The configuration's own sessions may be other gateways'.
    pub(super) fn fenced_by(mut self, fence: Arc<Fence>) -> Self {
        self.fence = Some(fence);
        self
    }

    fn fenced(&self, source: Arc<dyn Source>) -> Arc<dyn Source> {
        match &self.fence {
            Some(fence) => Arc::new(Fenced { source, fence: fence.clone() }),
            None => source,
        }
    }

    /// With what sessions on VNC servers remember and tell.
    pub(super) fn with_vnc(mut self, vnc: super::vnc::VncHosts) -> Self {
        self.vnc = vnc;
        self
    }

    /// With what sessions on RDP hosts remember and tell.
    #[cfg(feature = "rdp")]
    pub(super) fn with_rdp(mut self, rdp: super::rdp::RdpHosts) -> Self {
        self.rdp = rdp;
        self
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The key of a session's tile hashes: the same after a restart if the gateway remembers its secret.
    fn hash_key(&self, name: &str) -> HashKey {
        let tag = hmac::sign(&self.key_secret, name.as_bytes());
        let first = tag.as_ref().first_chunk().copied().unwrap_or_default();
        HashKey(u64::from_le_bytes(first))
    }

    /// Sessions go on from what was applied of them before.
    pub(super) fn goes_on_from(&self, applied: Applied) {
        *self.applied.lock().unwrap_or_else(PoisonError::into_inner) = applied;
    }

    fn remember(&self, session: &Session) {
        let applied = self.applied.lock().unwrap_or_else(PoisonError::into_inner).take(session.name());
        if !applied.is_empty() {
            session.remember(applied);
        }
    }

    /// Lets all viewers of all sessions go, to a gateway that goes on with these.
    pub(super) async fn leave(&self) -> Applied {
        let mut applied = Applied::default();
        for session in self.all() {
            applied.add(session.name(), session.leave().await);
        }
        applied
    }

    /// Lets a session's viewers go to the one of the same name that is started next, which goes on from what was applied.
    pub(super) async fn let_go(&self, name: &str) {
        let Some(session) = self.session(name) else { return };
        let applied = session.leave().await;
        self.applied.lock().unwrap_or_else(PoisonError::into_inner).add(name, applied);
        drop(self.remove(name));
    }

    /// What sessions on VNC servers share.
    pub(super) fn vnc(&self) -> &super::vnc::VncHosts {
        &self.vnc
    }

    /// What sessions on RDP hosts share.
    #[cfg(feature = "rdp")]
    pub(super) fn rdp(&self) -> &super::rdp::RdpHosts {
        &self.rdp
    }

    /// Starts a session of this machine.
    pub fn start_local(&self, config: &SessionConfig) -> Result<(), RegistryError> {
        self.start_with(config, None)
    }

    /// The same with a password of a VNC server's or an RDP host's, instead of the one in a file.
    pub(super) fn start_with(
        &self,
        config: &SessionConfig,
        password: Option<Zeroizing<String>>,
    ) -> Result<(), RegistryError> {
        let name = &config.name;
        #[cfg(feature = "rdp")]
        if let Some(settings) = &config.rdp {
            let title = config.title.as_deref().unwrap_or(name);
            let keyring = match password {
                None => crate::source::rdp::keyring(settings),
                Some(password) => {
                    let (user, domain) = (settings.user.clone(), settings.domain.clone());
                    let login = crate::source::rdp::Login { user, domain, password };
                    Arc::new(move || Ok(login.clone()))
                }
            };
            return self.start_rdp(name, title, config.policy, settings.clone(), keyring, FIRST_SIZE);
        }
        let (width, height) = config.pattern.as_ref().map_or(FIRST_SIZE, |p| (p.width, p.height));
        let size = |source| RegistryError::Size { name: name.clone(), source };
        let canvas = Arc::new(Canvas::new(width, height).map_err(size)?);
        let (events, to_session) = mpsc::channel(EVENTS);
        let source: Arc<dyn Source> = match (&config.vnc, &config.display, &config.pattern) {
            (Some(vnc), ..) => {
                let ties = self.vnc.ties(name, &vnc.address, password);
                Arc::new(VncSource::start(vnc.clone(), ties, canvas.clone(), events))
            }
            (None, Some(display), _) => {
                let server = XServer { display: display.clone(), authority: config.xauthority.clone() };
                let started = X11Source::start(&server, canvas.clone(), events);
                Arc::new(started.map_err(|source| RegistryError::X11 { name: name.clone(), source })?)
            }
            (None, None, pattern) => {
                let pattern = pattern.clone().unwrap_or_default();
                let pattern = PatternConfig {
                    seed: pattern.seed,
                    width,
                    height,
                    frames_per_second: pattern.frames_per_second,
                };
                Arc::new(PatternSource::start(canvas.clone(), events, pattern).map_err(size)?)
            }
        };
        let title = config.title.as_deref().unwrap_or(name);
        let source = self.fenced(source);
        let session =
            Session::start(name, title, self.hash_key(name), config.policy, canvas, source, to_session);
        let session = session.map_err(size)?;
        self.remember(&session);
        self.lock().insert(name.clone(), Entry { session, host: None, link: None, gone_since: None });
        Ok(())
    }

    /// Whether a session's user has signed out on its RDP host since this was asked last.
    #[cfg(feature = "rdp")]
    pub(super) fn is_over(&self, session: &str) -> bool {
        self.rdp.is_over(session)
    }

    /// Starts a session on an RDP host, with the credentials that `keyring` gives.
    #[cfg(feature = "rdp")]
    pub(super) fn start_rdp(
        &self,
        name: &str,
        title: &str,
        policy: Policy,
        settings: crate::source::rdp::RdpSettings,
        keyring: crate::source::rdp::Keyring,
        first_size: (u32, u32),
    ) -> Result<(), RegistryError> {
        let size = |source| RegistryError::Size { name: name.to_owned(), source };
        let canvas = Arc::new(Canvas::new(first_size.0, first_size.1).map_err(size)?);
        let (events, to_session) = mpsc::channel(EVENTS);
        let config = self.rdp.source(name, settings, keyring, first_size);
        let started = crate::source::rdp::RdpSource::start(config, canvas.clone(), events);
        let source = started.map_err(|source| RegistryError::Rdp { name: name.to_owned(), source })?;
        let source = self.fenced(Arc::new(source));
        let session = Session::start(name, title, self.hash_key(name), policy, canvas, source, to_session);
        let session = session.map_err(size)?;
        self.remember(&session);
        let entry = Entry { session, host: None, link: None, gone_since: None };
        self.lock().insert(name.to_owned(), entry);
        Ok(())
    }

    /// Starts a session that has no host, for loading this gateway.
    pub fn start_synthetic(
        &self,
        name: &str,
        title: &str,
        config: SyntheticConfig,
    ) -> Result<(), RegistryError> {
        let size = |source| RegistryError::Size { name: name.to_owned(), source };
        let canvas = Arc::new(Canvas::new(config.width, config.height).map_err(size)?);
        let (events, to_session) = mpsc::channel(EVENTS);
        let source = Arc::new(SyntheticSource::start(canvas.clone(), &events, config).map_err(size)?);
        let session =
            Session::start(name, title, self.hash_key(name), Policy::default(), canvas, source, to_session);
        let session = session.map_err(size)?;
        let entry = Entry { session, host: None, link: None, gone_since: None };
        self.lock().insert(name.to_owned(), entry);
        Ok(())
    }

    /// A host offers a session: a new one, or one that it had offered before.
    pub(super) async fn offer(
        &self,
        name: &str,
        title: &str,
        link: Link,
        inbox: Inbox,
        minor: u64,
    ) -> Result<(), RegistryError> {
        match self.host_of(name, title, &link) {
            Ok(host) => host.relink(link, inbox, minor).await,
            Err(error) => {
                link.close(CloseCode::REFUSED, &error.to_string());
                return Err(error);
            }
        }
        Ok(())
    }

    fn host_of(&self, name: &str, title: &str, link: &Link) -> Result<Arc<NativeSource>, RegistryError> {
        let mut sessions = self.lock();
        if let Some(entry) = sessions.get_mut(name) {
            let host = entry.host.clone().ok_or_else(|| RegistryError::Taken(name.to_owned()))?;
            (entry.link, entry.gone_since) = (Some(link.clone()), None);
            return Ok(host);
        }
        if sessions.len() >= MAX_SESSIONS {
            return Err(RegistryError::Full);
        }
        let size = |source| RegistryError::Size { name: name.to_owned(), source };
        let canvas = Arc::new(Canvas::new(FIRST_SIZE.0, FIRST_SIZE.1).map_err(size)?);
        let (events, to_session): (mpsc::Sender<SourceEvent>, _) = mpsc::channel(EVENTS);
        let host = Arc::new(NativeSource::start(name, canvas.clone(), events));
        let title = if title.is_empty() { name } else { title };
        let session = Session::start(
            name,
            title,
            self.hash_key(name),
            // The host says which, once it is attached to.
            Policy::default(),
            canvas,
            host.clone(),
            to_session,
        )
        .map_err(size)?;
        self.remember(&session);
        sessions.insert(
            name.to_owned(),
            Entry { session, host: Some(host.clone()), link: Some(link.clone()), gone_since: None },
        );
        Ok(host)
    }

    pub fn session(&self, name: &str) -> Option<Session> {
        self.lock().get(name).map(|entry| entry.session.clone())
    }

    /// Whether a session is a host's rather than this gateway's own.
    pub(super) fn is_brought(&self, name: &str) -> bool {
        self.lock().get(name).is_some_and(|entry| entry.host.is_some())
    }

    /// Whether the host of a session is connected.
    pub fn is_connected(&self, name: &str) -> bool {
        let sessions = self.lock();
        let link = sessions.get(name).and_then(|entry| entry.link.as_ref());
        link.is_some_and(|link| link.closed().is_none())
    }

    /// The links of hosts, and which session each brought.
    pub(super) fn host_links(&self) -> Vec<(String, Link)> {
        let sessions = self.lock();
        let linked = sessions.iter().filter_map(|(name, entry)| Some((name.clone(), entry.link.clone()?)));
        linked.filter(|(_, link)| link.closed().is_none()).collect()
    }

    /// A handle on every session, by name.
    pub fn all(&self) -> Vec<Session> {
        self.lock().values().map(|entry| entry.session.clone()).collect()
    }

    /// Every session, by name.
    pub fn list(&self) -> Vec<Listed> {
        let listed = |entry: &Entry| {
            let Status { live, waiting_for, width, height, viewers, held_by, .. } = entry.session.status();
            Listed {
                name: entry.session.name().to_owned(),
                title: entry.session.title().to_owned(),
                state: if live { "live" } else { "waiting" },
                waiting_for,
                width,
                height,
                viewers,
                held_by,
            }
        };
        self.lock().values().map(listed).collect()
    }

    /// Ends the links of a sign-in's viewers, whatever they view, and at whichever gateway.
    pub async fn dismiss(&self, sign_in: &str, code: CloseCode, reason: &str) {
        if let Some(dismissals) = &self.dismissals {
            let (sign_in, reason) = (sign_in.to_owned(), reason.to_owned());
            let _ = dismissals.send(Dismissed { sign_in, code, reason });
        }
        self.dismiss_here(sign_in, code, reason).await;
    }

    /// The same at this gateway alone.
    pub(super) async fn dismiss_here(&self, sign_in: &str, code: CloseCode, reason: &str) {
        if let Some(edges) = self.edges.get() {
            edges.forget(sign_in);
        }
        let sessions: Vec<Session> = self.lock().values().map(|entry| entry.session.clone()).collect();
        for session in sessions {
            session.dismiss(sign_in, code, reason).await;
        }
    }

    /// Ends the offered sessions whose hosts have been gone for a day, and names them. To be called every few minutes.
    pub fn forget_gone(&self, now: Instant) -> Vec<String> {
        let mut gone = Vec::new();
        self.lock().retain(|name, entry| {
            let over = entry.is_over(now);
            if over {
                tracing::info!(session = name, "forgotten: its host has been gone for a day");
                gone.push(name.clone());
            }
            !over
        });
        gone
    }

    /// Takes a session out: it ends with the last handle on it.
    pub(super) fn remove(&self, name: &str) -> Option<Session> {
        self.lock().remove(name).map(|entry| entry.session)
    }

    /// Ends every session.
    pub(super) fn clear(&self) {
        self.lock().clear();
    }
}
