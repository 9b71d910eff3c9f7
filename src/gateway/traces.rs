//! The spans that a gateway makes: of requests, of links that attach, and of the wait for their first screen.

use crate::identity::ticket::Claims;
use crate::link::Link;
use crate::session::Grant;
use crate::telemetry::{TARGET, continues};
use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use tracing::field::Empty;
use tracing::{Instrument, Span, info_span};

/// Times a request. Of its path the pattern alone is kept, without whatever names stand in it.
pub(super) async fn requested(request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let path = path.unwrap_or_default();
    // Files, metrics and health would fill a collector with nothing.
    if !path.starts_with("/api/") {
        return next.run(request).await;
    }
    let span = info_span!(
        target: TARGET,
        "request",
        otel.name = format!("{} {path}", request.method()),
        otel.kind = "server",
        http.request.method = %request.method(),
        http.route = path,
        http.response.status_code = Empty,
    );
    let parent = request.headers().get("traceparent").and_then(|value| value.to_str().ok());
    continues(&span, parent.unwrap_or_default());
    let response = next.run(request).instrument(span.clone()).await;
    span.record("http.response.status_code", response.status().as_u16());
    response
}

/// Of a link, from its acceptance to its session.
pub(super) fn attaching(road: &'static str) -> Span {
    info_span!(target: TARGET, "attach", otel.kind = "server", chevet.road = road, chevet.session = Empty)
}

/// The ticket says of which trace the link is a part.
pub(super) fn goes_on(span: Span, session: &str, claims: Option<&Claims>) -> Span {
    if let Some(claims) = claims {
        continues(&span, &claims.trace);
    }
    span.record("chevet.session", session);
    span
}

/// From the attachment to the first whole screen that the viewer acknowledged.
pub(super) fn until_screen(attach: &Span, link: &Link, grant: &Grant) {
    let span = info_span!(target: TARGET, parent: attach, "first screen", chevet.shown = false);
    if span.is_disabled() {
        return;
    }
    let (link, first_screen) = (link.clone(), grant.first_screen.clone());
    tokio::spawn(async move {
        tokio::select! {
            _ = first_screen.seen() => { span.record("chevet.shown", true); }
            _ = link.ended() => {}
        }
    });
}
