//! Signing in by OpenID providers: where browsers begin and come back, the device flow, and the providers' own sign-outs.

use super::api::{
    answer, cookie, is_browser, let_in, let_out, no_store, people, person, refusal, unreadable,
};
use super::listen::Place;
use super::people::People;
use super::{Shared, api};
use crate::audit::{Event, Record};
use crate::clock;
use crate::identity::oidc::{Answered, DevicePoll, OidcError, Proven, Provider};
use crate::identity::{AccountError, Known, Person, new_secret};
use crate::store::{ProviderSignIn, SignIn};
use axum::extract::rejection::JsonRejection;
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use url::Url;

/// What binds a sign-in that was begun to its browser lasts so long, in seconds.
pub(super) const WAITS_S: i64 = 600;
/// The length of a secret in base64url.
const SECRET_DIGITS: usize = 43;
const MOST_BYTES: usize = 64 << 10;

pub(super) fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/api/oidc/{id}/start", get(start))
        .route("/api/oidc/{id}/callback", get(callback))
        .route("/api/oidc/{id}/logout", post(logout))
        .route("/api/oidc/{id}/device", post(device))
        .route("/api/oidc/{id}/device/poll", post(poll))
        .layer(axum::extract::DefaultBodyLimit::max(MOST_BYTES))
}

/// The providers, as the page shows them.
pub(super) fn shown(people: &People) -> Vec<Value> {
    let shown = |provider: &Provider| {
        let config = provider.config();
        json!({"id": config.id, "title": config.title, "url": format!("api/oidc/{}/start", config.id)})
    };
    people.providers().iter().map(shown).collect()
}

fn provider<'a>(shared: &'a Shared, id: &str) -> Option<&'a Provider> {
    shared.people.as_ref()?.providers().iter().find(|provider| provider.config().id == id)
}

fn no_provider() -> Response {
    refusal(StatusCode::NOT_FOUND, "no-provider", "there is no such provider")
}

/// Sends a browser on. Where it came from is nobody's business.
pub(super) fn redirect(to: &str) -> Response {
    let to = HeaderValue::from_str(to).unwrap_or(HeaderValue::from_static("/"));
    let headers =
        [(header::LOCATION, to), (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"))];
    (StatusCode::FOUND, no_store(), headers).into_response()
}

/// Back to the page, which says what went wrong.
fn back(provider: &Provider, code: &str) -> Response {
    redirect(&format!("{}#error={code}", provider.config().page()))
}

fn record_refusal(shared: &Shared, provider: &Provider, error: &OidcError, place: &Place) {
    let event =
        Event::SignInRefused { method: provider.config().method().into(), reason: error.to_string().into() };
    shared.audit.refused(Record::new(event).peer(place.from()));
}

/// A cookie of this host alone where the page is safe: no neighbour can plant one.
fn browser_cookie(shared: &Shared, provider: &Provider) -> &'static str {
    match shared.tls || provider.config().page.starts_with("https:") {
        true => "__Host-chevet-oidc",
        false => "chevet-oidc",
    }
}

pub(super) fn set_browser_cookie(name: &str, secret: &str, age_s: i64) -> HeaderValue {
    let secure = if name.starts_with("__Host-") { "; Secure" } else { "" };
    let text = format!("{name}={secret}; Path=/; HttpOnly; SameSite=Lax; Max-Age={age_s}{secure}");
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""))
}

pub(super) fn shown_cookie<'a>(headers: &'a HeaderMap, wanted: &str) -> Option<&'a str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let secret = pairs.find(|(name, _)| *name == wanted).map(|(_, secret)| secret)?;
    (secret.len() == SECRET_DIGITS).then_some(secret)
}

async fn start(
    State(shared): State<Arc<Shared>>,
    Extension(place): Extension<Place>,
    Path(id): Path<String>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Response> {
    let provider = provider(&shared, &id).ok_or_else(no_provider)?;
    let now = clock::unix_ms();
    let refused = |error: OidcError| {
        record_refusal(&shared, provider, &error, &place);
        back(provider, error.code())
    };
    if !people(&shared)?.may_begin(place.from()) {
        return Ok(refused(OidcError::TooMany));
    }
    // Who signs in takes the place of whoever was signed in in this browser. Other sites' links do not show that cookie.
    if let Ok(before) = person(&shared, &headers).await {
        let_out(&shared, &before, "another sign-in was begun", &place).await?;
    }
    let query = uri.query().unwrap_or_default();
    let seat = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "seat");
    let seat = seat.map(|(_, seat)| seat.into_owned()).unwrap_or_default();
    let cookie = browser_cookie(&shared, provider);
    // Sign-ins in two tabs are of the same browser.
    let browser = shown_cookie(&headers, cookie).map_or_else(new_secret, str::to_owned);
    let mut response = match provider.begin(&browser, &seat, now).await {
        Ok(there) => redirect(there.as_str()),
        Err(error) => return Ok(refused(error)),
    };
    let set = set_browser_cookie(cookie, &browser, WAITS_S);
    response.headers_mut().append(header::SET_COOKIE, set);
    Ok(response)
}

