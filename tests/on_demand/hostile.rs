//! A host that is up to no good, beside an honest one.

use crate::stage::{LONG, RECORD, Stage, application, painter, until_shows, view};
use chevet::identity::HostKey;
use chevet::link::{Closed, Inbox, Incoming, Link, Road, dial};
use chevet::wire::{
    CloseCode, Control, EndReason, HostLoad, HostMessage, HostOffers, MAJOR, MINOR, Role, RunningSession,
    Secret,
};
use std::time::Duration;

struct Hostile {
    link: Link,
    inbox: Inbox,
}

impl Hostile {
    /// Dials and says Hello.
    async fn dial(stage: &Stage) -> Hostile {
        let (link, inbox) = dial(&stage.target().await, Road::Quic).await.unwrap();
        link.control(&Control::Hello {
            major: MAJOR,
            minor: MINOR,
            role: Role::Host,
            software: "evil 1".into(),
        });
        Hostile { link, inbox }
    }

    fn offers(&self, name: &str, key: &HostKey, running: Vec<RunningSession>) -> HostMessage {
        HostMessage::Offers(HostOffers {
            host: name.into(),
            key: key.public(),
            proof: Secret(key.prove(&self.link.exporter().unwrap(), name)),
            capacity: u32::MAX,
            applications: vec!["record".into(), "secret".into(), "nonsense".into()],
            running,
        })
    }

    fn say(&self, message: HostMessage) {
        self.link.control(&Control::Host(message));
    }

    async fn joined(stage: &Stage, name: &str, key: &HostKey, running: Vec<RunningSession>) -> Hostile {
        let hostile = Hostile::dial(stage).await;
        hostile.say(hostile.offers(name, key, running));
        hostile.say(HostMessage::Load(HostLoad { memory_free_mib: 9_999, ..HostLoad::default() }));
        stage.until_status(name, "connected", |host| host["connected"] == true).await;
        hostile
    }

    /// What the gateway says next to a host.
    async fn next(&mut self) -> HostMessage {
        let next = async {
            loop {
                match self.inbox.next().await.unwrap() {
                    Incoming::Control(Control::Host(message)) => return message,
                    _ => continue,
                }
            }
        };
        tokio::time::timeout(LONG, next).await.unwrap()
    }

