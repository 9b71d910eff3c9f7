//! What the page asks of people and sessions: signing in and out, which sessions there are, tickets.
//!
//! A sign-in is shown as a cookie, which pages cannot read and browsers send to nobody else, or as a bearer token by
//! other clients. What changes anything takes JSON alone, from the gateway's own pages alone.

// A refusal is a whole answer, made once a request.
#![allow(clippy::result_large_err)]

use super::people::People;
use super::registry::Listed;
use super::{Place, Shared, applications, cards, hosts, oidc, outside, seats, share, sites};
use crate::audit::{Event, Record};
use crate::broker::BrokerError;
use crate::clock;
use crate::identity::ticket::Holder;
use crate::identity::{BADGE, Person, SignInError};
use crate::store::User;
use crate::wire::CloseCode;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use std::net::IpAddr;
use std::sync::Arc;

const COOKIE: &str = "chevet";
/// No request is longer, in bytes.
const MOST_BYTES: usize = 16 << 10;

pub(super) fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/api/sign-in", post(sign_in))
        .route("/api/sign-out", post(sign_out))
        .route("/api/me", get(me))
        .route("/api/sessions", get(sessions))
        .route("/api/elsewhere", get(other_sites_sessions))
        .route("/api/tickets", post(ticket))
        .merge(applications::router())
        .merge(seats::router())
        .merge(share::router())
        .layer(axum::extract::DefaultBodyLimit::max(MOST_BYTES))
        .merge(oidc::router())
        .merge(sites::router())
        .merge(cards::router())
}

/// A refusal: what the page says is its own words for `error`; `reason` is for programs' users.
pub(super) fn refusal(status: StatusCode, error: &str, reason: &str) -> Response {
    (status, no_store(), Json(json!({"error": error, "reason": reason}))).into_response()
}

pub(super) fn no_store() -> [(header::HeaderName, &'static str); 1] {
    [(header::CACHE_CONTROL, "no-store")]
}

pub(super) fn answer(value: Value) -> Response {
    (no_store(), Json(value)).into_response()
}

pub(super) fn people(shared: &Shared) -> Result<&Arc<People>, Response> {
    let none = "nobody signs in at this gateway: it takes a ticket";
    shared.people.as_ref().ok_or_else(|| refusal(StatusCode::NOT_FOUND, "no-sign-in", none))
}

pub(super) fn unavailable(error: &dyn std::fmt::Display) -> Response {
    tracing::error!(%error, "a request could not be answered");
    refusal(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "try again in a moment")
}

/// Only the gateway's own pages, and programs, may ask for a change.
pub(super) fn own_page(shared: &Shared, headers: &HeaderMap) -> Result<(), Response> {
    let text = |name| headers.get(name).map(|value: &HeaderValue| value.to_str().unwrap_or_default());
    let site = text(header::HeaderName::from_static("sec-fetch-site"));
    let elsewhere = site.is_some_and(|site| !matches!(site, "same-origin" | "none"));
    if elsewhere || !shared.origins.admit(text(header::ORIGIN), text(header::HOST)) {
        return Err(refusal(StatusCode::FORBIDDEN, "other-site", "this page belongs to another site"));
    }
    Ok(())
}

pub(super) fn shown_secret(headers: &HeaderMap) -> Option<&str> {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if let Some(secret) = bearer.and_then(|value| value.strip_prefix("Bearer ")) {
        return Some(secret);
    }
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE).map(|(_, secret)| secret)
}

/// Who asks.
pub(super) async fn person(shared: &Shared, headers: &HeaderMap) -> Result<Person, Response> {
    let people = people(shared)?;
    let Some(secret) = shown_secret(headers) else {
        return Err(refusal(StatusCode::UNAUTHORIZED, "sign-in", "sign in first"));
    };
    match people.person(secret).await {
        Ok(Some(person)) => {
            outside::known(&person.sign_in.id);
            Ok(person)
        }
        Ok(None) => Err(refusal(StatusCode::UNAUTHORIZED, "sign-in", "the sign-in has ended; sign in again")),
        Err(error) => Err(unavailable(&error)),
    }
}