async fn callback(
    State(shared): State<Arc<Shared>>,
    Extension(place): Extension<Place>,
    Path(id): Path<String>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Response> {
    let provider = provider(&shared, &id).ok_or_else(no_provider)?;
    let answered = Answered::of(uri.query().unwrap_or_default());
    let browser = shown_cookie(&headers, browser_cookie(&shared, provider)).unwrap_or_default();
    let finished = provider.finish(&answered, browser, clock::unix_ms()).await;
    let signed_in = match finished {
        Ok((proven, seat)) => sign_in(&shared, provider, &proven, &seat, &place).await,
        Err(error) => Err(Refusal::Oidc(error)),
    };
    match signed_in {
        Ok((person, secret)) => {
            let age = (person.sign_in.ends_at - clock::unix_ms()) / 1_000;
            let mut response = redirect(&provider.config().page());
            response.headers_mut().append(header::SET_COOKIE, cookie(&shared, &place, &secret, age));
            Ok(response)
        }
        Err(Refusal::Oidc(error)) => {
            record_refusal(&shared, provider, &error, &place);
            Ok(back(provider, error.code()))
        }
        Err(Refusal::Other) => Ok(back(provider, "oidc-unavailable")),
    }
}

enum Refusal {
    Oidc(OidcError),
    /// Said and logged where it happened.
    Other,
}

impl<E: Into<OidcError>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Refusal::Oidc(error.into())
    }
}

/// What was changed to know somebody.
pub(super) fn record_changes(shared: &Shared, known: &Known, place: &Place) {
    let user = &known.user;
    for change in &known.changes {
        let event =
            Event::UserChanged { changed_user: user.name.as_str().into(), change: change.as_str().into() };
        let record = Record::new(event).user(user.name.as_str(), user.title.as_str());
        shared.audit.record(record.peer(place.from()));
    }
}

/// Signs in whom the provider has proven.
async fn sign_in(
    shared: &Shared,
    provider: &Provider,
    proven: &Proven,
    seat: &str,
    place: &Place,
) -> Result<(Person, String), Refusal> {
    let people = people(shared).map_err(|_| Refusal::Other)?;
    let (store, config) = (people.identity().store(), provider.config());
    let method = config.method();
    let newcomer = proven.newcomer(config, &method);
    let known = newcomer.known(store, clock::unix_ms()).await.map_err(OidcError::from)?;
    record_changes(shared, &known, place);
    let let_in = let_in(shared, known.user, &method, seat, place).await;
    let (person, secret) = let_in.map_err(|_| Refusal::Other)?;
    let id = person.sign_in.id.clone();
    let kept = store
        .add_provider_sign_in(&ProviderSignIn {
            id_token: people.keys().seal(proven.id_token.as_bytes(), &id),
            sign_in_id: id,
            issuer: config.issuer.clone(),
            subject: proven.subject.clone(),
            sid: proven.sid.clone(),
        })
        .await;
    if let Err(error) = kept {
        // The provider could not end it.
        let _ = let_out(shared, &person, "the provider's part could not be kept", place).await;
        return Err(error.into());
    }
    Ok((person, secret))
}

/// What a provider vouched for of a sign-in that is about to end.
pub(super) async fn vouched(shared: &Shared, person: &Person) -> Option<ProviderSignIn> {
    let store = shared.people.as_ref()?.identity().store();
    store.provider_sign_in(&person.sign_in.id).await.ok().flatten()
}

/// Where a browser signs out at the provider.
pub(super) async fn leave(shared: &Shared, vouched: Option<ProviderSignIn>) -> Option<Url> {
    let (vouched, people) = (vouched?, shared.people.as_ref()?);
    let provider = people.providers().iter().find(|one| one.config().issuer == vouched.issuer)?;
    let id_token = people.keys().open(&vouched.id_token, &vouched.sign_in_id)?;
    provider.leave(std::str::from_utf8(&id_token).ok()?, clock::unix_ms()).await
}

