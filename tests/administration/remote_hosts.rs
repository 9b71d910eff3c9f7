//! Hosts without chevet (Debian packages tigervnc-standalone-server, xrdp): added, tested, changed and removed while the
//! gateway runs.

use crate::server::{Folder, Server, free_port, hidden, text};
#[cfg(feature = "rdp")]
use crate::stage::sign_in;
use crate::stage::{Stage, view_session};
use chevet::client::Event;
#[cfg(feature = "rdp")]
use chevet::client::SignInFailed;
use serde_json::{Value, json};

const PATH: &str = "/api/admin/remote-hosts";
const TESTS: &str = "/api/admin/remote-host-tests";
const SECRET: &str = "pässwd-7";

fn guarded(folder: &Folder, width: u32, height: u32) -> Server {
    let file = folder.write("hidden", hidden(SECRET));
    let arguments = ["-SecurityTypes", "VncAuth", "-PasswordFile", text(&file)];
    Server::tigervnc_with(free_port(), width, height, &arguments)
}

fn vnc(address: &str) -> Value {
    json!({
        "name": "ward", "title": "Ward PC", "protocol": "vnc", "address": address, "credentials": "shared",
        "encryption": "never", "groups": ["nurses"]
    })
}

fn with(mut host: Value, more: Value) -> Value {
    host.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    host
}

fn one<'a>(list: &'a Value, name: &str) -> &'a Value {
    let hosts = list["hosts"].as_array().unwrap();
    hosts.iter().find(|shown| shown["host"]["name"] == json!(name)).unwrap_or(&Value::Null)
}

