//! What other sites ask, once they have proven who they are. What one may ask for is bounded, and what it costs is its own.

use super::call::{HELLO, TICKETS};
use super::visit::{self, Visitor};
use super::{Accounts, Peer, Sites};
use crate::audit::{Event, Record};
use crate::clock;
use crate::gateway::api::{answer, refusal, unavailable};
use crate::gateway::people::People;
use crate::gateway::{Place, Shared};
use crate::identity::{TotpSecret, sha256_hex, user_name};
use crate::site::{
    Account, AskPage, Change, MOST_CHANGES, MOST_CODES, Page, Room, SPEAKER, STATEMENT, message, proven,
};
use crate::store::{AccountRow, Store, StoreError, User};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Extension, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::post;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use std::net::IpAddr;
use std::sync::Arc;
use tokio::sync::SemaphorePermit;

const MOST_REQUEST: usize = 64 << 10;
/// A step that a site says was used may lie so far ahead, by its clock.
const STEPS_AHEAD: i64 = 2;
const STEP_MS: i64 = 30_000;

pub(in crate::gateway) fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route(HELLO, post(hello))
        .route("/api/site/accounts", post(accounts))
        .route("/api/site/sign-in", post(sign_in))
        .route("/api/site/sign-out", post(sign_out))
        .route("/api/site/sessions", post(sessions))
        .route(TICKETS, post(tickets))
        .layer(DefaultBodyLimit::max(MOST_REQUEST))
}

/// A question of another site, and its place among those that are answered at the same time.
struct Asked<'a> {
    shared: &'a Arc<Shared>,
    sites: &'a Sites,
    people: &'a People,
    peer: &'a Peer,
    _place: SemaphorePermit<'a>,
}

/// Who asks, if they prove it on this very connection.
fn asked<'a>(
    shared: &'a Arc<Shared>,
    place: &Place,
    headers: &HeaderMap,
    what: &str,
    body: &[u8],
) -> Result<Asked<'a>, Response> {
    let none = || refusal(StatusCode::NOT_FOUND, "no-site", "this gateway knows no other sites");
    let (sites, people) = (shared.sites.as_ref().ok_or_else(none)?, shared.people.as_ref().ok_or_else(none)?);
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (speaker, statement) = (text(SPEAKER), text(STATEMENT));
    // A stranger learns nothing, not even which sites are known.
    let stranger = || {
        let reason = "a site that is not known, or that cannot prove who it is".into();
        let event = Event::SignInRefused { method: "site".into(), reason };
        shared.audit.refused(Record::new(event).peer(place.from()));
        refusal(StatusCode::FORBIDDEN, "stranger", "this site is not known here, or not proven")
    };
    let exporter = place.exporter().filter(|_| !place.way().is_edge()).ok_or_else(stranger)?;
    let peer = sites.peer(speaker).ok_or_else(stranger)?;
    if !proven(&peer.config.key, &message(&exporter, speaker, &sites.name, what, body), statement) {
        return Err(stranger());
    }
    let busy = || refusal(StatusCode::TOO_MANY_REQUESTS, "busy", "too many questions at the same time");
    let _place = peer.busy.try_acquire().map_err(|_| busy())?;
    Ok(Asked { shared, sites, people, peer, _place })
}

