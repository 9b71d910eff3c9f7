//! The gateway's configuration: one TOML file.

use super::edges::EdgeConfig;
use super::origins::is_origin;
use super::outside::OutsideConfig;
use super::sites::SiteConfig;
use crate::audit;
use crate::broker::{Application, Publication};
use crate::identity::GraceIn;
use crate::identity::card::{CardsConfig, CardsConfigError};
use crate::identity::oidc::{ProviderConfig, ProviderConfigError};
use crate::policy::{Policies, PolicyError, Rule, Zone};
use crate::recording;
use crate::store::Store;
use crate::telemetry;
use crate::wire::Policy;
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// The defaults, as `chevet gateway --print-config` prints them.
pub const DEFAULT_CONFIG: &str = include_str!("default.toml");

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error(
        "reading the configuration {path}: {source}; `chevet gateway --print-config` prints one to begin with"
    )]
    Read { path: PathBuf, source: std::io::Error },
    #[error("the configuration {path} is not right:\n{reason}")]
    Parse { path: PathBuf, reason: String },
    #[error(
        "listening on {0}, or through an edge, lets other machines in, so people must sign in ([sign_in]), or [access] needs a `ticket` of at \
         least 16 characters: make one with `head -c 18 /dev/urandom | base64`"
    )]
    OpenToOthers(SocketAddr),
    #[error(
        "[access] {0} is shorter than 16 characters: leave it out, or make one with `head -c 18 /dev/urandom | base64`"
    )]
    ShortSecret(&'static str),
    #[error(
        "[access] origins: {0:?} is not an origin; write it as browsers do, such as \"https://portal.example\""
    )]
    BadOrigin(String),
    #[error(
        "[sign_in] needs `state_directory`, where the gateway keeps its secret and, unless [store] names a \
         database, its people"
    )]
    NoStore,
    #[error("[gateways]: {0}")]
    Gateways(&'static str),
    #[error("[site] {0:?}: {1}")]
    Site(String, &'static str),
    #[error(
        "with [sign_in] everybody attaches as themselves, so [access] `ticket` must not be set: leave one of them out"
    )]
    TicketAndSignIn,
    #[error(transparent)]
    Policy(#[from] PolicyError),
    #[error(transparent)]
    Oidc(#[from] ProviderConfigError),
    #[error(transparent)]
    Cards(#[from] CardsConfigError),
    #[error(
        "[seats] idle_lock_minutes must be 1 or more: a seat that never locks stays open to whoever passes"
    )]
    NoIdleLock,
    #[error("`listen` names no address: give one such as \"127.0.0.1:4380\"")]
    NoAddress,
    #[error("[tls] needs both `certificate` and `key`")]
    HalfTls,
    #[error("two sessions are called {0:?}; each needs a name of its own")]
    TwiceNamed(String),
    #[error("session {0:?}: a name has 1 to 64 letters, digits, dots, dashes or underlines")]
    BadName(String),
    #[error(
        "[metrics] token is shorter than 16 characters: leave it out, or make one with `head -c 18 /dev/urandom | base64`"
    )]
    ShortToken,
    #[error(transparent)]
    Audit(#[from] audit::ConfigError),
    #[error(transparent)]
    Telemetry(#[from] telemetry::TelemetryError),
    #[error("application {0:?}: {1}")]
    Application(String, &'static str),
    #[error(transparent)]
    Recording(#[from] recording::ConfigError),
    #[error("a [[policy]] says recording = true, and there is no [recording] that says where and for whom")]
    NoRecording,
    #[error("[[edge]] {0:?}: {1}")]
    Edge(String, &'static str),
    #[error("[outside]: {0}")]
    Outside(&'static str),
    #[error("[[edge]] needs `state_directory`, where the gateway keeps the key by which edges know it")]
    EdgeState,
    #[error("session {0:?}: its `vnc`: {1}")]
    Vnc(String, String),
    #[error("session {0:?} needs one of `display`, `vnc`, `rdp` and `pattern`")]
    NoSource(String),
    #[cfg(feature = "rdp")]
    #[error("{0:?}: its `rdp`: {1}")]
    Rdp(String, String),
}

/// What a gateway is told.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    pub listen: Vec<SocketAddr>,
    pub udp: bool,
    pub names: Vec<String>,
    pub state_directory: Option<PathBuf>,
    pub tls: Tls,
    pub access: Access,
    pub store: StoreConfig,
    pub gateways: Option<SiblingsConfig>,
    pub site: Option<SiteConfig>,
    pub sign_in: Option<SignInConfig>,
    pub oidc: Vec<ProviderConfig>,
    pub cards: Option<CardsConfig>,
    pub seats: SeatsConfig,
    pub publish: Vec<Publication>,
    #[serde(rename = "application")]
    pub applications: Vec<Application>,
    #[serde(rename = "zone")]
    pub zones: Vec<Zone>,
    #[serde(rename = "policy")]
    pub rules: Vec<Rule>,
    #[serde(rename = "edge")]
    pub edges: Vec<EdgeConfig>,
    pub outside: OutsideConfig,
    pub audit: audit::Config,
    pub recording: Option<recording::Config>,
    pub metrics: MetricsConfig,
    pub availability: AvailabilityConfig,
    pub telemetry: Option<telemetry::Config>,
    #[serde(rename = "session")]
    pub sessions: Vec<SessionConfig>,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Tls {
    pub certificate: Option<PathBuf>,
    pub key: Option<PathBuf>,
}

#[derive(Clone, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Access {
    pub ticket: Option<String>,
    pub host_secret: Option<String>,
    pub origins: Vec<String>,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Access(secret)")
    }
}

/// Where it is remembered who is who.
#[derive(Clone, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct StoreConfig {
    pub url: Option<String>,
}

impl std::fmt::Debug for StoreConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The address may hold a password.
        f.write_str("StoreConfig(secret)")
    }
}

