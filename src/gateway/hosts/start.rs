//! Gives somebody a session of an application: the one that they have, or a new one on the least loaded host.

use super::super::Shared;
use super::super::siblings::Siblings;
use super::several::open_elsewhere;
use super::{Hosts, Turn, by, end};
use crate::audit::{Event, Record};
use crate::broker::{Application, Running, order};
use crate::clock;
use crate::identity::{Person, new_id};
use crate::store::StartedSession;
use crate::wire::{EndReason, HostMessage, Secret, Start};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// A host that has not started a session by then has failed.
const PATIENCE: Duration = Duration::from_secs(10);
/// For the session's own link, once it is started.
const LINK_PATIENCE: Duration = Duration::from_secs(5);
/// What another gateway does is looked for this often.
const ASK_AGAIN: Duration = Duration::from_millis(100);
/// Hosts that are tried for one wish.
const MOST_HOSTS: usize = 3;
/// A host where a start failed is asked last for this long.
const AVOIDED: Duration = Duration::from_secs(30);
/// Sessions of one user on all hosts.
const MOST_OF_USER: usize = 16;

/// Why somebody was given no session.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    #[error("there is no application {0:?} for this user")]
    NotYours(String),
    #[error(
        "no machine that runs {0} is connected now; try again in some minutes, or tell your IT department"
    )]
    NoHost(String),
    #[error(
        "all machines that run {0} are full now; try again in some minutes, or end a session that you do not need"
    )]
    Full(String),
    #[error("you have {MOST_OF_USER} sessions already; end one that you do not need")]
    TooMany,
    #[error("{application} could not be started ({reason}); try again, or tell your IT department")]
    Failed { application: String, reason: String },
    #[cfg(feature = "rdp")]
    #[error("{0}")]
    Credentials(Box<super::CredentialsAsked>),
    #[cfg(feature = "rdp")]
    #[error(
        "{0} has refused you several times: wait a quarter of an hour before it locks your account, or tell your IT department"
    )]
    TooManyTries(String),
    #[cfg(feature = "rdp")]
    #[error("what you type for {0} may not be kept by this gateway")]
    NotKept(String),
}

/// Gives `person` the session of an application, whether it runs or has to be started, here or at another gateway.
pub async fn open(shared: &Arc<Shared>, person: &Person, application: &str) -> Result<String, OpenError> {
    open_at(shared, person, application, true).await
}

/// The same, on hosts of this gateway alone.
pub async fn open_here(
    shared: &Arc<Shared>,
    person: &Person,
    application: &str,
) -> Result<String, OpenError> {
    open_at(shared, person, application, false).await
}

async fn open_at(
    shared: &Arc<Shared>,
    person: &Person,
    application: &str,
    elsewhere: bool,
) -> Result<String, OpenError> {
    let theirs = shared.hosts.applications().named(application).filter(|it| it.is_for(&person.user));
    let application = theirs.ok_or_else(|| OpenError::NotYours(application.to_owned()))?;
    // Begun is finished, even if whoever asked has gone: two halves of a session would help nobody.
    let (shared, person) = (shared.clone(), person.clone());
    let name = application.name.clone();
    let opened = tokio::spawn(async move { one_at_a_time(&shared, &person, &application, elsewhere).await });
    let broken =
        |error: tokio::task::JoinError| OpenError::Failed { application: name, reason: error.to_string() };
    opened.await.map_err(broken)?
}

/// Of two who ask at the same time, the second finds what the first has started.
async fn one_at_a_time(
    shared: &Shared,
    person: &Person,
    application: &Application,
    elsewhere: bool,
) -> Result<String, OpenError> {
    let hosts = &shared.hosts;
    let turn = hosts.turn(&person.user.id, &application.name);
    let _turn = turn.lock().await;
    let running = hosts.applications().running_of(&person.user.id, &application.name);
    if let Some(running) = running.filter(|_| application.single) {
        #[cfg(feature = "rdp")]
        if let Some(asked) = super::to_be_asked(shared, person, &running.session).await {
            return Err(asked);
        }
        return Ok(running.session);
    }
    hosts.has_room(person)?;
    #[cfg(feature = "rdp")]
    if let Some(settings) = &application.rdp {
        return super::remote::start(shared, person, application, settings, None).await;
    }
    let claimed = match &shared.siblings {
        None => None,
        Some(siblings) => match claim(siblings, person, application).await? {
            Claimed::Ours(name) => Some((siblings.clone(), name)),
            Claimed::Theirs(session) => {
                super::learn(shared).await;
                return Ok(session);
            }
        },
    };
    let opened = on_hosts(shared, person, application, claimed.as_ref()).await;
    let (Err(why), Some((siblings, name))) = (&opened, &claimed) else { return opened };
    let last = lock(name).clone();
    siblings.start_failed(&last).await;
    match why {
        OpenError::NoHost(_) | OpenError::Full(_) if elsewhere => {
            open_elsewhere(shared, siblings, person, application, why.clone()).await
        }
        _ => opened,
    }
}

