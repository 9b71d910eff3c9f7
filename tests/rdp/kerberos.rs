//! Network level authentication by Kerberos: MIT's KDC gives the tickets, MIT's GSSAPI accepts them, and xrdp shows a desktop
//! behind that.

use crate::peers::{Desktop, Folder, Shadow, Xrdp, certificate, free_port};
use crate::realm::{Host, REALM, Realm, settings};
use crate::server::{Program, Server};
use crate::session::scribble;
use crate::{Shown, nla_settings, show};
use chevet::source::rdp::{KerberosSettings, KnownHosts, Login, Notice, RdpConfig, RdpSettings, SignIn};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

fn kerberos_settings(port: u16, kerberos: KerberosSettings) -> RdpSettings {
    RdpSettings { kerberos: Some(kerberos), ..nla_settings(port) }
}

fn refusals(shown: &Shown) -> usize {
    let notices = shown.notices.lock().unwrap();
    notices.iter().filter(|notice| matches!(notice, Notice::SignInRefused { .. })).count()
}

#[test]
fn a_ticket_opens_the_session_and_the_host_knows_who_it_is() {
    let desktop = Desktop::start(800, 600);
    scribble(&desktop.display, 3, 40);
    let xrdp = Xrdp::start(&desktop);
    let realm = Realm::start();
    let host = Host::start(&realm.keytab("keytab"), &xrdp);
    let mut shown = show(kerberos_settings(host.port, realm.settings()), "right", (800, 600));
    shown.wait_live();
    assert_eq!(
        host.told(),
        serde_json::json!({
            "principal": format!("nurse@{REALM}"), "service": format!("TERMSRV/localhost@{REALM}"),
            "mechanism": "1.2.840.113554.1.2.2", "mutual": true,
            "domain": REALM, "user": "nurse", "password": "right",
        })
    );
    assert_eq!(shown.source.report().sign_in, SignIn::Kerberos);
    shown.expect_same(&desktop.display);
    let log = realm.log();
    assert!(
        log.contains("TGS_REQ") && log.contains(&format!("nurse@{REALM} for TERMSRV/localhost@{REALM}")),
        "{log}"
    );
}

#[test]
fn a_password_that_the_kdc_refuses_is_not_tried_again_until_it_changes_and_never_by_ntlm() {
    let desktop = Desktop::start(640, 480);
    let xrdp = Xrdp::start(&desktop);
    let realm = Realm::start();
    let host = Host::start(&realm.keytab("keytab"), &xrdp);
    let kerberos = KerberosSettings { ntlm: true, ..realm.settings() };
    let mut shown = show(kerberos_settings(host.port, kerberos), "wrong", (640, 480));
    let reason = shown.wait_reason();
    assert!(reason.contains("password is wrong") && reason.contains("not tried again"), "{reason}");
    // Long enough for several tries, if there were any.
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!(refusals(&shown), 1);
    assert_eq!(realm.log().matches("PREAUTH_FAILED").count(), 1, "{}", realm.log());
    *shown.password.lock().unwrap() = "right".into();
    shown.wait_live();
    assert_eq!(shown.source.report().sign_in, SignIn::Kerberos);
    // The connection that ended for want of a ticket, and the one that is live: no token for NTLM in between.
    let told: Vec<_> = std::iter::once(host.told()).chain(host.rest()).collect();
    assert!(
        told.iter()
            .all(|told| told["failure"] == "EOFError: the client went away" || told["password"] == "right"),
        "{told:?}"
    );
}

#[test]
fn a_kdc_that_is_down_is_told_of_and_tried_again_until_it_is_there() {
    let desktop = Desktop::start(640, 480);
    let xrdp = Xrdp::start(&desktop);
    let mut realm = Realm::stopped();
    let host = Host::start(&realm.keytab("keytab"), &xrdp);
    let mut shown = show(kerberos_settings(host.port, realm.settings()), "right", (640, 480));
    for _ in 0..2 {
        let reason = shown.wait_reason();
        assert!(reason.contains("no KDC of CLINIC.EXAMPLE can be reached"), "{reason}");
        assert!(reason.contains(&realm.port.to_string()) && reason.contains("trying again"), "{reason}");
    }
    assert_eq!(refusals(&shown), 0);
    realm.run();
    shown.wait_live();
    assert_eq!(shown.source.report().sign_in, SignIn::Kerberos);
}

#[test]
fn the_next_kdc_is_asked_when_the_first_ones_are_down_or_say_nothing() {
    let desktop = Desktop::start(640, 480);
    let xrdp = Xrdp::start(&desktop);
    let realm = Realm::start();
    let host = Host::start(&realm.keytab("keytab"), &xrdp);
    let (down, silent) = (free_port(), kdc_that_says(Vec::new()));
    let kdc = format!("127.0.0.1:{down}, 127.0.0.1:{silent}, tcp://127.0.0.1:{}", realm.port);
    let mut shown =
        show(kerberos_settings(host.port, KerberosSettings { kdc, ..realm.settings() }), "right", (640, 480));
    shown.wait_live();
    assert_eq!(shown.source.report().sign_in, SignIn::Kerberos);
}

