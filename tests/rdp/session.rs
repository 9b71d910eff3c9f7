//! Sessions on real servers: pixels, keys, sizes, clipboards, cursors, and servers that come and go.

use crate::peers::{self, Desktop, Folder, Shadow, Xrdp, screen};
use crate::server::{Program, Server};
use crate::terminal::Terminal;
use crate::{eventually, nla_settings, show, show_knowing, xrdp_settings};
use chevet::source::rdp::{
    CertificatePolicy, KnownHosts, Monitor, Notice, RdpSettings, SignIn, fingerprint_text,
};
use chevet::source::{Source, SourceEvent};
use chevet::wire::{Clip, InputEvent};
use std::sync::Arc;
use x11rb::connection::Connection;
use x11rb::protocol::xproto::*;
use x11rb::rust_connection::RustConnection;

/// Draws rectangles and text of many colours; the same for the same seed.
pub fn scribble(display: &str, seed: u32, times: u32) {
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
    assert!(report.sign_in == SignIn::OnScreen && report.tls.contains("TLSv1"));
    let notices = shown.notices.lock().unwrap().clone();
    assert!(matches!(notices[..], [Notice::Trusted { .. }, Notice::SignedIn { .. }]), "{notices:?}");
}

pub fn keys(source: &impl Source, strokes: &[(u16, u32)]) {
    for &(key, keysym) in strokes {
        source.input(InputEvent::KeyDown { key, keysym });
        source.input(InputEvent::KeyUp { key, keysym });
    }
}

pub fn symbol(character: char) -> u32 {
    xkeysym::Keysym::from_char(character).raw()
}

#[test]
fn what_is_typed_on_a_french_keyboard_is_received_by_the_host_that_has_one_too() {
    let desktop = Desktop::start(800, 600);
    let xrdp = Xrdp::start(&desktop);
    let settings = RdpSettings { keyboard: "fr".into(), ..xrdp_settings(xrdp.port) };
    let mut shown = show(settings, "any", (800, 600));
    shown.wait_live();
    let mut terminal = Terminal::open_on(&desktop.display);
    shown.source.input(InputEvent::PointerMove { x: 50, y: 50 });
    // The physical keys of a French keyboard, with the symbols that it gives.
    let french: Vec<_> =
        [(0x14, 'a'), (0x1a, 'z'), (0x1f, 'é'), (0x33, 'm'), (0x10, ','), (0x27, 'à')].to_vec();
    keys(&shown.source, &french.iter().map(|&(key, c)| (key, symbol(c))).collect::<Vec<_>>());
    assert_eq!(terminal.receive("azém,à"), "azém,à");
    // With Shift and AltGr held.
    shown.source.input(InputEvent::KeyDown { key: 0xe1, keysym: 0xffe1 });
    keys(&shown.source, &[(0x14, symbol('A')), (0x1f, symbol('2'))]);
    shown.source.input(InputEvent::KeyUp { key: 0xe1, keysym: 0xffe1 });
    shown.source.input(InputEvent::KeyDown { key: 0xe6, keysym: 0xfe03 });
    keys(&shown.source, &[(0x27, symbol('@')), (0x22, symbol('['))]);
    shown.source.input(InputEvent::KeyUp { key: 0xe6, keysym: 0xfe03 });
    assert_eq!(terminal.receive("A2@["), "A2@[");
    // An American viewer's keys: the host's layout writes these characters elsewhere.
    keys(&shown.source, &[(0x04, symbol('a')), (0x1f, symbol('2')), (0x38, symbol('/')), (0x28, 0xff0d)]);
    assert_eq!(terminal.receive("a2/\r"), "a2/\r");
    // An American's Shift is lifted for what needs none here.
    shown.source.input(InputEvent::KeyDown { key: 0xe1, keysym: 0xffe1 });
    keys(&shown.source, &[(0x1e, symbol('!')), (0x04, symbol('A'))]);
    shown.source.input(InputEvent::KeyUp { key: 0xe1, keysym: 0xffe1 });
    assert_eq!(terminal.receive("!A"), "!A");
    shown.source.input(InputEvent::Text("Crème 5%\n".into()));
    assert_eq!(terminal.receive("Crème 5%\r"), "Crème 5%\r");
}

