//! Who is recorded and told so, who may fetch recordings, how long they are kept, and what happens when there is no room.

use crate::http::{Asked, JSON, ask};
use crate::stage::{Folder, LONG, act, gateway, key, open, until, view};
use chevet::client::Event;
use chevet::clock;
use chevet::gateway::{Config, Gateway, SignInConfig};
use chevet::identity::{Hasher, add_user};
use chevet::recording::{Config as Recording, Label, RecordedInput, Shelf, WhenFull};
use chevet::store::Role;
use chevet::wire::{CloseCode, InputEvent};
use serde_json::json;
use std::path::Path;
use std::time::Duration;
use tokio::time::timeout;

const PASSWORD: &str = "a long enough passphrase";

fn recording(folder: &Folder, recipient: &age::x25519::Recipient) -> Recording {
    Recording {
        directory: folder.0.join("recordings"),
        recipients: vec![recipient.to_string()],
        sessions: vec!["*".into()],
        keep_days: 30,
        most_gib: 1.0,
        least_free_gib: 0.0,
        when_full: WhenFull::Refuse,
        input: RecordedInput::None,
        lose_at_most_seconds: 1,
    }
}

fn config(folder: &Folder, recording: Recording) -> Config {
    Config { state_directory: Some(folder.0.join("state")), recording: Some(recording), ..Config::default() }
}