/// No file of the gateway's has this text in it.
fn expect_nowhere(stage: &Stage, text: &str) {
    let mut folders = vec![stage.folder.0.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            match entry.file_type().unwrap().is_dir() {
                true => folders.push(entry.path()),
                false => {
                    let bytes = std::fs::read(entry.path()).unwrap_or_default();
                    let found = bytes.windows(text.len()).any(|window| window == text.as_bytes());
                    assert!(!found, "{} has it", entry.path().display());
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vnc_host_is_tested_added_used_changed_kept_over_a_restart_and_removed() {
    let folder = Folder::new("admin");
    let (first, second) = (guarded(&folder, 500, 400), guarded(&folder, 640, 360));
    let mut stage = Stage::open().await;
    let boss = stage.sign_in("boss").await;
    let wish = json!({"host": vnc(&first.address()), "password": SECRET});
    let seen = boss.send("POST", TESTS, &wish).await;
    assert_eq!((seen.status, &seen.json["ok"]), (200, &json!(true)), "{}", seen.body);
    assert!(seen.body.contains("VncAuth") && seen.body.contains("500x400"), "{}", seen.body);
    let wrong = json!({"host": vnc(&first.address()), "password": "wrong"});
    let seen = boss.send("POST", TESTS, &wrong).await;
    assert_eq!(seen.json["ok"], json!(false));
    assert!(seen.json["failure"].as_str().unwrap().contains("password"), "{}", seen.body);
    assert_eq!(one(&boss.get(PATH).await.json, "ward"), &Value::Null, "a test adds nothing");

    assert_eq!(boss.send("POST", PATH, &wish).await.status, 201);
    assert_eq!(boss.send("POST", PATH, &wish).await.status, 409);
    let mut viewer = view_session(&stage, "anne", "ward").await;
    let size = |event: &Event| matches!(event, Event::Exact);
    viewer.sees("the host's screen", size, (500, 400)).await;
    let listed = boss.get(PATH).await;
    let shown = one(&listed.json, "ward");
    assert_eq!((&shown["has_password"], &shown["configured"]), (&json!(true), &json!(false)));
    assert_eq!((&shown["state"], &shown["sessions"]), (&json!("live"), &json!(1)));
    assert!(!listed.body.contains(SECRET) && !listed.body.contains("sealed"), "{}", listed.body);
    // The password that is kept is used where it may go, and nowhere else.
    let again = json!({"host": vnc(&first.address())});
    assert_eq!(boss.send("POST", TESTS, &again).await.json["ok"], json!(true));
    let elsewhere = json!({"host": vnc(&second.address())});
    assert_eq!(boss.send("POST", TESTS, &elsewhere).await.status, 400);
    let moved = boss.send("PUT", "/api/admin/remote-hosts/ward", &elsewhere).await;
    assert_eq!(moved.status, 400);
    assert!(moved.json["reason"].as_str().unwrap().contains("typed again"), "{}", moved.body);
    let elsewhere = json!({"host": vnc(&second.address()), "password": SECRET});
    assert_eq!(boss.send("PUT", "/api/admin/remote-hosts/ward", &elsewhere).await.status, 204);
    viewer.sees("the other host's screen", size, (640, 360)).await;
    let titled = with(vnc(&second.address()), json!({"title": "Ward 7"}));
    assert_eq!(boss.send("PUT", "/api/admin/remote-hosts/ward", &json!({"host": titled})).await.status, 204);
    viewer.sees("the same screen after a change of its title", size, (640, 360)).await;
    viewer.0.close().await;

    stage.restart().await;
    let boss = stage.sign_in("boss").await;
    let mut viewer = view_session(&stage, "anne", "ward").await;
    viewer.sees("the host after a restart", size, (640, 360)).await;
    assert_eq!(boss.send("DELETE", "/api/admin/remote-hosts/ward", &json!({})).await.status, 204);
    let reason = viewer.is_ended().await;
    assert!(reason.contains("removed this host"), "{reason}");
    assert_eq!(boss.send("DELETE", "/api/admin/remote-hosts/ward", &json!({})).await.status, 404);
    assert_eq!(one(&boss.get(PATH).await.json, "ward"), &Value::Null);
    for action in ["add remote host", "change remote host", "remove remote host", "test remote host"] {
        stage.expect_audited("admin_action", action, "boss").await;
    }
    stage.expect_audited("admin_refused", "change remote host", "boss").await;
    expect_nowhere(&stage, SECRET);
}

/// Something is on a display's screen.
#[cfg(feature = "rdp")]
fn paint(display: &str) {
    use x11rb::connection::Connection;
    use x11rb::protocol::xproto::{ChangeWindowAttributesAux, ConnectionExt};
    use x11rb::wrapper::ConnectionExt as _;
    let (x, screen) = x11rb::rust_connection::RustConnection::connect(Some(display)).unwrap();
    let root = x.setup().roots[screen].root;
    let blue = ChangeWindowAttributesAux::new().background_pixel(0x0033_6699);
    x.change_window_attributes(root, &blue).unwrap();
    x.clear_area(false, root, 0, 0, 0, 0).unwrap();
    x.sync().unwrap();
}

#[cfg(feature = "rdp")]
#[tokio::test(flavor = "multi_thread")]
async fn an_rdp_host_is_one_session_for_all_or_an_application_for_everybody() {
    use crate::peers::{Desktop, Xrdp};
    let desktop = Desktop::start(800, 600);
    let xrdp = Xrdp::start(&desktop);
    paint(&desktop.display);
    let stage = Stage::open().await;
    let (boss, anne) = (stage.sign_in("boss").await, stage.sign_in("anne").await);
    let host = json!({
        "name": "ts", "protocol": "rdp", "address": format!("localhost:{}", xrdp.port), "credentials": "shared",
        "user": "nurse", "screen_sign_in": true, "keyboard": "fr", "groups": ["nurses"]
    });
    let wish = json!({"host": host, "password": SECRET});
    let seen = boss.send("POST", TESTS, &wish).await;
    assert_eq!((seen.status, &seen.json["ok"]), (200, &json!(true)), "{}", seen.body);
    assert!(seen.body.contains("TLS"), "{}", seen.body);
    let fingerprint = seen.json["fingerprint"].as_str().unwrap().to_owned();
    assert_eq!(boss.send("POST", PATH, &wish).await.status, 201);
    let mut viewer = view_session(&stage, "anne", "ts").await;
    viewer.sees("the host's screen", |event| matches!(event, Event::Exact), (0, 0)).await;

    // Everybody as themselves: no session for all is left, and who has no credential is asked.
    let own = with(host, json!({"credentials": "own", "user": "", "idle_minutes": 30.0}));
    let seen = boss.send("POST", TESTS, &json!({"host": own})).await;
    assert_eq!((&seen.json["ok"], &seen.json["fingerprint"]), (&json!(true), &json!(fingerprint)));
    assert_eq!(boss.send("PUT", "/api/admin/remote-hosts/ts", &json!({"host": own})).await.status, 204);
    assert!(viewer.is_ended().await.contains("changed this host"));
    let offered = anne.get("/api/sessions").await;
    assert_eq!(offered.json["applications"][0]["name"], json!("ts"), "{}", offered.body);
    let opened = anne.send("POST", "/api/applications/ts/open", &json!({})).await;
    assert_eq!((opened.status, &opened.json["error"]), (428, &json!("credentials")), "{}", opened.body);
    assert_eq!(one(&boss.get(PATH).await.json, "ts")["has_password"], json!(false), "it is forgotten");
    assert_eq!(boss.send("DELETE", "/api/admin/remote-hosts/ts", &json!({})).await.status, 204);
    assert_eq!(anne.get("/api/sessions").await.json["applications"], json!([]));
    expect_nowhere(&stage, SECRET);
}

/// Keeps as whom a user signs in to a host, as operators do.
#[cfg(feature = "rdp")]
fn set_credential(stage: &Stage, name: &str, host: &str, there: &str, password: &str) {
    use std::io::Write;
    use std::process::{Command, Stdio};
    let config = stage.folder.0.join("gateway.toml");
    std::fs::write(&config, format!("state_directory = '{}'\n[sign_in]\n", stage.folder.0.display()))
        .unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_chevet"));
    command.arg("user").arg("--config").arg(&config).args(["credential", "set", name, host, "--as", there]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(format!("{password}\n").as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
}

#[cfg(feature = "rdp")]
#[tokio::test(flavor = "multi_thread")]
async fn two_users_of_an_rdp_host_that_an_administrator_added_are_there_as_themselves() {
    use crate::peers::{Desktop, Shadow};
    use chevet::identity::{Hasher, add_user};
    let desktop = Desktop::start(640, 480);
    paint(&desktop.display);
    // With network level authentication, which looks at passwords: "right" and "other-1".
    let users = "aroy:::fff1399e403bf6c698c9f38e19a3c196:::\npdur:::15ad6bf0486116f237c84a8b5edf0c8b:::\n";
    let shadow = Shadow::start_for(&desktop.display, users);
    let stage = Stage::open().await;
    let store = stage.gateway.identity().unwrap().store();
    let paul =
        add_user(store, "paul", "Paul", chevet::store::Role::User, &["nurses".into()], 0).await.unwrap();
    store.set_password(&paul, &Hasher::default().hash(crate::stage::PASSWORD).await.unwrap()).await.unwrap();
    let boss = stage.sign_in("boss").await;
    let address = format!("localhost:{}", shadow.port);
    let host = json!({
        "name": "ts", "protocol": "rdp", "address": address, "credentials": "own", "idle_minutes": 30.0,
        "groups": ["nurses"]
    });
    assert_eq!(boss.send("POST", PATH, &json!({"host": host})).await.status, 201);
    set_credential(&stage, "anne", &address, "aroy", "right");
    // Anne's password is not Paul's.
    set_credential(&stage, "paul", &address, "pdur", "right");
    let mut anne = view_session(&stage, "anne", "ts").await;
    anne.sees("Anne's screen of the host", |event| matches!(event, Event::Exact), (0, 0)).await;
    match sign_in(&stage, "paul").await.address("ts").await {
        Err(SignInFailed::Credentials { reason, .. }) => assert!(reason.contains("did not let you in")),
        other => panic!("{:?}", other.map(drop)),
    }
    set_credential(&stage, "paul", &address, "pdur", "other-1");
    let mut paul = view_session(&stage, "paul", "ts").await;
    paul.sees("Paul's screen of the host", |event| matches!(event, Event::Exact), (0, 0)).await;
    let journal = stage.journal().await;
    let of = |event: &str, user: &str| -> Vec<String> {
        let (event, user) = (format!(r#""event":"{event}""#), format!(r#""host_user":"{user}""#));
        let lines = journal.lines().filter(|line| line.contains(&event) && line.contains(&user));
        let sessions = lines.map(|line| serde_json::from_str::<Value>(line).unwrap()["session"].to_string());
        sessions.collect()
    };
    let (annes, pauls) = (of("host_signed_in", "aroy"), of("host_signed_in", "pdur"));
    assert!(annes.len() == 1 && pauls.len() == 1 && annes != pauls, "{journal}");
    assert!(of("host_sign_in_refused", "aroy").is_empty() && of("host_sign_in_refused", "pdur").len() == 1);
    expect_nowhere(&stage, "other-1");
}

#[cfg(feature = "rdp")]
#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_says_whether_users_of_an_rdp_host_are_asked_and_may_have_it_kept() {
    use crate::peers::{Desktop, Shadow};
    use chevet::client::HostLogin;
    let desktop = Desktop::start(640, 480);
    paint(&desktop.display);
    let shadow = Shadow::start_for(&desktop.display, "aroy:::fff1399e403bf6c698c9f38e19a3c196:::\n");
    let stage = Stage::open().await;
    let boss = stage.sign_in("boss").await;
    let by = |policy: &str| {
        json!({"host": {
            "name": "ts", "protocol": "rdp", "address": format!("localhost:{}", shadow.port), "credentials": "own",
            "own_credentials": policy, "groups": ["nurses"]
        }})
    };
    let change = async |policy: &str| {
        let changed = boss.send("PUT", "/api/admin/remote-hosts/ts", &by(policy)).await;
        assert_eq!(changed.status, 204, "{}", changed.body);
        assert_eq!(one(&boss.get(PATH).await.json, "ts")["host"]["own_credentials"], json!(policy));
    };
    assert_eq!(boss.send("POST", PATH, &by("stored")).await.status, 201);
    let anne = sign_in(&stage, "anne").await;
    match anne.address("ts").await {
        Err(SignInFailed::Refused(reason)) => assert!(reason.contains("no credential"), "{reason}"),
        other => panic!("{:?}", other.map(drop)),
    }
    for (policy, remember) in [("ask", false), ("ask-and-remember", true)] {
        change(policy).await;
        match anne.address("ts").await {
            Err(SignInFailed::Credentials { asks, .. }) => assert_eq!(asks.remember, remember, "{policy}"),
            other => panic!("{policy}: {:?}", other.map(drop)),
        }
    }
    let login = HostLogin {
        user: "aroy".into(),
        domain: String::new(),
        password: "right".to_owned().into(),
        remember: true,
    };
    anne.give("ts", &login).await.unwrap();
    // What was kept does where nobody is asked.
    change("stored").await;
    let mut viewer = view_session(&stage, "anne", "ts").await;
    viewer.sees("Anne's screen of the host", |event| matches!(event, Event::Exact), (0, 0)).await;
    let journal = stage.journal().await;
    assert_eq!(journal.matches(r#""event":"credentials_stored""#).count(), 1, "{journal}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_configuration_has_is_shown_and_not_changed_and_nonsense_is_refused_clearly() {
    let server = Server::tigervnc(320, 240);
    let configured = format!("name = 'desk-pc'\nvnc = {{ address = '{}', tls = 'never' }}", server.address());
    let stage = Stage::open_having(vec![toml::from_str(&configured).unwrap()]).await;
    let boss = stage.sign_in("boss").await;
    let listed = boss.get(PATH).await.json;
    let shown = one(&listed, "desk-pc");
    assert_eq!((&shown["configured"], &shown["host"]["encryption"]), (&json!(true), &json!("never")));
    assert_eq!(shown["host"]["groups"], json!(["nurses"]));
    let open = with(vnc(&server.address()), json!({"credentials": "none"}));
    let same = with(open.clone(), json!({"name": "desk-pc"}));
    let changed = boss.send("PUT", "/api/admin/remote-hosts/desk-pc", &json!({"host": same})).await;
    assert_eq!((changed.status, &changed.json["error"]), (409, &json!("configured")), "{}", changed.body);
    assert_eq!(boss.send("DELETE", "/api/admin/remote-hosts/desk-pc", &json!({})).await.status, 409);
    assert_eq!(boss.send("POST", PATH, &json!({"host": same})).await.status, 409);
    let pattern = with(open.clone(), json!({"name": "pattern"}));
    assert_eq!(boss.send("POST", PATH, &json!({"host": pattern})).await.status, 409, "a session's name");
    for (more, word) in [
        (json!({"address": "vnc://x"}), "address"),
        (json!({"address": "a b:1"}), "address"),
        (json!({"name": "a.b"}), "letters"),
        (json!({"credentials": "shared"}), "password"),
        (json!({"credentials": "own"}), "one screen"),
        (json!({"own_credentials": "stored"}), "as themselves"),
        (json!({"encryption": "required", "certificate": "pinned", "fingerprint": "abc"}), "64"),
        (json!({"encryption": "required", "certificate": "authority", "authority": "abc"}), "PEM"),
        (json!({"idle_minutes": 5}), "idle"),
        (json!({"groups": ["a\nb"]}), "groups"),
    ] {
        let refused = boss.send("POST", PATH, &json!({"host": with(open.clone(), more.clone())})).await;
        assert_eq!(refused.status, 400, "{more}: {}", refused.body);
        assert!(refused.json["reason"].as_str().unwrap().contains(word), "{more}: {}", refused.body);
    }
    for more in [
        json!({"protocol": "ssh"}),
        json!({"password_file": "/etc/shadow"}),
        json!({"address": 7}),
        json!({"own_credentials": "never"}),
    ] {
        let refused = boss.send("POST", PATH, &json!({"host": with(open.clone(), more.clone())})).await;
        assert_eq!(refused.status, 422, "{more}: {}", refused.body);
    }
    assert_eq!(boss.get(PATH).await.json["hosts"].as_array().unwrap().len(), 1);
}
