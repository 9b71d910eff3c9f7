//! The API's description for programs.

use super::super::api::answer;
use super::{
    availability, badges, certificates, everywhere, hosts, recordings, remote_hosts, seats, sessions, status,
    users,
};
use axum::response::Response;
use serde_json::json;
use utoipa::OpenApi;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "chevet administration",
        description = "Auditors may read, administrators may also change. A sign-in is shown as the cookie that \
            POST /api/sign-in gives browsers, or as a bearer token by other programs. What changes anything is \
            taken from the gateway's own pages and from programs, never from pages of other sites, and is audited."
    ),
    paths(
        document,
        status::gateway,
        everywhere::list,
        everywhere::drain,
        availability::show,
        recordings::list,
        recordings::fetch,
        sessions::list,
        sessions::message,
        sessions::end,
        hosts::terminate,
        hosts::list,
        hosts::drain,
        remote_hosts::list,
        remote_hosts::add,
        remote_hosts::change,
        remote_hosts::remove,
        remote_hosts::test,
        certificates::list,
        certificates::forget,
        sessions::shadow,
        users::list,
        users::add,
        users::one,
        users::change,
        users::set_password,
        users::totp_off,
        users::sign_ins,
        users::end_sign_ins,
        badges::list,
        badges::give,
        badges::revoke,
        badges::set_pin,
        badges::remove_pin,
        seats::list,
        seats::revoke,
        seats::code,
    )
)]
struct Api;

/// This description.
#[utoipa::path(get, path = "/api/admin/openapi.json", tag = "gateway", responses((status = 200)))]
pub(super) async fn document() -> Response {
    answer(json!(Api::openapi()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_route_is_described_and_nothing_else_is() {
        let described = json!(Api::openapi());
        let methods =
            |item: &serde_json::Value| -> Vec<String> { item.as_object().unwrap().keys().cloned().collect() };
        let described: BTreeSet<(String, String)> = described["paths"]
            .as_object()
            .unwrap()
            .iter()
            .flat_map(|(path, item)| methods(item).into_iter().map(move |method| (path.clone(), method)))
            .collect();
        let routes: BTreeSet<(String, String)> = super::super::routes()
            .iter()
            .flat_map(|(path, methods, _)| {
                methods.iter().map(move |method| (format!("/api/admin{path}"), (*method).to_owned()))
            })
            .collect();
        assert_eq!(described, routes);
    }

    #[test]
    fn every_reference_of_the_description_leads_somewhere() {
        let described = json!(Api::openapi());
        let text = described.to_string();
        for reference in text.split("\"$ref\":\"#").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(described.pointer(reference).is_some(), "{reference}");
        }
        assert!(text.contains("#/components/schemas/ViewerSnapshot"));
    }
}
