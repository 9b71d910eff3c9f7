//! What gateways of a database tell each other, and what follows from it here.

use super::super::Shared;
use super::super::registry::Dismissed;
use super::super::{certificates, hosts};
use super::lose::lost;
use super::{Siblings, Told, in_time, look, orders};
use crate::clock;
use crate::wire::CloseCode;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::time::sleep;

const LISTEN_AGAIN: Duration = Duration::from_secs(1);

/// Hears what the others tell, for as long as the gateway runs.
pub(in crate::gateway) async fn listen(shared: Arc<Shared>, siblings: Arc<Siblings>) {
    loop {
        if let Ok(mut heard) = in_time(siblings.store.hear_gateways()).await {
            // What was told before is looked up.
            look(&shared, &siblings).await;
            while let Ok(Some(text)) = heard.next().await {
                match serde_json::from_str(&text) {
                    Ok(told) => on_told(&shared, &siblings, told).await,
                    Err(error) => tracing::warn!(%error, "another gateway tells what this one does not know"),
                }
            }
        }
        sleep(LISTEN_AGAIN).await;
    }
}

async fn on_told(shared: &Arc<Shared>, siblings: &Arc<Siblings>, told: Told) {
    match told {
        Told::Gateways => siblings.look_for_others().await,
        Told::Drain(name) if name == siblings.name => siblings.drain_asked.notify_one(),
        Told::Drain(_) => {}
        Told::Started => hosts::learn(shared).await,
        Told::RemoteHosts => siblings.news.notify_waiters(),
        Told::Look => siblings.is_looked_at(),
        Told::Orders(start_id) if start_id == siblings.start_id => orders::obey(shared, siblings).await,
        Told::Orders(_) => {}
        Told::CertificateForgotten { protocol, host } => certificates::forget_here(shared, &protocol, &host),
        Told::HostDrained { host, drained } => drain_host(shared, &host, drained).await,
        Told::Session(session) => {
            siblings.news.notify_waiters();
            let told = siblings.held().get(&session).is_some_and(|held| held.told);
            if told && let Some(holder) = siblings.holder(&session).await {
                lost(shared, siblings, &session, &holder);
            }
        }
        Told::Dismissed { by, sign_in, code, reason } if by != siblings.start_id => {
            if let Some(people) = &shared.people {
                people.broker().sign_in_ended(&sign_in, clock::unix_ms());
            }
            shared.registry.dismiss_here(&sign_in, CloseCode(code), &reason).await;
        }
        Told::Dismissed { .. } => {}
        Told::Outside { from, holder, sign_in } if holder == siblings.start_id => {
            if let Some(edges) = shared.edges.get() {
                edges.admit_anew(from, sign_in.as_deref());
            }
        }
        Told::Outside { .. } => {}
    }
}

/// A host is given no new sessions at any gateway, or some again.
async fn drain_host(shared: &Shared, host: &str, drained: bool) {
    shared.hosts.drain(host, drained);
    hosts::drain_told(shared, host).await;
}

/// Takes in which hosts are drained, for whom was not told.
pub(super) async fn look_at_drained(shared: &Shared, siblings: &Siblings) {
    for host in in_time(siblings.store.hosts()).await.unwrap_or_default() {
        drain_host(shared, &host.name, host.drained != 0).await;
    }
}

/// Tells the other gateways whose viewers must go, for as long as the gateway runs.
pub(in crate::gateway) async fn tell_dismissals(siblings: Arc<Siblings>) {
    let dismissed = siblings.dismissed.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some(mut dismissed) = dismissed else { return };
    while let Some(Dismissed { sign_in, code, reason }) = dismissed.recv().await {
        let told = Told::Dismissed { by: siblings.start_id.clone(), sign_in, code: code.0, reason };
        if let Err(error) = in_time(siblings.tell(&told)).await {
            tracing::warn!(error, "other gateways could not be told that a sign-in has ended");
        }
    }
}
