//! The hosts without chevet: listed, added, changed, tested and removed. A password goes in and never out.

use super::super::Shared;
use super::super::api::{answer, people, refusal, unavailable};
use super::super::remote_hosts::{self, ChangeError, Credentials, RemoteHost};
use super::Body;
use super::gate::Asker;
use super::shapes::{Problem, RemoteHostStatus, RemoteHostTest, RemoteHostWish, RemoteHosts, Seen, TestWish};
use super::users::bad;
use crate::session::Status;
use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Bytes of a password.
const MOST_PASSWORD: usize = 256;

/// Every host without chevet: of the configuration, and those that were added here.
#[utoipa::path(get, path = "/api/admin/remote-hosts", tag = "remote hosts",
    responses((status = 200, body = RemoteHosts), (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(super) async fn list(State(shared): State<Arc<Shared>>) -> Response {
    let running = shared.hosts.applications().all_running();
    let elsewhere = match &shared.siblings {
        Some(siblings) => siblings.elsewhere().await,
        None => Vec::new(),
    };
    let status = |shown: remote_hosts::Shown| {
        let name = &shown.host.name;
        let session = shared.registry.session(name).map(|session| session.status());
        let (state, waiting_for) = match session {
            Some(Status { live: true, .. }) => ("live", String::new()),
            Some(Status { waiting_for, .. }) => ("waiting", waiting_for),
            None if elsewhere.iter().any(|(session, _)| session == name) => ("elsewhere", String::new()),
            None => ("none", String::new()),
        };
        let sessions = running.iter().filter(|one| one.application == *name).count();
        RemoteHostStatus {
            sessions: sessions + usize::from(state != "none"),
            state,
            waiting_for,
            configured: shown.configured,
            has_password: shown.has_password,
            problem: shown.problem,
            host: shown.host,
        }
    };
    answer(json!(RemoteHosts { hosts: shared.remote.all().into_iter().map(status).collect() }))
}

/// What is done, by whom and on which host, as it is recorded.
fn refused(shared: &Shared, asker: &Asker, action: &str, name: &str, error: ChangeError) -> Response {
    let reason = error.to_string();
    let (status, word) = match &error {
        ChangeError::None => (StatusCode::NOT_FOUND, "no-host"),
        ChangeError::Configured => (StatusCode::CONFLICT, "configured"),
        ChangeError::Taken(_) => (StatusCode::CONFLICT, "taken"),
        ChangeError::Full => (StatusCode::CONFLICT, "full"),
        ChangeError::Fault(_) => (StatusCode::BAD_REQUEST, "host"),
        ChangeError::Store(_) => return unavailable(&error),
    };
    shared.audit.refused(asker.refused(action, name, &reason));
    refusal(status, word, &reason)
}

fn password(given: Option<String>) -> Result<Option<Zeroizing<String>>, Response> {
    let given = given.map(Zeroizing::new).filter(|password| !password.is_empty());
    match &given {
        Some(password) if password.len() > MOST_PASSWORD || password.chars().any(char::is_control) => {
            Err(bad("password", "a password has at most 256 bytes, and no control characters"))
        }
        _ => Ok(given),
    }
}

/// Adds a host; who may use it finds it at once.
#[utoipa::path(post, path = "/api/admin/remote-hosts", tag = "remote hosts", request_body = RemoteHostWish,
    responses((status = 201), (status = 400, body = Problem), (status = 403, body = Problem),
        (status = 409, body = Problem)))]
pub(super) async fn add(
    State(shared): State<Arc<Shared>>,
    Extension(asker): Extension<Asker>,
    Body(wish): Body<RemoteHostWish>,
) -> Result<Response, Response> {
    let (name, address) = (wish.host.name.clone(), wish.host.address.clone());
    let password = password(wish.password)?;
    let added = remote_hosts::add(&shared, people(&shared)?, wish.host, password).await;
    added.map_err(|error| refused(&shared, &asker, "add remote host", &name, error))?;
    shared.audit.record(asker.record("add remote host", &name).host(address));
    Ok((StatusCode::CREATED, answer(json!({}))).into_response())
}

/// Changes a host, and connects its sessions anew. Without a password the one that it has is kept, unless where it
/// would be sent has changed.
#[utoipa::path(put, path = "/api/admin/remote-hosts/{name}", tag = "remote hosts",
    params(("name" = String, Path)), request_body = RemoteHostWish,
    responses((status = 204), (status = 400, body = Problem), (status = 403, body = Problem),
        (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn change(
    State(shared): State<Arc<Shared>>,
    Extension(asker): Extension<Asker>,
    Path(name): Path<String>,
    Body(wish): Body<RemoteHostWish>,
) -> Result<Response, Response> {
    if wish.host.name != name {
        return Err(bad("name", "a host keeps its name: remove it and add another"));
    }
    let address = wish.host.address.clone();
    let password = password(wish.password)?;
    let changed = remote_hosts::change(&shared, people(&shared)?, wish.host, password, &asker.person).await;
    changed.map_err(|error| refused(&shared, &asker, "change remote host", &name, error))?;
    shared.audit.record(asker.record("change remote host", &name).host(address));
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Removes a host, and ends its sessions with a reason.
#[utoipa::path(delete, path = "/api/admin/remote-hosts/{name}", tag = "remote hosts",
    params(("name" = String, Path)),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem)))]
pub(super) async fn remove(
    State(shared): State<Arc<Shared>>,
    Extension(asker): Extension<Asker>,
    Path(name): Path<String>,
) -> Result<Response, Response> {
    let removed = remote_hosts::remove(&shared, people(&shared)?, &name, &asker.person).await;
    let host = removed.map_err(|error| refused(&shared, &asker, "remove remote host", &name, error))?;
    shared.audit.record(asker.record("remove remote host", &name).host(host.address));
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Connects to a host with these settings, kept or not, and says within half a minute what was negotiated. A password
/// that is kept is used where it may go.
#[utoipa::path(post, path = "/api/admin/remote-host-tests", tag = "remote hosts", request_body = TestWish,
    responses((status = 200, body = RemoteHostTest), (status = 400, body = Problem), (status = 403, body = Problem),
        (status = 409, body = Problem)))]
pub(super) async fn test(
    State(shared): State<Arc<Shared>>,
    Extension(asker): Extension<Asker>,
    Body(wish): Body<TestWish>,
) -> Result<Response, Response> {
    let people = people(&shared)?;
    let host: RemoteHost = wish.host;
    let given = password(wish.password)?;
    let shares = host.credentials == Credentials::Shared;
    let password = given.or_else(|| shared.remote.password(people, &host).filter(|_| shares));
    if let Some(fault) = host.fault(shares && password.is_some()) {
        return Err(bad("host", &fault));
    }
    let user = if shares { host.user.clone() } else { wish.user };
    let login = password.map(|password| (user, password));
    shared.audit.record(asker.record("test remote host", &host.name).host(host.address.as_str()));
    let seen = remote_hosts::look(&shared, &host, login).await;
    let busy = || refusal(StatusCode::CONFLICT, "busy", "other tests are running: try again in a moment");
    let seen = seen.ok_or_else(busy)?;
    let lines = seen.lines.into_iter().map(|(name, value)| Seen { name, value }).collect();
    let (failure, fingerprint) = (seen.failure, seen.fingerprint);
    Ok(answer(json!(RemoteHostTest { ok: failure.is_none(), failure, fingerprint, lines })))
}