#[test]
fn a_viewers_size_becomes_the_hosts() {
    let desktop = Desktop::start(800, 600);
    let xrdp = Xrdp::start(&desktop);
    let mut shown = show(xrdp_settings(xrdp.port), "any", (800, 600));
    shown.wait_live();
    shown.expect_same(&desktop.display);
    for (width, height) in [(1_024, 700), (641, 480), (1_200, 900)] {
        shown.source.resize(width, height);
        // Windows and its protocol know no odd widths.
        let width = width & !1;
        eventually("the host has the size", || {
            let (w, h, _) = screen(&desktop.display);
            (w, h) == (width, height)
        });
        scribble(&desktop.display, width, 20);
        shown.expect_same(&desktop.display);
    }
    println!("{:?}", shown.source.report());
}

#[test]
fn text_is_copied_both_ways() {
    let desktop = Desktop::start(640, 480);
    let xrdp = Xrdp::start(&desktop);
    let mut shown = show(xrdp_settings(xrdp.port), "any", (640, 480));
    shown.wait_live();
    eventually("the clipboard's channel is up", || shown.source.report().clipboard);
    // The host may not look at its clipboard yet although its channel is up: what is copied too early is copied again.
    let mut there = Vec::new();
    eventually("the host's text comes", || {
        there = vec![desktop.copy("Prénom: Zoé\nædème")];
        let end = std::time::Instant::now() + std::time::Duration::from_secs(2);
        while std::time::Instant::now() < end {
            match shown.events.try_recv() {
                Ok(SourceEvent::Clip(clip)) => return clip == Clip::Text("Prénom: Zoé\nædème".into()),
                Ok(_) => {}
                Err(_) => std::thread::sleep(std::time::Duration::from_millis(5)),
            }
        }
        false
    });
    drop(there);
    eventually("the viewer's text is pasted", || {
        shown.source.clip(Clip::Text("d'ici\nà là".into()));
        std::thread::sleep(std::time::Duration::from_millis(200));
        desktop.paste() == "d'ici\nà là"
    });
}

#[test]
fn the_hosts_cursor_is_the_viewers() {
    let desktop = Desktop::start(640, 480);
    let xrdp = Xrdp::start(&desktop);
    let mut shown = show(xrdp_settings(xrdp.port), "any", (640, 480));
    shown.wait_live();
    shown.source.input(InputEvent::PointerMove { x: 300, y: 200 });
    let mut shapes = Vec::new();
    for name in ["watch", "xterm", "crosshair"] {
        desktop.set_cursor(name);
        let shape = shown.event("a new cursor comes", |event| match event {
            SourceEvent::Cursor(shape) if !shapes.contains(&shape.pixels) => Some(shape.clone()),
            _ => None,
        });
        assert_eq!(shape.pixels.len(), usize::from(shape.width) * usize::from(shape.height));
        assert!(shape.pixels.iter().any(|pixel| pixel >> 24 == 0xff), "{name} is seen");
        let premultiplied = |pixel: &u32| (0..3).all(|part| pixel >> (8 * part) & 0xff <= pixel >> 24);
        assert!(shape.pixels.iter().all(premultiplied));
        shapes.push(shape.pixels);
    }
}

#[test]
fn a_host_that_dies_and_comes_back_is_shown_again() {
    let desktop = Desktop::start(640, 480);
    let mut xrdp = Xrdp::start(&desktop);
    let mut shown = show(xrdp_settings(xrdp.port), "any", (640, 480));
    shown.wait_live();
    shown.expect_same(&desktop.display);
    let before = shown.pixels();
    xrdp.stop();
    let reason = shown.wait_reason();
    assert!(reason.contains("localhost") && reason.contains("trying again"), "{reason}");
    // What was seen stays seen, instead of a black screen.
    assert!(shown.pixels() == before);
    scribble(&desktop.display, 9, 30);
    xrdp.restart();
    shown.wait_live();
    shown.expect_same(&desktop.display);
}