    async fn closed(&self) -> Closed {
        tokio::time::timeout(LONG, self.link.ended()).await.expect("the gateway ends the link")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_enrolled_or_shows_what_another_proved_is_no_host() {
    let stage = Stage::open("strangers", &application("record", &painter(RECORD), "")).await;
    let key = stage.enrol("app-1").await;
    let other = HostKey::kept(&stage.folder.join("other-key")).unwrap();
    let mut reasons = std::collections::BTreeSet::new();
    for (name, key) in [("app-1", &other), ("app-9", &key), ("../etc", &key)] {
        let hostile = Hostile::dial(&stage).await;
        hostile.say(hostile.offers(name, key, Vec::new()));
        let closed = hostile.closed().await;
        assert_eq!(closed.code, CloseCode::REFUSED, "{name}");
        if name.starts_with("app") {
            reasons.insert(closed.reason);
        }
    }
    assert_eq!(reasons.len(), 1, "whether a name is enrolled is told to nobody");
    // A proof that was made on another connection.
    let (first, second) = (Hostile::dial(&stage).await, Hostile::dial(&stage).await);
    second.say(first.offers("app-1", &key, Vec::new()));
    assert_eq!(second.closed().await.code, CloseCode::REFUSED);
    stage.journal_with(&["host_refused"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_host_is_given_only_what_it_may_run_and_reaches_no_session_of_others() {
    let applications = [
        application("record", &painter(RECORD), ""),
        application("secret", &painter(2), "").replace("hosts = ['app-*']", "hosts = ['app-1']"),
    ];
    let stage = Stage::open("hostile", &applications.concat()).await;
    let honest = stage.host("app-1", "['record', 'secret']", "").await;
    let (anne, paul) = (stage.sign_in("anne", "").await, stage.sign_in("paul", "").await);
    let mut client = view(&anne, "record").await;
    until_shows(&mut client, RECORD).await;
    let victim = client.address().session.clone();
    let anne_id = stage.store.user_named("anne").await.unwrap().unwrap().id;

    // It announces sessions that it was never given: one that there is, and one of its own making.
    let key = stage.enrol("app-2").await;
    let made_up = format!("record.{}", "A".repeat(22));
    let announced = |session: &str| RunningSession {
        session: session.into(),
        application: "record".into(),
        user: anne_id.clone(),
        token: Secret(vec![0; 32]),
    };
    let running = vec![announced(&victim), announced(&made_up)];
    let mut hostile = Hostile::joined(&stage, "app-2", &key, running).await;
    for session in [&victim, &made_up] {
        let expected = HostMessage::End { session: session.clone(), reason: EndReason::Unwanted };
        assert_eq!(hostile.next().await, expected);
    }
    let known = stage.until_status("app-2", "there", |host| host["connected"] == true).await;
    assert_eq!(
        known["applications"],
        serde_json::json!(["record"]),
        "what it may not run, it does not offer"
    );
    assert!(known["capacity"].as_u64().unwrap() <= 1_024);

    // It answers for others, ends others' sessions, and brings them.
    for number in 0..20 {
        hostile.say(HostMessage::Started { request: number, error: String::new() });
        let (reason, text) = (EndReason::Program, String::new());
        hostile.say(HostMessage::Ended { session: victim.clone(), reason, text });
    }
    for (session, code) in [
        (&victim, CloseCode::REFUSED),
        (&made_up, CloseCode::NO_SESSION),
        (&"record".to_owned(), CloseCode::REFUSED),
    ] {
        for secret in ["", "the secret of hosts that have displays", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"] {
            let link = Hostile::dial(&stage).await;
            let secret = Secret(secret.as_bytes().to_vec());
            link.link.control(&Control::Offer { session: session.clone(), title: "x".into(), secret });
            assert_eq!(link.closed().await.code, code, "{session}");
        }
    }
    assert_eq!(stage.sessions(), std::slice::from_ref(&victim));

    // Everybody's new session may be ordered from it; it says yes and brings nothing. Then the honest one is asked.
    let paul_asks = tokio::spawn(async move {
        let mut client = view(&paul, "record").await;
        until_shows(&mut client, RECORD).await;
        client.address().session.clone()
    });
    let answering = tokio::time::timeout(Duration::from_secs(3), async {
        loop {
            if let HostMessage::Start(start) = hostile.next().await {
                // Nobody's but the session's own user is told to it.
                assert_eq!(start.user_name, "paul");
                hostile.say(HostMessage::Started { request: start.request, error: String::new() });
            }
        }
    });
    let _ = answering.await;
    let theirs = tokio::time::timeout(LONG, paul_asks).await.unwrap().unwrap();
    assert!(theirs.starts_with("record.") && theirs != victim);
    assert_eq!(honest.processes().iter().filter(|(_, name)| name == "xterm").count(), 2);

    // The honest host and its viewer notice nothing.
    until_shows_still(&mut client).await;
    assert!(stage.sessions().contains(&victim));
}

async fn until_shows_still(client: &mut chevet::client::Client) {
    let until = std::time::Instant::now() + Duration::from_millis(300);
    while std::time::Instant::now() < until {
        if let Ok(Err(error)) = tokio::time::timeout(Duration::from_millis(50), client.next()).await {
            panic!("the honest session ended: {error}");
        }
    }
    let screen = client.screen().unwrap();
    assert_eq!(screen.row(screen.width() / 2, screen.height() / 2, 1), [RECORD]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_says_too_much_or_what_only_gateways_say_is_cut_off() {
    let stage = Stage::open("endless", &application("record", &painter(RECORD), "")).await;
    let key = stage.enrol("app-2").await;
    let flood = async |message: &dyn Fn(u64) -> HostMessage, most: u64| {
        let hostile = Hostile::joined(&stage, "app-2", &key, Vec::new()).await;
        for number in 0..most {
            hostile.say(message(number));
            if number % 256 == 0 {
                tokio::task::yield_now().await;
            }
        }
        hostile.closed().await.code
    };
    assert_eq!(flood(&|_| HostMessage::Load(HostLoad::default()), 6_000).await, CloseCode::LIMIT);
    let stray = |request| HostMessage::Started { request, error: "no".into() };
    assert_eq!(flood(&stray, 200).await, CloseCode::LIMIT);
    let again = Hostile::joined(&stage, "app-2", &key, Vec::new()).await;
    again.say(again.offers("app-2", &key, Vec::new()));
    assert_eq!(again.closed().await.code, CloseCode::PROTOCOL, "it introduces itself once");
    let order = HostMessage::End { session: "record.x".into(), reason: EndReason::User };
    assert_eq!(flood(&|_| order.clone(), 1).await, CloseCode::PROTOCOL);

    // Whoever has the key and dials anew takes the place of the earlier link; whoever is removed has none.
    let first = Hostile::joined(&stage, "app-2", &key, Vec::new()).await;
    let second = Hostile::joined(&stage, "app-2", &key, Vec::new()).await;
    assert_eq!(first.closed().await.code, CloseCode::TAKEN_OVER);
    assert!(stage.store.remove_host("app-2").await.unwrap());
    assert_eq!(second.closed().await.code, CloseCode::IDLE, "it says nothing for 10 s");
    let removed = Hostile::dial(&stage).await;
    removed.say(removed.offers("app-2", &key, Vec::new()));
    assert_eq!(removed.closed().await.code, CloseCode::REFUSED);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_session_is_ordered_from_the_least_loaded_host_and_from_the_next_if_that_one_fails() {
    let stage = Stage::open("loads", &application("record", &painter(RECORD), "")).await;
    let mut hosts = Vec::new();
    for (name, cpu_per_mille) in [("app-1", 900), ("app-2", 100), ("app-3", 500)] {
        let key = stage.enrol(name).await;
        let host = Hostile::joined(&stage, name, &key, Vec::new()).await;
        host.say(HostMessage::Load(HostLoad {
            cpu_per_mille,
            memory_free_mib: 9_999,
            ..HostLoad::default()
        }));
        stage.until_status(name, "loaded", |host| host["cpu_per_mille"] == cpu_per_mille).await;
        hosts.push(host);
    }
    let anne = stage.sign_in("anne", "").await;
    let asking = tokio::spawn(async move { anne.address("record").await.map(drop) });
    for at in [1, 2, 0] {
        let HostMessage::Start(start) = hosts[at].next().await else { panic!("not a start") };
        assert_eq!((start.application.as_str(), start.user_name.as_str()), ("record", "anne"));
        hosts[at].say(HostMessage::Started { request: start.request, error: format!("host {at} cannot") });
    }
    let why = crate::stage::refused(asking.await.unwrap());
    assert!(why.contains("host 0 cannot") && why.contains("try again"), "{why}");
    assert_eq!(stage.sessions(), Vec::<String>::new());
}
