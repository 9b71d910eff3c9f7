//! Sessions of applications that the gateway opens itself, on hosts without chevet, with each user's own credentials:
//! those that are kept for the user, or that the user was asked for.

use super::super::people::People;
use super::super::rdp::Verdict;
use super::super::{RegistryError, Shared};
use super::{OpenError, by};
use crate::audit::{Event, Record};
use crate::broker::{Application, Running, Title};
use crate::clock;
use crate::identity::{HostCredential, Identity, Person, credential_host, new_id};
use crate::source::rdp::{Keyring, Login, RdpSettings};
use crate::wire::EndReason;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

/// A store that has not answered by then is taken for absent.
const PATIENCE: Duration = Duration::from_secs(5);
/// Whoever opens a session waits so long for the host's word on the credentials.
const VERDICT: Duration = Duration::from_secs(20);
/// What is to be kept waits so long for a host that is away.
const VERDICT_LATER: Duration = Duration::from_secs(3_600);

/// What a user typed to be let in on a host.
pub struct Typed {
    pub credential: HostCredential,
    /// It is to be kept for the next time.
    pub remember: bool,
}

/// A user has to say with what they sign in on a host.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct CredentialsAsked {
    pub title: Title,
    pub host: String,
    /// What is proposed.
    pub user: String,
    pub domain: String,
    /// Whether what is typed may be kept.
    pub remember: bool,
    /// Why the host did not take what it was shown before, if it was shown something.
    pub refused: Option<String>,
}

impl std::fmt::Display for CredentialsAsked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.refused {
            None => write!(
                f,
                "no credential of yours for {} is known here: give your user and password",
                self.host
            ),
            Some(reason) => {
                write!(f, "{} did not let you in: {reason}; give your user and password", self.host)
            }
        }
    }
}

/// An application on a host, as somebody opens it.
struct Wish<'a> {
    shared: &'a Shared,
    people: &'a Arc<People>,
    person: &'a Person,
    application: &'a Application,
    settings: &'a RdpSettings,
    host: String,
}

/// Starts a session of `person`'s. Where users are asked, the host has let this one in, or could not be asked; elsewhere it is
/// there at once, and says what it waits for until the host shows something.
pub(super) async fn start(
    shared: &Shared,
    person: &Person,
    application: &Application,
    settings: &RdpSettings,
    typed: Option<Typed>,
) -> Result<String, OpenError> {
    let wish = Wish::new(shared, person, application, settings)?;
    if typed.is_none() {
        wish.look_for_kept().await?;
    }
    let session = format!("{}.{}", application.name, new_id());
    shared.hosts.applications().add(Running {
        session: session.clone(),
        application: application.name.clone(),
        user: person.user.id.clone(),
        title: person.user.title.clone(),
        host: wish.host.clone(),
        started_at: clock::unix_ms(),
        sign_in: person.sign_in.id.clone(),
        unwatched_since: Some(Instant::now()),
    });
    let opened = wish.bring_and_hear(&session, typed).await;
    if let Err(error) = opened {
        // It was never anybody's: there is no record of its end.
        shared.hosts.applications().remove(&session);
        drop(shared.registry.remove(&session));
        shared.registry.rdp().sign_ins().forget(&session);
        return Err(error);
    }
    shared.audit.record(wish.record(Event::SessionStarted, &session));
    Ok(session)
}

/// Opens an application, or goes on with a session whose host lets nobody in, by what its user typed.
pub async fn give(
    shared: &Arc<Shared>,
    person: &Person,
    wished: &str,
    typed: Typed,
) -> Result<String, OpenError> {
    let applications = shared.hosts.applications();
    let named = applications.running(wished).filter(|running| running.user == person.user.id);
    let name = named.as_ref().map_or(wished, |running| &running.application);
    let not_yours = || OpenError::NotYours(wished.to_owned());
    let theirs = applications.named(name).filter(|it| it.is_for(&person.user) && it.credentials().asks());
    let application = theirs.filter(|it| it.rdp.is_some()).ok_or_else(not_yours)?;
    // Begun is finished, as when an application is opened.
    let (shared, person) = (shared.clone(), person.clone());
    let given = tokio::spawn(async move { take(&shared, &person, &application, named, typed).await });
    let broken = |error: tokio::task::JoinError| OpenError::Failed {
        application: wished.to_owned(),
        reason: error.to_string(),
    };
    given.await.map_err(broken)?
}

