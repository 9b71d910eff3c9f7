//! The running sessions: who views them, a message, an end.

use super::super::api::{answer, people, refusal};
use super::super::{Place, Shared, share};
use super::Body;
use super::gate::Asker;
use super::shapes::{EndWish, MessageWish, Problem, Session, Sessions, ShadowWish, Told, Watching};
use crate::session::{self, Status, Whom};
use crate::wire::CloseCode;
use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;
use std::sync::Arc;

const MOST_TEXT: usize = 1_000;
const MOST_REASON: usize = 200;

/// What runs, and who views it.
#[utoipa::path(get, path = "/api/admin/sessions", tag = "sessions",
    responses((status = 200, body = Sessions), (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(super) async fn list(State(shared): State<Arc<Shared>>) -> Response {
    let mut sessions = Vec::new();
    for session in shared.registry.all() {
        let Status { live, waiting_for, width, height, policy, .. } = session.status();
        let started = shared.hosts.applications().running(session.name());
        sessions.push(Session {
            name: session.name().to_owned(),
            title: session.title().to_owned(),
            state: if live { "live" } else { "waiting" },
            waiting_for,
            width,
            height,
            policy,
            application: started.as_ref().map(|running| running.application.clone()),
            host: started.as_ref().map(|running| running.host.clone()),
            owner: started.as_ref().map(|running| running.title.clone()),
            started_at: started.as_ref().map(|running| running.started_at),
            viewers: session.viewers().await,
        });
    }
    answer(json!(Sessions { sessions }))
}

fn found(shared: &Shared, name: &str) -> Result<session::Session, Response> {
    let none = || refusal(StatusCode::NOT_FOUND, "no-session", "there is no such session now");
    shared.registry.session(name).ok_or_else(none)
}

fn whom(viewer: Option<u64>) -> Whom {
    viewer.map_or(Whom::All, Whom::One)
}

fn nobody() -> Response {
    refusal(StatusCode::NOT_FOUND, "no-viewer", "nobody like that views this session now")
}

/// Shows a message to who views a session.
#[utoipa::path(post, path = "/api/admin/sessions/{name}/message", tag = "sessions",
    params(("name" = String, Path)), request_body = MessageWish,
    responses((status = 200, body = Told), (status = 400, body = Problem), (status = 403, body = Problem),
        (status = 404, body = Problem)))]
pub(super) async fn message(
    State(shared): State<Arc<Shared>>,
    Extension(asker): Extension<Asker>,
    Path(name): Path<String>,
    Body(wish): Body<MessageWish>,
) -> Result<Response, Response> {
    let text = wish.text.trim();
    if text.is_empty() || text.len() > MOST_TEXT || !is_plain(text) {
        let reason = "a message has 1 to 1,000 bytes of text, without control characters but line ends";
        return Err(refusal(StatusCode::BAD_REQUEST, "text", reason));
    }
    let session = found(&shared, &name)?;
    // Before anybody sees it, it is known who said it.
    shared.audit.record(asker.record("message", text).session(name.as_str()));
    match session.say(whom(wish.viewer), text).await {
        0 => Err(nobody()),
        viewers => Ok(answer(json!(Told { viewers }))),
    }
}

/// Ends the links of who views a session. The session itself goes on.
#[utoipa::path(post, path = "/api/admin/sessions/{name}/end", tag = "sessions",
    params(("name" = String, Path)), request_body = EndWish,
    responses((status = 200, body = Told), (status = 400, body = Problem), (status = 403, body = Problem),
        (status = 404, body = Problem)))]
pub(super) async fn end(
    State(shared): State<Arc<Shared>>,
    Extension(asker): Extension<Asker>,
    Path(name): Path<String>,
    Body(wish): Body<EndWish>,
) -> Result<Response, Response> {
    let reason = wish.reason.trim();
    if reason.len() > MOST_REASON || reason.contains(char::is_control) {
        let why = "a reason has at most 200 bytes, and no control characters";
        return Err(refusal(StatusCode::BAD_REQUEST, "text", why));
    }
    let session = found(&shared, &name)?;
    let said = if reason.is_empty() { "an administrator ended it" } else { reason };
    // A code at which no viewer dials again by itself.
    let ended = session.end(whom(wish.viewer), CloseCode::DONE, said).await;
    if ended.is_empty() {
        return Err(nobody());
    }
    for viewer in &ended {
        let object = format!("viewer {} ({}) at {}", viewer.id, viewer.title, viewer.seat);
        shared.audit.record(asker.record("end viewer", &object).session(name.as_str()));
    }
    Ok(answer(json!(Told { viewers: ended.len() })))
}

/// A ticket to watch a session, once its user's policy is satisfied: the user is asked, or told, or it is refused.
#[utoipa::path(post, path = "/api/admin/sessions/{name}/shadow", tag = "sessions",
    params(("name" = String, Path)), request_body = ShadowWish,
    responses((status = 200, body = Watching), (status = 400, body = Problem), (status = 403, body = Problem),
        (status = 404, body = Problem), (status = 409, body = Problem), (status = 429, body = Problem)))]
pub(super) async fn shadow(
    State(shared): State<Arc<Shared>>,
    Extension(asker): Extension<Asker>,
    Extension(place): Extension<Place>,
    Path(name): Path<String>,
    Body(wish): Body<ShadowWish>,
) -> Result<Response, Response> {
    let session = found(&shared, &name)?;
    if !wish.holder.is_well_formed() {
        let reason = "the ticket's holder must be 32 bytes in base64url without padding";
        return Err(refusal(StatusCode::BAD_REQUEST, "request", reason));
    }
    shared.audit.record(asker.record("shadow", "").session(name.as_str()));
    let people = people(&shared)?;
    share::admit(&shared, people, &session, &asker.person, &place, (wish.holder, true)).await
}

fn is_plain(text: &str) -> bool {
    text.chars().all(|c| c == '\n' || !c.is_control())
}
