//! What the page asks when somebody is to watch: a code from the user of a session, and the way in for who was told it.

// A refusal is a whole answer, made once a request.
#![allow(clippy::result_large_err)]

use super::api::{about, answer, own_page, people, person, refusal, unavailable, unreadable};
use super::people::People;
use super::{Place, Shared};
use crate::audit::{Event, Record};
use crate::broker::BrokerError;
use crate::clock;
use crate::identity::ticket::Holder;
use crate::identity::{Person, user_name};
use crate::session::{self, Session, WatchRefused, Wish, Witness};
use axum::extract::rejection::JsonRejection;
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::post;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;

pub(super) fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/api/sessions/{name}/share", post(invite).delete(withdraw))
        .route("/api/watch", post(watch))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Invitee {
    /// The only user who may use the code.
    #[serde(default)]
    user: Option<String>,
}

/// The session that this person has now, and may share. Of others they learn nothing.
fn held(shared: &Shared, name: &str, person: &Person) -> Result<Session, Response> {
    let yours =
        |session: &Session| session.status().held_by.filter(|held_by| *held_by.sign_in == *person.sign_in.id);
    let session = shared.registry.session(name);
    let Some((session, held_by)) = session.and_then(|session| yours(&session).map(|held| (session, held)))
    else {
        return Err(refusal(StatusCode::FORBIDDEN, "not-yours", "you do not have this session now"));
    };
    match held_by.may_share {
        true => Ok(session),
        false => {
            Err(refusal(StatusCode::FORBIDDEN, "not-allowed", "a policy does not let you share this session"))
        }
    }
}

/// Makes a code by which somebody may ask to watch.
async fn invite(
    State(shared): State<Arc<Shared>>,
    Extension(place): Extension<Place>,
    Path(name): Path<String>,
    headers: HeaderMap,
    asked: Result<Json<Invitee>, JsonRejection>,
) -> Result<Response, Response> {
    own_page(&shared, &headers)?;
    let person = person(&shared, &headers).await?;
    let Json(invitee) = asked.map_err(unreadable)?;
    let guest = match invitee.user {
        None => String::new(),
        Some(name) => user_name(&name)
            .ok_or_else(|| refusal(StatusCode::BAD_REQUEST, "request", "this is no user's name"))?,
    };
    let session = held(&shared, &name, &person);
    let record = |event| about(&person, event).session(name.as_str()).peer(place.from());
    if session.is_err() {
        let reason = "not the session's user, or not allowed to share it".into();
        shared.audit.refused(record(Event::ShareRefused { reason }));
    }
    session?;
    let now = clock::unix_ms();
    let invited = people(&shared)?.invitations().invite(&name, &person.sign_in.id, &guest, now);
    let full =
        || refusal(StatusCode::SERVICE_UNAVAILABLE, "too-many", "too many invitations; try again soon");
    let code = invited.ok_or_else(full)?;
    shared.audit.record(record(Event::Invited { guest: guest.into() }));
    Ok(answer(json!({"code": code, "lasts_ms": crate::broker::INVITATION_LASTS_MS})))
}

