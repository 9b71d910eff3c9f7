//! The host's own link to each of its gateways: what it offers, how busy it is, what it is ordered, what becomes of it. Sessions
//! outlive this link; when it comes back they are announced, and those that the gateway does not want are ended.

use super::config::{HostConfig, HostConfigError};
use super::gateway_at::GatewayAt;
use super::load::{Processors, memory_free_mib};
use super::running::{self, Handle, Happened};
use super::{command, place};
use crate::client::AddressError;
use crate::identity::HostKey;
use crate::link::{Closed, DialError, Inbox, Incoming, Link, Road, dial, dial_any, software};
use crate::wire::{
    self, CloseCode, Control, EndReason, HostLoad, HostMessage, HostOffers, Role, Secret, Start,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
const TICK: Duration = Duration::from_secs(1);
/// A gateway that says nothing for this long is given up.
const SILENT: Duration = Duration::from_secs(10);

/// What a host is asked by its operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    No,
    /// No new sessions; those that there are end by their policies, or when the time for that is over.
    Drain,
    /// All sessions end now.
    Now,
}

#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error(transparent)]
    Config(#[from] HostConfigError),
    #[error("making the directory of sessions' folders {path}: {source}")]
    Runtime { path: std::path::PathBuf, source: std::io::Error },
    #[error("{0}")]
    Unfit(String),
}

