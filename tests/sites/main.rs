//! Two sites with databases of their own: people roam between them, are cut off, and what was decided meanwhile takes effect.

mod browsers;
#[path = "../end_to_end/drawing.rs"]
#[allow(dead_code)]
mod drawing;
mod hostile;
mod mended;
#[path = "../store/postgres.rs"]
mod postgres;
#[path = "../x11_source/server.rs"]
#[allow(dead_code)]
mod server;
mod stage;
#[path = "../gateways/typist.rs"]
#[allow(dead_code)]
mod typist;

use chevet::client::{Client, ClientError, SignInFailed};
use chevet::identity::TotpSecret;
use chevet::store::Store;
use chevet::wire::CloseCode;
use hyper::Method;
use serde_json::Value;
use stage::{Plan, SOON, Stage, is_signed_in, settle};
use std::time::{Duration, Instant};
use typist::{Terminal, Typist, until_exact};

fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Runtime::new().unwrap().block_on(test);
}

const COPIED: &str = "accounts = \"copy\"\nshare_groups = [\"nurses\"]";
const ACCEPTED: &str = "accept_groups = [\"nurses\"]";

#[test]
fn whoever_is_of_one_site_signs_in_at_the_other_and_only_their_own_site_changes_them() {
    run(async {
        let plan = Plan { of_south: COPIED, of_north: ACCEPTED, believe_minutes: 60, ..Plan::default() };
        let stage = Stage::set("roam", plan);
        stage.north.user(&["add", "anne", "--group", "nurses", "--group", "north-choir"]);
        stage.north.user(&["add", "eve", "--group", "cooks"]);
        stage.south.user(&["add", "eve", "--group", "nurses"]);
        // By the full name, and by the short one as long as nobody else has it.
        let anne = stage.south.sign_in("anne@north").await;
        let me: Value = anne.ask(Method::GET, "/api/me", None).await.unwrap();
        assert_eq!(me["user"]["name"], "anne@north");
        assert_eq!(me["user"]["groups"], serde_json::json!(["nurses"]), "other groups mean nothing here");
        assert!(stage.south.try_sign_in("anne", None).await.is_ok());
        assert!(stage.south.try_sign_in("eve@north", None).await.is_err(), "she is not for this site");
        settle("the sign-in is recorded with the copy's age", || {
            let audit = stage.south.audit();
            (!audit.contains("by a copy of north's account")).then_some(audit)
        });
        stage.south.user(&["add", "anne", "--group", "cooks"]);
        let other = stage.south.sign_in("anne").await;
        let me: Value = other.ask(Method::GET, "/api/me", None).await.unwrap();
        assert_eq!(me["user"]["name"], "anne", "the site's own user comes first");
        let refused = stage.south.user_refused(&["groups", "anne@north", "surgeons"]);
        assert!(refused.contains("north"), "{refused}");
        // A group is taken away: she is not for the other site any more, and out at once.
        stage.north.user(&["groups", "anne", "north-choir"]);
        stage.south.until_refused("anne@north").await;
        assert!(!is_signed_in(&anne).await);
        assert!(is_signed_in(&other).await);
    });
}

