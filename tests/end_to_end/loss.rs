//! Any part may die or hang in the middle of the work: the viewer comes back by itself, exact.

use crate::chevet::{Gateway, Host, View, settle};
use crate::drawing::{Drawing, draw_for};
use crate::lanes::alone;
use crate::server::{Program, Server};
use std::time::{Duration, Instant};

/// Draws on while something is done to the other parts.
fn while_drawing(server: &Server, seed: u64, deed: impl FnOnce()) {
    let drawing = Drawing::start(&server.display, seed);
    std::thread::sleep(Duration::from_secs(1));
    deed();
    std::thread::sleep(Duration::from_secs(1));
    assert!(drawing.rest() > 20, "the drawing program hardly drew");
}

#[test]
fn viewers_come_back_by_themselves_after_the_gateway_was_killed_while_a_program_drew() {
    let _alone = alone();
    let server = Server::start(Program::Xvfb, 1024, 768, 24);
    let mut gateway = Gateway::start(&[("desk", &server.display)]);
    let mut views = ["quic", "websocket"].map(|road| View::start(&gateway.page("desk"), road, &[]));
    views.iter_mut().for_each(|view| view.expect_exact(&server.display));
    while_drawing(&server, 11, || {
        gateway.program.kill();
        std::thread::sleep(Duration::from_millis(700));
        gateway.restart();
    });
    views.iter_mut().for_each(|view| view.expect_exact(&server.display));
}

#[test]
fn after_a_restart_of_the_gateway_viewers_are_not_sent_again_what_they_show() {
    let _alone = alone();
    let server = Server::start(Program::Xvfb, 1024, 768, 24);
    let mut gateway = Gateway::start(&[("desk", &server.display)]);
    gateway.wait_live("desk");
    draw_for(&server.display, Duration::from_secs(2), 12);
    for road in ["quic", "websocket"] {
        let mut view = View::start(&gateway.page("desk"), road, &[]);
        view.expect_exact(&server.display);
        let first = view.fresh_stats()["bytes"].as_u64().unwrap();
        gateway.program.kill();
        settle("the viewer notices", || view.program.log().is_empty().then(|| "its log is empty".into()));
        gateway.restart();
        settle("the viewer is back", || match gateway.session("desk") {
            Some(session) if session["viewers"] == 1 => None,
            other => Some(format!("{other:?}; {}", view.program.log())),
        });
        view.expect_exact(&server.display);
        let again = view.fresh_stats()["bytes"].as_u64().unwrap() - first;
        println!("{road}: {first} bytes at first, {again} bytes to resume");
        assert!(first > 50_000, "the screen was not worth {first} bytes");
        assert!(again < first / 50, "{again} bytes of {first} were sent again over {road}");
        draw_for(&server.display, Duration::from_secs(1), 13);
        view.expect_exact(&server.display);
    }
}

#[test]
fn viewers_come_back_by_themselves_after_the_host_agent_was_killed_while_a_program_drew() {
    let _alone = alone();
    let server = Server::start(Program::Xvfb, 1024, 768, 24);
    let gateway = Gateway::start(&[]);
    let mut host = Host::start(&gateway, "desk", &server.display);
    let mut views = ["quic", "websocket"].map(|road| View::start(&gateway.page("desk"), road, &[]));
    views.iter_mut().for_each(|view| view.expect_exact(&server.display));
    while_drawing(&server, 21, || {
        host.program.kill();
        std::thread::sleep(Duration::from_millis(700));
        host.restart();
    });
    views.iter_mut().for_each(|view| view.expect_exact(&server.display));
}

#[test]
fn a_host_agent_comes_back_by_itself_after_the_gateway_was_killed() {
    let _alone = alone();
    let server = Server::start(Program::Xvfb, 1024, 768, 24);
    let mut gateway = Gateway::start(&[]);
    let _host = Host::start(&gateway, "desk", &server.display);
    let mut view = View::start(&gateway.page("desk"), "websocket", &[]);
    view.expect_exact(&server.display);
    while_drawing(&server, 22, || {
        gateway.program.kill();
        gateway.restart();
        gateway.wait_live("desk");
    });
    view.expect_exact(&server.display);
}

#[test]
fn viewers_come_back_by_themselves_after_the_x_server_was_killed_while_a_program_drew() {
    let _alone = alone();
    let own = Server::start(Program::Tigervnc, 1024, 768, 24);
    let hosted = Server::start(Program::Xvfb, 1024, 768, 24);
    let gateway = Gateway::start(&[("own", &own.display)]);
    let _host = Host::start(&gateway, "hosted", &hosted.display);
    let mut own_view = View::start(&gateway.page("own"), "quic", &[]);
    let mut hosted_view = View::start(&gateway.page("hosted"), "websocket", &[]);
    own_view.expect_exact(&own.display);
    hosted_view.expect_exact(&hosted.display);
    let drawings = [(&own, 31), (&hosted, 32)].map(|(server, seed)| Drawing::start(&server.display, seed));
    std::thread::sleep(Duration::from_secs(1));
    let displays = [own.kill(), hosted.kill()];
    for drawing in drawings {
        drawing.rest();
    }
    std::thread::sleep(Duration::from_millis(500));
    // The new ones have another size and other pixels.
    let own = Server::start_on(Program::Tigervnc, &displays[0], 1280, 720);
    let hosted = Server::start_on(Program::Xvfb, &displays[1], 1280, 720);
    draw_for(&own.display, Duration::from_secs(2), 33);
    draw_for(&hosted.display, Duration::from_secs(2), 34);
    own_view.expect_exact(&own.display);
    hosted_view.expect_exact(&hosted.display);
}

#[test]
fn viewers_notice_a_gateway_that_hangs_and_are_exact_when_it_goes_on() {
    let _alone = alone();
    let server = Server::start(Program::Xvfb, 1024, 768, 24);
    let gateway = Gateway::start(&[("desk", &server.display)]);
    let mut views = ["quic", "websocket"].map(|road| View::start(&gateway.page("desk"), road, &[]));
    views.iter_mut().for_each(|view| view.expect_exact(&server.display));
    let drawing = Drawing::start(&server.display, 41);
    std::thread::sleep(Duration::from_secs(1));
    gateway.program.signal("-STOP");
    let stopped = Instant::now();
    std::thread::sleep(Duration::from_secs(4));
    let noticed = views.each_ref().map(|view| (view.program.log(), view.stats()));
    println!("noticed within {} ms", stopped.elapsed().as_millis());
    gateway.program.signal("-CONT");
    for (log, stats) in noticed {
        assert!(log.contains("silent"), "the viewer did not notice: {log:?}");
        assert_ne!(stats["exactness"], "exact", "the viewer claims to be exact: {stats}");
    }
    std::thread::sleep(Duration::from_secs(1));
    drawing.rest();
    views.iter_mut().for_each(|view| view.expect_exact(&server.display));
}