async fn take(
    shared: &Shared,
    person: &Person,
    application: &Application,
    named: Option<Running>,
    typed: Typed,
) -> Result<String, OpenError> {
    let Some(settings) = &application.rdp else {
        return Err(OpenError::NotYours(application.name.clone()));
    };
    let turn = shared.hosts.turn(&person.user.id, &application.name);
    let _turn = turn.lock().await;
    let wish = Wish::new(shared, person, application, settings)?;
    if typed.remember && !application.credentials().remembers() {
        shared
            .audit
            .refused(wish.record(Event::CredentialsRefused { reason: "they may not be kept".into() }, ""));
        return Err(OpenError::NotKept(wish.host));
    }
    let newest = || shared.hosts.applications().running_of(&person.user.id, &application.name);
    let running = named.or_else(|| newest().filter(|_| application.single));
    let Some(running) = running else {
        shared.hosts.has_room(person)?;
        wish.admit_try()?;
        return start(shared, person, application, settings, Some(typed)).await;
    };
    // Somebody was faster, or its host is away: what it has may be right.
    if !is_shut_out(shared, &running.session) {
        return Ok(running.session);
    }
    wish.admit_try()?;
    shared.registry.let_go(&running.session).await;
    wish.bring_and_hear(&running.session, Some(typed)).await?;
    Ok(running.session)
}

/// Whether a session's host does not let it in with what is known.
fn is_shut_out(shared: &Shared, session: &str) -> bool {
    matches!(shared.registry.rdp().sign_ins().verdict(session), Some(Verdict::Refused(_) | Verdict::Missing))
}

/// What `person` has to be asked before a session of theirs can go on, if anything.
pub async fn to_be_asked(shared: &Shared, person: &Person, session: &str) -> Option<OpenError> {
    let refused = match shared.registry.rdp().sign_ins().verdict(session)? {
        Verdict::Refused(reason) => Some(reason),
        Verdict::Missing => None,
        Verdict::LetIn | Verdict::Unsettled => return None,
    };
    let applications = shared.hosts.applications();
    let running = applications.running(session).filter(|running| running.user == person.user.id)?;
    let application = applications.named(&running.application)?;
    let settings = application.rdp.as_ref().filter(|_| application.credentials().asks())?;
    let wish = Wish::new(shared, person, &application, settings).ok()?;
    Some(wish.ask(refused, session).await)
}

impl<'a> Wish<'a> {
    fn new(
        shared: &'a Shared,
        person: &'a Person,
        application: &'a Application,
        settings: &'a RdpSettings,
    ) -> Result<Self, OpenError> {
        let nobody = || OpenError::Failed {
            application: application.title.english().to_owned(),
            reason: "nobody signs in here".into(),
        };
        let people = shared.people.as_ref().ok_or_else(nobody)?;
        let host = credential_host(&settings.address);
        Ok(Wish { shared, people, person, application, settings, host })
    }

    fn record(&self, event: Event, session: &str) -> Record {
        let record = Record::new(event).application(self.application.name.as_str()).host(self.host.as_str());
        by(if session.is_empty() { record } else { record.session(session) }, Some(self.person))
    }

    fn failed(&self, reason: String, session: &str) -> OpenError {
        self.shared
            .audit
            .refused(self.record(Event::StartFailed { reason: reason.as_str().into() }, session));
        OpenError::Failed { application: self.application.title.english().to_owned(), reason }
    }

    /// There are credentials of this user's to begin with.
    async fn look_for_kept(&self) -> Result<(), OpenError> {
        let kept = self.people.identity().host_credential(&self.person.user.id, &self.host).await;
        let why_not = match (&kept, self.application.credentials().asks()) {
            (Ok(Some(_)), true) => self.why_kept_refused().await,
            _ => None,
        };
        match kept {
            Ok(Some(_)) if why_not.is_some() => Err(self.ask(why_not, "").await),
            Ok(Some(_)) => Ok(()),
            Ok(None) if self.application.credentials().asks() => Err(self.ask(None, "").await),
            Ok(None) => {
                Err(self.failed(format!("no credential of yours for {} is known here", self.host), ""))
            }
            Err(error) => Err(self.failed(error.to_string(), "")),
        }
    }

