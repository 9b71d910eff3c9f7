//! A database that was put back, more people than are asked after at once, and a gateway of several that is lost.

use crate::stage::{Plan, SOON, Stage, is_signed_in};
use crate::typist::until_exact;
use crate::{ACCEPTED, COPIED, run};
use chevet::client::Client;
use chevet::store::{ASKED, AccountCopy, NewUser, Role, Store};
use std::time::{Duration, Instant};

#[test]
fn a_home_whose_database_was_put_back_is_heard_anew_though_its_numbers_are_as_before() {
    run(async {
        let plan = Plan { of_south: COPIED, of_north: ACCEPTED, believe_minutes: 60, ..Plan::default() };
        let mut stage = Stage::set("restored", plan);
        for name in ["anne", "paul", "rosa"] {
            stage.north.user(&["add", name, "--group", "nurses"]);
        }
        for name in ["anne@north", "rosa@north"] {
            stage.south.sign_in(name).await;
        }
        let paul = stage.south.sign_in("paul@north").await;
        stage.north.stop();
        let backup = stage.north.backup();
        stage.north.user(&["disable", "anne"]);
        stage.north.start();
        stage.south.until_refused("anne@north").await;
        stage.north.stop();
        stage.north.restore(&backup);
        // As many changes as were lost, of others.
        stage.north.user(&["disable", "paul"]);
        stage.north.start();
        stage.south.sign_in("anne@north").await;
        stage.south.until_refused("paul@north").await;
        assert!(!is_signed_in(&paul).await);
        assert!(stage.south.try_sign_in("rosa@north", None).await.is_ok());
    });
}

#[test]
fn of_a_site_that_is_asked_more_people_are_looked_after_than_are_asked_for_at_once() {
    run(async {
        let of_south = "accounts = \"ask\"\nshare_groups = [\"nurses\"]";
        let plan = Plan { of_south, of_north: ACCEPTED, believe_minutes: 60, ..Plan::default() };
        let stage = Stage::set("many", plan);
        let home = Store::open(&stage.north.url()).await.unwrap();
        let away = Store::open(&stage.url).await.unwrap();
        let groups = ["nurses".to_owned()];
        // As many as there may be, and as long.
        let mut many = groups.to_vec();
        many.extend((0..63).map(|n| format!("{n:0>128}")));
        for n in 0..1_100 {
            let (id, name) = (format!("id-{n:04}"), format!("user-{n:04}"));
            let has = if (500..600).contains(&n) { &many[..] } else { &groups };
            let user = NewUser { id: &id, name: &name, title: &name, role: Role::User, groups: has };
            home.add_user(&user, 5).await.unwrap();
            let copy = AccountCopy {
                id: &format!("copy-{n:04}"),
                name: &format!("{name}@north"),
                title: &name,
                enabled: true,
                groups: &groups,
                password: None,
                totp: None,
                totp_step: 0,
                home: "north",
                home_id: &id,
                home_name: &name,
                version: ASKED,
            };
            away.keep_copy(&copy, 5).await.unwrap();
        }
        // And one of whom no site can be told.
        many.push("one too many".into());
        home.set_groups("id-0300", &many).await.unwrap();
        for n in ["0001", "0600", "1099"] {
            home.enable_user(&format!("id-{n}"), false).await.unwrap();
        }
        let end = Instant::now() + SOON;
        for n in ["1099", "0600", "0001"] {
            while away.user(&format!("copy-{n}")).await.unwrap().unwrap().enabled {
                assert!(Instant::now() < end, "it is not heard that user-{n} is locked");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        assert!(away.user("copy-0700").await.unwrap().unwrap().enabled);
        while away.user("copy-0300").await.unwrap().is_some() {
            assert!(Instant::now() < end, "it is not heard that user-0300 is not told of");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
}

#[test]
fn a_site_that_loses_one_of_its_gateways_is_heard_and_visited_at_the_other_which_hears_on_too() {
    run(async {
        let desk = "[[publish]]\nsession = \"desk\"\ngroups = [\"nurses\"]\n";
        let with_desk = format!("{desk}[[session]]\nname = \"desk\"\npattern = {{}}\n");
        let both = format!("{COPIED}\n{ACCEPTED}");
        let plan = Plan {
            south: desk,
            south_too: Some(&with_desk),
            of_south: &both,
            of_north: &both,
            believe_minutes: 60,
            ..Plan::default()
        };
        let mut stage = Stage::set("twins", plan);
        let mut too = stage.south_too.take().unwrap();
        stage.north.user(&["add", "anne", "--group", "nurses"]);
        stage.south.user(&["add", "sam", "--group", "nurses"]);
        stage.north.sign_in("sam@south").await;
        let anne = stage.north.sign_in("anne").await;
        let desk_is_reached = async || {
            let end = Instant::now() + SOON;
            loop {
                match anne.address("desk@south").await {
                    Ok(address) => return address,
                    Err(error) => assert!(Instant::now() < end, "{error}"),
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        };
        let mut client = Client::connect(desk_is_reached().await).await.unwrap();
        until_exact(&mut client).await;
        // The one that does not have the session goes, without a word.
        stage.south.stop();
        let mut another = Client::connect(desk_is_reached().await).await.unwrap();
        until_exact(&mut another).await;
        until_exact(&mut client).await;
        assert_eq!(anne.sessions().await.unwrap(), ["desk@south"]);
        // Both sites hear each other by the one that is left.
        stage.north.user(&["add", "bob", "--group", "nurses"]);
        too.sign_in("bob@north").await;
        too.user(&["disable", "sam"]);
        stage.north.until_refused("sam@south").await;
        // The other way round.
        stage.south.start();
        stage.south.sign_in("bob@north").await;
        too.stop();
        stage.north.user(&["disable", "bob"]);
        stage.south.until_refused("bob@north").await;
        stage.south.user(&["enable", "sam"]);
        stage.north.sign_in("sam@south").await;
        assert!(is_signed_in(&anne).await);
    });
}