/// Codes that were made for a session are of no use any more.
async fn withdraw(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Response> {
    own_page(&shared, &headers)?;
    let person = person(&shared, &headers).await?;
    let withdrawn = people(&shared)?.invitations().withdraw(&name, &person.sign_in.id);
    Ok(answer(json!({"withdrawn": withdrawn})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WatchWish {
    code: String,
    holder: Holder,
}

/// Waits until the user of the session has answered. Whoever hangs up does not ask any more.
async fn watch(
    State(shared): State<Arc<Shared>>,
    Extension(place): Extension<Place>,
    headers: HeaderMap,
    wish: Result<Json<WatchWish>, JsonRejection>,
) -> Result<Response, Response> {
    own_page(&shared, &headers)?;
    let person = person(&shared, &headers).await?;
    let Json(WatchWish { code, holder }) = wish.map_err(unreadable)?;
    let people = people(&shared)?;
    let now = clock::unix_ms();
    if !people.may_try_code(place.from()) {
        return Err(refusal(
            StatusCode::TOO_MANY_REQUESTS,
            "too-many",
            "too many codes were tried; wait a minute",
        ));
    }
    let refused = |session: Option<&str>, reason: &str| {
        let event = Event::WatchRefused { by: "".into(), reason: reason.into() };
        let record = about(&person, event).peer(place.from());
        shared.audit.refused(session.into_iter().fold(record, Record::session));
    };
    if !holder.is_well_formed() {
        return Err(refusal(StatusCode::BAD_REQUEST, "request", &BrokerError::Holder.to_string()));
    }
    let invitation = people.invitations().take(&code, &person.user.name, now);
    let Some(invitation) = invitation else {
        refused(None, "no such code");
        let reason = "the code is wrong, was used, or is too old; ask for a new one";
        return Err(refusal(StatusCode::FORBIDDEN, "no-such-code", reason));
    };
    let name = invitation.session.as_str();
    // Who invited must still have the session: else somebody else would be asked.
    let session = shared.registry.session(name).filter(|session| {
        session.status().held_by.is_some_and(|held_by| *held_by.sign_in == *invitation.sign_in)
    });
    let Some(session) = session else {
        refused(Some(name), "who invited does not have the session any more");
        return Err(not_admitted(WatchRefused::NobodyThere));
    };
    admit(&shared, people, &session, &person, &place, (holder, false)).await
}

/// Has the user asked, if that is to be, and gives the ticket.
pub(super) async fn admit(
    shared: &Arc<Shared>,
    people: &People,
    session: &Session,
    person: &Person,
    place: &Place,
    (holder, administrator): (Holder, bool),
) -> Result<Response, Response> {
    let record = {
        let (person, name, from) = (person.clone(), session.name().to_owned(), place.from());
        move |event| about(&person, event).session(name.as_str()).peer(from)
    };
    shared.audit.record(record(Event::WatchAsked));
    let by = session.status().held_by.map(|held_by| held_by.title.to_string()).unwrap_or_default();
    let wish = Wish {
        title: person.user.title.as_str().into(),
        seat: person.sign_in.seat.as_str().into(),
        administrator,
        witness: witness(shared, record.clone()),
    };
    match session.ask_to_watch(wish).await {
        Err(reason) => {
            let event = Event::WatchRefused { by: by.into(), reason: reason.to_string().into() };
            shared.audit.refused(record(event));
            Err(not_admitted(reason))
        }
        Ok(admission) => {
            // What cannot be recorded is not allowed, as for everybody who attaches.
            let granted = shared.audit.grant(record(Event::WatchAdmitted { by: by.into() })).await;
            granted.map_err(|_| unavailable(&"that somebody watches could not be recorded"))?;
            let now = clock::unix_ms();
            let ticket = people.broker().watch(person, session.name(), holder, place.from(), admission, now);
            let ticket =
                ticket.map_err(|error| refusal(StatusCode::BAD_REQUEST, "request", &error.to_string()))?;
            Ok(answer(json!({"ticket": ticket, "session": session.name(), "title": session.title()})))
        }
    }
}

/// Writes what a session's user and watchers do into the audit trail, as records about somebody.
pub(super) fn witness(
    shared: &Arc<Shared>,
    record: impl Fn(Event) -> Record + Send + Sync + 'static,
) -> Witness {
    let audit = shared.audit.clone();
    Witness::new(move |what| {
        audit.record(record(match what {
            session::Shared::ControlGiven { to } => Event::ControlGiven { to: (&*to).into() },
            session::Shared::ControlTaken { from } => Event::ControlTaken { from: (&*from).into() },
            session::Shared::WatchEnded { reason } => Event::WatchEnded { reason: reason.into() },
        }));
    })
}

fn not_admitted(reason: WatchRefused) -> Response {
    let (status, name) = match reason {
        WatchRefused::NobodyThere => (StatusCode::CONFLICT, "nobody-there"),
        WatchRefused::NotAllowed => (StatusCode::FORBIDDEN, "not-allowed"),
        WatchRefused::Refused => (StatusCode::FORBIDDEN, "refused"),
        WatchRefused::NoAnswer => (StatusCode::FORBIDDEN, "no-answer"),
        WatchRefused::TooMany => (StatusCode::TOO_MANY_REQUESTS, "too-many"),
    };
    refusal(status, name, &reason.to_string())
}
