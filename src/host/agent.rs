//! The host's own link to its gateway: what it offers, how busy it is, what it is ordered, what becomes of it. Sessions
//! outlive this link; when it comes back they are announced, and those that the gateway does not want are ended.

use super::config::{HostConfig, HostConfigError};
use super::load::{Processors, memory_free_mib};
use super::running::{self, Handle, Happened};
use super::{command, place};
use crate::identity::HostKey;
use crate::link::{Closed, DialError, Inbox, Incoming, Link, Road, Target, dial, dial_any, software};
use crate::wire::{
    self, CloseCode, Control, EndReason, HostLoad, HostMessage, HostOffers, Role, Secret, Start,
};
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
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
    Dial(#[from] DialError),
    #[error("the gateway answers without TLS, where a host cannot prove which one it is")]
    Plain,
}

type Dialling = Pin<Box<dyn Future<Output = Result<(Link, Inbox), NoLink>> + Send>>;

struct Agent {
    config: Arc<HostConfig>,
    target: Target,
    key: HostKey,
    sessions: BTreeMap<String, Handle>,
    happened: mpsc::Sender<Happened>,
    link: Option<Link>,
    /// Counts the links.
    link_number: u64,
    linkless_since: Instant,
    heard_at: Instant,
    draining_until: Option<Instant>,
    processors: Processors,
    cpu_per_mille: u32,
}