#[test]
fn a_host_whose_certificate_changes_is_refused_until_an_operator_says_otherwise() {
    let desktop = Desktop::start(640, 480);
    let mut xrdp = Xrdp::start(&desktop);
    let folder = Folder::new("known");
    let path = folder.path().join("known_rdp_hosts");
    let known = || Arc::new(KnownHosts::new(Some(path.clone())));
    let mut shown = show_knowing(xrdp_settings(xrdp.port), "any", (640, 480), known());
    shown.wait_live();
    let first = shown.source.report().fingerprint.unwrap();
    drop(shown);
    xrdp.change_certificate();
    xrdp.restart();
    let mut shown = show_knowing(xrdp_settings(xrdp.port), "any", (640, 480), known());
    let reason = shown.wait_reason();
    assert!(reason.contains("not trusted") && reason.contains("has changed"), "{reason}");
    assert!(reason.contains(&fingerprint_text(&first)), "{reason}");
    let notices = shown.notices.lock().unwrap().clone();
    assert!(matches!(notices[..], [Notice::Distrusted { .. }]), "nothing was sent: {notices:?}");
    drop(shown);
    // The operator takes its line out.
    std::fs::write(&path, "").unwrap();
    show_knowing(xrdp_settings(xrdp.port), "any", (640, 480), known()).wait_live();
}

#[test]
fn a_certificate_is_believed_by_its_fingerprint_or_by_an_authority() {
    let desktop = Desktop::start(640, 480);
    let xrdp = Xrdp::start(&desktop);
    let pinned = |fingerprint: String| RdpSettings {
        certificate: CertificatePolicy::Pinned,
        fingerprint: Some(fingerprint),
        ..xrdp_settings(xrdp.port)
    };
    let mut shown = show(pinned("00".repeat(32)), "any", (640, 480));
    let reason = shown.wait_reason();
    assert!(reason.contains("not trusted") && reason.contains("is configured"), "{reason}");
    let right = fingerprint_text(&shown.source.report().fingerprint.unwrap());
    show(pinned(right), "any", (640, 480)).wait_live();
    let by_authority = |authorities| RdpSettings {
        certificate: CertificatePolicy::Ca,
        authorities: Some(authorities),
        ..xrdp_settings(xrdp.port)
    };
    let other = Folder::new("other-authority");
    peers::certificate(other.path());
    let mut shown = show(by_authority(other.path().join("cert.pem")), "any", (640, 480));
    let reason = shown.wait_reason();
    assert!(reason.contains("not vouched for"), "{reason}");
}

#[test]
fn a_wrong_password_is_said_and_not_tried_again_until_it_is_changed() {
    let server = Server::start(Program::Xvfb, 640, 480, 24);
    let shadow = Shadow::start(&server.display);
    let mut shown = show(nla_settings(shadow.port), "wrong", (640, 480));
    let reason = shown.wait_reason();
    assert!(reason.contains("password is wrong") && reason.contains("not tried again"), "{reason}");
    // Long enough for several tries, if there were any.
    std::thread::sleep(std::time::Duration::from_secs(4));
    let refusals = |shown: &crate::Shown| {
        let notices = shown.notices.lock().unwrap();
        notices.iter().filter(|notice| matches!(notice, Notice::SignInRefused { .. })).count()
    };
    assert_eq!(refusals(&shown), 1);
    *shown.password.lock().unwrap() = "right".into();
    shown.wait_live();
    assert_eq!(refusals(&shown), 1);
    assert_eq!(shown.source.report().sign_in, SignIn::Ntlm);
}

#[test]
fn what_freerdps_shadow_shows_arrives_to_the_pixel_after_network_level_authentication() {
    let server = Server::start(Program::Xvfb, 800, 600, 24);
    scribble(&server.display, 3, 40);
    let shadow = Shadow::start(&server.display);
    let mut shown = show(nla_settings(shadow.port), "right", (800, 600));
    shown.wait_live();
    println!("{:?}", shown.source.report());
    shown.expect_same(&server.display);
    scribble(&server.display, 4, 40);
    shown.expect_same(&server.display);
    let mut terminal = Terminal::open_on(&server.display);
    shown.source.input(InputEvent::PointerMove { x: 50, y: 50 });
    keys(&shown.source, &[(0x04, symbol('a')), (0x05, symbol('b')), (0x28, 0xff0d)]);
    assert_eq!(terminal.receive("ab\r"), "ab\r");
}