pub(super) fn shown_user(user: &User) -> Value {
    json!({"name": user.name, "title": user.title, "role": user.role, "groups": user.groups})
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignIn {
    name: String,
    password: String,
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    seat: Option<String>,
}

async fn sign_in(
    State(shared): State<Arc<Shared>>,
    Extension(place): Extension<Place>,
    headers: HeaderMap,
    asked: Result<Json<SignIn>, JsonRejection>,
) -> Result<Response, Response> {
    own_page(&shared, &headers)?;
    let people = people(&shared)?;
    let Json(asked) = asked.map_err(unreadable)?;
    let now = clock::unix_ms();
    let identity = people.identity();
    let code = asked.code.as_deref();
    let seat = asked.seat.clone().unwrap_or_default();
    // Some sites want to be asked who their people are.
    let there = sites::sign_in_there(&shared, &asked.name, &asked.password, code, place.from()).await;
    if let Some(user) = there {
        let begun = let_in(&shared, user?, sites::ASKED_HOME, &seat, &place).await?;
        return Ok(signed_in(&shared, &headers, &place, begun));
    }
    let checked = identity.check_password(&asked.name, &asked.password, code, place.from(), now).await;
    let refused = |error: SignInError| {
        shared.audit.refused(refusal_record(&error, "password").peer(place.from()));
        not_signed_in(&error)
    };
    let user = checked.map_err(refused)?;
    let begun = let_in(&shared, user, "password", &seat, &place).await?;
    Ok(signed_in(&shared, &headers, &place, begun))
}

/// What somebody is answered who is signed in now.
fn signed_in(
    shared: &Shared,
    headers: &HeaderMap,
    place: &Place,
    (person, secret): (Person, String),
) -> Response {
    let shown = |token: Value| {
        answer(json!({"user": shown_user(&person.user), "seat": person.sign_in.seat, "token": token}))
    };
    // A program that is no browser keeps the secret itself.
    if !is_browser(headers) {
        return shown(json!(secret));
    }
    let mut response = shown(Value::Null);
    let age = (person.sign_in.ends_at - clock::unix_ms()) / 1_000;
    response.headers_mut().insert(header::SET_COOKIE, cookie(shared, place, &secret, age));
    response
}

/// Begins the sign-in of somebody who has proven who they are, and records it.
pub(super) async fn let_in(
    shared: &Shared,
    user: User,
    method: &str,
    seat: &str,
    place: &Place,
) -> Result<(Person, String), Response> {
    let_in_as(shared, user, method, seat, place, |record| record).await
}

/// The same, with more in the record.
pub(super) async fn let_in_as(
    shared: &Shared,
    user: User,
    method: &str,
    seat: &str,
    place: &Place,
    with: impl FnOnce(Record) -> Record,
) -> Result<(Person, String), Response> {
    let identity = people(shared)?.identity();
    if method != BADGE {
        not_a_seat(shared, &user, method, seat, place).await?;
    }
    let by = sites::believed(shared, &user, method, place.from()).await?;
    let begun = identity.begin(user, method, seat, clock::unix_ms()).await;
    let (person, secret) = begun.map_err(|error| not_signed_in(&error))?;
    let signed_in =
        about(&person, Event::SignedIn { method: format!("{method}{by}").into() }).peer(place.from());
    if shared.audit.grant(with(signed_in)).await.is_err() {
        // Nobody is let in whose coming cannot be recorded.
        let _ = identity.end(&person).await;
        return Err(unavailable(&"the sign-in could not be recorded"));
    }
    outside::known(&person.sign_in.id);
    Ok((person, secret))
}

/// Only a seat's own key speaks for it.
async fn not_a_seat(
    shared: &Shared,
    user: &User,
    method: &str,
    seat: &str,
    place: &Place,
) -> Result<(), Response> {
    let enrolled = people(shared)?.identity().store().seat_named(seat).await;
    if enrolled.map_err(|error| unavailable(&error))?.is_none() {
        return Ok(());
    }
    let reason = "the name of an enrolled seat was given".into();
    let record = Record::new(Event::SignInRefused { method: method.into(), reason });
    shared.audit.refused(record.user(user.name.as_str(), user.title.as_str()).seat(seat).peer(place.from()));
    let told = "this place's name belongs to an enrolled seat: leave it out, or choose another";
    Err(refusal(StatusCode::FORBIDDEN, "seat", told))
}

/// Ends somebody's sign-in: what it has open goes dark.
pub(super) async fn let_out(
    shared: &Shared,
    person: &Person,
    reason: &str,
    place: &Place,
) -> Result<(), Response> {
    end_sign_in(shared, person, reason, Some(place.from())).await
}

/// The same, also where nobody asks for it.
pub(super) async fn end_sign_in(
    shared: &Shared,
    person: &Person,
    reason: &str,
    from: Option<IpAddr>,
) -> Result<(), Response> {
    let people = people(shared)?;
    people.identity().end(person).await.map_err(|error| unavailable(&error))?;
    // Whoever signs out, rather than tapping out, is asked for the PIN next time.
    if let Err(error) = people.identity().store().end_grace(&person.user.id).await {
        tracing::warn!(%error, "a badge's grace could not be ended");
    }
    people.broker().sign_in_ended(&person.sign_in.id, clock::unix_ms());
    shared.registry.dismiss(&person.sign_in.id, CloseCode::SIGNED_OUT, "signed out").await;
    hosts::sign_in_ended(shared, &person.sign_in.id).await;
    if let Some(sites) = &shared.sites {
        sites.sign_in_ended();
    }
    let event = Event::SignedOut { reason: reason.into() };
    let record = about(person, event);
    shared.audit.record(match from {
        Some(from) => record.peer(from),
        None => record,
    });
    Ok(())
}

/// A record of what somebody did who is signed in.
pub(super) fn about(person: &Person, event: Event) -> Record {
    let Person { user, sign_in } = person;
    let record = Record::new(event).user(user.name.as_str(), user.title.as_str()).seat(sign_in.seat.as_str());
    record.roles([user.role.name()])
}

/// Who was refused is named only if there is such a user: what was typed may be a password in the wrong field.
pub(super) fn refusal_record(error: &SignInError, method: &str) -> Record {
    let (user, reason) = match error {
        SignInError::Refused { user, reason } => (user.as_deref(), (*reason).to_owned()),
        other => (None, other.to_string()),
    };
    let event = Event::SignInRefused { method: method.into(), reason: reason.into() };
    match user {
        Some(user) => Record::new(event).user(user.name.as_str(), user.title.as_str()),
        None => Record::new(event),
    }
}

pub(super) fn cookie(shared: &Shared, place: &Place, secret: &str, age_seconds: i64) -> HeaderValue {
    let secure = if shared.tls || place.way().is_edge() { "; Secure" } else { "" };
    let text = format!("{COOKIE}={secret}; Path=/; HttpOnly; SameSite=Strict; Max-Age={age_seconds}{secure}");
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""))
}

