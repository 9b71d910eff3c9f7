//! Who else sees a session, and what people may do in one: invitations, watchers, control, administrators, policies. On
//! real sockets, as clients see it.

mod burnt_in;
mod clips;
mod policies;
// The tests of roaming use the rest of it.
#[allow(dead_code)]
#[path = "../roaming/ward.rs"]
mod ward;

use chevet::client::{Address, Client, ClientError, Event, Roads, SignInFailed, SignedIn};
use chevet::wire::{CloseCode, InputEvent, Watcher, WatcherOrder};
use hyper::StatusCode;
use serde_json::json;
use std::time::Duration;
use tokio::task::JoinHandle;
use ward::{Ward, until_closed, until_exact};

const SOON: Duration = Duration::from_secs(15);

/// Drives a client until it is told what is looked for.
async fn until<T>(client: &mut Client, mut found: impl FnMut(Event) -> Option<T>) -> T {
    let looking = async {
        loop {
            match client.next().await {
                Ok(event) => {
                    if let Some(found) = found(event) {
                        return found;
                    }
                }
                Err(error) => panic!("it was to be told something: {error}"),
            }
        }
    };
    tokio::time::timeout(SOON, looking).await.expect("it is told in time")
}

async fn until_asked(client: &mut Client) -> (u64, String, bool) {
    until(client, |event| match event {
        Event::WatchAsked { ask, title, administrator, .. } => Some((ask, title, administrator)),
        _ => None,
    })
    .await
}

/// Until the list of watchers is as wanted.
async fn until_listed(client: &mut Client, wanted: impl Fn(&[Watcher]) -> bool) -> Vec<Watcher> {
    until(client, |event| match event {
        Event::Watchers(watchers) if wanted(&watchers) => Some(watchers),
        _ => None,
    })
    .await
}

/// Drives both until this holds.
async fn until_both(one: &mut Client, other: &mut Client, holds: impl Fn() -> bool) {
    let end = tokio::time::Instant::now() + SOON;
    while !holds() {
        assert!(tokio::time::Instant::now() < end, "it does not come about");
        for client in [&mut *one, &mut *other] {
            let _ = tokio::time::timeout(Duration::from_millis(10), client.next()).await;
        }
    }
}

type Asking = JoinHandle<(SignedIn, Result<Address, SignInFailed>)>;

/// Somebody asks to watch by a code, from now on.
fn ask(guest: SignedIn, code: String) -> Asking {
    tokio::spawn(async move {
        let answer = guest.watch(&code).await;
        (guest, answer)
    })
}

async fn dial(address: Address) -> Client {
    Client::connect_by(address, Roads::All, (0, 0)).await.unwrap()
}

fn refused<T>(result: Result<T, SignInFailed>) -> String {
    match result {
        Err(SignInFailed::Refused(reason)) => reason,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was allowed"),
    }
}

/// Anne works, and Paul watches by her leave.
struct Shared {
    anne: SignedIn,
    user: Client,
    paul: SignedIn,
    watcher: Client,
    /// The ticket by which the watcher came.
    first: Vec<u8>,
    id: u64,
}

async fn share(ward: &Ward) -> Shared {
    let (anne, mut user) = ward.view("anne", "room 1", "desk", Roads::All).await;
    let code = anne.invite("desk").await.unwrap();
    let asking = ask(ward.sign_in("paul", "room 2").await.unwrap(), code);
    let (question, title, administrator) = until_asked(&mut user).await;
    assert_eq!((title.as_str(), administrator), ("Paul Petit", false));
    user.answer_watch(question, true);
    until(&mut user, |event| matches!(event, Event::WatchOver { .. }).then_some(())).await;
    let (paul, address) = asking.await.unwrap();
    let address = address.unwrap();
    let first = address.ticket.clone();
    let mut watcher = dial(address).await;
    until_exact(&mut watcher).await;
    let listed = until_listed(&mut user, |watchers| !watchers.is_empty()).await;
    assert_eq!(
        (listed.len(), listed[0].title.as_str(), listed[0].seat.as_str()),
        (1, "Paul Petit", "room 2")
    );
    assert!(!listed[0].controls && !listed[0].administrator && !listed[0].you);
    Shared { anne, user, paul, watcher, first, id: listed[0].id }
}

