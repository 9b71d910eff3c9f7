//! The idle lock: who does nothing for as long as their policy allows must sign in again. Their sign-in ends, so that no
//! page that stayed open can undo it.

use super::Shared;
use super::people::People;
use crate::audit::{Event, Record};
use crate::clock;
use crate::identity::ticket::Claims;
use crate::link::Link;
use crate::session::Grant;
use crate::wire::CloseCode;
use std::time::Duration;

/// At the latest it is looked again whether somebody does something.
const LOOK_EVERY_MS: i64 = 30_000;

/// Ends the sign-in of an attached viewer once it is idle; returns when the link has ended.
pub(super) async fn when_idle(
    shared: &Shared,
    people: &People,
    link: &Link,
    claims: &Claims,
    grant: &Grant,
    record: impl Fn(Event) -> Record,
) {
    let after = grant.allowed.idle_lock_ms;
    // Who watches need not do anything.
    if after == 0 || !grant.controls {
        return;
    }
    loop {
        let left = people.last_use(claims, grant).await + after - clock::unix_ms();
        if left <= 0 {
            break;
        }
        let soon = Duration::from_millis(left.min(LOOK_EVERY_MS).unsigned_abs());
        tokio::select! {
            _ = link.ended() => return,
            () = tokio::time::sleep(soon) => {}
        }
    }
    let reason = format!("locked after {} without a key or click", spoken(after));
    people.end_sign_in(&claims.sign_in).await;
    shared.registry.dismiss(&claims.sign_in, CloseCode::LOCKED, &reason).await;
    link.close(CloseCode::LOCKED, &reason);
    shared.audit.record(record(Event::Locked { reason: reason.into() }));
}

fn spoken(ms: i64) -> String {
    match ms % 60_000 {
        0 => format!("{} min", ms / 60_000),
        _ => format!("{} s", ms / 1_000),
    }
}