#[derive(Debug, thiserror::Error)]
enum NoLink {
    #[error(transparent)]
    Asking(#[from] AddressError),
    #[error(transparent)]
    Dial(#[from] DialError),
    #[error("the gateway answers without TLS, where a host cannot prove which one it is")]
    Plain,
}

/// One of the gateways: all of them know this host and what it runs.
struct Gateway {
    place: GatewayAt,
    link: Option<Link>,
    /// Of its newest link.
    number: u64,
    heard_at: Instant,
}

/// What comes from a gateway.
enum News {
    Linked(Link),
    Said(Incoming),
    Lost(Closed),
}

struct Agent {
    config: Arc<HostConfig>,
    gateways: Vec<Gateway>,
    key: HostKey,
    sessions: BTreeMap<String, Handle>,
    happened: mpsc::Sender<Happened>,
    /// Counts the links.
    links: u64,
    /// Since when there is no link to any gateway.
    linkless_since: Instant,
    draining_until: Option<Instant>,
    processors: Processors,
    cpu_per_mille: u32,
}

/// Offers applications to the `gateways`, each as soon as it can be had, until it is asked to stop and no session is left.
///
/// # Errors
/// When this machine cannot run sessions at all.
pub async fn serve(
    config: HostConfig,
    gateways: Vec<GatewayAt>,
    key: HostKey,
    mut stop: watch::Receiver<Stop>,
) -> Result<(), ServeError> {
    config.check()?;
    command::x_server(config.x_server.as_deref()).map_err(ServeError::Unfit)?;
    for needed in ["setsid", "setpriv", "prlimit", "getent"] {
        if command::find(needed).is_none() {
            return Err(ServeError::Unfit(format!("{needed} is missing: install util-linux and libc-bin")));
        }
    }
    let runtime = config.runtime();
    let failed = |source| ServeError::Runtime { path: runtime.clone(), source };
    place::make_runtime(&runtime).map_err(failed)?;
    let swept = place::sweep(&runtime);
    if swept > 0 {
        tracing::warn!(sessions = swept, "ended what a killed host had left");
    }
    let (happened, mut happenings) = mpsc::channel(256);
    let mut agent = Agent {
        config: Arc::new(config),
        gateways: gateways.into_iter().map(Gateway::new).collect(),
        key,
        sessions: BTreeMap::new(),
        happened,
        links: 0,
        linkless_since: Instant::now(),
        draining_until: None,
        processors: Processors::now(),
        cpu_per_mille: 0,
    };
    let (news, mut heard) = mpsc::channel(256);
    let mut keeping = JoinSet::new();
    for (at, gateway) in agent.gateways.iter().enumerate() {
        keeping.spawn(keep_linked(at, gateway.place.clone(), news.clone()));
    }
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        if agent.draining_until.is_some() && agent.sessions.is_empty() {
            keeping.abort_all();
            for link in agent.gateways.iter().filter_map(|gateway| gateway.link.as_ref()) {
                link.close(CloseCode::GOING_AWAY, "the host is going away");
            }
            // The farewell leaves.
            sleep(Duration::from_millis(100)).await;
            return Ok(());
        }
        tokio::select! {
            Some((at, news)) = heard.recv() => match news {
                News::Linked(link) => agent.introduce(at, link),
                News::Said(message) => agent.on_message(at, message),
                News::Lost(closed) => agent.lost(at, &closed),
            },
            Some(happened) = happenings.recv() => agent.on_happened(happened),
            _ = tick.tick() => agent.on_tick(),
            changed = stop.changed() => {
                // Whoever forgot about this host wants it to end.
                let asked = if changed.is_err() { Stop::Now } else { *stop.borrow_and_update() };
                agent.on_stop(asked);
            }
        }
    }
}

/// Keeps a link to one of the gateways, and passes on what comes from it.
async fn keep_linked(at: usize, place: GatewayAt, news: mpsc::Sender<(usize, News)>) {
    let mut pause = Duration::ZERO;
    loop {
        match dial_after(pause, &place).await {
            Ok((link, mut inbox)) => {
                if news.send((at, News::Linked(link))).await.is_err() {
                    return;
                }
                let closed = loop {
                    match inbox.next().await {
                        Ok(message) => {
                            pause = Duration::ZERO;
                            if news.send((at, News::Said(message))).await.is_err() {
                                return;
                            }
                        }
                        Err(closed) => break closed,
                    }
                };
                let refused = closed.by_peer && closed.code != CloseCode::GOING_AWAY;
                pause = if refused { LONGEST_PAUSE } else { (pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE) };
                if news.send((at, News::Lost(closed))).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                pause = (pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
                let gateway = place.host();
                tracing::warn!(gateway, %error, retry_in_ms = pause.as_millis() as u64, "no link to the gateway");
            }
        }
    }
}

async fn dial_after(pause: Duration, place: &GatewayAt) -> Result<(Link, Inbox), NoLink> {
    sleep(pause).await;
    let target = place.target().await?;
    let (link, inbox) = match target.tls {
        true => dial_any(&target).await?,
        false => dial(&target, Road::Quic).await?,
    };
    if link.exporter().is_none() {
        link.close(CloseCode::DONE, "no TLS");
        return Err(NoLink::Plain);
    }
    Ok((link, inbox))
}

impl Gateway {
    fn new(place: GatewayAt) -> Gateway {
        Gateway { place, link: None, number: 0, heard_at: Instant::now() }
    }

    fn tell(&self, message: HostMessage) {
        if let Some(link) = &self.link {
            link.control(&Control::Host(message));
        }
    }
}

impl Agent {
    /// Tells all gateways.
    fn tell_all(&self, message: &HostMessage) {
        self.gateways.iter().for_each(|gateway| gateway.tell(message.clone()));
    }

    /// Whether the link on which something was ordered is still there.
    fn has(&self, (at, number): (usize, u64)) -> bool {
        self.gateways[at].number == number && self.gateways[at].link.is_some()
    }

    fn is_alone(&self) -> bool {
        self.gateways.iter().all(|gateway| gateway.link.is_none())
    }

    /// The first words on a new link.
    fn introduce(&mut self, at: usize, link: Link) {
        let exporter = link.exporter().unwrap_or_default();
        let proof = self.key.prove(&exporter, &self.config.name);
        link.control(&Control::Hello {
            major: wire::MAJOR,
            minor: wire::MINOR,
            role: Role::Host,
            software: software(),
        });
        self.links += 1;
        let offers = HostOffers {
            host: self.config.name.clone(),
            key: self.key.public(),
            proof: Secret(proof),
            capacity: self.config.capacity,
            applications: self.config.offers.clone(),
            running: self.sessions.values().filter(|it| it.up).map(|it| it.announced.clone()).collect(),
        };
        let load = self.load();
        let gateway = &mut self.gateways[at];
        (gateway.number, gateway.heard_at, gateway.link) = (self.links, Instant::now(), Some(link));
        gateway.tell(HostMessage::Offers(offers));
        gateway.tell(HostMessage::Load(load));
    }

    fn lost(&mut self, at: usize, closed: &Closed) {
        self.gateways[at].link = None;
        if self.is_alone() {
            self.linkless_since = Instant::now();
        }
        let gateway = self.gateways[at].place.host();
        match closed.code {
            CloseCode::REFUSED => tracing::error!(
                gateway,
                reason = %closed,
                "the gateway refuses this host; there: chevet hosts --config FILE add {} {}",
                self.config.name,
                self.key.text()
            ),
            _ => tracing::warn!(gateway, reason = %closed, "the link to the gateway ended; dialling again"),
        }
    }

    fn on_message(&mut self, at: usize, message: Incoming) {
        self.gateways[at].heard_at = Instant::now();
        let Incoming::Control(message) = message else { return };
        match message {
            Control::Welcome { software, .. } => {
                tracing::info!(software, host = self.config.name, "connected to the gateway");
            }
            Control::Host(HostMessage::Start(order)) => self.on_order(at, *order),
            Control::Host(HostMessage::End { session, reason }) => {
                if let Some(handle) = self.sessions.get(&session) {
                    handle.end(reason);
                }
            }
            Control::Ping { number, time_us } => {
                if let Some(link) = &self.gateways[at].link {
                    let now = crate::clock::now_us();
                    link.control(&Control::Pong { number, ping_time_us: time_us, time_us: now });
                }
            }
            _ => {}
        }
    }

    fn on_order(&mut self, at: usize, order: Start) {
        let refused = match () {
            () if self.draining_until.is_some() => Some("this host is being taken out of service"),
            () if self.sessions.len() >= self.config.capacity as usize => Some("this host is full"),
            () if self.sessions.contains_key(&order.session) => Some("there is such a session already"),
            () if !self.config.offers.contains(&order.application) => {
                Some("this host does not offer the application")
            }
            () => None,
        };
        if let Some(error) = refused {
            let refused = HostMessage::Started { request: order.request, error: error.into() };
            return self.gateways[at].tell(refused);
        }
        let name = order.session.clone();
        // Whoever ordered it waits for it.
        let mut gateways: Vec<GatewayAt> =
            self.gateways.iter().map(|gateway| gateway.place.clone()).collect();
        gateways[..=at].rotate_right(1);
        let ordered_on = (at, self.gateways[at].number);
        let handle = running::start(order, ordered_on, self.config.clone(), gateways, self.happened.clone());
        self.sessions.insert(name, handle);
    }

    fn on_happened(&mut self, happened: Happened) {
        match happened {
            Happened::Up { session } => {
                let Some(handle) = self.sessions.get_mut(&session) else { return };
                handle.up = true;
                let (request, ordered_on) = (handle.request, handle.ordered_on);
                if self.has(ordered_on) {
                    let started = HostMessage::Started { request, error: String::new() };
                    self.gateways[ordered_on.0].tell(started);
                } else if let Some(handle) = self.sessions.get(&session) {
                    // Whoever ordered it does not wait any more.
                    handle.end(EndReason::Unwanted);
                }
            }
            Happened::NotStarted { session, error } => {
                let Some(handle) = self.sessions.get(&session) else { return };
                if self.has(handle.ordered_on) {
                    let failed = HostMessage::Started { request: handle.request, error };
                    self.gateways[handle.ordered_on.0].tell(failed);
                }
            }
            Happened::Ended { session, reason, text } => {
                // What has ended is not announced any more.
                if let Some(handle) = self.sessions.get_mut(&session) {
                    handle.up = false;
                }
                self.tell_all(&HostMessage::Ended { session, reason, text });
            }
            Happened::Over { session } => {
                self.sessions.remove(&session);
                self.tell_load();
            }
        }
    }

    fn on_tick(&mut self) {
        let now = Instant::now();
        for gateway in self.gateways.iter().filter(|gateway| now - gateway.heard_at > SILENT) {
            if let Some(link) = &gateway.link {
                link.close(CloseCode::IDLE, "the gateway is silent");
            }
        }
        if self.is_alone() {
            let alone = now - self.linkless_since;
            for handle in
                self.sessions.values().filter(|handle| handle.idle.is_some_and(|idle| alone >= idle))
            {
                handle.end(EndReason::Idle);
            }
        }
        if self.draining_until.is_some_and(|until| now >= until) {
            self.sessions.values().for_each(|handle| handle.end(EndReason::Maintenance));
        }
        let processors = Processors::now();
        self.cpu_per_mille = processors.per_mille_since(self.processors);
        self.processors = processors;
        self.tell_load();
        // The gateway's answer is its sign of life.
        for link in self.gateways.iter().filter_map(|gateway| gateway.link.as_ref()) {
            link.control(&Control::Ping { number: 0, time_us: crate::clock::now_us() });
        }
    }

    fn tell_load(&self) {
        self.tell_all(&HostMessage::Load(self.load()));
    }

    fn load(&self) -> HostLoad {
        HostLoad {
            running: self.sessions.len() as u32,
            cpu_per_mille: self.cpu_per_mille,
            memory_free_mib: memory_free_mib(),
            draining: self.draining_until.is_some(),
        }
    }

    fn on_stop(&mut self, asked: Stop) {
        let patience = match asked {
            Stop::No => return,
            Stop::Drain => Duration::from_secs_f64(self.config.drain_minutes * 60.0),
            Stop::Now => Duration::ZERO,
        };
        tracing::info!(sessions = self.sessions.len(), "no new sessions; ending those that there are");
        let until = Instant::now() + patience;
        self.draining_until = Some(self.draining_until.map_or(until, |before| before.min(until)));
        if patience.is_zero() {
            self.sessions.values().for_each(|handle| handle.end(EndReason::Maintenance));
        }
        self.tell_load();
    }
}
