//! Badges at enrolled seats, on real sockets: what opens a session, and all that does not.

mod agent;
mod command;
mod kiosk;
mod page;
#[cfg(feature = "pcsc")]
mod readers;
mod ward;

use chevet::client::SignedIn;
use chevet::client::seat::{How, Seat, SeatFailed, SeatFile, show_exact};
use chevet::clock;
use chevet::gateway::SeatsConfig;
use chevet::identity::seat::{SeatKey, SeatRequest};
use chevet::identity::{CODE_MS, new_id, new_seat_code};
use chevet::store::SeatMode;
use chevet::wire::CloseCode;
use hyper::{Method, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;
use ward::{
    ANNES, ANNES_COLOUR, PASSWORD, PAULS, PAULS_COLOUR, PIN, Ward, here, opened, tap_and_pin, until_closed,
    until_colour, waiting,
};

fn refused<T>(result: Result<T, SeatFailed>) -> String {
    match result {
        Err(SeatFailed::Refused(reason)) => reason,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was let in"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_tap_of_a_shift_asks_for_the_pin_and_later_ones_do_not() {
    let ward = Ward::open("shift").await;
    let seat = ward.seat("Room 1").await;
    let (person, address) = tap_and_pin(&seat, ANNES).await;
    assert_eq!(person.sessions().await.unwrap(), ["anne"]);
    let mut client = show_exact(address).await.unwrap();
    until_colour(&mut client, ANNES_COLOUR).await;
    seat.lock("tapped out").await.unwrap();
    assert_eq!(until_closed(&mut client).await.0, CloseCode::SIGNED_OUT);
    assert!(person.sessions().await.is_err(), "the sign-in has ended");

    // Readers write the number as they like.
    let (_, address) = here(opened(seat.tap_here(" 04:a2:2f:91\n").await.unwrap()));
    show_exact(address).await.unwrap();
    let journal = ward.journal_with(&["seat_enrolled", "signed_in", "locked", "tapped out", "Room 1"]).await;
    assert!(
        !journal.contains(ANNES) && !journal.contains(PIN),
        "a badge's number or a PIN is in the journal"
    );
    let store = std::fs::read(ward.folder.join("state/store.db")).unwrap();
    let wal = std::fs::read(ward.folder.join("state/store.db-wal")).unwrap_or_default();
    let kept = [store, wal].concat();
    assert!(!kept.windows(ANNES.len()).any(|part| part == ANNES.as_bytes()), "the number is in the store");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_badge_that_nobody_has_is_answered_like_a_wrong_pin() {
    let ward = Ward::open("unknown").await;
    let seat = ward.seat("Room 1").await;
    let known = waiting(seat.tap(ANNES).await.unwrap());
    let unknown = waiting(seat.tap("FFFF0000").await.unwrap());
    let odd = waiting(seat.tap("?").await.unwrap());
    assert_eq!(known.len(), unknown.len(), "what is told of a tap tells badges apart");
    let wrong = refused(seat.pin(&known, "4712").await);
    assert_eq!(refused(seat.pin(&unknown, PIN).await), wrong);
    assert_eq!(refused(seat.pin(&odd, PIN).await), wrong);
    assert_eq!(refused(seat.pin("made up", PIN).await), wrong);
    // A user without a PIN cannot be let in by a badge at all.
    ward.store.remove_pin(&ward.user_id("paul").await).await.unwrap();
    let no_pin = waiting(seat.tap(PAULS).await.unwrap());
    assert_eq!(refused(seat.pin(&no_pin, PIN).await), wrong);
    ward.journal_with(&["wrong PIN", "unknown badge", "user has no PIN", "no tap before the PIN"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_pins_make_the_next_one_wait_and_ten_block_it_until_a_new_one_is_set() {
    let ward = Ward::open("blocked").await;
    let seat = ward.seat("Room 1").await;
    let anne = ward.user_id("anne").await;
    for _ in 0..5 {
        let tap = waiting(seat.tap(ANNES).await.unwrap());
        refused(seat.pin(&tap, "0001").await);
    }
    let tap = waiting(seat.tap(ANNES).await.unwrap());
    refused(seat.pin(&tap, PIN).await);
    // As if the waits were over: the count alone blocks.
    for n in 5..chevet::store::MOST_WRONG_PINS {
        let later = clock::unix_ms() + n * 3_600_000;
        assert!(matches!(
            ward.store.begin_pin(&anne, later).await.unwrap(),
            chevet::store::PinAttempt::Allowed(_)
        ));
    }
    let tap = waiting(seat.tap(ANNES).await.unwrap());
    refused(seat.pin(&tap, PIN).await);
    ward.journal_with(&["too many wrong PINs", "PIN is blocked"]).await;
    let hash = chevet::identity::Hasher::default().hash_pin("7391").await.unwrap();
    ward.store.set_pin(&anne, &hash).await.unwrap();
    let tap = waiting(seat.tap(ANNES).await.unwrap());
    opened(seat.pin(&tap, "7391").await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_badge_that_is_cloned_to_another_zone_is_asked_for_the_pin_although_its_owner_is_within_the_grace()
{
    let ward = Ward::open("cloned").await;
    let near = ward.seat("Room 1").await;
    let next = ward.seat("Room 2").await;
    let far = Seat::open(ward.enrol("Lobby", "public", SeatMode::Wedge).await).await.unwrap();
    tap_and_pin(&near, ANNES).await;
    opened(next.tap(ANNES).await.unwrap());
    waiting(far.tap(ANNES).await.unwrap());
    // Whoever guesses there ends the grace everywhere.
    let tap = waiting(far.tap(ANNES).await.unwrap());
    refused(far.pin(&tap, "9999").await);
    waiting(near.tap(ANNES).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_out_a_revoked_badge_and_a_disabled_user_end_the_grace() {
    let ward = Ward::open("ended").await;
    let seat = ward.seat("Room 1").await;
    let (person, _) = tap_and_pin(&seat, ANNES).await;
    person.sign_out().await.unwrap();
    waiting(seat.tap(ANNES).await.unwrap());

    tap_and_pin(&seat, ANNES).await;
    let anne = ward.user_id("anne").await;
    ward.store.enable_user(&anne, false).await.unwrap();
    let tap = waiting(seat.tap(ANNES).await.unwrap());
    refused(seat.pin(&tap, PIN).await);
    ward.store.enable_user(&anne, true).await.unwrap();

    tap_and_pin(&seat, ANNES).await;
    let tap_before = waiting(ward.seat("Room 2").await.tap(PAULS).await.unwrap());
    assert_eq!(ward.store.revoke_badges(&anne, None, clock::unix_ms()).await.unwrap(), 1);
    let tap = waiting(seat.tap(ANNES).await.unwrap());
    refused(seat.pin(&tap, PIN).await);
    // A tap of another seat is of no use here.
    refused(seat.pin(&tap_before, PIN).await);
    ward.journal_with(&["user is disabled", "the tap was at another seat", "unknown badge"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_badge_that_is_revoked_while_it_is_tapped_has_nothing_open_afterwards() {
    let ward = Ward::open("race").await;
    let seat = ward.seat("Room 1").await;
    let anne = ward.user_id("anne").await;
    let hash = ward.badge_hash(ANNES);
    for round in 0..12 {
        tap_and_pin(&seat, ANNES).await;
        let revoked = async {
            tokio::time::sleep(Duration::from_micros(700 * round)).await;
            ward.store.revoke_badges(&anne, None, clock::unix_ms()).await.unwrap();
            ward.store.end_sign_ins_of(&anne).await.unwrap();
        };
        let (tapped, ()) = tokio::join!(seat.tap_here(ANNES), revoked);
        drop(tapped);
        let open = ward.store.sign_ins_of(&anne, clock::unix_ms(), 9).await.unwrap();
        assert!(open.is_empty(), "round {round}: {} sign-ins outlived the badge", open.len());
        ward.store.add_badge(&new_id(), &hash, &anne, 0).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_follows_its_badge_and_nobody_takes_it_back_at_the_seat_it_left() {
    let ward = Ward::open("follows").await;
    let (one, two) = (ward.seat("Room 1").await, ward.seat("Room 2").await);
    let (left, address) = tap_and_pin(&one, ANNES).await;
    let mut there = show_exact(address).await.unwrap();
    let (_, address) = here(opened(two.tap_here(ANNES).await.unwrap()));
    let mut client = show_exact(address).await.unwrap();
    let (code, place) = until_closed(&mut there).await;
    assert_eq!((code, place.as_str()), (CloseCode::TAKEN_OVER, "Room 2 (Anne Roy)"));
    assert!(left.address("anne").await.is_err(), "the seat it left could take it back");
    until_colour(&mut client, ANNES_COLOUR).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_taps_at_several_seats_at_the_same_time_one_lets_in() {
    let ward = Ward::open("race").await;
    let seats = [ward.seat("Room 1").await, ward.seat("Room 2").await, ward.seat("Room 3").await];
    tap_and_pin(&seats[0], ANNES).await;
    let anne = ward.user_id("anne").await;
    for _ in 0..10 {
        let taps = futures_util::future::join_all(seats.iter().map(|seat| seat.tap_here(ANNES))).await;
        let people: Vec<_> = taps.into_iter().map(|tap| here(opened(tap.unwrap())).0).collect();
        let there = ward.store.sign_ins_of(&anne, clock::unix_ms(), 10).await.unwrap();
        assert_eq!(there.len(), 1, "{there:?}");
        let mut still = 0;
        for person in people {
            still += usize::from(person.sessions().await.is_ok());
        }
        assert_eq!(still, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_badge_at_the_same_seat_ends_what_the_one_before_had_open() {
    let ward = Ward::open("switch").await;
    let seat = ward.seat("Room 1").await;
    let (anne, address) = tap_and_pin(&seat, ANNES).await;
    let mut annes = show_exact(address).await.unwrap();
    let (_, address) = tap_and_pin(&seat, PAULS).await;
    assert_eq!(until_closed(&mut annes).await.0, CloseCode::SIGNED_OUT);
    assert!(anne.sessions().await.is_err());
    until_colour(&mut show_exact(address).await.unwrap(), PAULS_COLOUR).await;
    ward.journal_with(&["another badge was tapped"]).await;
}

/// A request as a seat writes it, by hand.
fn tap_by(key: &SeatKey, seat: &str, nonce: &str, time: i64, badge: &str) -> Value {
    let signature = key.sign(SeatRequest::Tap, &[seat, nonce, badge, ""], time);
    json!({"signed": {"seat": seat, "nonce": nonce, "time": time, "signature": signature}, "badge": badge})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_badges_number_alone_a_stranger_a_replay_and_a_revoked_seat_open_nothing() {
    let ward = Ward::open("strangers").await;
    let file = ward.enrol("Room 1", "east", SeatMode::Wedge).await;
    let seat = Seat::open(file.clone()).await.unwrap();
    tap_and_pin(&seat, ANNES).await;
    let key = seat_key(&ward, &file);
    let post =
        async |path: &str, wish: &Value| ward.site().ask(Method::POST, path, None, Some(wish)).await.unwrap();
    let nonce = async || {
        let (_, answer) = post("/api/seats/nonce", &json!({})).await;
        answer["nonce"].as_str().unwrap().to_owned()
    };
    let (now, id) = (clock::unix_ms(), file.id.as_str());
    assert!(post("/api/seats/tap", &json!({"badge": ANNES})).await.0.is_client_error(), "unsigned");

    // The real one, and the same again.
    let right = tap_by(&key, id, &nonce().await, now, ANNES);
    let (status, answer) = post("/api/seats/tap", &right).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert!(answer["claim"].is_string() && answer["token"].is_null(), "a page's sign-in shows no secret");
    let (status, replayed) = post("/api/seats/tap", &right).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED, "replayed");

    let stranger = SeatKey::new().unwrap();
    let mut other_badge = tap_by(&key, id, &nonce().await, now, PAULS);
    other_badge["badge"] = ANNES.into();
    for (what, wish) in [
        ("another key", tap_by(&stranger, id, &nonce().await, now, ANNES)),
        ("no such seat", tap_by(&key, &new_id(), &nonce().await, now, ANNES)),
        ("a nonce of nobody's", tap_by(&key, id, "1.2.3", now, ANNES)),
        ("a clock that is off", tap_by(&key, id, &nonce().await, now - 3_600_000, ANNES)),
        ("another badge than was signed", other_badge),
    ] {
        let answer = post("/api/seats/tap", &wish).await;
        assert_eq!(answer, (StatusCode::UNAUTHORIZED, replayed.clone()), "{what}");
    }
    // What signs a tap locks nothing.
    let mut locks = tap_by(&key, id, &nonce().await, now, ANNES);
    locks.as_object_mut().unwrap().remove("badge");
    locks["reason"] = "x".into();
    assert_eq!(post("/api/seats/lock", &locks).await.0, StatusCode::UNAUTHORIZED);

    assert!(ward.store.revoke_seat(id, now).await.unwrap());
    let answer = post("/api/seats/tap", &tap_by(&key, id, &nonce().await, now, ANNES)).await;
    assert_eq!(answer, (StatusCode::UNAUTHORIZED, replayed), "revoked");
    refused(seat.tap(ANNES).await);
    ward.journal_with(&[
        "the request was sent before",
        "not signed by the seat's key",
        "the seat is not enrolled",
        "the nonce is not this gateway's",
        "clock is more than 5 minutes off",
        "the seat is revoked",
    ])
    .await;

    // A stranger has as many attempts as for passwords.
    let mut limited = 0;
    for _ in 0..80 {
        let wish = tap_by(&stranger, id, &nonce().await, now, ANNES);
        limited += usize::from(post("/api/seats/tap", &wish).await.0 == StatusCode::TOO_MANY_REQUESTS);
    }
    assert!(limited >= 5, "{limited} of 80 were limited");
}

/// The key of a seat's file, as a thief of the file would have it.
fn seat_key(ward: &Ward, file: &SeatFile) -> SeatKey {
    let path = ward.folder.join("seat.toml");
    file.write(&path).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("key = ")).unwrap();
    SeatKey::from_text(line.trim_matches('"')).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seats_file_is_its_owners_alone_and_one_that_others_may_read_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let ward = Ward::open("file").await;
    let file = ward.enrol("Room 1", "east", SeatMode::Card).await;
    let path = ward.folder.join("seat.toml");
    file.write(&path).unwrap();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(file.write(&path).is_err(), "an enrolment is not written over");
    let again = SeatFile::read(&path).unwrap();
    assert_eq!((again.name.as_str(), again.mode), ("Room 1", SeatMode::Card));
    waiting(Seat::open(again).await.unwrap().tap(ANNES).await.unwrap());
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(SeatFile::read(&path), Err(SeatFailed::Open(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_enrolment_code_serves_once_for_a_quarter_of_an_hour_and_never_for_a_seat_that_is_there() {
    let ward = Ward::open("codes").await;
    let now = clock::unix_ms();
    let code =
        async |name: &str, at: i64| new_seat_code(&ward.store, name, "east", SeatMode::Wedge, at).await;
    let enrol = async |code: &str| SeatFile::enrol(&ward.page(), None, code).await;
    let old = code("Room 9", now - CODE_MS).await.unwrap();
    refused(enrol(&old).await);
    let first = code("Room 1", now).await.unwrap();
    let second = code("Room 1", now).await.unwrap();
    refused(enrol(&first).await);
    let seat = enrol(&second.to_lowercase().replace('-', "")).await.unwrap();
    refused(enrol(&second).await);
    assert!(code("room  1", now).await.is_err(), "the seat is enrolled");
    ward.store.revoke_seat(&seat.id, now).await.unwrap();
    let again = enrol(&code("Room 1", now).await.unwrap()).await.unwrap();
    assert_ne!(again.id, seat.id);
    let listed = ward.store.seats("", 10).await.unwrap();
    assert_eq!(listed.iter().map(|seat| seat.name.as_str()).collect::<Vec<_>>(), ["Room 1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_signs_in_under_the_name_of_an_enrolled_seat() {
    let ward = Ward::open("names").await;
    let seat = ward.seat("Room 1").await;
    let sign_in =
        async |place: &str| SignedIn::with_password(ward.site(), "anne", PASSWORD, None, place).await;
    for name in ["Room 1", " room   1 ", "ROOM 1"] {
        let error = sign_in(name).await.err().expect("it was let in").to_string();
        assert!(error.contains("enrolled seat"), "{error}");
    }
    sign_in("Room 2").await.map(drop).unwrap();
    sign_in("").await.map(drop).unwrap();
    ward.store.revoke_seat(&seat.file().id, clock::unix_ms()).await.unwrap();
    assert!(sign_in("Room 1").await.is_err(), "a revoked seat's name is not free for anybody either");
    ward.journal_with(&["the name of an enrolled seat was given"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_a_seat_takes_its_sign_in_once_as_a_cookie_that_the_browser_does_not_keep() {
    let ward = Ward::open("claims").await;
    let seat = ward.seat("Room 1").await;
    let tap = waiting(seat.tap(ANNES).await.unwrap());
    let opened = opened(seat.pin(&tap, PIN).await.unwrap());
    let How::Page { claim } = opened.how else { panic!("it was for a page") };
    assert_eq!(opened.session.as_deref(), Some("anne"));
    let host = ward.gateway.addresses()[0].to_string();
    let body = json!({"claim": claim}).to_string();
    let evil = post(&host, "/api/seats/claim", "Origin: https://evil.example", &body);
    assert!(evil.starts_with("HTTP/1.1 403"), "{evil}");
    let own = format!("Origin: http://{host}");
    let taken = post(&host, "/api/seats/claim", &own, &body);
    assert!(taken.starts_with("HTTP/1.1 200"), "{taken}");
    let cookie = taken.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
    assert!(cookie.contains("HttpOnly") && !cookie.contains("Max-Age"), "{cookie}");
    assert!(taken.contains("\"session\":\"anne\""), "{taken}");
    assert!(post(&host, "/api/seats/claim", &own, &body).starts_with("HTTP/1.1 401"), "taken twice");
    // Pages ask nothing in a seat's name.
    assert!(post(&host, "/api/seats/nonce", &own, "{}").starts_with("HTTP/1.1 403"));
    ward.journal_with(&["unlocked", "no sign-in waits for this page"]).await;
}

/// One request, written by hand, and the whole answer.
fn post(host: &str, path: &str, header: &str, body: &str) -> String {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(host).unwrap();
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{header}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seat_that_nobody_touches_is_locked_by_the_gateway_too() {
    let ward = Ward::open_with("idle", SeatsConfig { idle_lock_minutes: 1, ..SeatsConfig::default() }).await;
    let seat = ward.seat("Room 1").await;
    let (person, address) = tap_and_pin(&seat, ANNES).await;
    let mut client = show_exact(address).await.unwrap();
    // As if the last key was a minute ago.
    let url = format!("sqlite://{}", ward.folder.join("state/store.db").display());
    let mut connection = <sqlx::AnyConnection as sqlx::Connection>::connect(&url).await.unwrap();
    let earlier = format!("UPDATE sign_ins SET seen_at = {}", clock::unix_ms() - 61_000);
    sqlx::Executor::execute(&mut connection, sqlx::AssertSqlSafe(earlier)).await.unwrap();
    assert!(person.sessions().await.is_err());
    let closed = tokio::time::timeout(std::time::Duration::from_secs(40), until_closed_slowly(&mut client));
    assert_eq!(closed.await.expect("it goes dark by itself"), CloseCode::SIGNED_OUT);
}

async fn until_closed_slowly(client: &mut chevet::client::Client) -> CloseCode {
    loop {
        match client.next().await {
            Ok(_) => {}
            Err(chevet::client::ClientError::Closed(closed)) => return closed.code,
            Err(other) => panic!("{other}"),
        }
    }
}
