//! The process that joins sources and viewers: listeners, admission, the sessions' registry, the page.

mod admin;
mod admit;
mod api;
mod applications;
mod availability;
mod cards;
mod certificates;
mod config;
mod edges;
mod handover;
mod handshakes;
mod hosts;
mod keep;
mod listen;
mod lock;
mod oidc;
mod origins;
mod outside;
mod page;
mod people;
#[cfg(feature = "rdp")]
mod rdp;
mod recordings;
mod registry;
mod remote_hosts;
mod seats;
mod share;
mod siblings;
mod sites;
mod takeovers;
mod traces;
mod vnc;

pub use admit::{AccessError, Door, kept_keys, make_state_directory};
pub use config::{
    Access, AvailabilityConfig, Config, ConfigError, DEFAULT_CONFIG, MetricsConfig, PatternConfig,
    SeatsConfig, SessionConfig, SiblingsConfig, SignInConfig, StoreConfig, Tls, is_name,
};
pub use edges::{EdgeConfig, identity};
pub use handover::{HandoverError, Predecessor};
pub use outside::OutsideConfig;
pub use people::PeopleError;
pub use recordings::RecordingsError;
pub use registry::{Registry, RegistryError};
pub use siblings::ask_to_drain;
pub use sites::{Accounts, PeerConfig, SiteConfig};

use crate::audit::{Audit, AuditError, Event, Record};
use crate::availability::Recorder;
use crate::broker::Applications;
use crate::link::{Certificate, Gate, IdentityError, TlsError, fingerprint_text};
use aws_lc_rs::hmac;
use edges::Edges;
use futures_util::future::BoxFuture;
use listen::{Entrance, Place, Sockets, Way};
use people::People;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// How often it is looked for sessions that may be forgotten.
const FORGET_EVERY: Duration = Duration::from_secs(300);
/// How often it is looked for refusals that were counted and are to be written down.
const TELL_EVERY: Duration = Duration::from_secs(10);
/// A stopping gateway lets links say why they end for this long.
const FAREWELL: Duration = Duration::from_millis(150);
/// The same where somebody waits to serve them.
const SHORT_FAREWELL: Duration = Duration::from_millis(15);
/// A stopping gateway waits this long for its last record to be on disk.
const LAST_RECORD: Duration = Duration::from_secs(2);

