//! The clipboard, against real programs: what they copy is told, what is given to them is pasted.

use super::server::{Program, Server};
use super::{Shown, show};
use chevet::source::{Source, SourceEvent};
use chevet::wire::Clip;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use x11rb::connection::Connection;
use x11rb::protocol::xproto::{ConnectionExt as _, CreateWindowAux, WindowClass};

const SOON: Duration = Duration::from_secs(20);

/// A program copies a text, and goes on owning it in the background.
fn copy(server: &Server, text: &str) {
    let mut xclip = Command::new("xclip")
        .args(["-display", &server.display, "-selection", "clipboard", "-in"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("xclip runs: scripts/install.sh test");
    xclip.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    assert!(xclip.wait().unwrap().success());
}

/// A program copies a picture, or what it says is one.
fn copy_picture(server: &Server, bytes: &[u8]) {
    let mut xclip = Command::new("xclip")
        .args(["-display", &server.display, "-selection", "clipboard", "-target", "image/png", "-in"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("xclip runs: scripts/install.sh test");
    xclip.stdin.take().unwrap().write_all(bytes).unwrap();
    assert!(xclip.wait().unwrap().success());
}

/// A picture of noise, which does not compress.
fn png(width: u32, height: u32) -> Vec<u8> {
    let mut noise = width;
    let rgb: Vec<u8> = (0..width * height * 3)
        .map(|_| {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (noise >> 24) as u8
        })
        .collect();
    let mut png = Vec::new();
    let mut encoder = png::Encoder::new(&mut png, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.write_header().unwrap().write_image_data(&rgb).unwrap();
    png
}

/// What a program pastes.
fn pasted(server: &Server, target: &str) -> String {
    String::from_utf8(pasted_bytes(server, target)).unwrap()
}

fn pasted_bytes(server: &Server, target: &str) -> Vec<u8> {
    let arguments = ["-display", &server.display, "-selection", "clipboard", "-out", "-target", target];
    let pasted = Command::new("timeout").arg("10").arg("xclip").args(arguments).output().unwrap();
    pasted.stdout
}

impl Shown {
    /// The next text that was copied.
    fn copied(&mut self) -> String {
        match self.copied_clip() {
            Clip::Text(text) => text,
            other => panic!("{other:?} is no text"),
        }
    }

    /// The next thing that was copied.
    fn copied_clip(&mut self) -> Clip {
        let end = Instant::now() + SOON;
        loop {
            match self.events.try_recv() {
                Ok(SourceEvent::Clip(clip)) => return clip,
                Ok(_) => {}
                Err(_) => {
                    assert!(Instant::now() < end, "nothing was told to be copied");
                    std::thread::sleep(Duration::from_millis(5));
                }
            }
        }
    }
}

#[test]
fn what_programs_copy_is_told_whatever_it_is_as_far_as_it_fits() {
    let server = Server::start(Program::Xvfb, 320, 200, 24);
    copy(&server, "before");
    let mut shown = show(&server.display);
    assert_eq!(shown.copied(), "before", "what there is when the source comes is told");
    for text in ["Œdème à 38,5 °C\r\n\tligne 2 — 🩺", "x", " \n"] {
        copy(&server, text);
        assert_eq!(shown.copied(), text.replace("\r\n", "\n"));
    }
    // In parts; and what is too long is passed over.
    let long = "héparine 5000 UI\n".repeat(24_000);
    copy(&server, &long);
    assert!(shown.copied() == long);
    copy(&server, &"x".repeat(700 << 10));
    copy(&server, "after");
    assert_eq!(shown.copied(), "after");
}

#[test]
fn pictures_that_programs_copy_are_told_as_far_as_they_are_pictures_and_fit() {
    let server = Server::start(Program::Xvfb, 320, 200, 24);
    let mut shown = show(&server.display);
    // At once and in parts: xclip gives what is longer than the server's longest request in parts.
    for (width, height) in [(20, 10), (1_500, 1_000)] {
        let png = png(width, height);
        copy_picture(&server, &png);
        assert!(shown.copied_clip() == Clip::Picture(png.into()), "{width}x{height}");
    }
    let too_large = png(2_000, 1_500);
    assert!(too_large.len() > 8 << 20);
    copy_picture(&server, &too_large);
    copy_picture(&server, b"GIF89a and what follows");
    copy_picture(&server, b"");
    copy(&server, "after");
    assert_eq!(shown.copied(), "after");
}

#[test]
fn a_picture_that_is_given_to_the_clipboard_is_pasted_by_programs() {
    let server = Server::start(Program::Xvfb, 320, 200, 24);
    let mut shown = show(&server.display);
    for (width, height) in [(20, 10), (1_500, 1_000)] {
        let png = png(width, height);
        shown.source.clip(Clip::Picture(png.clone().into()));
        super::eventually("the program pastes it", || pasted_bytes(&server, "image/png") == png);
    }
    let targets = pasted(&server, "TARGETS");
    assert!(targets.contains("image/png") && !targets.contains("UTF8_STRING"), "{targets}");
    assert_eq!(pasted(&server, "UTF8_STRING"), "");
    copy(&server, "a program's");
    assert_eq!(shown.copied(), "a program's", "its own is not told");
    shown.source.clip(Clip::Picture(png(9, 9).into()));
    super::eventually("the program pastes it", || !pasted_bytes(&server, "image/png").is_empty());
    shown.source.empty_clipboard();
    super::eventually("it is gone", || pasted_bytes(&server, "image/png").is_empty());
}

#[test]
fn what_is_given_to_the_clipboard_is_pasted_by_programs_and_not_told_back() {
    let server = Server::start(Program::Xvfb, 320, 200, 24);
    let mut shown = show(&server.display);
    let long = "à ranger 🩺\n".repeat(20_000);
    for text in ["Œdème à 38,5 °C\n🩺", long.as_str()] {
        shown.source.clip(Clip::Text(text.into()));
        super::eventually("the program pastes it", || pasted(&server, "UTF8_STRING") == text);
        assert!(pasted(&server, "text/plain;charset=utf-8") == text);
    }
    let targets = pasted(&server, "TARGETS");
    assert!(targets.contains("UTF8_STRING") && targets.contains("TIMESTAMP"), "{targets}");
    assert_eq!(pasted(&server, "image/png"), "");
    copy(&server, "a program's");
    assert_eq!(shown.copied(), "a program's", "its own is not told");
    assert_eq!(pasted(&server, "UTF8_STRING"), "a program's");
}

#[test]
fn an_emptied_clipboard_has_nothing_to_paste_whoever_owned_it() {
    let server = Server::start(Program::Xvfb, 320, 200, 24);
    let mut shown = show(&server.display);
    shown.source.clip(Clip::Text("of a viewer".into()));
    super::eventually("the program pastes it", || pasted(&server, "UTF8_STRING") == "of a viewer");
    shown.source.empty_clipboard();
    super::eventually("it is gone", || pasted(&server, "UTF8_STRING").is_empty());
    copy(&server, "of a program");
    assert_eq!(shown.copied(), "of a program");
    assert_eq!(pasted(&server, "UTF8_STRING"), "of a program");
    shown.source.empty_clipboard();
    super::eventually("it is gone too", || pasted(&server, "UTF8_STRING").is_empty());
    copy(&server, "of who comes next");
    assert_eq!(shown.copied(), "of who comes next");
}

#[test]
fn an_owner_that_dies_while_it_is_asked_costs_nothing() {
    let server = Server::start(Program::Xvfb, 320, 200, 24);
    let mut shown = show(&server.display);
    let (connection, screen) = server.connect();
    let window = connection.generate_id().unwrap();
    let root = connection.setup().roots[screen].root;
    let (class, looks) = (WindowClass::INPUT_ONLY, CreateWindowAux::new());
    connection.create_window(0, window, root, 0, 0, 1, 1, 0, class, 0, &looks).unwrap();
    let clipboard = connection.intern_atom(false, b"CLIPBOARD").unwrap().reply().unwrap().atom;
    connection.set_selection_owner(window, clipboard, x11rb::CURRENT_TIME).unwrap();
    connection.flush().unwrap();
    super::eventually("it is asked", || {
        let event = connection.poll_for_event().unwrap();
        matches!(event, Some(x11rb::protocol::Event::SelectionRequest(_)))
    });
    drop(connection);
    copy(&server, "from the living");
    assert_eq!(shown.copied(), "from the living");
    shown.source.clip(Clip::Text("of a viewer".into()));
    super::eventually("the program pastes it", || pasted(&server, "UTF8_STRING") == "of a viewer");
}

#[test]
fn an_owner_that_says_nothing_holds_up_neither_keys_nor_whoever_copies_next() {
    let server = Server::start(Program::Xvfb, 320, 200, 24);
    let mut shown = show(&server.display);
    let (connection, screen) = server.connect();
    let window = connection.generate_id().unwrap();
    let root = connection.setup().roots[screen].root;
    let (class, looks) = (WindowClass::INPUT_ONLY, CreateWindowAux::new());
    connection.create_window(0, window, root, 0, 0, 1, 1, 0, class, 0, &looks).unwrap();
    let clipboard = connection.intern_atom(false, b"CLIPBOARD").unwrap().reply().unwrap().atom;
    connection.set_selection_owner(window, clipboard, x11rb::CURRENT_TIME).unwrap();
    connection.flush().unwrap();
    // It is asked, and never answers.
    super::eventually("it is asked", || {
        let event = connection.poll_for_event().unwrap();
        matches!(event, Some(x11rb::protocol::Event::SelectionRequest(_)))
    });
    shown.source.input(chevet::wire::InputEvent::PointerMove { x: 77, y: 55 });
    super::eventually("the pointer moves", || {
        let pointer = connection.query_pointer(root).unwrap().reply().unwrap();
        (pointer.root_x, pointer.root_y) == (77, 55)
    });
    copy(&server, "from another");
    assert_eq!(shown.copied(), "from another");
}
