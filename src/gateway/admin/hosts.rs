//! The hosts that start applications: how they are, and whether they are given new sessions.

use super::super::Shared;
use super::super::api::{answer, people, refusal, unavailable};
use super::super::hosts::{self, HostStatus};
use super::Body;
use super::acts::{self, Act};
use super::everywhere;
use super::gate::Asker;
use super::shapes::{AtWish, DrainWish, HostAt, Hosts, Problem, TerminateWish};
use super::users::bad;
use crate::store::EnrolledHost;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Extension, Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// A store that does not answer for so long is taken for absent.
const PATIENCE: Duration = Duration::from_secs(2);

/// Every host that is enrolled, and those that are connected.
#[utoipa::path(get, path = "/api/admin/hosts", tag = "hosts",
    responses((status = 200, body = Hosts), (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(super) async fn list(State(shared): State<Arc<Shared>>) -> Result<Response, Response> {
    let asked = tokio::time::timeout(PATIENCE, people(&shared)?.identity().store().hosts()).await;
    let mut known = shared.hosts.status();
    let own = everywhere::own_name(&shared);
    let Ok(Ok(enrolled)) = asked else {
        let here = |status: HostStatus| {
            let gateways = if status.connected { vec![own.clone()] } else { Vec::new() };
            HostAt { status: json!(status), gateways }
        };
        return Ok(answer(json!(Hosts { hosts: known.into_iter().map(here).collect(), whole: false })));
    };
    let (others, whole) = everywhere::others(&shared).await;
    let at = |host: EnrolledHost| {
        let here = known.iter().position(|status| status.name == host.name).map(|at| known.swap_remove(at));
        let mut gateways: Vec<String> =
            here.iter().filter(|status| status.connected).map(|_| own.clone()).collect();
        let here = here.unwrap_or_else(|| HostStatus::absent(&host.name));
        let (drained, seen_at) = (host.drained != 0, here.seen_at.max(host.seen_at));
        let draining = here.draining || drained;
        let mut status = json!(HostStatus { seen_at, drained, draining, ..here });
        for (gateway, view) in &others {
            let Some(there) = view.hosts.iter().find(|it| it["name"] == host.name.as_str()) else { continue };
            let sessions = status["sessions"].as_u64().unwrap_or(0) + there["sessions"].as_u64().unwrap_or(0);
            if gateways.is_empty() {
                status = there.clone();
                status["drained"] = json!(drained);
                status["draining"] = json!(drained || there["draining"] == true);
            }
            status["sessions"] = json!(sessions);
            gateways.push(gateway.clone());
        }
        gateways.sort();
        HostAt { status, gateways }
    };
    Ok(answer(json!(Hosts { hosts: enrolled.into_iter().map(at).collect(), whole })))
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
    if let Some(siblings) = &shared.siblings {
        siblings.tell_drained(&name, wish.drained).await;
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Ends a session that was started on a host, with the programs that run in it.
#[utoipa::path(post, path = "/api/admin/sessions/{name}/terminate", tag = "sessions",
    params(("name" = String, Path), AtWish), request_body = TerminateWish,
    responses((status = 204), (status = 400, body = Problem), (status = 403, body = Problem),
        (status = 404, body = Problem)))]
pub(super) async fn terminate(
    State(shared): State<Arc<Shared>>,
    Extension(asker): Extension<Asker>,
    Path(name): Path<String>,
    at: Result<Query<AtWish>, QueryRejection>,
    Body(wish): Body<TerminateWish>,
) -> Result<Response, Response> {
    let Query(at) = at.map_err(|error| bad("request", &error.body_text()))?;
    let act = Act::Terminate { session: name, reason: wish.reason };
    Ok(acts::wherever(&shared, &asker, at.gateway.as_deref(), act).await.into_response())
}
