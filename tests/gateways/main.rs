//! Several gateways that share one PostgreSQL: what becomes of those who work when one of them dies, stands still or goes.

#[path = "../store/postgres.rs"]
mod postgres;
#[path = "../x11_source/server.rs"]
#[allow(dead_code)]
mod server;
mod stage;
mod typist;

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
        assert!(stage.gateways[holder].has("desk") && !stage.gateways[1 - holder].has("desk"));
    });
}
