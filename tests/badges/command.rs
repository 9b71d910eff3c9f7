//! The same by the commands that operators type: `chevet seat`, `chevet badge`, `chevet user pin`.

use crate::agent::until_nobody;
use crate::page::Page;
use crate::ward::Ward;
use serde_json::json;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn chevet(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chevet"));
    command.args(words).env_remove("CHEVET_LOG").stdin(Stdio::null());
    command
}

/// Runs a command to its end, with a line of standard input; what it printed, or what it complained of.
fn run(words: &[&str], typed: &str) -> Result<String, String> {
    let mut command = chevet(words);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let _ = child.stdin.take().unwrap().write_all(typed.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match output.status.success() {
        true => Ok(text(&output.stdout)),
        false => Err(text(&output.stderr)),
    }
}

/// `chevet seat run --stdin`, and where its browser begins.
fn run_seat(file: &Path) -> (Program, ChildStdin, String) {
    let mut command = chevet(&["seat", "run", "--stdin", "--file", file.to_str().unwrap()]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let reader = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = lines.next().expect("it says where to begin").unwrap();
    let start = line.split_whitespace().last().unwrap().to_owned();
    // What it prints later must not stop it.
    std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
    (Program(child), reader, start)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_kiosks_browser_is_started_again_when_it_ends_each_time_at_an_address_of_its_own() {
    use std::os::unix::fs::PermissionsExt;
    let ward = Ward::open("browser").await;
    let file = ward.folder.join("seat.toml");
    ward.enrol("Room 7", "east", chevet::store::SeatMode::Wedge).await.write(&file).unwrap();
    let (browser, log) = (ward.folder.join("browser"), ward.folder.join("browser.log"));
    std::fs::write(&browser, format!("#!/bin/sh\necho \"$@\" >> {}\n", log.display())).unwrap();
    std::fs::set_permissions(&browser, std::fs::Permissions::from_mode(0o700)).unwrap();
    let words =
        ["seat", "run", "--stdin", "--file", file.to_str().unwrap(), "--kiosk", browser.to_str().unwrap()];
    let _seat = Program(chevet(&words).stdin(Stdio::piped()).spawn().unwrap());
    let end = std::time::Instant::now() + Duration::from_secs(30);
    let started = loop {
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        if text.lines().count() >= 2 {
            break text;
        }
        assert!(std::time::Instant::now() < end, "{text:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let urls: Vec<&str> = started.lines().map(|line| line.strip_prefix("--kiosk ").unwrap()).collect();
    assert_ne!(urls[0], urls[1]);
    assert!(crate::page::get(urls[0], None).starts_with("HTTP/1.1 410"), "an earlier address is of no use");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workstation_is_enrolled_tapped_at_and_revoked_by_commands() {
    let ward = Ward::open("commands").await;
    let config = ward.config_file();
    let config = config.to_str().unwrap();
    let file = ward.folder.join("seat.toml");
    let path = file.to_str().unwrap();
    assert!(run(&["user", "--config", config, "pin", "paul"], "1234\n").unwrap_err().contains("tried"));
    run(&["user", "--config", config, "pin", "paul"], "8264\n").unwrap();
    let added = run(&["badge", "--config", config, "add", "paul"], "aa:bb:cc:01\r\n").unwrap();
    assert!(added.contains("paul has the badge"), "{added}");
    let taken = run(&["badge", "--config", config, "add", "anne"], "AABBCC01\n").unwrap_err();
    assert!(taken.contains("revoke it first"), "{taken}");
    let code = run(&["seat", "code", "--config", config, "Room 7", "--zone", "east"], "").unwrap();
    let page = ward.page();
    let enrol = ["seat", "enrol", "--gateway", &page, "--file", path, code.trim()];
    assert!(run(&enrol, "").unwrap().contains("enrolled as Room 7"));
    assert!(run(&enrol, "").unwrap_err().contains("there already"));
    let listed = run(&["seat", "list", "--config", config], "").unwrap();
    assert!(listed.lines().any(|line| line.contains("Room 7") && line.contains("enrolled")), "{listed}");

    let (_seat, mut reader, start) = run_seat(&file);
    let mut page = Page::open(&start, ward.page().trim_end_matches('/')).await;
    reader.write_all(b"AABBCC01\n").unwrap();
    assert_eq!(page.told().await["show"], "pin");
    page.say(json!({"say": "pin", "pin": "8264"})).await;
    let session = page.told().await;
    assert_eq!((session["title"].as_str(), session["session"].as_str()), (Some("Paul Petit"), Some("paul")));
    page.say(json!({"say": "lock"})).await;
    assert_eq!(page.told().await["show"], "tap");
    until_nobody(&ward, "paul").await;

    tokio::time::sleep(Duration::from_millis(1_300)).await;
    reader.write_all(b"AABBCC01\n").unwrap();
    assert_eq!(page.told().await["show"], "session", "within the grace");
    let revoked = run(&["seat", "revoke", "--config", config, "room 7"], "").unwrap();
    assert!(revoked.contains("sign-ins that ended: 1"), "{revoked}");
    page.say(json!({"say": "over"})).await;
    assert_eq!(page.told().await["show"], "tap");
    tokio::time::sleep(Duration::from_millis(1_300)).await;
    reader.write_all(b"AABBCC01\n").unwrap();
    assert_eq!(page.told().await["problem"], "refused");
    assert!(run(&["seat", "list", "--config", config], "").unwrap().contains("revoked"));
    let gone = run(&["badge", "--config", config, "revoke", "paul"], "").unwrap();
    assert!(gone.contains("badges revoked: 2"), "{gone}");
    // What was done by command beside the gateway is in its journal.
    let journal = ward.journal_with(&["PIN set", "given", "revoked by command", "all badges revoked"]).await;
    assert!(journal.contains("seat_revoked") && !journal.contains("AABBCC01"));
}
