//! People at a gateway, as clients see it on real sockets: signing in, tickets, and a session that follows its user.

// The sharing tests use more of it.
#[allow(dead_code)]
mod ward;

use chevet::client::{Client, Roads, SignInFailed, SignedIn};
use chevet::wire::{CloseCode, InputEvent};
use hyper::{Method, StatusCode};
use serde_json::json;
use std::time::{Duration, Instant};
use ward::{PASSWORD, Ward, until_closed, until_exact};

const SOON: Duration = Duration::from_secs(3);

fn refused<T>(result: Result<T, SignInFailed>) -> String {
    match result {
        Err(SignInFailed::Refused(reason)) => reason,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was let in"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_who_signs_in_sees_what_is_published_to_them_by_every_road() {
    let ward = Ward::open("roads", true).await;
    for roads in [Roads::OnlyQuic, Roads::OnlyWebSocket, Roads::All] {
        let (person, mut client) = ward.view("anne", "room 1", "desk", roads).await;
        // The first exact screen may be the one before the host's pixels came.
        while client.screen().unwrap().row(10, 10, 1) != [0x0030_6090] {
            tokio::time::timeout(SOON, client.next()).await.expect("the host's pixels come").unwrap();
        }
        assert_eq!(person.sessions().await.unwrap(), ["desk"]);
    }
    let wanted = ["signed_in", "ticket_granted", "attached", "Anne Roy", "room 1"];
    let journal = ward.journal_with(&wanted).await;
    assert!(!journal.contains(PASSWORD) && !journal.contains("c1."), "a secret is in the journal");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_not_published_to_somebody_cannot_be_told_from_one_that_does_not_exist() {
    let ward = Ward::open("unpublished", false).await;
    let eve = ward.sign_in("eve", "").await.unwrap();
    assert_eq!(eve.sessions().await.unwrap(), Vec::<String>::new());
    let there = refused(eve.address("desk").await);
    assert_eq!(there.replace("desk", "nowhere"), refused(eve.address("nowhere").await));
    let anne = ward.sign_in("anne", "").await.unwrap();
    assert!(refused(anne.address("secret").await).contains("not published"));
    ward.journal_with(&["ticket_refused"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_of_a_password_reads_the_same_and_wrong_ones_lock() {
    let ward = Ward::open("passwords", false).await;
    let attempt = |name: &'static str, password: &'static str| {
        let site = ward.site();
        async move { SignedIn::with_password(site, name, password, None, "").await }
    };
    let paul = ward.store.user_named("paul").await.unwrap().unwrap();
    ward.store.enable_user(&paul.id, false).await.unwrap();
    let unknown = refused(attempt("nobody", PASSWORD).await);
    assert_eq!(refused(attempt("paul", PASSWORD).await), unknown, "disabled");
    for _ in 0..5 {
        assert_eq!(refused(attempt("anne", "wrong").await), unknown);
    }
    assert_eq!(refused(attempt("anne", PASSWORD).await), unknown, "right, but too soon");
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    assert!(attempt("ANNE ", PASSWORD).await.is_ok(), "names are not case-sensitive; the wait is over");
    let reasons = ["unknown user", "wrong password", "user is disabled", "too many wrong attempts"];
    ward.journal_with(&reasons).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_one_time_code_is_asked_for_and_taken_once() {
    let ward = Ward::open("codes", false).await;
    let secret = ward.give_totp("anne").await;
    let attempt =
        async |code: Option<&str>| SignedIn::with_password(ward.site(), "anne", PASSWORD, code, "").await;
    assert!(matches!(attempt(None).await, Err(SignInFailed::CodeNeeded)));
    refused(attempt(Some("000000")).await);
    let code = secret.code_at(chevet::clock::unix_ms());
    attempt(Some(&code)).await.map(drop).unwrap();
    refused(attempt(Some(&code)).await);
    let next = secret.code_at(chevet::clock::unix_ms() + 30_000);
    attempt(Some(&next)).await.map(drop).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_follows_its_user_and_nothing_typed_where_it_was_reaches_it() {
    let ward = Ward::open("follows", false).await;
    let (_first, mut there) = ward.view("anne", "room 1", "desk", Roads::All).await;
    there.input(InputEvent::Text("before ".into()));
    while ward.typed() != "before " {
        let _ = tokio::time::timeout(Duration::from_millis(20), there.next()).await;
    }
    let (_second, mut here) = ward.view("anne", "room 2", "desk", Roads::All).await;
    // The old place does not know yet, and types.
    for _ in 0..50 {
        there.input(InputEvent::Text("LATE".into()));
    }
    here.input(InputEvent::Text("after".into()));
    let (code, place) = until_closed(&mut there, SOON).await;
    assert_eq!((code, place.as_str()), (CloseCode::TAKEN_OVER, "room 2 (Anne Roy)"));
    while ward.typed() != "before after" {
        assert!(!ward.typed().contains("LATE"), "{}", ward.typed());
        let _ = tokio::time::timeout(Duration::from_millis(20), here.next()).await;
    }
    ward.journal_with(&[r#""from_seat":"room 1","to_seat":"room 2""#]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_take_a_session_at_the_same_time_one_has_it_and_all_others_are_told_where_it_is() {
    let ward = Ward::open("many", false).await;
    let mut addresses = Vec::new();
    for n in 0..6 {
        let name = if n % 2 == 0 { "anne" } else { "paul" };
        let person = ward.sign_in(name, &format!("seat {n}")).await.unwrap();
        addresses.push((n, person.address("desk").await.unwrap()));
    }
    // In the other order: who was granted first dials last.
    addresses.reverse();
    let mut tasks = tokio::task::JoinSet::new();
    for (n, address) in addresses {
        tasks.spawn(async move {
            let mut client = Client::connect_by(address, Roads::OnlyQuic, (0, 0)).await.unwrap();
            let closed =
                tokio::time::timeout(SOON, async { until_closed(&mut client, SOON * 2).await }).await;
            (n, closed.ok())
        });
    }
    let mut ends = tasks.join_all().await;
    ends.sort_by_key(|(n, _)| *n);
    assert_eq!(ends[5].1, None, "the newest grant has it");
    for (n, end) in &ends[..5] {
        let (code, place) = end.as_ref().unwrap_or_else(|| panic!("seat {n} still has it"));
        assert_eq!(*code, CloseCode::TAKEN_OVER);
        assert!(place.starts_with("seat "), "{place}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_that_was_heard_is_of_no_use_on_another_connection() {
    let ward = Ward::open("stolen", false).await;
    let anne = ward.sign_in("anne", "").await.unwrap();
    let address = anne.address("desk").await.unwrap();
    let stolen = chevet::client::Address { holder: None, ..address.clone() };
    let closed = async |address| {
        let mut client = Client::connect_by(address, Roads::OnlyQuic, (0, 0)).await.unwrap();
        until_closed(&mut client, SOON).await
    };
    let (code, reason) = closed(stolen).await;
    assert_eq!(code, CloseCode::REFUSED);
    assert!(reason.contains("another client"), "{reason}");
    let other = anne.address("desk").await.unwrap();
    let (code, _) = closed(chevet::client::Address { holder: other.holder, ..address.clone() }).await;
    assert_eq!(code, CloseCode::REFUSED, "another key");
    let forged = [&address.ticket[..address.ticket.len() - 4], b"AAAA"].concat();
    let (code, reason) = closed(chevet::client::Address { ticket: forged, ..address.clone() }).await;
    assert_eq!((code, reason.contains("not valid")), (CloseCode::REFUSED, true), "{reason}");
    let elsewhere = chevet::client::Address { session: "secret".into(), ..address.clone() };
    assert_eq!(closed(elsewhere).await.0, CloseCode::REFUSED, "another session");
    let mut client = Client::connect_by(address, Roads::OnlyQuic, (0, 0)).await.unwrap();
    until_exact(&mut client).await;
    ward.journal_with(&["attach_refused"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_attached_comes_back_by_the_ticket_they_were_given_there() {
    let ward = Ward::open("again", false).await;
    let (_person, mut client) = ward.view("anne", "", "desk", Roads::OnlyQuic).await;
    let first = client.address().clone();
    // A ticket is no event; and the first of them may have come before this began to look.
    let end = Instant::now() + Duration::from_secs(60);
    while client.address().ticket == first.ticket {
        assert!(Instant::now() < end, "no other ticket comes");
        let _ = tokio::time::timeout(Duration::from_millis(50), client.next()).await;
    }
    let mut again = Client::connect_by(client.address().clone(), Roads::OnlyQuic, (0, 0)).await.unwrap();
    until_exact(&mut again).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_out_darkens_what_was_open_and_its_tickets_open_nothing() {
    let ward = Ward::open("out", false).await;
    let (person, mut client) = ward.view("anne", "", "desk", Roads::OnlyQuic).await;
    let unused = person.address("desk").await.unwrap();
    person.sign_out().await.unwrap();
    assert_eq!(until_closed(&mut client, SOON).await.0, CloseCode::SIGNED_OUT);
    let mut late = Client::connect_by(unused, Roads::OnlyQuic, (0, 0)).await.unwrap();
    let (code, reason) = until_closed(&mut late, SOON).await;
    assert_eq!((code, reason.contains("sign in again")), (CloseCode::REFUSED, true), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_disabled_loses_what_is_open_within_half_a_minute() {
    let ward = Ward::open("disabled", false).await;
    let (person, mut client) = ward.view("paul", "", "desk", Roads::OnlyQuic).await;
    let paul = ward.store.user_named("paul").await.unwrap().unwrap();
    ward.store.enable_user(&paul.id, false).await.unwrap();
    assert!(refused(person.address("desk").await).contains("sign in again"));
    assert_eq!(until_closed(&mut client, Duration::from_secs(30)).await.0, CloseCode::SIGNED_OUT);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_other_sites_and_odd_requests_change_nothing() {
    let ward = Ward::open("sites", false).await;
    let port = ward.gateway.addresses()[0].port();
    let own = format!("127.0.0.1:{port}");
    let body = json!({"name": "anne", "password": PASSWORD}).to_string();
    let json_type = "Content-Type: application/json";
    let post = |path: &str, headers: &[&str], body: &str| raw(&own, "POST", path, headers, body);
    let evil = "Origin: https://evil.example";
    assert!(post("/api/sign-in", &[json_type, evil], &body).starts_with("HTTP/1.1 403"));
    let cross = "Sec-Fetch-Site: cross-site";
    assert!(post("/api/sign-in", &[json_type, cross], &body).starts_with("HTTP/1.1 403"));
    // What a form of another site can send without asking.
    let form = "Content-Type: text/plain";
    assert!(post("/api/sign-in", &[form], &body).starts_with("HTTP/1.1 415"));
    assert!(post("/api/sign-in", &[json_type], "{\"name\": 1}").starts_with("HTTP/1.1 422"));
    assert!(post("/api/sign-in", &[json_type], "{").starts_with("HTTP/1.1 400"));
    let huge = format!("{{\"name\": \"{}\"}}", "a".repeat(40_000));
    assert!(post("/api/sign-in", &[json_type], &huge).starts_with("HTTP/1.1 413"));
    for path in ["/api/tickets", "/api/sign-out"] {
        assert!(post(path, &[json_type, evil], "{}").starts_with("HTTP/1.1 403"), "{path}");
    }
    assert!(raw(&own, "GET", "/api/me", &["Cookie: chevet=guessed"], "").starts_with("HTTP/1.1 401"));
    assert!(raw(&own, "GET", "/api/sessions", &["Authorization: Bearer x"], "").starts_with("HTTP/1.1 401"));

    // The page's own sign-in is a cookie that no script reads, and its answer holds no secret.
    let same = ["Sec-Fetch-Site: same-origin", json_type];
    let answer = post("/api/sign-in", &same, &body);
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let cookie = answer.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
    let secret = cookie.split([';', '=']).nth(1).unwrap();
    assert_eq!(answer.matches(secret).count(), 1, "only the cookie has it");
    let shown = format!("Cookie: other=1; chevet={secret}");
    assert!(raw(&own, "GET", "/api/me", &[&shown], "").contains("Anne Roy"));
    assert!(post("/api/sign-out", &[&shown, json_type], "").starts_with("HTTP/1.1 204"));
    assert!(raw(&own, "GET", "/api/me", &[&shown], "").starts_with("HTTP/1.1 401"));
}

/// One request, written by hand, and the whole answer.
fn raw(host: &str, method: &str, path: &str, headers: &[&str], body: &str) -> String {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(host).unwrap();
    let mut request = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
    request.extend(headers.iter().map(|header| format!("{header}\r\n")));
    request += &format!("Content-Length: {}\r\n\r\n{body}", body.len());
    let _ = stream.write_all(request.as_bytes());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_cannot_try_passwords_without_end() {
    let ward = Ward::open("flood", false).await;
    let wish = json!({"name": "nobody", "password": "x"});
    let mut limited = 0;
    for _ in 0..80 {
        let (status, _) = ward.site().ask(Method::POST, "/api/sign-in", None, Some(&wish)).await.unwrap();
        limited += usize::from(status == StatusCode::TOO_MANY_REQUESTS);
    }
    assert!(limited >= 5, "{limited} of 80 were limited");
}
