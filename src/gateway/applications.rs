//! What the page asks of applications: which there are, one to be opened, a session to be ended.

// A refusal is a whole answer, made once a request.
#![allow(clippy::result_large_err)]

use super::api::{about, answer, own_page, people, person, refusal};
#[cfg(feature = "rdp")]
use super::api::{no_store, unreadable};
use super::hosts::{self, OpenError};
use super::{Place, Shared, availability};
use crate::audit::Event;
#[cfg(feature = "rdp")]
use crate::identity::HostCredential;
use crate::identity::Person;
#[cfg(feature = "rdp")]
use axum::Json;
use axum::Router;
#[cfg(feature = "rdp")]
use axum::extract::rejection::JsonRejection;
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::{Value, json};
use std::net::IpAddr;
use std::sync::Arc;

pub(super) fn router() -> Router<Arc<Shared>> {
    let router = Router::new()
        .route("/api/applications/{name}/open", post(open))
        .route("/api/sessions/{name}/end", post(end));
    #[cfg(feature = "rdp")]
    let router = router.route("/api/credentials", post(credentials));
    router
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
                "available": hosts::is_available(shared, &application.name),
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
    let opened = hosts::open(shared, person, application).await;
    opened.map_err(|error| not_opened(shared, person, application, from, &error))
}

/// The answer to whoever is given no session.
pub(super) fn not_opened(
    shared: &Shared,
    person: &Person,
    application: &str,
    from: IpAddr,
    error: &OpenError,
) -> Response {
    #[cfg(feature = "rdp")]
    if let OpenError::Credentials(asks) = error {
        let body = json!({"error": "credentials", "reason": error.to_string(), "asks": **asks});
        return (StatusCode::PRECONDITION_REQUIRED, no_store(), Json(body)).into_response();
    }
    let (status, word) = match error {
        // As of a session that is not published: it cannot be told from one that does not exist.
        OpenError::NotYours(_) => (StatusCode::FORBIDDEN, "not-yours"),
        OpenError::NoHost(_) => (StatusCode::SERVICE_UNAVAILABLE, "no-host"),
        OpenError::Full(_) => (StatusCode::SERVICE_UNAVAILABLE, "full"),
        OpenError::TooMany => (StatusCode::CONFLICT, "too-many-sessions"),
        OpenError::Failed { .. } => (StatusCode::BAD_GATEWAY, "not-started"),
        #[cfg(feature = "rdp")]
        OpenError::Credentials(_) => (StatusCode::PRECONDITION_REQUIRED, "credentials"),
        #[cfg(feature = "rdp")]
        OpenError::TooManyTries(_) => (StatusCode::TOO_MANY_REQUESTS, "too-many"),
        #[cfg(feature = "rdp")]
        OpenError::NotKept(_) => (StatusCode::FORBIDDEN, "not-kept"),
    };
    if matches!(error, OpenError::NoHost(_) | OpenError::Full(_) | OpenError::Failed { .. }) {
        availability::not_started(shared, application);
    }
    let refused = about(person, Event::TicketRefused { reason: error.to_string().into() });
    shared.audit.refused(refused.application(application).peer(from));
    refusal(status, word, &error.to_string())
}

#[cfg(feature = "rdp")]
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct CredentialsTyped {
    /// An application, or a session of theirs.
    session: String,
    user: String,
    #[serde(default)]
    domain: String,
    password: String,
    #[serde(default)]
    remember: bool,
}

/// What somebody signs in with on a host without chevet, because they were asked. Answered once the host has let them in, or
/// cannot say.
#[cfg(feature = "rdp")]
async fn credentials(
    State(shared): State<Arc<Shared>>,
    Extension(place): Extension<Place>,
    headers: HeaderMap,
    typed: Result<Json<CredentialsTyped>, JsonRejection>,
) -> Result<Response, Response> {
    own_page(&shared, &headers)?;
    let person = person(&shared, &headers).await?;
    let Json(typed) = typed.map_err(unreadable)?;
    let CredentialsTyped { session, user, domain, password, remember } = typed;
    let credential = HostCredential { user, domain, password: password.into() };
    if !credential.is_sensible() {
        let reason = "a user is named, and user, domain and password have 256 bytes each at most";
        return Err(refusal(StatusCode::BAD_REQUEST, "request", reason));
    }
    let given = hosts::give(&shared, &person, &session, hosts::Typed { credential, remember }).await;
    let application = session.split('.').next().unwrap_or_default();
    let given = given.map_err(|error| not_opened(&shared, &person, application, place.from(), &error))?;
    Ok(answer(json!({"session": given})))
}

/// Before a session that its host does not let in is shown, its user is asked.
pub(super) async fn may_go_on(
    shared: &Shared,
    person: &Person,
    session: &str,
    from: IpAddr,
) -> Result<(), Response> {
    #[cfg(feature = "rdp")]
    if let Some(asked) = hosts::to_be_asked(shared, person, session).await {
        return Err(not_opened(shared, person, session, from, &asked));
    }
    #[cfg(not(feature = "rdp"))]
    let _ = (shared, person, session, from);
    Ok(())
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