impl Asked<'_> {
    /// What costs more than looking up is asked no more than once a second at length, by one site in the name of one user.
    fn may_ask(&self, who: &str) -> Result<(), Response> {
        let too_many = || refusal(StatusCode::TOO_MANY_REQUESTS, "too-many", "wait a minute");
        self.peer.asks.admit_as(who.to_owned(), clock::unix_ms()).then_some(()).ok_or_else(too_many)
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Response> {
    serde_json::from_slice(body)
        .map_err(|error| refusal(StatusCode::BAD_REQUEST, "request", &error.to_string()))
}

fn broken(error: StoreError) -> Response {
    unavailable(&error)
}

async fn hello(
    State(shared): State<Arc<Shared>>,
    Extension(place): Extension<Place>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Response> {
    let asked = asked(&shared, &place, &headers, HELLO, &body)?;
    let exporter = place.exporter().unwrap_or_default();
    let said = message(&exporter, &asked.sites.name, &asked.peer.config.name, HELLO, b"here");
    Ok(answer(json!({"statement": asked.sites.keys.sign_for_site(&said)})))
}

/// A page of what changed of the accounts that are for the site that asks.
async fn accounts(
    State(shared): State<Arc<Shared>>,
    Extension(place): Extension<Place>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Response> {
    let asked = asked(&shared, &place, &headers, "/api/site/accounts", &body)?;
    let wish: AskPage = read(&body)?;
    if wish.used.len() > MOST_CODES || wish.asked.len() > MOST_CODES {
        return Err(refusal(
            StatusCode::BAD_REQUEST,
            "request",
            "more codes or accounts than are told at once",
        ));
    }
    asked.codes_were_used(&wish).await?;
    let config = &asked.peer.config;
    let terms = format!("{:?} {}", config.accounts, config.share_groups.join("\n"));
    let terms = sha256_hex(terms.as_bytes())[..16].to_owned();
    let store = asked.people.identity().store();
    let most = MOST_CHANGES as u32 + 1;
    let (newest, mut rows) = store.accounts_since(wish.since, most).await.map_err(broken)?;
    if config.accounts != Accounts::Copy {
        rows.clear();
    }
    let mut page = Page { ask: config.accounts == Accounts::Ask, ..Page::default() };
    // A number that is told again after the database was put back is another change's, and has another mark.
    let (told_terms, told_mark) = wish.terms.split_once('.').unwrap_or((&wish.terms, ""));
    let is_known = wish.since <= 0 || told_mark == mark(store, wish.since).await?;
    if told_terms != terms || wish.since > newest || !is_known {
        (page.restarted, page.terms) = (true, terms);
        return Ok(answer(json!(page)));
    }
    let mut room = Room::of_page();
    for (row, groups) in rows {
        let account = asked.told(&row, groups).filter(is_taken);
        let change = Change { version: row.version, id: row.id, account };
        page.more = page.changes.len() == MOST_CHANGES || !room.takes(&change);
        if page.more {
            break;
        }
        page.changes.push(change);
    }
    let upto = page.changes.last().map_or(wish.since, |change| change.version);
    page.terms = format!("{terms}.{}", mark(store, upto).await?);
    if config.accounts == Accounts::Ask {
        for id in &wish.asked {
            let user = store.user(id).await.map_err(broken)?.filter(|user| asked.peer.is_told_of(user));
            let account = user.map(|user| shown(&user)).filter(is_taken);
            let change = Change { version: 0, id: id.clone(), account };
            // The rest is asked for again.
            if !room.takes(&change) {
                break;
            }
            page.asked.push(change);
        }
    }
    Ok(answer(json!(page)))
}

/// The mark of a change as it is told; empty for one that has none, as those before the first do.
async fn mark(store: &Store, version: i64) -> Result<String, Response> {
    let mark = store.account_mark(version).await.map_err(broken)?;
    Ok(mark.map(|mark| format!("{mark:016x}")).unwrap_or_default())
}

impl Asked<'_> {
    /// Codes that people of this site used there are of no use here.
    async fn codes_were_used(&self, wish: &AskPage) -> Result<(), Response> {
        let store = self.people.identity().store();
        let newest = clock::unix_ms() / STEP_MS + STEPS_AHEAD;
        for used in wish.used.iter().filter(|used| used.step <= newest) {
            let user = store.user(&used.id).await.map_err(broken)?;
            if user.is_some_and(|user| self.peer.is_told_of(&user)) {
                store.use_totp_step(&used.id, used.step).await.map_err(broken)?;
            }
        }
        Ok(())
    }

    /// What the site is told of an account.
    fn told(&self, row: &AccountRow, groups: Vec<String>) -> Option<Account> {
        let config = &self.peer.config;
        if row.removed != 0 || config.accounts != Accounts::Copy || !self.peer.shares(&groups) {
            return None;
        }
        let totp = match &row.totp {
            Some(sealed) => match TotpSecret::open(sealed, &row.id, self.people.keys()) {
                Some(secret) => Some(secret.told()),
                // Without its second factor nobody is to be let in.
                None => return None,
            },
            None => None,
        };
        Some(Account {
            name: row.name.clone(),
            title: row.title.clone(),
            enabled: row.enabled != 0,
            groups,
            password: row.password.clone(),
            totp,
            totp_step: row.totp_step,
        })
    }
}

/// Whether the other site takes an account: one that it does not would cost it the whole page.
fn is_taken(account: &Account) -> bool {
    let fault = account.fault();
    if let Some(fault) = fault {
        tracing::warn!(user = account.name, fault, "other sites are not told of an account");
    }
    fault.is_none()
}

/// A user without anything that proves who they are.
fn shown(user: &User) -> Account {
    Account {
        name: user.name.clone(),
        title: user.title.clone(),
        enabled: user.enabled,
        groups: user.groups.clone(),
        password: None,
        totp: None,
        totp_step: 0,
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignIn {
    name: String,
    password: String,
    code: Option<String>,
    from: IpAddr,
}

/// Somebody of this site signs in at the one that asks.
async fn sign_in(
    State(shared): State<Arc<Shared>>,
    Extension(place): Extension<Place>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Response> {
    let asked = asked(&shared, &place, &headers, "/api/site/sign-in", &body)?;
    let wish: SignIn = read(&body)?;
    if asked.peer.config.accounts != Accounts::Ask {
        return Err(refusal(StatusCode::FORBIDDEN, "not-asked", "accounts of this site are not asked for"));
    }
    let name = user_name(&wish.name).unwrap_or_default();
    asked.may_ask(&format!("sign-in {name}"))?;
    let identity = asked.people.identity();
    let user = identity.store().user_named(&name).await.map_err(broken)?;
    // Who is not for that site can neither be guessed at nor locked out from there, and takes as long.
    let name = if user.is_some_and(|user| asked.peer.is_told_of(&user)) { name } else { String::new() };
    let (code, now) = (wish.code.as_deref(), clock::unix_ms());
    let checked = identity.check_password(&name, &wish.password, code, wish.from, now).await;
    let method = asked.peer.method();
    match checked {
        Ok(user) => Ok(answer(json!({"id": user.id, "account": shown(&user)}))),
        Err(error) => {
            shared.audit.refused(super::super::api::refusal_record(&error, &method).peer(wish.from));
            Err(super::super::api::not_signed_in(&error))
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignOut {
    there: String,
}

/// A sign-in that came from the site that asks is over.
async fn sign_out(
    State(shared): State<Arc<Shared>>,
    Extension(place): Extension<Place>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Response> {
    let asked = asked(&shared, &place, &headers, "/api/site/sign-out", &body)?;
    let wish: SignOut = read(&body)?;
    if let Some(person) = visit::visiting(&shared, asked.peer, &wish.there).await? {
        super::super::api::end_sign_in(&shared, &person, "signed out at their site", None).await?;
    }
    Ok(answer(json!({})))
}

async fn sessions(
    State(shared): State<Arc<Shared>>,
    Extension(place): Extension<Place>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Response> {
    let asked = asked(&shared, &place, &headers, "/api/site/sessions", &body)?;
    let visitor: Visitor = read(&body)?;
    visit::list(asked.shared, asked.sites, asked.peer, &visitor).await
}

async fn tickets(
    State(shared): State<Arc<Shared>>,
    Extension(place): Extension<Place>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Response> {
    let asked = asked(&shared, &place, &headers, TICKETS, &body)?;
    let wish: visit::Wish = read(&body)?;
    if !wish.visitor.is_possible() {
        return Err(refusal(StatusCode::BAD_REQUEST, "request", "nobody is called so"));
    }
    asked.may_ask(&wish.visitor.id)?;
    visit::ticket(asked.shared, asked.sites, asked.peer, wish, &place).await
}
