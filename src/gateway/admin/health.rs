//! Whether the gateway lives, whether it can let people in, and its metrics. `/healthz` and `/readyz` tell anybody a word;
//! `/metrics` is for who shows the configured token, or, if the configuration says so, for this machine.

use super::super::config::MetricsConfig;
use super::super::{Place, Shared};
use crate::metrics;
use aws_lc_rs::constant_time;
use axum::Router;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// What the store answered is believed for so long: strangers may ask as often as they like.
const BELIEVED: Duration = Duration::from_secs(1);

/// What is asked for by those who watch over the gateway.
pub(in super::super) struct Health {
    started_at: i64,
    addresses: Vec<SocketAddr>,
    metrics: MetricsConfig,
    store: Mutex<Option<(Instant, bool)>>,
    pub(super) recent: super::availability::Kept,
    pub(super) remembered: super::gate::Remembered,
}

impl Health {
    pub fn new(addresses: &[SocketAddr], metrics: &MetricsConfig) -> Health {
        Health {
            started_at: crate::clock::unix_ms(),
            addresses: addresses.to_vec(),
            metrics: metrics.clone(),
            store: Mutex::default(),
            recent: Default::default(),
            remembered: Default::default(),
        }
    }

    pub fn started_at(&self) -> i64 {
        self.started_at
    }

    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Whether the store answers, or none is needed.
    pub async fn store_is_up(&self, shared: &Shared) -> bool {
        let Some(people) = &shared.people else { return true };
        let mut known = self.store.lock().await;
        match *known {
            Some((at, up)) if at.elapsed() < BELIEVED => up,
            _ => {
                let up = people.identity().store().is_well().await;
                *known = Some((Instant::now(), up));
                up
            }
        }
    }

    fn admits(&self, headers: &HeaderMap, place: &Place) -> bool {
        if self.metrics.loopback && place.from().to_canonical().is_loopback() {
            // A page in a browser of this machine is no program of it.
            return headers.get(header::ORIGIN).is_none() && headers.get("sec-fetch-site").is_none();
        }
        let Some(token) = &self.metrics.token else { return false };
        let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let shown = shown.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
        constant_time::verify_slices_are_equal(shown.as_bytes(), token.as_bytes()).is_ok()
    }
}

pub(super) fn router() -> Router<Arc<Shared>> {
    Router::new().route("/readyz", get(ready)).route("/metrics", get(scrape))
}

/// Whether people can be let in now. What is wrong is a word, for the operators' eyes.
async fn ready(State(shared): State<Arc<Shared>>) -> Response {
    let wrong: Vec<&str> = [
        ("store", shared.health.store_is_up(&shared).await),
        ("audit", shared.audit.admits()),
        ("listeners", !shared.health.addresses.is_empty()),
    ]
    .into_iter()
    .filter(|(_, well)| !well)
    .map(|(what, _)| what)
    .collect();
    match wrong.is_empty() {
        true => "ready\n".into_response(),
        false => {
            (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {}\n", wrong.join(", "))).into_response()
        }
    }
}

async fn scrape(
    State(shared): State<Arc<Shared>>,
    Extension(place): Extension<Place>,
    headers: HeaderMap,
) -> Response {
    if !shared.health.admits(&headers, &place) {
        // The same whether there are metrics or not.
        return (StatusCode::NOT_FOUND, "there is no such page\n").into_response();
    }
    let sessions = shared.registry.list();
    let live = sessions.iter().filter(|session| session.state == "live").count();
    let text = metrics::render(&metrics::Now {
        sessions_live: live,
        sessions_waiting: sessions.len() - live,
        audit_owed_bytes: shared.audit.owed_bytes(),
        audit_healthy: shared.audit.healthy(),
        store_up: shared.health.store_is_up(&shared).await,
        started_at: shared.health.started_at as f64 / 1e3,
    });
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}
