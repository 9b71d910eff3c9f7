//! What goes wrong is said in one clear line.

use crate::chevet::{Folder, Gateway, Program, TICKET, View, free_port, settle};
use crate::drawing::draw_for;
use crate::lanes::beside;
use crate::server::Server;
use std::time::Duration;

/// Runs chevet until it fails, and gives what it said last: one line, with all of these words.
fn expect_failure(arguments: &[&str], words: &[&str]) {
    let folder = Folder::new();
    let mut program = Program::chevet(&folder, "failing", arguments);
    let mut status = None;
    settle(&format!("{arguments:?} ends"), || {
        status = program.ended();
        status.is_none().then(|| program.log())
    });
    let log = program.log();
    assert!(!status.unwrap().success(), "{arguments:?} succeeded: {log}");
    assert!(!log.contains("panicked") && !log.contains("RUST_BACKTRACE"), "{arguments:?}: {log}");
    let lines: Vec<&str> = log.lines().filter(|line| !line.trim().is_empty()).collect();
    assert_eq!(lines.len(), 1, "{arguments:?} takes more than one line to say it: {log}");
    for word in words {
        assert!(lines[0].contains(word), "{arguments:?} does not say {word:?}: {}", lines[0]);
    }
    println!("{}", lines[0]);
}

#[test]
fn a_wrong_flag_is_named_and_help_is_offered() {
    let _beside = beside();
    for command in ["gateway", "host", "view", "demo"] {
        let folder = Folder::new();
        let mut program = Program::chevet(&folder, "failing", &[command, "--frobnicate"]);
        settle("it ends", || program.ended().is_none().then(|| "it runs".into()));
        let log = program.log();
        assert_eq!(program.ended().unwrap().code(), Some(2));
        assert!(log.lines().next().unwrap().contains("unexpected argument '--frobnicate'"), "{log}");
        assert!(log.contains("--help"), "{log}");
    }
}

#[test]
fn a_missing_configuration_is_said_in_one_line() {
    let _beside = beside();
    expect_failure(
        &["gateway", "--config", "/no/such/chevet.toml"],
        &["/no/such/chevet.toml", "--print-config"],
    );
}

#[test]
fn a_port_that_is_taken_is_said_in_one_line() {
    let _beside = beside();
    let port = free_port();
    let address = format!("127.0.0.1:{port}");
    let _taken = std::net::TcpListener::bind(&address).unwrap();
    expect_failure(&["gateway", "--listen", &address], &[&address, "TCP", "listen"]);
    let port = free_port();
    let address = format!("127.0.0.1:{port}");
    let _taken = std::net::UdpSocket::bind(&address).unwrap();
    expect_failure(&["gateway", "--listen", &address], &[&address, "UDP", "listen"]);
}

#[test]
fn listening_to_others_without_a_ticket_is_refused_in_one_line() {
    let _beside = beside();
    expect_failure(&["gateway", "--listen", "0.0.0.0:0"], &["ticket"]);
}

#[test]
fn wrong_addresses_tickets_and_sessions_are_said_in_one_line() {
    let _beside = beside();
    let gateway = Gateway::start(&[]);
    let view = |address: &str, words: &[&str]| {
        for road in ["quic", "websocket"] {
            expect_failure(&["view", "--headless", "--road", road, address], words);
        }
    };
    let page = gateway.page("desk");
    view(&page, &["there is no session \"desk\""]);
    view(&page.replace(TICKET, "another-ticket"), &["ticket is not valid"]);
    view("desk", &["chevet://HOST:PORT/SESSION"]);
    view("gopher://localhost/desk", &["chevet://HOST:PORT/SESSION"]);
    view(&format!("http://127.0.0.1:{}/", gateway.port), &["#session=SESSION"]);
    let nobody = free_port();
    view(&format!("http://127.0.0.1:{nobody}/#session=desk&ticket=x"), &["is the gateway running?"]);
    view(&format!("chevet://127.0.0.1:{nobody}/desk?ticket=x"), &[&format!("127.0.0.1:{nobody}")]);
    view("chevet://no-such-name.invalid/desk?ticket=x", &["no-such-name.invalid", "check the name"]);
}

#[test]
fn a_host_with_a_wrong_address_or_no_secret_says_so_in_one_line() {
    let _beside = beside();
    let host = |gateway: &str, more: &[&str], words: &[&str]| {
        let arguments = ["host", "--display", ":1", "--name", "desk", "--gateway", gateway];
        expect_failure(&[&arguments[..], more].concat(), words);
    };
    host("nowhere", &[], &["HOST:PORT"]);
    host("127.0.0.1:1", &["--secret-file", "/no/such/secret"], &["/no/such/secret"]);
    host("gateway.example:1", &["--pin", "12"], &["--pin", "64 hexadecimal"]);
}

#[test]
fn without_its_x_server_the_gateway_says_what_it_waits_for_and_goes_on_once_it_is_there() {
    let _beside = beside();
    let display = Server::start(crate::server::Program::Xvfb, 640, 480, 24).display.clone();
    let gateway = Gateway::start(&[("desk", &display)]);
    let mut view = View::start(&gateway.page("desk"), "quic", &[]);
    settle("the gateway says what it waits for", || {
        let told =
            gateway.session("desk").map_or(String::new(), |session| session["waiting_for"].to_string());
        (!told.contains(&display)).then_some(told)
    });
    std::thread::sleep(Duration::from_secs(2));
    let log = gateway.program.log();
    let display_named = format!("display {display} ");
    let about: Vec<&str> = log.lines().filter(|line| line.contains(&display_named)).collect();
    assert_eq!(about.len(), 1, "one line says what is waited for: {log}");
    println!("{}", about[0]);
    let server = Server::start_on(crate::server::Program::Xvfb, &display, 640, 480);
    draw_for(&server.display, Duration::from_secs(1), 61);
    view.expect_exact(&server.display);
}