/// What several gateways that share one database need.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct SiblingsConfig {
    /// No two may be called the same.
    pub name: String,
    /// HOST or HOST:PORT, as viewers and hosts reach it.
    pub address: String,
    /// The file with the secret that all have.
    pub secret_file: PathBuf,
}

impl SiblingsConfig {
    /// The host without brackets, and the port, if it is not the one that is listened on.
    pub(super) fn reached_at(&self) -> (String, Option<u16>) {
        let bare = |host: &str| host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let split =
            self.address.rsplit_once(':').filter(|(host, _)| !host.contains(':') || host.ends_with(']'));
        match split.and_then(|(host, port)| Some((host, port.parse().ok()?))) {
            Some((host, port)) => (bare(host), Some(port)),
            None => (bare(&self.address), None),
        }
    }

    fn fault(&self) -> Option<&'static str> {
        match () {
            () if !is_name(&self.name) => {
                Some("its name has 1 to 64 letters, digits, dots, dashes or underlines")
            }
            () if self.address.is_empty() || self.address.len() > 256 => {
                Some("its `address` is HOST or HOST:PORT, as viewers and hosts reach this gateway")
            }
            () => None,
        }
    }
}

/// By what availability is judged, in milliseconds.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct AvailabilityConfig {
    pub screen_target: u32,
    pub tap_target: u32,
}

impl Default for AvailabilityConfig {
    fn default() -> Self {
        AvailabilityConfig { screen_target: 3_000, tap_target: 250 }
    }
}

/// Who may read `/metrics`.
#[derive(Clone, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct MetricsConfig {
    pub token: Option<String>,
    pub loopback: bool,
}

impl std::fmt::Debug for MetricsConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MetricsConfig(secret)")
    }
}

/// How long people stay signed in.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct SignInConfig {
    pub lasts_minutes: u32,
    pub idle_minutes: u32,
    pub resume_minutes: u32,
}

impl Default for SignInConfig {
    fn default() -> Self {
        SignInConfig { lasts_minutes: 720, idle_minutes: 60, resume_minutes: 10 }
    }
}

/// What is asked of badges at enrolled seats.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct SeatsConfig {
    pub grace_minutes: u32,
    pub grace_in: GraceIn,
    pub idle_lock_minutes: u32,
}

