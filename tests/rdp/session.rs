//! Sessions on real servers: pixels, keys, sizes, clipboards, cursors, and servers that come and go.

use crate::peers::{Desktop, Folder, Shadow, Xrdp, screen};
use crate::server::{Program, Server};
use crate::{eventually, nla_settings, show, show_knowing, xrdp_settings};
use chevet::source::rdp::{KnownHosts, Notice, RdpSettings};
use chevet::source::{Source, SourceEvent};
use chevet::wire::{Clip, InputEvent};
use std::sync::Arc;
use x11rb::connection::Connection;
use x11rb::protocol::xproto::*;
use x11rb::rust_connection::RustConnection;

/// Draws rectangles and text of many colours; the same for the same seed.
fn scribble(display: &str, seed: u32, times: u32) {
    let (client, number) = RustConnection::connect(Some(display)).unwrap();
    let screen = &client.setup().roots[number];
    let gc = client.generate_id().unwrap();
    let font = client.generate_id().unwrap();
    client.open_font(font, b"fixed").unwrap();
    client.create_gc(gc, screen.root, &CreateGCAux::new().font(font).graphics_exposures(0)).unwrap();
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    let mut below = |bound: u32| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state % bound
    };
    for _ in 0..times {
        let (x, y) =
            (below(screen.width_in_pixels.into()) as i16, below(screen.height_in_pixels.into()) as i16);
        let colours = ChangeGCAux::new().foreground(below(1 << 24)).background(below(1 << 24));
        client.change_gc(gc, &colours).unwrap();
        let rect = Rectangle { x, y, width: below(200) as u16 + 1, height: below(90) as u16 + 1 };
        client.poly_fill_rectangle(screen.root, gc, &[rect]).unwrap();
        client.image_text8(screen.root, gc, y / 2, x / 2, b"Amoxicilline 500 mg, 3 fois par jour").unwrap();
    }
    client.get_input_focus().unwrap().reply().unwrap();
}

#[test]
fn what_xrdp_shows_arrives_to_the_pixel() {
    let desktop = Desktop::start(800, 600);
    let xrdp = Xrdp::start(&desktop);
    scribble(&desktop.display, 1, 60);
    let mut shown = show(xrdp_settings(xrdp.port), "any", (800, 600));
    shown.wait_live();
    shown.expect_same(&desktop.display);
    scribble(&desktop.display, 2, 60);
    shown.expect_same(&desktop.display);
    let report = shown.source.report();
    println!("{report:?}\n{}", xrdp.log());
    assert!(!report.network_level && report.tls.contains("TLSv1"));
    let notices = shown.notices.lock().unwrap().clone();
    assert!(matches!(notices[..], [Notice::Trusted { .. }, Notice::SignedIn { .. }]), "{notices:?}");
}
