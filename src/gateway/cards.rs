//! Signing in by smart card. A certificate is asked for on a port of its own, in the handshake: browsers are sent there and
//! come back with a code that is good once in the browser that began; programs sign in there.
//!
//! The handshake proves that the key is there, whatever the certificate; what it is worth is looked at afterwards, each time
//! anew, so that its holder can be told what is wrong. Nothing but this is served there.

// A refusal is a whole answer, made once a request.
#![allow(clippy::result_large_err)]

use super::Shared;
use super::api::is_browser;
use super::api::{
    answer, cookie, end_sign_in, let_in_as, let_out, people, person, refusal, shown_user, unreadable,
};
use super::listen::Place;
use super::oidc::{WAITS_S, record_changes, redirect, set_browser_cookie, shown_cookie};
use super::people::People;
use crate::audit::{Event, Record};
use crate::clock;
use crate::identity::card::{Authorities, AuthoritiesError, Card, CardError, CardsConfig, ISSUER, describe};
use crate::identity::pending::Pending;
use crate::identity::{AccountError, Person, new_secret, sha256_hex};
use crate::store::ProviderSignIn;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::DistinguishedName;
use rustls_pki_types::{CertificateDer, UnixTime};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What the card's side has proven waits so long for its browser, in milliseconds.
const HAND_OVER_MS: i64 = 60_000;
/// A good card that opens nothing is answered after so long, whatever is wrong.
const REFUSED_AFTER: Duration = Duration::from_millis(300);
/// How often it is looked whether a revocation list has changed, and how many times of that until all who are signed in by
/// card are looked at in any case.
const LOOK_EVERY: Duration = Duration::from_secs(5);
const LOOKS: u32 = 60;
const MOST_BYTES: usize = 4 << 10;

/// The certificates that were shown in the handshake, the card's own first.
#[derive(Clone, Default)]
pub(super) struct Shown(pub Vec<CertificateDer<'static>>);

pub(crate) struct Cards {
    authorities: Arc<Authorities>,
    begun: Pending<Begun>,
    proven: Pending<HandedOver>,
}

/// A sign-in that a browser has begun.
struct Begun {
    /// The hash of the secret that the browser holds.
    browser: String,
    seat: String,
}

/// A card that was looked at, on its way back to the page.
struct HandedOver {
    begun: Begun,
    card: Card,
    shown: Shown,
}

impl Cards {
    pub fn new(config: &CardsConfig) -> Result<Cards, AuthoritiesError> {
        let authorities = Arc::new(Authorities::read(config)?);
        Ok(Cards { authorities, begun: Pending::default(), proven: Pending::default() })
    }

    fn config(&self) -> &CardsConfig {
        self.authorities.config()
    }

    /// The names by which browsers choose among certificates.
    pub fn names(&self) -> Vec<DistinguishedName> {
        self.authorities.names()
    }

    async fn check(&self, shown: &Shown) -> Result<Card, CardError> {
        let (authorities, shown) = (self.authorities.clone(), shown.clone());
        let checked = tokio::task::spawn_blocking(move || authorities.check(&shown.0, UnixTime::now())).await;
        checked.unwrap_or_else(|_| Err(CardError::Unusable("looking at it failed".into())))
    }
}

/// What the page's side serves.
pub(super) fn router() -> Router<Arc<Shared>> {
    Router::new().route("/api/cards/start", get(start)).route("/api/cards/finish", get(finish))
}

/// What is served where cards are asked for.
pub(super) fn card_router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/", get(show))
        .route("/sign-in", post(sign_in))
        .layer(axum::extract::DefaultBodyLimit::max(MOST_BYTES))
        .with_state(shared)
}

/// How the page and programs sign in by card.
pub(super) fn shown(people: &People) -> Value {
    match people.cards() {
        Some(cards) => json!({"url": "api/cards/start", "address": cards.config().address()}),
        None => Value::Null,
    }
}

fn cards(shared: &Shared) -> Result<&Cards, Response> {
    let none = "nobody signs in by card here";
    people(shared)?.cards().ok_or_else(|| refusal(StatusCode::NOT_FOUND, "no-cards", none))
}

fn browser_cookie(shared: &Shared, cards: &Cards) -> &'static str {
    match shared.tls || cards.config().page.starts_with("https:") {
        true => "__Host-chevet-card",
        false => "chevet-card",
    }
}

fn query(uri: &Uri, wanted: &str) -> String {
    let query = uri.query().unwrap_or_default();
    let found = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == wanted);
    found.map(|(_, value)| value.into_owned()).unwrap_or_default()
}

/// Back to the page, which says what went wrong.
fn back(cards: &Cards, error: &CardError) -> Response {
    redirect(&format!("{}#error={}", cards.config().page(), error.code()))
}

fn record_refusal(shared: &Shared, error: &CardError, shown: &Shown, card: Option<&Card>, place: &Place) {
    let event = Event::SignInRefused { method: "card".into(), reason: error.to_string().into() };
    let mut record = Record::new(event).peer(place.from());
    if let Some(described) = shown.0.first().and_then(|der| describe(der)) {
        record = record.card(described);
    }
    if let Some(card) = card {
        record = record.user(card.who.name.as_str(), card.who.title.as_str());
    }
    shared.audit.refused(record);
}