impl Default for SeatsConfig {
    fn default() -> Self {
        SeatsConfig { grace_minutes: 480, grace_in: GraceIn::Zone, idle_lock_minutes: 10 }
    }
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct SessionConfig {
    pub name: String,
    pub title: Option<String>,
    pub display: Option<String>,
    pub xauthority: Option<PathBuf>,
    pub pattern: Option<PatternConfig>,
    pub vnc: Option<crate::source::rfb::VncConfig>,
    #[cfg(feature = "rdp")]
    pub rdp: Option<crate::source::rdp::RdpSettings>,
    #[serde(default, deserialize_with = "policy")]
    pub policy: Policy,
}

impl SessionConfig {
    /// How many sources of pixels it names.
    pub(super) fn sources(&self) -> usize {
        #[cfg(feature = "rdp")]
        let rdp = self.rdp.is_some();
        #[cfg(not(feature = "rdp"))]
        let rdp = false;
        let named = [self.display.is_some(), self.pattern.is_some(), self.vnc.is_some(), rdp];
        named.into_iter().filter(|&named| named).count()
    }
}

fn policy<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Policy, D::Error> {
    String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
}

/// A synthetic session, for measurements.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct PatternConfig {
    pub width: u32,
    pub height: u32,
    pub frames_per_second: u32,
    pub seed: u64,
}

impl Default for PatternConfig {
    fn default() -> Self {
        PatternConfig { width: 1920, height: 1080, frames_per_second: 0, seed: 1 }
    }
}

impl Default for Config {
    fn default() -> Self {
        Config {
            listen: vec![([127, 0, 0, 1], 4380).into()],
            udp: true,
            names: vec!["localhost".into()],
            state_directory: None,
            tls: Tls::default(),
            access: Access::default(),
            store: StoreConfig::default(),
            gateways: None,
            site: None,
            sign_in: None,
            oidc: Vec::new(),
            cards: None,
            seats: SeatsConfig::default(),
            publish: Vec::new(),
            applications: Vec::new(),
            zones: Vec::new(),
            rules: Vec::new(),
            edges: Vec::new(),
            outside: OutsideConfig::default(),
            audit: audit::Config::default(),
            recording: None,
            metrics: MetricsConfig::default(),
            availability: AvailabilityConfig::default(),
            telemetry: None,
            sessions: Vec::new(),
        }
    }
}

