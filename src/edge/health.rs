//! What an edge tells its operators: counts for Prometheus, and whether it can serve at all.

use super::Counters;
use super::tunnels::Tunnels;
use crate::metrics::{Kind, Text};
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::sync::Arc;
use tokio::net::TcpListener;

#[derive(Clone)]
struct Health {
    tunnels: Arc<Tunnels>,
    counters: Arc<Counters>,
}

/// Answers on the inner side until it is dropped.
pub(super) async fn serve(listener: TcpListener, tunnels: Arc<Tunnels>, counters: Arc<Counters>) {
    let health = Health { tunnels, counters };
    let router = Router::new().route("/metrics", get(scrape)).route("/readyz", get(ready)).with_state(health);
    if let Err(error) = axum::serve(listener, router).await {
        tracing::error!(%error, "metrics are no longer served");
    }
}

async fn ready(State(health): State<Health>) -> Response {
    match health.tunnels.count() {
        0 => (StatusCode::SERVICE_UNAVAILABLE, "not ready: no gateway has a tunnel\n").into_response(),
        _ => "ready\n".into_response(),
    }
}

async fn scrape(State(Health { tunnels, counters }): State<Health>) -> Response {
    let mut text = Text::default();
    text.family("chevet_edge_tunnels", Kind::Gauge, "Gateways' tunnels.");
    text.value(&[], tunnels.count() as f64);
    text.family("chevet_edge_connections", Kind::Gauge, "Clients' TCP connections that are carried now.");
    text.value(&[], counters.carried.value());
    let counted = [
        (
            "chevet_edge_connections_total",
            "Clients' TCP connections that went through.",
            &counters.connections,
        ),
        (
            "chevet_edge_connections_refused_total",
            "TCP connections that went no further.",
            &counters.connections_refused,
        ),
        ("chevet_edge_packets_total", "Clients' packets of QUIC that went through.", &counters.packets),
        ("chevet_edge_packets_refused_total", "Packets that went no further.", &counters.packets_refused),
    ];
    for (name, help, counter) in counted {
        text.family(name, Kind::Counter, help);
        text.count(&[], counter);
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text.done()).into_response()
}
