//! A host that starts applications for the users of several gateways.

use crate::stage::{SOON, Stage, settle};
use crate::typist::{Terminal, Typist, until_exact};
use crate::{alone, run};
use chevet::client::{Client, SignedIn};
use hyper::Method;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const APPLICATION: &str = "[sign_in]\n[[application]]\nname = \"record\"\ntitle = \"Record\"\n\
    hosts = [\"app-*\"]\ngroups = [\"nurses\"]\nwidth = 640\nheight = 480\n\
    command = [\"xterm\", \"-geometry\", \"100x30+0+0\", \"-e\", \"sh\", \"-c\", \"stty -icanon -echo; exec cat\"]\n";

async fn stage(name: &str) -> (Stage, [SignedIn; 2]) {
    stage_with(name, APPLICATION).await
}

async fn stage_with(name: &str, application: &str) -> (Stage, [SignedIn; 2]) {
    let mut stage = Stage::set_with(name, 2, application);
    stage.add_user("anne");
    stage.offer("app-1", "anne", "record", &[0, 1]);
    let annes = [stage.sign_in(0, "anne").await, stage.sign_in(1, "anne").await];
    for anne in &annes {
        until("the application can be started", &stage, anne, |record| record["available"] == true).await;
    }
    (stage, annes)
}

