//! What is refused: strangers, lesser roles, pages of other sites, wrong shapes.

use crate::http::{Asked, JSON, ask, raw};
use crate::stage::{PASSWORD, Stage};
use serde_json::json;

/// A reading and every change, as they would be right.
const REQUESTS: [(&str, &str, &str); 22] = [
    ("GET", "/api/admin/sessions", ""),
    ("GET", "/api/admin/users", ""),
    ("POST", "/api/admin/sessions/pattern/message", r#"{"text": "x"}"#),
    ("POST", "/api/admin/sessions/pattern/end", "{}"),
    ("POST", "/api/admin/users", r#"{"name": "new", "role": "administrator"}"#),
    ("PATCH", "/api/admin/users/anne", r#"{"role": "administrator"}"#),
    ("PUT", "/api/admin/users/boss/password", r#"{"password": "a long enough passphrase 2"}"#),
    ("DELETE", "/api/admin/users/boss/totp", ""),
    ("DELETE", "/api/admin/users/boss/sign-ins", ""),
    ("GET", "/api/admin/availability", ""),
    ("GET", "/api/admin/seats", ""),
    ("POST", "/api/admin/seat-codes", r#"{"name": "Room 1"}"#),
    ("DELETE", "/api/admin/seats/Room%201", ""),
    ("GET", "/api/admin/users/anne/badges", ""),
    ("POST", "/api/admin/users/anne/badges", r#"{"number": "04A22F91"}"#),
    ("PUT", "/api/admin/users/anne/pin", r#"{"pin": "4711"}"#),
    ("DELETE", "/api/admin/users/anne/pin", ""),
    ("GET", "/api/admin/remote-hosts", ""),
    ("POST", "/api/admin/remote-hosts", REMOTE),
    ("PUT", "/api/admin/remote-hosts/ward", REMOTE),
    ("DELETE", "/api/admin/remote-hosts/ward", ""),
    ("POST", "/api/admin/remote-host-tests", REMOTE),
];
const REMOTE: &str =
    r#"{"host": {"name": "ward", "protocol": "vnc", "address": "127.0.0.1:9", "encryption": "never"}}"#;

async fn expect_unchanged(stage: &Stage) {
    let boss = stage.sign_in("boss").await;
    let users = boss.get("/api/admin/users").await;
    let all: Vec<_> = users.json["users"].as_array().unwrap().iter().collect();
    let roles: Vec<_> = all.iter().map(|user| (user["name"].clone(), user["role"].clone())).collect();
    let wanted = [("anne", "user"), ("boss", "administrator"), ("vera", "auditor")];
    assert_eq!(roles, wanted.map(|(name, role)| (json!(name), json!(role))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_learns_nothing_from_any_path() {
    let stage = Stage::open().await;
    let mut answers: Vec<(u16, String)> = Vec::new();
    let nonsense = [
        ("GET", "/api/admin/users/nobody", ""),
        ("GET", "/api/admin/no-such-thing", ""),
        ("GET", "/api/admin", ""),
        ("PUT", "/api/admin/sessions", "{"),
        ("GET", "/api/admin/openapi.json", ""),
    ];
    for (method, path, body) in REQUESTS.into_iter().chain(nonsense) {
        for headers in
            ["", "Authorization: Bearer \r\n", "Cookie: chevet=AAAA\r\n", "Authorization: Basic Ym9zczo=\r\n"]
        {
            let answer = ask(stage.address(), method, path, &format!("{headers}{JSON}"), body).await;
            assert_eq!(answer.status, 401, "{method} {path}: {answer:?}");
            answers.push((answer.status, answer.json["error"].to_string()));
        }
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "all answers are one: {answers:?}");
    expect_unchanged(&stage).await;
    stage.expect_audited("admin_refused", "GET", "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_is_refused_everything_and_an_auditor_every_change() {
    let stage = Stage::open().await;
    let (anne, vera) = (stage.sign_in("anne").await, stage.sign_in("vera").await);
    for (method, path, body) in REQUESTS {
        let body = serde_json::from_str(body).unwrap_or(json!({}));
        assert_eq!(anne.send(method, path, &body).await.status, 403, "{method} {path}");
        let wanted = if method == "GET" { 200 } else { 403 };
        assert_eq!(vera.send(method, path, &body).await.status, wanted, "{method} {path}");
    }
    // What is there and what is not is refused alike.
    let [there, not] = ["/api/admin/users/boss", "/api/admin/nothing"].map(|path| anne.get(path));
    let (there, not): (Asked, Asked) = (there.await, not.await);
    assert_eq!((there.status, there.body), (not.status, not.body));
    expect_unchanged(&stage).await;
    stage.expect_audited("admin_refused", "PATCH", "anne").await;
    stage.expect_audited("admin_refused", "PATCH", "vera").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_other_sites_change_and_read_nothing_though_the_cookie_comes_with_them() {
    let stage = Stage::open().await;
    let boss = stage.sign_in("boss").await;
    let cookie = format!("Cookie: a=b; chevet={}\r\n", boss.secret);
    let elsewhere = [
        "Sec-Fetch-Site: cross-site\r\n",
        "Sec-Fetch-Site: same-site\r\n",
        "Origin: https://evil.example\r\n",
        "Origin: null\r\n",
        "Sec-Fetch-Site: none\r\nOrigin: https://evil.example\r\n",
    ];
    for (method, path, body) in REQUESTS {
        for headers in elsewhere {
            let answer = ask(stage.address(), method, path, &format!("{cookie}{headers}{JSON}"), body).await;
            assert_eq!(answer.status, 403, "{method} {path} {headers}");
            assert_eq!(answer.json["error"], "other-site");
        }
    }
    // What a form of any site can send is no JSON.
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"] {
        let headers = format!("{cookie}Content-Type: {kind}\r\n");
        let body = r#"{"role": "administrator"}"#;
        let answer = ask(stage.address(), "PATCH", "/api/admin/users/anne", &headers, body).await;
        assert_eq!(answer.status, 415, "{kind}");
    }
    let own = format!("{cookie}Sec-Fetch-Site: same-origin\r\nOrigin: http://{}\r\n", stage.address());
    assert_eq!(ask(stage.address(), "GET", "/api/admin/users", &own, "").await.status, 200);
    expect_unchanged(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_that_mean_to_go_round_the_gate_do_not() {
    let stage = Stage::open().await;
    let anne = stage.sign_in("anne").await;
    for path in [
        "//api/admin/users",
        "/api//admin/users",
        "/api/admin//users",
        "/api/./admin/users",
        "/api/me/../admin/users",
        "/api/%61dmin/users",
        "/api%2fadmin%2fusers",
        "/api/admin/users/",
        "/API/ADMIN/users",
        "/api/admin/users;role=administrator",
        "/api/admin/users%00",
        "/api/admin/users/%2e%2e/users",
        "/api/admin/users/..%2fgateway",
        "/api/admin/users/%ff",
    ] {
        let answer = anne.get(path).await;
        assert!(matches!(answer.status, 400 | 403 | 404), "{path}: {answer:?}");
        assert!(!answer.body.contains("has_password"), "{path}");
    }
    let bearer = anne.bearer();
    for headers in [
        "X-HTTP-Method-Override: GET\r\n",
        "X-Original-URL: /api/admin/users\r\n",
        "X-Forwarded-User: boss\r\n",
        "Authorization: Bearer boss\r\n",
    ] {
        let answer = ask(stage.address(), "GET", "/api/admin/users", &format!("{bearer}{headers}"), "").await;
        assert!(matches!(answer.status, 401 | 403), "{headers}: {answer:?}");
    }
    let whole = format!(
        "GET http://{}/api/admin/users HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        stage.address()
    );
    assert_eq!(raw(stage.address(), whole.as_bytes()).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_are_too_large_or_of_the_wrong_shape_change_nothing() {
    let stage = Stage::open().await;
    let boss = stage.sign_in("boss").await;
    let headers = format!("{}{JSON}", boss.bearer());
    let large = format!(r#"{{"text": "{}"}}"#, "x".repeat(1 << 20));
    let answer = ask(stage.address(), "POST", "/api/admin/sessions/pattern/message", &headers, &large).await;
    assert!(matches!(answer.status, 413 | 0), "{answer:?}");
    let deep = format!("{}{}", "[".repeat(8_000), "]".repeat(8_000));
    let long_name = format!(r#"{{"name": "{}"}}"#, "n".repeat(65));
    let groups = json!({"groups": (0..65).map(|n| format!("g{n}")).collect::<Vec<_>>()}).to_string();
    let cases: [(&str, &str, &str); 17] = [
        ("POST", "/api/admin/users", "{"),
        ("POST", "/api/admin/users", "[]"),
        ("POST", "/api/admin/users", &deep),
        ("POST", "/api/admin/users", r#"{"name": "x", "id": "1"}"#),
        ("POST", "/api/admin/users", r#"{"name": "a b"}"#),
        ("POST", "/api/admin/users", r#"{"name": ""}"#),
        ("POST", "/api/admin/users", &long_name),
        ("POST", "/api/admin/users", r#"{"name": "x", "password": "short"}"#),
        ("POST", "/api/admin/users", r#"{"name": "x", "role": "root"}"#),
        ("POST", "/api/admin/users", r#"{"name": "x", "title": "a\u001b[2Jb"}"#),
        ("PATCH", "/api/admin/users/anne", r#"{"role": 3}"#),
        ("PATCH", "/api/admin/users/anne", &groups),
        ("PATCH", "/api/admin/users/anne", r#"{"groups": ["a\nb"]}"#),
        ("PUT", "/api/admin/users/anne/password", r#"{"password": ""}"#),
        ("POST", "/api/admin/sessions/pattern/message", r#"{"text": " "}"#),
        ("POST", "/api/admin/sessions/pattern/message", r#"{"text": "a\u0000b"}"#),
        ("POST", "/api/admin/sessions/pattern/end", r#"{"viewer": -1}"#),
    ];
    for (method, path, body) in cases {
        let answer = ask(stage.address(), method, path, &headers, body).await;
        assert!(matches!(answer.status, 400 | 422), "{method} {path} {body:.60}: {answer:?}");
    }
    for query in ["limit=0", "limit=201", "limit=x", "limit=-1", "evil=1"] {
        assert_eq!(boss.get(&format!("/api/admin/users?{query}")).await.status, 400, "{query}");
    }
    expect_unchanged(&stage).await;
    assert_eq!(stage.try_sign_in("anne").await.status, 200, "{PASSWORD} still opens");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_exist_is_not_found() {
    let stage = Stage::open().await;
    let boss = stage.sign_in("boss").await;
    let empty = json!({});
    for (method, path, body) in [
        ("GET", "/api/admin/users/nobody", &empty),
        ("PATCH", "/api/admin/users/nobody", &json!({"enabled": false})),
        ("PATCH", "/api/admin/users/%27%20OR%201%3D1", &json!({"enabled": false})),
        ("PUT", "/api/admin/users/nobody/password", &json!({"password": PASSWORD})),
        ("DELETE", "/api/admin/users/nobody/totp", &empty),
        ("GET", "/api/admin/users/nobody/sign-ins", &empty),
        ("POST", "/api/admin/sessions/none/end", &empty),
        ("POST", "/api/admin/sessions/pattern/end", &json!({"viewer": 999})),
        ("POST", "/api/admin/sessions/pattern/message", &json!({"text": "x", "viewer": 999})),
        ("GET", "/api/admin/nothing", &empty),
    ] {
        assert_eq!(boss.send(method, path, body).await.status, 404, "{method} {path}");
    }
    assert_eq!(boss.send("PUT", "/api/admin/sessions", &empty).await.status, 405);
    expect_unchanged(&stage).await;
}
