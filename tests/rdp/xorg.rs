//! xrdp before Xorg: the driver xorgxrdp hands it what is drawn, where Xtigervnc sends RFB.

use crate::peers::{XorgSession, Xrdp, screen};
use crate::session::{keys, scribble, symbol};
use crate::terminal::Terminal;
use crate::{eventually, show, xrdp_settings};
use chevet::source::Source;
use chevet::wire::InputEvent;

#[test]
fn a_session_of_xorgs_arrives_to_the_pixel_and_is_the_same_after_its_connection_was_lost() {
    let session = XorgSession::start(800, 600);
    let mut xrdp = Xrdp::start_before_xorg(&session);
    let mut shown = show(xrdp_settings(xrdp.port), "any", (800, 600));
    shown.wait_live();
    scribble(&session.display, 11, 60);
    shown.expect_same(&session.display);
    xrdp.stop();
    shown.wait_reason();
    scribble(&session.display, 12, 40);
    xrdp.restart();
    shown.wait_live();
    shown.expect_same(&session.display);
    println!("{:?}", shown.source.report());
}

#[test]
fn what_is_typed_is_received_by_a_program_of_an_xorg_session() {
    let session = XorgSession::start(800, 600);
    let xrdp = Xrdp::start_before_xorg(&session);
    let settings = chevet::source::rdp::RdpSettings { keyboard: "fr".into(), ..xrdp_settings(xrdp.port) };
    let mut shown = show(settings, "any", (800, 600));
    shown.wait_live();
    let mut terminal = Terminal::open_on(&session.display);
    shown.source.input(InputEvent::PointerMove { x: 50, y: 50 });
    let french: Vec<_> = [(0x14, 'a'), (0x1a, 'z'), (0x1f, 'é'), (0x33, 'm'), (0x10, ',')].to_vec();
    keys(&shown.source, &french.iter().map(|&(key, c)| (key, symbol(c))).collect::<Vec<_>>());
    assert_eq!(terminal.receive("azém,"), "azém,");
    shown.expect_same(&session.display);
}

#[test]
fn a_viewers_size_becomes_that_of_an_xorg_session() {
    let session = XorgSession::start(800, 600);
    let xrdp = Xrdp::start_before_xorg(&session);
    let mut shown = show(xrdp_settings(xrdp.port), "any", (800, 600));
    shown.wait_live();
    shown.source.resize(1_024, 700);
    eventually("the session has the size", || {
        let (width, height, _) = screen(&session.display);
        (width, height) == (1_024, 700)
    });
    scribble(&session.display, 13, 30);
    shown.expect_same(&session.display);
}