#[test]
fn remote_fx_is_taken_when_losses_are_allowed() {
    let server = Server::start(Program::Xvfb, 800, 600, 24);
    scribble(&server.display, 3, 40);
    let shadow = Shadow::start(&server.display);
    let settings = RdpSettings { lossy: true, pipeline: false, ..nla_settings(shadow.port) };
    let mut shown = show(settings, "right", (800, 600));
    shown.wait_live();
    eventually("the picture is close to the host's", || {
        let (_, _, there) = screen(&server.display);
        let (_, _, here) = shown.pixels();
        there.len() == here.len() && psnr(&there, &here) > 30.0
    });
    let report = shown.source.report();
    println!("{:?}", report.updates);
    assert!(report.updates.contains_key("surface commands"), "{:?}", report.updates);
}

#[test]
fn a_host_that_may_pack_what_it_sends_is_shown_to_the_pixel() {
    let desktop = Desktop::start(800, 600);
    let xrdp = Xrdp::start(&desktop);
    scribble(&desktop.display, 11, 60);
    let settings = RdpSettings { compression: true, ..xrdp_settings(xrdp.port) };
    let mut shown = show(settings, "any", (800, 600));
    shown.wait_live();
    shown.expect_same(&desktop.display);
    assert!(xrdp.log().contains("Client requested compression enabled"), "{}", xrdp.log());
}

#[test]
fn what_a_host_has_compressed_is_shown_to_the_pixel() {
    let server = Server::start(Program::Xvfb, 800, 600, 24);
    scribble(&server.display, 15, 40);
    let shadow = Shadow::start(&server.display);
    let settings = RdpSettings { compression: true, pipeline: false, ..nla_settings(shadow.port) };
    let mut shown = show(settings, "right", (800, 600));
    shown.wait_live();
    for seed in 16..20 {
        shown.expect_same(&server.display);
        scribble(&server.display, seed, 40);
    }
    shown.expect_same(&server.display);
    let packed = shown.source.report().packed;
    assert!(packed > 0, "nothing came compressed");
}

#[test]
fn a_session_of_several_monitors_is_as_large_as_all_of_them_whatever_a_viewer_wants() {
    let desktop = Desktop::start(800, 600);
    let xrdp = Xrdp::start(&desktop);
    let monitors = ["800x600", "640x480+800+100"].map(|text| Monitor::try_from(text.to_owned()).unwrap());
    let settings = RdpSettings { monitors: monitors.to_vec(), ..xrdp_settings(xrdp.port) };
    let mut shown = show(settings, "any", (640, 480));
    shown.wait_live();
    eventually("the host has both", || {
        (screen(&desktop.display).0, screen(&desktop.display).1) == (1_440, 600)
    });
    scribble(&desktop.display, 13, 30);
    shown.expect_same(&desktop.display);
    shown.source.resize(500, 400);
    scribble(&desktop.display, 14, 30);
    shown.expect_same(&desktop.display);
    assert_eq!((shown.pixels().0, shown.pixels().1), (1_440, 600));
}

/// Blocks of colours, and text in greys: what H.264 keeps although it has one colour for four pixels.
/// A host sends nothing when nothing has changed: `shade` is that of one more block.
fn draw_still(display: &str, shade: u32) {
    let (client, number) = RustConnection::connect(Some(display)).unwrap();
    let root = client.setup().roots[number].root;
    let (gc, font) = (client.generate_id().unwrap(), client.generate_id().unwrap());
    client.open_font(font, b"fixed").unwrap();
    client.create_gc(gc, root, &CreateGCAux::new().font(font)).unwrap();
    for (index, colour) in (0..).zip(BLOCKS.into_iter().chain([shade])) {
        client.change_gc(gc, &ChangeGCAux::new().foreground(colour)).unwrap();
        let (x, y) = if index < 10 { (index * 80, 0) } else { (720, 440) };
        let rect = Rectangle { x, y, width: 80, height: 160 };
        client.poly_fill_rectangle(root, gc, &[rect]).unwrap();
    }
    for line in 0..25 {
        let (shade, other) = (line as u32 * 0x08_0808, 0x00ff_ffff - line as u32 * 0x04_0404);
        client.change_gc(gc, &ChangeGCAux::new().foreground(shade).background(other)).unwrap();
        client.image_text8(root, gc, 20, 190 + line * 16, b"Amoxicilline 500 mg, 3 fois par jour").unwrap();
    }
    client.get_input_focus().unwrap().reply().unwrap();
}