fn text(text: &str) -> InputEvent {
    InputEvent::Text(text.into())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_admitted_watches_and_only_who_has_control_is_obeyed() {
    let ward = Ward::open("control", false).await;
    let Shared { mut user, mut watcher, id, .. } = share(&ward).await;
    // Whatever a watcher sends, a key or an order, nothing comes of it.
    watcher.input(text("A"));
    watcher.order_watcher(id, WatcherOrder::GiveControl);
    user.input(text("1"));
    until_both(&mut user, &mut watcher, || ward.typed() == "1").await;
    let unanswered = watcher.input_waiting();
    assert!(unanswered <= 1, "{unanswered}");

    user.order_watcher(id, WatcherOrder::GiveControl);
    let mine = until_listed(&mut watcher, |watchers| watchers.iter().any(|w| w.you && w.controls)).await;
    assert_eq!(mine.len(), 1);
    watcher.input(InputEvent::KeyDown { key: 4, keysym: 0x61 });
    watcher.input(text("2"));
    user.input(text("B"));
    until_both(&mut user, &mut watcher, || ward.typed() == "12").await;

    user.order_watcher(id, WatcherOrder::TakeControl);
    until_listed(&mut watcher, |watchers| watchers.iter().all(|w| !w.controls)).await;
    // What the watcher held down is let go of.
    let let_go = || ward.events().contains(&InputEvent::KeyUp { key: 4, keysym: 0x61 });
    until_both(&mut user, &mut watcher, let_go).await;
    watcher.input(text("C"));
    user.input(text("3"));
    until_both(&mut user, &mut watcher, || ward.typed() == "123").await;

    user.order_watcher(id, WatcherOrder::Dismiss);
    let (code, reason) = until_closed(&mut watcher, SOON).await;
    assert_eq!((code, reason.as_str()), (CloseCode::DONE, "the user ended it"));
    until_listed(&mut user, <[_]>::is_empty).await;
    let wanted = [
        "invited",
        "watch_asked",
        "watch_admitted",
        "control_given",
        "control_taken",
        "watch_ended",
        "Paul Petit",
    ];
    ward.journal_with(&wanted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_dismissed_does_not_come_back_by_the_ticket_in_hand() {
    let ward = Ward::open("dismissed", false).await;
    let Shared { anne, mut user, mut watcher, first, id, .. } = share(&ward).await;
    while watcher.address().ticket == first {
        watcher.next().await.unwrap();
    }
    let renewed = watcher.address().clone();
    user.order_watcher(id, WatcherOrder::Dismiss);
    until_closed(&mut watcher, SOON).await;
    let mut again = dial(renewed).await;
    let (code, reason) = until_closed(&mut again, SOON).await;
    assert_eq!(code, CloseCode::REFUSED, "{reason}");
    drop(anne);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_and_a_question_that_is_withdrawn_let_nobody_in() {
    let ward = Ward::open("refusal", false).await;
    let (anne, mut user) = ward.view("anne", "", "desk", Roads::All).await;
    let asking = ask(ward.sign_in("eve", "").await.unwrap(), anne.invite("desk").await.unwrap());
    let (question, title, _) = until_asked(&mut user).await;
    assert_eq!(title, "Eve");
    user.answer_watch(question, false);
    until(&mut user, |event| matches!(event, Event::WatchOver { .. }).then_some(())).await;
    let (eve, answer) = asking.await.unwrap();
    assert_eq!(refused(answer), "the user refused");

    let asking = ask(eve, anne.invite("desk").await.unwrap());
    let (question, ..) = until_asked(&mut user).await;
    asking.abort();
    // Eve hung up: the user need not answer, and an answer admits nobody.
    let over =
        until(&mut user, |event| if let Event::WatchOver { ask } = event { Some(ask) } else { None }).await;
    assert_eq!(over, question);
    user.answer_watch(question, true);
    ward.journal_with(&["the user refused"]).await;
    assert_eq!(ward.gateway.registry().session("desk").unwrap().viewers().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_somebody_else_takes_is_not_watched_any_more() {
    let ward = Ward::open("taken", false).await;
    let Shared { mut user, mut watcher, id, paul, .. } = share(&ward).await;
    user.order_watcher(id, WatcherOrder::GiveControl);
    until_listed(&mut watcher, |watchers| watchers.iter().any(|w| w.controls)).await;
    // The same person elsewhere: whoever watches goes on, and the user works again.
    let (_there, mut elsewhere) = ward.view("anne", "room 9", "desk", Roads::All).await;
    assert_eq!(until_closed(&mut user, SOON).await.0, CloseCode::TAKEN_OVER);
    until_listed(&mut watcher, |watchers| watchers.iter().all(|w| !w.controls)).await;
    watcher.input(text("A"));
    elsewhere.input(text("1"));
    until_both(&mut elsewhere, &mut watcher, || ward.typed() == "1").await;
    // Somebody else, be it the watcher: nobody watches.
    let mut own = dial(paul.address("desk").await.unwrap()).await;
    let (code, reason) = until_closed(&mut watcher, SOON).await;
    assert_eq!((code, reason.as_str()), (CloseCode::DONE, "the session was taken over"));
    until_exact(&mut own).await;
    until_listed_or_nobody(&mut own).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_session_may_not_be_shared_nobody_watches_it() {
    let sections = "[[policy]]\nseats = ['room 9']\nshare = false";
    let ward = Ward::open_with("moved", false, sections).await;
    let Shared { mut watcher, .. } = share(&ward).await;
    let (anne, _there) = ward.view("anne", "room 9", "desk", Roads::All).await;
    let (code, reason) = until_closed(&mut watcher, SOON).await;
    assert_eq!(
        (code, reason.as_str()),
        (CloseCode::DONE, "where the user is now, the session is not shared")
    );
    assert!(refused(anne.invite("desk").await).contains("policy"));
}

/// Whoever has the session now hears of nobody who watches.
async fn until_listed_or_nobody(client: &mut Client) {
    while let Ok(Ok(event)) = tokio::time::timeout(Duration::from_millis(300), client.next()).await {
        if let Event::Watchers(watchers) = event {
            assert!(watchers.is_empty(), "{watchers:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_good_once_and_guessing_is_bounded() {
    let ward = Ward::open("codes", false).await;
    let (anne, mut user) = ward.view("anne", "", "desk", Roads::All).await;
    let code = anne.invite("desk").await.unwrap();
    let asking = ask(ward.sign_in("paul", "").await.unwrap(), code.clone());
    let (question, ..) = until_asked(&mut user).await;
    user.answer_watch(question, false);
    until(&mut user, |event| matches!(event, Event::WatchOver { .. }).then_some(())).await;
    let (paul, _) = asking.await.unwrap();
    assert!(refused(paul.watch(&code).await).contains("was used"));
    for odd in ["", "AAAAA-AAAAA", "é\u{0}\n", &"9".repeat(8_000)] {
        assert!(refused(paul.watch(odd).await).contains("code"), "{odd:?}");
    }
    // Nobody but who has the session invites to it, or learns of it.
    let eve = ward.sign_in("eve", "").await.unwrap();
    let unknown = refused(eve.invite("nowhere").await);
    assert_eq!(refused(eve.invite("desk").await), unknown);
    assert_eq!(refused(paul.invite("desk").await), unknown);
    // Withdrawn, a code is of no use.
    let code = anne.invite("desk").await.unwrap();
    let withdrawn = anne.ask(hyper::Method::DELETE, "/api/sessions/desk/share", None).await.unwrap();
    assert_eq!(withdrawn["withdrawn"], 1);
    refused(paul.watch(&code).await);
    // Without signing in nothing is told at all.
    let wish = json!({"code": "AAAAA-AAAAA", "holder": {"secret": "x"}});
    let (status, _) = ward.site().ask(hyper::Method::POST, "/api/watch", None, Some(&wish)).await.unwrap();
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    let mut limited = 0;
    for _ in 0..80 {
        limited += usize::from(refused(paul.watch("AAAAA-AAAAA").await).contains("too many"));
    }
    assert!(limited >= 5, "{limited} of 80 were limited");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_of_somebody_who_lost_the_session_asks_nobody() {
    let ward = Ward::open("lost", false).await;
    let (anne, _user) = ward.view("anne", "", "desk", Roads::All).await;
    let code = anne.invite("desk").await.unwrap();
    let (paul, _there) = ward.view("paul", "", "desk", Roads::All).await;
    let eve = ward.sign_in("eve", "").await.unwrap();
    assert!(refused(eve.watch(&code).await).contains("nobody is at the session"));
    drop(paul);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_says_who_may_share_and_whether_administrators_watch_unasked() {
    let sections = "[[policy]]\nusers = ['paul']\nshare = false\nshadow = 'tell'\n\
                    [[policy]]\nsessions = ['secret']\nshadow = 'never'";
    let ward = Ward::open_with("shadow", false, sections).await;
    let boss = ward.sign_in("boss", "office").await.unwrap();
    assert!(refused(boss.shadow("desk").await).contains("nobody is at the session"));

    // Asked.
    let (_anne, mut user) = ward.view("anne", "", "desk", Roads::All).await;
    let asking = tokio::spawn(async move {
        let answer = boss.shadow("desk").await;
        (boss, answer)
    });
    let (question, title, administrator) = until_asked(&mut user).await;
    assert_eq!((title.as_str(), administrator), ("Lea Chef", true));
    user.answer_watch(question, false);
    until(&mut user, |event| matches!(event, Event::WatchOver { .. }).then_some(())).await;
    let (boss, answer) = asking.await.unwrap();
    assert_eq!(refused(answer), "the user refused");

    // Told.
    let (paul, mut user) = ward.view("paul", "", "desk", Roads::All).await;
    assert!(refused(paul.invite("desk").await).contains("policy"));
    let mut shadow = dial(boss.shadow("desk").await.unwrap()).await;
    until_exact(&mut shadow).await;
    let listed = until_listed(&mut user, |watchers| !watchers.is_empty()).await;
    assert!(listed[0].administrator && listed[0].title == "Lea Chef");
    // An administrator who watches is not given the keyboard.
    user.order_watcher(listed[0].id, WatcherOrder::GiveControl);
    shadow.input(text("A"));
    user.input(text("1"));
    until_both(&mut user, &mut shadow, || ward.typed() == "1").await;

    // Nobody else may.
    let eve = ward.sign_in("eve", "").await.unwrap();
    assert!(refused(eve.shadow("desk").await).contains("role"));
    ward.journal_with(&["share_refused", "watch_refused", "watch_admitted", r#""action":"shadow""#]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_ticket_opens_its_own_session_for_its_own_client_once() {
    let ward = Ward::open("forged", false).await;
    let (anne, mut user) = ward.view("anne", "", "desk", Roads::All).await;
    let asking = ask(ward.sign_in("paul", "").await.unwrap(), anne.invite("desk").await.unwrap());
    let (question, ..) = until_asked(&mut user).await;
    user.answer_watch(question, true);
    until(&mut user, |event| matches!(event, Event::WatchOver { .. }).then_some(())).await;
    let (_paul, address) = asking.await.unwrap();
    let address = address.unwrap();
    let closed = async |address| {
        let mut client = Client::connect_by(address, Roads::OnlyQuic, (0, 0)).await.unwrap();
        until_closed(&mut client, SOON).await.0
    };
    assert_eq!(closed(Address { session: "secret".into(), ..address.clone() }).await, CloseCode::REFUSED);
    let other = anne.address("desk").await.unwrap();
    assert_eq!(closed(Address { holder: other.holder, ..address.clone() }).await, CloseCode::REFUSED);
    let mut forged = address.clone();
    forged.ticket[20] ^= 1;
    assert_eq!(closed(forged).await, CloseCode::REFUSED);
    let mut watcher = dial(address).await;
    until_exact(&mut watcher).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_user_a_session_obeys_no_watcher() {
    let ward = Ward::open("alone", false).await;
    let Shared { mut user, mut watcher, id, .. } = share(&ward).await;
    user.order_watcher(id, WatcherOrder::GiveControl);
    until_listed(&mut watcher, |watchers| watchers.iter().any(|w| w.controls)).await;
    user.close().await;
    until_listed(&mut watcher, |watchers| watchers.iter().all(|w| !w.controls)).await;
    watcher.input(text("A"));
    while watcher.input_waiting() > 0 {
        tokio::time::timeout(SOON, watcher.next()).await.expect("the gateway answers").unwrap();
    }
    assert_eq!(ward.typed(), "");
    // Half a minute later nobody watches either.
    let ended = tokio::time::timeout(Duration::from_secs(45), async {
        loop {
            if let Err(ClientError::Closed(closed)) = watcher.next().await {
                return closed.reason;
            }
        }
    });
    assert_eq!(ended.await.expect("it ends"), "the user has left the session");
}
