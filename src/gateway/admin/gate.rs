//! Who may ask: auditors read, administrators also change. Asked before paths, bodies or names are looked at.

use super::super::api::{self, own_page, person, refusal, shown_secret};
use super::super::{Place, Shared};
use crate::audit::{Event, Record};
use crate::identity::Person;
use crate::store::Role;
use aws_lc_rs::digest::{SHA256, digest};
use axum::extract::{Extension, Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(2);
/// Whoever was known to be signed in so shortly before the store went away may look on, not longer than this.
const KNOWN_FOR: Duration = Duration::from_secs(60);
const LOOKS_ON_FOR: Duration = Duration::from_secs(3_600);
const MOST_REMEMBERED: usize = 256;

/// Who looked lately, so that they can look on while the store is away. Nobody changes anything by it.
#[derive(Default)]
pub(in super::super) struct Remembered(Mutex<Lookers>);

#[derive(Default)]
struct Lookers {
    /// By the hash of what they show.
    known: HashMap<Vec<u8>, (Person, Instant)>,
    away_since: Option<Instant>,
}

impl Remembered {
    fn lock(&self) -> MutexGuard<'_, Lookers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what the store says of a secret, or that it does not answer.
    fn note(&self, secret: &[u8], said: Result<&Person, StatusCode>) {
        let mut lookers = self.lock();
        let now = Instant::now();
        match said {
            Err(StatusCode::SERVICE_UNAVAILABLE) => {
                lookers.away_since.get_or_insert(now);
                return;
            }
            Ok(person) if person.user.role != Role::User => {
                lookers.known.retain(|_, (_, at)| at.elapsed() < KNOWN_FOR);
                if lookers.known.len() < MOST_REMEMBERED {
                    lookers.known.insert(secret.to_vec(), (person.clone(), now));
                }
            }
            _ => drop(lookers.known.remove(secret)),
        }
        lookers.away_since = None;
    }

    fn find(&self, secret: &[u8]) -> Option<Person> {
        let lookers = self.lock();
        let (person, at) = lookers.known.get(secret)?;
        let away_since = lookers.away_since.unwrap_or_else(Instant::now);
        let known = away_since.saturating_duration_since(*at) < KNOWN_FOR && at.elapsed() < LOOKS_ON_FOR;
        (known && person.sign_in.ends_at > crate::clock::unix_ms()).then(|| person.clone())
    }
}

fn store_away() -> Response {
    refusal(StatusCode::SERVICE_UNAVAILABLE, "store", "the store does not answer")
}

/// Who asks, and from where.
#[derive(Clone)]
pub(in super::super) struct Asker {
    pub person: Person,
    pub from: IpAddr,
    /// The other gateway at which it was asked.
    pub at: Option<String>,
}

impl Asker {
    /// The record of what this administrator did.
    pub fn record(&self, action: &str, object: &str) -> Record {
        let object = match &self.at {
            None => object.to_owned(),
            Some(at) => format!("asked at gateway {at}: {object}"),
        };
        let (action, object) = (action.into(), object.into());
        api::about(&self.person, Event::AdminAction { action, object }).peer(self.from)
    }

    /// The record of what happened because somebody asked.
    pub fn about(&self, event: Event) -> Record {
        api::about(&self.person, event).peer(self.from)
    }

    /// The same of what was not done, though this administrator asked for it.
    pub fn refused(&self, action: &str, object: &str, reason: &str) -> Record {
        let (action, object, reason) = (action.into(), object.into(), reason.into());
        api::about(&self.person, Event::AdminRefused { action, object, reason }).peer(self.from)
    }
}

/// Whether somebody of this role may use this method.
fn may(role: Role, method: &Method) -> bool {
    match role {
        Role::Administrator => true,
        Role::Auditor => matches!(*method, Method::GET | Method::HEAD),
        Role::User => false,
    }
}

pub(super) async fn gate(
    State(shared): State<Arc<Shared>>,
    Extension(place): Extension<Place>,
    mut request: Request,
    next: Next,
) -> Result<Response, Response> {
    let from = place.from();
    let (action, object) = (request.method().to_string(), request.uri().path().to_owned());
    let record = |event| Record::new(event).peer(from);
    let event = |reason: &str| {
        let (action, object) = (action.as_str().into(), object.as_str().into());
        Event::AdminRefused { action, object, reason: reason.into() }
    };
    if let Err(response) = own_page(&shared, request.headers()) {
        shared.audit.refused(record(event("asked by a page of another site")));
        return Err(response);
    }
    let secret = shown_secret(request.headers()).map(|secret| digest(&SHA256, secret.as_bytes()));
    let remembered = secret.as_ref().filter(|_| may(Role::Auditor, request.method()));
    let remembered = remembered.and_then(|secret| shared.health.remembered.find(secret.as_ref()));
    let asked = person(&shared, request.headers());
    let asked = match &remembered {
        // Whoever can be answered without the store does not wait for it long.
        Some(_) => tokio::time::timeout(PATIENCE, asked).await.unwrap_or_else(|_| Err(store_away())),
        None => asked.await,
    };
    if let Some(secret) = &secret {
        shared.health.remembered.note(secret.as_ref(), asked.as_ref().map_err(Response::status));
    }
    let person = match (asked, remembered) {
        (Ok(person), _) => person,
        (Err(response), Some(person)) if response.status() == StatusCode::SERVICE_UNAVAILABLE => person,
        (Err(response), _) => {
            if response.status() == StatusCode::UNAUTHORIZED {
                shared.audit.refused(record(event("not signed in")));
            }
            return Err(response);
        }
    };
    if !may(person.user.role, request.method()) {
        shared.audit.refused(api::about(&person, event("the role does not allow it")).peer(from));
        return Err(refusal(StatusCode::FORBIDDEN, "role", "your role does not allow this"));
    }
    request.extensions_mut().insert(Asker { person, from, at: None });
    Ok(next.run(request).await)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_may_nothing_auditors_read_and_administrators_change() {
        let methods = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
        let allowed = |role| methods.iter().filter(|method| may(role, method)).count();
        assert_eq!(Role::ALL.map(allowed), [0, 2, 6]);
        assert!(!may(Role::Auditor, &Method::from_bytes(b"PROPFIND").unwrap()));
    }
}
