//! Several gateways that share one PostgreSQL. Each says there every second that it is there, and which sessions hosts have
//! brought to it; whoever looks for a session elsewhere is told where it is. What the others should know at once they are
//! told by the database, too; what was not heard is found by looking. While the database is away nothing of that changes:
//! sessions, viewers and hosts go on.

mod fence;
mod hear;
mod hold;
mod lose;
mod opens;
mod orders;
mod started;

pub(super) use fence::{Fence, Fenced};
pub(super) use hear::{listen, tell_dismissals};
pub(super) use hold::{OPENS_AGAIN, hold};
pub(super) use opens::Opening;
pub(super) use orders::{Ordered, Views, tell_of_itself};

use hear::look_at_drained;
use lose::lost;

use super::config::SiblingsConfig;
use super::hosts;
use super::people::People;
use super::registry::Dismissed;
use super::{SessionConfig, Shared};
use crate::clock;
use crate::identity::new_id;
use crate::identity::ticket::Claims;
use crate::link::Link;
use crate::session::Session;
use crate::store::{Lease, SharedGateway, Store, StoreError};
use crate::wire::limits::MAX_GATEWAYS;
use crate::wire::{Control, GatewayAddress, features};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::sleep;

/// How often a gateway says that it is there, and looks what the others say.
pub(super) const BEAT: Duration = Duration::from_secs(1);
/// One that has not said so for this long, by the database's clock, is gone.
const LASTS: Duration = Duration::from_millis(3_000);
/// A viewer whose session is on its way here waits this long, if it had it before, and if it is new.
const RETURNS_WITHIN: Duration = Duration::from_secs(8);
const COMES_WITHIN: Duration = Duration::from_secs(2);
/// A host that is connected shows its screen within this time, if it has one.
const LIVE_WITHIN: Duration = Duration::from_secs(1);
const LOOK_AGAIN: Duration = Duration::from_millis(250);
/// A gateway that goes waits this long for its sessions to go on elsewhere.
const DRAINS_WITHIN: Duration = Duration::from_secs(30);
const TIDY_EVERY: Duration = Duration::from_secs(60);
/// A gateway that is gone is shown for so long.
const SHOWN_GONE_MS: i64 = 24 * 3_600_000;
/// Tickets by which a client dials by several roads at the same time.
const ROADS_WITHIN_MS: i64 = 10_000;
/// What one database query may take before a viewer is let in without it.
const PATIENCE: Duration = Duration::from_secs(2);

/// How others reach a gateway, as it stands in the database.
#[derive(Serialize, Deserialize)]
struct Address {
    host: String,
    udp_port: Option<u16>,
    tcp_port: u16,
    tls: bool,
    /// In hexadecimal digits.
    pins: Vec<String>,
}

/// What gateways tell each other.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Told {
    /// A gateway came, goes or has gone.
    Gateways,
    /// The gateway of this name is to go.
    Drain(String),
    /// A session has another gateway.
    Session(String),
    /// A session that a host started runs, or has ended.
    Started,
    /// A host that an administrator added, changed or removed.
    RemoteHosts,
    /// An administrator looks at all gateways.
    Look,
    /// Something is asked of the gateway of this start.
    Orders(String),
    /// A host that starts applications is given no new sessions, or some again.
    HostDrained { host: String, drained: bool },
    /// An administrator has forgotten a host's certificate.
    CertificateForgotten { protocol: String, host: String },
    /// A sign-in's viewers must go.
    Dismissed { by: String, sign_in: String, code: u32, reason: String },
    /// Somebody known, at this address outside, looks for a session that the gateway of this start has.
    Outside {
        from: IpAddr,
        holder: String,
        #[serde(default)]
        sign_in: Option<String>,
    },
}

/// Why a session cannot be shown here.
pub(super) enum Missing {
    Unknown,
    /// Who asked came through an edge, which will bring them to the gateway that has it.
    Elsewhere,
}

/// A viewer that came through an edge. It is not told of the other gateways: its edge brings it to them.
struct Outsider {
    session: String,
    from: IpAddr,
    sign_in: Option<String>,
    link: Link,
    /// It takes a second link when it is told to move.
    moves: bool,
}

/// Another gateway.
#[derive(Clone)]
struct Sibling {
    start_id: String,
    draining: bool,
    address: GatewayAddress,
    /// The applications that it can have started.
    offers: Vec<String>,
}

/// A session that this gateway has.
#[derive(Clone)]
struct Held {
    title: String,
    /// The database knows.
    told: bool,
}

