//! A doctor's browser outside: through `chevet edge`, which is killed and started again, to a session inside.

use crate::browser::Browser;
use crate::chevet::{Folder, Program, TICKET, free_port, settle};
use crate::drawing::Drawing;
use crate::lanes::beside;
use crate::server::Program::Tigervnc;
use crate::server::Server;
use crate::squid::{self, Squid};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

struct Outside {
    folder: Folder,
    port: u16,
    edge: Program,
    _gateway: Program,
}

fn chevet(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_chevet")).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

impl Outside {
    /// As an operator sets it up: each is told the other's fingerprint.
    fn set_up(display: &str) -> Outside {
        let folder = Folder::new();
        let (inner, outer, port) = (free_port(), free_port(), free_port());
        let (edge, gateway) = (folder.file("edge.toml"), folder.file("gateway.toml"));
        let write = |path: &PathBuf, text: String| std::fs::write(path, text).unwrap();
        let gateway_text = format!(
            "listen = [\"127.0.0.1:{inner}\"]\nstate_directory = {:?}\n[access]\nticket = {TICKET:?}\n\
             [[session]]\nname = \"desk\"\ndisplay = {display:?}\n",
            folder.file("gateway")
        );
        write(&gateway, gateway_text.clone());
        let ours = chevet(&["gateway", "--config", path(&gateway), "--identity"]);
        write(
            &edge,
            format!(
                "listen = [\"127.0.0.1:{port}\"]\ninside = \"127.0.0.1:{outer}\"\nstate_directory = {:?}\ngateways = [{ours:?}]\n",
                folder.file("edge")
            ),
        );
        let theirs = chevet(&["edge", "--config", path(&edge), "--identity"]);
        write(
            &gateway,
            format!("{gateway_text}[[edge]]\naddress = \"127.0.0.1:{outer}\"\nfingerprint = {theirs:?}\n"),
        );
        let (edge, gateway) = (
            Outside::start_edge(&folder, 0),
            Program::chevet(&folder, "gateway", &["gateway", "--config", path(&gateway)]),
        );
        let outside = Outside { folder, port, edge, _gateway: gateway };
        outside.wait_for_tunnel();
        outside
    }

    fn start_edge(folder: &Folder, number: u32) -> Program {
        Program::chevet(
            folder,
            &format!("edge-{number}"),
            &["edge", "--config", path(&folder.file("edge.toml"))],
        )
    }

    fn wait_for_tunnel(&self) {
        settle("the gateway has a tunnel", || {
            let log = self.edge.log();
            (!log.contains("a gateway has a tunnel")).then_some(log)
        });
    }

    fn page(&self) -> String {
        format!("https://127.0.0.1:{}/#session=desk&ticket={TICKET}", self.port)
    }
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_browser_outside_sees_the_exact_session_through_an_edge_by_both_roads() {
    let _beside = beside();
    let server = Server::start(Tigervnc, 1024, 768, 24);
    let outside = Outside::set_up(&server.display);
    // At first nobody at this address is known; whoever was let in over TCP may come by QUIC.
    for road in ["websocket", "webtransport"] {
        let mut browser = Browser::start("chromium", &outside.page(), &["roads"], &[]);
        let step = browser.step("road");
        assert_eq!(step["road"], road, "{step}");
    }
    let mut browser = Browser::start("chromium", &outside.page(), &["hold", "6", "{folder}/pixels"], &[]);
    browser.step("shown");
    let drawing = Drawing::start(&server.display, 73);
    std::thread::sleep(Duration::from_secs(3));
    drawing.rest();
    assert_eq!(browser.step("held")["exactness"], "exact");
    browser.expect_exact(&server.display);
}

#[test]
fn a_browser_behind_an_http_proxy_has_no_udp_and_sees_the_exact_session() {
    let _beside = beside();
    let server = Server::start(Tigervnc, 1024, 768, 24);
    let outside = Outside::set_up(&server.display);
    let squid = Squid::start(&outside.folder.0, false);
    // The browser cannot look this name up itself.
    let page = outside.page().replace("127.0.0.1", squid::NAME);
    let proxy = format!("http://127.0.0.1:{}", squid.port);
    let mut browser =
        Browser::start("chromium", &page, &["hold", "6", "{folder}/pixels"], &[("CHEVET_PROXY", &proxy)]);
    assert_eq!(browser.step("shown")["road"], "websocket");
    let drawing = Drawing::start(&server.display, 75);
    std::thread::sleep(Duration::from_secs(3));
    drawing.rest();
    assert_eq!(browser.step("held")["exactness"], "exact");
    browser.expect_exact(&server.display);
    drop(browser);
    assert!(squid.brought().iter().any(|line| line.contains(squid::NAME)), "{:?}", squid.brought());
}

#[test]
fn a_browser_outside_comes_back_by_itself_after_the_edge_was_killed_while_a_program_drew() {
    let _beside = beside();
    let server = Server::start(Tigervnc, 1024, 768, 24);
    let mut outside = Outside::set_up(&server.display);
    let mut browser = Browser::start("chromium", &outside.page(), &["hold", "10", "{folder}/pixels"], &[]);
    browser.step("shown");
    let drawing = Drawing::start(&server.display, 74);
    std::thread::sleep(Duration::from_secs(1));
    outside.edge.kill();
    outside.edge = Outside::start_edge(&outside.folder, 1);
    outside.wait_for_tunnel();
    std::thread::sleep(Duration::from_secs(1));
    drawing.rest();
    assert_eq!(browser.step("held")["exactness"], "exact");
    browser.expect_exact(&server.display);
}
