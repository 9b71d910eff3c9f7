//! The people: who there is, what they may do, what they have open.

use super::super::Shared;
use super::super::api::{answer, people, refusal, unavailable};
use super::super::hosts;
use super::super::people::People;
use super::Body;
use super::gate::Asker;
use super::shapes::{
    Ended, NewPassword, NewUser, PageWish, Problem, SignIn, SignIns, User as Shown, UserChange, Users,
};
use crate::clock;
use crate::identity::{
    Hasher, NewUserError, PasswordError, add_user, check_new_password, is_title, user_name,
};
use crate::store::{Role, StoreError, User};
use crate::wire::CloseCode;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Extension, Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use std::sync::Arc;

const MOST_USERS: u32 = 200;
const USERS: u32 = 50;
const MOST_GROUPS: usize = 64;
const MOST_SIGN_INS: u32 = 200;

pub(super) fn bad(error: &str, reason: &str) -> Response {
    refusal(StatusCode::BAD_REQUEST, error, reason)
}

pub(super) fn broken(error: StoreError) -> Response {
    unavailable(&error)
}

/// Another site's account is changed there.
fn of_here(user: User) -> Result<User, Response> {
    if user.home.is_empty() {
        return Ok(user);
    }
    Err(refusal(StatusCode::CONFLICT, "elsewhere", &StoreError::Elsewhere(user.home).to_string()))
}

pub(super) async fn found(people: &People, name: &str) -> Result<User, Response> {
    let none = || refusal(StatusCode::NOT_FOUND, "no-user", "there is no such user");
    let name = user_name(name).ok_or_else(none)?;
    people.identity().store().user_named(&name).await.map_err(broken)?.ok_or_else(none)
}

/// Who there is, by name.
#[utoipa::path(get, path = "/api/admin/users", tag = "users", params(PageWish),
    responses((status = 200, body = Users), (status = 400, body = Problem), (status = 403, body = Problem)))]
pub(super) async fn list(
    State(shared): State<Arc<Shared>>,
    wish: Result<Query<PageWish>, QueryRejection>,
) -> Result<Response, Response> {
    let Query(wish) = wish.map_err(|error| bad("request", &error.body_text()))?;
    let limit = wish.limit.unwrap_or(USERS);
    if !(1..=MOST_USERS).contains(&limit) {
        return Err(bad("limit", "a page has 1 to 200 users"));
    }
    let mut users =
        people(&shared)?.identity().store().users(&wish.after, limit + 1).await.map_err(broken)?;
    let more = users.len() > limit as usize;
    users.truncate(limit as usize);
    let next = users.last().filter(|_| more).map(|user| user.name.clone());
    Ok(answer(json!(Users { users: users.into_iter().map(Shown::from).collect(), next })))
}

/// One user.
#[utoipa::path(get, path = "/api/admin/users/{name}", tag = "users", params(("name" = String, Path)),
    responses((status = 200, body = Shown), (status = 404, body = Problem)))]
pub(super) async fn one(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
) -> Result<Response, Response> {
    let user = found(people(&shared)?, &name).await?;
    Ok(answer(json!(Shown::from(user))))
}

fn check_groups(groups: &[String]) -> Result<(), Response> {
    match groups.len() <= MOST_GROUPS && groups.iter().all(|group| is_title(group)) {
        true => Ok(()),
        false => Err(bad("groups", "at most 64 groups, each of 1 to 128 bytes without control characters")),
    }
}

async fn hash(password: &str) -> Result<String, Response> {
    check_new_password(password).map_err(|error| bad("password", &error.to_string()))?;
    let hashed: Result<String, PasswordError> = Hasher::default().hash(password).await;
    hashed.map_err(|error| unavailable(&error))
}

/// Adds a user.
#[utoipa::path(post, path = "/api/admin/users", tag = "users", request_body = NewUser,
    responses((status = 201, body = Shown), (status = 400, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn add(
    State(shared): State<Arc<Shared>>,
    Extension(asker): Extension<Asker>,
    Body(wish): Body<NewUser>,
) -> Result<Response, Response> {
    let people = people(&shared)?;
    let store = people.identity().store();
    check_groups(&wish.groups)?;
    // Before the user is there, so that a bad password leaves nothing behind.
    let hash = match &wish.password {
        Some(password) => Some(hash(password).await?),
        None => None,
    };
    let role = wish.role.unwrap_or(Role::User);
    let added = add_user(store, &wish.name, &wish.title, role, &wish.groups, clock::unix_ms()).await;
    let id = added.map_err(|error| match &error {
        NewUserError::Store(StoreError::Taken(_)) => {
            refusal(StatusCode::CONFLICT, "taken", "there is such a user already")
        }
        NewUserError::Store(_) => unavailable(&error),
        NewUserError::Name(_) | NewUserError::Title(_) => bad("name", &error.to_string()),
    })?;
    if let Some(hash) = hash {
        store.set_password(&id, &hash).await.map_err(broken)?;
    }
    let user = found(people, &wish.name).await?;
    shared.audit.record(asker.record(&format!("add user as {}", role.name()), &user.name));
    Ok((StatusCode::CREATED, answer(json!(Shown::from(user)))).into_response())
}

/// Changes what a user may do.
#[utoipa::path(patch, path = "/api/admin/users/{name}", tag = "users", params(("name" = String, Path)),
    request_body = UserChange,
    responses((status = 200, body = Shown), (status = 400, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem)))]
