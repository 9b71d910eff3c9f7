//! Seats, badges and PINs, as administrators change them.

use crate::http::Asked;
use crate::stage::{PASSWORD, Stage};
use chevet::client::seat::{How, Seat, SeatFailed, SeatFile, Tapped, show_exact};
use chevet::client::{ClientError, SignedIn};
use chevet::wire::CloseCode;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const BADGE: &str = "04A22F91";
const PIN: &str = "4711";

async fn enrol(stage: &Stage, boss: &crate::stage::Signed, name: &str) -> Seat {
    let made = boss.send("POST", "/api/admin/seat-codes", &json!({"name": name, "zone": "east"})).await;
    assert_eq!(made.status, 201, "{made:?}");
    let code = made.json["code"].as_str().unwrap();
    let page = format!("http://{}/", stage.address());
    Seat::open(SeatFile::enrol(&page, None, code).await.unwrap()).await.unwrap()
}

async fn give(boss: &crate::stage::Signed) -> Asked {
    let given = boss.send("POST", "/api/admin/users/anne/badges", &json!({"number": "04:a2:2f:91"})).await;
    assert_eq!(boss.send("PUT", "/api/admin/users/anne/pin", &json!({"pin": PIN})).await.status, 204);
    given
}

async fn tap(seat: &Seat) -> (SignedIn, chevet::client::Address) {
    let Tapped::Pin(waiting) = seat.tap_here(BADGE).await.unwrap() else { panic!("no PIN was asked for") };
    let Tapped::Open(opened) = seat.pin_here(&waiting, PIN).await.unwrap() else { panic!("not opened") };
    let How::Here(here) = opened.how else { panic!("it was for a page") };
    (here.person, here.address.expect("there is a session for anne"))
}