/// Waits until the journal has a line with all of these.
async fn expect_audited(folder: &Folder, wanted: &[&str]) {
    let mut text = String::new();
    for _ in 0..100 {
        text.clear();
        for entry in std::fs::read_dir(folder.0.join("state/audit")).into_iter().flatten().flatten() {
            text += &std::fs::read_to_string(entry.path()).unwrap_or_default();
        }
        if text.lines().any(|line| wanted.iter().all(|part| line.contains(part))) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{wanted:?} is not in\n{text}");
}

fn only_file(directory: &Path) -> std::path::PathBuf {
    let files = std::fs::read_dir(directory).unwrap().flatten().map(|entry| entry.path());
    let sealed: Vec<_> = files.filter(|path| path.extension().is_some_and(|kind| kind == "age")).collect();
    assert_eq!(sealed.len(), 1, "{sealed:?}");
    sealed[0].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_recorded_is_told_and_a_stopping_gateway_ends_the_recording() {
    let folder = Folder::new();
    let (recipient, identity) = key(&folder, "key.txt");
    let gateway = gateway(config(&folder, recording(&folder, &recipient))).await;
    let mut client = view(&gateway).await;
    if !client.recorded() {
        until(&mut client, "the mark", |event| matches!(event, Event::Recorded(true))).await;
    }
    assert_eq!(gateway.registry().list()[0].viewers, 1, "a recorder is nobody");
    act(&mut client, 1).await;
    client.input(InputEvent::PointerMove { x: 321, y: 123 });
    act(&mut client, 2).await;
    gateway.stop().await;
    let mut replay = open(&only_file(&folder.0.join("recordings")), &identity);
    assert_eq!(replay.damage(), None);
    replay.seek(u64::MAX >> 8).unwrap();
    assert_ne!(replay.player().cursor().1, Some((321, 123)), "where the pointer was is not recorded unasked");
    for event in ["recording_started", "recording_ended"] {
        expect_audited(&folder, &[event, "\"session\":\"desk\""]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_pointer_is_is_recorded_if_that_is_asked_for() {
    let folder = Folder::new();
    let (recipient, identity) = key(&folder, "key.txt");
    let pointer = Recording { input: RecordedInput::Pointer, ..recording(&folder, &recipient) };
    let gateway = gateway(config(&folder, pointer)).await;
    let mut client = view(&gateway).await;
    act(&mut client, 1).await;
    client.input(InputEvent::PointerMove { x: 321, y: 123 });
    crate::stage::stay(&mut client, Duration::from_millis(1_500)).await;
    gateway.stop().await;
    let mut replay = open(&only_file(&folder.0.join("recordings")), &identity);
    replay.seek(u64::MAX >> 8).unwrap();
    assert_eq!(replay.player().cursor().1, Some((321, 123)));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_room_nobody_is_let_in_who_must_be_recorded_and_who_is_goes_dark() {
    let folder = Folder::new();
    let (recipient, _) = key(&folder, "key.txt");
    let small = Recording { most_gib: 1e-9, ..recording(&folder, &recipient) };
    let gateway = gateway(config(&folder, small)).await;
    // There is room as long as nothing is there; the first recording fills it.
    let mut client = view(&gateway).await;
    let ended = async {
        loop {
            if let Err(error) = client.next().await {
                return error.to_string();
            }
        }
    };
    let reason = timeout(LONG, ended).await.expect("the link is ended");
    assert!(reason.contains("recorded"), "{reason}");
    expect_audited(&folder, &["recording_failed", "serious_failure", "no room"]).await;
    let address = chevet::client::Address::parse(&gateway.native_url("desk")).unwrap();
    let mut refused = chevet::client::Client::connect(address).await;
    let reason = loop {
        match refused {
            Err(error) => break error.to_string(),
            Ok(ref mut client) => {
                if let Err(error) = timeout(LONG, client.next()).await.expect("an answer") {
                    break error.to_string();
                }
            }
        }
    };
    assert!(reason.contains(CloseCode::LIMIT.name()) && reason.contains("recorded"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_work_goes_first_people_go_on_without_a_recording_and_are_told() {
    let folder = Folder::new();
    let (recipient, _) = key(&folder, "key.txt");
    let small = Recording { most_gib: 1e-9, when_full: WhenFull::Stop, ..recording(&folder, &recipient) };
    let gateway = gateway(config(&folder, small)).await;
    let mut client = view(&gateway).await;
    until(&mut client, "the mark's end", |event| matches!(event, Event::Recorded(false))).await;
    until(
        &mut client,
        "the message",
        |event| matches!(event, Event::Message(text) if text.contains("no longer recorded")),
    )
    .await;
    act(&mut client, 1).await;
    expect_audited(&folder, &["recording_failed", "no room"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_long_enough_is_removed_and_that_is_audited() {
    let folder = Folder::new();
    let (recipient, _) = key(&folder, "key.txt");
    let recording = recording(&folder, &recipient);
    let shelf = Shelf::open(&recording.directory, recording.limits()).unwrap();
    let days_ago = |days: i64| clock::unix_ms() - days * 86_400_000;
    let kept = |ended: i64, session: &str| {
        let label =
            Label { session: session.into(), began_at: ended, ended_at: Some(ended), ..Label::default() };
        shelf.begin(&label).unwrap().0
    };
    let (old, pruned, young) =
        (kept(days_ago(31), "old"), kept(days_ago(40), "pruned"), kept(days_ago(29), "young"));
    let overdue: Vec<String> = shelf.overdue(clock::unix_ms()).into_iter().map(|kept| kept.name).collect();
    assert!(overdue.contains(&old) && overdue.contains(&pruned) && overdue.len() == 2);
    // As `chevet recording prune` does while no gateway runs.
    shelf.remove(&pruned, "kept long enough").unwrap();
    let _gateway = gateway(config(&folder, recording)).await;
    for name in [&old, &pruned] {
        expect_audited(&folder, &["recording_removed", name.as_str(), "kept long enough"]).await;
    }
    assert_eq!(shelf.list().into_iter().map(|kept| kept.name).collect::<Vec<_>>(), [young]);
    assert_eq!(shelf.removed(), []);
}

/// A gateway where people sign in, with a recording.
async fn with_people(folder: &Folder) -> (Gateway, String) {
    let (recipient, _) = key(folder, "key.txt");
    let recording = recording(folder, &recipient);
    let shelf = Shelf::open(&recording.directory, recording.limits()).unwrap();
    let label = Label { session: "ward-3".into(), began_at: clock::unix_ms(), ..Label::default() };
    let (name, mut file) = shelf.begin(&label).unwrap();
    std::io::Write::write_all(&mut file, b"0123456789sealed").unwrap();
    let config = Config { sign_in: Some(SignInConfig::default()), ..config(folder, recording) };
    let gateway = gateway(config).await;
    let store = gateway.identity().unwrap().store();
    let hash = Hasher::default().hash(PASSWORD).await.unwrap();
    for (name, role) in [("vera", Role::Auditor), ("anne", Role::User)] {
        let id = add_user(store, name, name, role, &[], clock::unix_ms()).await.unwrap();
        store.set_password(&id, &hash).await.unwrap();
    }
    (gateway, name)
}

async fn get(gateway: &Gateway, user: &str, path: &str, headers: &str) -> Asked {
    let address = gateway.addresses()[0];
    let body = json!({"name": user, "password": PASSWORD}).to_string();
    let signed_in = ask(address, "POST", "/api/sign-in", JSON, &body).await;
    let secret = signed_in.json["token"].as_str().unwrap_or_else(|| panic!("{signed_in:?}")).to_owned();
    ask(address, "GET", path, &format!("Authorization: Bearer {secret}\r\n{headers}"), "").await
}

#[tokio::test(flavor = "multi_thread")]
async fn auditors_list_and_fetch_what_is_sealed_that_is_audited_and_others_are_refused() {
    let folder = Folder::new();
    let (gateway, name) = with_people(&folder).await;
    let path = format!("/api/admin/recordings/{name}");
    for path in ["/api/admin/recordings", &path] {
        assert_eq!(get(&gateway, "anne", path, "").await.status, 403);
        assert_eq!(ask(gateway.addresses()[0], "GET", path, "", "").await.status, 401);
    }
    let listed = get(&gateway, "vera", "/api/admin/recordings", "").await;
    assert_eq!(listed.status, 200);
    let first = &listed.json["recordings"][0];
    assert_eq!(
        (first["name"].as_str(), first["session"].as_str()),
        (Some(&*name), Some("ward-3")),
        "{listed:?}"
    );
    let whole = get(&gateway, "vera", &path, "").await;
    assert_eq!((whole.status, whole.body.as_str()), (200, "0123456789sealed"));
    let part = get(&gateway, "vera", &path, "Range: bytes=4-6\r\n").await;
    assert_eq!((part.status, part.body.as_str()), (206, "456"));
    let beyond = get(&gateway, "vera", &path, "Range: bytes=99-\r\n").await;
    assert_eq!(beyond.status, 416);
    for wrong in ["nothing", "..%2fsecret", "%2e%2e"] {
        let path = format!("/api/admin/recordings/{wrong}");
        assert_eq!(get(&gateway, "vera", &path, "").await.status, 404, "{wrong}");
    }
    expect_audited(&folder, &["recording_opened", &name, "\"user_name\":\"vera\"", "ward-3"]).await;
    expect_audited(&folder, &["list recordings", "\"user_name\":\"vera\""]).await;
}