/// Who starts what somebody asked for at one of several gateways.
enum Claimed {
    /// This gateway; the session's name so far.
    Ours(Mutex<String>),
    /// Another one has.
    Theirs(String),
}

/// Takes the right to start, or waits for what another gateway is starting.
async fn claim(
    siblings: &Siblings,
    person: &Person,
    application: &Application,
) -> Result<Claimed, OpenError> {
    let failed =
        |reason: String| OpenError::Failed { application: application.title.english().into(), reason };
    let session = format!("{}.{}", application.name, new_id());
    let row = StartedSession {
        session: session.clone(),
        application: application.name.clone(),
        user_id: person.user.id.clone(),
        title: person.user.title.clone(),
        slot: if application.single { String::new() } else { session.clone() },
        host: String::new(),
        state: 0,
        reason: String::new(),
    };
    // For one host's try: whoever asked waits for what comes after that, too.
    let end = Instant::now() + PATIENCE + LINK_PATIENCE;
    loop {
        let claimed = siblings.claim_start(&row).await;
        match claimed.map_err(|error| failed(format!("the gateways' database: {error}")))? {
            None => return Ok(Claimed::Ours(Mutex::new(session))),
            Some(other) if other.state == 1 => return Ok(Claimed::Theirs(other.session)),
            Some(_) if Instant::now() > end => return Err(failed("another gateway is starting it".into())),
            Some(_) => tokio::time::sleep(ASK_AGAIN).await,
        }
    }
}

/// Starts a session on one of the hosts that can.
async fn on_hosts(
    shared: &Shared,
    person: &Person,
    application: &Application,
    claimed: Option<&(Arc<Siblings>, Mutex<String>)>,
) -> Result<String, OpenError> {
    let hosts = &shared.hosts;
    let began = Instant::now();
    let record = |event, host: &str, session: &str| {
        let record = Record::new(event).application(application.name.as_str()).host(host).session(session);
        by(record, Some(person))
    };
    let mut last = None;
    for host in hosts.in_turn(application)?.into_iter().take(MOST_HOSTS) {
        let session = format!("{}.{}", application.name, new_id());
        let started = async {
            if let Some((siblings, name)) = claimed {
                let before = std::mem::replace(&mut *lock(name), session.clone());
                siblings.order_start(&before, &session, &host).await?;
            }
            on_host(shared, person, application, &host, &session).await?;
            if let Some((siblings, _)) = claimed
                && let Err(reason) = siblings.start_done(&session).await
            {
                give_up(shared, &host, &session);
                return Err(reason);
            }
            Ok(())
        };
        let started: Result<(), String> = started.await;
        match started {
            Ok(()) => {
                let took_ms = began.elapsed().as_millis() as u64;
                tracing::info!(session, host, took_ms, "a session is started");
                shared.audit.record(record(Event::SessionStarted, &host, &session));
                return Ok(session);
            }
            Err(reason) => {
                tracing::warn!(session, host, reason, "a host could not start a session");
                let failed = Event::StartFailed { reason: reason.as_str().into() };
                shared.audit.refused(record(failed, &host, &session));
                hosts.avoid(&host);
                last = Some(reason);
            }
        }
    }
    let title = application.title.english().to_owned();
    Err(match last {
        Some(reason) => OpenError::Failed { application: title, reason },
        None => OpenError::NoHost(title),
    })
}

