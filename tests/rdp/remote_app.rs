//! One application of a host instead of its desktop (RemoteApp), where the host has that; else the session is one without.

use crate::peers::{Channels, Desktop, Shadow, XorgSession, Xrdp, screen};
use crate::server::{Program, Server};
use crate::session::scribble;
use crate::{Shown, eventually, nla_settings, show, xrdp_settings};
use chevet::source::rdp::{Notice, RdpSettings};
use x11rb::connection::Connection;
use x11rb::protocol::xproto::{ConnectionExt as _, MapState};
use x11rb::rust_connection::RustConnection;

/// Where the windows of programs are on a display: x, y, width and height. xrdp says them so, and leaves their borders out.
fn windows(display: &str) -> Vec<(u32, u32, u32, u32)> {
    let (client, number) = RustConnection::connect(Some(display)).unwrap();
    let root = client.setup().roots[number].root;
    let children = client.query_tree(root).unwrap().reply().unwrap().children;
    let seen = children.into_iter().filter_map(|window| {
        let attributes = client.get_window_attributes(window).ok()?.reply().ok()?;
        let it = client.get_geometry(window).ok()?.reply().ok()?;
        let place = (u32::try_from(it.x).ok()?, u32::try_from(it.y).ok()?);
        let seen = attributes.map_state == MapState::VIEWABLE && it.width > 1;
        seen.then_some((place.0, place.1, it.width.into(), it.height.into()))
    });
    seen.collect()
}

/// Waits until one program's window is shown, to the pixel, and all around it is dark.
fn expect_alone(shown: &Shown, display: &str) {
    eventually("the application is shown alone", || {
        let [window] = windows(display)[..] else { return false };
        let (width, height, there) = screen(display);
        let (w, h, here) = shown.pixels();
        let inside = |x: u32, y: u32| {
            (window.0..window.0 + window.2).contains(&x) && (window.1..window.1 + window.3).contains(&y)
        };
        let is_right = |at: usize| {
            let (x, y) = (at as u32 % width, at as u32 / width);
            here[at] == if inside(x, y) { there[at] } else { 0 }
        };
        (w, h) == (width, height) && (0..there.len()).all(is_right)
    });
    assert!(shown.pixels().2.iter().any(|&pixel| pixel != 0));
}

fn reason(shown: &Shown) -> Option<String> {
    shown.notices.lock().unwrap().iter().find_map(|notice| match notice {
        Notice::NoRemoteApp { reason, .. } => Some(reason.clone()),
        _ => None,
    })
}

#[test]
fn an_application_of_an_xrdp_session_is_shown_alone() {
    let session = XorgSession::start(800, 600);
    let channels = Channels::start(&session.display);
    let xrdp = Xrdp::start_before_xorg_and(&session, &channels);
    scribble(&session.display, 31, 60);
    let settings = RdpSettings { remote_app: "xterm".into(), ..xrdp_settings(xrdp.port) };
    let mut shown = show(settings, "any", (800, 600));
    shown.wait_live();
    expect_alone(&shown, &session.display);
    scribble(&session.display, 32, 60);
    expect_alone(&shown, &session.display);
    assert_eq!(reason(&shown), None);
}

#[test]
fn a_host_without_remote_app_shows_its_desktop_and_the_auditor_is_told() {
    let server = Server::start(Program::Xvfb, 800, 600, 24);
    scribble(&server.display, 33, 40);
    let shadow = Shadow::start(&server.display);
    let settings = RdpSettings { remote_app: "||record".into(), ..nla_settings(shadow.port) };
    let mut shown = show(settings, "right", (800, 600));
    let waits = shown.wait_reason();
    assert!(waits.contains("does not show the application alone"), "{waits}");
    shown.wait_live();
    shown.expect_same(&server.display);
    assert!(reason(&shown).is_some());
}

#[test]
fn a_host_that_starts_no_such_application_shows_its_desktop() {
    let desktop = Desktop::start(800, 600);
    // xrdp has the channel, and nobody behind it.
    let xrdp = Xrdp::start(&desktop);
    scribble(&desktop.display, 34, 40);
    let settings = RdpSettings { remote_app: "||record".into(), ..xrdp_settings(xrdp.port) };
    let mut shown = show(settings, "any", (800, 600));
    let waits = shown.wait_reason();
    assert!(waits.contains("did not start the application"), "{waits}");
    shown.wait_live();
    shown.expect_same(&desktop.display);
    assert_eq!(reason(&shown).as_deref(), Some("it did not start the application"));
}
