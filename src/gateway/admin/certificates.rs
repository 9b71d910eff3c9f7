//! The certificates that hosts without chevet showed at first use: seen, and forgotten.

use super::super::api::{answer, people, refusal, unavailable};
use super::super::{Shared, certificates};
use super::gate::Asker;
use super::shapes::{Certificates, HostCertificate, Problem};
use super::users::broken;
use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// A store that does not answer for so long is taken for absent.
const PATIENCE: Duration = Duration::from_secs(2);

/// Every certificate that is kept, by host.
#[utoipa::path(get, path = "/api/admin/certificates", tag = "remote hosts",
    responses((status = 200, body = Certificates), (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(super) async fn list(State(shared): State<Arc<Shared>>) -> Result<Response, Response> {
    let asked = people(&shared)?.identity().store().known_certificates();
    let known = match tokio::time::timeout(PATIENCE, asked).await {
        Ok(known) => known.map_err(broken)?,
        Err(_) => return Err(unavailable(&"the store does not answer")),
    };
    let shown = known.into_iter().map(|known| HostCertificate {
        protocol: known.protocol,
        host: known.host,
        fingerprint: known.fingerprint,
        first_at: known.first_at,
        gateway: known.gateway,
    });
    Ok(answer(json!(Certificates { certificates: shown.collect() })))
}

/// Forgets a host's certificate: the next one that it shows, at whichever gateway, is kept.
#[utoipa::path(delete, path = "/api/admin/certificates/{protocol}/{host}", tag = "remote hosts",
    params(("protocol" = String, Path), ("host" = String, Path)),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn forget(
    State(shared): State<Arc<Shared>>,
    Extension(asker): Extension<Asker>,
    Path((protocol, host)): Path<(String, String)>,
) -> Result<Response, Response> {
    let store = people(&shared)?.identity().store();
    let none = || refusal(StatusCode::NOT_FOUND, "no-certificate", "no certificate of this host is kept");
    let gone = store.forget_certificate(&protocol, &host).await.map_err(broken)?.ok_or_else(none)?;
    shared.audit.record(asker.record("forget certificate", &gone).host(host.as_str()));
    certificates::forget_here(&shared, &protocol, &host);
    if let Some(siblings) = &shared.siblings {
        siblings.tell_forgotten(&protocol, &host).await;
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}
