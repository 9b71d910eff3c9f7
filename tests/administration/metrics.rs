//! Metrics, health and readiness.

use crate::http::ask;
use crate::stage::{Stage, TOKEN, view};
use chevet::gateway::MetricsConfig;

fn value(text: &str, series: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{series} is not in\n{text}")).parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_for_who_shows_the_token_and_count_what_happens() {
    let stage = Stage::open().await;
    for headers in
        ["", "Authorization: Bearer x\r\n", "Authorization: Basic x\r\n", "X-Forwarded-For: 127.0.0.1\r\n"]
    {
        let answer = ask(stage.address(), "GET", "/metrics", headers, "").await;
        assert!(answer.status == 404 && !answer.body.contains("chevet_"), "{headers}: {answer:?}");
    }
    let boss = stage.sign_in("boss").await;
    assert_eq!(boss.get("/metrics").await.status, 404, "a sign-in is no token");
    let token = format!("Authorization: Bearer {TOKEN}\r\n");
    let before = ask(stage.address(), "GET", "/metrics", &token, "").await.body;
    let viewer = view(&stage, "anne").await;
    // Other tests of this process count with it.
    let grow = [
        "chevet_attach_seconds_count{stage=\"attached\"}",
        "chevet_attach_seconds_count{stage=\"screen\"}",
        "chevet_update_bytes_total{codec=\"lossless\"}",
        "chevet_encode_seconds_count",
        "chevet_sign_ins_total{method=\"password\",outcome=\"granted\"}",
    ];
    let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
    let after = loop {
        let after = ask(stage.address(), "GET", "/metrics", &token, "").await.body;
        let still = grow.into_iter().find(|series| value(&after, series) <= value(&before, series));
        let Some(still) = still else { break after };
        assert!(std::time::Instant::now() < end, "{still} does not grow");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    assert_eq!(value(&after, "chevet_sessions{state=\"live\"}"), 1.0);
    assert!(
        ["quic", "websocket"]
            .iter()
            .any(|road| value(&after, &format!("chevet_viewers{{road=\"{road}\"}}")) >= 1.0)
    );
    drop(viewer);
}

#[tokio::test(flavor = "multi_thread")]
async fn on_loopback_by_choice_programs_need_no_token_and_pages_get_nothing() {
    let stage = Stage::open_with(MetricsConfig { token: None, loopback: true }).await;
    assert_eq!(ask(stage.address(), "GET", "/metrics", "", "").await.status, 200);
    for page in ["Sec-Fetch-Site: cross-site\r\n", "Origin: https://evil.example\r\n"] {
        assert_eq!(ask(stage.address(), "GET", "/metrics", page, "").await.status, 404, "{page}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_alive_and_ready() {
    let stage = Stage::open().await;
    for (path, body) in [("/healthz", "ok\n"), ("/readyz", "ready\n")] {
        let answer = ask(stage.address(), "GET", path, "", "").await;
        assert_eq!((answer.status, answer.body.as_str()), (200, body));
    }
}