pub(super) struct Siblings {
    store: Store,
    name: String,
    start_id: String,
    /// The sessions of the configuration.
    configured: Vec<String>,
    tcp_port: AtomicU16,
    host: String,
    port: Option<u16>,
    draining: AtomicBool,
    drain_asked: Notify,
    /// Somebody looks at all gateways.
    looked_at: Notify,
    fence: Arc<Fence>,
    /// Since when the database has answered without a pause.
    well_since: Mutex<Option<Instant>>,
    others: watch::Sender<Vec<Sibling>>,
    /// A session has come, or gone, or has been seen elsewhere.
    news: Notify,
    /// The sessions that this gateway has.
    held: Mutex<HashMap<String, Held>>,
    outsiders: Mutex<Vec<Outsider>>,
    dismissed: Mutex<Option<mpsc::UnboundedReceiver<Dismissed>>>,
    tell_dismissed: mpsc::UnboundedSender<Dismissed>,
}

impl Siblings {
    /// Opens the store that the gateways share.
    pub async fn open(
        config: &SiblingsConfig,
        url: &str,
        sessions: &[SessionConfig],
    ) -> Result<Siblings, StoreError> {
        let store = Store::open(url).await?;
        let (host, port) = config.reached_at();
        let (tell_dismissed, dismissed) = mpsc::unbounded_channel();
        Ok(Siblings {
            store,
            name: config.name.clone(),
            start_id: new_id(),
            configured: sessions.iter().map(|session| session.name.clone()).collect(),
            tcp_port: AtomicU16::new(0),
            host,
            port,
            draining: AtomicBool::new(false),
            drain_asked: Notify::new(),
            looked_at: Notify::new(),
            fence: Arc::new(Fence::new()),
            well_since: Mutex::new(None),
            others: watch::channel(Vec::new()).0,
            news: Notify::new(),
            held: Mutex::default(),
            outsiders: Mutex::default(),
            dismissed: Mutex::new(Some(dismissed)),
            tell_dismissed,
        })
    }

