//! What enrolled seats ask: nonces, taps and PINs, and locking. A seat signs each question with its key over a nonce that is
//! good once; the page on its screen takes a sign-in over by a code that the seat was given for it.

// A refusal is a whole answer, made once a request.
#![allow(clippy::result_large_err)]

use super::Shared;
use super::api::{
    about, answer, is_browser, let_in, own_page, people, refusal, seat_cookie, shown_user, unavailable,
    unreadable,
};
use super::listen::Place;
use super::people::People;
use crate::audit::{Event, Record, Time};
use crate::clock;
use crate::identity::seat::SeatRequest;
use crate::identity::ticket::Holder;
use crate::identity::{BADGE, Opened, Person, SeatError, Signed, Tapped, new_secret, sha256_hex};
use crate::store::{Change, Seat};
use crate::wire::CloseCode;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The page on a seat's screen must take a sign-in over within this time.
const CLAIM_MS: i64 = 20_000;
/// Sign-ins that wait for their page.
const MOST_CLAIMS: usize = 4_096;

pub(super) fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/api/seats/enrol", post(enrol))
        .route("/api/seats/nonce", post(nonce))
        .route("/api/seats/tap", post(tap))
        .route("/api/seats/pin", post(pin))
        .route("/api/seats/lock", post(lock))
        .route("/api/seats/claim", post(claim))
}

/// Sign-ins by badge that wait for the page on their seat, by the hash of the code that takes them.
#[derive(Default)]
pub(super) struct Claims(Mutex<HashMap<String, Waiting>>);

struct Waiting {
    claimed: Claimed,
    until: i64,
}

/// What the page on a seat takes over from its tap.
struct Claimed {
    secret: String,
    session: Option<String>,
    /// The tap's trace, with which the page goes on.
    trace: String,
}

impl Claims {
    /// `None` if too many wait.
    fn add(&self, claimed: Claimed, now_ms: i64) -> Option<String> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|_, waiting| waiting.until > now_ms);
        if waiting.len() >= MOST_CLAIMS {
            return None;
        }
        let code = new_secret();
        waiting.insert(sha256_hex(code.as_bytes()), Waiting { claimed, until: now_ms + CLAIM_MS });
        Some(code)
    }

    fn take(&self, code: &str, now_ms: i64) -> Option<Claimed> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = waiting.remove(&sha256_hex(code.as_bytes()))?;
        (taken.until > now_ms).then_some(taken.claimed)
    }
}

/// How often it is looked for changes by command.
const LOOK_EVERY: Duration = Duration::from_secs(5);
const MOST_CHANGES: u32 = 100;

