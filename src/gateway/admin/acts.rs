//! What administrators do to sessions and gateways, here or at the gateway that has them.

use super::super::Shared;
use super::super::api;
use super::super::hosts;
use super::super::siblings::Ordered;
use super::gate::Asker;
use crate::session::{Session, Whom};
use crate::wire::{CloseCode, EndReason};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

const MOST_TEXT: usize = 1_000;
const MOST_REASON: usize = 200;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(in super::super) enum Act {
    /// Shows a message to one viewer of a session, or to all.
    Message { session: String, viewer: Option<u64>, text: String },
    /// Ends the link of one viewer, or of all. The session goes on.
    End { session: String, viewer: Option<u64>, reason: String },
    /// Ends a session that was started on a host.
    Terminate { session: String, reason: String },
    /// Has a gateway's sessions go on at others, and the gateway end.
    Drain,
}

impl Act {
    pub fn session(&self) -> Option<&str> {
        match self {
            Act::Message { session, .. } | Act::End { session, .. } | Act::Terminate { session, .. } => {
                Some(session)
            }
            Act::Drain => None,
        }
    }

    /// As the audit calls it, and what is done.
    fn words(&self) -> (&'static str, String) {
        let of = |viewer: &Option<u64>| viewer.map_or("all viewers".into(), |id| format!("viewer {id}"));
        match self {
            Act::Message { viewer, .. } => ("message", of(viewer)),
            Act::End { viewer, .. } => ("end viewer", of(viewer)),
            Act::Terminate { reason, .. } => ("end session", reason.clone()),
            Act::Drain => ("drain gateway", String::new()),
        }
    }
}

/// What came of it, in a form that can be sent from gateway to gateway.
#[derive(Debug, Serialize, Deserialize)]
pub(in super::super) struct Done {
    status: u16,
    body: Value,
}

impl Done {
    fn with(body: Value) -> Done {
        Done { status: 200, body }
    }

    fn nothing() -> Done {
        Done { status: 204, body: Value::Null }
    }

    pub fn refused(status: StatusCode, error: &str, reason: &str) -> Done {
        Done { status: status.as_u16(), body: json!({"error": error, "reason": reason}) }
    }
}

impl IntoResponse for Done {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::BAD_GATEWAY);
        match status {
            StatusCode::NO_CONTENT => status.into_response(),
            status => (status, api::answer(self.body)).into_response(),
        }
    }
}

/// Does it at the gateway of this name, or at the one that has the session.
pub(super) async fn wherever(shared: &Shared, asker: &Asker, gateway: Option<&str>, act: Act) -> Done {
    let Some(siblings) = &shared.siblings else {
        let own = shared.availability.as_ref().map(|recorder| recorder.gateway());
        return match gateway {
            Some(name) if own != Some(name) => no_gateway(),
            _ => here(shared, asker, act).await,
        };
    };
    let is_here = act.session().is_some_and(|session| shared.registry.session(session).is_some());
    let elsewhere = match (gateway, act.session()) {
        (Some(name), _) if name == siblings.name() => None,
        (Some(name), _) => Some(name.to_owned()),
        (None, Some(session)) if !is_here => super::everywhere::holder(siblings, session).await,
        (None, _) => None,
    };
    let Some(name) = elsewhere else { return here(shared, asker, act).await };
    let (action, object) = act.words();
    let record = asker.record(action, &format!("{object} at gateway {name}"));
    // Before anybody notices, it is known who wanted it, and where.
    shared.audit.record(match act.session() {
        Some(session) => record.session(session),
        None => record,
    });
    match siblings.order(&name, asker, &act).await {
        Ordered::Done(done) => done,
        Ordered::NoGateway => no_gateway(),
        Ordered::Silent { begun } => {
            let reason = match begun {
                false => format!("the gateway {name} did not answer in time: nothing was done"),
                true => {
                    format!("the gateway {name} has begun with it and did not say in time what came of it")
                }
            };
            Done::refused(StatusCode::GATEWAY_TIMEOUT, "silent", &reason)
        }
        Ordered::NoDatabase => {
            let reason =
                "the gateways' database does not answer: other gateways cannot be asked for anything";
            Done::refused(StatusCode::SERVICE_UNAVAILABLE, "database", reason)
        }
    }
}