#[test]
fn what_the_realm_does_not_know_or_do_is_said_with_what_to_do() {
    let desktop = Desktop::start(640, 480);
    let xrdp = Xrdp::start(&desktop);
    let realm = Realm::start();
    realm.add("unsafe", "-requires_preauth -pw right");
    realm.add("locked", "+requires_preauth -allow_tix -pw right");
    realm.add("old", "+requires_preauth +needchange -pw right");
    let host = Host::start(&realm.keytab("keytab"), &xrdp);
    let by = |change: &dyn Fn(&mut RdpSettings)| {
        let mut settings = kerberos_settings(host.port, realm.settings());
        change(&mut settings);
        show(settings, "right", (640, 480)).wait_reason()
    };
    let user = |name: &str| by(&|settings| settings.user = name.into());
    let reason = user("nobody");
    assert!(reason.contains("does not know this user") && reason.contains("not tried again"), "{reason}");
    let reason = user("locked");
    assert!(reason.contains("locked or disabled") && reason.contains("not tried again"), "{reason}");
    let reason = user("old");
    assert!(reason.contains("password has expired") && reason.contains("not tried again"), "{reason}");
    let reason = user("unsafe");
    assert!(reason.contains("without pre-authentication") && reason.contains("trying again"), "{reason}");
    let reason = by(&|settings| settings.address = format!("127.0.0.1:{}", host.port));
    assert!(reason.contains("knows no TERMSRV/127.0.0.1") && reason.contains("trying again"), "{reason}");
    let reason = by(&|settings| settings.kerberos.as_mut().unwrap().realm = "OTHER.EXAMPLE".into());
    assert!(reason.contains("OTHER.EXAMPLE"), "{reason}");
}

#[test]
fn ntlm_does_instead_where_it_may_and_not_where_it_may_not() {
    let server = Server::start(Program::Xvfb, 640, 480, 24);
    let shadow = Shadow::start(&server.display);
    let nowhere = settings(free_port());
    let mut refused = show(kerberos_settings(shadow.port, nowhere.clone()), "right", (640, 480));
    let reason = refused.wait_reason();
    assert!(reason.contains("no KDC"), "{reason}");
    let allowed = KerberosSettings { ntlm: true, ..nowhere };
    let mut shown = show(kerberos_settings(shadow.port, allowed), "right", (640, 480));
    shown.wait_live();
    assert_eq!(shown.source.report().sign_in, SignIn::Ntlm);
    assert_eq!(refused.source.report().sign_in, SignIn::OnScreen);
}

#[test]
fn somebody_between_the_host_and_its_ticket_does_not_get_the_password() {
    let desktop = Desktop::start(640, 480);
    let xrdp = Xrdp::start(&desktop);
    let realm = Realm::start();
    let other = Folder::new("other-certificate");
    certificate(other.path());
    let other = other.path().join("cert.pem").display().to_string();
    let host = Host::start_with(&realm.keytab("keytab"), &xrdp, &["--bind-to", &other]);
    let mut shown = show(kerberos_settings(host.port, realm.settings()), "right", (640, 480));
    let reason = shown.wait_reason();
    assert!(reason.contains("somebody may be in between"), "{reason}");
    assert_eq!(host.told(), serde_json::json!({"bound": "to another TLS"}));
    assert_eq!(host.told(), serde_json::json!({"failure": "EOFError: the client went away"}));
}

#[test]
fn a_host_with_another_key_than_the_realm_has_for_it_gets_no_password_and_is_tried_again() {
    let desktop = Desktop::start(640, 480);
    let xrdp = Xrdp::start(&desktop);
    let realm = Realm::start();
    let host = Host::start(&realm.keytab("old-keytab"), &xrdp);
    realm.order("cpw -randkey TERMSRV/localhost");
    let mut shown = show(kerberos_settings(host.port, realm.settings()), "right", (640, 480));
    let reason = shown.wait_reason();
    assert!(reason.contains("its key in the realm") && reason.contains("trying again"), "{reason}");
    assert!(host.told()["failure"].as_str().unwrap().contains("GSSError"));
    assert_eq!(refusals(&shown), 0);
}

#[test]
fn a_host_that_lets_the_user_in_by_ticket_and_then_not_is_not_asked_again() {
    let desktop = Desktop::start(640, 480);
    let xrdp = Xrdp::start(&desktop);
    let realm = Realm::start();
    let keytab = realm.keytab("keytab");
    let host = Host::start_with(&keytab, &xrdp, &["--early-result", "5"]);
    let mut shown = show(kerberos_settings(host.port, realm.settings()), "right", (640, 480));
    let reason = shown.wait_reason();
    assert!(
        reason.contains("may not sign in there remotely") && reason.contains("not tried again"),
        "{reason}"
    );
    let host = Host::start_with(&keytab, &xrdp, &["--early-result", "0"]);
    let mut shown = show(kerberos_settings(host.port, realm.settings()), "right", (640, 480));
    shown.wait_live();
    assert_eq!(shown.source.report().sign_in, SignIn::Kerberos);
}