/// Asks until what is told of the application is as wished.
async fn until(what: &str, stage: &Stage, anne: &SignedIn, wished: impl Fn(&Value) -> bool) {
    let end = Instant::now() + SOON;
    loop {
        let told = anne.ask(Method::GET, "/api/sessions", None).await.unwrap();
        if wished(&told["applications"][0]) {
            return;
        }
        assert!(Instant::now() < end, "{what}: {told}\n{}", stage.host_log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn open(anne: &SignedIn) -> String {
    let opened = anne.ask(Method::POST, "/api/applications/record/open", Some(&json!({}))).await.unwrap();
    opened["session"].as_str().unwrap().to_owned()
}

/// Which gateway has the session, as they say themselves.
async fn holder(stage: &Stage, session: &str) -> usize {
    let words = format!("this gateway has the session session=\"{session}\"");
    let end = Instant::now() + SOON;
    loop {
        if let Some(at) = stage.gateways.iter().position(|gateway| gateway.program.log().contains(&words)) {
            return at;
        }
        assert!(Instant::now() < end, "no gateway has it\n{}", stage.host_log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[test]
fn an_application_that_is_asked_for_at_two_gateways_at_the_same_moment_is_started_once_and_ended_at_the_one_that_has_not_got_it()
 {
    let _alone = alone();
    run(async {
        let (stage, annes) = stage("once").await;
        for _ in 0..3 {
            let (first, second) = tokio::join!(open(&annes[0]), open(&annes[1]));
            assert_eq!(first, second, "{}", stage.host_log());
            for anne in &annes {
                let one = |record: &Value| record["running"] == json!([first]);
                until("both gateways know the session", &stage, anne, one).await;
            }
            let other = 1 - holder(&stage, &first).await;
            let end = format!("/api/sessions/{first}/end");
            annes[other].ask(Method::POST, &end, Some(&json!({}))).await.unwrap();
            for anne in &annes {
                until("it has ended at both", &stage, anne, |record| record["running"] == json!([])).await;
            }
        }
        let started = stage.host_log().matches("a session is started").count();
        assert_eq!(started, 3, "{}", stage.host_log());
    });
}

#[test]
fn an_application_whose_host_has_a_link_to_one_gateway_alone_is_opened_at_any_and_shown_where_it_is() {
    let _alone = alone();
    run(async {
        let mut stage = Stage::set_with("apart", 3, APPLICATION);
        stage.add_user("anne");
        let annes = [stage.sign_in(0, "anne").await, stage.sign_in(1, "anne").await];
        let unavailable = |record: &Value| record["available"] == false;
        until("nothing can be started", &stage, &annes[1], unavailable).await;
        stage.offer("app-1", "anne", "record", &[0]);
        for anne in &annes {
            until("the application can be started", &stage, anne, |it| it["available"] == true).await;
        }
        // At the same moment at the one that has the host, at another one, and at the third.
        let third = stage.sign_in(2, "anne").await;
        until("the third knows, too", &stage, &third, |it| it["available"] == true).await;
        let (session, other, last) = tokio::join!(open(&annes[1]), open(&annes[0]), open(&third));
        assert_eq!((&session, &session), (&other, &last), "{}", stage.host_log());
        assert_eq!(holder(&stage, &session).await, 0);
        for anne in &annes {
            let one = |record: &Value| record["running"] == json!([session]);
            until("both gateways know the session", &stage, anne, one).await;
        }
        let mut client = Client::connect(annes[1].address(&session).await.unwrap()).await.unwrap();
        until_exact(&mut client).await;
        let mut typist = Typist::default();
        typist.type_for(&mut client, Duration::from_millis(500)).await;
        until_exact(&mut client).await;
        assert_eq!((client.input_waiting(), client.mismatches()), (0, 0));
        annes[1].ask(Method::POST, &format!("/api/sessions/{session}/end"), Some(&json!({}))).await.unwrap();
        for anne in &annes {
            until("it has ended at both", &stage, anne, |record| record["running"] == json!([])).await;
        }
        // By the name of the application, as pages do.
        let address = annes[1].address("record").await.unwrap();
        let again = address.session.clone();
        let mut client = Client::connect(address).await.unwrap();
        until_exact(&mut client).await;
        assert_ne!(again, session);
        assert_eq!(stage.host_log().matches("a session is started").count(), 2, "{}", stage.host_log());
        stage.gateways[0].program.kill();
        until("its gateway is gone, and with it the host", &stage, &annes[1], unavailable).await;
    });
}

#[test]
fn a_host_starts_with_the_gateways_that_answer_and_adds_those_that_come_later() {
    let _alone = alone();
    run(async {
        let mut stage = Stage::set_with("later", 2, APPLICATION);
        stage.add_user("anne");
        let terminal = Terminal::open(&stage.folder);
        stage.gateways[1].program.kill();
        stage.offer("app-1", "anne", "record", &[1, 0]);
        stage.bring_unpinned("desk", &terminal.server.display, &[1, 0]);
        let anne = stage.sign_in(0, "anne").await;
        until("the application can be started", &stage, &anne, |it| it["available"] == true).await;
        let session = open(&anne).await;
        settle_holder(&stage, "desk", 0).await;
        let mut client = Client::connect(anne.address(&session).await.unwrap()).await.unwrap();
        until_exact(&mut client).await;
        stage.restart(1);
        let linked = || stage.host_log().matches("connected to the gateway").count();
        settle("the host has a link to the gateway that came later", || {
            (linked() < 2).then(|| stage.host_log())
        });
        // What it started before goes on there.
        let mut typist = Typist::default();
        typist.type_for(&mut client, Duration::from_millis(500)).await;
        let killed = Instant::now();
        stage.gateways[0].program.kill();
        typist.until_back(&mut client, killed).await;
        settle_holder(&stage, "desk", 1).await;
        assert_eq!(client.mismatches(), 0);
    });
}

/// Waits until this gateway has a session.
async fn settle_holder(stage: &Stage, session: &str, at: usize) {
    let words = format!("this gateway has the session session=\"{session}\"");
    settle("the gateway has the session", || {
        (!stage.gateways[at].program.log().contains(&words)).then(|| stage.host_log())
    });
}

#[test]
fn a_session_that_was_started_outlives_its_gateway_and_whoever_asks_elsewhere_is_given_that_one() {
    let _alone = alone();
    run(async {
        let (mut stage, annes) = stage("outlives").await;
        let session = open(&annes[0]).await;
        assert_eq!(open(&annes[1]).await, session);
        let holder = holder(&stage, &session).await;
        let anne = &annes[1 - holder];
        let mut client = Client::connect(anne.address(&session).await.unwrap()).await.unwrap();
        until_exact(&mut client).await;
        let mut typist = Typist::default();
        typist.type_for(&mut client, Duration::from_millis(500)).await;
        let killed = Instant::now();
        stage.gateways[holder].program.kill();
        println!("exact again after {:?}", typist.until_back(&mut client, killed).await);
        assert_eq!(open(anne).await, session);
        typist.type_for(&mut client, Duration::from_millis(500)).await;
        assert_eq!(client.mismatches(), 0);
        let end = format!("/api/sessions/{session}/end");
        anne.ask(Method::POST, &end, Some(&json!({}))).await.unwrap();
        until("it has ended", &stage, anne, |record| record["running"] == json!([])).await;
        assert_eq!(stage.host_log().matches("a session is started").count(), 1, "{}", stage.host_log());
    });
}

#[test]
fn without_the_database_what_runs_goes_on_and_nothing_new_is_started() {
    let _alone = alone();
    run(async {
        let (stage, annes) = stage("lost").await;
        let session = open(&annes[0]).await;
        let mut client = Client::connect(annes[0].address(&session).await.unwrap()).await.unwrap();
        until_exact(&mut client).await;
        stage.postgres.stop();
        for anne in &annes {
            let nothing = json!({});
            let opening = anne.ask(Method::POST, "/api/applications/record/open", Some(&nothing));
            // Who is known to be signed in is given what runs.
            if let Ok(opened) = opening.await {
                assert_eq!(opened["session"], json!(session));
            }
        }
        let mut typist = Typist::default();
        typist.type_for(&mut client, Duration::from_secs(8)).await;
        until_exact(&mut client).await;
        assert_eq!((client.input_waiting(), client.mismatches()), (0, 0));
        assert_eq!(stage.host_log().matches("a session is started").count(), 1, "{}", stage.host_log());
    });
}

#[test]
fn a_session_that_ended_while_the_database_was_away_and_whose_gateways_died_has_ended_when_all_are_back() {
    let _alone = alone();
    run(async {
        let enough = std::env::temp_dir().join(format!("chevet-gateways-enough-{}", std::process::id()));
        let until_enough = format!("until [ -e {} ]; do sleep 0.1; done", enough.display());
        let application = APPLICATION.replace("stty -icanon -echo; exec cat", &until_enough);
        let (mut stage, annes) = stage_with("untold", &application).await;
        let session = open(&annes[0]).await;
        stage.postgres.stop();
        std::fs::write(&enough, "").unwrap();
        let ended = format!("a session ends session=\"{session}\"");
        settle("the program has ended", || (!stage.host_log().contains(&ended)).then(|| stage.host_log()));
        stage.gateways.iter_mut().for_each(|gateway| gateway.program.kill());
        std::fs::remove_file(&enough).unwrap();
        stage.postgres.again();
        (0..2).for_each(|at| stage.restart(at));
        for anne in &annes {
            until("it has ended", &stage, anne, |record| record["running"] == json!([])).await;
            until("another one can be had", &stage, anne, |record| record["available"] == true).await;
        }
        assert_ne!(open(&annes[1]).await, session);
    });
}
