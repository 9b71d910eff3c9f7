//! The hosts without chevet that administrators add: kept in the store, and started, changed and ended while the gateway
//! runs. Those of the configuration are shown beside them.

mod settings;
mod several;
mod test;

pub(super) use settings::{CertificatePolicy, Credentials, Encryption, Protocol, RemoteHost};
pub(super) use several::follow;
pub(super) use test::look;

use super::people::People;
use super::{Config, Shared, hosts};
use crate::audit::{Event, Record};
use crate::clock;
use crate::identity::{Person, open_host_password, seal_host_password};
use crate::session::Whom;
use crate::store::{RemoteHostRow, StoreError};
use crate::wire::{CloseCode, EndReason};
use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use zeroize::Zeroizing;

/// Hosts that are kept.
const MOST_HOSTS: usize = 1_024;
/// Of authorities' certificates, in the state directory.
const FOLDER: &str = "remote_hosts";
const HAS_NAME: &str = "a host has this name: choose another";
const IN_CONFIGURATION: &str = "the configuration file has a session or application of this name";
const REMOVED: &str = "an administrator removed this host";

#[derive(Debug, thiserror::Error)]
pub(super) enum ChangeError {
    #[error("there is no such host")]
    None,
    #[error("this host is in the gateway's configuration file: change it there")]
    Configured,
    #[error("{0}")]
    Taken(String),
    #[error("{0}")]
    Fault(String),
    #[error("the gateway has {MOST_HOSTS} hosts already")]
    Full,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A host that is kept in the store.
#[derive(Clone)]
struct Kept {
    host: RemoteHost,
    row: RemoteHostRow,
    /// Why it could not be started.
    problem: Option<String>,
    /// Where several gateways could open it: not here before this.
    not_before: Option<Instant>,
}

impl Kept {
    fn new(host: RemoteHost, row: RemoteHostRow, problem: Option<String>) -> Self {
        Kept { host, row, problem, not_before: None }
    }
}

/// A host as it is shown.
pub(super) struct Shown {
    pub host: RemoteHost,
    pub configured: bool,
    pub has_password: bool,
    pub problem: Option<String>,
}

pub(super) struct RemoteHosts {
    configured: Vec<(RemoteHost, bool)>,
    /// Of the configuration's sessions and applications.
    names: Vec<String>,
    folder: Option<PathBuf>,
    kept: Mutex<BTreeMap<String, Kept>>,
    /// One change at a time.
    turn: tokio::sync::Mutex<()>,
    /// A test keeps a connection for some seconds: a few at a time.
    tests: tokio::sync::Semaphore,
}

impl RemoteHosts {
    pub(super) fn new(config: &Config) -> Self {
        let sessions = config.sessions.iter().map(|session| session.name.clone());
        let applications = config.applications.iter().map(|application| application.name.clone());
        RemoteHosts {
            configured: configured(config),
            names: sessions.chain(applications).collect(),
            folder: config.state_directory.as_ref().map(|directory| directory.join(FOLDER)),
            kept: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
            tests: tokio::sync::Semaphore::new(2),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every host, those of the configuration first.
    pub(super) fn all(&self) -> Vec<Shown> {
        let configured = self.configured.iter().map(|(host, has_password)| Shown {
            host: host.clone(),
            configured: true,
            has_password: *has_password,
            problem: None,
        });
        let kept = self.lock().values().cloned().collect::<Vec<_>>();
        let kept = kept.into_iter().map(|kept| Shown {
            host: kept.host,
            configured: false,
            has_password: !kept.row.sealed.is_empty(),
            problem: kept.problem,
        });
        configured.chain(kept).collect()
    }

    /// The password that is kept for a host, if these are still the settings that it was given for.
    pub(super) fn password(&self, people: &People, host: &RemoteHost) -> Option<Zeroizing<String>> {
        let sealed = self.lock().get(&host.name).map(|kept| kept.row.sealed.clone())?;
        open_host_password(&sealed, &host.binding(), people.keys())
    }

    fn is_configured(&self, name: &str) -> bool {
        self.configured.iter().any(|(host, _)| host.name == name)
    }

    fn of_configuration(&self, name: &str) -> bool {
        let is =
            |other: &String| other == name || other.split_once('.').is_some_and(|(first, _)| first == name);
        self.names.iter().any(is)
    }

    /// Writes the authority's certificates where the source reads them.
    fn authority(&self, host: &RemoteHost) -> std::io::Result<Option<PathBuf>> {
        let Some(folder) = self.folder.as_ref().filter(|_| !host.authority.is_empty()) else {
            return Ok(None);
        };
        std::fs::create_dir_all(folder)?;
        let path = folder.join(format!("{}.pem", host.name));
        let new = folder.join(format!("{}.pem.new", host.name));
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(host.authority.as_bytes())?;
        std::fs::rename(&new, &path)?;
        Ok(Some(path))
    }
}

/// Starts what the store has.
pub(super) async fn start_all(shared: &Shared) -> Result<(), StoreError> {
    let Some(people) = &shared.people else { return Ok(()) };
    // What several gateways could open, each does when no other one has it.
    if shared.siblings.is_some() {
        return Ok(());
    }
    for row in people.identity().store().remote_hosts().await? {
        let name = row.name.clone();
        let host: RemoteHost = match serde_json::from_str(&row.settings) {
            Ok(host) => host,
            Err(error) => {
                tracing::error!(host = name, %error, "a host of the store cannot be read");
                continue;
            }
        };
        let problem = match shared.remote.of_configuration(&name) {
            true => Some(IN_CONFIGURATION.to_owned()),
            false => start(shared, people, &host, &row.sealed).err(),
        };
        if let Some(problem) = &problem {
            tracing::error!(host = name, problem, "a host of the store cannot be started");
        }
        shared.remote.lock().insert(name, Kept::new(host, row, problem));
    }
    Ok(())
}

/// Adds a host, which can be attached to at once.
pub(super) async fn add(
    shared: &Shared,
    people: &People,
    host: RemoteHost,
    password: Option<Zeroizing<String>>,
) -> Result<(), ChangeError> {
    let remote = &shared.remote;
    let _turn = remote.turn.lock().await;
    several::look_up(shared, people).await?;
    several::refuse_own(shared, &host)?;
    if let Some(fault) = host.fault(password.is_some()) {
        return Err(ChangeError::Fault(fault));
    }
    let taken = remote.of_configuration(&host.name)
        || shared.registry.session(&host.name).is_some()
        || shared.hosts.applications().named(&host.name).is_some()
        || several::is_elsewhere(shared, &host.name).await;
    if taken && remote.is_kept(&host.name) {
        return Err(ChangeError::Taken(HAS_NAME.into()));
    }
    if taken {
        return Err(ChangeError::Taken("a session or application has this name: choose another".into()));
    }
    if remote.lock().len() >= MOST_HOSTS {
        return Err(ChangeError::Full);
    }
    let sealed = sealed(people, &host, password);
    let row = row(&host, &sealed);
    let added = people.identity().store().add_remote_host(&row).await;
    added.map_err(|error| match error {
        StoreError::Taken(_) => ChangeError::Taken(HAS_NAME.into()),
        error => ChangeError::Store(error),
    })?;
    if let Some(siblings) = &shared.siblings {
        several::take_in(shared, siblings, people, host, row).await;
        siblings.tell_remote_hosts().await;
        return Ok(());
    }
    let problem = start(shared, people, &host, &sealed).err();
    remote.lock().insert(host.name.clone(), Kept::new(host, row, problem));
    Ok(())
}

/// Changes a host: who looks at it sees it connected anew.
pub(super) async fn change(
    shared: &Shared,
    people: &People,
    host: RemoteHost,
    password: Option<Zeroizing<String>>,
    person: &Person,
) -> Result<(), ChangeError> {
    let remote = &shared.remote;
    let _turn = remote.turn.lock().await;
    several::look_up(shared, people).await?;
    several::refuse_own(shared, &host)?;
    let before = remote.kept(&host.name)?;
    let wants = host.credentials == Credentials::Shared;
    let kept = wants && password.is_none() && !before.row.sealed.is_empty();
    if kept && host.binding() != before.host.binding() {
        // Else a password that nobody can read could be sent to whoever is wished.
        let text = "the address or the trust has changed, so the password must be typed again";
        return Err(ChangeError::Fault(text.into()));
    }
    if let Some(fault) = host.fault(password.is_some() || kept) {
        return Err(ChangeError::Fault(fault));
    }
    let sealed = if kept { before.row.sealed.clone() } else { sealed(people, &host, password) };
    let row = row(&host, &sealed);
    if !people.identity().store().change_remote_host(&row).await? {
        return Err(ChangeError::None);
    }
    if let Some(siblings) = &shared.siblings {
        several::take_in(shared, siblings, people, host, row).await;
        siblings.tell_remote_hosts().await;
        return Ok(());
    }
    if host.is_application() != before.host.is_application() {
        end(shared, people, &before.host, "an administrator changed this host", Some(person)).await;
    }
    let problem = restart(shared, people, &host, &sealed).await.err();
    remote.lock().insert(host.name.clone(), Kept::new(host, row, problem));
    Ok(())
}

/// Removes a host, and ends its sessions.
pub(super) async fn remove(
    shared: &Shared,
    people: &People,
    name: &str,
    person: &Person,
) -> Result<RemoteHost, ChangeError> {
    let remote = &shared.remote;
    let _turn = remote.turn.lock().await;
    several::look_up(shared, people).await?;
    let kept = remote.kept(name)?;
    if !people.identity().store().remove_remote_host(name).await? {
        return Err(ChangeError::None);
    }
    forget(shared, people, &kept.host, Some(person)).await;
    if let Some(siblings) = &shared.siblings {
        siblings.tell_remote_hosts().await;
    }
    Ok(kept.host)
}

/// The store has a host no longer.
async fn forget(shared: &Shared, people: &People, host: &RemoteHost, person: Option<&Person>) {
    let remote = &shared.remote;
    remote.lock().remove(&host.name);
    // What has the name here is not that host.
    if remote.of_configuration(&host.name) {
        return;
    }
    end(shared, people, host, REMOVED, person).await;
    if let Some(siblings) = shared.siblings.as_ref().filter(|siblings| siblings.has_now(&host.name)) {
        siblings.leaves(&host.name).await;
    }
    if let Some(folder) = &remote.folder {
        let _ = std::fs::remove_file(folder.join(format!("{}.pem", host.name)));
    }
}

impl RemoteHosts {
    /// Whether an administrator added a host of this name.
    pub(super) fn is_kept(&self, name: &str) -> bool {
        self.lock().contains_key(name)
    }

    fn kept(&self, name: &str) -> Result<Kept, ChangeError> {
        if self.is_configured(name) {
            return Err(ChangeError::Configured);
        }
        self.lock().get(name).cloned().ok_or(ChangeError::None)
    }
}

fn sealed(people: &People, host: &RemoteHost, password: Option<Zeroizing<String>>) -> String {
    password.map(|password| seal_host_password(&password, &host.binding(), people.keys())).unwrap_or_default()
}

fn row(host: &RemoteHost, sealed: &str) -> RemoteHostRow {
    RemoteHostRow {
        name: host.name.clone(),
        settings: serde_json::to_string(host).unwrap_or_default(),
        sealed: sealed.to_owned(),
        changed_at: clock::unix_ms(),
    }
}

/// Starts a host's session, or publishes it as an application. An error is a text for administrators.
fn start(shared: &Shared, people: &People, host: &RemoteHost, sealed: &str) -> Result<(), String> {
    let authority = shared.remote.authority(host);
    let authority =
        authority.map_err(|error| format!("the authority's certificate cannot be written: {error}"))?;
    #[cfg(feature = "rdp")]
    if host.is_application() {
        shared.hosts.applications().publish(host.application(authority));
        return Ok(());
    }
    let config = host.session(authority);
    if config.sources() != 1 || host.is_application() {
        return Err("this chevet was built without RDP".into());
    }
    let password = match sealed {
        "" => None,
        sealed => Some(open_host_password(sealed, &host.binding(), people.keys()).ok_or(
            "its password was sealed by another gateway's secret, or has been meddled with: type it again",
        )?),
    };
    people.broker().publish(&host.name, &host.groups);
    shared.registry.start_with(&config, password).map_err(|error| error.to_string())?;
    shared
        .audit
        .record(Record::new(Event::SessionStarted).session(host.name.as_str()).host(host.address.as_str()));
    Ok(())
}

/// The same in the place of what runs.
async fn restart(shared: &Shared, people: &People, host: &RemoteHost, sealed: &str) -> Result<(), String> {
    if !host.is_application() {
        shared.registry.let_go(&host.name).await;
        return start(shared, people, host, sealed);
    }
    start(shared, people, host, sealed)?;
    #[cfg(feature = "rdp")]
    if let Some(application) = shared.hosts.applications().named(&host.name) {
        hosts::restart(shared, &application).await;
    }
    Ok(())
}

/// Ends what runs of a host, with a reason for who looks.
async fn end(shared: &Shared, people: &People, host: &RemoteHost, reason: &str, person: Option<&Person>) {
    if host.is_application() {
        for running in shared.hosts.applications().all_running() {
            if running.application == host.name {
                hosts::end(shared, &running.session, EndReason::Administrator, reason, person).await;
            }
        }
        shared.hosts.applications().withdraw(&host.name);
        return;
    }
    people.broker().withdraw(&host.name);
    if let Some(session) = shared.registry.remove(&host.name) {
        session.end(Whom::All, CloseCode::ENDED, reason).await;
        let record = Record::new(Event::SessionEnded { reason: reason.into() });
        let record = record.session(host.name.as_str()).host(host.address.as_str());
        shared.audit.record(hosts::by(record, person));
    }
}

/// The VNC and RDP hosts of the configuration, and whether each has a password.
fn configured(config: &Config) -> Vec<(RemoteHost, bool)> {
    let groups_of = |session: &str| {
        let published = config.publish.iter().filter(|publication| publication.is_of(session));
        published.flat_map(|publication| publication.groups.clone()).collect::<Vec<_>>()
    };
    let mut hosts = Vec::new();
    for session in &config.sessions {
        let title = session.title.clone().unwrap_or_default();
        let host = |host: RemoteHost| RemoteHost { title, groups: groups_of(&session.name), ..host };
        if let Some(vnc) = &session.vnc {
            hosts.push((host(of_vnc(&session.name, vnc)), vnc.password_file.is_some()));
            continue;
        }
        #[cfg(feature = "rdp")]
        if let Some(rdp) = &session.rdp {
            hosts.push((host(of_rdp(&session.name, rdp)), rdp.password_file.is_some()));
        }
    }
    #[cfg(feature = "rdp")]
    for application in &config.applications {
        let Some(rdp) = &application.rdp else { continue };
        let host = RemoteHost {
            title: application.title.english().to_owned(),
            credentials: Credentials::Own,
            own_credentials: application.credentials,
            groups: application.groups.clone(),
            idle_minutes: application.end_when_idle_minutes,
            ..of_rdp(&application.name, rdp)
        };
        hosts.push((host, false));
    }
    hosts
}

fn blank(name: &str, protocol: Protocol, address: &str) -> RemoteHost {
    RemoteHost {
        name: name.to_owned(),
        title: String::new(),
        protocol,
        address: address.to_owned(),
        credentials: Credentials::None,
        own_credentials: None,
        user: String::new(),
        domain: String::new(),
        encryption: Encryption::Required,
        certificate: CertificatePolicy::FirstUse,
        fingerprint: String::new(),
        authority: String::new(),
        keyboard: "us".into(),
        program: String::new(),
        remote_app: String::new(),
        arguments: String::new(),
        screen_sign_in: false,
        #[cfg(feature = "rdp")]
        kerberos: None,
        groups: Vec::new(),
        idle_minutes: None,
    }
}

fn of_vnc(name: &str, vnc: &crate::source::rfb::VncConfig) -> RemoteHost {
    use crate::source::rfb::Tls;
    RemoteHost {
        credentials: if vnc.password_file.is_some() { Credentials::Shared } else { Credentials::None },
        user: vnc.user.clone().unwrap_or_default(),
        encryption: match vnc.tls {
            Tls::Required => Encryption::Required,
            Tls::IfOffered => Encryption::IfOffered,
            Tls::Never => Encryption::Never,
        },
        certificate: match (&vnc.fingerprint, &vnc.ca_file) {
            (Some(_), _) => CertificatePolicy::Pinned,
            (None, Some(_)) => CertificatePolicy::Authority,
            (None, None) => CertificatePolicy::FirstUse,
        },
        fingerprint: vnc.fingerprint.clone().unwrap_or_default(),
        ..blank(name, Protocol::Vnc, &vnc.address)
    }
}

#[cfg(feature = "rdp")]
fn of_rdp(name: &str, rdp: &crate::source::rdp::RdpSettings) -> RemoteHost {
    use crate::source::rdp::CertificatePolicy as Policy;
    RemoteHost {
        credentials: if rdp.password_file.is_some() { Credentials::Shared } else { Credentials::None },
        user: rdp.user.clone(),
        domain: rdp.domain.clone(),
        certificate: match rdp.certificate {
            Policy::FirstUse => CertificatePolicy::FirstUse,
            Policy::Pinned => CertificatePolicy::Pinned,
            Policy::Ca => CertificatePolicy::Authority,
        },
        fingerprint: rdp.fingerprint.clone().unwrap_or_default(),
        keyboard: rdp.keyboard.clone(),
        program: rdp.program.clone(),
        remote_app: rdp.remote_app.clone(),
        arguments: rdp.arguments.clone(),
        screen_sign_in: rdp.screen_sign_in,
        kerberos: rdp.kerberos.clone(),
        ..blank(name, Protocol::Rdp, &rdp.address)
    }
}
