//! Keys, buttons and wheel, as real programs receive them.

use crate::server::{Program, Server, eventually};
use crate::terminal::Terminal;
use crate::viewer::{Row, rows};
use crate::{Shown, show, show_early};
use chevet::source::Source;
use chevet::wire::{Button, InputEvent};
use x11rb::connection::Connection;
use x11rb::protocol::Event;
use x11rb::protocol::xkb::ConnectionExt as _;
use x11rb::protocol::xproto::*;
use x11rb::rust_connection::RustConnection;

const KEY_A: u16 = 0x04;
const CAPS_LOCK: u16 = 2;
const NUM_LOCK: u16 = 0x10;
const SHIFT: (u16, u32) = (0xe1, 0xffe1);

fn down(key: u16, keysym: u32) -> InputEvent {
    InputEvent::KeyDown { key, keysym }
}

fn up(key: u16) -> InputEvent {
    InputEvent::KeyUp { key, keysym: 0 }
}

fn type_row(shown: &Shown, row: &Row) {
    row.events().into_iter().for_each(|event| shown.source.input(event));
    shown.source.input(InputEvent::ReleaseAll);
}

/// Types every row of the table into a terminal, for each of these layouts of the server, while it has these
/// modifiers locked.
fn table_on(program: Program, layouts: &[&[&str]], locked: u16) {
    let server = Server::start(program, 800, 600, 24);
    let shown = show(&server.display);
    let mut terminal = Terminal::open(&server);
    shown.source.input(InputEvent::PointerMove { x: 50, y: 50 });
    let (connection, _) = server.connect();
    let mut wrong = Vec::new();
    for layout in layouts {
        server.set_layout(layout);
        lock(&connection, locked);
        for row in rows() {
            type_row(&shown, &row);
            let received = terminal.receive(&row.receive);
            if received != row.receive {
                let Row { layout: viewer, press, receive } = &row;
                wrong.push(format!("server {layout:?}, {viewer} {press:?}: {receive:?} became {received:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} rows went wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert_at_rest(&connection, locked);
}

/// Locks these modifiers and no others.
fn lock(connection: &RustConnection, mods: u16) {
    connection.xkb_use_extension(1, 0).unwrap().reply().unwrap();
    let (all, none) = (0xffu16.into(), 0u16.into());
    let group = x11rb::protocol::xkb::Group::M1;
    connection.xkb_latch_lock_state(0x100, all, mods.into(), true, group, none, false, 0).unwrap();
    connection.get_input_focus().unwrap().reply().unwrap();
}

#[test]
fn what_users_press_arrives_on_a_server_with_the_us_layout() {
    assert!(rows().len() >= 60);
    table_on(Program::Tigervnc, &[&["us"]], 0);
}

#[test]
fn what_users_press_arrives_on_a_server_with_the_french_layout() {
    table_on(Program::Tigervnc, &[&["fr"]], 0);
}

#[test]
fn what_users_press_arrives_on_xorg() {
    table_on(Program::XorgDummy, &[&["fr"]], 0);
}

#[test]
fn what_users_press_arrives_on_a_server_whose_layout_changes_in_between() {
    let layouts: &[&[&str]] = &[&["ch", "fr"], &["fr", "bepo"], &["us,gr"], &["us", "-variant", "intl"]];
    table_on(Program::Xvfb, layouts, 0);
}

#[test]
fn what_users_press_arrives_while_the_server_has_caps_lock_and_num_lock_on() {
    table_on(Program::Xvfb, &[&["us"], &["fr"]], CAPS_LOCK | NUM_LOCK);
}

#[test]
fn text_of_more_rare_characters_than_there_are_spare_keys_arrives_in_order() {
    let server = Server::start(Program::Tigervnc, 800, 600, 24);
    let shown = show(&server.display);
    let mut terminal = Terminal::open(&server);
    shown.source.input(InputEvent::PointerMove { x: 50, y: 50 });
    let text: String = ('\u{4e00}'..='\u{4e3f}').collect();
    shown.source.input(InputEvent::Text(text.clone()));
    assert_eq!(terminal.receive(&text), text);
}

/// No key, modifier or group differs from a keyboard that nobody touches, and only these locks are set.
fn assert_at_rest(connection: &RustConnection, locked: u16) {
    connection.xkb_use_extension(1, 0).unwrap().reply().unwrap();
    eventually("the keyboard is at rest", || {
        let keys = connection.query_keymap().unwrap().reply().unwrap().keys;
        let state = connection.xkb_get_state(0x100).unwrap().reply().unwrap();
        let mods = u16::from(state.base_mods) | u16::from(state.latched_mods);
        keys == [0; 32]
            && mods == 0
            && u16::from(state.locked_mods) == locked
            && u8::from(state.locked_group) == 0
    });
}

/// A window over the whole screen that hears every key and button.
struct Listener {
    connection: RustConnection,
}

impl Listener {
    fn open(server: &Server) -> Listener {
        let (connection, screen) = server.connect();
        let screen = &connection.setup().roots[screen];
        let window = connection.generate_id().unwrap();
        let heard = EventMask::KEY_PRESS
            | EventMask::KEY_RELEASE
            | EventMask::BUTTON_PRESS
            | EventMask::BUTTON_RELEASE
            | EventMask::EXPOSURE;
        let values = CreateWindowAux::new().event_mask(heard).override_redirect(1);
        let (width, height) = (screen.width_in_pixels, screen.height_in_pixels);
        let class = WindowClass::INPUT_OUTPUT;
        connection.create_window(0, window, screen.root, 0, 0, width, height, 0, class, 0, &values).unwrap();
        connection.map_window(window).unwrap();
        connection.set_input_focus(InputFocus::PARENT, window, 0u32).unwrap();
        connection.get_input_focus().unwrap().reply().unwrap();
        Listener { connection }
    }

    /// The next keys and buttons, as many as these: what happened, and keycode or button.
    fn hear(&self, count: usize) -> Vec<(&'static str, u8)> {
        let mut heard = Vec::new();
        eventually("the window hears the input", || {
            while let Some(event) = self.connection.poll_for_event().unwrap() {
                match event {
                    Event::KeyPress(key) => heard.push(("key down", key.detail)),
                    Event::KeyRelease(key) => heard.push(("key up", key.detail)),
                    Event::ButtonPress(button) => heard.push(("button down", button.detail)),
                    Event::ButtonRelease(button) => heard.push(("button up", button.detail)),
                    _ => {}
                }
            }
            heard.len() >= count
        });
        heard
    }

    /// What arrives within this time.
    fn hear_for(&self, millis: u64) -> usize {
        std::thread::sleep(std::time::Duration::from_millis(millis));
        let mut count = 0;
        while let Some(event) = self.connection.poll_for_event().unwrap() {
            count += usize::from(!matches!(event, Event::Expose(_) | Event::MappingNotify(_)));
        }
        count
    }
}

#[test]
fn release_all_lifts_every_key_and_button() {
    let server = Server::start(Program::Xvfb, 320, 240, 24);
    let shown = show(&server.display);
    let (connection, screen) = server.connect();
    let root = connection.setup().roots[screen].root;
    let pressed = || {
        let keys = connection.query_keymap().unwrap().reply().unwrap().keys;
        let buttons = u16::from(connection.query_pointer(root).unwrap().reply().unwrap().mask) & 0x1f00;
        (keys.iter().map(|byte| byte.count_ones()).sum::<u32>(), buttons)
    };
    for (key, keysym) in [SHIFT, (0xe0, 0xffe3), (0xe6, 0xfe03), (KEY_A, 0x41), (0x05, 0x0101_f600)] {
        shown.source.input(down(key, keysym));
    }
    shown.source.input(InputEvent::PointerButton { button: Button::Left, down: true, x: 9, y: 9 });
    eventually("five keys and a button are down", || pressed() == (5, 0x100));
    shown.source.input(InputEvent::ReleaseAll);
    eventually("nothing is down", || pressed() == (0, 0));
    assert_at_rest(&connection, 0);
}

#[test]
fn dropping_the_source_lifts_keys_and_leaves_the_keyboard_as_it_was() {
    let server = Server::start(Program::Tigervnc, 320, 240, 24);
    let (connection, _) = server.connect();
    let setup = connection.setup();
    let (first, count) = (setup.min_keycode, setup.max_keycode - setup.min_keycode + 1);
    let mapping = || {
        let map = connection.get_keyboard_mapping(first, count).unwrap().reply().unwrap();
        map.keysyms.chunks(map.keysyms_per_keycode.into()).map(trimmed).collect::<Vec<_>>()
    };
    let repeat = || connection.get_keyboard_control().unwrap().reply().unwrap().global_auto_repeat;
    let on = ChangeKeyboardControlAux::new().auto_repeat_mode(AutoRepeatMode::ON);
    connection.change_keyboard_control(&on).unwrap().check().unwrap();
    let (map_before, repeat_before) = (mapping(), repeat());
    let shown = show(&server.display);
    shown.source.input(InputEvent::Text("é😀Ŵж".into()));
    shown.source.input(down(SHIFT.0, SHIFT.1));
    shown.source.input(down(0x05, 0x0101_f600));
    let down_now = || connection.query_keymap().unwrap().reply().unwrap().keys != [0; 32];
    eventually("keys are down and the map has changed", || down_now() && mapping() != map_before);
    drop(shown);
    assert!(!down_now(), "keys stayed down");
    assert!(mapping() == map_before, "symbols stayed on spare keys");
    assert_eq!(repeat(), repeat_before);
}

/// A key's symbols without the empty places at the end: how many there are is the server's affair.
fn trimmed(symbols: &[Keysym]) -> Vec<Keysym> {
    let used = symbols.iter().rposition(|&symbol| symbol != 0).map_or(0, |last| last + 1);
    symbols[..used].to_vec()
}

#[test]
fn a_key_goes_up_by_its_place_whatever_its_symbol_has_become() {
    let server = Server::start(Program::Xvfb, 320, 240, 24);
    let listener = Listener::open(&server);
    let shown = show(&server.display);
    let shift = down(SHIFT.0, SHIFT.1);
    let events = [shift, down(KEY_A, 0x41), up(SHIFT.0), InputEvent::KeyUp { key: KEY_A, keysym: 0x61 }];
    events.into_iter().for_each(|event| shown.source.input(event));
    let heard = listener.hear(4);
    let (shift, a) = (heard[0].1, heard[1].1);
    assert_eq!(heard, [("key down", shift), ("key down", a), ("key up", shift), ("key up", a)]);
    assert_ne!(shift, a);
    assert_at_rest(&listener.connection, 0);
}

#[test]
fn a_key_without_a_place_goes_up_by_its_symbol() {
    let server = Server::start(Program::Xvfb, 320, 240, 24);
    let listener = Listener::open(&server);
    let shown = show(&server.display);
    shown.source.input(down(0, 0x61));
    shown.source.input(down(0, 0x62));
    shown.source.input(InputEvent::KeyUp { key: 0, keysym: 0x61 });
    let heard = listener.hear(3);
    assert_eq!(heard[2], ("key up", heard[0].1));
}

#[test]
fn a_held_key_repeats_as_often_as_the_viewer_says_and_never_by_itself() {
    let server = Server::start(Program::Xvfb, 320, 240, 24);
    let listener = Listener::open(&server);
    let shown = show(&server.display);
    shown.source.input(down(KEY_A, 0x61));
    listener.hear(1);
    // Longer than the delay after which a server starts to repeat.
    assert_eq!(listener.hear_for(1_200), 0);
    for _ in 0..20 {
        shown.source.input(down(KEY_A, 0x61));
    }
    let heard = listener.hear(40);
    assert_eq!(heard.iter().filter(|(what, _)| *what == "key down").count(), 20);
    shown.source.input(up(KEY_A));
    assert_eq!(listener.hear(1)[0].0, "key up");
}

#[test]
fn a_held_modifiers_repeats_are_not_pressed_again() {
    let server = Server::start(Program::Xvfb, 320, 240, 24);
    let listener = Listener::open(&server);
    let shown = show(&server.display);
    for _ in 0..5 {
        shown.source.input(down(SHIFT.0, SHIFT.1));
    }
    shown.source.input(up(SHIFT.0));
    let kinds: Vec<&str> = listener.hear(2).into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, ["key down", "key up"]);
}

#[test]
fn repeating_stays_off_when_the_sessions_settings_switch_it_on() {
    let server = Server::start(Program::Xvfb, 320, 240, 24);
    let (connection, _) = server.connect();
    let shown = show(&server.display);
    let repeat = || connection.get_keyboard_control().unwrap().reply().unwrap().global_auto_repeat;
    eventually("repeating is off", || repeat() == AutoRepeatMode::OFF);
    let on = ChangeKeyboardControlAux::new().auto_repeat_mode(AutoRepeatMode::ON);
    connection.change_keyboard_control(&on).unwrap().check().unwrap();
    eventually("repeating is off again", || repeat() == AutoRepeatMode::OFF);
    drop(shown);
}

#[test]
fn buttons_and_the_wheels_whole_notches_arrive() {
    let server = Server::start(Program::Xvfb, 320, 240, 24);
    let listener = Listener::open(&server);
    let shown = show(&server.display);
    let (x, y) = (20, 30);
    let wheel = |horizontal, vertical| InputEvent::Wheel { horizontal, vertical, x, y };
    for down in [true, true, false, false] {
        shown.source.input(InputEvent::PointerButton { button: Button::Back, down, x, y });
    }
    [wheel(0, 60), wheel(0, 60), wheel(0, -120), wheel(-240, 0), wheel(120, 0)]
        .into_iter()
        .for_each(|event| shown.source.input(event));
    let heard = listener.hear(12);
    let downs: Vec<u8> =
        heard.iter().filter(|(kind, _)| *kind == "button down").map(|&(_, button)| button).collect();
    assert_eq!(downs, [8, 5, 4, 6, 6, 7]);
    assert_eq!(heard.len(), 12);
}

#[test]
fn what_is_typed_before_the_server_has_been_reached_arrives_once_it_has() {
    let server = Server::start(Program::Tigervnc, 800, 600, 24);
    let mut terminal = Terminal::open(&server);
    // The source has not had the time to say hello to the server.
    let shown = show_early(&server.display);
    shown.source.input(InputEvent::PointerMove { x: 50, y: 50 });
    let typed: String = ('a'..='z').collect();
    for (number, letter) in typed.chars().enumerate() {
        shown.source.input(down(KEY_A + number as u16, letter as u32));
        shown.source.input(up(KEY_A + number as u16));
    }
    assert_eq!(terminal.receive(&typed), typed);
}
