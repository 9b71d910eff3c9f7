//! The ends that nobody asks for: nobody looks any more, the user has signed out, the host is gone or going.

use super::super::Shared;
use super::{GONE_AFTER, end};
use crate::broker::Running;
use crate::clock;
use crate::session::Whom;
use crate::wire::{CloseCode, EndReason};
use std::sync::Arc;
use std::time::{Duration, Instant};

const LOOK_EVERY: Duration = Duration::from_millis(500);
/// The store is asked no more often than this.
const ASK_EVERY: Duration = Duration::from_secs(20);
/// What is said to those who work on a host that is going out of service.
const GOING: &str = "Cette machine va être arrêtée pour maintenance : enregistrez votre travail et quittez \
    l’application. / This machine is going down for maintenance: save your work and leave the application.";

/// Ends sessions by their applications' policies, for as long as the gateway runs.
pub async fn watch(shared: Arc<Shared>) {
    let mut asked = Instant::now();
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let ask = asked.elapsed() >= ASK_EVERY;
        if ask {
            asked = Instant::now();
            look_up_hosts(&shared).await;
        }
        let names: Vec<String> = shared.hosts.lock().keys().cloned().collect();
        for name in names {
            drain_told(&shared, &name).await;
        }
        for running in shared.hosts.applications().all_running() {
            let mut reason = reason_to_end(&shared, &running);
            if reason.is_none() && ask && is_signed_out(&shared, &running).await {
                reason = Some(EndReason::SignedOut);
            }
            if let Some(reason) = reason {
                end(&shared, &running.session, reason, "", None).await;
            }
        }
    }
}

fn reason_to_end(shared: &Shared, running: &Running) -> Option<EndReason> {
    let application = shared.hosts.applications().named(&running.application)?;
    let (gone, draining) = match application.is_remote() {
        // The source waits for it.
        true => (false, false),
        false => {
            let hosts = shared.hosts.lock();
            let host = hosts.get(&running.host)?;
            (host.link.is_none() && host.gone_since.elapsed() >= GONE_AFTER, host.is_draining())
        }
    };
    if gone {
        return Some(EndReason::HostGone);
    }
    // Of several gateways the one that has the session sees who looks.
    if let Some(siblings) = shared.siblings.as_ref().filter(|_| !application.is_remote())
        && !siblings.has_now(&running.session)
    {
        shared.hosts.applications().note(&running.session, |running| running.unwatched_since = None);
        return None;
    }
    #[cfg(feature = "rdp")]
    if shared.registry.is_over(&running.session) {
        return Some(EndReason::Program);
    }
    let watched = shared.registry.session(&running.session)?.status().viewers > 0;
    let since = match (watched, running.unwatched_since) {
        (true, _) => None,
        (false, Some(since)) => Some(since),
        (false, None) => Some(Instant::now()),
    };
    shared.hosts.applications().note(&running.session, |running| running.unwatched_since = since);
    let unwatched = since?.elapsed();
    let idle = application.idle_seconds().is_some_and(|seconds| unwatched.as_secs_f64() >= seconds);
    match (idle, draining) {
        (true, _) => Some(EndReason::Idle),
        // Whoever has just started it is about to look.
        (_, true) if unwatched >= LOOK_EVERY * 4 => Some(EndReason::Maintenance),
        _ => None,
    }
}

/// Whether the sign-in that a session is to end with is over.
async fn is_signed_out(shared: &Shared, running: &Running) -> bool {
    let ends = shared.hosts.applications().named(&running.application).is_some_and(|it| it.end_at_sign_out);
    let Some(people) = shared.people.as_ref().filter(|_| ends) else { return false };
    let (identity, now) = (people.identity(), clock::unix_ms());
    // Who tapped out has not signed out: while the grace lasts the badge finds the session again.
    if identity.store().has_some_grace(&running.user, now).await.unwrap_or(true) {
        return false;
    }
    // A store that does not answer ends nothing.
    match running.sign_in.is_empty() {
        // Not opened since the gateway's start: any sign-in of the user's will do.
        true => identity.store().sign_ins_of(&running.user, now, 1).await.is_ok_and(|some| some.is_empty()),
        false => identity.still_there(&running.sign_in, now).await.is_ok_and(|user| user.is_none()),
    }
}

/// A sign-in has ended: what was to end with it does.
pub async fn sign_in_ended(shared: &Shared, sign_in: &str) {
    let applications = shared.hosts.applications();
    for running in applications.all_running().into_iter().filter(|running| running.sign_in == sign_in) {
        if applications.named(&running.application).is_some_and(|application| application.end_at_sign_out) {
            end(shared, &running.session, EndReason::SignedOut, "", None).await;
        }
    }
}

/// Tells those who work on a host, once, that it is going out of service.
pub async fn drain_told(shared: &Shared, name: &str) {
    let going = match shared.hosts.lock().get_mut(name) {
        Some(host) if host.is_draining() => !std::mem::replace(&mut host.told, true),
        Some(host) => {
            host.told = false;
            false
        }
        None => false,
    };
    if !going {
        return;
    }
    for running in shared.hosts.applications().all_running() {
        if running.host == name
            && let Some(session) = shared.registry.session(&running.session)
        {
            session.say(Whom::All, GOING).await;
        }
    }
}

/// Hosts whose right was taken away go; those that were drained elsewhere are.
async fn look_up_hosts(shared: &Shared) {
    let Some(people) = &shared.people else { return };
    let Ok(enrolled) = people.identity().store().hosts().await else { return };
    let mut hosts = shared.hosts.lock();
    for (name, host) in hosts.iter_mut() {
        match enrolled.iter().find(|enrolled| enrolled.name == *name) {
            Some(enrolled) => host.drained = enrolled.drained != 0,
            None => {
                if let Some(link) = &host.link {
                    link.close(CloseCode::REFUSED, "the host is not enrolled any more");
                }
            }
        }
    }
}
