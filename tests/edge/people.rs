//! What each user may take by way of an edge, and that it lets nobody in any more whose sign-in has ended.

use super::PASSWORD;
use super::stage::{SOON, Stage, view};
use chevet::client::{Client, ClientError, Roads, SignedIn, Site};
use chevet::gateway::{Config, OutsideConfig, SessionConfig, SignInConfig};
use chevet::identity::{Hasher, add_user};
use chevet::link::{Road, dial};
use chevet::store::{Role, Store};
use chevet::wire::CloseCode;
use hyper::Method;
use std::time::Duration;

/// A stage where anne and paul may have the session, and boss may administer.
async fn with_people(outside: OutsideConfig) -> Stage {
    let stage = Stage::open_with(|_, config| {
        config.access.ticket = None;
        config.sign_in = Some(SignInConfig::default());
        config.publish = toml::from_str::<Config>("[[publish]]\nsession = 'pattern*'\ngroups = ['nurses']")
            .unwrap()
            .publish;
        config.outside = outside;
        let first = config.sessions[0].clone();
        let more = (2..=3).map(|number| SessionConfig { name: format!("pattern-{number}"), ..first.clone() });
        config.sessions.extend(more);
    });
    let stage = stage.await.ready().await;
    let store = Store::open(&stage.config.store_url().unwrap()).await.unwrap();
    for (name, role) in [("anne", Role::User), ("paul", Role::User), ("boss", Role::Administrator)] {
        let id = add_user(&store, name, name, role, &["nurses".to_owned()], 0).await.unwrap();
        store.set_password(&id, &Hasher::default().hash(PASSWORD).await.unwrap()).await.unwrap();
    }
    stage
}

/// Signs in through the edge.
async fn sign_in(stage: &Stage, name: &str) -> SignedIn {
    let (host, port) = (stage.outside().ip().to_string(), stage.outside().port());
    let site = Site { host, port, tls: true, pins: stage.address("pattern").target.pins, proxy: None };
    SignedIn::with_password(site, name, PASSWORD, None, "").await.unwrap()
}

async fn look(person: &SignedIn, session: &str) -> Result<Client, ClientError> {
    view(person.address(session).await.unwrap(), Roads::OnlyWebSocket).await
}

/// What a client is told that is let in no more.
fn refusal(looked: Result<Client, ClientError>) -> String {
    match looked {
        Err(ClientError::Closed(closed)) if closed.code == CloseCode::LIMIT => closed.reason,
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it was let in"),
    }
}

fn journal(stage: &Stage) -> String {
    let files = std::fs::read_dir(stage.folder.0.join("gateway/audit")).unwrap();
    files.filter_map(|entry| std::fs::read_to_string(entry.unwrap().path()).ok()).collect()
}

/// Whether the edge lets QUIC of this address in.
async fn lets_quic_in(stage: &Stage) -> bool {
    let target = stage.address("pattern").target;
    let dialled = tokio::time::timeout(Duration::from_millis(1_500), dial(&target, Road::Quic)).await;
    matches!(dialled, Ok(Ok(_)))
}

/// Waits until it does, or does not.
async fn until_quic(stage: &Stage, is: bool) {
    let end = tokio::time::Instant::now() + SOON;
    while lets_quic_in(stage).await != is {
        assert!(tokio::time::Instant::now() < end, "whether QUIC is let in stays {}", !is);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_outside_has_so_many_links_at_once_is_told_so_and_takes_nothing_from_others() {
    let stage = with_people(OutsideConfig { links_of_user: 2, ..OutsideConfig::default() }).await;
    let (anne, elsewhere) = (sign_in(&stage, "anne").await, sign_in(&stage, "anne").await);
    let first = look(&anne, "pattern").await.unwrap();
    let second = look(&elsewhere, "pattern-2").await.unwrap();
    let told = refusal(look(&anne, "pattern-3").await);
    assert!(told.contains("2 links from outside"), "{told}");
    let paul = sign_in(&stage, "paul").await;
    look(&paul, "pattern-3").await.unwrap().close().await;
    first.close().await;
    let third = async {
        loop {
            // The end of the first one may still be on its way.
            match look(&anne, "pattern-3").await {
                Ok(client) => return client,
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    };
    tokio::time::timeout(SOON, third).await.expect("there is room again").close().await;
    second.close().await;
    let refused = |line: &&str| line.contains("attach_refused") && line.contains("links from outside");
    let journal = journal(&stage);
    let line = journal.lines().find(refused).expect("it is in the journal");
    assert!(line.contains("anne") && line.contains("pattern-3"), "{line}");
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_outside_comes_so_often_a_minute() {
    let stage = with_people(OutsideConfig { attaches_a_minute: 3, ..OutsideConfig::default() }).await;
    let anne = sign_in(&stage, "anne").await;
    for _ in 0..3 {
        look(&anne, "pattern").await.unwrap().close().await;
    }
    let told = refusal(look(&anne, "pattern").await);
    assert!(told.contains("3 times within a minute"), "{told}");
    look(&sign_in(&stage, "paul").await, "pattern").await.unwrap().close().await;
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_lets_no_quic_in_from_where_the_last_sign_in_has_ended() {
    let stage = with_people(OutsideConfig::default()).await;
    assert!(!lets_quic_in(&stage).await, "nobody has been here");
    let (anne, paul) = (sign_in(&stage, "anne").await, sign_in(&stage, "paul").await);
    until_quic(&stage, true).await;
    anne.sign_out().await.unwrap();
    assert!(lets_quic_in(&stage).await, "paul is still there");
    let client = look(&paul, "pattern").await.unwrap();
    paul.sign_out().await.unwrap();
    until_quic(&stage, false).await;
    drop(client);
    // Who is locked out by an administrator, who asks from inside.
    let _anne = sign_in(&stage, "anne").await;
    until_quic(&stage, true).await;
    let inside = stage.gateway.addresses()[0];
    let (host, port) = (inside.ip().to_string(), inside.port());
    let site = Site { host, port, tls: false, pins: Vec::new(), proxy: None };
    let boss = SignedIn::with_password(site, "boss", PASSWORD, None, "").await.unwrap();
    let disabled = Some(&serde_json::json!({"enabled": false}));
    boss.ask(Method::PATCH, "/api/admin/users/anne", disabled).await.unwrap();
    until_quic(&stage, false).await;
    stage.close().await;
}
