//! The workstations that are enrolled: which there are, who is there, a code for one more, and the end of one.

use super::super::api::{answer, people, refusal};
use super::super::{Shared, seats};
use super::Body;
use super::gate::Asker;
use super::shapes::{Ended, NewSeat, PageWish, Problem, Seat as Shown, SeatCode, Seats, There};
use super::users::{bad, broken};
use crate::audit::Event;
use crate::clock;
use crate::identity::{CODE_MS, SeatCodeError, new_seat_code, seat_name};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Extension, Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use std::collections::HashMap;
use std::sync::Arc;

const MOST_SEATS: u32 = 200;
/// A zone, where nothing is said of it: as `chevet seat code` has it.
const ZONE: &str = "main";

/// The seats, revoked ones too, by name.
#[utoipa::path(get, path = "/api/admin/seats", tag = "seats", params(PageWish),
    responses((status = 200, body = Seats), (status = 400, body = Problem), (status = 403, body = Problem)))]
pub(super) async fn list(
    State(shared): State<Arc<Shared>>,
    wish: Result<Query<PageWish>, QueryRejection>,
) -> Result<Response, Response> {
    let Query(wish) = wish.map_err(|error| bad("request", &error.body_text()))?;
    let limit = wish.limit.unwrap_or(MOST_SEATS);
    if !(1..=MOST_SEATS).contains(&limit) {
        return Err(bad("limit", "a page has 1 to 200 seats"));
    }
    let identity = people(&shared)?.identity();
    let (store, now) = (identity.store(), clock::unix_ms());
    let mut seats = store.seats(&wish.after, limit + 1).await.map_err(broken)?;
    let there = store.at_seats(now - identity.badges().idle_ms, now).await.map_err(broken)?;
    let mut there: HashMap<String, There> = there
        .into_iter()
        .map(|at| (at.seat, There { name: at.name, title: at.title, since: at.begun_at }))
        .collect();
    let more = seats.len() > limit as usize;
    seats.truncate(limit as usize);
    let next = seats.last().filter(|_| more).map(|seat| seat.name.clone());
    let shown = seats.into_iter().map(|seat| Shown {
        there: there.remove(&seat.name),
        name: seat.name,
        zone: seat.zone,
        mode: seat.mode.name(),
        created_at: seat.created_at,
        revoked_at: seat.revoked_at,
        used_at: seat.used_at,
    });
    Ok(answer(json!(Seats { seats: shown.collect(), next })))
}

/// Makes a code that enrols one workstation as the seat of this name, once, soon.
#[utoipa::path(post, path = "/api/admin/seat-codes", tag = "seats", request_body = NewSeat,
    responses((status = 201, body = SeatCode), (status = 400, body = Problem), (status = 403, body = Problem),
        (status = 409, body = Problem)))]
pub(super) async fn code(
    State(shared): State<Arc<Shared>>,
    Extension(asker): Extension<Asker>,
    Body(wish): Body<NewSeat>,
) -> Result<Response, Response> {
    let store = people(&shared)?.identity().store();
    let now = clock::unix_ms();
    let zone = wish.zone.as_deref().filter(|zone| !zone.trim().is_empty()).unwrap_or(ZONE);
    let made = new_seat_code(store, &wish.name, zone, wish.mode, now).await;
    let code = made.map_err(|error| match error {
        SeatCodeError::Name(_) | SeatCodeError::Zone(_) => bad("name", &error.to_string()),
        SeatCodeError::Enrolled(_) => {
            refusal(StatusCode::CONFLICT, "taken", "a seat of this name is enrolled: revoke it first")
        }
        SeatCodeError::Store(error) => broken(error),
    })?;
    let name = seat_name(&wish.name).unwrap_or_default();
    shared.audit.record(asker.record("make seat code", &name));
    Ok((StatusCode::CREATED, answer(json!(SeatCode { code, ends_at: now + CODE_MS }))).into_response())
}

/// Revokes a seat: what its key signs counts no more, and what is open there ends at once.
#[utoipa::path(delete, path = "/api/admin/seats/{name}", tag = "seats", params(("name" = String, Path)),
    responses((status = 200, body = Ended), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn revoke(
    State(shared): State<Arc<Shared>>,
    Extension(asker): Extension<Asker>,
    Path(name): Path<String>,
) -> Result<Response, Response> {
    let people = people(&shared)?;
    let store = people.identity().store();
    let none = || refusal(StatusCode::NOT_FOUND, "no-seat", "there is no such seat");
    let seat = store.seat_named(&name).await.map_err(broken)?.ok_or_else(none)?;
    // Nobody is let in there meanwhile.
    let one = people.one_at_a_time().await;
    if store.revoke_seat(&seat.id, clock::unix_ms()).await.map_err(broken)? {
        shared.audit.record(asker.record("revoke seat", &seat.name));
        let event = Event::SeatRevoked { reason: "revoked by an administrator".into() };
        shared.audit.record(asker.about(event).seat(seat.name.as_str()));
    }
    // Also when it was revoked already: whoever says so again wants to be sure.
    let reason = "an administrator revoked this seat";
    let sign_ins = seats::let_all_out(&shared, people, &seat, reason, asker.from).await?;
    drop(one);
    Ok(answer(json!(Ended { sign_ins })))
}
