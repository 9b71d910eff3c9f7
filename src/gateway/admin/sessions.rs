//! The running sessions: who views them, a message, an end.

use super::super::api::{answer, people, refusal};
use super::super::{Place, Shared, share};
use super::Body;
use super::acts::{self, Act};
use super::everywhere;
use super::gate::Asker;
use super::shapes::{AtWish, EndWish, MessageWish, Problem, Session, Sessions, ShadowWish, Told, Watching};
use super::users::bad;
use crate::session::{self, Status};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Extension, Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use std::sync::Arc;

/// What runs, and who views it.
#[utoipa::path(get, path = "/api/admin/sessions", tag = "sessions",
    responses((status = 200, body = Sessions), (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(super) async fn list(State(shared): State<Arc<Shared>>) -> Response {
    let mut sessions: Vec<_> = own(&shared).await.into_iter().map(|session| json!(session)).collect();
    let (others, whole) = everywhere::others(&shared).await;
    sessions.extend(others.into_iter().flat_map(|(_, view)| view.sessions));
    let here = shared.siblings.as_ref().map(|siblings| siblings.name().to_owned());
    answer(json!(Sessions { sessions, here, whole }))
}

/// The sessions of this gateway.
pub(super) async fn own(shared: &Shared) -> Vec<Session> {
    let mut sessions = Vec::new();
    let gateway = everywhere::own_name(shared);
    for session in shared.registry.all() {
        let Status { live, waiting_for, width, height, policy, .. } = session.status();
        let started = shared.hosts.applications().running(session.name());
        sessions.push(Session {
            name: session.name().to_owned(),
            gateway: gateway.clone(),
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
    sessions
}

fn found(shared: &Shared, name: &str) -> Result<session::Session, Response> {
    let none = || refusal(StatusCode::NOT_FOUND, "no-session", "there is no such session here now");
    shared.registry.session(name).ok_or_else(none)
}

/// Shows a message to who views a session.
#[utoipa::path(post, path = "/api/admin/sessions/{name}/message", tag = "sessions",
    params(("name" = String, Path), AtWish), request_body = MessageWish,
    responses((status = 200, body = Told), (status = 400, body = Problem), (status = 403, body = Problem),
        (status = 404, body = Problem)))]
pub(super) async fn message(
    State(shared): State<Arc<Shared>>,
    Extension(asker): Extension<Asker>,
    Path(name): Path<String>,
    at: Result<Query<AtWish>, QueryRejection>,
    Body(wish): Body<MessageWish>,
) -> Result<Response, Response> {
    let Query(at) = at.map_err(|error| bad("request", &error.body_text()))?;
    let act = Act::Message { session: name, viewer: wish.viewer, text: wish.text };
    Ok(acts::wherever(&shared, &asker, at.gateway.as_deref(), act).await.into_response())
}

/// Ends the links of who views a session. The session itself goes on.
#[utoipa::path(post, path = "/api/admin/sessions/{name}/end", tag = "sessions",
    params(("name" = String, Path), AtWish), request_body = EndWish,
    responses((status = 200, body = Told), (status = 400, body = Problem), (status = 403, body = Problem),
        (status = 404, body = Problem)))]
pub(super) async fn end(
    State(shared): State<Arc<Shared>>,
    Extension(asker): Extension<Asker>,
    Path(name): Path<String>,
    at: Result<Query<AtWish>, QueryRejection>,
    Body(wish): Body<EndWish>,
) -> Result<Response, Response> {
    let Query(at) = at.map_err(|error| bad("request", &error.body_text()))?;
    let act = Act::End { session: name, viewer: wish.viewer, reason: wish.reason };
    Ok(acts::wherever(&shared, &asker, at.gateway.as_deref(), act).await.into_response())
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
