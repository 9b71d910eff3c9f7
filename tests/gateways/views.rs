//! What an administrator sees of all gateways at one of them, and does at another.

use crate::stage::{SOON, Stage, until};
use crate::typist::{Terminal, until_exact};
use crate::{alone, run};
use chevet::client::Client;
use hyper::Method;
use serde_json::{Value, json};

const EVERYBODY: &str = "[sign_in]\n[[publish]]\nsession = \"*\"\ngroups = [\"nurses\"]\n";

fn state<'a>(told: &'a Value, gateway: &str) -> &'a str {
    let listed = told["gateways"].as_array().unwrap().iter();
    listed.filter(|it| it["name"] == gateway).find_map(|it| it["state"].as_str()).unwrap_or("none")
}

fn desk(told: &Value) -> Option<&Value> {
    told["sessions"].as_array()?.iter().find(|it| it["name"] == "desk" && it["state"] == "live")
}

async fn end_of(client: &mut Client) -> String {
    let end = async {
        loop {
            if let Err(error) = client.next().await {
                return error.to_string();
            }
        }
    };
    tokio::time::timeout(SOON, end).await.expect("the viewer's link ends in time")
}

#[test]
fn an_administrator_sees_every_gateway_at_each_and_acts_on_another_ones_sessions_and_is_told_who_is_gone() {
    let _alone = alone();
    run(async {
        let mut stage = Stage::set_with("views", 3, EVERYBODY);
        let terminal = Terminal::open(&stage.folder);
        stage.bring("desk", &terminal.server.display);
        stage.add_user_who_is("boss", "administrator");
        stage.add_user_who_is("carl", "auditor");
        stage.add_user("anne");
        let boss = stage.sign_in(0, "boss").await;
        let told =
            until("a gateway has the session", &boss, "/api/admin/sessions", |told| desk(told).is_some());
        let holder = desk(&told.await).unwrap()["gateway"].as_str().unwrap().to_owned();
        let held: usize = holder.strip_prefix("gateway-").unwrap().parse().unwrap();
        let asked = (held + 1) % 3;
        let third = (held + 2) % 3;
        let boss = stage.sign_in(asked, "boss").await;
        let anne = stage.sign_in(held, "anne").await;
        let mut client = Client::connect(anne.address("desk").await.unwrap()).await.unwrap();
        until_exact(&mut client).await;

        let told = until("the viewer is seen", &boss, "/api/admin/sessions", |told| {
            desk(told).is_some_and(|it| it["viewers"].as_array().is_some_and(|all| all.len() == 1))
        })
        .await;
        assert_eq!(desk(&told).unwrap()["viewers"][0]["title"], "anne", "{told}");
        assert_eq!(told["whole"], true);
        let told = until("all are there, and one has the viewer", &boss, "/api/admin/gateways", |told| {
            let all = told["gateways"].as_array().unwrap();
            all.len() == 3 && all.iter().all(|it| it["state"] == "there" && it["version"].is_string())
        })
        .await;
        let of = |name: &str| told["gateways"].as_array().unwrap().iter().find(|it| it["name"] == name);
        assert_eq!(of(&holder).unwrap()["viewers"], 1, "{told}");
        assert_eq!(of(&format!("gateway-{third}")).unwrap()["viewers"], 0, "{told}");
        assert_eq!(of(&format!("gateway-{asked}")).unwrap()["here"], true, "{told}");

        // Who may only read ends nothing, here or there; and there is nothing at a gateway that is not.
        let end = format!("/api/admin/sessions/desk/end?gateway={holder}");
        let wish = json!({"reason": "the ward closes"});
        let carl = stage.sign_in(asked, "carl").await;
        assert!(carl.ask(Method::POST, &end, Some(&wish)).await.is_err());
        let nowhere = "/api/admin/sessions/desk/end?gateway=gateway-9";
        let refused = boss.ask(Method::POST, nowhere, Some(&wish)).await.unwrap_err().to_string();
        assert!(refused.contains("no such gateway"), "{refused}");
        let none = "/api/admin/sessions/nothing/end";
        assert!(boss.ask(Method::POST, none, Some(&wish)).await.is_err());

        let told = boss.ask(Method::POST, &end, Some(&wish)).await.unwrap();
        assert_eq!(told["viewers"], 1);
        let reason = end_of(&mut client).await;
        assert!(reason.contains("the ward closes"), "{reason}");
        let audit = stage.audit(held);
        let by = |line: &&str| line.contains("end viewer") && line.contains("boss");
        let record = audit.lines().find(by).unwrap_or_else(|| panic!("nobody ended it in\n{audit}"));
        assert!(record.contains(&format!("asked at gateway gateway-{asked}")), "{record}");
        assert!(stage.audit(asked).contains(&format!("at gateway {holder}")));

        stage.gateways[third].program.kill();
        let gone = format!("gateway-{third}");
        until("one is gone", &boss, "/api/admin/gateways", |told| state(told, &gone) == "gone").await;
        let drain = format!("/api/admin/gateways/{gone}/drain");
        assert!(boss.ask(Method::POST, &drain, None).await.is_err(), "what is gone is not drained");

        let mut client = Client::connect(anne.address("desk").await.unwrap()).await.unwrap();
        until_exact(&mut client).await;
        let watching = tokio::spawn(async move { while client.next().await.is_ok() {} });
        let drain = format!("/api/admin/gateways/{holder}/drain");
        boss.ask(Method::POST, &drain, None).await.unwrap();
        let here = format!("gateway-{asked}");
        until("the session goes on here, and its viewer with it", &boss, "/api/admin/sessions", |told| {
            desk(told).is_some_and(|it| it["gateway"] == here.as_str() && it["viewers"][0]["title"] == "anne")
        })
        .await;
        crate::settle("it ends", || stage.gateways[held].program.ended().is_none().then(String::new));
        let own = format!("/api/admin/gateways/gateway-{asked}/drain");
        let refused = boss.ask(Method::POST, &own, None).await.unwrap_err().to_string();
        assert!(refused.contains("no other gateway"), "{refused}");

        stage.postgres.stop();
        let told =
            until("the database is away", &boss, "/api/admin/gateways", |told| told["database"] == false)
                .await;
        assert_eq!(told["gateways"].as_array().unwrap().len(), 1, "{told}");
        let told = boss.ask(Method::GET, "/api/admin/sessions", None).await.unwrap();
        assert_eq!(told["whole"], false);
        assert_eq!(desk(&told).unwrap()["viewers"].as_array().unwrap().len(), 1, "{told}");
        let end = "/api/admin/sessions/desk/end";
        assert!(boss.ask(Method::POST, end, Some(&wish)).await.is_err(), "nothing is changed without it");
        assert!(!watching.is_finished(), "the viewer goes on");
    });
}

