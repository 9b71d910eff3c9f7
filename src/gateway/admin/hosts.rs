//! The hosts that start applications: how they are, and whether they are given new sessions.

use super::super::Shared;
use super::super::api::{answer, people, refusal, unavailable};
use super::super::hosts::{self, HostStatus};
use super::Body;
use super::gate::Asker;
use super::shapes::{DrainWish, Hosts, Problem, TerminateWish};
use crate::wire::EndReason;
use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use std::sync::Arc;

const MOST_REASON: usize = 200;

/// Every host that is enrolled, and those that are connected.
#[utoipa::path(get, path = "/api/admin/hosts", tag = "hosts",
    responses((status = 200, body = Hosts), (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(super) async fn list(State(shared): State<Arc<Shared>>) -> Result<Response, Response> {
    let enrolled = people(&shared)?.identity().store().hosts().await.map_err(|error| unavailable(&error))?;
    let mut known = shared.hosts.status();
    let hosts = enrolled.into_iter().map(|host| {
        let here = known.iter().position(|status| status.name == host.name).map(|at| known.swap_remove(at));
        let status = here.unwrap_or_else(|| HostStatus::absent(&host.name));
        let seen_at = status.seen_at.max(host.seen_at);
        let drained = host.drained != 0;
        HostStatus { seen_at, drained, draining: status.draining || drained, ..status }
    });
    Ok(answer(json!(Hosts { hosts: hosts.collect() })))
}

/// Gives a host no new sessions, or some again. Those that it runs go on until nobody looks at them.
#[utoipa::path(post, path = "/api/admin/hosts/{name}/drain", tag = "hosts",
    params(("name" = String, Path)), request_body = DrainWish,
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn drain(
    State(shared): State<Arc<Shared>>,
    Extension(asker): Extension<Asker>,
    Path(name): Path<String>,
    Body(wish): Body<DrainWish>,
) -> Result<Response, Response> {
    let store = people(&shared)?.identity().store();
    let there = store.drain_host(&name, wish.drained).await.map_err(|error| unavailable(&error))?;
    if !there {
        return Err(refusal(StatusCode::NOT_FOUND, "no-host", "no host is enrolled by this name"));
    }
    let action = if wish.drained { "drain host" } else { "give host sessions again" };
    shared.audit.record(asker.record(action, &name).host(name.as_str()));
    shared.hosts.drain(&name, wish.drained);
    hosts::drain_told(&shared, &name).await;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Ends a session that was started on a host, with the programs that run in it.
#[utoipa::path(post, path = "/api/admin/sessions/{name}/terminate", tag = "sessions",
    params(("name" = String, Path)), request_body = TerminateWish,
    responses((status = 204), (status = 400, body = Problem), (status = 403, body = Problem),
        (status = 404, body = Problem)))]
pub(super) async fn terminate(
    State(shared): State<Arc<Shared>>,
    Extension(asker): Extension<Asker>,
    Path(name): Path<String>,
    Body(wish): Body<TerminateWish>,
) -> Result<Response, Response> {
    let reason = wish.reason.trim();
    if reason.len() > MOST_REASON || reason.contains(char::is_control) {
        let why = "a reason has at most 200 bytes, and no control characters";
        return Err(refusal(StatusCode::BAD_REQUEST, "text", why));
    }
    if shared.hosts.applications().running(&name).is_none() {
        let why = "no session of this name was started on a host";
        return Err(refusal(StatusCode::NOT_FOUND, "no-session", why));
    }
    shared.audit.record(asker.record("end session", reason).session(name.as_str()));
    hosts::end(&shared, &name, EndReason::Administrator, reason, Some(&asker.person)).await;
    Ok(StatusCode::NO_CONTENT.into_response())
}
