//! What administrators and auditors ask and do, under `/api/admin`. Who may ask is decided in one place, [`gate`], before
//! anything else is looked at: a stranger learns nothing, not even which paths there are.

// A refusal is a whole answer, made once a request.
#![allow(clippy::result_large_err)]

mod acts;
mod availability;
mod badges;
mod certificates;
mod everywhere;
mod gate;
mod health;
mod hosts;
mod openapi;
mod recordings;
mod remote_hosts;
mod seats;
mod sessions;
mod shapes;
mod status;
mod users;

use super::{Shared, api};
pub(super) use acts::{Act, Done, here};
use axum::Router;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{MethodRouter, any, delete, get, patch, post, put};
pub(super) use everywhere::{View, own as own_view};
pub(super) use gate::Asker;
pub(super) use health::Health;
use serde::de::DeserializeOwned;
use std::sync::Arc;
pub(super) use users::end_all;

/// No request is longer, in bytes.
const MOST_BYTES: usize = 16 << 10;

type Route = (&'static str, &'static [&'static str], MethodRouter<Arc<Shared>>);

/// Every route, and the methods that it answers.
fn routes() -> Vec<Route> {
    vec![
        ("/openapi.json", &["get"], get(openapi::document)),
        ("/gateway", &["get"], get(status::gateway)),
        ("/gateways", &["get"], get(everywhere::list)),
        ("/gateways/{name}/drain", &["post"], post(everywhere::drain)),
        ("/recordings", &["get"], get(recordings::list)),
        ("/recordings/{name}", &["get"], get(recordings::fetch)),
        ("/sessions", &["get"], get(sessions::list)),
        ("/sessions/{name}/message", &["post"], post(sessions::message)),
        ("/sessions/{name}/end", &["post"], post(sessions::end)),
        ("/sessions/{name}/terminate", &["post"], post(hosts::terminate)),
        ("/hosts", &["get"], get(hosts::list)),
        ("/hosts/{name}/drain", &["post"], post(hosts::drain)),
        ("/remote-hosts", &["get", "post"], get(remote_hosts::list).post(remote_hosts::add)),
        ("/remote-hosts/{name}", &["put", "delete"], put(remote_hosts::change).delete(remote_hosts::remove)),
        ("/remote-host-tests", &["post"], post(remote_hosts::test)),
        ("/certificates", &["get"], get(certificates::list)),
        ("/certificates/{protocol}/{host}", &["delete"], delete(certificates::forget)),
        ("/sessions/{name}/shadow", &["post"], post(sessions::shadow)),
        ("/availability", &["get"], get(availability::show)),
        ("/users", &["get", "post"], get(users::list).post(users::add)),
        ("/users/{name}", &["get", "patch"], get(users::one).merge(patch(users::change))),
        ("/users/{name}/password", &["put"], put(users::set_password)),
        ("/users/{name}/totp", &["delete"], delete(users::totp_off)),
        ("/users/{name}/sign-ins", &["get", "delete"], get(users::sign_ins).delete(users::end_sign_ins)),
        ("/users/{name}/badges", &["get", "post"], get(badges::list).post(badges::give)),
        ("/users/{name}/badges/{id}", &["delete"], delete(badges::revoke)),
        ("/users/{name}/pin", &["put", "delete"], put(badges::set_pin).delete(badges::remove_pin)),
        ("/seats", &["get"], get(seats::list)),
        ("/seats/{name}", &["delete"], delete(seats::revoke)),
        ("/seat-codes", &["post"], post(seats::code)),
    ]
}

pub(super) fn router(shared: &Arc<Shared>) -> Router<Arc<Shared>> {
    let guarded = routes()
        .into_iter()
        .fold(Router::new(), |router, (path, _, methods)| router.route(path, methods))
        // Paths that there are not, too: else the page's own answer would tell them from those that there are.
        .route("/", any(nothing))
        .route("/{*rest}", any(nothing))
        .method_not_allowed_fallback(async || {
            api::refusal(StatusCode::METHOD_NOT_ALLOWED, "method", "this path does not take this method")
        })
        .layer(axum::extract::DefaultBodyLimit::max(MOST_BYTES))
        .layer(axum::middleware::from_fn_with_state(shared.clone(), gate::gate));
    Router::new().nest("/api/admin", guarded).merge(health::router())
}

async fn nothing() -> Response {
    api::refusal(StatusCode::NOT_FOUND, "no-such-path", "there is nothing here")
}

/// A body that is JSON of the right shape.
struct Body<T>(T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        let read = axum::Json::<T>::from_request(request, state).await;
        let refused = |error: JsonRejection| api::refusal(error.status(), "request", &error.body_text());
        read.map(|axum::Json(body)| Body(body)).map_err(refused)
    }
}
