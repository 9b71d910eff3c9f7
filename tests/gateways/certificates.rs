//! The certificate that a host without chevet showed at first use, at one of several gateways.

use crate::stage::{Stage, until};
use crate::vnc::{Vnc, free_port, hidden};
use crate::{alone, run};
use hyper::Method;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

const CERTIFICATES: &str = "/api/admin/certificates";
const SESSIONS: &str = "/api/admin/sessions";
const SECRET: &str = "hidden-7";

/// A certificate of its own: its files, and its SHA-256.
fn certificate(folder: &Path, name: &str) -> (PathBuf, PathBuf, String) {
    let key = rcgen::KeyPair::generate().unwrap();
    let made = rcgen::CertificateParams::new(vec!["ward".to_owned()]).unwrap().self_signed(&key).unwrap();
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, made.der());
    let (certificate, key_file) =
        (folder.join(format!("{name}.pem")), folder.join(format!("{name}-key.pem")));
    std::fs::write(&certificate, made.pem()).unwrap();
    std::fs::write(&key_file, key.serialize_pem()).unwrap();
    (certificate, key_file, hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect())
}

fn server(port: u16, folder: &Path, (certificate, key, _): &(PathBuf, PathBuf, String)) -> Vnc {
    let file = folder.join("hidden");
    std::fs::write(&file, hidden(SECRET)).unwrap();
    let arguments = ["-SecurityTypes", "X509Vnc", "-PasswordFile", file.to_str().unwrap(), "-X509Cert"];
    let of = [certificate.to_str().unwrap(), "-X509Key", key.to_str().unwrap()];
    Vnc::start_at(port, "320x240", &[&arguments[..], &of].concat())
}

fn session<'a>(told: &'a Value, name: &str) -> Option<&'a Value> {
    told["sessions"].as_array()?.iter().find(|it| it["name"] == name)
}

fn live(name: &str) -> impl Fn(&Value) -> bool {
    move |told| session(told, name).is_some_and(|it| it["state"] == "live")
}

/// The session waits, for something of these words.
fn waits(name: &str, words: &str) -> impl Fn(&Value) -> bool {
    move |told| {
        let waiting = session(told, name).and_then(|it| it["waiting_for"].as_str());
        waiting.is_some_and(|waiting| waiting.contains(words))
    }
}

fn kept(told: &Value) -> Vec<(&str, &str)> {
    let all = told["certificates"].as_array().unwrap().iter();
    all.map(|it| (it["host"].as_str().unwrap(), it["fingerprint"].as_str().unwrap())).collect()
}

#[test]
fn a_certificate_that_one_gateway_has_seen_holds_at_all_until_it_is_forgotten_and_without_the_database_only_known_hosts_go_on()
 {
    let _alone = alone();
    run(async {
        let mut stage = Stage::set_with("certificates", 2, "[sign_in]\n");
        stage.add_user_who_is("boss", "administrator");
        let folder = stage.folder.clone();
        let (first, second) = (certificate(&folder, "first"), certificate(&folder, "second"));
        let (port, later) = (free_port(), free_port());
        let host = server(port, &folder, &first);
        let bosses = [stage.sign_in(0, "boss").await, stage.sign_in(1, "boss").await];
        for (name, port) in [("ward", port), ("later", later)] {
            let host = json!({
                "name": name, "title": name, "protocol": "vnc", "address": format!("127.0.0.1:{port}"),
                "credentials": "shared", "encryption": "required", "certificate": "first-use", "groups": []
            });
            let wish = json!({"host": host, "password": SECRET});
            bosses[0].ask(Method::POST, "/api/admin/remote-hosts", Some(&wish)).await.unwrap();
        }
        let told = until("the host is there", &bosses[0], SESSIONS, live("ward")).await;
        let holder = session(&told, "ward").unwrap()["gateway"].as_str().unwrap();
        let holder: usize = holder.strip_prefix("gateway-").unwrap().parse().unwrap();
        let other = 1 - holder;
        let address = format!("127.0.0.1:{port}");
        for boss in &bosses {
            let told = boss.ask(Method::GET, CERTIFICATES, None).await.unwrap();
            assert_eq!(kept(&told), [(address.as_str(), first.2.as_str())], "{told}");
        }

        // It shows another one, to the gateway that had seen it and then to the one that had not.
        drop(host);
        let host = server(port, &folder, &second);
        until("its own gateway refuses it", &bosses[other], SESSIONS, waits("ward", "has changed")).await;
        stage.gateways[holder].program.kill();
        let refused = until("another gateway refuses it, too", &bosses[other], SESSIONS, |told| {
            let there = session(told, "ward").is_some_and(|it| it["gateway"] == format!("gateway-{other}"));
            there && waits("ward", "has changed")(told)
        })
        .await;
        let reason = session(&refused, "ward").unwrap()["waiting_for"].as_str().unwrap().to_owned();
        assert!(reason.contains(&first.2) && reason.contains(&second.2), "{reason}");
        assert!(reason.contains("administrator forgets"), "{reason}");
        assert!(stage.audit(other).contains("certificate_refused"));

        // What a gateway had in its file is taken in once.
        let old = folder.join(format!("gateway-{holder}.state/known_vnc_hosts"));
        std::fs::write(&old, format!("{address} {}\nold:5900 {}\n", second.2, second.2)).unwrap();
        stage.restart(holder);
        let boss = stage.sign_in(holder, "boss").await;
        let told = boss.ask(Method::GET, CERTIFICATES, None).await.unwrap();
        assert_eq!(kept(&told), [(address.as_str(), first.2.as_str()), ("old:5900", second.2.as_str())]);
        assert!(!old.exists(), "the file is taken in once");

        let forget = |host: &str| format!("{CERTIFICATES}/vnc/{host}");
        boss.ask(Method::DELETE, &forget("old:5900"), None).await.unwrap();
        boss.ask(Method::DELETE, &forget(&address), None).await.unwrap();
        assert!(boss.ask(Method::DELETE, &forget("old:5900"), None).await.is_err(), "it is gone");
        until("the new one is believed", &bosses[other], SESSIONS, live("ward")).await;
        let told = boss.ask(Method::GET, CERTIFICATES, None).await.unwrap();
        assert_eq!(kept(&told), [(address.as_str(), second.2.as_str())]);
        let audit = stage.audit(holder);
        let by = |line: &str| line.contains("forget certificate") && line.contains("boss");
        assert!(audit.lines().any(|line| by(line) && line.contains(&first.2)), "{audit}");

        // Without the database: who is known goes on, who is not is refused.
        let told = until("both are open somewhere", &bosses[other], SESSIONS, |told| {
            session(told, "later").is_some() && live("ward")(told)
        })
        .await;
        assert_eq!(session(&told, "later").unwrap()["gateway"], format!("gateway-{other}"), "{told}");
        stage.postgres.stop();
        until("the database is away", &bosses[other], SESSIONS, |told| told["whole"] == false).await;
        drop(host);
        until("the host is away", &bosses[other], SESSIONS, |told| !live("ward")(told)).await;
        let _again = server(port, &folder, &second);
        let _new = server(later, &folder, &first);
        until("a known host comes back", &bosses[other], SESSIONS, live("ward")).await;
        let said = "database does not answer";
        until("one that is not known is refused", &bosses[other], SESSIONS, waits("later", said)).await;
    });
}