/// The cookie of a sign-in at a seat: browsers forget it when they end.
pub(super) fn seat_cookie(shared: &Shared, secret: &str) -> HeaderValue {
    let secure = if shared.tls { "; Secure" } else { "" };
    let text = format!("{COOKIE}={secret}; Path=/; HttpOnly; SameSite=Strict{secure}");
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""))
}

/// A page must not get hold of a sign-in's secret.
pub(super) fn is_browser(headers: &HeaderMap) -> bool {
    headers.contains_key(header::ORIGIN) || headers.contains_key("sec-fetch-site")
}

pub(super) fn unreadable(error: JsonRejection) -> Response {
    refusal(error.status(), "request", &error.body_text())
}

pub(super) fn not_signed_in(error: &SignInError) -> Response {
    let (status, name) = match error {
        SignInError::Refused { .. } => (StatusCode::UNAUTHORIZED, "refused"),
        SignInError::CodeNeeded => (StatusCode::UNAUTHORIZED, "code-needed"),
        SignInError::TooMany => (StatusCode::TOO_MANY_REQUESTS, "too-many"),
        SignInError::Store(_) | SignInError::Broken(_) => return unavailable(error),
    };
    refusal(status, name, &error.to_string())
}

async fn sign_out(
    State(shared): State<Arc<Shared>>,
    Extension(place): Extension<Place>,
    headers: HeaderMap,
) -> Result<Response, Response> {
    own_page(&shared, &headers)?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    if let Ok(person) = person(&shared, &headers).await {
        let vouched = oidc::vouched(&shared, &person).await;
        let_out(&shared, &person, "asked for", &place).await?;
        // The page goes on there, to sign out at the provider too.
        if let Some(leave) = oidc::leave(&shared, vouched).await {
            response = answer(json!({"leave": leave.as_str()}));
        }
    }
    response.headers_mut().insert(header::SET_COOKIE, cookie(&shared, &place, "", 0));
    Ok(response)
}