pub(super) async fn change(
    State(shared): State<Arc<Shared>>,
    Extension(asker): Extension<Asker>,
    Path(name): Path<String>,
    Body(wish): Body<UserChange>,
) -> Result<Response, Response> {
    let people = people(&shared)?;
    let store = people.identity().store();
    check_groups(wish.groups.as_deref().unwrap_or_default())?;
    let user = of_here(found(people, &name).await?)?;
    let lesser = wish.role.is_some_and(|role| role != Role::Administrator) || wish.enabled == Some(false);
    if user.id == asker.person.user.id && lesser {
        let reason = "another administrator must take your own rights away, so that one is left";
        shared.audit.refused(asker.refused("take rights away", &user.name, "it is the administrator's own"));
        return Err(refusal(StatusCode::CONFLICT, "yourself", reason));
    }
    if let Some(role) = wish.role.filter(|role| *role != user.role) {
        store.set_role(&user.id, role).await.map_err(broken)?;
        let action = format!("set role from {} to {}", user.role.name(), role.name());
        shared.audit.record(asker.record(&action, &user.name));
    }
    if let Some(groups) = wish.groups.as_ref().filter(|groups| **groups != user.groups) {
        store.set_groups(&user.id, groups).await.map_err(broken)?;
        shared.audit.record(asker.record(&format!("set groups to {}", groups.join(", ")), &user.name));
    }
    if let Some(enabled) = wish.enabled.filter(|enabled| *enabled != user.enabled) {
        store.enable_user(&user.id, enabled).await.map_err(broken)?;
        let action = if enabled { "enable user" } else { "disable user" };
        shared.audit.record(asker.record(action, &user.name));
    }
    if wish.enabled == Some(false) {
        // Also when the user was disabled already: whoever says so again wants to be sure.
        end_all(&shared, people, &user, "an administrator disabled this user").await?;
    }
    Ok(answer(json!(Shown::from(found(people, &name).await?))))
}

/// Ends a user's sign-ins, and at once what their viewers see.
pub(in crate::gateway) async fn end_all(
    shared: &Shared,
    people: &People,
    user: &User,
    reason: &str,
) -> Result<usize, Response> {
    let ended = people.identity().store().end_sign_ins_of(&user.id).await.map_err(broken)?;
    for sign_in in &ended {
        people.broker().sign_in_ended(sign_in, clock::unix_ms());
        shared.registry.dismiss(sign_in, CloseCode::SIGNED_OUT, reason).await;
        hosts::sign_in_ended(shared, sign_in).await;
    }
    Ok(ended.len())
}

/// Sets a new password, and ends what the user has open.
#[utoipa::path(put, path = "/api/admin/users/{name}/password", tag = "users", params(("name" = String, Path)),
    request_body = NewPassword,
    responses((status = 200, body = Ended), (status = 400, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn set_password(
    State(shared): State<Arc<Shared>>,
    Extension(asker): Extension<Asker>,
    Path(name): Path<String>,
    Body(wish): Body<NewPassword>,
) -> Result<Response, Response> {
    let people = people(&shared)?;
    let user = found(people, &name).await?;
    let user = of_here(user)?;
    let hash = hash(&wish.password).await?;
    people.identity().store().set_password(&user.id, &hash).await.map_err(broken)?;
    shared.audit.record(asker.record("set password", &user.name));
    let sign_ins = end_all(&shared, people, &user, "an administrator set a new password").await?;
    Ok(answer(json!(Ended { sign_ins })))
}

/// Takes the one-time code away.
#[utoipa::path(delete, path = "/api/admin/users/{name}/totp", tag = "users", params(("name" = String, Path)),
    responses((status = 204), (status = 404, body = Problem)))]
pub(super) async fn totp_off(
    State(shared): State<Arc<Shared>>,
    Extension(asker): Extension<Asker>,
    Path(name): Path<String>,
) -> Result<Response, Response> {
    let people = people(&shared)?;
    let user = found(people, &name).await?;
    let user = of_here(user)?;
    people.identity().store().set_totp(&user.id, None).await.map_err(broken)?;
    shared.audit.record(asker.record("take one-time code away", &user.name));
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Where a user is signed in.
#[utoipa::path(get, path = "/api/admin/users/{name}/sign-ins", tag = "users", params(("name" = String, Path)),
    responses((status = 200, body = SignIns), (status = 404, body = Problem)))]
pub(super) async fn sign_ins(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
) -> Result<Response, Response> {
    let people = people(&shared)?;
    let user = found(people, &name).await?;
    let all = people.identity().store().sign_ins_of(&user.id, clock::unix_ms(), MOST_SIGN_INS).await;
    let shown = all.map_err(broken)?.into_iter().map(|sign_in| SignIn {
        id: sign_in.id,
        method: sign_in.method,
        seat: sign_in.seat,
        begun_at: sign_in.begun_at,
        seen_at: sign_in.seen_at,
        ends_at: sign_in.ends_at,
    });
    Ok(answer(json!(SignIns { sign_ins: shown.collect() })))
}

/// Signs a user out everywhere, at once.
#[utoipa::path(delete, path = "/api/admin/users/{name}/sign-ins", tag = "users",
    params(("name" = String, Path)),
    responses((status = 200, body = Ended), (status = 404, body = Problem)))]
pub(super) async fn end_sign_ins(
    State(shared): State<Arc<Shared>>,
    Extension(asker): Extension<Asker>,
    Path(name): Path<String>,
) -> Result<Response, Response> {
    let people = people(&shared)?;
    let user = found(people, &name).await?;
    shared.audit.record(asker.record("end sign-ins", &user.name));
    let sign_ins = end_all(&shared, people, &user, "an administrator ended this sign-in").await?;
    Ok(answer(json!(Ended { sign_ins })))
}
