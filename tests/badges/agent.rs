//! The agent of a seat between its reader, its page and its gateway.

use crate::page::{Page, get, run, secret_of};
use crate::ward::{ANNES, PAULS, PIN, Ward};
use chevet::client::seat::Seat;
use chevet::seat::{Agent, Seen};
use chevet::store::SeatMode;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Nobody is signed in by a badge at the gateway any more.
pub async fn until_nobody(ward: &Ward, who: &str) {
    let id = ward.user_id(who).await;
    let end = Instant::now() + Duration::from_secs(20);
    while !ward.store.sign_ins_of(&id, chevet::clock::unix_ms(), 10).await.unwrap().is_empty() {
        assert!(Instant::now() < end, "{who} is still signed in");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn started(ward: &Ward, mode: SeatMode) -> crate::page::Running {
    let seat = Seat::open(ward.enrol("Room 1", "east", mode).await).await.unwrap();
    run(Agent::start(seat).await.unwrap())
}

fn origin(ward: &Ward) -> String {
    ward.page().trim_end_matches('/').to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_agent_speaks_to_the_page_that_its_own_browser_loaded_and_to_no_other() {
    let ward = Ward::open("loopback").await;
    let mut running = started(&ward, SeatMode::Wedge).await;
    let origin = origin(&ward);
    assert!(
        get(&running.start, Some("evil.example")).starts_with("HTTP/1.1 403"),
        "a name bound to the loopback"
    );
    assert!(get(&format!("{}x", running.start), None).starts_with("HTTP/1.1 410"), "guessed");
    let (port, secret) = secret_of(&running.start);
    assert!(get(&running.start, None).starts_with("HTTP/1.1 410"), "used before");
    assert!(Page::dial(port, "https://evil.example").await.is_none(), "another site's page");
    let mut guessing = Page::dial(port, &origin).await.unwrap();
    guessing.say(json!({"secret": "guessed"})).await;
    assert_eq!(guessing.heard().await, Value::Null);

    let mut first = Page::dial(port, &origin).await.unwrap();
    first.say(json!({"secret": secret})).await;
    assert_eq!(first.heard().await["seat"], "Room 1");
    // A newer page of the same browser is the one that shows; the older is closed, which darkens it.
    let mut second = Page::dial(port, &origin).await.unwrap();
    second.say(json!({"secret": secret})).await;
    assert_eq!(second.heard().await["show"], "tap");
    assert_eq!(first.heard().await, Value::Null);
    // What is not understood ends the page.
    second.say(json!({"say": "open everything"})).await;
    assert_eq!(second.heard().await, Value::Null);
    // The agent tells where a browser may begin again.
    let again = tokio::time::timeout(Duration::from_secs(10), running.again.recv()).await.unwrap().unwrap();
    assert_ne!(again, running.start);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tap_out_a_closed_page_and_the_end_of_the_agent_lock_at_the_gateway_too() {
    let ward = Ward::open("locks").await;
    let mut running = started(&ward, SeatMode::Wedge).await;
    let mut page = Page::open(&running.start, &origin(&ward)).await;
    let tap = async |badge: &str| {
        tokio::time::sleep(Duration::from_millis(1_300)).await;
        running.tap.send(Seen::Badge(badge.into())).await.unwrap();
    };
    tap(ANNES).await;
    assert_eq!(page.told().await["show"], "pin");
    page.say(json!({"say": "pin", "pin": "0001"})).await;
    let wrong = page.told().await;
    assert_eq!((wrong["show"].as_str(), wrong["problem"].as_str()), (Some("pin"), Some("refused")));
    page.say(json!({"say": "pin", "pin": PIN})).await;
    let session = page.told().await;
    assert_eq!((session["show"].as_str(), session["title"].as_str()), (Some("session"), Some("Anne Roy")));
    assert!(session["claim"].is_string() && session.get("token").is_none());
    tap(ANNES).await;
    assert_eq!(page.told().await["show"], "tap");
    until_nobody(&ward, "anne").await;

    // Straight to another badge: dark first, then the PIN of the other.
    tap(ANNES).await;
    assert_eq!(page.told().await["show"], "session");
    tap(PAULS).await;
    assert_eq!(page.told().await["show"], "tap");
    assert_eq!(page.told().await["show"], "pin");
    until_nobody(&ward, "anne").await;
    page.say(json!({"say": "cancel"})).await;
    assert_eq!(page.told().await["show"], "tap");

    tap(ANNES).await;
    assert_eq!(page.told().await["show"], "session");
    drop(page);
    until_nobody(&ward, "anne").await;

    let again = tokio::time::timeout(Duration::from_secs(10), running.again.recv()).await.unwrap().unwrap();
    let mut page = Page::open(&again, &origin(&ward)).await;
    tap(ANNES).await;
    assert_eq!(page.told().await["show"], "session");
    let _ = running.end.send(());
    assert_eq!(page.told().await["show"], "tap");
    running.task.await.unwrap();
    until_nobody(&ward, "anne").await;
    ward.journal_with(&[
        "tapped out",
        "another badge was tapped",
        "the page was closed",
        "locked by its button",
    ])
    .await;
}

/// A network that can be cut: it carries TCP to the gateway.
struct Network {
    port: u16,
    whole: tokio::sync::watch::Sender<bool>,
}

impl Network {
    async fn to(gateway: std::net::SocketAddr) -> Network {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (whole, is_whole) = tokio::sync::watch::channel(true);
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let mut is_whole = is_whole.clone();
                tokio::spawn(async move {
                    if !*is_whole.borrow() {
                        return;
                    }
                    let mut far = tokio::net::TcpStream::connect(gateway).await.unwrap();
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                        _ = is_whole.wait_for(|whole| !whole) => {}
                    }
                });
            }
        });
        Network { port, whole }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seat_without_a_network_locks_all_the_same_and_the_gateway_is_told_when_it_is_back() {
    let ward = Ward::open("network").await;
    let network = Network::to(ward.gateway.addresses()[0]).await;
    let mut file = ward.enrol("Room 1", "east", SeatMode::Wedge).await;
    file.gateway = format!("http://127.0.0.1:{}/", network.port);
    let running = run(Agent::start(Seat::open(file.clone()).await.unwrap()).await.unwrap());
    let mut page = Page::open(&running.start, file.gateway.trim_end_matches('/')).await;
    let tap = async |badge: &str| {
        tokio::time::sleep(Duration::from_millis(1_300)).await;
        running.tap.send(Seen::Badge(badge.into())).await.unwrap();
    };
    tap(ANNES).await;
    assert_eq!(page.told().await["show"], "pin");
    page.say(json!({"say": "pin", "pin": PIN})).await;
    assert_eq!(page.told().await["show"], "session");

    network.whole.send(false).unwrap();
    tap(ANNES).await;
    assert_eq!(page.told().await, json!({"show": "tap", "seat": "Room 1", "mode": "wedge", "problem": null}));
    // Nobody is let in without the gateway, and what it was not told yet is not forgotten by a tap.
    tap(PAULS).await;
    let away = page.told().await;
    assert_eq!((away["show"].as_str(), away["problem"].as_str()), (Some("tap"), Some("away")));
    let anne = ward.user_id("anne").await;
    let there = ward.store.sign_ins_of(&anne, chevet::clock::unix_ms(), 10).await.unwrap();
    assert_eq!(there.len(), 1, "the gateway cannot know");
    network.whole.send(true).unwrap();
    until_nobody(&ward, "anne").await;
    tap(ANNES).await;
    assert_eq!(page.told().await["show"], "session", "the grace outlives a lost network");
}
