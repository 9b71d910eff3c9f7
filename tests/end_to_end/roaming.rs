//! A session that follows its user from a browser to another place and back.

use crate::browser::Browser;
use crate::chevet::{Folder, PASSWORD, Program, free_port, settle, with_password};
use crate::lanes::beside;

#[test]
fn a_session_goes_dark_in_chromium_when_it_is_shown_elsewhere_and_comes_back_when_it_is_asked_for() {
    let _beside = beside();
    let (folder, port) = (Folder::new(), free_port());
    let config = folder.file("chevet.toml");
    let text = format!(
        "listen = [\"127.0.0.1:{port}\"]\nstate_directory = {:?}\n[sign_in]\n[[publish]]\nsession = \"desk\"\n\
         users = [\"anne\"]\n[[session]]\nname = \"desk\"\n\
         pattern = {{ width = 640, height = 480, frames_per_second = 0, seed = 1 }}\n",
        folder.file("state")
    );
    std::fs::write(&config, text).unwrap();
    let config = config.to_str().unwrap();
    let arguments = ["user", "--config", config, "add", "anne", "--title", "Anne Roy"];
    assert!(with_password(&folder, "anne", &arguments).wait().unwrap().success());
    let gateway = Program::chevet(&folder, "gateway", &["gateway", "--config", config]);
    settle("the gateway listens", || {
        std::net::TcpStream::connect(("127.0.0.1", port)).err().map(|e| e.to_string())
    });
    let page = format!("http://127.0.0.1:{port}/");
    let mut browser = Browser::start("chromium", &page, &["follow", "anne", PASSWORD], &[]);
    browser.step("exact");
    let arguments = ["view", "--headless", "--user", "anne", "--seat", "room 2", &page];
    let mut elsewhere = with_password(&folder, "view", &arguments);
    let gone = browser.step("gone");
    assert!(gone["why"].as_str().unwrap().contains("room 2"), "{gone}\n{}", gateway.log());
    assert_eq!(gone["canvases"], 0, "pixels are left on the page");
    browser.step("back");
    settle("the other place loses it", || {
        let log = || std::fs::read_to_string(folder.file("view.log")).unwrap();
        elsewhere.try_wait().unwrap().is_none().then(log)
    });
}