#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error(transparent)]
    Registry(#[from] RegistryError),
    #[error(transparent)]
    Access(#[from] AccessError),
    #[error(transparent)]
    People(#[from] PeopleError),
    #[error(transparent)]
    Keep(#[from] keep::KeepError),
    #[error(transparent)]
    Recordings(#[from] RecordingsError),
    #[error(transparent)]
    Audit(#[from] AuditError),
    #[error(
        "cannot listen on TCP {address}: {source}; if another program has the port, choose another one in \
         `listen`"
    )]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error(
        "cannot listen on UDP {address}: {source}; another program may have the port: choose another with \
         `listen` in the configuration or with --listen"
    )]
    ListenUdp { address: SocketAddr, source: std::io::Error },
    #[error(transparent)]
    Handover(#[from] HandoverError),
}

/// A running gateway. It stops when dropped.
pub struct Gateway {
    shared: Arc<Shared>,
    addresses: Vec<SocketAddr>,
    tasks: JoinSet<()>,
    endpoints: Vec<(quinn::Endpoint, Arc<Gate>)>,
    edges: Option<(Arc<Edges>, quinn::Endpoint)>,
    /// For a successor.
    sockets: Vec<OwnedFd>,
    successor: Option<handover::Successor>,
    /// How long links that are let go of may take to say so: a successor waits for the end of it.
    farewell: Duration,
}

/// What all listeners of a gateway share.
pub(crate) struct Shared {
    door: Door,
    people: Option<Arc<People>>,
    origins: origins::Origins,
    registry: Registry,
    hosts: hosts::Hosts,
    remote: remote_hosts::RemoteHosts,
    audit: Arc<Audit>,
    certificate: RwLock<Arc<Certificate>>,
    udp_port: Option<u16>,
    tls: bool,
    health: admin::Health,
    availability: Option<Arc<Recorder>>,
    takeovers: takeovers::Takeovers,
    recordings: Option<Arc<recordings::Recordings>>,
    siblings: Option<Arc<siblings::Siblings>>,
    sites: Option<Arc<sites::Sites>>,
    /// Set once, if edges are dialled.
    edges: OnceLock<Arc<Edges>>,
}

impl Shared {
    fn certificate(&self) -> Arc<Certificate> {
        self.certificate.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Gateway {
    /// Opens the listeners and starts the configured sessions.
    pub fn start(config: &Config) -> BoxFuture<'_, Result<Gateway, GatewayError>> {
        Gateway::follow(config, None)
    }

    /// The same in the place of the gateway that served before on this machine, if there is one.
    // Boxed, as what else programs await of a gateway: it is then compiled here, and not again for each of them.
    pub fn follow(
        config: &Config,
        before: Option<Predecessor>,
    ) -> BoxFuture<'_, Result<Gateway, GatewayError>> {
        Box::pin(Gateway::open(config, before))
    }

    async fn open(config: &Config, mut before: Option<Predecessor>) -> Result<Gateway, GatewayError> {
        config.check()?;
        let certificate = Arc::new(keep::certificate(config)?);
        let (door, key_secret) = Door::new(config)?;
        let applications = Arc::new(Applications::new(config.applications.clone()));
        let people = People::open(config, &key_secret, &applications).await?;
        let siblings = match (&config.gateways, config.store_url()) {
            (Some(gateways), Some(url)) => {
                let opened = siblings::Siblings::open(gateways, &url, &config.sessions).await;
                Some(Arc::new(opened.map_err(PeopleError::Store)?))
            }
            _ => None,
        };
        let sockets = Sockets::open(config, before.as_mut())?;
        let addresses = sockets.addresses.clone();
        let availability = availability::recorder(config, people.as_deref(), &addresses);
        let mut applied = handover::Applied::default();
        let audit = match before {
            None => Audit::open(&config.audit, config.state_directory.as_deref(), &key_secret)?,
            Some(before) => {
                applied = before.turn().await?;
                handover::open_audit(config, &key_secret).await?
            }
        };
        let audit = Arc::new(audit);
        let copies = sockets.copies().map_err(HandoverError::Sockets)?;
        let own_secret = own_secret(config, &key_secret);
        let listeners = sockets.listen(&certificate, &own_secret)?;
        let recordings = config.recording.as_ref();
        let recordings =
            recordings.map(|config| recordings::Recordings::open(config, audit.clone())).transpose()?;
        let store = certificates::Certificates::open(config, people.is_some(), siblings.as_ref()).await;
        let store = store.map_err(PeopleError::Store)?;
        let vnc = vnc::VncHosts::new(config.state_directory.as_deref(), audit.clone(), store.as_ref());
        let registry = Registry::new(key_secret.clone()).with_vnc(vnc);
        let registry = match &siblings {
            Some(siblings) => registry.telling(siblings.dismissals()).fenced_by(siblings.fence()),
            None => registry,
        };
        #[cfg(feature = "rdp")]
        let registry = registry.with_rdp(rdp::RdpHosts::new(
            config.state_directory.as_deref(),
            audit.clone(),
            store.as_ref(),
        ));
        let shared = Arc::new(Shared {
            door,
            people,
            origins: origins::Origins::new(
                &config.access.origins,
                config.site.as_ref().map_or(&[], |site| &site.peers),
            ),
            hosts: hosts::Hosts::new(applications, &key_secret),
            remote: remote_hosts::RemoteHosts::new(config),
            registry,
            audit,
            certificate: RwLock::new(certificate.clone()),
            udp_port: config.udp.then(|| addresses[0].port()),
            tls: config.tcp_is_tls(),
            health: admin::Health::new(&addresses, &config.metrics),
            availability,
            takeovers: takeovers::Takeovers::default(),
            recordings,
            siblings,
            sites: sites::Sites::new(config, &key_secret),
            edges: OnceLock::new(),
        });
        let version = env!("CARGO_PKG_VERSION").into();
        shared.audit.record(Record::new(Event::GatewayStarted { version }));
        shared.registry.goes_on_from(applied);
        // What several gateways could have, each opens when no other one has it.
        for session in config.sessions.iter().filter(|_| shared.siblings.is_none()) {
            shared.registry.start_local(session)?;
            shared.audit.record(Record::new(Event::SessionStarted).session(session.name.as_str()));
        }
        remote_hosts::start_all(&shared).await.map_err(PeopleError::Store)?;
        let mut tasks = JoinSet::new();
        tasks.spawn(forget_gone(shared.clone()));
        if let Some(people) = shared.people.clone() {
            tasks.spawn(async move { people.tidy().await });
        }
        if let Some(recordings) = shared.recordings.clone() {
            tasks.spawn(recordings.prune());
        }
        tasks.spawn(tell_counted(shared.audit.clone()));
        tasks.spawn(seats::tell_changes(shared.clone()));
        tasks.spawn(availability::record(shared.clone()));
        tasks.spawn(hosts::watch(shared.clone()));
        if let Some(siblings) = &shared.siblings {
            tasks.spawn(siblings::beat(shared.clone(), siblings.clone(), addresses[0].port()));
            tasks.spawn(siblings::listen(shared.clone(), siblings.clone()));
            tasks.spawn(siblings::keep_fence(siblings.clone()));
            tasks.spawn(siblings::tell_dismissals(siblings.clone()));
            tasks.spawn(siblings::tell_of_itself(shared.clone(), siblings.clone()));
            tasks.spawn(remote_hosts::follow(shared.clone(), siblings.clone()));
            for session in &config.sessions {
                tasks.spawn(siblings::hold(shared.clone(), siblings.clone(), session.clone()));
            }
        }
        if let Some(sites) = &shared.sites {
            for at in 0..sites.count() {
                tasks.spawn(sites::follow(shared.clone(), sites.clone(), at));
            }
        }
        for (endpoint, _) in &listeners.udp {
            tasks.spawn(listen::serve_udp(endpoint.clone(), shared.clone(), Way::Straight));
        }
        for listener in listeners.tcp {
            tasks.spawn(listen::serve_tcp(listener, shared.clone(), Entrance::Page));
        }
        for listener in listeners.cards {
            tasks.spawn(listen::serve_tcp(listener, shared.clone(), Entrance::Cards));
        }
        tasks.spawn(cards::watch(shared.clone()));
        let edges = dial_edges(config, &shared, &own_secret, &mut tasks)?;
        if certificate.is_self_signed() {
            let endpoints = listeners.udp.iter().map(|(endpoint, _)| endpoint);
            let endpoints = endpoints.chain(edges.iter().map(|(_, endpoint)| endpoint)).cloned().collect();
            tasks.spawn(renew(config.clone(), shared.clone(), endpoints));
        }
        Ok(Gateway {
            shared,
            addresses,
            tasks,
            endpoints: listeners.udp,
            edges,
            sockets: copies,
            successor: None,
            farewell: FAREWELL,
        })
    }

    /// The addresses that are listened on.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The running sessions.
    pub fn registry(&self) -> &Registry {
        &self.shared.registry
    }

    /// What is recorded of who was let in and refused.
    pub fn audit(&self) -> &Audit {
        &self.shared.audit
    }

    /// Where a browser finds a session, ready to be clicked.
    pub fn page_url(&self, session: &str) -> String {
        let scheme = if self.shared.tls { "https" } else { "http" };
        let ticket = self.shared.door.ticket().map(|ticket| format!("&ticket={ticket}"));
        let ticket = ticket.unwrap_or_default();
        format!("{scheme}://{}/#session={session}{ticket}", self.addresses[0])
    }

    /// Where `chevet view` finds a session.
    pub fn native_url(&self, session: &str) -> String {
        let certificate = self.shared.certificate();
        let pin = match certificate.is_self_signed() {
            true => format!("&pin={}", fingerprint_text(&certificate.fingerprint())),
            false => String::new(),
        };
        let address = self.addresses[0];
        let ticket = self.shared.door.ticket().unwrap_or_default();
        format!("chevet://{address}/{session}?ticket={ticket}{pin}")
    }

    /// The identity of those who sign in here, if people do.
    pub fn identity(&self) -> Option<&crate::identity::Identity> {
        self.shared.people.as_ref().map(|people| people.identity())
    }

    /// Whether the ticket was made at this start rather than configured.
    pub fn made_ticket(&self) -> bool {
        self.shared.door.made_ticket()
    }

    /// Starts the program that follows this one, and once that is ready leaves it the sockets; then this gateway is to be
    /// stopped. If it fails, this one goes on as before. The number is the successor's process.
    pub async fn hand_over(&mut self) -> Result<u32, HandoverError> {
        let sockets: std::io::Result<Vec<OwnedFd>> = self.sockets.iter().map(OwnedFd::try_clone).collect();
        let sockets = sockets.map_err(HandoverError::Sockets)?;
        let started = tokio::task::spawn_blocking(move || handover::Successor::start(&sockets)).await;
        let successor = started.map_err(|error| HandoverError::Sockets(std::io::Error::other(error)))??;
        // Nobody new is accepted here from now on; links that are open are let go of when this gateway stops.
        self.tasks.abort_all();
        self.endpoints.iter().for_each(|(_, gate)| gate.shut());
        self.farewell = SHORT_FAREWELL;
        successor.go()?;
        let process = successor.process;
        self.successor = Some(successor);
        Ok(process)
    }

    /// Has sessions, viewers and hosts go on at other gateways, if there are some, and waits for that, not for ever. Then
    /// this gateway is to be stopped.
    pub fn drain(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.leave())
    }

    async fn leave(&self) {
        if let Some(siblings) = &self.shared.siblings {
            self.edges.iter().for_each(|(edges, _)| edges.leave());
            siblings::drain(&self.shared, siblings).await;
        }
    }

    /// Waits until somebody asks this gateway to go, by the database that it shares with others.
    pub async fn drain_asked(&self) {
        match &self.shared.siblings {
            Some(siblings) => siblings.drain_asked().await,
            None => std::future::pending().await,
        }
    }

    /// Ends all sessions and links; what was said to viewers still goes out.
    pub fn stop(self) -> BoxFuture<'static, ()> {
        Box::pin(self.end())
    }

    async fn end(mut self) {
        if let Some(recorder) = self.shared.availability.clone() {
            let last = availability::minute(&self.shared, &recorder);
            let _ = tokio::time::timeout(LAST_RECORD, last).await;
        }
        if let Some(recordings) = &self.shared.recordings {
            recordings.stop().await;
        }
        if let Some(successor) = &self.successor
            && let Err(error) = successor.tell(&self.shared.registry.leave().await)
        {
            tracing::warn!(%error, "what was applied could not be handed over");
        }
        self.edges.iter().for_each(|(edges, _)| edges.leave());
        if let Some(siblings) = self.shared.siblings.clone() {
            self.tasks.abort_all();
            siblings.goes().await;
        }
        self.shared.registry.clear();
        tokio::time::sleep(self.farewell).await;
        self.tasks.abort_all();
        let endpoints = self.endpoints.iter().map(|(endpoint, _)| endpoint);
        for endpoint in endpoints.chain(self.edges.iter().map(|(_, endpoint)| endpoint)) {
            endpoint.close(crate::wire::CloseCode::GOING_AWAY.0.into(), b"the gateway is stopping");
            let _ = tokio::time::timeout(self.farewell, endpoint.wait_idle()).await;
        }
        self.shared.audit.tell_all_counted();
        let stopped = Record::new(Event::GatewayStopped { reason: "asked to".into() });
        if !matches!(tokio::time::timeout(LAST_RECORD, self.shared.audit.durable(stopped)).await, Ok(Ok(())))
        {
            tracing::error!("the gateway's end is not in the audit journal");
        }
    }
}

/// A secret that no other gateway has, where several share one: by what QUIC connections are known and reset.
fn own_secret(config: &Config, shared: &hmac::Key) -> hmac::Key {
    let name = config.gateways.as_ref().map_or("", |gateways| &gateways.name);
    let own = hmac::sign(shared, format!("of the gateway {name:?} alone").as_bytes());
    hmac::Key::new(hmac::HMAC_SHA256, own.as_ref())
}

/// Begins to keep tunnels to the edges of the configuration, if it names any.
fn dial_edges(
    config: &Config,
    shared: &Arc<Shared>,
    secret: &hmac::Key,
    tasks: &mut JoinSet<()>,
) -> Result<Option<(Arc<Edges>, quinn::Endpoint)>, GatewayError> {
    let Some(directory) = config.state_directory.as_deref().filter(|_| !config.edges.is_empty()) else {
        return Ok(None);
    };
    let (identity, edges) =
        (identity(directory)?, Edges::new(secret, config.policies(), config.outside.clone()));
    let _ = shared.edges.set(edges.clone());
    shared.registry.tells(&edges);
    let endpoint = edges.endpoint(shared, secret)?;
    let way = Way::Edge { edges: edges.clone(), udp_port: None };
    tasks.spawn(listen::serve_udp(endpoint.clone(), shared.clone(), way));
    for edge in &config.edges {
        let client = edges::client(edge, &identity)?;
        tasks.spawn(edges::keep(edge.clone(), client, shared.clone(), edges.clone()));
    }
    Ok(Some((edges, endpoint)))
}

async fn forget_gone(shared: Arc<Shared>) {
    loop {
        for session in shared.registry.forget_gone(Instant::now()) {
            let reason = "its host has been gone for a day".into();
            shared.audit.record(Record::new(Event::SessionEnded { reason }).session(session));
        }
        tokio::time::sleep(FORGET_EVERY).await;
    }
}

async fn tell_counted(audit: Arc<Audit>) {
    loop {
        tokio::time::sleep(TELL_EVERY).await;
        audit.tell_counted();
        audit.log_spool();
    }
}

/// Makes a new certificate from time to time. Links that are open keep the old one.
async fn renew(config: Config, shared: Arc<Shared>, endpoints: Vec<quinn::Endpoint>) {
    loop {
        tokio::time::sleep(keep::RENEW).await;
        let renewed = keep::certificate(&config).and_then(|certificate| {
            let server = crate::link::server_config(&certificate)?;
            endpoints.iter().for_each(|endpoint| endpoint.set_server_config(Some(server.clone())));
            Ok(certificate)
        });
        match renewed {
            Ok(certificate) => {
                *shared.certificate.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(certificate);
            }
            Err(error) => tracing::error!(%error, "the certificate could not be renewed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gateways_that_share_a_secret_know_their_own_connections_apart() {
        let shared = hmac::Key::new(hmac::HMAC_SHA256, &[7; 32]);
        let key_of = |name: &str| {
            let gateways =
                SiblingsConfig { name: name.into(), address: String::new(), secret_file: "secret".into() };
            let config = Config { gateways: Some(gateways), ..Config::default() };
            let signed = hmac::sign(&own_secret(&config, &shared), b"anything");
            signed.as_ref().to_vec()
        };
        assert_ne!(key_of("one"), key_of("two"));
        assert_eq!(key_of("one"), key_of("one"), "also when it is started again");
    }
}
