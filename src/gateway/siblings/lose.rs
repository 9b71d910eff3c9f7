//! A session that another gateway has from now on: where its viewers go, inside and outside.

use super::super::Shared;
use super::{LOOK_AGAIN, Outsider, Siblings};
use crate::session::Whom;
use crate::wire::{CloseCode, Control};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// The viewers of a session that has gone elsewhere have this long to follow it.
const FOLLOW_WITHIN: Duration = Duration::from_secs(10);
/// After edges were asked to bring somebody elsewhere, it takes so long until they do.
const EDGES_KNOW_AFTER: Duration = Duration::from_millis(30);

/// Another gateway has a session from now on: its viewers are told to go there.
pub(super) fn lost(shared: &Arc<Shared>, siblings: &Arc<Siblings>, session: &str, holder: &str) {
    if siblings.held().remove(session).is_none() {
        return;
    }
    let Some(gone) = shared.registry.session(session) else { return };
    tracing::info!(session, "another gateway has the session; its viewers are told");
    let (shared, siblings) = (shared.clone(), siblings.clone());
    let gateways = siblings.list(Some(holder));
    let holder = holder.to_owned();
    let brought = shared.registry.is_brought(session);
    if !brought {
        // The other gateway has opened the host anew: this one has no business there any more.
        drop(shared.registry.remove(session));
    }
    tokio::spawn(async move {
        gone.tell_to_move(gateways).await;
        bring_outside(&siblings, gone.name(), &holder, brought).await;
        if !brought {
            return;
        }
        let end = Instant::now() + FOLLOW_WITHIN;
        while gone.status().viewers > 0 && Instant::now() < end {
            sleep(LOOK_AGAIN).await;
        }
        // Its host may have come back meanwhile.
        if !siblings.has_now(gone.name()) {
            drop(shared.registry.remove(gone.name()));
            gone.end(Whom::All, CloseCode::GOING_AWAY, "another gateway has the session").await;
        }
    });
}

/// The edges bring whoever shows a session from outside to the gateway that has it. If the session is still shown here, they
/// go there by a second link; else they dial anew.
async fn bring_outside(siblings: &Siblings, session: &str, holder: &str, still_shown: bool) {
    let outside: Vec<Outsider> =
        siblings.outsiders().extract_if(.., |outsider| outsider.session == session).collect();
    for Outsider { from, sign_in, .. } in &outside {
        // Before it dials.
        siblings.send_outside(*from, sign_in.clone(), holder).await;
    }
    if !outside.is_empty() {
        sleep(EDGES_KNOW_AFTER).await;
    }
    for Outsider { link, moves, .. } in outside {
        if moves && still_shown {
            link.control(&Control::Move);
        } else {
            link.close(CloseCode::GOING_AWAY, "another gateway has the session");
        }
    }
}
