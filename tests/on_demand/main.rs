//! Sessions started on demand, with real parts only: the gateway, hosts as processes of their own, X servers, programs.
//! Debian packages: tigervnc-standalone-server (or xvfb), xterm, util-linux.

mod hostile;
mod measure;
mod stage;
mod systemd;

use chevet::client::Event;
use chevet::clock;
use chevet::wire::CloseCode;
use hyper::Method;
use rustix::process::Signal;
use stage::{
    LONG, RECORD, Stage, application, is_root, other_user, painter, refused, until, until_closed,
    until_shows, view,
};
use std::time::{Duration, Instant};

fn record(more: &str) -> String {
    application("record", &painter(RECORD), more)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_is_started_as_its_user_kept_resumed_elsewhere_and_ended_without_a_trace() {
    let script =
        format!("(id -un; pwd; env) > OPEN/seen.new; mv OPEN/seen.new OPEN/seen; {}", painter(RECORD));
    let stage = Stage::open("whole", &application("record", &script, "environment = { WARD = 'B 3' }")).await;
    let host = stage.host("app-1", "['record']", "").await;
    let anne = stage.sign_in("anne", "room 1").await;
    assert_eq!(anne.sessions().await.unwrap(), ["record"]);
    let mut client = view(&anne, "record").await;
    until_shows(&mut client, RECORD).await;
    let session = client.address().session.clone();
    assert!(session.starts_with("record."), "{session}");

    let seen = std::fs::read_to_string(stage.folder.join("open/seen")).unwrap();
    assert_eq!(seen.lines().next(), Some(other_user().as_str()), "{seen}");
    assert!(seen.contains("\nWARD=B 3\n") && seen.contains("\nDISPLAY=:"), "{seen}");
    assert!(!seen.contains("HOST_ONLY"), "the host's own environment is not the session's: {seen}");
    let display = seen.lines().find_map(|line| line.strip_prefix("DISPLAY=:")).unwrap().to_owned();
    let servers: Vec<_> = host.processes().into_iter().filter(|(_, name)| name.starts_with('X')).collect();
    assert_eq!(servers.len(), 1, "{:?}", host.processes());
    if is_root() {
        let status = std::fs::read_to_string(format!("/proc/{}/status", servers[0].0)).unwrap();
        assert!(!status.contains("\nUid:\t0\t"), "the X server runs as root");
        let authority = seen.lines().find_map(|line| line.strip_prefix("XAUTHORITY=")).unwrap();
        let mode =
            std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(authority).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
    }

    let administrator = stage.administrator().await;
    let sessions = administrator.ask(Method::GET, "/api/admin/sessions", None).await.unwrap();
    let listed = &sessions["sessions"][0];
    assert_eq!((&listed["host"], &listed["owner"]), (&"app-1".into(), &"Anne Roy".into()), "{sessions}");

    // Nobody looks: it stays. Whoever asks again, even by the application's name, has the same one.
    drop(client);
    let answer = anne.ask(Method::GET, "/api/sessions", None).await.unwrap();
    assert_eq!(answer["applications"][0]["running"][0], session.as_str(), "{answer}");
    assert_eq!(answer["applications"][0]["title"]["fr"], "record (fr)");
    let there = stage.sign_in("anne", "room 2").await;
    let mut first = view(&there, "record").await;
    until_shows(&mut first, RECORD).await;
    assert_eq!(first.address().session, session);
    let mut second = view(&anne, &session).await;
    until_shows(&mut second, RECORD).await;
    assert_eq!(until_closed(&mut first).await.0, CloseCode::TAKEN_OVER);

    // It is hers alone, by whatever name.
    let (eve, paul) = (stage.sign_in("eve", "").await, stage.sign_in("paul", "").await);
    assert!(refused(eve.address("record").await).contains("record"));
    refused(paul.address(&session).await);
    let end = format!("/api/sessions/{session}/end");
    refused(paul.ask(Method::POST, &end, None).await);
    anne.ask(Method::POST, &end, None).await.unwrap();
    let (code, why) = until_closed(&mut second).await;
    assert_eq!((code, why.as_str()), (CloseCode::ENDED, "its user ended it"));
    host.until_clean().await;
    assert!(!std::path::Path::new(&format!("/tmp/.X11-unix/X{display}")).exists());
    let wanted = [
        "host_joined",
        "session_started",
        "session_ended",
        "\"host\":\"app-1\"",
        "\"application\":\"record\"",
    ];
    stage.journal_with(&wanted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_ask_at_once_both_have_the_same_session_and_others_have_their_own() {
    let stage = Stage::open("twice", &record("")).await;
    let host = stage.host("app-1", "['record']", "").await;
    let anne = stage.sign_in("anne", "").await;
    let (one, two, three) =
        tokio::join!(anne.address("record"), anne.address("record"), anne.address("record"));
    let names: std::collections::BTreeSet<String> =
        [one, two, three].into_iter().map(|address| address.unwrap().session).collect();
    assert_eq!(names.len(), 1, "{names:?}");
    let paul = stage.sign_in("paul", "").await;
    let theirs = paul.address("record").await.unwrap().session;
    assert!(!names.contains(&theirs));
    stage.until_sessions(2).await;
    until("two terminals run", || match host.processes() {
        running if running.iter().filter(|(_, name)| name == "xterm").count() == 2 => Ok(()),
        running => Err(format!("{running:?}")),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_when_nobody_has_looked_for_long_enough_or_its_user_signs_out_as_its_application_says()
{
    let applications = [
        application("idle", &painter(1), "end_when_idle_minutes = 0.03"),
        application("out", &painter(2), "end_at_sign_out = true"),
        application("kept", &painter(3), ""),
    ];
    let stage = Stage::open("policies", &applications.concat()).await;
    let host = stage.host("app-1", "['idle', 'out', 'kept']", "").await;
    let anne = stage.sign_in("anne", "").await;
    let mut idle = view(&anne, "idle").await;
    until_shows(&mut idle, 1).await;
    for name in ["out", "kept"] {
        anne.address(name).await.unwrap();
    }
    // While somebody looks it does not end, however long.
    let looked = Instant::now();
    while looked.elapsed() < Duration::from_secs(4) {
        if let Ok(Err(error)) = tokio::time::timeout(Duration::from_millis(100), idle.next()).await {
            panic!("it ended while it was looked at: {error}");
        }
    }
    drop(idle);
    stage.until_sessions(2).await;
    anne.sign_out().await.unwrap();
    stage.until_sessions(1).await;
    assert!(stage.sessions()[0].starts_with("kept."));
    let reasons = ["nobody looked at it for too long", "its user signed out"];
    stage.journal_with(&reasons).await;
    until("only one is left at the host", || match host.processes() {
        left if left.iter().filter(|(_, name)| name == "xterm").count() == 1 => Ok(()),
        left => Err(format!("{left:?}")),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_taps_out_has_not_signed_out_while_the_badge_needs_no_pin() {
    let stage = Stage::open("tapped-out", &application("out", &painter(2), "end_at_sign_out = true")).await;
    let _host = stage.host("app-1", "['out']", "").await;
    let anne = stage.sign_in("anne", "").await;
    anne.address("out").await.unwrap();
    let id = stage.store.user_named("anne").await.unwrap().unwrap().id;
    stage.store.set_pin(&id, "never looked at").await.unwrap();
    let (now, grace) = (clock::unix_ms(), 5_000);
    stage.store.pin_was_right(&id, "badge", "zone east", now + grace).await.unwrap();
    stage.store.end_sign_ins_of(&id).await.unwrap();
    stage.until_sessions(0).await;
    assert!(clock::unix_ms() >= now + grace, "it ended within the grace");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_the_program_or_of_its_x_server_is_the_sessions_and_whoever_looks_is_told() {
    // What a program leaves behind, also in a session of its own, does not outlive it.
    let left = "setsid sh -c 'trap : TERM; sleep 3000; sleep 3000' & setsid setsid sleep 3001 &";
    let script = format!("{left} {}", painter(RECORD).replace("exec ", "").replace("3600", "3"));
    let applications = [application("short", &format!("{script}; exit 7"), ""), record("")];
    let stage = Stage::open("ends", &applications.concat()).await;
    let host = stage.host("app-1", "['short', 'record']", "").await;
    let anne = stage.sign_in("anne", "").await;
    let mut client = view(&anne, "short").await;
    let (code, why) = until_closed(&mut client).await;
    assert_eq!((code, why.as_str()), (CloseCode::ENDED, "the application ended (with status 7)"));
    host.until_clean().await;

    let mut client = view(&anne, "record").await;
    until_shows(&mut client, RECORD).await;
    let server = host.processes().into_iter().find(|(_, name)| name.starts_with('X')).unwrap();
    rustix::process::kill_process(rustix::process::Pid::from_raw(server.0).unwrap(), Signal::KILL).unwrap();
    let (code, why) = until_closed(&mut client).await;
    assert!(code == CloseCode::ENDED && why.starts_with("the session's X server died"), "{code:?} {why}");
    host.until_clean().await;
    stage.until_sessions(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_killed_leaves_nothing_and_its_users_are_told_when_it_is_back() {
    let stage = Stage::open("killed", &record("")).await;
    let mut host = stage.host("app-1", "['record']", "").await;
    let anne = stage.sign_in("anne", "").await;
    let mut client = view(&anne, "record").await;
    until_shows(&mut client, RECORD).await;
    host.signal(Signal::KILL);
    host.until_ended().await;
    host.until_clean().await;

    let again = stage.host_process("app-1", "['record']", "");
    let (code, why) = until_closed(&mut client).await;
    assert_eq!((code, why.as_str()), (CloseCode::ENDED, "its host is gone"));
    let mut client = view(&anne, "record").await;
    until_shows(&mut client, RECORD).await;

    // Killed with its keepers nobody is left to sweep up: the next start does.
    let keepers = keepers_of(&again);
    assert_eq!(keepers.len(), 1);
    again.signal(Signal::STOP);
    for keeper in keepers {
        rustix::process::kill_process(rustix::process::Pid::from_raw(keeper).unwrap(), Signal::KILL).unwrap();
    }
    let folder = std::fs::read_dir(&again.runtime).unwrap().next().unwrap().unwrap().path();
    drop(again);
    assert!(folder.exists(), "who is killed cannot have removed it");
    let third = stage.host_process("app-1", "['record']", "");
    until("the folder is swept", || if folder.exists() { Err(third.log()) } else { Ok(()) }).await;
    third.until_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_whose_keeper_is_killed_is_over_and_swept_at_once() {
    let stage = Stage::open("keeper", &record("")).await;
    let host = stage.host("app-1", "['record']", "").await;
    let anne = stage.sign_in("anne", "").await;
    let mut client = view(&anne, "record").await;
    until_shows(&mut client, RECORD).await;
    for keeper in keepers_of(&host) {
        rustix::process::kill_process(rustix::process::Pid::from_raw(keeper).unwrap(), Signal::KILL).unwrap();
    }
    let (code, why) = until_closed(&mut client).await;
    assert!(code == CloseCode::ENDED && why.contains("keeper died"), "{code:?} {why}");
    host.until_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_without_its_gateway_ends_what_nobody_can_look_at_for_too_long() {
    let mut stage = Stage::open("alone", &record("end_when_idle_minutes = 0.05")).await;
    let host = stage.host("app-1", "['record']", "").await;
    let anne = stage.sign_in("anne", "").await;
    anne.address("record").await.unwrap();
    assert!(!host.processes().is_empty());
    stage.gateway.take().unwrap().stop().await;
    host.until_clean().await;
    stage.restart().await;
    stage.until_status("app-1", "back", |host| host["connected"] == true && host["sessions"] == 0).await;
}

fn keepers_of(host: &stage::Host) -> Vec<i32> {
    let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", host.child.id()));
    let threads = std::fs::read_dir(format!("/proc/{}/task", host.child.id())).unwrap().flatten();
    let all = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
    let all: String = all.chain(children).collect::<Vec<_>>().join(" ");
    let mut ids: Vec<i32> = all.split_ascii_whitespace().filter_map(|id| id.parse().ok()).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_outlive_the_gateway_and_are_their_users_again_when_it_is_back() {
    let mut stage = Stage::open("restart", &record("")).await;
    let host = stage.host("app-1", "['record']", "").await;
    let anne = stage.sign_in("anne", "").await;
    let mut client = view(&anne, "record").await;
    until_shows(&mut client, RECORD).await;
    let session = client.address().session.clone();
    drop(client);
    stage.restart().await;
    stage.until_status("app-1", "back with its session", |host| host["sessions"] == 1).await;
    stage.until_sessions(1).await;
    let administrator = stage.administrator().await;
    let sessions = administrator.ask(Method::GET, "/api/admin/sessions", None).await.unwrap();
    assert_eq!(sessions["sessions"][0]["owner"], "Anne Roy", "{sessions}");
    let anne = stage.sign_in("anne", "").await;
    let mut client = view(&anne, "record").await;
    until_shows(&mut client, RECORD).await;
    assert_eq!(client.address().session, session, "it is the same one");
    assert_eq!(host.processes().iter().filter(|(_, name)| name == "xterm").count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_fails_or_is_full_is_passed_over_and_who_cannot_be_served_is_told_what_to_do() {
    let desktop = record("").replace("command = ['sh'", "command = 'desktop' #");
    let stage = Stage::open("placing", &desktop).await;
    let anne = stage.sign_in("anne", "").await;
    assert!(refused(anne.address("record").await).contains("no machine that runs record is connected"));
    let broken = stage.host("app-0", "['record']", "desktop = ['/nowhere/desktop']\ncapacity = 9").await;
    assert!(refused(anne.address("record").await).contains("is not installed on this host"));
    let line = format!("desktop = ['sh', '-c', \"{}\"]\ncapacity = 1", painter(RECORD));
    let host = stage.host("app-1", "['record']", &line).await;
    let mut client = view(&anne, "record").await;
    until_shows(&mut client, RECORD).await;
    assert!(broken.processes().is_empty() && !host.processes().is_empty());
    stage.journal_with(&["start_failed", "/nowhere/desktop"]).await;

    // The only host that works is full; a third one takes over.
    let paul = stage.sign_in("paul", "").await;
    assert!(refused(paul.address("record").await).contains("/nowhere/desktop"));
    let third = stage.host("app-2", "['record']", &line).await;
    let mut client = view(&paul, "record").await;
    until_shows(&mut client, RECORD).await;
    assert!(!third.processes().is_empty());
    drop(broken);
    stage.until_status("app-0", "gone", |host| host["connected"] == false).await;
    let administrator = stage.administrator().await;
    let end = |session: &str| format!("/api/admin/sessions/{session}/terminate");
    let session = client.address().session.clone();
    let reason = serde_json::json!({"reason": "testing"});
    administrator.ask(Method::POST, &end(&session), Some(&reason)).await.unwrap();
    let (code, why) = until_closed(&mut client).await;
    assert_eq!((code, why.as_str()), (CloseCode::ENDED, "an administrator ended it (testing)"));
    third.until_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_drained_takes_nobody_new_tells_who_is_there_and_ends_when_they_have_left() {
    let stage = Stage::open("drain", &record("")).await;
    let mut host = stage.host("app-1", "['record']", "").await;
    let (anne, paul) = (stage.sign_in("anne", "").await, stage.sign_in("paul", "").await);
    let mut client = view(&anne, "record").await;
    until_shows(&mut client, RECORD).await;

    // First by an administrator of the gateway, and back.
    let administrator = stage.administrator().await;
    let drain = async |drained: bool| {
        let wish = serde_json::json!({"drained": drained});
        administrator.ask(Method::POST, "/api/admin/hosts/app-1/drain", Some(&wish)).await.unwrap();
    };
    drain(true).await;
    told_of_maintenance(&mut client).await;
    assert!(refused(paul.address("record").await).contains("no machine"));
    drain(false).await;
    paul.address("record").await.unwrap();

    // Then at the host itself, which ends once nobody looks.
    let config = stage.folder.join("app-1/host.toml");
    let asked = std::process::Command::new(env!("CARGO_BIN_EXE_chevet"))
        .args(["host", "drain", "--config", config.to_str().unwrap()])
        .status();
    assert!(asked.unwrap().success());
    told_of_maintenance(&mut client).await;
    assert!(host.child.try_wait().unwrap().is_none(), "somebody looks");
    drop(client);
    host.until_ended().await;
    host.until_clean().await;
    assert!(host.child.try_wait().unwrap().unwrap().success());
    stage.journal_with(&["its host is being taken out of service", "host_left", "drain host"]).await;
}

async fn told_of_maintenance(client: &mut chevet::client::Client) {
    let told = async {
        loop {
            if let Event::Message(text) = client.next().await.unwrap()
                && text.contains("maintenance")
            {
                return;
            }
        }
    };
    tokio::time::timeout(LONG, told).await.expect("whoever looks is told");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_has_no_more_memory_than_its_application_allows_and_nobody_without_an_account_has_one() {
    // Its own measure of what it could have, in MiB.
    let script = "ulimit -v > OPEN/limit.new; mv OPEN/limit.new OPEN/limit; exec sleep 3600";
    let stage =
        Stage::open("limits", &application("small", script, "[application.limits]\nmemory_mib = 300\n"))
            .await;
    let host = stage.host("app-1", "['small']", "").await;
    let anne = stage.sign_in("anne", "").await;
    anne.address("small").await.unwrap();
    let limit = stage.folder.join("open/limit");
    until("the program has run", || if limit.exists() { Ok(()) } else { Err(host.log()) }).await;
    let with_systemd = std::path::Path::new("/run/systemd/system").is_dir();
    assert!(with_systemd || std::env::var_os("CHEVET_TEST_SYSTEMD").is_none(), "systemd has not started");
    if with_systemd {
        let show = ["show", "--property=MemoryMax,ActiveState", "chevet-*.scope"];
        let shown = std::process::Command::new("systemctl").args(show).output().unwrap();
        let shown = String::from_utf8(shown.stdout).unwrap();
        assert!(shown.contains(&format!("MemoryMax={}", 300 << 20)) && shown.contains("=active"), "{shown}");
        assert!(host.log().contains("limits by a systemd scope"), "{}", host.log());
    } else {
        assert_eq!(std::fs::read_to_string(&limit).unwrap().trim(), (300 * 1_024).to_string());
        assert!(host.log().contains("limits by setrlimit"), "{}", host.log());
    }

    let groups = ["nurses".to_owned()];
    let role = chevet::store::Role::User;
    let (store, name) = (&stage.store, "chevet-has-no-such-user");
    let id = chevet::identity::add_user(store, name, "Nobody", role, &groups, 0).await.unwrap();
    let hash = chevet::identity::Hasher::default().hash(stage::PASSWORD).await.unwrap();
    store.set_password(&id, &hash).await.unwrap();
    let stranger = stage.sign_in(name, "").await;
    let why = refused(stranger.address("small").await);
    assert!(why.contains("has no Unix account"), "{why}");
}
