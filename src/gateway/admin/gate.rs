//! Who may ask: auditors read, administrators also change. Asked before paths, bodies or names are looked at.

use super::super::api::{self, own_page, person, refusal};
use super::super::{Place, Shared};
use crate::audit::{Event, Record};
use crate::identity::Person;
use crate::store::Role;
use axum::extract::{Extension, Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use std::net::IpAddr;
use std::sync::Arc;

/// Who asks, and from where.
#[derive(Clone)]
pub(super) struct Asker {
    pub person: Person,
    pub from: IpAddr,
}

impl Asker {
    /// The record of what this administrator did.
    pub fn record(&self, action: &str, object: &str) -> Record {
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
    let person = match person(&shared, request.headers()).await {
        Ok(person) => person,
        Err(response) => {
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
    request.extensions_mut().insert(Asker { person, from });
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
