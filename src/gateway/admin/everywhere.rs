//! What all gateways of a database have: each tells of itself, this one puts it together. Without the database it is what
//! this gateway knows itself.

use super::super::Shared;
use super::super::api::answer;
use super::super::siblings::{Siblings, Views};
use super::acts::{self, Act};
use super::gate::Asker;
use super::shapes::{GatewayState, Gateways, Problem};
use crate::clock;
use axum::extract::{Extension, Path, State};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;

/// More sessions of one gateway are counted, but not told one by one.
const MOST_TOLD: usize = 1_024;

/// What a gateway tells of itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in super::super) struct View {
    pub version: String,
    pub started_at: i64,
    pub live: usize,
    pub viewers: usize,
    pub most_sessions: usize,
    /// As `GET /api/admin/sessions` shows them.
    pub sessions: Vec<Value>,
    /// The hosts with a link here, as `GET /api/admin/hosts` shows them.
    pub hosts: Vec<Value>,
}

/// What this gateway tells of itself.
pub(in super::super) async fn own(shared: &Shared) -> View {
    let listed = shared.registry.list();
    let mut sessions = super::sessions::own(shared).await;
    sessions.truncate(MOST_TOLD);
    let hosts = shared.hosts.status().into_iter().filter(|host| host.connected);
    View {
        version: env!("CARGO_PKG_VERSION").into(),
        started_at: shared.health.started_at(),
        live: listed.len(),
        viewers: listed.iter().map(|session| session.viewers).sum(),
        most_sessions: super::super::registry::MAX_SESSIONS,
        sessions: sessions.into_iter().map(|session| json!(session)).collect(),
        hosts: hosts.map(|host| json!(host)).collect(),
    }
}

/// The other gateways that are there, and whether all are known.
pub(super) async fn others(shared: &Shared) -> (Vec<(String, View)>, bool) {
    let Some(siblings) = &shared.siblings else { return (Vec::new(), true) };
    let Some(Views { rows, .. }) = siblings.views().await else { return (Vec::new(), false) };
    let there = rows.into_iter().filter(|row| row.there && !row.own);
    (there.filter_map(|row| Some((row.name, row.view?))).collect(), true)
}

/// The gateway that has a session, if it is another one.
pub(super) async fn holder(siblings: &Siblings, session: &str) -> Option<String> {
    let views = siblings.views().await?;
    let has = |view: &View| view.sessions.iter().any(|it| it["name"] == session);
    let mut there = views.rows.into_iter().filter(|row| row.there && !row.own);
    there.find(|row| row.view.as_ref().is_some_and(has)).map(|row| row.name)
}

/// Every gateway of the database, those too that have been gone for less than a day.
#[utoipa::path(get, path = "/api/admin/gateways", tag = "gateway",
    responses((status = 200, body = Gateways), (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(super) async fn list(State(shared): State<Arc<Shared>>) -> Response {
    let own_view = own(&shared).await;
    let now = clock::unix_ms();
    let mut own = GatewayState {
        name: own_name(&shared),
        here: true,
        state: "there",
        version: Some(own_view.version),
        address: shared.health.addresses().first().map(ToString::to_string).unwrap_or_default(),
        started_at: Some(own_view.started_at),
        seen_at: now,
        sessions: own_view.live,
        viewers: own_view.viewers,
        hosts: own_view.hosts.len(),
        most_sessions: own_view.most_sessions,
        told_at: Some(now),
    };
    let Some(siblings) = &shared.siblings else {
        return answer(json!(Gateways { shared: false, database: true, gateways: vec![own] }));
    };
    own.name = siblings.name().to_owned();
    if siblings.is_draining() {
        own.state = "draining";
    }
    let Some(views) = siblings.views().await else {
        return answer(json!(Gateways { shared: true, database: false, gateways: vec![own] }));
    };
    let mut gateways: Vec<GatewayState> = Vec::new();
    for row in views.rows {
        if row.own {
            own.address = row.address;
            continue;
        }
        let view = row.view.as_ref();
        gateways.push(GatewayState {
            here: false,
            state: match (row.there, row.draining) {
                (false, _) => "gone",
                (true, true) => "draining",
                (true, false) => "there",
            },
            version: view.map(|view| view.version.clone()),
            started_at: view.map(|view| view.started_at),
            seen_at: now - row.silent_ms,
            sessions: view.map_or(0, |view| view.live),
            viewers: view.map_or(0, |view| view.viewers),
            hosts: view.map_or(0, |view| view.hosts.len()),
            most_sessions: view.map_or(0, |view| view.most_sessions),
            told_at: view.map(|_| now - row.view_ms),
            name: row.name,
            address: row.address,
        });
    }
    gateways.push(own);
    gateways.sort_by(|one, other| one.name.cmp(&other.name));
    answer(json!(Gateways { shared: true, database: true, gateways }))
}

/// How this gateway is called.
pub(super) fn own_name(shared: &Shared) -> String {
    match &shared.siblings {
        Some(siblings) => siblings.name().to_owned(),
        None => shared.availability.as_ref().map(|it| it.gateway().to_owned()).unwrap_or_default(),
    }
}

/// Has a gateway's sessions go on at others; then it ends.
#[utoipa::path(post, path = "/api/admin/gateways/{name}/drain", tag = "gateway", params(("name" = String, Path)),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem), (status = 503, body = Problem), (status = 504, body = Problem)))]
pub(super) async fn drain(
    State(shared): State<Arc<Shared>>,
    Extension(asker): Extension<Asker>,
    Path(name): Path<String>,
) -> Response {
    acts::wherever(&shared, &asker, Some(&name), Act::Drain).await.into_response()
}
