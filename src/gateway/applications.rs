//! What the page asks of applications: which there are, one to be opened, a session to be ended.

// A refusal is a whole answer, made once a request.
#![allow(clippy::result_large_err)]

use super::api::{about, answer, own_page, people, person, refusal};
use super::hosts::{self, OpenError};
use super::{Place, Shared, availability};
use crate::audit::Event;
use crate::identity::Person;
use axum::Router;
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::{Value, json};
use std::net::IpAddr;
use std::sync::Arc;

pub(super) fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/api/applications/{name}/open", post(open))
        .route("/api/sessions/{name}/end", post(end))
}

/// The applications that somebody may have, and their sessions of each.
pub(super) fn shown(shared: &Shared, person: &Person) -> Vec<Value> {
    let applications = shared.hosts.applications();
    let running = applications.all_running();
    let list = applications.list();
    let theirs = list.iter().filter(|application| application.is_for(&person.user));
    theirs
        .map(|application| {
            let sessions: Vec<&str> = running
                .iter()
                .filter(|one| one.application == application.name && one.user == person.user.id)
                .map(|one| one.session.as_str())
                .collect();
            json!({
                "name": application.name,
                "title": {"fr": application.title.french(), "en": application.title.english()},
                "icon": application.icon,
                "single": application.single,
                "available": shared.hosts.can_start(&application.name),
                "running": sessions,
            })
        })
        .collect()
}

/// The session of an application that somebody asked for.
pub(super) async fn opened(
    shared: &Arc<Shared>,
    person: &Person,
    application: &str,
    from: IpAddr,
) -> Result<String, Response> {
    hosts::open(shared, person, application).await.map_err(|error| {
        let (status, word) = match &error {
            // As of a session that is not published: it cannot be told from one that does not exist.
            OpenError::NotYours(_) => (StatusCode::FORBIDDEN, "not-yours"),
            OpenError::NoHost(_) => (StatusCode::SERVICE_UNAVAILABLE, "no-host"),
            OpenError::Full(_) => (StatusCode::SERVICE_UNAVAILABLE, "full"),
            OpenError::TooMany => (StatusCode::CONFLICT, "too-many-sessions"),
            OpenError::Failed { .. } => (StatusCode::BAD_GATEWAY, "not-started"),
        };
        if !matches!(error, OpenError::NotYours(_) | OpenError::TooMany) {
            availability::not_started(shared, application);
        }
        let refused = about(person, Event::TicketRefused { reason: error.to_string().into() });
        shared.audit.refused(refused.application(application).peer(from));
        refusal(status, word, &error.to_string())
    })
}

async fn open(
    State(shared): State<Arc<Shared>>,
    Extension(place): Extension<Place>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Response> {
    own_page(&shared, &headers)?;
    let person = person(&shared, &headers).await?;
    let session = opened(&shared, &person, &name, place.from()).await?;
    Ok(answer(json!({"session": session})))
}

async fn end(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Response> {
    own_page(&shared, &headers)?;
    people(&shared)?;
    let person = person(&shared, &headers).await?;
    match hosts::end_own(&shared, &person, &name).await {
        true => Ok(StatusCode::NO_CONTENT.into_response()),
        false => Err(refusal(StatusCode::NOT_FOUND, "no-session", "you have no such session to end")),
    }
}
