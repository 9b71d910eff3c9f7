//! Sessions of applications that the gateway opens itself, on hosts without chevet, with each user's own credentials.

use super::super::people::People;
use super::super::{RegistryError, Shared};
use super::{OpenError, by};
use crate::audit::{Event, Record};
use crate::broker::{Application, Running};
use crate::clock;
use crate::identity::{Identity, Person, credential_host, new_id};
use crate::source::rdp::{Keyring, Login, RdpSettings};
use crate::wire::EndReason;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

/// A store that has not answered by then is taken for absent.
const PATIENCE: Duration = Duration::from_secs(5);

/// Starts a session of `person`'s; it is there at once, and says what it waits for until the host shows something.
pub(super) async fn start(
    shared: &Shared,
    person: &Person,
    application: &Application,
    settings: &RdpSettings,
) -> Result<String, OpenError> {
    let failed = |reason: String| {
        let application = application.title.english().to_owned();
        OpenError::Failed { application, reason }
    };
    let people = shared.people.clone().ok_or_else(|| failed("nobody signs in here".into()))?;
    let host = credential_host(&settings.address);
    let session = format!("{}.{}", application.name, new_id());
    let record = |event| {
        let record = Record::new(event).application(application.name.as_str()).host(host.as_str());
        by(record.session(session.as_str()), Some(person))
    };
    let refuse = |reason: String| {
        shared.audit.refused(record(Event::StartFailed { reason: reason.as_str().into() }));
        failed(reason)
    };
    let user = &person.user;
    match people.identity().host_credential(&user.id, &host).await {
        Ok(Some(_)) => {}
        Ok(None) => return Err(refuse(format!("no credential of yours for {host} is known here"))),
        Err(error) => return Err(refuse(error.to_string())),
    }
    shared.hosts.applications().add(Running {
        session: session.clone(),
        application: application.name.clone(),
        user: user.id.clone(),
        title: user.title.clone(),
        host: host.clone(),
        started_at: clock::unix_ms(),
        sign_in: person.sign_in.id.clone(),
        unwatched_since: Some(Instant::now()),
    });
    if let Err(error) = bring(shared, &people, &session, &user.id, application, settings) {
        shared.hosts.applications().remove(&session);
        return Err(refuse(error.to_string()));
    }
    shared.audit.record(record(Event::SessionStarted));
    Ok(session)
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
    }
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
    let keyring: Keyring = Arc::new(move || {
        let (answer, answered) = mpsc::sync_channel(1);
        let (people, id, host) = (people.clone(), id.clone(), of.clone());
        runtime.spawn(async move {
            let _ = answer.send(login(people.identity(), &id, &host).await);
        });
        answered.recv_timeout(PATIENCE).unwrap_or_else(|_| Err("the store does not answer".into()))
    });
    let size = (application.width, application.height);
    let title = application.title.french();
    shared.registry.start_rdp(session, title, application.policy, settings.clone(), keyring, size)
}

async fn login(identity: &Identity, user_id: &str, host: &str) -> Result<Login, String> {
    match identity.host_credential(user_id, host).await {
        Ok(Some(credential)) => {
            Ok(Login { user: credential.user, domain: credential.domain, password: credential.password })
        }
        Ok(None) => Err("no credential of this user for this host is known here".into()),
        Err(error) => {
            tracing::warn!(%error, "a credential could not be read");
            Err("the gateway cannot read this user's credential".into())
        }
    }
}