    async fn sealed(&self) -> String {
        let sealed = self.people.identity().store().credential(&self.person.user.id, &self.host).await;
        sealed.ok().flatten().unwrap_or_default()
    }

    /// What is kept is not shown to a host that has just refused it, however often it is asked for.
    async fn why_kept_refused(&self) -> Option<String> {
        let (sealed, user) = (self.sealed().await, &self.person.user.id);
        self.shared.hosts.tries.why_kept_refused(user, &self.host, &sealed, Instant::now())
    }

    async fn ask(&self, refused: Option<String>, session: &str) -> OpenError {
        let reason = refused.as_deref().unwrap_or("none are known").into();
        self.shared.audit.record(self.record(Event::CredentialsAsked { reason }, session));
        let kept = self.people.identity().host_credential(&self.person.user.id, &self.host).await;
        let (user, domain) = match kept {
            Ok(Some(kept)) => (kept.user, kept.domain),
            _ => (self.person.user.name.clone(), self.settings.domain.clone()),
        };
        OpenError::Credentials(Box::new(CredentialsAsked {
            title: self.application.title.clone(),
            host: self.host.clone(),
            user,
            domain,
            remember: self.application.credentials().remembers(),
            refused,
        }))
    }

    /// Another password may be tried without locking the account.
    fn admit_try(&self) -> Result<(), OpenError> {
        if self.shared.hosts.tries.admit(&self.person.user.id, &self.host, Instant::now()) {
            return Ok(());
        }
        let reason = "too many were refused".into();
        self.shared.audit.refused(self.record(Event::CredentialsRefused { reason }, ""));
        Err(OpenError::TooManyTries(self.host.clone()))
    }

    /// Starts the source and waits for the host's word, where the user can be asked for other credentials.
    async fn bring_and_hear(&self, session: &str, typed: Option<Typed>) -> Result<(), OpenError> {
        let sign_ins = self.shared.registry.rdp().sign_ins();
        if let Some(typed) = &typed {
            sign_ins.give(session, &self.host, login_of(typed.credential.clone()));
        }
        let Wish { shared, people, person, application, settings, .. } = self;
        if let Err(error) = bring(shared, people, session, &person.user.id, application, settings) {
            return Err(self.failed(error.to_string(), session));
        }
        if let_go_if_over(shared, session) {
            return Err(self.failed("the session has ended meanwhile".into(), session));
        }
        if !application.credentials().asks() {
            return Ok(());
        }
        let verdict = sign_ins.next(session, VERDICT).await;
        let Some(typed) = typed else {
            let Some(Verdict::Refused(reason)) = verdict else { return Ok(()) };
            let (sealed, user, now) = (self.sealed().await, &person.user.id, Instant::now());
            shared.hosts.tries.kept_refused(user, &self.host, sealed, reason.clone(), now);
            return Err(self.ask(Some(reason), session).await);
        };
        match verdict {
            Some(Verdict::Refused(reason)) => {
                let refused = Event::CredentialsRefused { reason: reason.as_str().into() };
                self.shared.audit.refused(self.record(refused, session));
                return Err(self.ask(Some(reason), session).await);
            }
            Some(Verdict::LetIn) => self.shared.hosts.tries.let_in(&person.user.id, &self.host),
            _ => self.shared.hosts.tries.undecided(&person.user.id, &self.host),
        }
        if typed.remember {
            let record = self.record(Event::CredentialsStored, session);
            let keeping =
                Keeping { people: self.people.clone(), user: person.user.id.clone(), typed, record };
            self.keep(session, verdict == Some(Verdict::LetIn), keeping).await;
        }
        Ok(())
    }

