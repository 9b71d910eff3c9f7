//! A user in a browser lets somebody watch, gives them control, takes it back and sends them away.

use crate::alone;
use crate::browser::Browser;
use crate::chevet::{Folder, PASSWORD, Program, free_port, settle, with_password};

#[test]
fn a_user_in_chromium_admits_a_watcher_gives_control_takes_it_back_and_is_alone_again() {
    let _alone = alone();
    let (folder, port) = (Folder::new(), free_port());
    let config = folder.file("chevet.toml");
    let text = format!(
        "listen = [\"127.0.0.1:{port}\"]\nstate_directory = {:?}\n[sign_in]\n[[publish]]\nsession = \"desk\"\n\
         users = [\"anne\"]\n[[policy]]\nwatermark = \"viewer\"\n[[session]]\nname = \"desk\"\n\
         pattern = {{ width = 640, height = 480, frames_per_second = 0, seed = 1 }}\n",
        folder.file("state")
    );
    std::fs::write(&config, text).unwrap();
    let config = config.to_str().unwrap();
    for (name, title) in [("anne", "Anne Roy"), ("paul", "Paul Petit")] {
        let arguments = ["user", "--config", config, "add", name, "--title", title];
        assert!(with_password(&folder, name, &arguments).wait().unwrap().success());
    }
    let gateway = Program::chevet(&folder, "gateway", &["gateway", "--config", config]);
    settle("the gateway listens", || {
        std::net::TcpStream::connect(("127.0.0.1", port)).err().map(|e| e.to_string())
    });
    let page = format!("http://127.0.0.1:{port}/");
    let mut browser = Browser::start("chromium", &page, &["share", "anne", PASSWORD], &[]);
    let told = browser.step("code")["text"].as_str().unwrap().to_owned();
    let is_code = |word: &&str| word.len() >= 11 && word.as_bytes()[5] == b'-';
    let code = told.split_whitespace().find(is_code).unwrap_or_else(|| panic!("{told}"))[..11].to_owned();
    let arguments = ["view", "--headless", "--user", "paul", "--seat", "room 2", "--watch", &code, &page];
    let mut watcher = with_password(&folder, "view", &arguments);
    assert!(browser.step("asked")["text"].as_str().unwrap().contains("Paul Petit, room 2"));
    assert!(browser.step("watched")["text"].as_str().unwrap().contains("Paul Petit, room 2"));
    browser.step("taken back");
    browser.step("alone");
    settle("the watcher is sent away", || {
        let log = || std::fs::read_to_string(folder.file("view.log")).unwrap();
        watcher.try_wait().unwrap().is_none().then(log)
    });
    let log = std::fs::read_to_string(folder.file("view.log")).unwrap();
    assert!(log.contains("Paul Petit (has control)"), "{log}\n{}", gateway.log());
}