    fn held(&self) -> MutexGuard<'_, HashMap<String, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn outsiders(&self) -> MutexGuard<'_, Vec<Outsider>> {
        self.outsiders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A viewer of a session that came through an edge.
    pub fn shows_outside(
        &self,
        session: &str,
        from: IpAddr,
        sign_in: Option<&str>,
        link: &Link,
        moves: bool,
    ) {
        let mut outsiders = self.outsiders();
        outsiders.retain(|outsider| outsider.link.closed().is_none());
        let (session, sign_in) = (session.to_owned(), sign_in.map(str::to_owned));
        outsiders.push(Outsider { session, from, sign_in, link: link.clone(), moves });
    }

    /// Has the edges bring whoever dials from this address to the gateway that has a session. Whether that can be asked.
    async fn send_outside(&self, from: IpAddr, sign_in: Option<String>, holder: &str) -> bool {
        let told = Told::Outside { from, holder: holder.to_owned(), sign_in };
        self.is_there(holder) && in_time(self.tell(&told)).await.is_ok()
    }

    fn is_there(&self, start_id: &str) -> bool {
        self.others.borrow().iter().any(|other| other.start_id == start_id)
    }

    fn tcp_port(&self) -> u16 {
        self.tcp_port.load(Ordering::Relaxed)
    }

    /// Where those dismissals go that other gateways are to be told of.
    pub fn dismissals(&self) -> mpsc::UnboundedSender<Dismissed> {
        self.tell_dismissed.clone()
    }

    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// What this gateway says of itself.
    fn own(&self, shared: &Shared, tcp_port: u16) -> SharedGateway {
        let (certificate, udp_port, tls) = (shared.certificate(), shared.udp_port, shared.tls);
        let pins = match certificate.is_self_signed() {
            true => vec![crate::link::fingerprint_text(&certificate.fingerprint())],
            false => Vec::new(),
        };
        let (udp_port, tcp_port) = match self.port {
            Some(port) => (udp_port.map(|_| port), port),
            None => (udp_port, tcp_port),
        };
        let address = Address { host: self.host.clone(), udp_port, tcp_port, tls, pins };
        SharedGateway {
            name: self.name.clone(),
            start_id: self.start_id.clone(),
            address: serde_json::to_string(&address).unwrap_or_default(),
            draining: self.is_draining().into(),
            offers: serde_json::to_string(&shared.hosts.offered()).unwrap_or_default(),
        }
    }

    /// A host has brought a session here. If the database is away, it is told later.
    pub async fn has(&self, session: &str, title: &str) {
        self.held().insert(session.to_owned(), Held { title: title.to_owned(), told: false });
        self.take(session, title).await;
        self.news.notify_waiters();
    }

    async fn take(&self, session: &str, title: &str) {
        let told = async {
            let fence = self.store.take_session(session, title, &self.start_id).await?;
            tracing::info!(session, fence, "this gateway has the session");
            self.tell(&Told::Session(session.to_owned())).await
        };
        match in_time(told).await {
            Ok(()) => {
                if let Some(held) = self.held().get_mut(session) {
                    held.told = true;
                }
            }
            Err(error) => tracing::warn!(session, error, "other gateways could not be told of a session"),
        }
    }

    /// Whether other gateways may have this session, too: not what is started here for somebody alone.
    fn is_shared(&self, shared: &Shared, session: &str) -> bool {
        let configured = self.configured.iter().any(|name| name == session);
        configured || shared.registry.is_brought(session) || shared.remote.is_kept(session)
    }

    pub fn has_now(&self, session: &str) -> bool {
        self.held().contains_key(session)
    }

    pub fn fence(&self) -> Arc<Fence> {
        self.fence.clone()
    }

    /// Waits until somebody asks this gateway to go.
    pub async fn drain_asked(&self) {
        self.drain_asked.notified().await;
    }

    /// Whether what others are known to have is known: one that has just come back may not have said that it is there.
    fn knows_others(&self) -> bool {
        let well_since = *self.well_since.lock().unwrap_or_else(PoisonError::into_inner);
        well_since.is_some_and(|since| since.elapsed() > LASTS)
    }

    fn answers(&self, well: bool) {
        let mut well_since = self.well_since.lock().unwrap_or_else(PoisonError::into_inner);
        *well_since = well_since.or(Some(Instant::now())).filter(|_| well);
    }

    /// Whether there is another gateway to go on at.
    pub fn has_others(&self) -> bool {
        self.others.borrow().iter().any(|other| !other.draining)
    }

    /// The sessions that other gateways have: name and title.
    pub async fn elsewhere(&self) -> Vec<(String, String)> {
        let all = in_time(self.store.leases()).await.unwrap_or_default();
        let others = all.into_iter().filter(|lease| lease.start_id != self.start_id);
        others.map(|Lease { session, title, .. }| (session, title)).collect()
    }

    /// Whether another gateway has a session.
    pub async fn is_elsewhere(&self, session: &str) -> bool {
        self.holder(session).await.is_some()
    }

    /// Takes a ticket for all gateways: whether it had not been used for longer than one client's roads take. Without the
    /// database only this gateway knows of it.
    pub async fn use_ticket(&self, people: &People, claims: &Claims) -> bool {
        let now = clock::unix_ms();
        match in_time(self.store.use_ticket(&claims.id, claims.until - now)).await {
            Ok(used_for_ms) => used_for_ms <= ROADS_WITHIN_MS,
            Err(error) => {
                tracing::warn!(error, "whether a ticket was used elsewhere could not be asked");
                people.broker().use_here(claims, now).is_ok()
            }
        }
    }

    /// This gateway is gone, and with it what it had.
    pub async fn goes(&self) {
        let gone = async {
            self.store.gateway_is_gone(&self.start_id).await?;
            self.tell(&Told::Gateways).await
        };
        let _ = in_time(gone).await;
    }

    /// A host was drained here, or no longer is.
    pub async fn tell_drained(&self, host: &str, drained: bool) {
        let told = Told::HostDrained { host: host.to_owned(), drained };
        if let Err(error) = in_time(self.tell(&told)).await {
            tracing::warn!(error, host, "other gateways could not be told that a host was drained");
        }
    }

    /// A host's certificate was forgotten here.
    pub async fn tell_forgotten(&self, protocol: &str, host: &str) {
        let told = Told::CertificateForgotten { protocol: protocol.to_owned(), host: host.to_owned() };
        if let Err(error) = in_time(self.tell(&told)).await {
            tracing::warn!(error, host, "other gateways could not be told that a certificate was forgotten");
        }
    }

    async fn tell(&self, told: &Told) -> Result<(), StoreError> {
        self.store.tell_gateways(&serde_json::to_string(told).unwrap_or_default()).await
    }

    /// The other gateways for a viewer: first the one that has its session, then those that stay.
    fn list(&self, holder: Option<&str>) -> Vec<GatewayAddress> {
        let mut others = self.others.borrow().clone();
        others.sort_by_key(|other| (holder != Some(other.start_id.as_str()), other.draining));
        others.into_iter().take(MAX_GATEWAYS).map(|other| other.address).collect()
    }

    /// The other gateways for somebody who is to open a session.
    pub async fn list_for(&self, session: &str) -> Vec<GatewayAddress> {
        let holder = self.holder(session).await;
        self.list(holder.as_deref())
    }

    /// The gateway that has a session, if it is another one.
    async fn holder(&self, session: &str) -> Option<String> {
        let lease = in_time(self.store.lease(session)).await.ok()??;
        (lease.start_id != self.start_id).then_some(lease.start_id)
    }

    async fn look_for_others(&self) {
        let Ok(all) = in_time(self.store.gateways()).await else { return };
        let sibling = |gateway: SharedGateway| {
            let Address { host, udp_port, tcp_port, tls, pins } =
                serde_json::from_str(&gateway.address).ok()?;
            let pins = pins.iter().filter_map(|pin| crate::link::parse_fingerprint(pin)).collect();
            let address = GatewayAddress { host, udp_port, tcp_port, tls, pins };
            let offers = serde_json::from_str(&gateway.offers).unwrap_or_default();
            Some(Sibling { start_id: gateway.start_id, draining: gateway.draining != 0, address, offers })
        };
        let others = all.into_iter().filter(|gateway| gateway.start_id != self.start_id);
        let others: Vec<Sibling> = others.filter_map(sibling).collect();
        self.others.send_if_modified(|known| {
            // Viewers need not hear of what a gateway offers.
            let told = |all: &[Sibling]| -> Vec<_> {
                all.iter().map(|it| (it.start_id.clone(), it.draining, it.address.clone())).collect()
            };
            let changed = told(known) != told(&others);
            *known = others;
            changed
        });
    }

    /// Keeps a viewer informed of the other gateways for as long as its link lasts.
    pub async fn accompany(&self, link: &Link, takes: u64) {
        if takes & features::GATEWAYS == 0 {
            link.ended().await;
            return;
        }
        let mut others = self.others.subscribe();
        loop {
            others.borrow_and_update();
            link.control(&Control::Gateways(self.list(None)));
            tokio::select! {
                _ = link.ended() => return,
                changed = others.changed() => if changed.is_err() { return },
            }
        }
    }
}

/// A database that does not answer soon is taken for absent.
async fn in_time<T>(asked: impl Future<Output = Result<T, StoreError>>) -> Result<T, String> {
    match tokio::time::timeout(PATIENCE, asked).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err("the database does not answer".into()),
    }
}

