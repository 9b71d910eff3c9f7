//! What this gateway measures of its availability. Only where people sign in: there is a store to keep it in then.

use super::Shared;
use super::config::Config;
use super::people::People;
use crate::availability::{Ending, Look, Recorder, Targets};
use crate::clock;
use crate::link::Link;
use crate::session::{Grant, Session, ViewerSnapshot};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
/// A viewer of which nothing was heard for this long, in milliseconds, is silent.
const SILENT_MS: u64 = 2_000;

pub(super) fn recorder(
    config: &Config,
    people: Option<&People>,
    addresses: &[SocketAddr],
) -> Option<Arc<Recorder>> {
    let ms = |count: u32| Duration::from_millis(count.into());
    let targets =
        Targets { screen: ms(config.availability.screen_target), tap: ms(config.availability.tap_target) };
    // Each gateway of one database needs a name of its own, that is the same after a restart.
    let machine = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let gateway = format!("{machine}:{}", addresses.first().map_or(0, SocketAddr::port));
    let site = config.audit.site.as_deref().unwrap_or_default();
    people.map(|people| Arc::new(Recorder::new(people.identity().store().clone(), site, &gateway, targets)))
}

/// Counts how an attempt goes that was let in.
pub(super) fn follow(shared: &Shared, session: &Session, link: &Link, grant: &mut Grant) {
    let Some(recorder) = &shared.availability else { return };
    let meter = recorder.meter(&application_of(shared, session.name()));
    grant.taps = Some(meter.taps());
    tokio::spawn(meter.follow(link.clone(), grant.first_screen.clone(), session.status().live));
}

/// Counts an attempt that was not let in though it might have been.
pub(super) fn refused(shared: &Shared, session: &str) {
    // Names of sessions that there are not are anybody's invention.
    if let (Some(recorder), Some(session)) = (&shared.availability, shared.registry.session(session)) {
        recorder.meter(&application_of(shared, session.name())).count(Ending::Failed);
    }
}

/// Counts an application that could not be given to somebody who may have it.
pub(super) fn not_started(shared: &Shared, application: &str) {
    if let Some(recorder) = &shared.availability {
        recorder.meter(application).count(Ending::Failed);
    }
}

/// What a session is counted as: those that were started, together as their application.
fn application_of(shared: &Shared, session: &str) -> String {
    let application = shared.hosts.applications().of_session(session);
    application.map_or_else(|| session.to_owned(), |application| application.name.clone())
}

/// Writes down each minute. Never returns.
pub(super) async fn record(shared: Arc<Shared>) {
    let Some(recorder) = shared.availability.clone() else { return };
    loop {
        tokio::time::sleep(MINUTE).await;
        minute(&shared, &recorder).await;
    }
}

/// Looks at all sessions, and writes down the minute.
pub(super) async fn minute(shared: &Shared, recorder: &Recorder) {
    let mut looks = BTreeMap::new();
    let slow = recorder.targets().tap.as_micros() as u64;
    let troubled = |viewer: &ViewerSnapshot| viewer.silent_ms >= SILENT_MS || viewer.round_trip_us > slow;
    for session in shared.registry.all() {
        let viewers = match session.status().viewers {
            0 => Vec::new(),
            _ => session.viewers().await,
        };
        let application = application_of(shared, session.name());
        let look: &mut Look = looks.entry(application.to_owned()).or_default();
        look.viewers += viewers.len();
        look.troubled |= viewers.iter().any(troubled);
    }
    if let Err(error) = recorder.minute(clock::unix_ms(), &looks).await {
        tracing::warn!(%error, "what was measured of availability could not be written; it is tried again in a minute");
    }
}
