//! Several gateways that share one PostgreSQL: what becomes of those who work when one of them dies, stands still or goes.

mod certificates;
mod on_demand;
mod outside;
#[path = "../store/postgres.rs"]
mod postgres;
mod remote_hosts;
#[path = "../x11_source/server.rs"]
#[allow(dead_code)]
mod server;
mod stage;
mod typist;
mod views;
mod vnc;

use chevet::client::{Client, ClientError};
use chevet::wire::CloseCode;
use hyper::Method;
use stage::{Stage, settle};
use std::time::{Duration, Instant};
use typist::{Terminal, Typist, until_exact};

/// Times are measured here: one test after the other.
fn alone() -> tokio::sync::MutexGuard<'static, ()> {
    static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    TURN.blocking_lock()
}

fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Runtime::new().unwrap().block_on(test);
}

#[test]
fn a_typing_user_goes_on_at_another_gateway_when_theirs_is_killed_and_no_letter_is_lost_or_comes_twice() {
    let _alone = alone();
    run(async {
        let mut stage = Stage::set("killed", 3);
        let terminal = Terminal::open(&stage.folder);
        stage.host("desk", &terminal.server.display);
        let mut client = stage.client(stage.holder("desk").unwrap(), "desk").await;
        until_exact(&mut client).await;
        let mut typist = Typist::default();
        typist.type_for(&mut client, Duration::from_secs(1)).await;
        let mut took = Vec::new();
        for _ in 0..6 {
            let holder = stage.holder("desk").expect("a gateway has the session");
            let killed = Instant::now();
            stage.gateways[holder].program.kill();
            took.push(typist.until_back(&mut client, killed).await);
            stage.restart(holder);
            typist.type_for(&mut client, Duration::from_secs(1)).await;
        }
        println!("without an exact screen after a gateway's death: {took:?}");
        typist.all_arrived(&mut client, &terminal).await;
        assert_eq!(client.mismatches(), 0);
        assert!(typist.typed.len() > 200, "only {} letters were typed", typist.typed.len());
    });
}

#[test]
fn a_gateway_that_stood_still_while_its_session_went_elsewhere_has_no_say_in_it_any_more() {
    let _alone = alone();
    run(async {
        let mut stage = Stage::set("still", 2);
        let terminal = Terminal::open(&stage.folder);
        stage.host("desk", &terminal.server.display);
        let holder = stage.holder("desk").unwrap();
        let mut client = stage.client(holder, "desk").await;
        until_exact(&mut client).await;
        let mut typist = Typist::default();
        typist.type_for(&mut client, Duration::from_secs(1)).await;
        // What is typed now lies in its sockets until it goes on.
        let stopped = Instant::now();
        stage.gateways[holder].program.signal("-STOP");
        typist.until_back(&mut client, stopped).await;
        typist.type_for(&mut client, Duration::from_secs(10).saturating_sub(stopped.elapsed())).await;
        stage.gateways[holder].program.signal("-CONT");
        typist.type_for(&mut client, Duration::from_secs(2)).await;
        typist.all_arrived(&mut client, &terminal).await;
        settle("the gateway that stood still gives the session up", || {
            stage.gateways[holder].has("desk").then(|| stage.gateways[holder].program.log())
        });
        assert!(stage.gateways[1 - holder].has("desk"), "{}", stage.host_log());
        assert_eq!(client.mismatches(), 0);
    });
}

#[test]
fn whoever_dials_a_gateway_that_does_not_have_the_session_is_shown_it_where_it_is() {
    let _alone = alone();
    run(async {
        let mut stage = Stage::set("elsewhere", 2);
        let terminal = Terminal::open(&stage.folder);
        stage.host("desk", &terminal.server.display);
        let holder = stage.holder("desk").unwrap();
        let mut client = stage.client(1 - holder, "desk").await;
        until_exact(&mut client).await;
        let mut typist = Typist::default();
        typist.type_for(&mut client, Duration::from_secs(1)).await;
        typist.all_arrived(&mut client, &terminal).await;
        assert!(stage.gateways[1 - holder].tells_of("desk"));
        assert!(stage.gateways[holder].has("desk") && !stage.gateways[1 - holder].has("desk"));
    });
}

#[test]
fn whoever_is_given_the_addresses_of_several_gateways_views_at_one_that_is_there() {
    let _alone = alone();
    run(async {
        let mut stage = Stage::set("given", 2);
        let terminal = Terminal::open(&stage.folder);
        stage.host("desk", &terminal.server.display);
        let urls = [stage.url(0, "desk"), stage.url(1, "desk")];
        stage.gateways[0].program.kill();
        settle("the session goes on at the other one", || {
            (!stage.gateways[1].has("desk")).then(|| stage.host_log())
        });
        let picture = stage.folder.join("desk.png");
        let mut viewing = std::process::Command::new(env!("CARGO_BIN_EXE_chevet"));
        viewing.args(["view", "--headless", "--screenshot"]).arg(&picture).args(&urls);
        let viewed = viewing.output().unwrap();
        assert!(viewed.status.success(), "{}", String::from_utf8_lossy(&viewed.stderr));
        assert!(picture.exists());
        // One session is viewed.
        let mut viewing = std::process::Command::new(env!("CARGO_BIN_EXE_chevet"));
        viewing.args(["view", "--headless", &urls[0], &urls[1].replace("desk", "ward")]);
        let refused = viewing.output().unwrap();
        assert!(String::from_utf8_lossy(&refused.stderr).contains("different sessions"), "{refused:?}");
    });
}

