//! xrdp before Xorg: the driver xorgxrdp hands it what is drawn, where Xtigervnc sends RFB.

use crate::peers::{XorgSession, Xrdp, screen};
use crate::session::{keys, scribble, symbol};
use crate::terminal::Terminal;
use crate::{eventually, show, xrdp_settings};
use chevet::source::Source;
use chevet::source::rdp::{Monitor, RdpSettings};
use chevet::wire::InputEvent;
use x11rb::connection::Connection;
use x11rb::protocol::randr::ConnectionExt as _;
use x11rb::rust_connection::RustConnection;

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
    let settings = RdpSettings { keyboard: "fr".into(), ..xrdp_settings(xrdp.port) };
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

#[test]
fn a_session_of_several_monitors_has_them_where_they_were_placed() {
    let session = XorgSession::start(800, 600);
    let xrdp = Xrdp::start_before_xorg(&session);
    let monitors = ["800x600", "640x480+800+100"].map(|text| Monitor::try_from(text.to_owned()).unwrap());
    let settings = RdpSettings { monitors: monitors.to_vec(), ..xrdp_settings(xrdp.port) };
    let mut shown = show(settings, "any", (800, 600));
    shown.wait_live();
    let placed = [(0, 0, 800, 600, true), (800, 100, 640, 480, false)];
    eventually("the session has both", || outputs(&session.display) == placed);
    scribble(&session.display, 14, 30);
    // Beside the screens nothing is shown, and what is drawn there need not be told.
    shown.expect_same_where(&session.display, |x, y| x < 800 || (100..580).contains(&y));
}

/// The screens of an X server, by RandR: x, y, width, height, and whether it is the primary one.
fn outputs(display: &str) -> Vec<(i16, i16, u16, u16, bool)> {
    let (client, number) = RustConnection::connect(Some(display)).unwrap();
    let root = client.setup().roots[number].root;
    let monitors = client.randr_get_monitors(root, true).unwrap().reply().unwrap().monitors;
    monitors.iter().map(|it| (it.x, it.y, it.width, it.height, it.primary)).collect()
}