/// Writes down what was changed by command beside this gateway.
pub(super) async fn tell_changes(shared: Arc<Shared>) {
    let Some(people) = shared.people.clone() else { return };
    let store = people.identity().store();
    loop {
        match store.changes(MOST_CHANGES).await {
            Ok(changes) => {
                for change in changes {
                    // Forgotten only once it is on disk. The journal's own times never go back.
                    if shared.audit.durable(record_of(&change)).await.is_err() {
                        break;
                    }
                    if let Err(error) = store.change_was_told(&change.id).await {
                        tracing::warn!(%error, "a change is written down again");
                    }
                }
            }
            Err(error) => tracing::warn!(%error, "it could not be looked for changes by command"),
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn record_of(change: &Change) -> Record {
    let at = Time::from_micros(change.changed_at.saturating_mul(1_000));
    let (whom, what) = (change.whom.as_str(), format!("{} by command at {at}", change.what));
    match change.kind.as_str() {
        "seat" => Record::new(Event::SeatRevoked { reason: what.into() }).seat(whom),
        _ => Record::new(Event::UserChanged { changed_user: whom.into(), change: what.into() }),
    }
}

/// A refusal as it is told: the same for whatever is wrong.
fn refused(shared: &Shared, error: &SeatError, place: &Place) -> Response {
    let (status, name) = match error {
        SeatError::Store(_) | SeatError::Broken(_) => return unavailable(error),
        SeatError::TooMany => (StatusCode::TOO_MANY_REQUESTS, "too-many"),
        SeatError::Refused { .. } => (StatusCode::UNAUTHORIZED, "refused"),
    };
    let (reason, user, seat) = match error {
        SeatError::Refused { reason, user, seat } => ((*reason).into(), user.as_deref(), seat.as_deref()),
        other => (other.to_string().into(), None, None),
    };
    let mut record = Record::new(Event::SignInRefused { method: BADGE.into(), reason }).peer(place.from());
    if let Some(user) = user {
        record = record.user(user.name.as_str(), user.title.as_str());
    }
    if let Some(seat) = seat {
        record = record.seat(seat.name.as_str());
    }
    shared.audit.refused(record);
    refusal(status, name, &error.to_string())
}

/// Seats are programs: a page has no business here.
fn no_page(headers: &HeaderMap) -> Result<(), Response> {
    match is_browser(headers) {
        true => Err(refusal(StatusCode::FORBIDDEN, "browser", "this is asked by `chevet seat run` alone")),
        false => Ok(()),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Enrolment {
    code: String,
    public_key: String,
    signature: String,
}

async fn enrol(
    State(shared): State<Arc<Shared>>,
    Extension(place): Extension<Place>,
    headers: HeaderMap,
    asked: Result<Json<Enrolment>, JsonRejection>,
) -> Result<Response, Response> {
    no_page(&headers)?;
    let Json(asked) = asked.map_err(unreadable)?;
    let identity = people(&shared)?.identity();
    let now = clock::unix_ms();
    let enrolled = identity.enrol(&asked.code, &asked.public_key, &asked.signature, place.from(), now).await;
    let seat = enrolled.map_err(|error| match &error {
        SeatError::Refused { .. } => {
            let _ = refused(&shared, &error, &place);
            let told = "the code is not known, was used or has expired, or a seat of its name is enrolled: \
                        `chevet seat code` makes another, `chevet seat revoke` frees the name";
            refusal(StatusCode::UNAUTHORIZED, "refused", told)
        }
        error => refused(&shared, error, &place),
    })?;
    let record = Record::new(Event::SeatEnrolled).seat(seat.name.as_str()).peer(place.from());
    if shared.audit.grant(record).await.is_err() {
        let _ = identity.store().revoke_seat(&seat.id, now).await;
        return Err(unavailable(&"the enrolment could not be recorded"));
    }
    Ok(answer(json!({"id": seat.id, "name": seat.name, "zone": seat.zone, "mode": seat.mode})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

async fn nonce(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    asked: Result<Json<Nothing>, JsonRejection>,
) -> Result<Response, Response> {
    no_page(&headers)?;
    let Json(Nothing {}) = asked.map_err(unreadable)?;
    let nonce = people(&shared)?.identity().seat_nonce(clock::unix_ms());
    Ok(answer(json!({"nonce": nonce})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tap {
    signed: Signed,
    badge: String,
    /// Whom the ticket is for, if the seat shows the session itself. Otherwise its page will.
    #[serde(default)]
    holder: Option<Holder>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pin {
    signed: Signed,
    waiting: String,
    pin: String,
    #[serde(default)]
    holder: Option<Holder>,
}

async fn tap(
    State(shared): State<Arc<Shared>>,
    Extension(place): Extension<Place>,
    headers: HeaderMap,
    asked: Result<Json<Tap>, JsonRejection>,
) -> Result<Response, Response> {
    no_page(&headers)?;
    let Json(Tap { signed, badge, holder }) = asked.map_err(unreadable)?;
    let identity = people(&shared)?.identity();
    let now = clock::unix_ms();
    let tapped = async {
        let parts = [badge.as_str(), &Holder::in_words(holder.as_ref())];
        let seat = identity.seat_that_signed(&signed, SeatRequest::Tap, &parts, place.from(), now).await?;
        let tapped = identity.tap(&seat, &badge, now).await?;
        Ok((seat, tapped))
    };
    let (seat, tapped) = tapped.await.map_err(|error| refused(&shared, &error, &place))?;
    match tapped {
        Tapped::Open(opened) => open(&shared, seat, *opened, holder, &place).await,
        Tapped::Pin(waiting) => Ok(answer(json!({"waiting": waiting, "nonce": identity.seat_nonce(now)}))),
    }
}

async fn pin(
    State(shared): State<Arc<Shared>>,
    Extension(place): Extension<Place>,
    headers: HeaderMap,
    asked: Result<Json<Pin>, JsonRejection>,
) -> Result<Response, Response> {
    no_page(&headers)?;
    let Json(Pin { signed, waiting, pin, holder }) = asked.map_err(unreadable)?;
    let identity = people(&shared)?.identity();
    let now = clock::unix_ms();
    let checked = async {
        let parts = [waiting.as_str(), &pin, &Holder::in_words(holder.as_ref())];
        let seat = identity.seat_that_signed(&signed, SeatRequest::Pin, &parts, place.from(), now).await?;
        let opened = identity.pin(&seat, &waiting, &pin, now).await?;
        Ok((seat, opened))
    };
    let (seat, opened) = checked.await.map_err(|error| refused(&shared, &error, &place))?;
    open(&shared, seat, opened, holder, &place).await
}

/// Lets a user in at a seat. Whoever was there before is let out, and so is this user wherever else a badge let them in: there,
/// nobody may take the session back by a button.
async fn open(
    shared: &Shared,
    seat: Seat,
    opened: Opened,
    holder: Option<Holder>,
    place: &Place,
) -> Result<Response, Response> {
    let Opened { user, badge } = opened;
    let people = people(shared)?;
    let one = people.one_at_a_time().await;
    let store = people.identity().store();
    // It may have been revoked since its signature was looked at.
    let now_known = store.seat(&seat.id).await.map_err(|error| unavailable(&error))?;
    if now_known.is_none_or(|seat| seat.revoked_at.is_some()) {
        return Err(refused(shared, &SeatError::of_revoked(&seat), place));
    }
    let_all_out(shared, people, &seat, "another badge was tapped", place.from()).await?;
    let elsewhere = store.end_sign_ins_elsewhere(&user.id, &seat.name).await;
    let there = format!("{} ({})", seat.name, user.title);
    for sign_in in elsewhere.map_err(|error| unavailable(&error))? {
        people.broker().sign_in_ended(&sign_in, clock::unix_ms());
        shared.registry.dismiss(&sign_in, CloseCode::TAKEN_OVER, &there).await;
    }
    let (person, secret) = let_in(shared, user, BADGE, &seat.name, place).await?;
    // Whoever revokes a badge ends its user's sign-ins after that, so one that began too late for them sees it here.
    if let Err(error) = people.identity().is_still_good(&seat, &person.user, &badge).await {
        people.identity().end(&person).await.map_err(|error| unavailable(&error))?;
        return Err(refused(shared, &error, place));
    }
    if let Err(error) = store.seat_was_used(&seat.id, clock::unix_ms()).await {
        tracing::warn!(%error, "a seat's use could not be noted");
    }
    drop(one);
    let session = session_of(shared, people, &person).await?;
    let now = clock::unix_ms();
    let mut told = json!({
        "user": shown_user(&person.user),
        "seat": seat.name,
        "session": session,
        "idle_lock_ms": people.identity().badges().idle_ms,
        "nonce": people.identity().seat_nonce(now),
    });
    let Some(holder) = holder else {
        let claimed = Claimed { secret, session, trace: crate::telemetry::here() };
        let claim = people.claims().add(claimed, now);
        told["claim"] = claim.ok_or_else(|| unavailable(&"too many sign-ins wait for their page"))?.into();
        return Ok(answer(told));
    };
    told["token"] = secret.into();
    if let Some(session) = session {
        let ticket = super::api::ticket_for(shared, &person, &session, holder, place).await?;
        told["ticket"] = ticket.into();
    }
    Ok(answer(told))
}

/// What to show at once: the session that the user had last, or the only one that there is for them.
async fn session_of(shared: &Shared, people: &People, person: &Person) -> Result<Option<String>, Response> {
    let mut there: Vec<String> = shared.registry.list().into_iter().map(|listed| listed.name).collect();
    there.retain(|name| people.broker().may_have(&person.user, name));
    if let [only] = there.as_slice() {
        return Ok(Some(only.clone()));
    }
    let last = people.identity().store().last_sessions_of(&person.user.id).await;
    let last = last.map_err(|error| unavailable(&error))?;
    Ok(last.into_iter().find(|name| there.contains(name)))
}

/// Ends what badges opened at a seat, at once, and says how many sign-ins there were.
pub(super) async fn let_all_out(
    shared: &Shared,
    people: &People,
    seat: &Seat,
    reason: &str,
    from: IpAddr,
) -> Result<usize, Response> {
    let store = people.identity().store();
    let ended = store.end_sign_ins_at(&seat.name).await.map_err(|error| unavailable(&error))?;
    let count = ended.len();
    for (sign_in, user_id) in ended {
        people.broker().sign_in_ended(&sign_in, clock::unix_ms());
        shared.registry.dismiss(&sign_in, CloseCode::SIGNED_OUT, reason).await;
        let mut record = Record::new(Event::Locked { reason: reason.into() });
        if let Ok(Some(user)) = store.user(&user_id).await {
            record = record.user(user.name.as_str(), user.title.as_str()).roles([user.role.name()]);
        }
        shared.audit.record(record.seat(seat.name.as_str()).peer(from));
    }
    Ok(count)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Lock {
    signed: Signed,
    reason: String,
}

async fn lock(
    State(shared): State<Arc<Shared>>,
    Extension(place): Extension<Place>,
    headers: HeaderMap,
    asked: Result<Json<Lock>, JsonRejection>,
) -> Result<Response, Response> {
    no_page(&headers)?;
    let Json(Lock { signed, reason }) = asked.map_err(unreadable)?;
    let people = people(&shared)?;
    let now = clock::unix_ms();
    let identity = people.identity();
    let checked = identity.seat_that_signed(&signed, SeatRequest::Lock, &[&reason], place.from(), now).await;
    let seat = checked.map_err(|error| refused(&shared, &error, &place))?;
    let_all_out(&shared, people, &seat, &reason, place.from()).await?;
    Ok(answer(json!({"nonce": identity.seat_nonce(now)})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Claim {
    claim: String,
}

/// The page on a seat's screen takes its sign-in: as a cookie that scripts cannot read, and that the browser does not keep.
async fn claim(
    State(shared): State<Arc<Shared>>,
    Extension(place): Extension<Place>,
    headers: HeaderMap,
    asked: Result<Json<Claim>, JsonRejection>,
) -> Result<Response, Response> {
    own_page(&shared, &headers)?;
    let Json(asked) = asked.map_err(unreadable)?;
    let people = people(&shared)?;
    let taken = people.claims().take(&asked.claim, clock::unix_ms());
    let no = || refused(&shared, &SeatError::of_claim(), &place);
    let Claimed { secret, session, trace } = taken.ok_or_else(no)?;
    let person = people.person(&secret).await.map_err(|error| unavailable(&error))?;
    let person = person.ok_or_else(no)?;
    shared.audit.record(about(&person, Event::Unlocked { method: BADGE.into() }).peer(place.from()));
    let shown: Value = json!({
        "user": shown_user(&person.user),
        "seat": person.sign_in.seat,
        "session": session,
        "trace": trace,
    });
    let mut response = answer(shown).into_response();
    response.headers_mut().insert(header::SET_COOKIE, seat_cookie(&shared, &secret));
    Ok(response)
}