#[test]
fn a_site_that_is_cut_off_believes_its_copies_for_so_long_and_then_hears_who_was_locked_out() {
    run(async {
        let plan = Plan { of_south: COPIED, of_north: ACCEPTED, believe_minutes: 60, ..Plan::default() };
        let mut stage = Stage::set("cut", plan);
        for name in ["anne", "paul", "rosa"] {
            stage.north.user(&["add", name, "--group", "nurses"]);
        }
        stage.south.user(&["add", "sam", "--group", "nurses"]);
        let (anne, paul, rosa) = (
            stage.south.sign_in("anne@north").await,
            stage.south.sign_in("paul@north").await,
            stage.south.sign_in("rosa@north").await,
        );
        stage.north.stop();
        // Cut off: who works goes on, who comes is let in by the copy.
        assert!(stage.south.try_sign_in("anne@north", None).await.is_ok());
        assert!(stage.south.try_sign_in("sam", None).await.is_ok());
        assert!(is_signed_in(&anne).await);
        // Meanwhile at home. A gateway need not run for that.
        stage.north.user(&["disable", "anne"]);
        stage.north.user(&["remove", "paul"]);
        assert!(is_signed_in(&anne).await && is_signed_in(&paul).await);
        stage.north.start();
        let end = Instant::now() + SOON;
        while is_signed_in(&anne).await || is_signed_in(&paul).await {
            assert!(Instant::now() < end, "who was locked out is still signed in");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert!(is_signed_in(&rosa).await);
        assert!(stage.south.try_sign_in("anne@north", None).await.is_err());
        assert!(stage.south.try_sign_in("paul@north", None).await.is_err());
        settle("what was reconciled is recorded", || {
            let audit = stage.south.audit();
            (!audit.contains("locked at its own site") || !audit.contains("removed at its own site"))
                .then_some(audit)
        });
    });
}

#[test]
fn a_site_that_believes_no_copies_lets_nobody_of_a_site_in_that_it_cannot_reach() {
    run(async {
        let plan = Plan { of_south: COPIED, of_north: ACCEPTED, believe_minutes: 0, ..Plan::default() };
        let mut stage = Stage::set("strict", plan);
        stage.north.user(&["add", "anne", "--group", "nurses"]);
        stage.south.user(&["add", "sam", "--group", "nurses"]);
        let anne = stage.south.sign_in("anne@north").await;
        stage.north.stop();
        let reason = stage.south.until_refused("anne@north").await;
        assert!(reason.contains("north"), "{reason}");
        assert!(is_signed_in(&anne).await, "who works goes on");
        assert!(stage.south.try_sign_in("sam", None).await.is_ok(), "its own users come in");
        stage.north.start();
        stage.south.sign_in("anne@north").await;
    });
}

#[test]
fn a_site_that_wants_to_be_asked_gives_no_hash_away_and_is_asked_at_each_sign_in() {
    run(async {
        let plan = Plan {
            of_south: "accounts = \"ask\"\nshare_groups = [\"nurses\"]",
            of_north: ACCEPTED,
            believe_minutes: 60,
            ..Plan::default()
        };
        let mut stage = Stage::set("ask", plan);
        stage.north.user(&["add", "anne", "--group", "nurses"]);
        stage.north.user(&["add", "eve", "--group", "cooks"]);
        let anne = stage.south.sign_in("anne@north").await;
        let listed = stage.south.user(&["list"]);
        assert!(listed.contains("anne@north") && !listed.contains("eve"), "{listed}");
        assert!(stage.south.try_sign_in("eve@north", None).await.is_err());
        assert!(is_signed_in(&anne).await);
        stage.north.stop();
        let reason = stage.south.until_refused("anne@north").await;
        assert!(reason.contains("cannot be reached"), "{reason}");
        stage.north.user(&["disable", "anne"]);
        stage.north.start();
        let end = Instant::now() + SOON;
        while is_signed_in(&anne).await {
            assert!(Instant::now() < end, "who was locked out is still signed in");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
}

#[test]
fn a_one_time_code_that_was_used_at_one_site_is_of_no_use_at_the_other() {
    run(async {
        let plan = Plan { of_south: COPIED, of_north: ACCEPTED, believe_minutes: 60, ..Plan::default() };
        let stage = Stage::set("codes", plan);
        stage.north.user(&["add", "anne", "--group", "nurses"]);
        let home = Store::open(&stage.north.url()).await.unwrap();
        let away = Store::open(&stage.url).await.unwrap();
        let anne = home.user_named("anne").await.unwrap().unwrap();
        let secret = TotpSecret::new("anne");
        home.set_totp(&anne.id, Some(&secret.seal(&anne.id, &stage.north.keys()))).await.unwrap();
        let end = Instant::now() + SOON;
        while away.user_named("anne@north").await.unwrap().is_none_or(|copy| !copy.has_totp) {
            assert!(Instant::now() < end, "the second factor is not copied");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let now = chevet::clock::unix_ms();
        let code = secret.code_at(now);
        assert!(matches!(stage.south.try_sign_in("anne@north", None).await, Err(SignInFailed::CodeNeeded)));
        stage.south.try_sign_in("anne@north", Some(&code)).await.unwrap();
        let used = async || home.accounts_since(0, 100).await.unwrap().1[0].0.totp_step;
        let end = Instant::now() + SOON;
        while used().await == 0 {
            assert!(Instant::now() < end, "the code's use is not told at home");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert!(stage.north.try_sign_in("anne", Some(&code)).await.is_err());
        // The other way round, with the next code.
        let (next, before) = (secret.code_at(now + 30_000), used().await);
        stage.north.try_sign_in("anne", Some(&next)).await.unwrap();
        let end = Instant::now() + SOON;
        while away.codes_used_by("north", before, 10).await.unwrap().is_empty() {
            assert!(Instant::now() < end, "the code's use is not told at the other site");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert!(stage.south.try_sign_in("anne@north", Some(&next)).await.is_err());
        // A copy of an older page takes nothing back.
        assert!(used().await > before);
    });
}

#[test]
fn a_session_is_opened_from_another_site_at_its_own_gateway_and_goes_dark_when_its_user_signs_out_there() {
    run(async {
        let folder = std::env::temp_dir().join(format!("chevet-sites-terminal-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let terminal = Terminal::open(&folder);
        let north = format!(
            "[[publish]]\nsession = \"desk\"\ngroups = [\"nurses\"]\n[[publish]]\nsession = \"vault\"\n\
             groups = [\"cooks\"]\n[[session]]\nname = \"desk\"\ndisplay = {:?}\n[[session]]\nname = \"vault\"\n\
             pattern = {{}}\n",
            terminal.server.display
        );
        let both = format!("{COPIED}\n{ACCEPTED}");
        let plan =
            Plan { north: &north, of_south: &both, of_north: &both, believe_minutes: 60, ..Plan::default() };
        let mut stage = Stage::set("open", plan);
        // One is of the site that has the session, the other one of that where both sign in.
        stage.north.user(&["add", "anne", "--group", "nurses"]);
        stage.south.user(&["add", "sam", "--group", "nurses", "--group", "cooks"]);
        stage.south.user(&["add", "eve", "--group", "cooks"]);
        let eve = stage.south.sign_in("eve").await;
        assert_eq!(eve.sessions().await.unwrap(), Vec::<String>::new());
        assert!(eve.address("vault@north").await.is_err(), "a group that does not count there");
        for name in ["anne@north", "sam"] {
            let person = stage.south.sign_in(name).await;
            let end = Instant::now() + SOON;
            while person.sessions().await.unwrap() != ["desk@north"] {
                assert!(Instant::now() < end, "{name} is not shown the session");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            assert!(person.address("vault@north").await.is_err());
            let address = person.address("desk@north").await.unwrap();
            assert_eq!(address.target.tcp_port, Some(stage.north.port), "the session stays where it is");
            let mut client = Client::connect(address).await.unwrap();
            until_exact(&mut client).await;
            let mut typist = Typist::default();
            let before = terminal.arrived().len();
            typist.type_for(&mut client, Duration::from_secs(1)).await;
            settle("what is typed arrives", || {
                let arrived = terminal.arrived();
                (arrived[before..] != typist.typed).then_some(arrived)
            });
            until_exact(&mut client).await;
            assert_eq!(client.mismatches(), 0);
            person.sign_out().await.unwrap();
            let dark = async {
                loop {
                    match client.next().await {
                        Err(ClientError::Closed(closed)) => return closed.code,
                        Err(error) => panic!("{error}"),
                        Ok(_) => {}
                    }
                }
            };
            let code = tokio::time::timeout(SOON, dark).await.expect("the screen goes dark");
            assert_eq!(code, CloseCode::SIGNED_OUT);
        }
        // A site that is away is named, and does not keep the list waiting.
        let sam = stage.south.sign_in("sam").await;
        stage.north.stop();
        let told: Value = sam.ask(Method::GET, "/api/sessions", None).await.unwrap();
        assert_eq!(told["cut_off"], serde_json::json!(["north"]));
        let refused = sam.address("desk@north").await.err().unwrap().to_string();
        assert!(refused.contains("north"), "{refused}");
        std::fs::remove_dir_all(folder).unwrap();
    });
}