/// Orders a session from a host and waits until it has brought it.
async fn on_host(
    shared: &Shared,
    person: &Person,
    application: &Application,
    host: &str,
    session: &str,
) -> Result<(), String> {
    let hosts = &shared.hosts;
    let user = &person.user;
    let request = hosts.numbers.fetch_add(1, Ordering::Relaxed);
    let (answer, answered) = oneshot::channel();
    // Before it is ordered: its link may be here sooner than the answer.
    hosts.applications().add(Running {
        session: session.to_owned(),
        application: application.name.clone(),
        user: user.id.clone(),
        title: user.title.clone(),
        host: host.to_owned(),
        started_at: clock::unix_ms(),
        sign_in: person.sign_in.id.clone(),
        unwatched_since: None,
    });
    if let Some(host) = hosts.lock().get_mut(host) {
        host.waiting.insert(request, answer);
    }
    let start = Start {
        request,
        session: session.to_owned(),
        application: application.name.clone(),
        title: application.title.french().to_owned(),
        user: user.id.clone(),
        user_name: user.name.clone(),
        token: Secret(hosts.token(host, session, &user.id)),
        width: application.width,
        height: application.height,
        command: application.command.line().to_vec(),
        environment: application.environment.clone().into_iter().collect(),
        memory_mib: application.limits.memory_mib,
        cpu_percent: application.limits.cpu_percent,
        tasks: application.limits.tasks,
        idle_seconds: application.idle_seconds().unwrap_or_default().ceil() as u64,
        policy: application.policy,
    };
    let ordered = hosts.tell(host, HostMessage::Start(Box::new(start)));
    let started = async {
        if !ordered {
            return Err("the host has just left".to_owned());
        }
        let gone = || "the host left before it answered".to_owned();
        let answer = tokio::time::timeout(PATIENCE, answered).await;
        answer.map_err(|_| "the host did not answer within 10 s".to_owned())?.map_err(|_| gone())??;
        let brought = tokio::time::timeout(LINK_PATIENCE, brought(shared, session)).await;
        brought.map_err(|_| "the host did not bring the session within 5 s".to_owned())
    };
    let started = started.await;
    match &started {
        Ok(()) => {
            hosts.applications().note(session, |running| running.unwatched_since = Some(Instant::now()))
        }
        Err(_) => {
            if let Some(host) = hosts.lock().get_mut(host) {
                host.waiting.remove(&request);
            }
            give_up(shared, host, session);
        }
    }
    started
}

/// Should a session come up all the same, it is not wanted. It was never anybody's: there is no record of its end.
fn give_up(shared: &Shared, host: &str, session: &str) {
    if shared.hosts.applications().remove(session).is_some() {
        let (session, reason) = (session.to_owned(), EndReason::Unwanted);
        shared.hosts.tell(host, HostMessage::End { session, reason });
    }
    drop(shared.registry.remove(session));
}

fn lock(name: &Mutex<String>) -> MutexGuard<'_, String> {
    name.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits until a host has brought a session, here or to another gateway.
async fn brought(shared: &Shared, session: &str) {
    loop {
        let next = shared.hosts.offered.notified();
        tokio::pin!(next);
        next.as_mut().enable();
        if shared.registry.session(session).is_some() {
            return;
        }
        let Some(siblings) = &shared.siblings else {
            next.await;
            continue;
        };
        if tokio::time::timeout(ASK_AGAIN, next).await.is_err() && siblings.is_elsewhere(session).await {
            return;
        }
    }
}

/// A user ends a session of their own. Whether there was one.
pub async fn end_own(shared: &Shared, person: &Person, session: &str) -> bool {
    let theirs = shared.hosts.applications().running(session);
    match theirs.filter(|running| running.user == person.user.id) {
        Some(_) => end(shared, session, EndReason::User, "", Some(person)).await,
        None => false,
    }
}

impl Hosts {
    /// Held while a user is given an application.
    pub(super) fn turn(&self, user: &str, application: &str) -> Turn {
        let mut opening = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        opening.retain(|_, turn| Arc::strong_count(turn) > 1);
        opening.entry((user.to_owned(), application.to_owned())).or_default().clone()
    }

    /// Whether a user may have one more session.
    pub(super) fn has_room(&self, person: &Person) -> Result<(), OpenError> {
        let all = self.applications().all_running();
        let theirs = all.iter().filter(|running| running.user == person.user.id).count();
        if theirs < MOST_OF_USER { Ok(()) } else { Err(OpenError::TooMany) }
    }

    /// The hosts to try, the best first.
    fn in_turn(&self, application: &Application) -> Result<Vec<String>, OpenError> {
        let candidates = self.candidates(&application.name);
        let title = || application.title.english().to_owned();
        if candidates.iter().all(|candidate| candidate.load.draining) {
            return Err(OpenError::NoHost(title()));
        }
        let mut names = order(candidates, application.limits.memory_mib);
        if names.is_empty() {
            return Err(OpenError::Full(title()));
        }
        let hosts = self.lock();
        let now = Instant::now();
        let avoided =
            |name: &String| hosts.get(name).and_then(|host| host.failed_until).is_some_and(|at| at > now);
        names.sort_by_key(avoided);
        Ok(names)
    }

    fn avoid(&self, host: &str) {
        if let Some(host) = self.lock().get_mut(host) {
            host.failed_until = Some(Instant::now() + AVOIDED);
        }
    }
}