/// Has all sessions go on at other gateways, and waits until they do; not for ever.
pub(super) async fn drain(shared: &Arc<Shared>, siblings: &Arc<Siblings>) {
    siblings.look_for_others().await;
    if !siblings.has_others() {
        return;
    }
    tracing::info!("all sessions are to go on at other gateways");
    siblings.draining.store(true, Ordering::Relaxed);
    let own = siblings.own(shared, siblings.tcp_port());
    let told = async {
        siblings.store.gateway_is_there(&own, LASTS.as_millis() as i64).await?;
        siblings.tell(&Told::Gateways).await
    };
    if let Err(error) = in_time(told).await {
        tracing::warn!(error, "other gateways could not be told that this one goes");
    }
    for (_, link) in shared.registry.host_links() {
        link.control(&Control::Move);
    }
    let own_sessions: Vec<String> =
        siblings.held().keys().filter(|name| !shared.registry.is_brought(name)).cloned().collect();
    for session in own_sessions {
        let left = async {
            siblings.store.leave_session(&session, &siblings.start_id).await?;
            siblings.tell(&Told::Session(session.clone())).await
        };
        let _ = in_time(left).await;
    }
    let end = Instant::now() + DRAINS_WITHIN;
    while Instant::now() < end {
        let viewed = shared.registry.all().iter().any(|session| session.status().viewers > 0);
        if !viewed && siblings.held().is_empty() {
            return;
        }
        sleep(Duration::from_millis(50)).await;
    }
    tracing::warn!("not all sessions went to other gateways");
}

