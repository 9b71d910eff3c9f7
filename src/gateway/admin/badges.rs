//! A user's badges and PIN. A badge's number comes in once, and never goes out: only its keyed hash is kept.

use super::super::Shared;
use super::super::api::{answer, people, refusal, unavailable};
use super::Body;
use super::gate::Asker;
use super::shapes::{Badge as Shown, Badges, Ended, NamedBadge, NewBadge, NewPin, Problem};
use super::users::{bad, broken, end_all, found};
use crate::clock;
use crate::identity::{Hasher, badge_number, check_new_pin, new_id};
use crate::store::{MOST_WRONG_PINS, StoreError};
use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use std::sync::Arc;

/// Nobody carries more that are good.
const MOST_BADGES: usize = 16;

/// A user's badges, revoked ones too, and whether there is a PIN.
#[utoipa::path(get, path = "/api/admin/users/{name}/badges", tag = "badges", params(("name" = String, Path)),
    responses((status = 200, body = Badges), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn list(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
) -> Result<Response, Response> {
    let people = people(&shared)?;
    let user = found(people, &name).await?;
    let store = people.identity().store();
    let badges = store.badges_of(&user.id).await.map_err(broken)?.into_iter();
    let badges = badges.map(|badge| Shown {
        id: badge.id,
        created_at: badge.created_at,
        revoked_at: badge.revoked_at,
    });
    let wrong = store.wrong_pins(&user.id).await.map_err(broken)?;
    Ok(answer(json!(Badges {
        badges: badges.collect(),
        has_pin: wrong.is_some(),
        pin_is_blocked: wrong.is_some_and(|wrong| wrong >= MOST_WRONG_PINS),
    })))
}

/// Gives a badge to a user.
#[utoipa::path(post, path = "/api/admin/users/{name}/badges", tag = "badges", params(("name" = String, Path)),
    request_body = NewBadge,
    responses((status = 201, body = NamedBadge), (status = 400, body = Problem), (status = 403, body = Problem),
        (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn give(
    State(shared): State<Arc<Shared>>,
    Extension(asker): Extension<Asker>,
    Path(name): Path<String>,
    Body(wish): Body<NewBadge>,
) -> Result<Response, Response> {
    let people = people(&shared)?;
    let user = found(people, &name).await?;
    let store = people.identity().store();
    let number = badge_number(&wish.number);
    let number = number.ok_or_else(|| bad("badge", "a badge's number has 4 to 64 letters and digits"))?;
    let has = store.badges_of(&user.id).await.map_err(broken)?;
    if has.iter().filter(|badge| badge.revoked_at.is_none()).count() >= MOST_BADGES {
        return Err(refusal(StatusCode::CONFLICT, "badges", "the user has 16 badges: revoke some first"));
    }
    let id = new_id();
    let given = store.add_badge(&id, &people.keys().badge_hash(&number), &user.id, clock::unix_ms()).await;
    given.map_err(|error| match error {
        StoreError::Taken(_) => {
            refusal(StatusCode::CONFLICT, "taken", "somebody has this badge: revoke it there first")
        }
        error => broken(error),
    })?;
    shared.audit.record(asker.record(&format!("give badge {id}"), &user.name));
    Ok((StatusCode::CREATED, answer(json!(NamedBadge { id }))).into_response())
}

/// Revokes a badge, and ends at once what its user has open.
#[utoipa::path(delete, path = "/api/admin/users/{name}/badges/{id}", tag = "badges",
    params(("name" = String, Path), ("id" = String, Path)),
    responses((status = 200, body = Ended), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn revoke(
    State(shared): State<Arc<Shared>>,
    Extension(asker): Extension<Asker>,
    Path((name, id)): Path<(String, String)>,
) -> Result<Response, Response> {
    let people = people(&shared)?;
    let user = found(people, &name).await?;
    let none = || refusal(StatusCode::NOT_FOUND, "no-badge", "the user has no such badge that is good");
    // To the store no name means all of them.
    let id = Some(id.as_str()).filter(|id| !id.is_empty()).ok_or_else(none)?;
    let store = people.identity().store();
    let one = people.one_at_a_time().await;
    if store.revoke_badges(&user.id, Some(id), clock::unix_ms()).await.map_err(broken)? == 0 {
        return Err(none());
    }
    shared.audit.record(asker.record(&format!("revoke badge {id}"), &user.name));
    let sign_ins = end_all(&shared, people, &user, "an administrator revoked a badge").await?;
    drop(one);
    Ok(answer(json!(Ended { sign_ins })))
}

/// Sets the PIN that is asked after a badge. Unblocks a blocked one.
#[utoipa::path(put, path = "/api/admin/users/{name}/pin", tag = "badges", params(("name" = String, Path)),
    request_body = NewPin,
    responses((status = 204), (status = 400, body = Problem), (status = 403, body = Problem),
        (status = 404, body = Problem)))]
pub(super) async fn set_pin(
    State(shared): State<Arc<Shared>>,
    Extension(asker): Extension<Asker>,
    Path(name): Path<String>,
    Body(wish): Body<NewPin>,
) -> Result<Response, Response> {
    let people = people(&shared)?;
    let user = found(people, &name).await?;
    check_new_pin(&wish.pin).map_err(|error| bad("pin", &error.to_string()))?;
    let hash = Hasher::default().hash_pin(&wish.pin).await.map_err(|error| unavailable(&error))?;
    people.identity().store().set_pin(&user.id, &hash).await.map_err(broken)?;
    shared.audit.record(asker.record("set PIN", &user.name));
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Takes the PIN away: badges open nothing for the user.
#[utoipa::path(delete, path = "/api/admin/users/{name}/pin", tag = "badges", params(("name" = String, Path)),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn remove_pin(
    State(shared): State<Arc<Shared>>,
    Extension(asker): Extension<Asker>,
    Path(name): Path<String>,
) -> Result<Response, Response> {
    let people = people(&shared)?;
    let user = found(people, &name).await?;
    if people.identity().store().remove_pin(&user.id).await.map_err(broken)? {
        shared.audit.record(asker.record("take PIN away", &user.name));
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}
