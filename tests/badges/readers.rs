//! PC/SC: a virtual card of our own in pcscd's virtual reader (Debian's vsmartcard-vpcd).

use crate::agent::until_nobody;
use crate::page::{Page, run};
use crate::ward::{PIN, Ward};
use chevet::client::seat::Seat;
use chevet::identity::new_id;
use chevet::seat::{Agent, Seen, read_cards};
use chevet::store::SeatMode;
use serde_json::json;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Where the virtual reader waits for a card.
const READER: (&str, u16) = ("127.0.0.1", 35_963);
const UID: [u8; 7] = [0x04, 0xA2, 0x2F, 0x91, 0x5C, 0x61, 0x80];
const NUMBER: &str = "04A22F915C6180";
/// A contactless card's, as PC/SC makes it up.
const ATR: [u8; 20] = [
    0x3B, 0x8F, 0x80, 0x01, 0x80, 0x4F, 0x0C, 0xA0, 0x00, 0x00, 0x03, 0x06, 0x03, 0x00, 0x01, 0x00, 0x00,
    0x00, 0x00, 0x6A,
];

/// There is one virtual reader.
static ALONE: Mutex<()> = Mutex::new(());

struct Daemon(Option<Child>);

impl Daemon {
    /// The machine's own, or one for this test.
    fn start() -> Daemon {
        let there = || TcpStream::connect(READER).is_ok();
        if there() {
            return Daemon(None);
        }
        let mut command = Command::new("/usr/sbin/pcscd");
        command.arg("--foreground").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("pcscd, from the Debian package of that name");
        let daemon = Daemon(Some(child));
        let end = Instant::now() + Duration::from_secs(20);
        while !there() {
            assert!(Instant::now() < end, "no virtual reader: install the Debian package vsmartcard-vpcd");
            std::thread::sleep(Duration::from_millis(50));
        }
        daemon
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            // Asked to end, it removes its socket.
            let _ = Command::new("kill").arg(child.id().to_string()).status();
            let _ = child.wait();
        }
    }
}

/// A card in the reader, until it is taken away.
struct Card(TcpStream);

impl Card {
    fn insert() -> Card {
        // The reader takes one connection after the other, and needs a moment in between.
        let end = Instant::now() + Duration::from_secs(10);
        let stream = loop {
            match TcpStream::connect(READER) {
                Ok(stream) => break stream,
                Err(error) => assert!(Instant::now() < end, "the virtual reader: {error}"),
            }
            std::thread::sleep(Duration::from_millis(50));
        };
        let mut card = stream.try_clone().unwrap();
        std::thread::spawn(move || {
            while let Some(asked) = hear(&mut card) {
                let answer: Vec<u8> = match asked.as_slice() {
                    [4] => ATR.to_vec(),
                    // Off, on, reset.
                    [0..=2] => continue,
                    [0xFF, 0xCA, 0x00, 0x00, ..] => [&UID[..], &[0x90, 0x00]].concat(),
                    _ => vec![0x6D, 0x00],
                };
                let length = (answer.len() as u16).to_be_bytes();
                if card.write_all(&[&length[..], &answer].concat()).is_err() {
                    return;
                }
            }
        });
        Card(stream)
    }
}

impl Drop for Card {
    fn drop(&mut self) {
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

fn hear(from: &mut TcpStream) -> Option<Vec<u8>> {
    let mut length = [0; 2];
    from.read_exact(&mut length).ok()?;
    let mut bytes = vec![0; usize::from(u16::from_be_bytes(length))];
    from.read_exact(&mut bytes).ok()?;
    Some(bytes)
}

async fn next(seen: &mut mpsc::Receiver<Seen>) -> Seen {
    loop {
        let next = tokio::time::timeout(Duration::from_secs(20), seen.recv()).await;
        match next.expect("the reader sees something").unwrap() {
            // pcscd was not there yet.
            Seen::Trouble(_) => {}
            other => return other,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[allow(clippy::await_holding_lock)]
async fn a_cards_own_number_is_read_when_it_comes_and_its_leaving_is_told() {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let _daemon = Daemon::start();
    let (send, mut seen) = mpsc::channel(8);
    read_cards(Some("Virtual".into()), send).unwrap();
    for _ in 0..2 {
        let card = Card::insert();
        assert_eq!(next(&mut seen).await, Seen::Badge(NUMBER.into()));
        drop(card);
        assert_eq!(next(&mut seen).await, Seen::Removed);
    }
}

#[tokio::test(flavor = "multi_thread")]
#[allow(clippy::await_holding_lock)]
async fn at_a_seat_for_cards_a_session_is_open_while_its_card_lies_there() {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let _daemon = Daemon::start();
    let ward = Ward::open("cards").await;
    let anne = ward.user_id("anne").await;
    let hash = ward.badge_hash(NUMBER);
    ward.store.add_badge(&new_id(), &hash, &anne, 0).await.unwrap();
    let seat = Seat::open(ward.enrol("Room 1", "east", SeatMode::Card).await).await.unwrap();
    let running = run(Agent::start(seat).await.unwrap());
    let mut page = Page::open(&running.start, ward.page().trim_end_matches('/')).await;
    read_cards(None, running.tap.clone()).unwrap();
    let card = Card::insert();
    assert_eq!(page.told().await["show"], "pin");
    page.say(json!({"say": "pin", "pin": PIN})).await;
    let session = page.told().await;
    assert_eq!((session["show"].as_str(), session["session"].as_str()), (Some("session"), Some("anne")));
    drop(card);
    assert_eq!(page.told().await["show"], "tap");
    until_nobody(&ward, "anne").await;
    // Within the grace the card alone is enough.
    let _card = Card::insert();
    assert_eq!(page.told().await["show"], "session");
    ward.journal_with(&["the card was taken away"]).await;
}
