//! Hosts that administrators add where several gateways share the database: all of them know every host, and whichever
//! takes the lease opens it.

use super::super::Shared;
use super::super::people::People;
use super::super::siblings::{BEAT, OPENS_AGAIN, Siblings};
use super::{ChangeError, IN_CONFIGURATION, Kept, RemoteHost, forget, restart, start};
use crate::store::{RemoteHostRow, StoreError};
use std::sync::Arc;
use std::time::Instant;

const OWN: &str = "several gateways share this database: a host where everybody signs in as themselves is an \
    application in the configuration file of each";

/// Each gateway would start sessions that the others do not find.
pub(super) fn refuse_own(shared: &Shared, host: &RemoteHost) -> Result<(), ChangeError> {
    match shared.siblings.is_some() && host.is_application() {
        true => Err(ChangeError::Fault(OWN.into())),
        false => Ok(()),
    }
}

/// Whether another gateway has a session of this name.
pub(super) async fn is_elsewhere(shared: &Shared, name: &str) -> bool {
    match &shared.siblings {
        Some(siblings) => siblings.is_elsewhere(name).await,
        None => false,
    }
}

/// Follows what administrators do at any gateway, and opens what none has, for as long as this one runs.
pub(in super::super) async fn follow(shared: Arc<Shared>, siblings: Arc<Siblings>) {
    let Some(people) = shared.people.clone() else { return };
    let mut seen = None;
    loop {
        let news = siblings.news();
        tokio::pin!(news);
        news.as_mut().enable();
        if let Err(error) = once(&shared, &siblings, &people, &mut seen).await {
            tracing::debug!(%error, "what administrators changed could not be looked up");
        }
        tokio::select! {
            () = &mut news => {}
            () = tokio::time::sleep(BEAT) => {}
        }
    }
}

async fn once(
    shared: &Shared,
    siblings: &Siblings,
    people: &People,
    seen: &mut Option<String>,
) -> Result<(), StoreError> {
    let _turn = shared.remote.turn.lock().await;
    let digest = people.identity().store().remote_hosts_digest().await?;
    if seen.as_ref() != Some(&digest) {
        look_up(shared, people).await?;
        *seen = Some(digest);
    }
    open_free(shared, siblings, people).await;
    Ok(())
}

/// Takes in what other gateways' administrators have changed; to be called in turn.
pub(super) async fn look_up(shared: &Shared, people: &People) -> Result<(), StoreError> {
    let Some(siblings) = &shared.siblings else { return Ok(()) };
    let rows = people.identity().store().remote_hosts().await?;
    let before = shared.remote.lock().clone();
    for kept in before.values().filter(|kept| rows.iter().all(|row| row.name != kept.row.name)) {
        tracing::info!(host = kept.row.name, "a remote host was removed");
        forget(shared, people, &kept.host, None).await;
    }
    for row in rows {
        if before.get(&row.name).is_some_and(|kept| kept.row == row) {
            continue;
        }
        match serde_json::from_str(&row.settings) {
            Ok(host) => take_in(shared, siblings, people, host, row).await,
            Err(error) => tracing::error!(host = row.name, %error, "a host of the store cannot be read"),
        }
    }
    Ok(())
}

/// A host is new or has changed: who looks at it here sees it connected anew.
pub(super) async fn take_in(
    shared: &Shared,
    siblings: &Siblings,
    people: &People,
    host: RemoteHost,
    row: RemoteHostRow,
) {
    let name = host.name.clone();
    let problem = match shared.remote.of_configuration(&name) {
        true => Some(IN_CONFIGURATION),
        false => host.is_application().then_some(OWN),
    };
    if let Some(problem) = problem {
        tracing::error!(host = name, problem, "a host of the store cannot be started");
        shared.remote.lock().insert(name, Kept::new(host, row, Some(problem.to_owned())));
        return;
    }
    people.broker().publish(&name, &host.groups);
    let kept = Kept::new(host, row, None);
    shared.remote.lock().insert(name.clone(), kept.clone());
    if !siblings.has_now(&name) {
        return;
    }
    if let Err(problem) = restart(shared, people, &kept.host, &kept.row.sealed).await {
        failed(shared, siblings, &name, problem).await;
    }
}

/// Opens the hosts that no gateway has.
async fn open_free(shared: &Shared, siblings: &Siblings, people: &People) {
    let now = Instant::now();
    let may = |kept: &Kept| match kept.not_before {
        Some(at) => at <= now,
        None => kept.problem.is_none(),
    };
    let kept: Vec<Kept> = shared.remote.lock().values().filter(|kept| may(kept)).cloned().collect();
    let not_here: Vec<Kept> = kept.into_iter().filter(|kept| !siblings.has_now(&kept.host.name)).collect();
    if not_here.is_empty() || !siblings.may_open() {
        return;
    }
    let Some(leases) = siblings.leases().await else { return };
    for Kept { host, row, .. } in not_here {
        let name = &host.name;
        match leases.iter().find(|lease| lease.session == *name) {
            // It could not be left when it could not be opened.
            Some(lease) if siblings.is_own(lease) => siblings.leaves(name).await,
            Some(_) => continue,
            None => {}
        }
        let title = if host.title.is_empty() { name } else { &host.title };
        if !siblings.takes_free(name, title).await {
            continue;
        }
        match start(shared, people, &host, &row.sealed) {
            Ok(()) => {
                if let Some(kept) = shared.remote.lock().get_mut(name) {
                    (kept.problem, kept.not_before) = (None, None);
                }
                siblings.opened(name, title).await;
            }
            Err(problem) => failed(shared, siblings, name, problem).await,
        }
    }
}

/// A host could not be opened here: another gateway may try, and this one later.
async fn failed(shared: &Shared, siblings: &Siblings, name: &str, problem: String) {
    tracing::error!(host = name, problem, "a host of the store cannot be started");
    if let Some(kept) = shared.remote.lock().get_mut(name) {
        kept.problem = Some(problem);
        kept.not_before = Some(Instant::now() + OPENS_AGAIN);
    }
    drop(shared.registry.remove(name));
    siblings.leaves(name).await;
}
