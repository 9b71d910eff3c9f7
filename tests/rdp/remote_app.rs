//! One application of a host instead of its desktop (RemoteApp), where the host has that; else the session is one without.

use crate::asking::{anne, login, open_to_anne};
use crate::peers::{Channels, Desktop, Folder, Shadow, XorgSession, Xrdp, screen};
use crate::server::{Program, Server};
use crate::session::{keys, scribble, symbol};
use crate::through::{journal_with, until};
use crate::{Shown, eventually, nla_settings, show, xrdp_settings};
use chevet::client::{Client, Roads};
use chevet::source::Source;
use chevet::source::rdp::{Notice, RdpSettings};
use chevet::wire::{Button, InputEvent};
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};
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
    let end = Instant::now() + Duration::from_secs(20);
    while let Some(difference) = not_alone(shown, display) {
        assert!(Instant::now() < end, "{difference}; {:?}", shown.notices.lock().unwrap());
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// What is not as it is when one program's window is shown alone.
fn not_alone(shown: &Shown, display: &str) -> Option<String> {
    let all = windows(display);
    let [window] = all[..] else { return Some(format!("the host shows {all:?}")) };
    let (width, height, there) = screen(display);
    let (w, h, here) = shown.pixels();
    if (w, h) != (width, height) {
        return Some(format!("{w}x{h} are shown of {width}x{height}"));
    }
    let inside = |x: u32, y: u32| {
        (window.0..window.0 + window.2).contains(&x) && (window.1..window.1 + window.3).contains(&y)
    };
    let is_wrong = |at: &usize| {
        let (x, y) = (*at as u32 % width, *at as u32 / width);
        here[*at] != if inside(x, y) { there[*at] } else { 0 }
    };
    let wrong: Vec<usize> = (0..there.len()).filter(is_wrong).collect();
    if let Some(&at) = wrong.first() {
        let (x, y) = (at as u32 % width, at as u32 / width);
        let (count, here, there) = (wrong.len(), here[at], there[at]);
        return Some(format!(
            "{count} pixels of {window:?}, the first at {x}, {y}: {here:06x}, at the host {there:06x}"
        ));
    }
    // A host that has just set its screen up has the window's place before its program has painted it.
    let is_dark = here.iter().all(|&pixel| pixel == 0);
    is_dark.then(|| format!("{window:?} is dark there, too"))
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

/// A program whose whole window has the colour of what was done last: `r` and `y` are typed, clicks are left or right in it, `q`
/// closes it. Each start is written down.
struct Painter(Folder);

const AT_FIRST: u32 = 0x0010_1080;
const TYPED_R: u32 = 0x00c0_1010;
const TYPED_Y: u32 = 0x00c0_c010;
const CLICKED_LEFT: u32 = 0x0010_a010;
const CLICKED_RIGHT: u32 = 0x0010_a0a0;
/// Physical keys, by their USB HID usage.
const KEY_R: u16 = 0x15;
const KEY_Y: u16 = 0x1c;
const KEY_Q: u16 = 0x14;

impl Painter {
    fn new(name: &str) -> Painter {
        let folder = Folder::new(&format!("painter-{name}"));
        let path = folder.path().display();
        // The terminal tells of a press as ESC [ < button ; column ; row M, of a release with m.
        folder.write(
            "paint",
            &format!(
                "stty raw -echo\nfill() {{ printf '\\033[%sm\\033[2J' $1; }}\n\
                 printf '\\033[?1000h\\033[?1006h\\033[?25l'\nfill 44\necho >> {path}/started\n\
                 while :; do\n key=$(dd bs=1 count=1 2>/dev/null)\n case $key in\n\
                 r) fill 41;;\n y) fill 43;;\n q|'') exit;;\n '<') place=;;\n m) ;;\n\
                 M) place=${{place#*;}}; if [ ${{place%;*}} -le 20 ]; then fill 42; else fill 46; fi;;\n\
                 *) place=$place$key;;\n esac\ndone\n"
            ),
        );
        let colours = [(1, TYPED_R), (2, CLICKED_LEFT), (3, TYPED_Y), (4, AT_FIRST), (6, CLICKED_RIGHT)];
        let colours = colours.map(|(number, colour)| format!("-xrm 'XTerm*color{number}: #{colour:06x}' "));
        let program =
            format!("#!/bin/sh\nexec xterm {}-geometry 40x12+150+100 -e sh {path}/paint\n", colours.concat());
        let program = folder.write("painter", &program);
        std::fs::set_permissions(program, std::fs::Permissions::from_mode(0o755)).unwrap();
        Painter(folder)
    }

    fn settings(&self, port: u16) -> RdpSettings {
        let remote_app = self.0.path().join("painter").to_str().unwrap().to_owned();
        RdpSettings { remote_app, ..xrdp_settings(port) }
    }

    fn starts(&self) -> usize {
        std::fs::read_to_string(self.0.path().join("started")).unwrap_or_default().lines().count()
    }
}

/// Waits until the viewer sees this colour in nearly all of the only window.
fn expect_colour(shown: &Shown, display: &str, colour: u32) {
    eventually(&format!("the window is {colour:06x}"), || {
        let [(left, top, width, height)] = windows(display)[..] else { return false };
        let (w, h, here) = shown.pixels();
        let of_row = |y: u32| (left..(left + width).min(w)).map(move |x| (y * w + x) as usize);
        let inside = (top..(top + height).min(h)).flat_map(of_row);
        let painted = inside.filter(|&at| here[at] == colour).count() as u32;
        painted * 10 > width * height * 9
    });
}

fn click(shown: &Shown, x: u16, y: u16) {
    shown.source.input(InputEvent::PointerMove { x, y });
    for down in [true, false] {
        shown.source.input(InputEvent::PointerButton { button: Button::Left, down, x, y });
    }
}

/// Clicks on the left or right half of the only window.
fn click_half(shown: &Shown, display: &str, right: bool) {
    let (x, y, width, height) = windows(display)[0];
    let x = x + if right { width * 3 / 4 } else { width / 4 };
    click(shown, x as u16, (y + height / 2) as u16);
}

#[test]
fn keys_and_clicks_reach_the_application_that_is_shown_alone() {
    let session = XorgSession::start(800, 600);
    let channels = Channels::start(&session.display);
    let xrdp = Xrdp::start_before_xorg_and(&session, &channels);
    let painter = Painter::new("input");
    let mut shown = show(painter.settings(xrdp.port), "any", (800, 600));
    shown.wait_live();
    expect_colour(&shown, &session.display, AT_FIRST);
    click_half(&shown, &session.display, false);
    expect_colour(&shown, &session.display, CLICKED_LEFT);
    keys(&shown.source, &[(KEY_R, symbol('r'))]);
    expect_colour(&shown, &session.display, TYPED_R);
    click_half(&shown, &session.display, true);
    expect_colour(&shown, &session.display, CLICKED_RIGHT);
    keys(&shown.source, &[(KEY_Y, symbol('y'))]);
    expect_colour(&shown, &session.display, TYPED_Y);
    expect_alone(&shown, &session.display);
    assert_eq!((reason(&shown), painter.starts()), (None, 1));
}

#[test]
fn a_session_whose_connection_was_lost_comes_back_to_the_same_application() {
    let session = XorgSession::start(800, 600);
    let channels = Channels::start(&session.display);
    let mut xrdp = Xrdp::start_before_xorg_and(&session, &channels);
    let painter = Painter::new("lost");
    let mut shown = show(painter.settings(xrdp.port), "any", (800, 600));
    shown.wait_live();
    expect_colour(&shown, &session.display, AT_FIRST);
    click_half(&shown, &session.display, false);
    expect_colour(&shown, &session.display, CLICKED_LEFT);
    xrdp.stop();
    let lost = shown.wait_reason();
    assert!(lost.contains("trying again"), "{lost}");
    // What is drawn beside it while nobody looks is not shown afterwards.
    scribble(&session.display, 35, 60);
    xrdp.restart();
    shown.wait_live();
    expect_alone(&shown, &session.display);
    expect_colour(&shown, &session.display, CLICKED_LEFT);
    keys(&shown.source, &[(KEY_R, symbol('r'))]);
    expect_colour(&shown, &session.display, TYPED_R);
    click_half(&shown, &session.display, true);
    expect_colour(&shown, &session.display, CLICKED_RIGHT);
    expect_alone(&shown, &session.display);
    assert_eq!((reason(&shown), painter.starts()), (None, 1));
}

#[test]
fn a_user_who_closes_the_application_is_told_so_and_has_it_again_by_a_click() {
    let session = XorgSession::start(800, 600);
    let channels = Channels::start(&session.display);
    let xrdp = Xrdp::start_before_xorg_and(&session, &channels);
    let painter = Painter::new("closed");
    let mut shown = show(painter.settings(xrdp.port), "any", (800, 600));
    shown.wait_live();
    expect_colour(&shown, &session.display, AT_FIRST);
    click_half(&shown, &session.display, false);
    expect_colour(&shown, &session.display, CLICKED_LEFT);
    keys(&shown.source, &[(KEY_Q, symbol('q'))]);
    let closed = shown.wait_reason();
    assert!(closed.contains("the application on localhost") && closed.contains("was closed"), "{closed}");
    let told = |shown: &Shown| {
        let notices = shown.notices.lock().unwrap();
        let closed = notices.iter().filter(|notice| matches!(notice, Notice::Closed)).count();
        (closed, notices.iter().any(|notice| matches!(notice, Notice::Lost { .. })))
    };
    assert_eq!(told(&shown), (1, false));
    assert!(windows(&session.display).is_empty());
    click(&shown, 300, 200);
    shown.wait_live();
    expect_colour(&shown, &session.display, AT_FIRST);
    expect_alone(&shown, &session.display);
    assert_eq!((reason(&shown), painter.starts()), (None, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_session_of_an_application_ends_when_its_user_closes_it_and_a_new_one_begins_at_the_next_wish() {
    let session = XorgSession::start(800, 600);
    let channels = Channels::start(&session.display);
    let xrdp = Xrdp::start_before_xorg_and(&session, &channels);
    let (painter, folder) = (Painter::new("over"), Folder::new("over"));
    let program = painter.0.path().join("painter");
    let host = format!(
        "rdp = {{ address = 'localhost:{}', screen_sign_in = true, remote_app = '{}' }}",
        xrdp.port,
        program.display()
    );
    let (gateway, _, site) = open_to_anne(&folder, &host).await;
    let person = anne(&site).await;
    let mut last = String::new();
    for starts in 1..=2 {
        let opened = person.give("ts", &login("any", false)).await.unwrap();
        assert_ne!(opened, last);
        let address = person.address(&opened).await.unwrap();
        let mut client = Client::connect_by(address, Roads::default(), (0, 0)).await.unwrap();
        until(&mut client, "Anne sees the application", |_, client| {
            let painted = |pixels: &[u32]| pixels.iter().filter(|&&pixel| pixel == AT_FIRST).count();
            client.screen().is_some_and(|screen| painted(screen.pixels()) > 5_000)
        })
        .await;
        assert_eq!(painter.starts(), starts);
        // Without a window manager keys go where the pointer is.
        let (left, top, ..) = windows(&session.display)[0];
        let (x, y, button) = (left as u16 + 20, top as u16 + 20, Button::Left);
        assert!(client.input(InputEvent::PointerMove { x, y }));
        for down in [true, false] {
            assert!(client.input(InputEvent::PointerButton { button, down, x, y }));
        }
        until(&mut client, "the application has heard of the pointer", |_, client| {
            let painted = |pixels: &[u32]| pixels.iter().filter(|&&pixel| pixel == CLICKED_LEFT).count();
            client.screen().is_some_and(|screen| painted(screen.pixels()) > 5_000)
        })
        .await;
        let (key, keysym) = (KEY_Q, symbol('q'));
        assert!(client.input(InputEvent::KeyDown { key, keysym }));
        assert!(client.input(InputEvent::KeyUp { key, keysym }));
        let ended = tokio::time::timeout(std::time::Duration::from_secs(20), async {
            loop {
                if let Err(ended) = client.next().await {
                    return ended.to_string();
                }
            }
        });
        let ended = ended.await.expect("the session ends");
        assert!(ended.contains("ended"), "{ended}");
        let told = journal_with(&folder, "session_ended", starts).await;
        assert!(told.lines().any(|line| line.contains("session_ended") && line.contains(&opened)), "{told}");
        assert!(gateway.registry().session(&opened).is_none());
        last = opened;
    }
    gateway.stop().await;
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
