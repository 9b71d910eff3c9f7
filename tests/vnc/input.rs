//! Keys, the pointer and the clipboard.

use crate::server::{Server, eventually, free_port, spawn};
use crate::terminal::Terminal;
use crate::{Shown, plain, show};
use chevet::source::rfb::{Keys, VncConfig};
use chevet::source::{Source, SourceEvent};
use chevet::wire::{Button, Clip, InputEvent};
use std::io::Write;
use std::process::{Command, Stdio};
use x11rb::connection::Connection;
use x11rb::protocol::xproto::*;

const SHIFT: (u16, u32) = (0xe1, 0xffe1);

fn press(shown: &Shown, (key, keysym): (u16, u32)) {
    shown.source.input(InputEvent::KeyDown { key, keysym });
    shown.source.input(InputEvent::KeyUp { key, keysym });
}

fn point_at_terminal(shown: &Shown) {
    shown.source.input(InputEvent::PointerMove { x: 60, y: 60 });
}

#[test]
fn keys_by_their_place_and_text_by_its_symbols_are_received() {
    // Without -RawKeyboard this server looks at the symbols alone.
    let arguments = ["-SecurityTypes", "None", "-RawKeyboard"];
    let server = Server::tigervnc_with(free_port(), 640, 480, &arguments);
    let shown = show(plain(server.address()));
    eventually("the server takes keys by their place", || {
        shown.source.report().extensions.contains(&"QEMU extended keys")
    });
    let mut terminal = Terminal::open(&server);
    point_at_terminal(&shown);
    // A French keyboard's first letter stands where the server's layout has a q.
    press(&shown, (0x14, 0x61));
    shown.source.input(InputEvent::KeyDown { key: SHIFT.0, keysym: SHIFT.1 });
    press(&shown, (0x16, 0x53));
    shown.source.input(InputEvent::KeyUp { key: SHIFT.0, keysym: SHIFT.1 });
    press(&shown, (0x28, 0xff0d));
    assert_eq!(terminal.receive("qS\r"), "qS\r");
    shown.source.input(InputEvent::Text("Zoë 5 € 漢\n".into()));
    assert_eq!(terminal.receive("Zoë 5 € 漢\r"), "Zoë 5 € 漢\r");
}

#[test]
fn keys_by_their_symbol_are_received_whatever_the_server_s_layout() {
    let server = Server::tigervnc(640, 480);
    let shown = show(VncConfig { keys: Keys::Symbol, ..plain(server.address()) });
    let mut terminal = Terminal::open(&server);
    point_at_terminal(&shown);
    for keysym in [0x61, 0xe9, 0x20ac] {
        press(&shown, (0x14, keysym));
    }
    assert_eq!(terminal.receive("aé€"), "aé€");
}

#[test]
fn x11vnc_receives_keys_by_their_symbol() {
    let server = Server::x11vnc(640, 480);
    let shown = show(plain(server.address()));
    let mut terminal = Terminal::open(&server);
    point_at_terminal(&shown);
    press(&shown, (0x04, 0x61));
    shown.source.input(InputEvent::Text("bC\n".into()));
    assert_eq!(terminal.receive("abC\r"), "abC\r");
}

#[test]
fn the_pointer_its_buttons_and_the_wheel_arrive_and_are_let_go() {
    let server = Server::tigervnc(640, 480);
    let shown = show(plain(server.address()));
    let (connection, screen) = server.connect();
    let root = connection.setup().roots[screen].root;
    let pointer = || connection.query_pointer(root).unwrap().reply().unwrap();
    shown.source.input(InputEvent::PointerButton { button: Button::Right, down: true, x: 100, y: 200 });
    eventually("the right button is down where it was pressed", || {
        let at = pointer();
        (at.root_x, at.root_y) == (100, 200) && at.mask.contains(KeyButMask::BUTTON3)
    });
    press(&shown, SHIFT);
    shown.source.input(InputEvent::KeyDown { key: SHIFT.0, keysym: SHIFT.1 });
    eventually("Shift is down", || pointer().mask.contains(KeyButMask::SHIFT));
    shown.source.input(InputEvent::ReleaseAll);
    eventually("nothing is down any more", || pointer().mask == KeyButMask::default());
    // A window that counts presses.
    let window = connection.generate_id().unwrap();
    let values = CreateWindowAux::new().event_mask(EventMask::BUTTON_PRESS).override_redirect(1);
    let class = WindowClass::INPUT_OUTPUT;
    connection.create_window(24, window, root, 0, 0, 640, 480, 0, class, 0, &values).unwrap();
    connection.map_window(window).unwrap();
    connection.flush().unwrap();
    connection.get_input_focus().unwrap().reply().unwrap();
    let turn = |horizontal, vertical| InputEvent::Wheel { horizontal, vertical, x: 10, y: 10 };
    for event in [turn(0, 240), turn(0, -120), turn(120, 0), turn(-120, 0)] {
        shown.source.input(event);
    }
    let mut pressed = Vec::new();
    eventually("every notch is a press", || {
        while let Some(event) = connection.poll_for_event().unwrap() {
            if let x11rb::protocol::Event::ButtonPress(event) = event {
                pressed.push(event.detail);
            }
        }
        pressed.len() == 5
    });
    assert_eq!(pressed, [5, 5, 4, 7, 6]);
}

/// Copies text on the server.
fn copy(server: &Server, text: &str) {
    let mut command = Command::new("xclip");
    command.args(["-display", &server.display, "-selection", "clipboard", "-in"]);
    let mut xclip = spawn(command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()), "xclip");
    xclip.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    assert!(xclip.wait().unwrap().success());
}

/// What a program on the server would paste.
fn pasted(server: &Server) -> String {
    let mut command = Command::new("timeout");
    command.args(["5", "xclip", "-display", &server.display, "-selection", "clipboard", "-out"]);
    command.args(["-target", "UTF8_STRING"]);
    let output = command.stderr(Stdio::null()).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn what_is_copied_on_one_side_is_pasted_on_the_other() {
    let server = Server::tigervnc(320, 240);
    let mut shown = show(plain(server.address()));
    eventually("the server has the extended clipboard", || {
        shown.source.report().extensions.contains(&"extended clipboard")
    });
    let text = "Größe\n5 € 漢字\n";
    copy(&server, text);
    let clip = shown.event("what the server copied", |event| match event {
        SourceEvent::Clip(clip) => Some(clip.clone()),
        _ => None,
    });
    assert!(clip == Clip::Text(text.into()));
    shown.source.clip(Clip::Text("Zoë\n№ 7".into()));
    eventually("the server pastes what the viewer copied", || pasted(&server) == "Zoë\n№ 7");
}
