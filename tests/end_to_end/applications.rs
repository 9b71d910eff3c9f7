//! An application that is started, left, found again and ended in a browser.

use crate::browser::Browser;
use crate::chevet::{Folder, PASSWORD, Program, free_port, settle, with_password};
use crate::lanes::beside;

#[test]
fn in_chromium_an_application_is_started_found_again_after_a_reload_and_ended() {
    let _beside = beside();
    let (folder, port) = (Folder::new(), free_port());
    let config = folder.file("chevet.toml");
    let application = |name: &str| {
        format!(
            "[[application]]\nname = \"{name}\"\ntitle = \"{name}\"\nhosts = [\"app-1\"]\nusers = [\"anne\"]\n\
             command = [\"xterm\", \"-bg\", \"#306090\", \"-e\", \"sleep\", \"600\"]\n"
        )
    };
    // With one alone the page would open it without asking.
    let text = format!(
        "listen = [\"127.0.0.1:{port}\"]\nstate_directory = {:?}\n[sign_in]\n{}{}",
        folder.file("state"),
        application("record"),
        application("imaging")
    );
    std::fs::write(&config, text).unwrap();
    let config = config.to_str().unwrap();
    let arguments = ["user", "--config", config, "add", "anne", "--title", "Anne Roy"];
    assert!(with_password(&folder, "anne", &arguments).wait().unwrap().success());

    // Its user is this one, or nobody where this one is root, of whom there are no sessions.
    let account = if rustix::process::geteuid().is_root() { "nobody".into() } else { user() };
    let host_config = folder.file("host.toml");
    let text = format!(
        "gateway = \"127.0.0.1:{port}\"\nname = \"app-1\"\noffers = [\"record\", \"imaging\"]\nstate_directory = {:?}\n\
         runtime_directory = {:?}\n[users]\nanne = \"{account}\"\n",
        folder.file("host"),
        folder.file("run")
    );
    std::fs::write(&host_config, text).unwrap();
    // Sessions' users pass through.
    let everybodys = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&folder.0, everybodys).unwrap();
    let host_config = host_config.to_str().unwrap();
    let key = chevet(&["host", "key", "--config", host_config]);
    chevet(&["hosts", "--config", config, "add", "app-1", key.trim()]);
    let gateway = Program::chevet(&folder, "gateway", &["gateway", "--config", config]);
    let host = Program::chevet(&folder, "host", &["host", "--config", host_config]);
    settle("the host is connected", || {
        let log = gateway.log();
        (!log.contains("a host has joined")).then_some(log)
    });

    let page = format!("http://127.0.0.1:{port}/");
    let mut browser = Browser::start("chromium", &page, &["application", "anne", PASSWORD, "record"], &[]);
    let listed = browser.step("listed");
    assert_eq!(listed["list"], "record: Ready to start,imaging: Ready to start", "{}", host.log());
    browser.step("started");
    browser.step("reloaded");
    let left = browser.step("left");
    assert!(left["list"].as_str().unwrap().contains(": Running"), "{left}");
    browser.step("resumed");
    let ended = browser.step("ended");
    assert_eq!(ended["list"], listed["list"]);
    assert_eq!(host.log().matches("a session is started").count(), 1, "{}", host.log());
}

fn user() -> String {
    let id = std::process::Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(id.stdout).unwrap().trim().to_owned()
}

fn chevet(arguments: &[&str]) -> String {
    let done = std::process::Command::new(env!("CARGO_BIN_EXE_chevet")).args(arguments).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}