#[tokio::test(flavor = "multi_thread")]
async fn revoking_a_seat_ends_what_is_shown_there_at_once_and_lets_nobody_in_again() {
    let stage = Stage::open().await;
    let boss = stage.sign_in("boss").await;
    assert_eq!(give(&boss).await.status, 201);
    let seat = enrol(&stage, &boss, "Room 1").await;
    let before = boss.get("/api/admin/seats").await;
    assert_eq!(
        (&before.json["seats"][0]["zone"], &before.json["seats"][0]["used_at"]),
        (&json!("east"), &Value::Null)
    );
    let (person, address) = tap(&seat).await;
    let mut client = show_exact(address).await.unwrap();
    let seen = boss.get("/api/admin/seats").await;
    assert_eq!(seen.json["seats"][0]["there"]["title"], json!("Anne"), "{}", seen.body);
    assert!(seen.json["seats"][0]["used_at"].is_i64(), "{}", seen.body);
    assert!(!seen.body.contains("public_key"), "{}", seen.body);
    let began = Instant::now();
    let revoked = boss.send("DELETE", "/api/admin/seats/room%20%201", &json!({})).await;
    assert_eq!((revoked.status, &revoked.json["sign_ins"]), (200, &json!(1)), "{}", revoked.body);
    let closed = async {
        loop {
            match client.next().await {
                Ok(_) => {}
                Err(ClientError::Closed(closed)) => return closed,
                Err(other) => panic!("{other}"),
            }
        }
    };
    let closed = tokio::time::timeout(Duration::from_secs(10), closed).await.expect("it goes dark");
    assert_eq!(closed.code, CloseCode::SIGNED_OUT, "{}", closed.reason);
    assert!(closed.reason.contains("revoked"), "{}", closed.reason);
    // Long before the 20 s at which it would be looked at anyhow.
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert!(person.sessions().await.is_err(), "the sign-in has ended");
    assert!(matches!(seat.tap_here(BADGE).await, Err(SeatFailed::Refused(_))));
    let after = boss.get("/api/admin/seats").await;
    assert!(after.json["seats"][0]["revoked_at"].is_i64() && after.json["seats"][0]["there"].is_null());
    stage.expect_audited("admin_action", "revoke seat", "boss").await;
    stage.expect_audited("admin_action", "make seat code", "boss").await;
    let journal = stage.journal().await;
    assert!(journal.contains(r#""event":"seat_revoked""#), "{journal}");
    // The name is free again.
    enrol(&stage, &boss, "Room 1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn badges_are_given_and_revoked_and_no_number_or_pin_is_ever_told() {
    let stage = Stage::open().await;
    let boss = stage.sign_in("boss").await;
    let given = give(&boss).await;
    let id = given.json["id"].as_str().unwrap_or_else(|| panic!("{given:?}")).to_owned();
    let path = "/api/admin/users/anne/badges";
    let again = boss.send("POST", "/api/admin/users/vera/badges", &json!({"number": BADGE})).await;
    assert_eq!(again.status, 409, "the badge is anne's");
    let listed = stage.sign_in("vera").await.get(path).await;
    let expected = (200, &json!(id), &json!(true), &json!(false));
    let shown = &listed.json;
    assert_eq!(
        (listed.status, &shown["badges"][0]["id"], &shown["has_pin"], &shown["pin_is_blocked"]),
        expected
    );
    let seat = enrol(&stage, &boss, "Room 1").await;
    let (person, _) = tap(&seat).await;
    let revoked = boss.send("DELETE", &format!("{path}/{id}"), &json!({})).await;
    assert_eq!((revoked.status, &revoked.json["sign_ins"]), (200, &json!(1)), "{}", revoked.body);
    assert!(person.sessions().await.is_err(), "what the badge opened has ended");
    assert_eq!(boss.send("DELETE", &format!("{path}/{id}"), &json!({})).await.status, 404);
    assert!(boss.get(path).await.json["badges"][0]["revoked_at"].is_i64());
    // Whoever finds it gives it to somebody else.
    let found = boss.send("POST", "/api/admin/users/vera/badges", &json!({"number": BADGE})).await;
    assert_eq!(found.status, 201);
    assert_eq!(boss.send("DELETE", "/api/admin/users/anne/pin", &json!({})).await.status, 204);
    assert_eq!(boss.get(path).await.json["has_pin"], json!(false));
    for action in [&format!("give badge {id}"), &format!("revoke badge {id}"), "set PIN", "take PIN away"] {
        stage.expect_audited("admin_action", action, "boss").await;
    }
    let said =
        [given.body, again.body, listed.body, revoked.body, found.body, stage.journal().await].concat();
    let upper = said.to_uppercase();
    assert!(!upper.contains(BADGE) && !upper.contains("04:A2:2F:91"), "a number is told");
    assert!(!said.contains(&format!("\"{PIN}\"")), "a PIN is told");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_a_seat_a_badge_or_a_pin_changes_nothing() {
    let stage = Stage::open().await;
    let boss = stage.sign_in("boss").await;
    enrol(&stage, &boss, "Room 1").await;
    let long = "x".repeat(33);
    for (method, path, body, status) in [
        ("POST", "/api/admin/seat-codes", json!({"name": ""}), 400),
        ("POST", "/api/admin/seat-codes", json!({"name": long}), 400),
        ("POST", "/api/admin/seat-codes", json!({"name": "x", "zone": "a\u{1b}b"}), 400),
        ("POST", "/api/admin/seat-codes", json!({"name": "x", "mode": "other"}), 422),
        ("POST", "/api/admin/seat-codes", json!({"name": "ROOM  1"}), 409),
        ("DELETE", "/api/admin/seats/nowhere", json!({}), 404),
        ("POST", "/api/admin/users/anne/badges", json!({"number": "123"}), 400),
        ("POST", "/api/admin/users/anne/badges", json!({"number": "' OR 1=1"}), 400),
        ("POST", "/api/admin/users/nobody/badges", json!({"number": BADGE}), 404),
        ("DELETE", "/api/admin/users/anne/badges/none", json!({}), 404),
        ("PUT", "/api/admin/users/anne/pin", json!({"pin": "1234"}), 400),
        ("PUT", "/api/admin/users/anne/pin", json!({"pin": PASSWORD}), 400),
    ] {
        let answer = boss.send(method, path, &body).await;
        assert_eq!(answer.status, status, "{method} {path} {body}: {answer:?}");
    }
    assert_eq!(boss.get("/api/admin/users/anne/badges").await.json["badges"], json!([]));
    let seats = boss.get("/api/admin/seats?limit=1").await;
    assert_eq!((&seats.json["seats"][0]["revoked_at"], &seats.json["next"]), (&Value::Null, &Value::Null));
}
