//! Copying in a session and pasting on the page, and the other way round, in a real browser.

use crate::alone;
use crate::browser::Browser;
use crate::chevet::{Gateway, settle};
use crate::server::{Program, Server};
use std::io::Write;
use std::process::{Command, Stdio};

#[test]
fn in_chromium_what_is_copied_in_the_session_is_on_the_computers_clipboard_and_ctrl_v_pastes_into_the_session()
 {
    const COPIED: &str = "Œdème à 38,5 °C\n🩺";
    const PASTED: &str = "héparine 5000 UI\nà 8 h";
    let _alone = alone();
    let server = Server::start(Program::Xvfb, 640, 480, 24);
    let gateway = Gateway::start(&[("desk", &server.display)]);
    let mut browser = Browser::start("chromium", &gateway.page("desk"), &["clipboard", COPIED, PASTED], &[]);
    browser.step("ready");
    let xclip = |way: &str| {
        let mut command = Command::new("xclip");
        command.args(["-display", &server.display, "-selection", "clipboard", way]);
        command.stdin(Stdio::piped()).stderr(Stdio::null());
        command
    };
    let mut copying = xclip("-in").stdout(Stdio::null()).spawn().unwrap();
    copying.stdin.take().unwrap().write_all(COPIED.as_bytes()).unwrap();
    assert!(copying.wait().unwrap().success());
    browser.step("copied");
    browser.step("pasted");
    settle("a program pastes what was copied at the browser", || {
        let pasted = xclip("-out").output().unwrap().stdout;
        (pasted != PASTED.as_bytes()).then(|| String::from_utf8_lossy(&pasted).into_owned())
    });
}
