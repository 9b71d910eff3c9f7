//! The gateway itself.

use super::super::Shared;
use super::super::api::answer;
use super::shapes::{Audit, ByRoad, Certificate, Gateway, Problem};
use crate::{clock, metrics, wire};
use axum::extract::State;
use axum::response::Response;
use serde_json::json;
use std::sync::Arc;

/// What this gateway is, and how it is.
#[utoipa::path(get, path = "/api/admin/gateway", tag = "gateway",
    responses((status = 200, body = Gateway), (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(super) async fn gateway(State(shared): State<Arc<Shared>>) -> Response {
    let sessions = shared.registry.list();
    let audit = &shared.audit;
    let certificate = shared.certificate();
    let recorder = shared.availability.as_ref();
    answer(json!(Gateway {
        name: recorder.map(|recorder| recorder.gateway().to_owned()),
        site: recorder.map(|recorder| recorder.site().to_owned()),
        version: env!("CARGO_PKG_VERSION"),
        protocol: format!("{}.{}", wire::MAJOR, wire::MINOR),
        started_at: shared.health.started_at(),
        now: clock::unix_ms(),
        addresses: shared.health.addresses().iter().map(ToString::to_string).collect(),
        udp_port: shared.udp_port,
        tls: shared.tls,
        sessions: sessions.len(),
        viewers: sessions.iter().map(|session| session.viewers).sum(),
        roads: metrics::viewers().map(|(road, viewers)| ByRoad { road, viewers }).collect(),
        memory_bytes: metrics::resident_bytes(),
        certificate: Certificate {
            self_signed: certificate.is_self_signed(),
            ends_at: certificate.ends_at().map(|seconds| seconds * 1_000),
        },
        store_up: shared.health.store_is_up(&shared).await,
        audit: Audit {
            healthy: audit.healthy(),
            admits: audit.admits(),
            owed_bytes: audit.owed_bytes(),
            spool_full: audit.spool_is_full(),
        },
    }))
}
