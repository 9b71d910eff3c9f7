//! The hosts that start sessions for this gateway's users: who is connected, what each may run, what runs where, and its
//! beginning and end. [`link`] serves a host's link, [`start`] gives somebody a session, [`watch`] ends by policy.
//!
//! A host is believed about itself alone: its sessions are those that the gateway ordered from it, which a token proves
//! that nobody else can make.

mod link;
#[cfg(feature = "rdp")]
mod remote;
mod several;
mod start;
#[cfg(feature = "rdp")]
mod tries;
mod watch;

pub(super) use link::serve;
#[cfg(feature = "rdp")]
pub(super) use remote::{CredentialsAsked, Typed, give, restart, to_be_asked};
pub(super) use several::{is_available, learn};
pub(super) use start::{OpenError, end_own, open, open_here};
pub(super) use watch::{drain_told, sign_in_ended, watch};

use super::Shared;
use crate::audit::{Event, Record};
use crate::broker::{Applications, Candidate, Running};
use crate::identity::Person;
use crate::link::Link;
use crate::session::Whom;
use crate::wire::{CloseCode, Control, EndReason, HostLoad, HostMessage};
use aws_lc_rs::{constant_time, hmac};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, oneshot};

/// A host that is not back by then has lost its sessions.
const GONE_AFTER: Duration = Duration::from_secs(60);
/// Ended sessions that are remembered until their hosts come back and are told.
const MOST_ENDED: usize = 4_096;

/// Held by whoever is being given an application.
type Turn = Arc<tokio::sync::Mutex<()>>;

/// A host that has been here since the gateway's start.
struct Host {
    link: Option<Link>,
    /// Counts the links of all hosts.
    number: u64,
    gone_since: Instant,
    /// What it offers and may run.
    applications: BTreeSet<String>,
    capacity: u32,
    load: HostLoad,
    software: String,
    peer: IpAddr,
    joined_at: i64,
    seen_at: i64,
    /// An administrator wants it to be given no new sessions.
    drained: bool,
    /// Those who work there have been told that it is going out of service.
    told: bool,
    /// A start failed there: others are asked first until then.
    failed_until: Option<Instant>,
    /// Orders that are not answered yet.
    waiting: HashMap<u64, oneshot::Sender<Result<(), String>>>,
}

impl Host {
    fn is_draining(&self) -> bool {
        self.drained || self.load.draining
    }
}

/// What is told of a host to administrators.
#[derive(Clone, Debug, serde::Serialize, utoipa::ToSchema)]
pub(super) struct HostStatus {
    pub name: String,
    pub connected: bool,
    pub draining: bool,
    /// Drained by an administrator here, rather than at the host.
    pub drained: bool,
    pub software: String,
    pub peer: String,
    /// Milliseconds since 1970; 0: not since the gateway's start.
    pub joined_at: i64,
    /// 0: never.
    pub seen_at: i64,
    pub sessions: usize,
    pub capacity: u32,
    pub cpu_per_mille: u32,
    pub memory_free_mib: u64,
    pub applications: Vec<String>,
}

impl HostStatus {
    /// Of a host that has not been here.
    pub fn absent(name: &str) -> HostStatus {
        HostStatus {
            name: name.to_owned(),
            connected: false,
            draining: false,
            drained: false,
            software: String::new(),
            peer: String::new(),
            joined_at: 0,
            seen_at: 0,
            sessions: 0,
            capacity: 0,
            cpu_per_mille: 0,
            memory_free_mib: 0,
            applications: Vec::new(),
        }
    }
}

pub(crate) struct Hosts {
    applications: Arc<Applications>,
    secret: hmac::Key,
    hosts: Mutex<BTreeMap<String, Host>>,
    /// Who is being given which application: one at a time.
    opening: Mutex<HashMap<(String, String), Turn>>,
    /// Sessions that have ended and whose hosts have not heard of it.
    ended: Mutex<HashSet<String>>,
    /// Sessions that have ended and of which the database of several gateways has not heard, with the reasons.
    untold: Mutex<HashMap<String, String>>,
    /// A host has brought a session.
    offered: Notify,
    numbers: AtomicU64,
    #[cfg(feature = "rdp")]
    tries: tries::Tries,
}