    /// Keeps what was typed, once the host has let the user in by it.
    async fn keep(&self, session: &str, let_in: bool, keeping: Keeping) {
        let (host, audit) = (self.host.clone(), self.shared.audit.clone());
        if let_in {
            return keeping.seal(&host, &audit).await;
        }
        let (sign_ins, session) = (self.shared.registry.rdp().sign_ins().clone(), session.to_owned());
        let login = login_of(keeping.typed.credential.clone());
        tokio::spawn(async move {
            if sign_ins.lets_in(&session, &login, VERDICT_LATER).await {
                keeping.seal(&host, &audit).await;
            }
        });
    }
}

/// What is to be kept for a user.
struct Keeping {
    people: Arc<People>,
    user: String,
    typed: Typed,
    record: Record,
}

impl Keeping {
    async fn seal(self, host: &str, audit: &crate::audit::Audit) {
        let sealed = self.typed.credential.seal(&self.user, host, self.people.keys());
        let store = self.people.identity().store();
        match store.set_credential(&self.user, host, &sealed, clock::unix_ms()).await {
            Ok(()) => audit.record(self.record),
            // The session is open all the same: its user is asked again the next time.
            Err(error) => tracing::warn!(%error, host, "a credential could not be kept"),
        }
    }
}

/// The sessions of an application that has changed go on by its new settings: each user's is connected anew.
pub(in super::super) async fn restart(shared: &Shared, application: &Application) {
    let (Some(people), Some(settings)) = (&shared.people, &application.rdp) else { return };
    let host = credential_host(&settings.address);
    for running in shared.hosts.applications().all_running() {
        if running.application != application.name {
            continue;
        }
        let session = running.session.as_str();
        shared.hosts.applications().note(session, |running| running.host = host.clone());
        shared.registry.let_go(session).await;
        if let Err(error) = bring(shared, people, session, &running.user, application, settings) {
            let reason = error.to_string();
            super::end(shared, session, EndReason::Administrator, &reason, None).await;
        }
        let_go_if_over(shared, session);
    }
}

/// Whoever ends a session takes it from what runs before it lets go of all that belongs to it. What was brought after that, and with
/// what was typed, nobody else would let go of.
fn let_go_if_over(shared: &Shared, session: &str) -> bool {
    let over = shared.hosts.applications().running(session).is_none();
    if over {
        drop(shared.registry.remove(session));
        shared.registry.rdp().sign_ins().forget(session);
    }
    over
}

/// Starts the source and the session, with the credentials that this user has for the host by then.
fn bring(
    shared: &Shared,
    people: &Arc<People>,
    session: &str,
    user: &str,
    application: &Application,
    settings: &RdpSettings,
) -> Result<(), RegistryError> {
    let (people, runtime) = (people.clone(), tokio::runtime::Handle::current());
    let (id, of) = (user.to_owned(), credential_host(&settings.address));
    let (sign_ins, name) = (shared.registry.rdp().sign_ins().clone(), session.to_owned());
    let keyring: Keyring = Arc::new(move || {
        if let Some(typed) = sign_ins.typed(&name, &of) {
            return Ok(typed);
        }
        let (answer, answered) = mpsc::sync_channel(1);
        let (people, id, host) = (people.clone(), id.clone(), of.clone());
        runtime.spawn(async move {
            let _ = answer.send(kept(people.identity(), &id, &host).await);
        });
        let kept =
            answered.recv_timeout(PATIENCE).unwrap_or_else(|_| Err("the store does not answer".into()))?;
        kept.ok_or_else(|| {
            sign_ins.lacks(&name);
            "no credential of this user for this host is known here".to_owned()
        })
    });
    let size = (application.width, application.height);
    let title = application.title.french();
    shared.registry.start_rdp(session, title, application.policy, settings.clone(), keyring, size)
}

async fn kept(identity: &Identity, user_id: &str, host: &str) -> Result<Option<Login>, String> {
    let found = identity.host_credential(user_id, host).await;
    found.map(|credential| credential.map(login_of)).map_err(|error| {
        tracing::warn!(%error, "a credential could not be read");
        "the gateway cannot read this user's credential".to_owned()
    })
}

fn login_of(credential: HostCredential) -> Login {
    Login { user: credential.user, domain: credential.domain, password: credential.password }
}