/// OpenID Connect Back-Channel Logout: the provider says that somebody has left.
async fn logout(
    State(shared): State<Arc<Shared>>,
    Extension(place): Extension<Place>,
    Path(id): Path<String>,
    body: axum::body::Bytes,
) -> Result<Response, Response> {
    let provider = provider(&shared, &id).ok_or_else(no_provider)?;
    let now = clock::unix_ms();
    let token = url::form_urlencoded::parse(&body).find(|(name, _)| name == "logout_token");
    let token = token.map(|(_, token)| token.into_owned()).unwrap_or_default();
    let logout = provider.logout(&token, now).await.map_err(|error| {
        tracing::warn!(provider = id, %error, "a logout token was refused");
        refusal(StatusCode::BAD_REQUEST, "invalid_request", &error.to_string())
    })?;
    let identity = people(&shared)?.identity();
    let (issuer, subject) = (provider.config().issuer.as_str(), logout.subject.as_deref());
    let ended = identity.store().sign_ins_by_provider(issuer, subject, logout.sid.as_deref()).await;
    for sign_in in ended.map_err(|error| api::unavailable(&error))? {
        end(&shared, sign_in, &place).await?;
    }
    Ok((StatusCode::OK, no_store()).into_response())
}

async fn end(shared: &Shared, sign_in: SignIn, place: &Place) -> Result<(), Response> {
    let store = people(shared)?.identity().store();
    let user = store.user(&sign_in.user_id).await.map_err(|error| api::unavailable(&error))?;
    match user {
        Some(user) => let_out(shared, &Person { user, sign_in }, "signed out at the provider", place).await,
        None => Ok(()),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DeviceWish {
    #[serde(default)]
    seat: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Poll {
    handle: String,
}

fn refused(shared: &Shared, provider: &Provider, error: &OidcError, place: &Place) -> Response {
    record_refusal(shared, provider, error, place);
    let status = match error {
        OidcError::Down(_) | OidcError::Store(_) | OidcError::Account(AccountError::Store(_)) => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        OidcError::TooMany => StatusCode::TOO_MANY_REQUESTS,
        OidcError::DeviceFlowOff | OidcError::NoDeviceFlow => StatusCode::NOT_FOUND,
        _ => StatusCode::UNAUTHORIZED,
    };
    let reason = match error {
        OidcError::NotAwaited => "the code has expired or was used; begin again".to_owned(),
        error => error.to_string(),
    };
    refusal(status, error.code(), &reason)
}

async fn device(
    State(shared): State<Arc<Shared>>,
    Extension(place): Extension<Place>,
    Path(id): Path<String>,
    headers: HeaderMap,
    asked: Result<Json<DeviceWish>, JsonRejection>,
) -> Result<Response, Response> {
    if is_browser(&headers) {
        return Err(refusal(StatusCode::FORBIDDEN, "browser", "browsers sign in by the page"));
    }
    let provider = provider(&shared, &id).ok_or_else(no_provider)?;
    let Json(wish) = asked.map_err(unreadable)?;
    let begun = match people(&shared)?.may_begin(place.from()) {
        true => provider.begin_device(&wish.seat, clock::unix_ms()).await,
        false => Err(OidcError::TooMany),
    };
    let begun = begun.map_err(|error| refused(&shared, provider, &error, &place))?;
    Ok(answer(json!(begun)))
}

async fn poll(
    State(shared): State<Arc<Shared>>,
    Extension(place): Extension<Place>,
    Path(id): Path<String>,
    headers: HeaderMap,
    asked: Result<Json<Poll>, JsonRejection>,
) -> Result<Response, Response> {
    if is_browser(&headers) {
        return Err(refusal(StatusCode::FORBIDDEN, "browser", "browsers sign in by the page"));
    }
    let provider = provider(&shared, &id).ok_or_else(no_provider)?;
    let Json(asked) = asked.map_err(unreadable)?;
    let polled = provider.poll_device(&asked.handle, clock::unix_ms()).await;
    match polled.map_err(|error| refused(&shared, provider, &error, &place))? {
        DevicePoll::Pending(interval) => Ok(answer(json!({"pending": true, "interval": interval}))),
        DevicePoll::Done(proven, seat) => {
            let signed_in = sign_in(&shared, provider, &proven, &seat, &place).await;
            let (person, secret) = signed_in.map_err(|refusal| match refusal {
                Refusal::Oidc(error) => refused(&shared, provider, &error, &place),
                Refusal::Other => api::unavailable(&"the sign-in could not be recorded"),
            })?;
            let user = api::shown_user(&person.user);
            Ok(answer(json!({"user": user, "seat": person.sign_in.seat, "token": secret})))
        }
    }
}
