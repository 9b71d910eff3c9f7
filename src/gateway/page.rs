//! The page that browsers load, what it asks, and its WebSocket.

use super::listen::Way;
use super::{Place, Shared, admin, admit, api, traces};
use crate::audit::{Event, Record};
use crate::link::{self, WebSocketFault, Written, fingerprint_text};
use crate::wire;
use crate::wire::limits::MAX_WEBSOCKET;
use axum::Json;
use axum::Router;
use axum::body::Body;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::sync::Arc;

/// The built page: name and bytes of each file.
const FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/page_files.rs"));

const POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; \
    connect-src 'self' https: wss: ws:; img-src 'self' data: blob:; style-src 'self'; \
    manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/", get(|| async { file("index.html") }))
        .route("/admin", get(|| async { file("admin.html") }))
        .route("/replay", get(|| async { file("replay.html") }))
        .route("/api/connect", get(connect))
        .route("/healthz", get(|| async { "ok\n" }))
        .route(wire::PATH, get(websocket))
        .merge(api::router())
        .merge(admin::router(&shared))
        .route_layer(axum::middleware::from_fn(traces::requested))
        .route("/{*name}", get(|Path(name): Path<String>| async move { file(&name) }))
        .with_state(shared)
}

fn file(name: &str) -> Response {
    let Some((_, bytes)) = FILES.iter().find(|(known, _)| *known == name) else {
        let missing = match FILES.is_empty() {
            true => "this chevet was built without its page: run `make web`, then build again\n",
            false => "there is no such page\n",
        };
        return (StatusCode::NOT_FOUND, missing).into_response();
    };
    let kind = match name.rsplit_once('.').map_or("", |(_, kind)| kind) {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "json" | "webmanifest" => "application/json",
        "wasm" => "application/wasm",
        _ => "application/octet-stream",
    };
    let mut response = Response::new(Body::from(Bytes::from_static(bytes)));
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "no-cache"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-embedder-policy"), "require-corp"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// How this gateway is reached. Nothing secret.
async fn connect(
    State(shared): State<Arc<Shared>>,
    Extension(place): Extension<Place>,
    headers: HeaderMap,
) -> Response {
    let udp_port = match place.way() {
        Way::Straight => shared.udp_port,
        Way::Edge { udp_port, .. } => *udp_port,
    };
    let certificate = shared.certificate();
    let pins = match certificate.is_self_signed() {
        true => vec![fingerprint_text(&certificate.fingerprint())],
        false => Vec::new(),
    };
    let known_bad: Value =
        serde_json::from_str(include_str!("../web/known-bad.json")).unwrap_or_else(|_| json!([]));
    let answer = Json(json!({
        "version": format!("{}.{}", wire::MAJOR, wire::MINOR),
        "udp_port": udp_port,
        "certificate_sha256": pins,
        "websocket": wire::PATH,
        "known_bad": known_bad,
        "sign_in": shared.people.as_ref().map(|people| {
            json!({"password": true, "providers": super::oidc::shown(people), "card": super::cards::shown(people)})
        }),
    }));
    let mut response = answer.into_response();
    // The pages that may dial ask whether anybody answers here.
    let origin = headers.get(header::ORIGIN).filter(|_| dials(&shared, &headers));
    if let Some(origin) = origin {
        response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    }
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("origin"));
    response
}

/// Whether the page that asks is one that may dial.
fn dials(shared: &Shared, headers: &HeaderMap) -> bool {
    let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    shared.origins.may_dial(text(header::ORIGIN), text(header::HOST))
}

async fn websocket(
    State(shared): State<Arc<Shared>>,
    Extension(place): Extension<Place>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    if !dials(&shared, &headers) {
        let reason = "a page of another site dialled".into();
        let refused = Event::AttachRefused { road: link::Road::WebSocket.name().into(), reason };
        shared.audit.refused(Record::new(refused).peer(place.from()));
        return (StatusCode::FORBIDDEN, "this page belongs to another site\n").into_response();
    }
    upgrade
        .protocols([wire::SUBPROTOCOL])
        .max_message_size(MAX_WEBSOCKET)
        .max_frame_size(MAX_WEBSOCKET)
        .write_buffer_size(0)
        .on_upgrade(async move |socket| {
            let (link, inbox) = join(socket, place.exporter());
            admit::admit(&shared, link.clone(), inbox, place.from(), place.way()).await;
            link.ended().await;
            drop(place);
        })
}

fn message(written: Written) -> Message {
    match written {
        Written::Frame(bytes) => Message::Binary(bytes),
        Written::Close(code, reason) => Message::Close(Some(CloseFrame { code, reason: reason.into() })),
    }
}

fn join(socket: WebSocket, exporter: Option<link::Exporter>) -> (link::Link, link::Inbox) {
    let (sink, stream) = socket.split();
    let sink = Box::pin(
        sink.sink_map_err(WebSocketFault::from)
            .with(|written: Written| std::future::ready(Ok::<_, WebSocketFault>(message(written)))),
    );
    let stream = stream.filter_map(|message| {
        std::future::ready(match message {
            Ok(Message::Binary(bytes)) => Some(Ok(bytes)),
            Ok(_) => None,
            Err(error) => Some(Err(error.into())),
        })
    });
    link::join(sink, stream, exporter)
}
