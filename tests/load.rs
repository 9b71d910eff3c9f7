//! The load tester against sessions of its own, each the real program.

use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

const SESSIONS: &str = "3";
const VIEWERS: u64 = 20;

/// `chevet load --serve`, and the address that it prints.
struct Serving {
    child: Child,
    address: String,
}

impl Serving {
    fn start(profile: &str) -> Serving {
        let arguments = ["load", "--serve", "--sessions", SESSIONS, "--profile", profile];
        let small = ["--width", "960", "--height", "640", "--listen", "127.0.0.1:0"];
        let mut child = Command::new(env!("CARGO_BIN_EXE_chevet"))
            .args(arguments)
            .args(small)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let line = lines.find(|line| line.contains("chevet://")).expect("an address is printed");
        let address = line.split('\'').nth(1).expect("the address stands in quotes").to_owned();
        Serving { child, address }
    }

    fn load(&self, profile: &str, more: &[&str]) -> Output {
        let viewers = VIEWERS.to_string();
        let arguments = ["load", "--sessions", SESSIONS, "--profile", profile, "--viewers", &viewers];
        Command::new(env!("CARGO_BIN_EXE_chevet"))
            .args(arguments)
            .args(["--ramp", "1s", "--duration", "4s"])
            .args(more)
            .arg(&self.address)
            .output()
            .unwrap()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn file(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("chevet-load-{}-{name}", std::process::id()))
}

/// Loads and reads the figures; every event must have been answered, and no error have been counted.
fn measure(serving: &Serving, profile: &str, name: &str, more: &[&str]) -> Value {
    let json = file(name);
    let output = serving.load(profile, &[more, &["--json", json.to_str().unwrap()]].concat());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let figures: Value = serde_json::from_str(&std::fs::read_to_string(&json).unwrap()).unwrap();
    let _ = std::fs::remove_file(json);
    assert_eq!(figures["most_attached"], VIEWERS, "{figures}");
    assert_eq!(figures["error_count"], 0, "{figures}");
    assert!(figures["events"].as_u64().unwrap() > 0, "{figures}");
    assert_eq!(figures["events"], figures["answered"], "{figures}");
    assert_eq!(figures["first_screen_us"]["count"], VIEWERS, "{figures}");
    let latency = &figures["latency_us"];
    assert!(latency["p50"].as_u64().unwrap() > 0, "{figures}");
    assert!(latency["max"].as_u64() >= latency["p99"].as_u64(), "{figures}");
    figures
}

#[test]
fn viewers_with_and_without_a_screen_on_both_roads_have_every_event_answered() {
    let serving = Serving::start("practice");
    let figures = measure(&serving, "practice", "quic.json", &["--road", "quic"]);
    assert_eq!((&figures["road"], &figures["decodes"]), (&"QUIC".into(), &true.into()));
    let figures = measure(&serving, "practice", "headers.json", &["--road", "quic", "--parse-only"]);
    assert_eq!(figures["decodes"], false);
    let figures = measure(&serving, "practice", "websocket.json", &["--road", "websocket", "--parse-only"]);
    assert_eq!(figures["road"], "WebSocket");
}

#[test]
fn a_broken_threshold_is_told_in_a_line_and_by_the_exit_status() {
    let serving = Serving::start("imaging");
    let html = file("report.html");
    let more = ["--html", html.to_str().unwrap(), "--fail-if", "p50>1us", "--fail-if", "errors>0"];
    let output = serving.load("imaging", &more);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    let lines: Vec<&str> = errors.lines().filter(|line| line.contains("failed")).collect();
    assert!(matches!(lines[..], [line] if line.contains("p50>1us: it is")), "{errors}");
    let page = std::fs::read_to_string(&html).unwrap();
    let _ = std::fs::remove_file(html);
    assert!(page.contains("<svg") && page.contains("p50&gt;1us"));
}

#[test]
fn what_cannot_be_loaded_is_said_once_and_not_for_each_viewer() {
    let serving = Serving::start("ward");
    let wrong = serving.address.replace("ticket=", "ticket=not");
    let arguments =
        ["load", "--sessions", SESSIONS, "--viewers", "20", "--ramp", "0s", "--duration", "1s", &wrong];
    let output = Command::new(env!("CARGO_BIN_EXE_chevet")).args(arguments).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1));
    assert!(text.contains("20 times closed by the gateway") && text.contains("ticket"), "{text}");
    assert!(text.lines().count() < 10, "{text}");
    let wrong = Command::new(env!("CARGO_BIN_EXE_chevet"))
        .args(["load", "--fail-if", "p99<50ms", &serving.address])
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("METRIC>VALUE"));
}
