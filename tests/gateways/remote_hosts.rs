//! Hosts without chevet that administrators add at one of several gateways.

use crate::stage::{SOON, Stage, until};
use crate::typist::{Typist, until_exact};
use crate::vnc::{Vnc, hidden};
use crate::{alone, run};
use chevet::client::Client;
use hyper::Method;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const HOSTS: &str = "/api/admin/remote-hosts";
const WARD: &str = "/api/admin/remote-hosts/ward";
const SECRET: &str = "hidden-7";

fn vnc(server: &Vnc) -> Value {
    json!({
        "name": "ward", "title": "Ward PC", "protocol": "vnc", "address": format!("127.0.0.1:{}", server.port),
        "credentials": "shared", "encryption": "never", "groups": ["nurses"]
    })
}

fn named<'a>(told: &'a Value, list: &str, name: impl Fn(&Value) -> &Value) -> Vec<&'a Value> {
    told[list].as_array().unwrap().iter().filter(|it| name(it) == "ward").collect()
}

fn hosts(told: &Value) -> Vec<&Value> {
    named(told, "hosts", |it| &it["host"]["name"])
}

fn sessions(told: &Value) -> Vec<&Value> {
    named(told, "sessions", |it| &it["name"])
}

async fn until_size(client: &mut Client, size: (u32, u32)) {
    let shown = async {
        while client.screen().is_none_or(|screen| (screen.width(), screen.height()) != size) {
            client.next().await.unwrap();
        }
    };
    tokio::time::timeout(SOON, shown).await.expect("the screen has this size in time");
    until_exact(client).await;
}

#[test]
fn a_host_that_an_administrator_adds_at_one_gateway_is_used_changed_and_removed_at_others_and_outlives_its_gateway()
 {
    let _alone = alone();
    run(async {
        let mut stage = Stage::set_with("added", 2, "[sign_in]\n");
        let file = stage.folder.join("hidden");
        std::fs::write(&file, hidden(SECRET)).unwrap();
        let security = ["-SecurityTypes", "VncAuth", "-PasswordFile", file.to_str().unwrap()];
        let (first, second) = (Vnc::start_with("640x480", &security), Vnc::start_with("800x600", &security));
        stage.add_user_who_is("boss", "administrator");
        stage.add_user("anne");
        let bosses = [stage.sign_in(0, "boss").await, stage.sign_in(1, "boss").await];
        let annes = [stage.sign_in(0, "anne").await, stage.sign_in(1, "anne").await];

        let wish = json!({"host": vnc(&first), "password": SECRET});
        bosses[0].ask(Method::POST, HOSTS, Some(&wish)).await.unwrap();
        let refused = bosses[1].ask(Method::POST, HOSTS, Some(&wish)).await.unwrap_err().to_string();
        assert!(refused.contains("has this name"), "{refused}");
        for (boss, anne) in bosses.iter().zip(&annes) {
            let known = |told: &Value| matches!(hosts(told)[..], [it] if it["state"] != "none");
            until("every gateway knows the host", boss, HOSTS, known).await;
            until("everybody is told of it once", anne, "/api/sessions", |told| sessions(told).len() == 1)
                .await;
        }
        let told = until("somewhere it is live", &bosses[0], HOSTS, |told| {
            ["live", "elsewhere"].iter().any(|state| hosts(told)[0]["state"] == *state)
        });
        let told = told.await;
        let holder = usize::from(hosts(&told)[0]["state"] == "elsewhere");
        let other = 1 - holder;
        let mut client = Client::connect(annes[other].address("ward").await.unwrap()).await.unwrap();
        until_size(&mut client, (640, 480)).await;

        // Changed where it is not open.
        let wish = json!({"host": vnc(&second), "password": SECRET});
        bosses[other].ask(Method::PUT, WARD, Some(&wish)).await.unwrap();
        until_size(&mut client, (800, 600)).await;

        // The other one opens it with the password that was given to the first.
        let mut typist = Typist::default();
        typist.type_for(&mut client, Duration::from_millis(200)).await;
        let killed = Instant::now();
        stage.gateways[holder].program.kill();
        typist.until_back(&mut client, killed).await;
        until_size(&mut client, (800, 600)).await;
        println!("the host was opened anew and exact after {:?}", killed.elapsed());
        stage.restart(holder);
        let boss = stage.sign_in(holder, "boss").await;
        let elsewhere = |told: &Value| matches!(hosts(told)[..], [it] if it["state"] == "elsewhere");
        until("it stays where it is when its first gateway is back", &boss, HOSTS, elsewhere).await;

        // Removed where it is not open.
        boss.ask(Method::DELETE, WARD, None).await.unwrap();
        let end = async {
            loop {
                if let Err(error) = client.next().await {
                    return error.to_string();
                }
            }
        };
        let reason = tokio::time::timeout(SOON, end).await.expect("the viewer is told in time");
        assert!(reason.contains("removed this host"), "{reason}");
        for boss in [&boss, &bosses[other]] {
            until("no gateway has the host", boss, HOSTS, |told| hosts(told).is_empty()).await;
        }
        until("nobody is told of it", &annes[other], "/api/sessions", |told| sessions(told).is_empty()).await;
    });
}
