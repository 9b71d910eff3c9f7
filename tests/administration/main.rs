//! The administration API of a real gateway: what administrators do, what everybody else is refused, and that both are
//! audited.

mod http;
mod metrics;
#[cfg(feature = "rdp")]
#[allow(dead_code, reason = "shared with the RDP source's tests")]
#[path = "../rdp/peers.rs"]
mod peers;
mod refusals;
mod remote_hosts;
mod report;
mod seats;
#[allow(dead_code, reason = "shared with the VNC source's tests")]
#[path = "../vnc/server.rs"]
mod server;
mod stage;

use http::Asked;
use serde_json::json;
use stage::{Stage, view};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_sees_a_viewer_speaks_to_it_and_ends_it_and_all_that_is_audited() {
    let stage = Stage::open().await;
    let boss = stage.sign_in("boss").await;
    let mut viewer = view(&stage, "anne").await;
    let seen = boss.get("/api/admin/sessions").await;
    let shown = &seen.json["sessions"][0]["viewers"][0];
    assert_eq!((seen.status, &shown["title"], &shown["controls"]), (200, &json!("Anne"), &json!(true)));
    assert!(shown["bytes"].as_u64().unwrap() > 0 && shown["road"].is_string(), "{shown}");
    let id = shown["id"].as_u64().unwrap();
    let message = json!({"text": "Maintenance à 18 h", "viewer": id});
    let told = boss.send("POST", "/api/admin/sessions/pattern/message", &message).await;
    assert_eq!((told.status, &told.json["viewers"]), (200, &json!(1)));
    viewer.hears("Maintenance à 18 h").await;
    let end = json!({"viewer": id, "reason": "maintenance"});
    assert_eq!(boss.send("POST", "/api/admin/sessions/pattern/end", &end).await.status, 200);
    assert!(viewer.is_ended().await.contains("maintenance"));
    assert_eq!(boss.send("POST", "/api/admin/sessions/pattern/end", &end).await.status, 404);
    stage.expect_audited("admin_action", "message", "boss").await;
    stage.expect_audited("admin_action", "end viewer", "boss").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn disabling_a_user_ends_the_sign_ins_and_what_is_viewed_at_once() {
    let stage = Stage::open().await;
    let boss = stage.sign_in("boss").await;
    let anne = stage.sign_in("anne").await;
    let mut viewer = view(&stage, "anne").await;
    let signed_in = boss.get("/api/admin/users/anne/sign-ins").await;
    assert_eq!(signed_in.json["sign_ins"].as_array().unwrap().len(), 2);
    assert!(!signed_in.body.contains(&anne.secret), "no secret is told");
    let change = json!({"enabled": false});
    let began = std::time::Instant::now();
    let changed = boss.send("PATCH", "/api/admin/users/anne", &change).await;
    assert_eq!((changed.status, &changed.json["enabled"]), (200, &json!(false)));
    viewer.is_ended().await;
    // Long before the 20 s at which it would be looked at anyhow.
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(anne.get("/api/me").await.status, 401);
    assert_eq!(stage.try_sign_in("anne").await.status, 401);
    stage.expect_audited("admin_action", "disable user", "boss").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn users_are_added_listed_by_pages_changed_and_given_passwords() {
    let stage = Stage::open().await;
    let boss = stage.sign_in("boss").await;
    let path = "/api/admin/users";
    let new = json!({"name": "Zoé", "title": "Zoé Lang", "groups": ["nurses"], "password": stage::PASSWORD});
    let added = boss.send("POST", path, &new).await;
    assert_eq!((added.status, &added.json["name"]), (201, &json!("zoé")), "{}", added.body);
    assert_eq!(boss.send("POST", path, &new).await.status, 409);
    let first = boss.get("/api/admin/users?limit=2").await;
    let next = first.json["next"].as_str().unwrap();
    let names = |asked: &Asked| -> Vec<String> {
        let users = asked.json["users"].as_array().unwrap().iter();
        users.map(|user| user["name"].as_str().unwrap().to_owned()).collect()
    };
    let second = boss.get(&format!("/api/admin/users?limit=2&after={next}")).await;
    assert_eq!([names(&first), names(&second)].concat(), ["anne", "boss", "vera", "zoé"]);
    assert_eq!(second.json["next"], json!(null));
    let zoe = stage.sign_in("zoé").await;
    let change = json!({"role": "auditor", "groups": ["doctors"]});
    let changed = boss.send("PATCH", "/api/admin/users/zo%C3%A9", &change).await;
    assert_eq!(changed.json["groups"], json!(["doctors"]), "{}", changed.body);
    assert_eq!(zoe.get("/api/admin/users").await.status, 200);
    let password = json!({"password": "another long passphrase"});
    let set = boss.send("PUT", "/api/admin/users/zo%C3%A9/password", &password).await;
    assert_eq!((set.status, &set.json["sign_ins"]), (200, &json!(1)));
    assert_eq!(zoe.get("/api/me").await.status, 401);
    assert_eq!(boss.send("DELETE", "/api/admin/users/zo%C3%A9/totp", &json!({})).await.status, 204);
    let journal = stage.journal().await;
    assert!(!journal.contains("passphrase") && !journal.contains(stage::PASSWORD), "no password is written");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_administrator_cannot_lock_everybody_out() {
    let stage = Stage::open().await;
    let boss = stage.sign_in("boss").await;
    for change in [json!({"enabled": false}), json!({"role": "user"}), json!({"role": "auditor"})] {
        assert_eq!(boss.send("PATCH", "/api/admin/users/boss", &change).await.status, 409, "{change}");
    }
    assert_eq!(boss.get("/api/me").await.status, 200);
    stage.expect_audited("admin_refused", "take rights away", "boss").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateway_says_how_it_is() {
    let stage = Stage::open().await;
    let said = stage.sign_in("vera").await.get("/api/admin/gateway").await;
    assert_eq!((said.status, &said.json["sessions"], &said.json["store_up"]), (200, &json!(1), &json!(true)));
    assert_eq!(said.json["audit"]["healthy"], json!(true));
    assert!(said.json["memory_bytes"].as_u64().unwrap() > 1 << 20, "{}", said.body);
    let days = (said.json["certificate"]["ends_at"].as_i64().unwrap() - said.json["now"].as_i64().unwrap())
        / 86_400_000;
    assert!((1..14).contains(&days), "a certificate of its own: {}", said.body);
    assert!(said.json["roads"].as_array().unwrap().len() >= 3, "{}", said.body);
    assert_eq!(said.json["addresses"][0], json!(stage.address().to_string()));
    let described = stage.sign_in("boss").await.get("/api/admin/openapi.json").await;
    assert!(described.json["paths"].as_object().unwrap().len() >= 10);
}