async fn me(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Result<Response, Response> {
    let person = person(&shared, &headers).await?;
    Ok(answer(json!({"user": shown_user(&person.user), "seat": person.sign_in.seat})))
}

async fn sessions(
    State(shared): State<Arc<Shared>>,
    Extension(place): Extension<Place>,
    headers: HeaderMap,
) -> Result<Response, Response> {
    if shared.people.is_none() {
        if !shared.door.admits_viewer(shown_secret(&headers).unwrap_or_default().as_bytes()) {
            let reason = "the ticket shown for the list of sessions is not valid".into();
            shared.audit.refused(Record::new(Event::TicketRefused { reason }).peer(place.from()));
            return Err(refusal(StatusCode::UNAUTHORIZED, "ticket", "the ticket is not valid"));
        }
        let mut sessions: Vec<Value> = shared.registry.list().iter().map(|listed| json!(listed)).collect();
        sessions.extend(elsewhere(&shared, |_| true).await);
        return Ok(answer(json!({"sessions": sessions})));
    }
    let person = person(&shared, &headers).await?;
    let broker = people(&shared)?.broker();
    let mut sessions = shared.registry.list();
    sessions.retain(|listed| broker.may_have(&person.user, &listed.name));
    let mut shown: Vec<Value> = sessions
        .iter()
        .map(|listed| {
            let mut shown = shown_session(listed, &person);
            // What a session is that was started, so that it can be ended too.
            let application = broker.applications().of_session(&listed.name);
            shown["application"] = json!(application.map(|application| application.name.clone()));
            shown
        })
        .collect();
    shown.extend(elsewhere(&shared, |session| broker.may_have(&person.user, session)).await);
    let applications = applications::shown(&shared, &person);
    // The page shows what is here before it asks for what may take a while.
    if is_browser(&headers) {
        let others = sites::are_shown(&shared, &place);
        return Ok(answer(json!({"sessions": shown, "applications": applications, "other_sites": others})));
    }
    let (others, silent) = sites::sessions_elsewhere(&shared, &person, place.from()).await;
    shown.extend(others);
    Ok(answer(json!({"sessions": shown, "applications": applications, "cut_off": silent})))
}

/// What other sites have for whoever asks.
async fn other_sites_sessions(
    State(shared): State<Arc<Shared>>,
    Extension(place): Extension<Place>,
    headers: HeaderMap,
) -> Result<Response, Response> {
    let person = person(&shared, &headers).await?;
    let (sessions, silent) = match sites::are_shown(&shared, &place) {
        true => sites::sessions_elsewhere(&shared, &person, place.from()).await,
        false => Default::default(),
    };
    Ok(answer(json!({"sessions": sessions, "cut_off": silent})))
}

/// The sessions that other gateways have. A viewer that asks for one here is told where it is.
pub(super) async fn elsewhere(shared: &Shared, may_have: impl Fn(&str) -> bool) -> Vec<Value> {
    let Some(siblings) = &shared.siblings else { return Vec::new() };
    let here = |session: &str| shared.registry.session(session).is_some();
    let others = siblings.elsewhere().await.into_iter();
    let shown = others.filter(|(session, _)| may_have(session) && !here(session)).map(|(session, title)| {
        json!({"name": session, "title": title, "state": "live", "waiting_for": "", "width": 0, "height": 0,
            "viewers": 0, "elsewhere": true})
    });
    shown.collect()
}

pub(super) fn shown_session(listed: &Listed, person: &Person) -> Value {
    let mut shown = json!(listed);
    shown["holder"] = match &listed.held_by {
        Some(held_by) => json!({
            "title": &*held_by.title,
            "seat": &*held_by.seat,
            "you": *held_by.sign_in == *person.sign_in.id,
        }),
        None => Value::Null,
    };
    shown
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TicketWish {
    session: String,
    holder: Holder,
}

async fn ticket(
    State(shared): State<Arc<Shared>>,
    Extension(place): Extension<Place>,
    headers: HeaderMap,
    wish: Result<Json<TicketWish>, JsonRejection>,
) -> Result<Response, Response> {
    own_page(&shared, &headers)?;
    let person = person(&shared, &headers).await?;
    let Json(mut wish) = wish.map_err(unreadable)?;
    if let Some(named) = sites::split_name(&wish.session) {
        return sites::open(&shared, &person, named, wish.holder, place.from()).await;
    }
    // Who asks for an application is given the session that they have of it, or a new one.
    if people(&shared)?.broker().applications().named(&wish.session).is_some() {
        wish.session = applications::opened(&shared, &person, &wish.session, place.from()).await?;
    } else {
        applications::may_go_on(&shared, &person, &wish.session, place.from()).await?;
    }
    let ticket = ticket_for(&shared, &person, &wish.session, wish.holder, &place).await?;
    Ok(answer(json!({"ticket": ticket, "session": wish.session})))
}

/// A ticket for a session that a person asks for.
pub(super) async fn ticket_for(
    shared: &Shared,
    person: &Person,
    session: &str,
    holder: Holder,
    place: &Place,
) -> Result<String, Response> {
    let broker = people(shared)?.broker();
    // Who may not have a session does not learn whether it exists.
    let granted = broker.grant(person, session, holder, place.from(), clock::unix_ms()).await;
    let record = |event| about(person, event).session(session).peer(place.from());
    if let Err(error) = &granted {
        shared.audit.refused(record(Event::TicketRefused { reason: error.to_string().into() }));
    }
    let granted = granted.map_err(|error| match &error {
        BrokerError::NotYours(_) => refusal(StatusCode::FORBIDDEN, "not-yours", &error.to_string()),
        BrokerError::Holder => refusal(StatusCode::BAD_REQUEST, "request", &error.to_string()),
        BrokerError::Store(_) => unavailable(&error),
    })?;
    let elsewhere = match &shared.siblings {
        Some(siblings) => siblings.is_elsewhere(session).await,
        None => false,
    };
    if shared.registry.session(session).is_none() && !elsewhere {
        return Err(refusal(StatusCode::NOT_FOUND, "no-session", "there is no such session now"));
    }
    broker.applications().note(session, |running| running.sign_in = person.sign_in.id.clone());
    shared.audit.record(record(Event::TicketGranted));
    Ok(granted.ticket)
}