impl Hosts {
    pub fn new(applications: Arc<Applications>, secret: &hmac::Key) -> Self {
        Hosts {
            applications,
            secret: secret.clone(),
            hosts: Mutex::default(),
            opening: Mutex::default(),
            ended: Mutex::default(),
            untold: Mutex::default(),
            offered: Notify::new(),
            numbers: AtomicU64::new(1),
            #[cfg(feature = "rdp")]
            tries: tries::Tries::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Host>> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ended(&self) -> MutexGuard<'_, HashSet<String>> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn untold(&self) -> MutexGuard<'_, HashMap<String, String>> {
        self.untold.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The database is to hear of an end later.
    fn note_untold(&self, session: &str, words: &str) {
        let mut untold = self.untold();
        if untold.len() < MOST_ENDED {
            untold.insert(session.to_owned(), words.to_owned());
        }
    }

    pub fn applications(&self) -> &Applications {
        &self.applications
    }

    /// What proves that this gateway ordered a session from a host, for a user. The same after a restart.
    fn token(&self, host: &str, session: &str, user: &str) -> Vec<u8> {
        // Lengths before the texts, or two of them could be cut elsewhere.
        let mut said = b"chevet session 1".to_vec();
        for text in [host, session, user] {
            said.extend_from_slice(&(text.len() as u64).to_le_bytes());
            said.extend_from_slice(text.as_bytes());
        }
        hmac::sign(&self.secret, &said).as_ref().to_vec()
    }

    /// Whether whoever shows this may bring a session of an application's; `None`: it is no application's.
    pub fn may_bring(&self, session: &str, shown: &[u8]) -> Option<Result<(), CloseCode>> {
        if self.applications.named(session).is_some() {
            return Some(Err(CloseCode::REFUSED));
        }
        self.applications.of_session(session)?;
        let Some(running) = self.applications.running(session) else {
            // Its host's own link may only be on its way: it asks again.
            return Some(Err(CloseCode::NO_SESSION));
        };
        let token = self.token(&running.host, session, &running.user);
        let right = constant_time::verify_slices_are_equal(shown, &token).is_ok();
        Some(if right { Ok(()) } else { Err(CloseCode::REFUSED) })
    }

    /// A host has brought a session.
    pub fn brought(&self) {
        self.offered.notify_waiters();
    }

    fn candidates(&self, application: &str) -> Vec<Candidate> {
        let running = self.applications.all_running();
        let hosts = self.lock();
        let able = hosts.iter().filter(|(_, host)| {
            host.link.as_ref().is_some_and(|link| link.closed().is_none())
                && host.applications.contains(application)
                && !host.drained
        });
        able.map(|(name, host)| Candidate {
            host: name.clone(),
            load: host.load,
            sessions: (running.iter().filter(|one| one.host == *name).count() as u32).max(host.load.running),
            capacity: host.capacity,
        })
        .collect()
    }

    /// Whether somebody who asked for an application now could be given it.
    pub fn can_start(&self, application: &str) -> bool {
        self.applications.named(application).is_some_and(|application| application.is_remote())
            || !self.candidates(application).is_empty()
    }

    /// The applications that hosts which are connected here can be given.
    pub fn offered(&self) -> BTreeSet<String> {
        let hosts = self.lock();
        let able = hosts.values().filter(|host| {
            host.link.as_ref().is_some_and(|link| link.closed().is_none()) && !host.is_draining()
        });
        able.flat_map(|host| host.applications.iter().cloned()).collect()
    }

    fn tell(&self, host: &str, message: HostMessage) -> bool {
        match self.lock().get(host).and_then(|host| host.link.clone()) {
            Some(link) if link.closed().is_none() => {
                link.control(&Control::Host(message));
                true
            }
            _ => false,
        }
    }

    /// Every host that has been here, by name.
    pub fn status(&self) -> Vec<HostStatus> {
        let running = self.applications.all_running();
        let hosts = self.lock();
        let status = |(name, host): (&String, &Host)| HostStatus {
            name: name.clone(),
            connected: host.link.as_ref().is_some_and(|link| link.closed().is_none()),
            draining: host.is_draining(),
            drained: host.drained,
            software: host.software.clone(),
            peer: host.peer.to_canonical().to_string(),
            joined_at: host.joined_at,
            seen_at: host.seen_at,
            sessions: running.iter().filter(|one| one.host == *name).count(),
            capacity: host.capacity,
            cpu_per_mille: host.load.cpu_per_mille,
            memory_free_mib: host.load.memory_free_mib,
            applications: host.applications.iter().cloned().collect(),
        };
        hosts.iter().map(status).collect()
    }

    /// A host is to be given no new sessions, or some again.
    pub fn drain(&self, host: &str, drained: bool) {
        if let Some(host) = self.lock().get_mut(host) {
            host.drained = drained;
            host.told &= host.is_draining();
        }
    }
}

/// Who ended a session, for the audit.
pub(super) fn by(record: Record, person: Option<&Person>) -> Record {
    match person {
        Some(Person { user, sign_in }) => {
            record.user(user.name.as_str(), user.title.as_str()).seat(sign_in.seat.as_str())
        }
        None => record,
    }
}

/// Ends a session, tells its host and whoever looks, and records it. Whether there was one.
pub(super) async fn end(
    shared: &Shared,
    session: &str,
    reason: EndReason,
    text: &str,
    person: Option<&Person>,
) -> bool {
    let words = words(reason, text);
    let Some(running) = shared.hosts.applications.running(session) else { return false };
    let application = shared.hosts.applications.named(&running.application);
    let remote = application.is_some_and(|application| application.is_remote());
    let mut decided = false;
    if let Some(siblings) = shared.siblings.as_ref().filter(|_| !remote) {
        // Nobody may end by policy what is at another gateway.
        let by_policy = matches!(reason, EndReason::Idle | EndReason::Maintenance | EndReason::HostGone);
        match siblings.finish(session, &words, by_policy).await {
            Ok(true) => decided = true,
            Ok(false) => return false,
            // Policies wait until the database answers.
            Err(_) if by_policy => return false,
            Err(_) => {
                shared.hosts.note_untold(session, &words);
            }
        }
    }
    let running = match shared.hosts.applications.finish(session, &words) {
        Some(running) => running,
        // This gateway has learnt from the database meanwhile what it decided itself.
        None if decided => running,
        None => return false,
    };
    let told = shared.hosts.tell(&running.host, HostMessage::End { session: session.to_owned(), reason });
    if !told && !remote {
        let mut ended = shared.hosts.ended();
        if ended.len() < MOST_ENDED {
            ended.insert(session.to_owned());
        }
    }
    forget(shared, &running, &words, person, true).await;
    true
}

/// Why a session ended, for people.
fn words(reason: EndReason, text: &str) -> String {
    match text {
        "" => reason.name().to_owned(),
        text => format!("{} ({text})", reason.name()),
    }
}

/// A session is over: whoever looks is told, and it is recorded.
///
/// `records`: this gateway, of several, records it.
async fn forget(shared: &Shared, running: &Running, words: &str, person: Option<&Person>, records: bool) {
    if let Some(siblings) = &shared.siblings {
        siblings.forgets(&running.session).await;
    }
    if let Some(session) = shared.registry.remove(&running.session) {
        session.end(Whom::All, CloseCode::ENDED, words).await;
    }
    #[cfg(feature = "rdp")]
    shared.registry.rdp().sign_ins().forget(&running.session);
    if !records {
        return;
    }
    let record = Record::new(Event::SessionEnded { reason: words.into() });
    let record = record.session(running.session.as_str()).application(running.application.as_str());
    shared.audit.record(by(record.host(running.host.as_str()), person));
}