#[test]
fn the_clock_that_counts_is_the_realms() {
    let desktop = Desktop::start(640, 480);
    let xrdp = Xrdp::start(&desktop);
    let realm = Realm::start_with_clock("+2h");
    let keytab = realm.keytab("keytab");
    // A host by this machine's clock finds the ticket of a realm by another one not valid.
    let host = Host::start(&keytab, &xrdp);
    let mut shown = show(kerberos_settings(host.port, realm.settings()), "right", (640, 480));
    let reason = shown.wait_reason();
    assert!(reason.contains("its clock") && reason.contains("trying again"), "{reason}");
    let host = Host::start_with_clock("+2h", &keytab, &xrdp);
    let mut shown = show(kerberos_settings(host.port, realm.settings()), "right", (640, 480));
    shown.wait_live();
    assert_eq!(shown.source.report().sign_in, SignIn::Kerberos);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_says_how_it_was_signed_in() {
    let desktop = Desktop::start(640, 480);
    let xrdp = Xrdp::start(&desktop);
    let realm = Realm::start();
    let host = Host::start(&realm.keytab("keytab"), &xrdp);
    let config = RdpConfig {
        settings: kerberos_settings(host.port, realm.settings()),
        keyring: Arc::new(|| {
            Ok(Login { user: "nurse".into(), domain: String::new(), password: "right".to_owned().into() })
        }),
        known: Arc::new(KnownHosts::new(None)),
        size: (640, 480),
        notify: Arc::new(|_| {}),
    };
    let seen = chevet::source::check::rdp(config, Duration::ZERO).await.unwrap();
    let expected = ("sign-in", "network level authentication (Kerberos)".to_owned());
    assert!(seen.lines.contains(&expected), "{:?}", seen.lines);
}

/// A KDC that reads what it is asked, says this, and then says nothing more but holds the line.
fn kdc_that_says(answer: Vec<u8>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let mut held = Vec::new();
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let _ = stream.read(&mut [0; 4_096]);
            let _ = stream.write_all(&answer);
            held.push(stream);
        }
    });
    port
}

#[test]
fn kdcs_that_lie_cost_little_and_are_told_of() {
    let desktop = Desktop::start(640, 480);
    let xrdp = Xrdp::start(&desktop);
    let realm = Realm::stopped();
    let host = Host::start(&realm.keytab("keytab"), &xrdp);
    let noise: Vec<u8> = (0..4_096_u32).map(|at| (at.wrapping_mul(0x9e37_79b9) >> 24) as u8).collect();
    let answers: [(Vec<u8>, &str); 8] = [
        // Four gigabytes announced, and a megabyte.
        (vec![0xff; 4_096], "something else than Kerberos"),
        (vec![0, 0x10, 0, 0, 0x7e], "something else than Kerberos"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), "something else than Kerberos"),
        (vec![0, 0, 0, 0], "something else than Kerberos"),
        ([&[0, 0, 0x10, 0][..], &noise].concat(), "something else than Kerberos"),
        // A refusal whose parts are longer than it is, and one that is nothing but a code: a lie about the password.
        (vec![0, 0, 0, 8, 0x7e, 6, 0x30, 4, 0xa6, 0x7f, 2, 1], "something else than Kerberos"),
        (vec![0, 0, 0, 9, 0x7e, 7, 0x30, 5, 0xa6, 3, 2, 1, 60], "error 60"),
        // What it wants first, without the rest of the message.
        (vec![0, 0, 0, 9, 0x7e, 7, 0x30, 5, 0xa6, 3, 2, 1, 25], "something else than Kerberos"),
    ];
    for (answer, expected) in answers {
        let kerberos = settings(kdc_that_says(answer.clone()));
        let mut shown = show(kerberos_settings(host.port, kerberos), "right", (640, 480));
        let reason = shown.wait_reason();
        assert!(reason.contains(expected) && reason.contains("trying again"), "{answer:02x?}: {reason}");
        assert_eq!(refusals(&shown), 0);
    }
    assert!(host.rest().iter().all(|told| told["failure"] == "EOFError: the client went away"));
}

#[test]
fn a_kdc_that_says_nothing_or_half_of_it_is_given_up_after_a_while() {
    let desktop = Desktop::start(640, 480);
    let xrdp = Xrdp::start(&desktop);
    let realm = Realm::stopped();
    let host = Host::start(&realm.keytab("keytab"), &xrdp);
    let mut shown: Vec<_> = [vec![], vec![0, 0], vec![0, 0, 0, 200, 0x7e]]
        .map(|answer| {
            show(kerberos_settings(host.port, settings(kdc_that_says(answer))), "right", (640, 480))
        })
        .into();
    for shown in &mut shown {
        let reason = shown.wait_reason();
        assert!(reason.contains("it does not answer") && reason.contains("trying again"), "{reason}");
    }
}