impl Config {
    /// Reads and checks a file.
    pub fn read(path: &Path) -> Result<Config, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        let config: Config = toml::from_str(&text)
            .map_err(|error| ConfigError::Parse { path: path.to_owned(), reason: error.to_string() })?;
        config.check()?;
        Ok(config)
    }

    /// Whether this can be run; the error says what to change.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.listen.is_empty() {
            return Err(ConfigError::NoAddress);
        }
        if self.sign_in.is_some() {
            self.check_sign_in()?;
        }
        if let Some(gateways) = &self.gateways {
            let shared = self.store.url.as_ref().is_some_and(|url| url.starts_with("postgres"));
            let fault = match shared {
                true => gateways.fault(),
                false => Some("several gateways share a PostgreSQL: name it as `url` in [store]"),
            };
            fault.map_or(Ok(()), |fault| Err(ConfigError::Gateways(fault)))?;
        }
        if let Some(site) = &self.site {
            let fault = match () {
                () if self.sign_in.is_none() => {
                    Some((site.name.clone(), "sites share people: add a [sign_in] section"))
                }
                () if !self.tcp_is_tls() => {
                    let fault =
                        "sites speak over TLS: give a [tls] `certificate`, or listen for other machines";
                    Some((site.name.clone(), fault))
                }
                () => site.fault(),
            };
            fault.map_or(Ok(()), |(whose, fault)| Err(ConfigError::Site(whose, fault)))?;
        }
        self.policies().check(self.sign_in.is_some())?;
        if self.seats.idle_lock_minutes == 0 {
            return Err(ConfigError::NoIdleLock);
        }
        ProviderConfig::check_all(&self.oidc, self.sign_in.is_some())?;
        if let Some(cards) = &self.cards {
            cards.check(self.sign_in.is_some(), &self.listen)?;
        }
        let ticket = self.access.ticket.as_ref().is_some_and(|ticket| ticket.len() >= 16);
        let guarded = ticket || self.sign_in.is_some();
        let open = |address: &&SocketAddr| !address.ip().is_loopback() || !self.edges.is_empty();
        if let Some(open) = self.listen.iter().find(|address| open(address) && !guarded) {
            return Err(ConfigError::OpenToOthers(*open));
        }
        // Loopback is open to every program of the machine, and to pages that rebind a name to it.
        let least = if self.listen.iter().any(|address| open(&address)) { 16 } else { 1 };
        let access = &self.access;
        for (name, secret) in [("ticket", &access.ticket), ("host_secret", &access.host_secret)] {
            if secret.as_ref().is_some_and(|secret| secret.len() < least) {
                return Err(ConfigError::ShortSecret(name));
            }
        }
        if let Some(wrong) = access.origins.iter().find(|origin| !is_origin(origin)) {
            return Err(ConfigError::BadOrigin(wrong.clone()));
        }
        if self.tls.certificate.is_some() != self.tls.key.is_some() {
            return Err(ConfigError::HalfTls);
        }
        self.audit.check(self.state_directory.is_some())?;
        self.recording.as_ref().map_or(Ok(()), recording::Config::check)?;
        if self.recording.is_none() && self.rules.iter().any(|rule| rule.recording == Some(true)) {
            return Err(ConfigError::NoRecording);
        }
        if self.metrics.token.as_ref().is_some_and(|token| token.len() < 16) {
            return Err(ConfigError::ShortToken);
        }
        if let Some(telemetry) = &self.telemetry {
            telemetry.check()?;
        }
        if !self.edges.is_empty() && self.state_directory.is_none() {
            return Err(ConfigError::EdgeState);
        }
        if let Some(fault) = self.outside.fault() {
            return Err(ConfigError::Outside(fault));
        }
        for edge in &self.edges {
            if let Some(fault) = edge.fault() {
                return Err(ConfigError::Edge(edge.address.clone(), fault));
            }
        }
        self.check_applications()?;
        for (index, session) in self.sessions.iter().enumerate() {
            if !is_name(&session.name) {
                return Err(ConfigError::BadName(session.name.clone()));
            }
            if self.sessions[..index].iter().any(|other| other.name == session.name) {
                return Err(ConfigError::TwiceNamed(session.name.clone()));
            }
            if session.sources() != 1 {
                return Err(ConfigError::NoSource(session.name.clone()));
            }
            if let Some(fault) = session.vnc.as_ref().and_then(|vnc| vnc.fault()) {
                return Err(ConfigError::Vnc(session.name.clone(), fault));
            }
            #[cfg(feature = "rdp")]
            if let Some(fault) = session.rdp.as_ref().and_then(|rdp| rdp.fault()) {
                return Err(ConfigError::Rdp(session.name.clone(), fault));
            }
        }
        Ok(())
    }

    fn check_applications(&self) -> Result<(), ConfigError> {
        for (index, application) in self.applications.iter().enumerate() {
            let name = &application.name;
            let twice = self.applications[..index].iter().any(|other| other.name == *name);
            let session = self.sessions.iter().any(|session| {
                session.name == *name || session.name.split_once('.').is_some_and(|(first, _)| first == name)
            });
            let fault = match () {
                () if self.sign_in.is_none() => {
                    Some("applications are started for people who sign in: add a [sign_in] section")
                }
                () if twice => Some("two applications are called so; each needs a name of its own"),
                () if session => {
                    Some("a session is called so, or so with a dot after it; choose another name")
                }
                () => application.fault(),
            };
            if let Some(fault) = fault {
                return Err(ConfigError::Application(name.clone(), fault));
            }
            #[cfg(feature = "rdp")]
            if let Some(rdp) = &application.rdp {
                if !rdp.user.is_empty() || rdp.password_file.is_some() {
                    let fault =
                        "its `rdp` names no user: everybody has their own (`chevet user credential set`)";
                    return Err(ConfigError::Application(name.clone(), fault));
                }
                if let Some(fault) = rdp.fault() {
                    return Err(ConfigError::Rdp(name.clone(), fault));
                }
            }
        }
        Ok(())
    }

    fn check_sign_in(&self) -> Result<(), ConfigError> {
        if self.access.ticket.is_some() {
            return Err(ConfigError::TicketAndSignIn);
        }
        // Without the kept secret no sealed code could be read after a restart.
        if self.state_directory.is_none() {
            return Err(ConfigError::NoStore);
        }
        Ok(())
    }

    /// What people may do in sessions.
    pub fn policies(&self) -> Policies {
        Policies::new(self.zones.clone(), self.rules.clone())
    }

    /// The address of the store: configured, or in the state directory.
    pub fn store_url(&self) -> Option<String> {
        self.store.url.clone().or_else(|| self.state_directory.as_deref().map(Store::url_in))
    }

    /// Whether the TCP port speaks TLS: always, except on loopback without a certificate.
    pub fn tcp_is_tls(&self) -> bool {
        self.tls.certificate.is_some() || self.listen.iter().any(|address| !address.ip().is_loopback())
    }
}