/// A browser begins, and is sent to where cards are asked for.
async fn start(
    State(shared): State<Arc<Shared>>,
    Extension(place): Extension<Place>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Response> {
    let cards = cards(&shared)?;
    let refused = |error: CardError| {
        record_refusal(&shared, &error, &Shown::default(), None, &place);
        back(cards, &error)
    };
    if !people(&shared)?.may_begin(place.from()) {
        return Ok(refused(CardError::TooMany));
    }
    // Who signs in takes the place of whoever was signed in in this browser. Other sites' links do not show that cookie.
    if let Ok(before) = person(&shared, &headers).await {
        let_out(&shared, &before, "another sign-in was begun", &place).await?;
    }
    let seat = query(&uri, "seat").chars().take(crate::identity::MAX_TITLE).collect();
    let name = browser_cookie(&shared, cards);
    // Sign-ins in two tabs are of the same browser.
    let browser = shown_cookie(&headers, name).map_or_else(new_secret, str::to_owned);
    let (state, now) = (new_secret(), clock::unix_ms());
    let begun = Begun { browser: sha256_hex(browser.as_bytes()), seat };
    if !cards.begun.put(&state, begun, now + WAITS_S * 1_000, now) {
        return Ok(refused(CardError::TooMany));
    }
    let mut response = redirect(&format!("{}?state={state}", cards.config().address()));
    response.headers_mut().append(header::SET_COOKIE, set_browser_cookie(name, &browser, WAITS_S));
    Ok(response)
}

/// A browser shows its card, and is sent back to the page.
async fn show(
    State(shared): State<Arc<Shared>>,
    Extension(place): Extension<Place>,
    Extension(shown): Extension<Shown>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Response> {
    let cards = cards(&shared)?;
    if headers.get("sec-fetch-dest").is_some_and(|what| what != "document") {
        return Err(refusal(
            StatusCode::FORBIDDEN,
            "request",
            "cards are shown by opening this address alone",
        ));
    }
    let now = clock::unix_ms();
    let handed_over = async {
        let (_, begun) = cards.begun.take(&query(&uri, "state"), now).ok_or(CardError::NotAwaited)?;
        let card = cards.check(&shown).await?;
        let code = new_secret();
        let handed_over = HandedOver { begun, card, shown: shown.clone() };
        match cards.proven.put(&code, handed_over, now + HAND_OVER_MS, now) {
            true => Ok(code),
            false => Err(CardError::TooMany),
        }
    };
    match handed_over.await {
        Ok(code) => Ok(redirect(&format!("{}api/cards/finish?code={code}", cards.config().page()))),
        Err(error) => {
            record_refusal(&shared, &error, &shown, None, &place);
            Ok(back(cards, &error))
        }
    }
}

/// The browser that began comes back with what its card has proven.
async fn finish(
    State(shared): State<Arc<Shared>>,
    Extension(place): Extension<Place>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Response> {
    let (cards, began) = (cards(&shared)?, Instant::now());
    let browser = shown_cookie(&headers, browser_cookie(&shared, cards)).unwrap_or_default();
    // Taken whatever follows: a code is good once.
    let taken = cards.proven.take(&query(&uri, "code"), clock::unix_ms());
    // Otherwise somebody could sign others in as themselves.
    let own = taken.filter(|(_, taken)| taken.begun.browser == sha256_hex(browser.as_bytes()));
    let Some((_, taken)) = own else {
        let error = CardError::NotAwaited;
        record_refusal(&shared, &error, &Shown::default(), None, &place);
        return Ok(back(cards, &error));
    };
    match admit(&shared, cards, &taken.card, &taken.shown, &taken.begun.seat, &place).await {
        Ok((person, secret)) => {
            let age = (person.sign_in.ends_at - clock::unix_ms()) / 1_000;
            let mut response = redirect(&cards.config().page());
            response.headers_mut().append(header::SET_COOKIE, cookie(&shared, &place, &secret, age));
            Ok(response)
        }
        Err(error) => {
            record_refusal(&shared, &error, &taken.shown, Some(&taken.card), &place);
            refused_in_time(began).await;
            Ok(back(cards, &error))
        }
    }
}

/// Whether there is such a user, and whether they may sign in, takes the same time.
async fn refused_in_time(began: Instant) {
    tokio::time::sleep_until((began + REFUSED_AFTER).into()).await;
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignIn {
    #[serde(default)]
    seat: String,
}

/// A program that is no browser signs in on the connection on which its card has signed.
async fn sign_in(
    State(shared): State<Arc<Shared>>,
    Extension(place): Extension<Place>,
    Extension(shown): Extension<Shown>,
    headers: HeaderMap,
    asked: Result<Json<SignIn>, JsonRejection>,
) -> Result<Response, Response> {
    if is_browser(&headers) {
        return Err(refusal(StatusCode::FORBIDDEN, "browser", "browsers sign in by the page"));
    }
    let cards = cards(&shared)?;
    let Json(asked) = asked.map_err(unreadable)?;
    let refused = |error: &CardError, card: Option<&Card>| {
        record_refusal(&shared, error, &shown, card, &place);
        let status = match error {
            CardError::TooMany => StatusCode::TOO_MANY_REQUESTS,
            CardError::Account(AccountError::Store(_)) => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::UNAUTHORIZED,
        };
        refusal(status, error.code(), &error.told())
    };
    if !people(&shared)?.may_begin(place.from()) {
        return Err(refused(&CardError::TooMany, None));
    }
    let card = cards.check(&shown).await.map_err(|error| refused(&error, None))?;
    let began = Instant::now();
    match admit(&shared, cards, &card, &shown, &asked.seat, &place).await {
        Ok((person, secret)) => {
            let user = shown_user(&person.user);
            Ok(answer(json!({"user": user, "seat": person.sign_in.seat, "token": secret})))
        }
        Err(error) => {
            refused_in_time(began).await;
            Err(refused(&error, Some(&card)))
        }
    }
}

/// Signs in whom a card names.
async fn admit(
    shared: &Shared,
    cards: &Cards,
    card: &Card,
    shown: &Shown,
    seat: &str,
    place: &Place,
) -> Result<(Person, String), CardError> {
    let unavailable = || CardError::Unusable("the sign-in could not be recorded".into());
    let people = people(shared).map_err(|_| unavailable())?;
    let store = people.identity().store();
    let known = card.newcomer(cards.config()).known(store, clock::unix_ms()).await?;
    record_changes(shared, &known, place);
    let described = card.described();
    let let_in = let_in_as(shared, known.user, "card", seat, place, |record| record.card(described)).await;
    let (person, secret) = let_in.map_err(|_| unavailable())?;
    let chain: Vec<String> = shown.0.iter().map(|der| URL_SAFE_NO_PAD.encode(der)).collect();
    let id = person.sign_in.id.clone();
    let kept = ProviderSignIn {
        id_token: people.keys().seal(chain.join(" ").as_bytes(), &id),
        sign_in_id: id,
        issuer: ISSUER.into(),
        subject: card.subject.clone(),
        sid: card.serial.clone(),
    };
    if let Err(error) = store.add_provider_sign_in(&kept).await {
        // It could not be ended when the card is withdrawn.
        let _ = let_out(shared, &person, "the card's part could not be kept", place).await;
        return Err(AccountError::from(error).into());
    }
    Ok((person, secret))
}

/// Ends what was signed in by cards that have been withdrawn since, or are over.
pub(super) async fn watch(shared: Arc<Shared>) {
    let Some(cards) = shared.people.as_ref().and_then(|people| people.cards()) else { return };
    let (mut seen, mut looks) = (0, 0);
    loop {
        let authorities = cards.authorities.clone();
        let generation = tokio::task::spawn_blocking(move || authorities.generation()).await.unwrap_or(seen);
        looks += 1;
        if generation != seen || looks >= LOOKS {
            (seen, looks) = (generation, 0);
            if let Err(error) = look_again(&shared, cards).await {
                tracing::warn!(%error, "who is signed in by card could not be looked at");
                looks = LOOKS;
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn look_again(shared: &Shared, cards: &Cards) -> Result<(), crate::store::StoreError> {
    let Some(people) = &shared.people else { return Ok(()) };
    let store = people.identity().store();
    for kept in store.provider_sign_ins_of(ISSUER).await? {
        let Some(shown) = unsealed(people, &kept) else { continue };
        let error = match cards.check(&shown).await {
            // A list that is late keeps new ones out, and ends nobody's work.
            Ok(_) | Err(CardError::Unchecked(_)) => continue,
            Err(error) => error,
        };
        let Some(sign_in) = store
            .sign_ins_by_provider(ISSUER, Some(&kept.subject), Some(&kept.sid))
            .await?
            .into_iter()
            .find(|one| one.id == kept.sign_in_id)
        else {
            continue;
        };
        let Some(user) = store.user(&sign_in.user_id).await? else { continue };
        let reason = format!("the card no longer holds: {error}");
        if end_sign_in(shared, &Person { user, sign_in }, &reason, None).await.is_err() {
            tracing::warn!("a sign-in by a card that no longer holds could not be ended; it is tried again");
        }
    }
    Ok(())
}

fn unsealed(people: &People, kept: &ProviderSignIn) -> Option<Shown> {
    let chain = String::from_utf8(people.keys().open(&kept.id_token, &kept.sign_in_id)?).ok()?;
    let decoded = chain.split(' ').map(|one| URL_SAFE_NO_PAD.decode(one).map(CertificateDer::from));
    Some(Shown(decoded.collect::<Result<_, _>>().ok()?))
}

/// A handshake that came to nothing where cards are asked for.
pub(super) fn handshake_failed(shared: &Shared, reason: &rustls::Error, place: &Place) {
    let reason = format!("the handshake failed: {reason}").into();
    let event = Event::SignInRefused { method: "card".into(), reason };
    shared.audit.refused(Record::new(event).peer(place.from()));
}
