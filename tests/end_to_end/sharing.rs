//! A user in a browser lets somebody watch, gives them control, takes it back and sends them away.

use crate::browser::Browser;
use crate::chevet::{Folder, PASSWORD, Program, free_port, settle, with_password};
use crate::lanes::beside;

/// A gateway with one session for Anne and an administrator, under these policies.
fn ward(policies: &str) -> (Folder, Program, String) {
    let (folder, port) = (Folder::new(), free_port());
    let config = folder.file("chevet.toml");
    let text = format!(
        "listen = [\"127.0.0.1:{port}\"]\nstate_directory = {:?}\n[sign_in]\n[[publish]]\nsession = \"desk\"\n\
         users = [\"anne\"]\n{policies}\n[[session]]\nname = \"desk\"\n\
         pattern = {{ width = 640, height = 480, frames_per_second = 0, seed = 1 }}\n",
        folder.file("state")
    );
    std::fs::write(&config, text).unwrap();
    let config = config.to_str().unwrap();
    for (name, title, role) in
        [("anne", "Anne Roy", "user"), ("paul", "Paul Petit", "user"), ("vera", "Vera Chef", "administrator")]
    {
        let arguments = ["user", "--config", config, "add", name, "--title", title, "--role", role];
        assert!(with_password(&folder, name, &arguments).wait().unwrap().success());
    }
    let gateway = Program::chevet(&folder, "gateway", &["gateway", "--config", config]);
    settle("the gateway listens", || {
        std::net::TcpStream::connect(("127.0.0.1", port)).err().map(|e| e.to_string())
    });
    (folder, gateway, format!("http://127.0.0.1:{port}/"))
}

#[test]
fn a_user_in_chromium_admits_a_watcher_gives_control_takes_it_back_and_is_alone_again() {
    let _beside = beside();
    let (folder, gateway, page) = ward("[[policy]]\nwatermark = \"viewer\"");
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

#[test]
fn an_administrator_in_chromium_watches_a_session_from_its_button_under_a_mark_of_their_own() {
    let _beside = beside();
    let policy = "[[policy]]\nusers = [\"anne\"]\nshadow = \"tell\"\n[[policy]]\nusers = [\"vera\"]\nwatermark = \"viewer\"";
    let (folder, _gateway, page) = ward(policy);
    let arguments = ["view", "--headless", "--user", "anne", "--seat", "room 1", "--duration", "60", &page];
    let mut anne = with_password(&folder, "view", &arguments);
    let admin = format!("{page}admin");
    let mut browser = Browser::start("chromium", &admin, &["shadow", "vera", PASSWORD], &[]);
    let watching = browser.step("watching");
    assert_eq!(watching["marks"], 1, "{watching}");
    assert_eq!(watching["url"], page.as_str(), "the address says nothing of it any more");
    let log = || std::fs::read_to_string(folder.file("view.log")).unwrap();
    settle("the user is told", || (!log().contains("Vera Chef")).then(log));
    let _ = anne.kill();
    let _ = anne.wait();
}

#[test]
fn a_page_that_nobody_touches_is_marked_then_locked_and_shows_nothing_of_the_session() {
    let _beside = beside();
    let policy = "[[policy]]\nwatermark = \"viewer\"\nidle_lock_minutes = 0.05";
    let (_folder, _gateway, page) = ward(policy);
    let mut browser = Browser::start("chromium", &page, &["locked", "anne", PASSWORD], &[]);
    assert_eq!(browser.step("open")["marks"], 1);
    let locked = browser.step("locked");
    assert!(locked["title"].as_str().unwrap().contains("Screen locked"), "{locked}");
    assert_eq!(locked["canvases"], 0, "{locked}");
}
