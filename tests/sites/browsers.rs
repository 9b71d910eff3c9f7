//! The page of one site shows the sessions of another one, in real Chromium.

use crate::drawing::picture_of;
use crate::stage::{PASSWORD, Plan, Stage, TAKES_HOSTS, settle};
use crate::typist::Terminal;
use crate::{ACCEPTED, COPIED};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Lines, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

/// Chromium, while a scenario of src/web/e2e runs.
struct Chromium {
    child: Child,
    steps: Lines<BufReader<ChildStdout>>,
    told: ChildStdin,
    heard: Vec<String>,
}

impl Chromium {
    fn start(page: &str, scenario: &[&str], folder: &Path, environment: &[(&str, &str)]) -> Chromium {
        let web = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/web");
        assert!(web.join("node_modules/esbuild").exists(), "run `make web` first");
        let built = Command::new("node").args(["build.mjs", "--e2e"]).current_dir(&web).status().unwrap();
        assert!(built.success(), "the browsers' driver could not be built");
        let mut command = Command::new("node");
        command.arg(web.join("e2e/dist/run.mjs")).args(["chromium", page]).args(scenario);
        command.env("TMPDIR", folder).env("CHEVET_WIDTH", "1024").env("CHEVET_HEIGHT", "700");
        command.envs(environment.iter().copied()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let steps = BufReader::new(child.stdout.take().unwrap()).lines();
        let told = child.stdin.take().unwrap();
        Chromium { child, steps, told, heard: Vec::new() }
    }

    /// Waits for a step; fails with all that was said if it never comes.
    fn step(&mut self, wanted: &str) -> Value {
        for line in self.steps.by_ref() {
            let line = line.unwrap();
            let step: Value = serde_json::from_str(&line).unwrap_or(Value::Null);
            self.heard.push(line);
            if step["step"] == wanted {
                return step;
            }
        }
        panic!("the browser never came to {wanted:?}; it said:\n{}", self.heard.join("\n"));
    }

    /// The scenario goes on.
    fn tell(&mut self) {
        writeln!(self.told, "go on").unwrap();
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // Asked to end, the driver takes its browser along.
        let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        let _ = self.child.wait();
    }
}

/// A folder that goes away with the test, and a terminal.
struct Desk {
    folder: PathBuf,
    terminal: Terminal,
}

impl Desk {
    fn new(name: &str) -> Desk {
        let folder = std::env::temp_dir().join(format!("chevet-sites-{name}-desk-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Desk { terminal: Terminal::open(&folder), folder }
    }

    /// Where pictures for people go.
    fn pictures(&self) -> String {
        std::env::var("CHEVET_PICTURES").unwrap_or_else(|_| self.folder.to_str().unwrap().to_owned())
    }

    fn expect_exact(&self, step: &Value) {
        let size = |name: &str| step[name].as_u64().unwrap() as u32;
        let bytes = std::fs::read(step["path"].as_str().unwrap()).unwrap();
        let words = bytes.as_chunks::<4>().0;
        let pixels: Vec<u32> = words.iter().map(|[r, g, b, _]| u32::from_be_bytes([0, *r, *g, *b])).collect();
        let difference =
            picture_of(&self.terminal.server.display).difference(size("width"), size("height"), &pixels);
        assert_eq!(difference, None);
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// North, where somebody is, has sessions of its own; south has the desk, and two gateways.
fn set(name: &str, desk: &Desk, far: Option<Duration>) -> Stage {
    let both = format!("{COPIED}\n{ACCEPTED}");
    let published = "[[publish]]\nsession = \"*\"\ngroups = [\"nurses\"]\n";
    let north = format!(
        "{published}[[session]]\nname = \"ward\"\ntitle = \"Ward 3\"\npattern = {{}}\n\
         [[session]]\nname = \"lab\"\ntitle = \"Laboratory\"\npattern = {{}}\n"
    );
    let south = format!("{TAKES_HOSTS}{published}");
    let plan = Plan {
        north: &north,
        south: &south,
        of_south: &both,
        of_north: &both,
        believe_minutes: 60,
        south_too: Some(&south),
        far,
    };
    let mut stage = Stage::set(name, plan);
    let ports = [Some(stage.south.port), stage.south_too.as_ref().map(|place| place.port)];
    let to = if far.is_some() { &ports[..1] } else { &ports[..] };
    stage.bring("desk", &desk.terminal.server.display, to.iter().flatten());
    stage.north.user(&["add", "anne", "--title", "Anne Roy", "--group", "nurses"]);
    stage
}

/// What was typed is at the host, and its screen shows it.
fn arrived(desk: &Desk, typed: &str) {
    settle("what was typed arrives", || {
        let there = desk.terminal.arrived();
        (there != typed).then_some(there)
    });
}

#[test]
fn in_chromium_another_sites_session_is_opened_by_keyboard_outlives_its_gateway_and_goes_dark_at_sign_out() {
    let desk = Desk::new("roam");
    let mut stage = set("page-roam", &desk, None);
    let pictures = desk.pictures();
    let scenario = ["roam", "anne", PASSWORD, "desk@south", "first ", "and second", &pictures];
    let language = std::env::var("CHEVET_LANGUAGE").unwrap_or("fr".into());
    let mut browser =
        Chromium::start(&stage.north.page(), &scenario, &desk.folder, &[("CHEVET_LANGUAGE", &language)]);
    let listed = browser.step("listed");
    if language == "fr" {
        let wanted = json!(["Vos sessions", "Laboratory", "Ward 3", "Au site south", "Front desk"]);
        assert_eq!(listed["list"], wanted, "its own sessions come first");
    }
    let shown = browser.step("shown");
    assert_eq!((&shown["stayed"], &shown["site"]), (&json!(true), &json!("south")));
    assert_eq!(shown["share"], false, "nobody is invited from here");
    assert_eq!(shown["road"], "webtransport");
    let asked = browser.step("asked");
    assert_eq!((&asked["connect"], &asked["me"]), (&json!(true), &json!("refused")));
    browser.step("typed");
    let reloaded = browser.step("reloaded");
    arrived(&desk, "first ");
    let gateway = reloaded["gateway"].as_str().unwrap();
    let port = gateway.strip_prefix("127.0.0.1:").unwrap().parse().unwrap();
    stage.kill_at(port);
    let moved = browser.step("moved");
    assert_ne!(moved["gateway"], reloaded["gateway"]);
    browser.step("typed on");
    arrived(&desk, "first and second");
    browser.tell();
    let pixels = browser.step("pixels");
    desk.expect_exact(&pixels);
    let out = browser.step("out");
    assert_eq!((&out["canvases"], &out["kept"]), (&json!(0), &Value::Null));
    let place = if stage.south.port == port { stage.south_too.as_ref().unwrap() } else { &stage.south };
    settle("the sign-in at the other site ends, too", || {
        let audit = place.audit();
        (!audit.contains("signed_out")).then_some(audit)
    });
    let audit = place.audit();
    // The page may come to this gateway before the desk's host has.
    let refused = |line: &&str| line.contains("attach_refused") && !line.contains("no such session");
    let refused: Vec<&str> = audit.lines().filter(refused).collect();
    assert!(refused.is_empty(), "who looks for the nearest gateway was refused nothing: {refused:?}");
}

#[test]
fn in_chromium_without_webtransport_another_sites_session_is_shown_by_the_nearest_gateway_and_a_site_that_is_cut_off_is_said()
 {
    let desk = Desk::new("socket");
    // The gateway that is asked for the ticket, and has the session, is the one that is far; the other one knows it to be near.
    let mut stage = set("page-socket", &desk, Some(Duration::from_millis(150)));
    let pictures = desk.pictures();
    let scenario = ["roam", "anne", PASSWORD, "desk@south", "by socket", "-", &pictures];
    let environment = [("CHEVET_LANGUAGE", "en"), ("CHEVET_WEBTRANSPORT", "off")];
    let mut browser = Chromium::start(&stage.north.page(), &scenario, &desk.folder, &environment);
    let listed = browser.step("listed");
    let wanted = json!(["Your sessions", "Laboratory", "Ward 3", "At the site south", "Front desk"]);
    assert_eq!(listed["list"], wanted);
    let shown = browser.step("shown");
    // Through the relay it would be shown by that one's port.
    let direct = format!("127.0.0.1:{}", stage.south.port);
    assert_eq!((&shown["road"], &shown["gateway"]), (&json!("websocket"), &json!(direct)));
    browser.step("reloaded");
    arrived(&desk, "by socket");
    browser.tell();
    let pixels = browser.step("pixels");
    desk.expect_exact(&pixels);
    browser.step("out");
    stage.south.stop();
    stage.south_too.as_mut().unwrap().stop();
    for (language, away, told) in [
        (
            "fr",
            "Le site south ne peut pas être joint pour le moment.",
            "Le site de cette session ne peut pas",
        ),
        ("en", "The site south cannot be reached now.", "The site that has this session cannot be reached"),
    ] {
        let picture = format!("{pictures}/away-{language}.png");
        let scenario = ["cutOff", "anne", PASSWORD, "desk@south", &picture];
        let environment = [("CHEVET_LANGUAGE", language)];
        let mut browser = Chromium::start(&stage.north.page(), &scenario, &desk.folder, &environment);
        let listed = browser.step("listed")["list"].to_string();
        assert!(listed.contains(away) && listed.contains("Laboratory"), "{listed}");
        let problem = browser.step("told")["problem"].as_str().unwrap().to_owned();
        assert!(problem.starts_with(told), "{problem}");
        browser.step("picture");
    }
}

#[test]
fn in_chromium_another_sites_application_is_begun_for_its_visitor_goes_on_after_a_reload_and_ends_at_sign_out()
 {
    let folder = std::env::temp_dir().join(format!("chevet-sites-application-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    // The application's user writes there what comes.
    std::fs::set_permissions(&folder, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let typed = folder.join("typed");
    let script = format!("stty -icanon -echo; exec tee -a {}", typed.display());
    let both = format!("{COPIED}\n{ACCEPTED}");
    let south = format!(
        "{TAKES_HOSTS}[[application]]\nname = \"record\"\ntitle = {{ fr = \"Dossier\", en = \"Record\" }}\n\
         hosts = [\"app-*\"]\ngroups = [\"nurses\"]\nwidth = 640\nheight = 480\nend_at_sign_out = true\n\
         command = [\"xterm\", \"-geometry\", \"100x30+0+0\", \"-e\", \"sh\", \"-c\", {script:?}]\n"
    );
    let plan = Plan {
        south: &south,
        of_south: &both,
        of_north: &both,
        believe_minutes: 60,
        south_too: Some(&south),
        ..Plan::default()
    };
    let mut stage = Stage::set("page-application", plan);
    stage.offer("anne@north", "record");
    stage.north.user(&["add", "anne", "--title", "Anne Roy", "--group", "nurses"]);
    settle("the host has come to both gateways", || {
        let log = stage.host_log();
        (log.matches("connected to the gateway").count() < 2).then_some(log)
    });
    let pictures = std::env::var("CHEVET_PICTURES").unwrap_or_else(|_| folder.to_str().unwrap().to_owned());
    let scenario = ["roam", "anne", PASSWORD, "record@south", "by keyboard", "-", &pictures];
    let mut browser = Chromium::start(&stage.north.page(), &scenario, &folder, &[("CHEVET_LANGUAGE", "fr")]);
    let listed = browser.step("listed");
    assert_eq!(listed["list"], json!(["Vos sessions", "Au site south", "Dossier"]));
    let shown = browser.step("shown");
    assert_eq!((&shown["stayed"], &shown["site"]), (&json!(true), &json!("south")));
    browser.step("reloaded");
    settle("what was typed arrives", || {
        let there = std::fs::read_to_string(&typed).unwrap_or_default();
        (there != "by keyboard").then_some(there)
    });
    assert_eq!(stage.host_log().matches("a session is started").count(), 1, "{}", stage.host_log());
    browser.tell();
    browser.step("pixels");
    browser.step("out");
    settle("the application ends with its visitor's sign-in", || {
        let log = stage.host_log();
        (!log.contains("a session ends")).then_some(log)
    });
    let _ = std::fs::remove_dir_all(&folder);
}
