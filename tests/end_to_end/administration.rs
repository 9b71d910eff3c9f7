//! The administration page in a real browser, with a real viewer beside it.

use crate::browser::Browser;
use crate::chevet::{Folder, PASSWORD, Program, free_port, settle, with_password};
use crate::lanes::beside;
use crate::vnc_server::Server;
use std::process::Command;

#[test]
fn an_administrator_sees_a_viewer_in_chromium_sends_it_a_message_and_ends_it() {
    let _beside = beside();
    let (folder, port) = (Folder::new(), free_port());
    let config = folder.file("chevet.toml");
    let text = format!(
        "listen = [\"127.0.0.1:{port}\"]\nstate_directory = {:?}\n[sign_in]\n[[publish]]\nsession = \"*\"\n\
         groups = [\"nurses\"]\n[[session]]\nname = \"desk\"\ntitle = \"Front desk\"\n\
         pattern = {{ width = 640, height = 480, frames_per_second = 0, seed = 1 }}\n",
        folder.file("state")
    );
    std::fs::write(&config, text).unwrap();
    let config = config.to_str().unwrap();
    for (name, title, role) in [("boss", "Ada Boss", "administrator"), ("anne", "Anne Roy", "user")] {
        let arguments = ["user", "--config", config, "add", name, "--title", title, "--role", role];
        let mut adding = with_password(&folder, name, &[&arguments[..], &["--group", "nurses"]].concat());
        assert!(adding.wait().unwrap().success());
    }
    let gateway = Program::chevet(&folder, "gateway", &["gateway", "--config", config]);
    settle("the gateway listens", || {
        std::net::TcpStream::connect(("127.0.0.1", port)).err().map(|e| e.to_string())
    });
    let page = format!("http://127.0.0.1:{port}/#session=desk");
    let arguments = ["view", "--headless", "--user", "anne", "--seat", "Ward 3", &page];
    let mut viewer = with_password(&folder, "view", &arguments);
    // Where the pictures stay is for people to say.
    let pictures = std::env::var("CHEVET_PICTURES").unwrap_or("{folder}".into());
    let vnc = Server::tigervnc(320, 240);
    let host = vnc.address();
    let scenario = ["administer", "boss", PASSWORD, "Anne Roy", &pictures, &host];
    let admin = format!("http://127.0.0.1:{port}/admin");
    let language = std::env::var("CHEVET_LANGUAGE").unwrap_or("en".into());
    let mut browser = Browser::start("chromium", &admin, &scenario, &[("CHEVET_LANGUAGE", &language)]);
    browser.step("sent");
    let said = || std::fs::read_to_string(folder.file("view.log")).unwrap();
    settle("the viewer is told", || (!said().contains("Maintenance at 18:00")).then(said));
    let told = browser.step("code")["told"].as_str().unwrap().to_owned();
    let code = told.split_whitespace().last().unwrap().to_owned();
    let (kept, gateway_page) = (folder.file("seat.toml"), format!("http://127.0.0.1:{port}"));
    let enrol = ["seat", "enrol", "--gateway", &gateway_page, "--file", kept.to_str().unwrap(), &code];
    let enrolled = Command::new(env!("CARGO_BIN_EXE_chevet")).args(enrol).output().unwrap();
    assert!(enrolled.status.success(), "{enrolled:?}");
    let row = browser.step("added")["row"].as_str().unwrap().to_owned();
    assert!(row.contains("Ward PC 7") && row.contains(&host), "{row}");
    browser.step("done");
    settle("the viewer ends", || viewer.try_wait().unwrap().is_none().then(said));
    assert!(said().contains("maintenance"), "{}", said());
    let journal = folder.file("state").join("audit");
    let show = Command::new(env!("CARGO_BIN_EXE_chevet"))
        .args(["audit", "show", "--json", journal.to_str().unwrap()])
        .output()
        .unwrap();
    let shown = String::from_utf8(show.stdout).unwrap();
    for action in
        ["message", "end viewer", "make seat code", "revoke seat", "add remote host", "remove remote host"]
    {
        let wanted = format!(r#""action":"{action}""#);
        let found = shown.lines().any(|line| line.contains(&wanted) && line.contains("Ada Boss"));
        assert!(found, "{wanted} is not in\n{shown}\n{}", gateway.log());
    }
}