#[test]
fn gateways_that_are_drained_one_after_the_other_let_nobody_see_a_blank_screen_or_lose_a_letter() {
    let _alone = alone();
    run(async {
        let mut stage = Stage::set("drained", 3);
        let terminal = Terminal::open(&stage.folder);
        stage.host("desk", &terminal.server.display);
        let mut client = stage.client(stage.holder("desk").unwrap(), "desk").await;
        until_exact(&mut client).await;
        let mut typist = Typist::default();
        typist.type_for(&mut client, Duration::from_secs(1)).await;
        let mut moved = Vec::new();
        for round in 0..4 {
            let holder = stage.holder("desk").expect("a gateway has the session");
            let (attached, began) = (typist.attached, Instant::now());
            match round % 2 {
                0 => stage.drain(holder),
                _ => stage.gateways[holder].program.signal("-TERM"),
            }
            while typist.attached == attached || stage.gateways[holder].program.ended().is_none() {
                assert!(began.elapsed() < stage::SOON, "{}", stage.gateways[holder].program.log());
                typist.strike(&mut client).await;
            }
            moved.push(began.elapsed());
            assert!(stage.gateways[holder].program.ended().unwrap().success());
            stage.restart(holder);
            typist.type_for(&mut client, Duration::from_secs(1)).await;
        }
        println!(
            "gateways that went were gone after {moved:?}; the longest pause {:?}",
            typist.longest_pause
        );
        typist.all_arrived(&mut client, &terminal).await;
        assert_eq!(typist.silences, 0, "the viewer was without a link");
        assert_eq!(typist.refused, 0, "input was not taken");
        assert_eq!(client.mismatches(), 0);
    });
}

#[test]
fn a_vnc_host_is_opened_by_one_gateway_and_by_another_one_when_that_is_gone() {
    let _alone = alone();
    run(async {
        let server = vnc::Vnc::start();
        let session = format!(
            "[[session]]\nname = \"ward\"\nvnc = {{ address = \"127.0.0.1:{}\", tls = \"never\" }}\n",
            server.port
        );
        let stage = Stage::set_with("vnc", 2, &session);
        settle("a gateway opens the host", || stage.holder("ward").is_none().then(|| "none has".into()));
        let holder = stage.holder("ward").unwrap();
        let mut client = stage.client(1 - holder, "ward").await;
        until_exact(&mut client).await;
        assert!(!stage.gateways[1 - holder].has("ward"));
        let mut typist = Typist::default();
        // One that stands still for so long has lost it.
        stage.gateways[holder].program.signal("-STOP");
        let stopped = Instant::now();
        typist.until_back(&mut client, stopped).await;
        println!("the host was opened anew and exact after {:?}", stopped.elapsed());
        stage.gateways[holder].program.signal("-CONT");
        settle("the first gateway gives the host up", || {
            (stage.gateways[holder].has("ward") || !stage.gateways[1 - holder].has("ward"))
                .then(|| stage.gateways[holder].program.log())
        });
        // Without the database whoever works goes on.
        stage.postgres.stop();
        typist.type_for(&mut client, Duration::from_secs(8)).await;
        assert_eq!(client.input_waiting(), 0);
        until_exact(&mut client).await;
        assert!(stage.gateways[1 - holder].has("ward"));
    });
}

#[test]
fn who_signed_in_at_one_gateway_works_at_another_one_and_is_out_at_all_when_they_sign_out_at_one() {
    let _alone = alone();
    run(async {
        let people = "[sign_in]\n[[publish]]\nsession = \"desk\"\nusers = [\"anne\"]\n";
        let mut stage = Stage::set_with("people", 3, people);
        let terminal = Terminal::open(&stage.folder);
        stage.add_user("anne");
        stage.bring("desk", &terminal.server.display);
        let anne = stage.sign_in(1, "anne").await;
        // The session is at the first gateway, and anne asks the second one.
        let end = Instant::now() + stage::SOON;
        let here = loop {
            let told = anne.ask(Method::GET, "/api/sessions", None).await.unwrap();
            if let Some(desk) = told["sessions"].as_array().unwrap().iter().find(|it| it["name"] == "desk") {
                break desk["elsewhere"] != true;
            }
            assert!(Instant::now() < end, "the session is not told of: {}", stage.host_log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        assert!(!here, "{}", stage.host_log());
        let mut client = Client::connect(anne.address("desk").await.unwrap()).await.unwrap();
        until_exact(&mut client).await;
        let mut typist = Typist::default();
        typist.type_for(&mut client, Duration::from_secs(1)).await;
        // The next ticket that the first gateway gave is good at the others.
        let killed = Instant::now();
        stage.gateways[0].program.kill();
        typist.until_back(&mut client, killed).await;
        typist.all_arrived(&mut client, &terminal).await;
        // Signing out at a gateway that does not have the session darkens it where it is.
        let elsewhere = stage.sign_in(1, "anne").await;
        let told = elsewhere.ask(Method::GET, "/api/sessions", None).await.unwrap();
        let desk =
            told["sessions"].as_array().unwrap().iter().find(|it| it["name"] == "desk").unwrap().clone();
        println!(
            "after the first gateway's death the session is at {}",
            if desk["elsewhere"] == true { "the third" } else { "the second" }
        );
        anne.sign_out().await.unwrap();
        let dark = async {
            loop {
                match client.next().await {
                    Err(ClientError::Closed(closed)) => return closed.code,
                    Err(error) => panic!("{error}"),
                    Ok(_) => {}
                }
            }
        };
        let code = tokio::time::timeout(stage::SOON, dark).await.expect("the screen goes dark");
        assert_eq!(code, CloseCode::SIGNED_OUT);
    });
}