fn no_gateway() -> Done {
    Done::refused(StatusCode::NOT_FOUND, "no-gateway", "there is no such gateway now")
}

/// Does it at this gateway.
pub(in super::super) async fn here(shared: &Shared, asker: &Asker, act: Act) -> Done {
    let done = match act {
        Act::Message { session, viewer, text } => message(shared, asker, &session, viewer, &text).await,
        Act::End { session, viewer, reason } => end(shared, asker, &session, viewer, &reason).await,
        Act::Terminate { session, reason } => terminate(shared, asker, &session, &reason).await,
        Act::Drain => drain(shared, asker).await,
    };
    done.unwrap_or_else(|refused| refused)
}

fn found(shared: &Shared, name: &str) -> Result<Session, Done> {
    let none = || Done::refused(StatusCode::NOT_FOUND, "no-session", "there is no such session now");
    shared.registry.session(name).ok_or_else(none)
}

fn whom(viewer: Option<u64>) -> Whom {
    viewer.map_or(Whom::All, Whom::One)
}

fn nobody() -> Done {
    Done::refused(StatusCode::NOT_FOUND, "no-viewer", "nobody like that views this session now")
}

fn reason_of(reason: &str) -> Result<&str, Done> {
    let reason = reason.trim();
    if reason.len() > MOST_REASON || reason.contains(char::is_control) {
        let why = "a reason has at most 200 bytes, and no control characters";
        return Err(Done::refused(StatusCode::BAD_REQUEST, "text", why));
    }
    Ok(reason)
}

async fn message(
    shared: &Shared,
    asker: &Asker,
    name: &str,
    viewer: Option<u64>,
    text: &str,
) -> Result<Done, Done> {
    let text = text.trim();
    let is_plain = text.chars().all(|c| c == '\n' || !c.is_control());
    if text.is_empty() || text.len() > MOST_TEXT || !is_plain {
        let reason = "a message has 1 to 1,000 bytes of text, without control characters but line ends";
        return Err(Done::refused(StatusCode::BAD_REQUEST, "text", reason));
    }
    let session = found(shared, name)?;
    // Before anybody sees it, it is known who said it.
    shared.audit.record(asker.record("message", text).session(name));
    match session.say(whom(viewer), text).await {
        0 => Err(nobody()),
        viewers => Ok(Done::with(json!({"viewers": viewers}))),
    }
}

async fn end(
    shared: &Shared,
    asker: &Asker,
    name: &str,
    viewer: Option<u64>,
    reason: &str,
) -> Result<Done, Done> {
    let reason = reason_of(reason)?;
    let session = found(shared, name)?;
    let said = if reason.is_empty() { "an administrator ended it" } else { reason };
    // A code at which no viewer dials again by itself.
    let ended = session.end(whom(viewer), CloseCode::DONE, said).await;
    if ended.is_empty() {
        return Err(nobody());
    }
    for viewer in &ended {
        let object = format!("viewer {} ({}) at {}", viewer.id, viewer.title, viewer.seat);
        shared.audit.record(asker.record("end viewer", &object).session(name));
    }
    Ok(Done::with(json!({"viewers": ended.len()})))
}

async fn terminate(shared: &Shared, asker: &Asker, name: &str, reason: &str) -> Result<Done, Done> {
    let reason = reason_of(reason)?;
    if shared.hosts.applications().running(name).is_none() {
        let why = "no session of this name was started on a host";
        return Err(Done::refused(StatusCode::NOT_FOUND, "no-session", why));
    }
    shared.audit.record(asker.record("end session", reason).session(name));
    hosts::end(shared, name, EndReason::Administrator, reason, Some(&asker.person)).await;
    Ok(Done::nothing())
}

async fn drain(shared: &Shared, asker: &Asker) -> Result<Done, Done> {
    let Some(siblings) = shared.siblings.as_ref().filter(|siblings| siblings.has_others()) else {
        let reason = "no other gateway is there that would take its sessions";
        return Err(Done::refused(StatusCode::CONFLICT, "no-other", reason));
    };
    shared.audit.record(asker.record("drain gateway", siblings.name()));
    siblings.ask_own_drain();
    Ok(Done::nothing())
}