fn host(told: &Value) -> Option<&Value> {
    told["hosts"].as_array()?.iter().find(|it| it["name"] == "app-1")
}

#[test]
fn an_administrator_at_a_gateway_without_a_host_drains_it_and_ends_what_runs_on_it_at_another() {
    let _alone = alone();
    run(async {
        let application = "[[application]]\nname = \"record\"\ntitle = \"Record\"\nhosts = [\"app-1\"]\n\
                           users = [\"anne\"]\n\
                           command = [\"xterm\", \"-bg\", \"#306090\", \"-e\", \"sleep\", \"600\"]\n";
        let mut stage = Stage::set_with("hosts", 2, &format!("{EVERYBODY}{application}"));
        stage.add_user_who_is("boss", "administrator");
        stage.add_user("anne");
        stage.offer("app-1", "anne", "record", &[0]);
        let (boss, anne) = (stage.sign_in(1, "boss").await, stage.sign_in(0, "anne").await);
        let hosts = "/api/admin/hosts";
        until("the host is seen where it has no link", &boss, hosts, |told| {
            host(told).is_some_and(|it| it["connected"] == true && it["gateways"] == json!(["gateway-0"]))
        })
        .await;
        let mut client = Client::connect(anne.address("record").await.unwrap()).await.unwrap();
        until_exact(&mut client).await;
        let running = |told: &Value| {
            let mut all = told["sessions"].as_array().unwrap().iter();
            all.find(|it| it["application"] == "record").cloned()
        };
        let told = until("its session is seen", &boss, "/api/admin/sessions", |told| {
            running(told).is_some_and(|it| it["viewers"][0]["title"] == "anne")
        })
        .await;
        let session = running(&told).unwrap();
        assert_eq!(
            (&session["gateway"], &session["host"]),
            (&json!("gateway-0"), &json!("app-1")),
            "{session}"
        );
        assert_eq!(host(&boss.ask(Method::GET, hosts, None).await.unwrap()).unwrap()["sessions"], 1);

        let drain = "/api/admin/hosts/app-1/drain";
        boss.ask(Method::POST, drain, Some(&json!({"drained": true}))).await.unwrap();
        let told_of = async {
            loop {
                if let chevet::client::Event::Message(text) = client.next().await.unwrap() {
                    return text;
                }
            }
        };
        let told = tokio::time::timeout(SOON, told_of).await.expect("who works there is told");
        assert!(!told.is_empty());
        let name = session["name"].as_str().unwrap();
        let terminate = format!("/api/admin/sessions/{name}/terminate");
        boss.ask(Method::POST, &terminate, Some(&json!({"reason": "the host is mended"}))).await.unwrap();
        let reason = end_of(&mut client).await;
        assert!(reason.contains("the host is mended"), "{reason}");
        until("it runs no longer", &boss, "/api/admin/sessions", |told| running(told).is_none()).await;
        let audit = stage.audit(0);
        let by = |line: &&str| line.contains("end session") && line.contains("asked at gateway gateway-1");
        assert!(audit.lines().find(by).is_some_and(|line| line.contains("boss")), "{audit}");
    });
}
