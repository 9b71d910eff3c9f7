//! A session that is recorded, and an auditor who watches it in a real browser.

use crate::browser::Browser;
use crate::chevet::{Folder, PASSWORD, Program, free_port, settle, with_password};
use crate::lanes::beside;
use age::secrecy::ExposeSecret;
use chevet::recording::{Keys, Replay};
use std::path::Path;

fn identity(folder: &Folder, name: &str) -> (String, String) {
    let identity = age::x25519::Identity::generate();
    let secret = identity.to_string().expose_secret().to_owned();
    std::fs::write(folder.file(name), &secret).unwrap();
    (identity.to_public().to_string(), secret)
}

fn start(folder: &Folder, name: &str, port: u16) -> Program {
    let config = folder.file("chevet.toml");
    let gateway = Program::chevet(folder, name, &["gateway", "--config", config.to_str().unwrap()]);
    settle("the gateway listens", || {
        std::net::TcpStream::connect(("127.0.0.1", port)).err().map(|error| error.to_string())
    });
    gateway
}

fn sealed(directory: &Path) -> Option<std::path::PathBuf> {
    let entries = std::fs::read_dir(directory).ok()?.flatten().map(|entry| entry.path());
    entries.filter(|path| path.extension().is_some_and(|kind| kind == "age")).max()
}

#[test]
fn an_auditor_seeks_in_a_recording_in_chromium_and_sees_the_pixels_of_each_moment() {
    let _beside = beside();
    let (folder, port) = (Folder::new(), free_port());
    let ((public, secret), (_, wrong)) = (identity(&folder, "key.txt"), identity(&folder, "wrong.txt"));
    let text = format!(
        "listen = [\"127.0.0.1:{port}\"]\nstate_directory = {:?}\n[sign_in]\n[[publish]]\nsession = \"*\"\n\
         groups = [\"nurses\"]\n[[policy]]\nusers = [\"anne\"]\nrecording = true\n\
         [recording]\ndirectory = {:?}\nrecipients = [{public:?}]\nleast_free_gib = 0\n\
         [[session]]\nname = \"desk\"\ntitle = \"Front desk\"\npolicy = \"exact-only\"\n\
         pattern = {{ width = 640, height = 480, frames_per_second = 5, seed = 1 }}\n",
        folder.file("state"),
        folder.file("recordings"),
    );
    let config = folder.file("chevet.toml");
    std::fs::write(&config, text).unwrap();
    let config = config.to_str().unwrap();
    for (name, title, role) in [("vera", "Vera Audit", "auditor"), ("anne", "Anne Roy", "user")] {
        let arguments = ["user", "--config", config, "add", name, "--title", title, "--role", role];
        let mut adding = with_password(&folder, name, &[&arguments[..], &["--group", "nurses"]].concat());
        assert!(adding.wait().unwrap().success());
    }
    let mut gateway = start(&folder, "gateway", port);
    // Long enough for a second whole screen.
    let page = format!("http://127.0.0.1:{port}/#session=desk");
    let arguments = [
        "view",
        "--headless",
        "--duration",
        "14",
        "--stats",
        "json",
        "--user",
        "anne",
        "--seat",
        "Ward 3",
        &page,
    ];
    let mut viewer = with_password(&folder, "view", &arguments);
    assert!(viewer.wait().unwrap().success());
    let said = std::fs::read_to_string(folder.file("view.log")).unwrap();
    assert!(said.contains("this session is recorded"), "{said}");
    gateway.signal("-TERM");
    settle("the gateway ends", || gateway.ended().is_none().then(|| gateway.log()));
    let file = sealed(&folder.file("recordings")).expect("a recording");
    let keys = Keys::read(&folder.file("key.txt")).unwrap();
    let mut replay = Replay::open(keys.open(&file).unwrap()).unwrap();
    assert_eq!(replay.damage(), None);
    let (first, end) = (replay.index().keys[0].0, replay.index().ends_us);
    assert!(replay.index().keys.len() >= 2 && end > 10_000_000, "{:?}", replay.index());
    let times = [end / 2, end - 1_000, first + 1_000_000, end / 3, end * 4 / 5];
    let _gateway = start(&folder, "gateway-again", port);
    let pictures = std::env::var("CHEVET_PICTURES").unwrap_or("{folder}".into());
    let mut scenario = vec!["replay".to_owned(), "vera".into(), PASSWORD.into(), secret, wrong, pictures];
    scenario.extend(times.iter().map(u64::to_string));
    let scenario: Vec<&str> = scenario.iter().map(String::as_str).collect();
    let address = format!("http://127.0.0.1:{port}/replay");
    let language = std::env::var("CHEVET_LANGUAGE").unwrap_or("en".into());
    let mut browser = Browser::start("chromium", &address, &scenario, &[("CHEVET_LANGUAGE", &language)]);
    browser.step("refused");
    let opened = browser.step("opened");
    assert_eq!(opened["end"].as_u64(), Some(end), "{opened}");
    for time in times {
        let canvas = browser.pixels();
        replay.seek(time).unwrap();
        let screen = replay.player().screen().unwrap();
        assert_eq!((canvas.width, canvas.height), (screen.width(), screen.height()));
        let expected: Vec<u32> = screen.pixels().iter().map(|pixel| pixel & 0xff_ffff).collect();
        let wrong = (0..expected.len()).filter(|&at| canvas.pixels[at] != expected[at]).count();
        assert_eq!(wrong, 0, "pixels differ at {time} µs");
    }
    let done = browser.step("done");
    assert_eq!(done["problem"], serde_json::Value::Null, "{done}");
    let journal = folder.file("state").join("audit");
    let opened = |text: String| {
        text.lines().any(|line| line.contains("recording_opened") && line.contains("Vera Audit"))
    };
    settle("the access is in the journal", || {
        let files = std::fs::read_dir(&journal).unwrap().flatten();
        let text: String = files.filter_map(|entry| std::fs::read_to_string(entry.path()).ok()).collect();
        (!opened(text.clone())).then_some(text)
    });
}