/// Offers applications to the gateway at `target` until it is asked to stop and no session is left.
///
/// # Errors
/// When this machine cannot run sessions at all.
pub async fn serve(
    config: HostConfig,
    target: Target,
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
        target,
        key,
        sessions: BTreeMap::new(),
        happened,
        link: None,
        link_number: 0,
        linkless_since: Instant::now(),
        heard_at: Instant::now(),
        draining_until: None,
        processors: Processors::now(),
        cpu_per_mille: 0,
    };
    let mut inbox: Option<Inbox> = None;
    let mut dialling: Option<Dialling> = None;
    let mut pause = Duration::ZERO;
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        if agent.draining_until.is_some() && agent.sessions.is_empty() {
            if let Some(link) = &agent.link {
                link.close(CloseCode::GOING_AWAY, "the host is going away");
                // The farewell leaves.
                sleep(Duration::from_millis(100)).await;
            }
            return Ok(());
        }
        if agent.link.is_none() && dialling.is_none() {
            dialling = Some(Box::pin(dial_after(pause, agent.target.clone())));
        }
        tokio::select! {
            dialled = reached(&mut dialling) => {
                dialling = None;
                match dialled {
                    Ok((link, messages)) => {
                        agent.introduce(link);
                        inbox = Some(messages);
                    }
                    Err(error) => {
                        pause = (pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
                        tracing::warn!(%error, retry_in_ms = pause.as_millis() as u64, "no link to the gateway");
                    }
                }
            }
            message = heard(&mut inbox) => match message {
                Ok(message) => {
                    pause = Duration::ZERO;
                    agent.on_message(message);
                }
                Err(closed) => {
                    inbox = None;
                    agent.lost(&closed);
                    let refused = closed.by_peer && closed.code != CloseCode::GOING_AWAY;
                    pause = if refused { LONGEST_PAUSE } else { (pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE) };
                }
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

async fn reached(dialling: &mut Option<Dialling>) -> Result<(Link, Inbox), NoLink> {
    match dialling {
        Some(dialling) => dialling.await,
        None => std::future::pending().await,
    }
}

async fn heard(inbox: &mut Option<Inbox>) -> Result<Incoming, Closed> {
    match inbox {
        Some(inbox) => inbox.next().await,
        None => std::future::pending().await,
    }
}

async fn dial_after(pause: Duration, target: Target) -> Result<(Link, Inbox), NoLink> {
    sleep(pause).await;
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

impl Agent {
    fn tell(&self, message: HostMessage) {
        if let Some(link) = &self.link {
            link.control(&Control::Host(message));
        }
    }

    /// The first words on a new link.
    fn introduce(&mut self, link: Link) {
        let exporter = link.exporter().unwrap_or_default();
        let proof = self.key.prove(&exporter, &self.config.name);
        link.control(&Control::Hello {
            major: wire::MAJOR,
            minor: wire::MINOR,
            role: Role::Host,
            software: software(),
        });
        self.link_number += 1;
        self.heard_at = Instant::now();
        self.link = Some(link);
        self.tell(HostMessage::Offers(HostOffers {
            host: self.config.name.clone(),
            key: self.key.public(),
            proof: Secret(proof),
            capacity: self.config.capacity,
            applications: self.config.offers.clone(),
            running: self.sessions.values().filter(|it| it.up).map(|it| it.announced.clone()).collect(),
        }));
        self.tell_load();
    }

    fn lost(&mut self, closed: &Closed) {
        self.link = None;
        self.linkless_since = Instant::now();
        match closed.code {
            CloseCode::REFUSED => tracing::error!(
                reason = %closed,
                "the gateway refuses this host; there: chevet hosts --config FILE add {} {}",
                self.config.name,
                self.key.text()
            ),
            _ => tracing::warn!(reason = %closed, "the link to the gateway ended; dialling again"),
        }
    }

    fn on_message(&mut self, message: Incoming) {
        self.heard_at = Instant::now();
        let Incoming::Control(message) = message else { return };
        match message {
            Control::Welcome { software, .. } => {
                tracing::info!(software, host = self.config.name, "connected to the gateway");
            }
            Control::Host(HostMessage::Start(order)) => self.on_order(*order),
            Control::Host(HostMessage::End { session, reason }) => {
                if let Some(handle) = self.sessions.get(&session) {
                    handle.end(reason);
                }
            }
            Control::Ping { number, time_us } => {
                if let Some(link) = &self.link {
                    let now = crate::clock::now_us();
                    link.control(&Control::Pong { number, ping_time_us: time_us, time_us: now });
                }
            }
            _ => {}
        }
    }

    fn on_order(&mut self, order: Start) {
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
            return self.tell(HostMessage::Started { request: order.request, error: error.into() });
        }
        let name = order.session.clone();
        let (config, target) = (self.config.clone(), self.target.clone());
        let handle = running::start(order, self.link_number, config, target, self.happened.clone());
        self.sessions.insert(name, handle);
    }

    fn on_happened(&mut self, happened: Happened) {
        match happened {
            Happened::Up { session } => {
                let now = self.link_number;
                let Some(handle) = self.sessions.get_mut(&session) else { return };
                handle.up = true;
                let request = handle.request;
                if handle.ordered_on == now && self.link.is_some() {
                    self.tell(HostMessage::Started { request, error: String::new() });
                } else {
                    // Whoever ordered it does not wait any more.
                    handle.end(EndReason::Unwanted);
                }
            }
            Happened::NotStarted { session, error } => {
                let Some(handle) = self.sessions.get(&session) else { return };
                if handle.ordered_on == self.link_number {
                    self.tell(HostMessage::Started { request: handle.request, error });
                }
            }
            Happened::Ended { session, reason, text } => {
                // What has ended is not announced any more.
                if let Some(handle) = self.sessions.get_mut(&session) {
                    handle.up = false;
                }
                self.tell(HostMessage::Ended { session, reason, text });
            }
            Happened::Over { session } => {
                self.sessions.remove(&session);
                self.tell_load();
            }
        }
    }

    fn on_tick(&mut self) {
        let now = Instant::now();
        if let Some(link) = self.link.as_ref().filter(|_| now - self.heard_at > SILENT) {
            link.close(CloseCode::IDLE, "the gateway is silent");
        }
        if self.link.is_none() {
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
        if let Some(link) = &self.link {
            link.control(&Control::Ping { number: 0, time_us: crate::clock::now_us() });
        }
    }

    fn tell_load(&self) {
        self.tell(HostMessage::Load(HostLoad {
            running: self.sessions.len() as u32,
            cpu_per_mille: self.cpu_per_mille,
            memory_free_mib: memory_free_mib(),
            draining: self.draining_until.is_some(),
        }));
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