/// The session that a viewer asks for, once it is here. A viewer that can is told meanwhile where else it may be; one that is
/// `outside`, at this address, is sent there by its edge.
pub(super) async fn find(
    shared: &Shared,
    siblings: &Siblings,
    link: &Link,
    name: &str,
    (takes, returns): (u64, bool),
    outside: Option<(IpAddr, Option<String>)>,
) -> Result<Session, Missing> {
    let patience = if returns { RETURNS_WITHIN } else { COMES_WITHIN };
    let end = Instant::now() + patience;
    let mut told = None;
    loop {
        let news = siblings.news.notified();
        tokio::pin!(news);
        news.as_mut().enable();
        if let Some(session) = shared.registry.session(name)
            && (siblings.has_now(name) || !siblings.is_shared(shared, name))
        {
            // Nobody is to see it before the host's screen is here.
            let _ = tokio::time::timeout(LIVE_WITHIN, session.is_live()).await;
            return Ok(session);
        }
        if let Some((from, sign_in)) = &outside {
            // The edge chose by the address alone, which has nothing to do with where a session is.
            if let Some(holder) = siblings.holder(name).await
                && siblings.send_outside(*from, sign_in.clone(), &holder).await
            {
                return Err(Missing::Elsewhere);
            }
        } else if takes & features::GATEWAYS != 0 {
            let holder = siblings.holder(name).await;
            if holder.is_some() && holder != told {
                link.control(&Control::Gateways(siblings.list(holder.as_deref())));
                told = holder;
            }
        }
        let left = end.checked_duration_since(Instant::now()).ok_or(Missing::Unknown)?;
        tokio::select! {
            () = &mut news => {}
            () = sleep(LOOK_AGAIN.min(left)) => {}
            _ = link.ended() => return Err(Missing::Unknown),
        }
    }
}

/// Notes that this process is awake, for as long as it is.
pub(super) async fn keep_fence(siblings: Arc<Siblings>) {
    siblings.fence.keep().await;
}

/// Says that this gateway is there, and looks what the others say, for as long as it runs.
pub(super) async fn beat(shared: Arc<Shared>, siblings: Arc<Siblings>, tcp_port: u16) {
    siblings.tcp_port.store(tcp_port, Ordering::Relaxed);
    let mut well = true;
    let mut tidied = Instant::now();
    loop {
        let began = Instant::now();
        let own = siblings.own(&shared, tcp_port);
        let beaten = in_time(siblings.store.gateway_is_there(&own, LASTS.as_millis() as i64)).await;
        match &beaten {
            Ok(()) if !well => tracing::info!("the gateways' database answers again"),
            Err(error) if well => {
                tracing::warn!(error, "the gateways' database does not answer; what runs goes on without it");
            }
            _ => {}
        }
        siblings.answers(beaten.is_ok());
        if beaten.is_ok() {
            look(&shared, &siblings).await;
            siblings.fence.looked(began);
            orders::obey(&shared, &siblings).await;
        }
        well = beaten.is_ok();
        if tidied.elapsed() > TIDY_EVERY {
            tidied = Instant::now();
            let _ = in_time(siblings.store.forget_tickets()).await;
            let _ = in_time(siblings.store.forget_gateways(SHOWN_GONE_MS)).await;
            look_at_drained(&shared, &siblings).await;
            let _ = in_time(siblings.store.forget_started()).await;
        }
        sleep(BEAT).await;
    }
}

/// What the database says of the other gateways, and of who has which session.
async fn look(shared: &Arc<Shared>, siblings: &Arc<Siblings>) {
    siblings.look_for_others().await;
    hosts::learn(shared).await;
    let Ok(leases) = in_time(siblings.store.leases()).await else { return };
    let holder = |session: &str| leases.iter().find(|lease| lease.session == session);
    let held: Vec<(String, Held)> =
        siblings.held().iter().map(|(name, held)| (name.clone(), held.clone())).collect();
    for (session, held) in held {
        match holder(&session) {
            Some(lease) if lease.start_id == siblings.start_id => {}
            Some(lease) if held.told => lost(shared, siblings, &session, &lease.start_id),
            // The host's word counts: it brought the session here while the database was away.
            _ if shared.registry.is_connected(&session) => siblings.take(&session, &held.title).await,
            _ => {}
        }
    }
}

/// Asks the gateway of this name to go. Whether there is such a one.
pub async fn ask_to_drain(store: &Store, name: &str) -> Result<bool, StoreError> {
    let there = store.gateways().await?.iter().any(|gateway| gateway.name == name);
    if there {
        store
            .tell_gateways(&serde_json::to_string(&Told::Drain(name.to_owned())).unwrap_or_default())
            .await?;
    }
    Ok(there)
}