/// Whether a session may be called so.
pub fn is_name(name: &str) -> bool {
    let allowed = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_');
    (1..=64).contains(&name.chars().count()) && name.len() <= 256 && name.chars().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_printed_defaults_are_the_defaults() {
        assert_eq!(toml::from_str::<Config>(DEFAULT_CONFIG).unwrap(), Config::default());
    }

    #[test]
    fn what_cannot_be_run_is_refused_with_what_to_do() {
        let refused = |text: &str| toml::from_str::<Config>(text).unwrap().check().unwrap_err().to_string();
        assert!(refused("listen = [\"0.0.0.0:1\"]").contains("ticket"));
        assert!(refused("[access]\nticket = ''").contains("ticket"));
        let open = "listen = ['0.0.0.0:1']\n[access]\nticket = 'sixteen letters!'\nhost_secret = 'short'";
        assert!(refused(open).contains("host_secret"));
        assert!(refused("listen = []").contains("127.0.0.1:4380"));
        assert!(refused("[access]\norigins = ['portal.example']").contains("https://"));
        let gateways = "[gateways]\nname = 'a'\naddress = 'a.example'\nsecret_file = 'f'";
        assert!(refused(gateways).contains("PostgreSQL"));
        let nameless = gateways.replace("'a'", "'a b'");
        assert!(refused(&format!("{nameless}\n[store]\nurl = 'postgres://db/chevet'")).contains("name"));
        assert!(refused("[tls]\ncertificate = \"a\"").contains("key"));
        assert!(refused("[metrics]\ntoken = 'short'").contains("[metrics]"));
        assert!(refused("[[session]]\nname = \"a\"").contains("display"));
        assert!(refused("[[session]]\nname = 'a'\nvnc = { address = 'pc7' }").contains("ca_file"));
        assert!(
            refused("[[session]]\nname = 'a'\ndisplay = ':1'\nvnc = { address = 'pc7' }").contains("one of")
        );
        assert!(refused("[[session]]\nname = \"a/b\"\ndisplay = \":1\"").contains("letters"));
        let twice = "[[session]]\nname='a'\ndisplay=':1'\n[[session]]\nname='a'\ndisplay=':2'";
        assert!(refused(twice).contains("two sessions"));
        let unknown = toml::from_str::<Config>("[[session]]\nname='a'\ndisplay=':1'\npolicy='sharp'");
        assert!(unknown.unwrap_err().to_string().contains("exact-only"));
    }

    #[test]
    fn a_gateways_address_may_have_a_port_and_be_an_ipv6_one() {
        let at = |address: &str| {
            let config =
                SiblingsConfig { name: "a".into(), address: address.into(), secret_file: "f".into() };
            config.reached_at()
        };
        assert_eq!(at("gw.example"), ("gw.example".into(), None));
        assert_eq!(at("gw.example:443"), ("gw.example".into(), Some(443)));
        assert_eq!(at("[::1]:443"), ("::1".into(), Some(443)));
        assert_eq!((at("[::1]"), at("::1")), (("::1".into(), None), ("::1".into(), None)));
    }

    #[test]
    fn an_unknown_setting_is_an_error_that_names_it() {
        let error = toml::from_str::<Config>("lisen = []").unwrap_err().to_string();
        assert!(error.contains("lisen"));
    }
}
