//! What the gateway holds people to, whatever their viewer does.

use crate::ward::{PASSWORD, Ward, until_closed, until_exact};
use crate::{SOON, dial, refused, text, until};
use chevet::client::{Client, Event, Roads, SignedIn};
use chevet::wire::{CloseCode, Marking, Terms};
use std::time::Duration;

async fn until_terms(client: &mut Client) -> Terms {
    until(client, |event| if let Event::Terms(terms) = event { Some(terms) } else { None }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn who_views_is_told_what_is_allowed_where_they_are() {
    let sections = "[[zone]]\nname = 'here'\naddresses = ['127.0.0.0/8']\n\
                    [[zone]]\nname = 'away'\naddresses = ['192.0.2.0/24']\n\
                    [[policy]]\nzone = 'away'\nshare = false\n\
                    [[policy]]\nzone = 'here'\ngroups = ['nurses']\nclipboard = 'out'\nresize = false\n\
                    idle_lock_minutes = 20\nwatermark = 'viewer'";
    let ward = Ward::open_with("terms", false, sections).await;
    let anne = ward.sign_in("anne", "room 1").await.unwrap();
    let mut client = dial(anne.address("desk").await.unwrap()).await;
    let terms = until_terms(&mut client).await;
    let wanted = Terms {
        clipboard_in: false,
        clipboard_out: true,
        resize: false,
        share: true,
        idle_lock_ms: 1_200_000,
        marking: Marking::Viewer,
        mark: "Anne Roy · room 1".into(),
    };
    assert_eq!(terms, wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_size_is_taken_from_whoever_may_resize_alone() {
    let ward = Ward::open_with("sizes", false, "[[policy]]\nusers = ['anne']\nresize = false").await;
    let anne = ward.sign_in("anne", "").await.unwrap();
    let address = anne.address("desk").await.unwrap();
    let mut fixed = Client::connect_by(address, Roads::OnlyQuic, (800, 600)).await.unwrap();
    until_exact(&mut fixed).await;
    fixed.resize(801, 601);
    // What was sent before this text has been looked at when it arrives.
    fixed.input(text("."));
    while ward.typed() != "." {
        let _ = tokio::time::timeout(Duration::from_millis(20), fixed.next()).await;
    }
    let paul = ward.sign_in("paul", "").await.unwrap();
    let address = paul.address("desk").await.unwrap();
    let mut free = Client::connect_by(address, Roads::OnlyQuic, (900, 700)).await.unwrap();
    until_exact(&mut free).await;
    let end = tokio::time::Instant::now() + SOON;
    while ward.sizes().is_empty() {
        assert!(tokio::time::Instant::now() < end, "the size is asked for");
        let _ = tokio::time::timeout(Duration::from_millis(20), free.next()).await;
    }
    assert!(ward.sizes().iter().all(|size| *size == (900, 700)), "{:?}", ward.sizes());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_pasted_does_not_go_in_where_the_clipboard_only_goes_out() {
    let ward = Ward::open_with("clipboard", false, "[[policy]]\nusers = ['anne']\nclipboard = 'out'").await;
    let long = "pasted ".repeat(10);
    let (_anne, mut client) = ward.view("anne", "", "desk", Roads::All).await;
    client.input(text(&long));
    client.input(text("typed"));
    while ward.typed() != "typed" {
        assert!(!ward.typed().contains("pasted"), "{}", ward.typed());
        let _ = tokio::time::timeout(Duration::from_millis(20), client.next()).await;
    }
    let (_paul, mut client) = ward.view("paul", "", "desk", Roads::All).await;
    client.input(text(&long));
    while ward.typed() != format!("typed{long}") {
        let _ = tokio::time::timeout(Duration::from_millis(20), client.next()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_idle_is_locked_out_until_they_sign_in_again() {
    // Six seconds.
    let ward = Ward::open_with("idle", false, "[[policy]]\nidle_lock_minutes = 0.1").await;
    let (anne, mut client) = ward.view("anne", "room 1", "desk", Roads::All).await;
    let began = std::time::Instant::now();
    while began.elapsed() < Duration::from_secs(8) {
        client.input(text("."));
        let _ = tokio::time::timeout(Duration::from_millis(500), client.next()).await;
        assert!(client.input_waiting() < 8, "whoever types is not locked out");
    }
    let (code, reason) = until_closed(&mut client, SOON).await;
    assert_eq!((code, reason.as_str()), (CloseCode::LOCKED, "locked after 6 s without a key or click"));
    // Neither the sign-in nor a ticket that was in hand is of use.
    assert!(refused(anne.address("desk").await).contains("sign in again"));
    let mut again = dial(client.address().clone()).await;
    assert_eq!(until_closed(&mut again, SOON).await.0, CloseCode::REFUSED);
    let anne = SignedIn::with_password(ward.site(), "anne", PASSWORD, None, "room 1").await.unwrap();
    let mut same = dial(anne.address("desk").await.unwrap()).await;
    until_exact(&mut same).await;
    ward.journal_with(&[r#""event":"locked""#]).await;
}
