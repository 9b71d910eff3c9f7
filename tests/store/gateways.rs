//! What gateways of a database know of hosts and of each other.

use crate::postgres::Postgres;
use chevet::store::{KnownCertificate, Order, SharedGateway, StartedSession, Store};

fn seen(fingerprint: &str, gateway: &str) -> KnownCertificate {
    let (protocol, host) = ("vnc".to_owned(), "ward:5900".to_owned());
    KnownCertificate { protocol, host, fingerprint: fingerprint.into(), first_at: 7, gateway: gateway.into() }
}

fn gateway(name: &str) -> SharedGateway {
    SharedGateway {
        name: name.into(),
        start_id: format!("{name}-1"),
        address: "{}".into(),
        draining: 0,
        offers: "[]".into(),
    }
}

pub async fn of_gateways_that_see_a_host_at_the_same_time_the_first_ones_certificate_is_kept(store: &Store) {
    let meet = |number: usize| {
        let (store, shown) = (store.clone(), seen(&format!("{number:064x}"), &format!("gateway-{number}")));
        tokio::spawn(async move { (store.meet_certificate(&shown).await.unwrap(), shown) })
    };
    let (mut first, mut told) = (Vec::new(), Vec::new());
    for meeting in (0..8).map(meet).collect::<Vec<_>>() {
        match meeting.await.unwrap() {
            (None, shown) => first.push(shown),
            (Some(kept), _) => told.push(kept),
        }
    }
    assert_eq!(first.len(), 1, "{first:?}");
    assert!(told.len() == 7 && told.iter().all(|kept| *kept == first[0].fingerprint), "{told:?}");
    assert_eq!(store.known_certificates().await.unwrap(), first);
    let other = KnownCertificate { protocol: "rdp".into(), ..seen("ab", "") };
    assert_eq!(store.meet_certificate(&other).await.unwrap(), None, "another protocol is another host");
    let forgotten = store.forget_certificate("vnc", "ward:5900").await.unwrap();
    assert_eq!(forgotten, Some(first[0].fingerprint.clone()));
    assert_eq!(store.forget_certificate("vnc", "ward:5900").await.unwrap(), None);
    assert_eq!(store.meet_certificate(&seen("cd", "")).await.unwrap(), None, "the next one is the first");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_of_a_gateway_is_taken_once_and_one_that_is_gone_is_told_of_until_it_is_forgotten() {
    let postgres = tokio::task::spawn_blocking(Postgres::start).await.unwrap();
    let store = Store::open(&postgres.database("chevet")).await.unwrap();
    store.gateway_is_there(&gateway("a"), 60_000).await.unwrap();
    store.gateway_is_there(&gateway("b"), -5_000).await.unwrap();
    store.keep_gateway_view("a", "a-1", "{\"of\": 1}").await.unwrap();
    store.keep_gateway_view("b", "b-0", "{\"of\": 0}").await.unwrap();
    let rows = store.gateway_rows(0).await.unwrap();
    let told: Vec<_> = rows.iter().map(|row| (row.name.as_str(), row.view.as_str())).collect();
    assert_eq!(told, [("a", "{\"of\": 1}"), ("b", "")], "what an earlier start told is not this one's");
    assert!(rows[0].silent_ms < 0 && rows[0].view_ms >= 0, "{rows:?}");
    assert!(rows[1].silent_ms >= 5_000 && rows[1].view_ms < 0, "{rows:?}");
    store.forget_gateways(1_000_000).await.unwrap();
    assert_eq!(store.gateway_rows(0).await.unwrap().len(), 2);
    store.forget_gateways(1_000).await.unwrap();
    assert_eq!(store.gateway_rows(0).await.unwrap().len(), 1);

    let order = |id: &str| Order { id: id.into(), text: format!("do {id}") };
    store.order_gateway(&order("one"), "a-1", 60_000).await.unwrap();
    store.order_gateway(&order("late"), "a-1", -1).await.unwrap();
    store.order_gateway(&order("other"), "b-1", 60_000).await.unwrap();
    let (one, other) = tokio::join!(store.take_orders("a-1"), store.take_orders("a-1"));
    assert_eq!([one.unwrap(), other.unwrap()].concat(), [order("one")], "each is done once, in time");
    assert_eq!(store.order_answer("one").await.unwrap(), "");
    store.answer_order("one", "done").await.unwrap();
    assert_eq!(store.order_answer("one").await.unwrap(), "done");
    assert!(store.withdraw_order("one").await.unwrap(), "it was begun");
    assert!(!store.withdraw_order("other").await.unwrap(), "it was not begun");
    assert!(store.take_orders("b-1").await.unwrap().is_empty(), "what was taken back is not done");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_gateways_one_starts_a_session_until_it_is_gone_and_who_ends_it_is_told_so_once() {
    let postgres = tokio::task::spawn_blocking(Postgres::start).await.unwrap();
    let store = Store::open(&postgres.database("chevet")).await.unwrap();
    let wish = |session: &str, slot: &str| StartedSession {
        session: session.into(),
        application: "record".into(),
        user_id: "anne".into(),
        title: "Anne".into(),
        slot: slot.into(),
        host: "app-1".into(),
        state: 0,
        reason: String::new(),
    };
    store.gateway_is_there(&gateway("a"), 60_000).await.unwrap();
    store.gateway_is_there(&gateway("b"), 60_000).await.unwrap();
    let claims = (0..8).map(|number| {
        let (store, row) = (store.clone(), wish(&format!("record.{number}"), ""));
        let start = if number % 2 == 0 { "a-1" } else { "b-1" };
        tokio::spawn(
            async move { store.claim_start(&row, start).await.unwrap().then_some((row.session, start)) },
        )
    });
    let mut ours = Vec::new();
    for claim in claims.collect::<Vec<_>>() {
        ours.extend(claim.await.unwrap());
    }
    let [(session, start)] = &ours[..] else { panic!("{ours:?}") };
    let other = if *start == "a-1" { "b-1" } else { "a-1" };
    assert!(!store.order_start(session, "record.new", "app-1", other).await.unwrap());
    assert!(store.order_start(session, "record.new", "app-1", start).await.unwrap());
    assert!(!store.start_done("record.new", other).await.unwrap());

    // Its gateway dies before it runs.
    store.gateway_is_gone(start).await.unwrap();
    assert!(store.claim_start(&wish("record.9", ""), other).await.unwrap(), "a claim ends with its gateway");
    assert!(!store.start_done("record.new", start).await.unwrap(), "it comes too late");
    assert!(store.start_done("record.9", other).await.unwrap());
    assert!(store.claim_start(&wish("record.10", "record.10"), start).await.unwrap(), "a slot of its own");
    store.forget_started().await.unwrap();
    let left = store.started_session("record.10").await.unwrap();
    assert_eq!(left, None, "nobody starts what a gateway that is gone began to");

    store.take_session("record.9", "Record", other).await.unwrap();
    let by_policy = store.finish_started("record.9", "idle", Some("c-1")).await.unwrap();
    assert!(!by_policy, "another gateway has it");
    let (one, two) = tokio::join!(
        store.finish_started("record.9", "the program ended", None),
        store.finish_started("record.9", "closed", None)
    );
    assert!(one.unwrap() != two.unwrap(), "one of them ended it");
    assert_eq!(store.started_in("anne", "record", "").await.unwrap(), None);
}
