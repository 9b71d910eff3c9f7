//! The store on SQLite and on PostgreSQL: the same tests on both.

mod gateways;
mod postgres;
mod sites;

use chevet::store::{
    Attempt, AvailabilityRow, Change, MOST_WRONG_PINS, NewUser, PinAttempt, ProviderSignIn, RemoteHostRow,
    Role, Seat, SeatCode, SeatMode, SharedGateway, SignIn, Store, StoreError,
};
use postgres::Postgres;
use sqlx::{Connection, Executor};
use std::path::PathBuf;

/// Runs a test on a new store of each kind.
async fn on_both<F: Future<Output = ()>>(name: &str, test: impl Fn(String) -> F) {
    let folder = folder(name);
    test(Store::url_in(&folder)).await;
    std::fs::remove_dir_all(folder).unwrap();
    let postgres = tokio::task::spawn_blocking(Postgres::start).await.unwrap();
    test(postgres.database("chevet")).await;
}

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("chevet-store-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

async fn with_anne(store: &Store) {
    let groups = ["nurses".to_owned(), "staff".to_owned()];
    let anne = NewUser { id: "a", name: "anne", title: "Anne Roy", role: Role::User, groups: &groups };
    store.add_user(&anne, 5).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_keeps_its_promises_on_sqlite_and_on_postgresql() {
    on_both("promises", |url| async move {
        let store = Store::open(&url).await.unwrap();
        people_are_kept_and_a_name_is_taken_once(&store).await;
        sites::every_change_has_a_higher_number_and_removals_have_one_too(&store).await;
        sites::a_copy_is_its_homes_alone_to_change_and_its_codes_never_go_back(&store).await;
        sites::a_site_is_heard_by_one_gateway_at_a_time(&store).await;
        wrong_attempts_are_counted_before_they_are_looked_at(&store).await;
        a_code_is_used_once(&store).await;
        a_sign_in_holds_until_it_ends_or_is_idle(&store).await;
        every_grant_has_a_higher_number_even_at_the_same_time(&store).await;
        a_provider_vouches_for_one_user_and_its_sign_ins_are_found(&store).await;
        sign_ins_of_a_user_are_listed_until_they_end(&store).await;
        seats_are_enrolled_once_and_a_revoked_ones_name_is_free_again(&store).await;
        a_badge_is_one_users_and_its_grace_holds_in_one_place(&store).await;
        wrong_pins_are_counted_before_they_are_looked_at_and_ten_block(&store).await;
        badges_sign_ins_end_by_seat_and_elsewhere(&store).await;
        changes_wait_until_they_were_told(&store).await;
        a_user_goes_with_the_sign_ins(&store).await;
        hours_are_kept_once_and_written_anew(&store).await;
        a_remote_host_is_added_once_changed_and_removed(&store).await;
        a_host_has_one_key_until_it_is_enrolled_anew_or_removed(&store).await;
        gateways::of_gateways_that_see_a_host_at_the_same_time_the_first_ones_certificate_is_kept(&store)
            .await;
        // What was kept is there for the next start.
        drop(store);
        let again = Store::open(&url).await.unwrap();
        assert!(again.holding("desk").await.unwrap().unwrap().grant_number >= 33);
        assert!(again.is_well().await);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_gateways_on_one_postgresql_one_has_a_session_as_long_as_it_says_that_it_is_there() {
    let postgres = tokio::task::spawn_blocking(Postgres::start).await.unwrap();
    let store = Store::open(&postgres.database("chevet")).await.unwrap();
    let gateway = |name: &str, start: &str| SharedGateway {
        name: name.into(),
        start_id: start.into(),
        address: "{}".into(),
        draining: 0,
        offers: "[\"record\"]".into(),
    };
    store.gateway_is_there(&gateway("one", "1"), 60_000).await.unwrap();
    store.gateway_is_there(&gateway("two", "2"), 60_000).await.unwrap();
    assert_eq!(store.gateways().await.unwrap(), [gateway("one", "1"), gateway("two", "2")]);
    assert_eq!(store.take_free_session("ward", "Ward", "1").await.unwrap(), Some(1));
    assert_eq!(store.take_free_session("ward", "Ward", "2").await.unwrap(), None);
    assert_eq!(store.lease("ward").await.unwrap().unwrap().start_id, "1");
    // It does not say so any more.
    store.gateway_is_there(&gateway("one", "1"), 0).await.unwrap();
    assert_eq!(store.lease("ward").await.unwrap(), None);
    assert_eq!(store.take_free_session("ward", "Ward", "2").await.unwrap(), Some(2));
    // It was started anew: what it had before it died is nobody's.
    store.gateway_is_there(&gateway("two", "3"), 60_000).await.unwrap();
    assert_eq!(store.take_free_session("ward", "Ward", "3").await.unwrap(), Some(3));
    // A host's word is stronger than a lease.
    assert_eq!(store.take_session("desk", "Desk", "3").await.unwrap(), 1);
    assert_eq!(store.take_session("desk", "Desk", "1").await.unwrap(), 2);
    let mut heard = store.hear_gateways().await.unwrap();
    store.tell_gateways("a word").await.unwrap();
    assert_eq!(heard.next().await.unwrap().as_deref(), Some("a word"));
    assert!(store.use_ticket("t", 60_000).await.unwrap() < 10_000);
    assert!(store.use_ticket("t", 60_000).await.unwrap() >= 0);
    store.gateway_is_gone("3").await.unwrap();
    assert!(store.leases().await.unwrap().is_empty() && store.gateways().await.unwrap().is_empty());
    // The count goes on over whoever left or went.
    assert_eq!(store.take_session("ward", "Ward", "1").await.unwrap(), 4);
    store.leave_session("ward", "1").await.unwrap();
    assert_eq!(store.take_free_session("ward", "Ward", "2").await.unwrap(), Some(5));
}

async fn a_host_has_one_key_until_it_is_enrolled_anew_or_removed(store: &Store) {
    store.enrol_host("app-2", "key-2", 7).await.unwrap();
    store.enrol_host("app-1", "key-1", 8).await.unwrap();
    store.host_was_seen("app-1", 9).await.unwrap();
    assert!(store.drain_host("app-1", true).await.unwrap());
    assert!(!store.drain_host("app-9", true).await.unwrap());
    let host = store.host("app-1").await.unwrap().unwrap();
    assert_eq!((host.host_key.as_str(), host.seen_at, host.drained), ("key-1", 9, 1));
    let names: Vec<_> = store.hosts().await.unwrap().into_iter().map(|host| host.name).collect();
    assert_eq!(names, ["app-1", "app-2"]);
    // Another machine takes the name: what was said of the first does not hold for it.
    store.enrol_host("app-1", "key-3", 10).await.unwrap();
    let host = store.host("app-1").await.unwrap().unwrap();
    assert_eq!((host.host_key.as_str(), host.seen_at, host.drained), ("key-3", 0, 0));
    assert!(store.remove_host("app-1").await.unwrap() && !store.remove_host("app-1").await.unwrap());
    assert_eq!(store.host("app-1").await.unwrap(), None);
}

async fn a_remote_host_is_added_once_changed_and_removed(store: &Store) {
    let host = |name: &str, settings: &str, sealed: &str| RemoteHostRow {
        name: name.into(),
        settings: settings.into(),
        sealed: sealed.into(),
        changed_at: 7,
    };
    store.add_remote_host(&host("ward", "{}", "s")).await.unwrap();
    store.add_remote_host(&host("icu", "{}", "")).await.unwrap();
    let taken = store.add_remote_host(&host("ward", "{\"a\":1}", "")).await;
    assert!(matches!(taken, Err(StoreError::Taken(_))), "{taken:?}");
    assert!(store.change_remote_host(&host("icu", "{\"é\":2}", "t")).await.unwrap());
    assert!(!store.change_remote_host(&host("none", "{}", "")).await.unwrap());
    let all = store.remote_hosts().await.unwrap();
    assert_eq!(all, [host("icu", "{\"é\":2}", "t"), host("ward", "{}", "s")]);
    assert!(
        store.remove_remote_host("icu").await.unwrap() && !store.remove_remote_host("icu").await.unwrap()
    );
    assert_eq!(store.remote_hosts().await.unwrap().len(), 1);
}

async fn seats_are_enrolled_once_and_a_revoked_ones_name_is_free_again(store: &Store) {
    let code = SeatCode { name: "Room 1".into(), zone: "east".into(), mode: "card".into() };
    store.add_seat_code("first", &code, 100).await.unwrap();
    store.add_seat_code("second", &code, 100).await.unwrap();
    assert_eq!(store.take_seat_code("first", 1).await.unwrap(), None, "a later code ends the earlier");
    assert_eq!(store.take_seat_code("second", 1).await.unwrap(), Some(code.clone()));
    assert_eq!(store.take_seat_code("second", 1).await.unwrap(), None, "used");
    store.add_seat_code("old", &code, 100).await.unwrap();
    assert_eq!(store.take_seat_code("old", 100).await.unwrap(), None, "expired");
    let seat = |id: &str, name: &str| Seat {
        id: id.into(),
        name: name.into(),
        public_key: "k".into(),
        zone: "east".into(),
        mode: SeatMode::Card,
        created_at: 1,
        revoked_at: None,
        used_at: None,
    };
    store.add_seat(&seat("s1", "Room 1")).await.unwrap();
    let taken = store.add_seat(&seat("s2", " room  1")).await;
    assert!(matches!(taken, Err(StoreError::Taken(_))), "{taken:?}");
    assert_eq!(store.seat_named("ROOM 1").await.unwrap(), Some(seat("s1", "Room 1")));
    assert!(store.revoke_seat("s1", 9).await.unwrap() && !store.revoke_seat("s1", 10).await.unwrap());
    assert_eq!(store.seat("s1").await.unwrap().unwrap().revoked_at, Some(9));
    store.add_seat(&seat("s2", "Room 1")).await.unwrap();
    let names = |seats: Vec<Seat>| seats.into_iter().map(|seat| seat.id).collect::<Vec<_>>();
    assert_eq!(names(store.seats("", 10).await.unwrap()), ["s2"]);
    assert!(store.seats("Room 1", 10).await.unwrap().is_empty());
}

async fn a_badge_is_one_users_and_its_grace_holds_in_one_place(store: &Store) {
    store.set_pin("a", "hash").await.unwrap();
    store.add_badge("b1", "n1", "a", 1).await.unwrap();
    assert!(matches!(store.add_badge("b2", "n1", "a", 1).await, Err(StoreError::Taken(_))));
    assert_eq!(store.badge("n1").await.unwrap().unwrap().user_id, "a");
    assert!(store.is_badge_of("b1", "a").await.unwrap() && !store.is_badge_of("b1", "b").await.unwrap());
    let grace = async |badge: &str, place: &str, now| store.has_grace("a", badge, place, now).await.unwrap();
    assert!(!grace("b1", "east", 5).await);
    store.pin_was_right("a", "b1", "east", 10).await.unwrap();
    assert!(grace("b1", "east", 9).await);
    assert!(!grace("b1", "east", 10).await && !grace("b1", "west", 9).await && !grace("b2", "east", 9).await);
    store.end_grace("a").await.unwrap();
    assert!(!grace("b1", "east", 9).await);
    store.pin_was_right("a", "b1", "east", 10).await.unwrap();
    assert_eq!(store.revoke_badges("a", Some("nothing"), 7).await.unwrap(), 0);
    assert_eq!(store.revoke_badges("a", Some("b1"), 7).await.unwrap(), 1);
    assert!(!grace("b1", "east", 9).await && store.badge("n1").await.unwrap().is_none());
    store.add_badge("b3", "n1", "a", 8).await.unwrap();
    assert_eq!(store.badges_of("a").await.unwrap().len(), 1, "a revoked badge is given anew");
    assert_eq!(store.revoke_badges("a", None, 9).await.unwrap(), 1);
}

async fn wrong_pins_are_counted_before_they_are_looked_at_and_ten_block(store: &Store) {
    assert_eq!(store.begin_pin("nobody", 0).await.unwrap(), PinAttempt::None);
    store.set_pin("a", "hash").await.unwrap();
    for n in 0..MOST_WRONG_PINS {
        let attempt = store.begin_pin("a", n * 3_600_000).await.unwrap();
        assert_eq!(attempt, PinAttempt::Allowed("hash".into()));
        if n == 5 {
            assert_eq!(store.begin_pin("a", n * 3_600_000).await.unwrap(), PinAttempt::Wait);
        }
    }
    assert_eq!(store.begin_pin("a", i64::MAX).await.unwrap(), PinAttempt::Blocked);
    store.set_pin("a", "new").await.unwrap();
    assert_eq!(store.begin_pin("a", 0).await.unwrap(), PinAttempt::Allowed("new".into()));
    assert!(store.remove_pin("a").await.unwrap() && !store.remove_pin("a").await.unwrap());
}

async fn changes_wait_until_they_were_told(store: &Store) {
    let change = |id: &str, changed_at| Change {
        id: id.into(),
        changed_at,
        kind: "user".into(),
        whom: "anne".into(),
        what: "PIN set".into(),
    };
    store.note_change(&change("late", 9)).await.unwrap();
    store.note_change(&change("early", 3)).await.unwrap();
    assert_eq!(store.changes(1).await.unwrap(), [change("early", 3)]);
    store.change_was_told("early").await.unwrap();
    assert_eq!(store.changes(10).await.unwrap(), [change("late", 9)]);
    store.change_was_told("late").await.unwrap();
}

async fn badges_sign_ins_end_by_seat_and_elsewhere(store: &Store) {
    let sign_in = |id: &str, method: &str, seat: &str| SignIn {
        id: id.into(),
        user_id: "a".into(),
        method: method.into(),
        seat: seat.into(),
        begun_at: 0,
        seen_at: 0,
        ends_at: 1_000,
    };
    for (id, method, seat) in
        [("x", "badge", "Room 1"), ("y", "badge", "Room 2"), ("z", "password", "Room 1")]
    {
        store.add_sign_in(&sign_in(id, method, seat), &format!("secret of {id}")).await.unwrap();
    }
    assert_eq!(store.end_sign_ins_elsewhere("a", "Room 1").await.unwrap(), ["y"]);
    assert_eq!(store.end_sign_ins_at("Room 1").await.unwrap(), [("x".to_owned(), "a".to_owned())]);
    assert!(store.sign_in("secret of z", 0, 1).await.unwrap().is_some(), "it was not a badge's");
    store.end_sign_in("z").await.unwrap();
    store.hold("late", "a", "Room 1", 900).await.unwrap();
    store.hold("early", "a", "Room 1", 100).await.unwrap();
    let last = store.last_sessions_of("a").await.unwrap();
    let place = |name: &str| last.iter().position(|session| session == name).unwrap();
    assert!(place("late") < place("early"), "{last:?}");
}

async fn sign_ins_of_a_user_are_listed_until_they_end(store: &Store) {
    let listed = store.sign_ins_of("a", 10, 100).await.unwrap();
    assert!(listed.windows(2).all(|pair| pair[0].begun_at >= pair[1].begun_at), "{listed:?}");
    assert!(listed.iter().all(|sign_in| sign_in.user_id == "a" && sign_in.ends_at > 10));
    assert!(store.sign_ins_of("a", i64::MAX, 100).await.unwrap().is_empty());
    assert!(store.sign_ins_of("nobody", 10, 100).await.unwrap().is_empty());
}

async fn hours_are_kept_once_and_written_anew(store: &Store) {
    let row = |hour, application: &str, in_time| AvailabilityRow {
        hour,
        application: application.into(),
        site: "north".into(),
        gateway: "g".into(),
        in_time,
        late: 1,
        failed: 2,
        minutes: 60,
        minutes_degraded: 3,
        screen_target: 3_000,
        tap_target: 250,
        screens: "s".into(),
        taps: "t".into(),
    };
    for kept in [row(7, "desk", 1), row(7, "desk", 5), row(8, "desk", 9), row(7, "lab", 2)] {
        store.keep_availability(&kept).await.unwrap();
    }
    assert_eq!(store.availability(7, 8).await.unwrap(), [row(7, "desk", 5), row(7, "lab", 2)]);
    assert_eq!(store.availability_of(8, "desk", "north", "g").await.unwrap(), Some(row(8, "desk", 9)));
    assert_eq!(store.availability_of(8, "desk", "north", "h").await.unwrap(), None);
}

async fn people_are_kept_and_a_name_is_taken_once(store: &Store) {
    with_anne(store).await;
    let user = store.user_named("anne").await.unwrap().unwrap();
    assert_eq!((user.title.as_str(), user.role, user.enabled), ("Anne Roy", Role::User, true));
    assert_eq!(user.groups, ["nurses", "staff"]);
    assert!(!user.has_password && !user.has_totp);
    let twin = NewUser { id: "b", name: "anne", title: "", role: Role::User, groups: &[] };
    assert!(matches!(store.add_user(&twin, 5).await, Err(StoreError::Taken(_))));
    store.set_groups("a", &["surgeons".to_owned()]).await.unwrap();
    store.set_role("a", Role::Auditor).await.unwrap();
    let user = store.user("a").await.unwrap().unwrap();
    assert_eq!((user.groups, user.role), (vec!["surgeons".to_owned()], Role::Auditor));
    assert_eq!(store.user_named("eve'; DROP TABLE users; --").await.unwrap(), None);
    for n in 0..5 {
        let (id, name) = (format!("z{n}"), format!("zoe{n}"));
        let user = NewUser { id: &id, name: &name, title: "Zoé 日", role: Role::User, groups: &[] };
        store.add_user(&user, 6).await.unwrap();
    }
    let names = |users: Vec<chevet::store::User>| users.into_iter().map(|u| u.name).collect::<Vec<_>>();
    assert_eq!(names(store.users("", 3).await.unwrap()), ["anne", "zoe0", "zoe1"]);
    assert_eq!(names(store.users("zoe1", 9).await.unwrap()), ["zoe2", "zoe3", "zoe4"]);
}

async fn wrong_attempts_are_counted_before_they_are_looked_at(store: &Store) {
    store.set_password("a", "$hash").await.unwrap();
    let now = 1_000_000;
    let attempts = (0..20).map(|_| store.begin_attempt("anne", now));
    let all = futures_util::future::join_all(attempts).await;
    let allowed = all.iter().filter(|a| matches!(a.as_ref().unwrap(), Attempt::Allowed(..))).count();
    assert!((1..=5).contains(&allowed), "{allowed} at the same time");
    for _ in allowed..5 {
        assert!(matches!(store.begin_attempt("anne", now).await.unwrap(), Attempt::Allowed(..)));
    }
    assert!(matches!(store.begin_attempt("anne", now).await.unwrap(), Attempt::Wait(_, 1_002_000)));
    assert!(matches!(store.begin_attempt("anne", now + 1_999).await.unwrap(), Attempt::Wait(..)));
    assert!(matches!(store.begin_attempt("anne", now + 2_000).await.unwrap(), Attempt::Allowed(..)));
    store.attempt_was_right("a").await.unwrap();
    assert!(matches!(store.begin_attempt("anne", now + 2_001).await.unwrap(), Attempt::Allowed(..)));
    assert!(matches!(store.begin_attempt("nobody", now).await.unwrap(), Attempt::Unknown));
}

async fn a_code_is_used_once(store: &Store) {
    store.set_totp("a", Some("sealed")).await.unwrap();
    assert!(store.user("a").await.unwrap().unwrap().has_totp);
    assert!(store.use_totp_step("a", 7).await.unwrap());
    assert!(!store.use_totp_step("a", 7).await.unwrap());
    assert!(!store.use_totp_step("a", 6).await.unwrap());
    assert!(store.use_totp_step("a", 8).await.unwrap());
}

fn sign_in(id: &str) -> SignIn {
    SignIn {
        id: id.into(),
        user_id: "a".into(),
        method: "password".into(),
        seat: "room 12".into(),
        begun_at: 100,
        seen_at: 100,
        ends_at: 1_000,
    }
}

async fn a_sign_in_holds_until_it_ends_or_is_idle(store: &Store) {
    let kept = sign_in("s");
    store.add_sign_in(&kept, "hash").await.unwrap();
    assert_eq!(store.sign_in("hash", 0, 999).await.unwrap(), Some(kept));
    assert_eq!(store.sign_in("hash", 0, 1_000).await.unwrap(), None);
    assert_eq!(store.sign_in("hash", 101, 500).await.unwrap(), None);
    store.sign_in_was_seen("s", 300).await.unwrap();
    assert_eq!(store.sign_in_by_id("s", 300, 500).await.unwrap().unwrap().seen_at, 300);
    assert_eq!(store.sign_in("other", 0, 500).await.unwrap(), None);
    assert!(store.end_sign_in("s").await.unwrap());
    assert!(!store.end_sign_in("s").await.unwrap());
    store.add_sign_in(&sign_in("t"), "hash2").await.unwrap();
    assert_eq!(store.forget_sign_ins(999).await.unwrap(), 0);
    assert_eq!(store.forget_sign_ins(1_000).await.unwrap(), 1);
}

async fn every_grant_has_a_higher_number_even_at_the_same_time(store: &Store) {
    assert_eq!(store.hold("desk", "a", "room 1", 5).await.unwrap(), 1);
    let seats: Vec<String> = (0..32).map(|n| format!("seat {n}")).collect();
    let grants = seats.iter().map(|seat| store.hold("desk", "a", seat, 6));
    let mut numbers: Vec<i64> =
        futures_util::future::join_all(grants).await.into_iter().map(Result::unwrap).collect();
    numbers.sort();
    assert_eq!(numbers, (2..=33).collect::<Vec<_>>());
    assert_eq!(store.holding("desk").await.unwrap().unwrap().grant_number, 33);
    assert_eq!(store.holding("other").await.unwrap(), None);
}

async fn a_provider_vouches_for_one_user_and_its_sign_ins_are_found(store: &Store) {
    let (issuer, other) = ("https://idp.example", "https://other.example");
    store.bind_identity(issuer, "s1", "a", 5).await.unwrap();
    assert!(matches!(store.bind_identity(issuer, "s1", "a", 5).await, Err(StoreError::Taken(_))));
    assert_eq!(store.user_bound_to(issuer, "s1").await.unwrap().unwrap().name, "anne");
    assert_eq!(store.user_bound_to(other, "s1").await.unwrap(), None);
    assert!(store.is_bound_at(issuer, "a").await.unwrap() && !store.is_bound_at(other, "a").await.unwrap());
    // A user is made with the binding, or not at all.
    let paul = NewUser { id: "p", name: "paul", title: "Paul", role: Role::User, groups: &[] };
    assert!(matches!(store.add_bound_user(&paul, issuer, "s1", 5).await, Err(StoreError::Taken(_))));
    assert_eq!(store.user_named("paul").await.unwrap(), None);
    store.add_bound_user(&paul, issuer, "s2", 5).await.unwrap();
    assert_eq!(store.user_bound_to(issuer, "s2").await.unwrap().unwrap().id, "p");
    for (id, subject, sid) in [("x", "s1", "one"), ("y", "s1", "two"), ("z", "s2", "")] {
        store.add_sign_in(&sign_in(id), id).await.unwrap();
        let vouched = ProviderSignIn {
            sign_in_id: id.into(),
            issuer: issuer.into(),
            subject: subject.into(),
            sid: sid.into(),
            id_token: "sealed".into(),
        };
        store.add_provider_sign_in(&vouched).await.unwrap();
        assert_eq!(store.provider_sign_in(id).await.unwrap(), Some(vouched));
    }
    let found = async |issuer: &str, subject: Option<&str>, sid: Option<&str>| {
        let found = store.sign_ins_by_provider(issuer, subject, sid).await.unwrap();
        let mut ids: Vec<String> = found.into_iter().map(|sign_in| sign_in.id).collect();
        ids.sort();
        ids.join(" ")
    };
    assert_eq!(found(issuer, Some("s1"), None).await, "x y");
    assert_eq!(found(issuer, Some("s1"), Some("two")).await, "y");
    assert_eq!(found(issuer, None, Some("one")).await, "x");
    assert_eq!(found(issuer, None, None).await, "");
    assert_eq!(found(other, Some("s1"), None).await, "");
    // What ends takes what was vouched for with it.
    assert!(store.end_sign_in("x").await.unwrap());
    assert_eq!(store.provider_sign_in("x").await.unwrap(), None);
    store.end_sign_ins_of("a").await.unwrap();
    assert!(store.remove_user("p").await.unwrap());
    assert_eq!(store.user_bound_to(issuer, "s2").await.unwrap(), None);
}

async fn a_user_goes_with_the_sign_ins(store: &Store) {
    store.add_sign_in(&sign_in("u"), "hash3").await.unwrap();
    store.add_sign_in(&sign_in("v"), "hash4").await.unwrap();
    assert_eq!(store.end_sign_ins_of("a").await.unwrap().len(), 2);
    store.add_sign_in(&sign_in("w"), "hash5").await.unwrap();
    assert!(store.remove_user("a").await.unwrap());
    assert!(!store.remove_user("a").await.unwrap());
    assert_eq!(store.sign_in("hash5", 0, 500).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_schema_is_refused_and_nothing_is_changed() {
    on_both("newer", |url| async move {
        let store = Store::open(&url).await.unwrap();
        with_anne(&store).await;
        let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                     SELECT 9999, 'later', success, checksum, 0 FROM _sqlx_migrations WHERE version = 1";
        sqlx::AnyConnection::connect(&url).await.unwrap().execute(newer).await.unwrap();
        drop(store);
        let error = Store::open(&url).await.err().expect("a newer schema is not opened");
        assert!(matches!(error, StoreError::Newer { version: 9_999, .. }), "{error}");
        assert!(error.to_string().contains("newer chevet"), "{error}");
    })
    .await;
}

#[tokio::test]
async fn a_damaged_file_is_refused_and_left_as_it_is() {
    let folder = folder("damaged");
    let path = folder.join("store.db");
    let rubbish = vec![7; 8_192];
    std::fs::write(&path, &rubbish).unwrap();
    let error = Store::open(&Store::url_in(&folder)).await.err().expect("rubbish is not opened");
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    assert!(error.to_string().contains("backup"), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), rubbish);
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn the_file_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder("owner");
    let store = Store::open(&Store::url_in(&folder)).await.unwrap();
    with_anne(&store).await;
    for entry in std::fs::read_dir(&folder).unwrap().map(Result::unwrap) {
        let mode = entry.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{:?} is {mode:o}", entry.path());
    }
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn an_address_that_is_none_is_said_without_its_password() {
    let open = async |url: &str| Store::open(url).await.err().expect(url).to_string();
    let error = open("mysql://u:secret@h/d").await;
    assert!(error.contains("sqlite:///PATH") && !error.contains("secret"), "{error}");
    let error = open("postgres://u:secret@127.0.0.1:1/d").await;
    assert!(error.contains("127.0.0.1:1") && !error.contains("secret"), "{error}");
    let error = open("sqlite:///nowhere/at/all/store.db").await;
    assert!(error.contains("directory"), "{error}");
}