/// Fills the screen with one colour.
fn cover(display: &str, colour: u32) {
    let (client, number) = RustConnection::connect(Some(display)).unwrap();
    let root = client.setup().roots[number].root;
    let gc = client.generate_id().unwrap();
    client.create_gc(gc, root, &CreateGCAux::new().foreground(colour)).unwrap();
    let rect = Rectangle { x: 0, y: 0, width: 800, height: 600 };
    client.poly_fill_rectangle(root, gc, &[rect]).unwrap();
    client.get_input_focus().unwrap().reply().unwrap();
}

const BLOCKS: [u32; 10] = [
    0x00ff_ffff,
    0x0000_0000,
    0x00ff_0000,
    0x0000_ff00,
    0x0000_00ff,
    0x00ff_ff00,
    0x0033_6699,
    0x0080_8080,
    0x00f0_e8d8,
    0x0010_1010,
];

#[test]
#[cfg(feature = "h264")]
fn h264_of_the_graphics_pipeline_is_taken_when_losses_are_allowed_in_the_hosts_colours() {
    let server = Server::start(Program::Xvfb, 800, 600, 24);
    draw_still(&server.display, 0);
    let shadow = Shadow::start(&server.display);
    let mut shown = show(RdpSettings { lossy: true, ..nla_settings(shadow.port) }, "right", (800, 600));
    shown.wait_live();
    // What a host shows before the pipeline's channel is open comes as surface commands.
    let mut shades = (0..16).cycle();
    eventually("the host uses its pipeline", || {
        draw_still(&server.display, shades.next().unwrap() * 0x10_1010);
        shown.source.report().updates.contains_key("pipeline: AVC420")
    });
    // All that is looked at comes by it then.
    cover(&server.display, 0x0060_4020);
    eventually("the host's screen is covered", || {
        let (_, _, here) = shown.pixels();
        here.iter().all(|&pixel| distance(pixel, 0x0060_4020) <= 6)
    });
    draw_still(&server.display, 0);
    let mut best = 0.0;
    let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while best < 34.0 {
        let (_, _, there) = screen(&server.display);
        let (_, _, here) = shown.pixels();
        if there.len() == here.len() {
            best = psnr(&there, &here);
        }
        assert!(std::time::Instant::now() < end, "{best} dB, {:?}", shown.source.report());
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    println!("{best} dB, {:?}", shown.source.report());
    // A wrong range or matrix would be off by ten and more in some of them.
    let (width, _, here) = shown.pixels();
    for (index, colour) in BLOCKS.iter().enumerate() {
        let seen = here[80 * width as usize + index * 80 + 40];
        assert!(distance(seen, *colour) <= 6, "{colour:06x} is shown as {seen:06x}");
    }
}

/// Of two colours, where they differ most.
fn distance(one: u32, other: u32) -> u32 {
    let of = |part: u32| (one >> (8 * part) & 0xff).abs_diff(other >> (8 * part) & 0xff);
    of(0).max(of(1)).max(of(2))
}

/// In decibels; equal pictures give infinity.
fn psnr(one: &[u32], other: &[u32]) -> f64 {
    let part = |pixel: u32, index: u32| f64::from(pixel >> (8 * index) & 0xff);
    let square = |(&a, &b): (&u32, &u32)| (0..3).map(|i| (part(a, i) - part(b, i)).powi(2)).sum::<f64>();
    let error: f64 = one.iter().zip(other).map(square).sum::<f64>() / (one.len() as f64 * 3.0);
    10.0 * (255.0 * 255.0 / error).log10()
}
