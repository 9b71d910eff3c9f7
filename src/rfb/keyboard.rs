//! What a viewer's user does, as RFB's key and pointer events.

use super::client;
use crate::wire::{Button, InputEvent};

/// Keys that can be held at once.
const MOST_HELD: usize = 32;
/// Notches of one turn of the wheel that are passed on.
const MOST_NOTCHES: i32 = 20;
const NOTCH: i32 = 120;
const WHEEL_UP: u8 = 1 << 3;
const WHEEL_DOWN: u8 = 1 << 4;
const WHEEL_LEFT: u8 = 1 << 5;
const WHEEL_RIGHT: u8 = 1 << 6;

#[derive(Clone, Copy)]
struct Held {
    key: u16,
    keysym: u32,
    /// Where the key is, if that is how it was pressed.
    scan_code: Option<u32>,
}

/// What is held on a server, and what a viewer's events come to there.
#[derive(Default)]
pub struct Hands {
    /// Whether keys go by their place; by their symbol otherwise.
    pub by_place: bool,
    held: Vec<Held>,
    buttons: u8,
    pointer: (u16, u16),
    /// What is left of a notch: to the right, and down.
    turned: (i32, i32),
}

impl Hands {
    /// Appends the messages that an event comes to.
    pub fn event(&mut self, event: &InputEvent, out: &mut Vec<u8>) {
        match event {
            InputEvent::KeyDown { key, keysym } => self.key_down(*key, *keysym, out),
            InputEvent::KeyUp { key, keysym } => {
                let held = self.held.iter().position(|held| is_same(held, *key, *keysym));
                if let Some(index) = held {
                    write_key(false, self.held.remove(index), out);
                }
            }
            InputEvent::Text(text) => {
                for keysym in text.chars().filter_map(keysym_of) {
                    out.extend(client::key(true, keysym));
                    out.extend(client::key(false, keysym));
                }
            }
            InputEvent::ReleaseAll => self.release_all(out),
            InputEvent::PointerMove { x, y } => self.point(*x, *y, out),
            InputEvent::PointerButton { button, down, x, y } => {
                let Some(bit) = button_bit(*button) else { return self.point(*x, *y, out) };
                self.buttons = if *down { self.buttons | bit } else { self.buttons & !bit };
                self.point(*x, *y, out);
            }
            InputEvent::Wheel { horizontal, vertical, x, y } => {
                self.pointer = (*x, *y);
                let right = notches(&mut self.turned.0, *horizontal);
                let down = notches(&mut self.turned.1, *vertical);
                self.turn(down, WHEEL_UP, WHEEL_DOWN, out);
                self.turn(right, WHEEL_LEFT, WHEEL_RIGHT, out);
            }
            InputEvent::Of(origin) => self.event(&origin.event, out),
        }
    }

    fn key_down(&mut self, key: u16, keysym: u32, out: &mut Vec<u8>) {
        // A repeat is the key that is down, even if its symbol would be another by now.
        let again = self.held.iter().find(|held| is_same(held, key, keysym)).copied();
        let scan_code = if self.by_place { scan_code(key) } else { None };
        let pressed = again.unwrap_or(Held { key, keysym, scan_code });
        if pressed.keysym == 0 && pressed.scan_code.is_none() {
            return;
        }
        if again.is_none() {
            if self.held.len() >= MOST_HELD {
                return;
            }
            self.held.push(pressed);
        }
        write_key(true, pressed, out);
    }

    fn release_all(&mut self, out: &mut Vec<u8>) {
        self.held.drain(..).rev().for_each(|held| write_key(false, held, out));
        if self.buttons != 0 {
            self.buttons = 0;
            self.point(self.pointer.0, self.pointer.1, out);
        }
    }

    fn point(&mut self, x: u16, y: u16, out: &mut Vec<u8>) {
        self.pointer = (x, y);
        out.extend(client::pointer(self.buttons, x, y));
    }

    fn turn(&self, notches: i32, back: u8, forth: u8, out: &mut Vec<u8>) {
        let (x, y) = self.pointer;
        let bit = if notches < 0 { back } else { forth };
        for _ in 0..notches.abs().min(MOST_NOTCHES) {
            out.extend(client::pointer(self.buttons | bit, x, y));
            out.extend(client::pointer(self.buttons, x, y));
        }
    }
}

fn is_same(held: &Held, key: u16, keysym: u32) -> bool {
    held.key == key && (key != 0 || held.keysym == keysym)
}

fn write_key(down: bool, held: Held, out: &mut Vec<u8>) {
    match held.scan_code {
        Some(code) => out.extend(client::qemu_key(down, held.keysym, code)),
        None => out.extend(client::key(down, held.keysym)),
    }
}

fn notches(turned: &mut i32, by: i16) -> i32 {
    *turned += i32::from(by);
    let notches = *turned / NOTCH;
    *turned %= NOTCH;
    notches
}

fn button_bit(button: Button) -> Option<u8> {
    Some(match button {
        Button::Left => 1,
        Button::Middle => 2,
        Button::Right => 4,
        Button::Back => 1 << 7,
        // RFB has eight buttons.
        Button::Forward => return None,
    })
}

/// The symbol of a character.
fn keysym_of(c: char) -> Option<u32> {
    Some(match c {
        '\n' => 0xff0d,
        '\t' => 0xff09,
        '\u{8}' => 0xff08,
        c if c.is_control() => return None,
        ' '..='~' | '\u{a0}'..='ÿ' => c.into(),
        c => 0x0100_0000 | u32::from(c),
    })
}

/// The scan code (set 1, with the high bit for those after E0) of a key's USB HID usage on page 7.
pub fn scan_code(usage: u16) -> Option<u32> {
    #[rustfmt::skip]
    const LETTERS_TO_KEYPAD: [u8; 0x64] = [
        // a to z
        0x1e, 0x30, 0x2e, 0x20, 0x12, 0x21, 0x22, 0x23, 0x17, 0x24, 0x25, 0x26, 0x32,
        0x31, 0x18, 0x19, 0x10, 0x13, 0x1f, 0x14, 0x16, 0x2f, 0x11, 0x2d, 0x15, 0x2c,
        // 1 to 0
        0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b,
        // Enter, Escape, Backspace, Tab, Space
        0x1c, 0x01, 0x0e, 0x0f, 0x39,
        // - = [ ] \ # ; ' ` , . / Caps Lock
        0x0c, 0x0d, 0x1a, 0x1b, 0x2b, 0x2b, 0x27, 0x28, 0x29, 0x33, 0x34, 0x35, 0x3a,
        // F1 to F12
        0x3b, 0x3c, 0x3d, 0x3e, 0x3f, 0x40, 0x41, 0x42, 0x43, 0x44, 0x57, 0x58,
        // Print, Scroll Lock, Pause, Insert, Home, Page Up, Delete, End, Page Down
        0x54, 0x46, 0xc6, 0xd2, 0xc7, 0xc9, 0xd3, 0xcf, 0xd1,
        // Right, Left, Down, Up
        0xcd, 0xcb, 0xd0, 0xc8,
        // Num Lock, keypad / * - + Enter, 1 to 9, 0, point
        0x45, 0xb5, 0x37, 0x4a, 0x4e, 0x9c, 0x4f, 0x50, 0x51, 0x4b, 0x4c, 0x4d, 0x47, 0x48, 0x49, 0x52, 0x53,
        // The key beside the left Shift, Menu, Power, keypad =
        0x56, 0xdd, 0xde, 0x59,
    ];
    let code = match usage {
        0x04..=0x67 => LETTERS_TO_KEYPAD[usize::from(usage) - 4],
        // Ro, Katakana, Yen, Henkan, Muhenkan
        0x87..=0x8b => [0x73, 0x70, 0x7d, 0x79, 0x7b][usize::from(usage) - 0x87],
        // Control, Shift, Alt, Meta: left, then right
        0xe0..=0xe7 => [0x1d, 0x2a, 0x38, 0xdb, 0x9d, 0x36, 0xb8, 0xdc][usize::from(usage) - 0xe0],
        _ => return None,
    };
    Some(code.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(hands: &mut Hands, event: InputEvent) -> Vec<u8> {
        let mut out = Vec::new();
        hands.event(&event, &mut out);
        out
    }

    #[test]
    fn a_key_goes_up_as_it_went_down() {
        let mut hands = Hands::default();
        let down = said(&mut hands, InputEvent::KeyDown { key: 4, keysym: 0x41 });
        assert_eq!(down, client::key(true, 0x41));
        // Shift is up by now, and keys go by their place from now on: it is still the same key.
        hands.by_place = true;
        assert_eq!(said(&mut hands, InputEvent::KeyUp { key: 4, keysym: 0x61 }), client::key(false, 0x41));
        assert!(said(&mut hands, InputEvent::KeyUp { key: 4, keysym: 0x61 }).is_empty());
    }

    #[test]
    fn keys_go_by_their_place_where_the_server_takes_that() {
        let mut hands = Hands { by_place: true, ..Hands::default() };
        let down = said(&mut hands, InputEvent::KeyDown { key: 0xe6, keysym: 0xfe03 });
        assert_eq!(down, client::qemu_key(true, 0xfe03, 0xb8));
        // Without a place there is still the symbol.
        assert_eq!(said(&mut hands, InputEvent::KeyDown { key: 0, keysym: 0x61 }), client::key(true, 0x61));
        let up = [client::key(false, 0x61), client::qemu_key(false, 0xfe03, 0xb8)].concat();
        assert_eq!(said(&mut hands, InputEvent::ReleaseAll), up);
    }

    #[test]
    fn buttons_are_a_mask_and_the_wheel_presses_whole_notches() {
        let mut hands = Hands::default();
        let press = InputEvent::PointerButton { button: Button::Right, down: true, x: 3, y: 4 };
        assert_eq!(said(&mut hands, press), client::pointer(4, 3, 4));
        assert_eq!(said(&mut hands, InputEvent::PointerMove { x: 5, y: 6 }), client::pointer(4, 5, 6));
        let turn = |vertical| InputEvent::Wheel { horizontal: 0, vertical, x: 5, y: 6 };
        assert!(said(&mut hands, turn(-60)).is_empty());
        let notch = [client::pointer(4 | WHEEL_UP, 5, 6), client::pointer(4, 5, 6)].concat();
        assert_eq!(said(&mut hands, turn(-60)), notch);
        assert_eq!(said(&mut hands, InputEvent::ReleaseAll), client::pointer(0, 5, 6));
    }

    #[test]
    fn text_is_typed_symbol_by_symbol() {
        let typed = said(&mut Hands::default(), InputEvent::Text("é€\n\u{1}".into()));
        let keys = [0xe9, 0x0100_20ac, 0xff0d];
        let wanted: Vec<u8> =
            keys.iter().flat_map(|&k| [client::key(true, k), client::key(false, k)].concat()).collect();
        assert_eq!(typed, wanted);
    }

    #[test]
    fn every_key_has_a_place_of_its_own() {
        let mut codes: Vec<u32> = (0..=0xe7).filter(|&usage| usage != 0x32).filter_map(scan_code).collect();
        let count = codes.len();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), count);
        assert_eq!(
            [scan_code(4), scan_code(0x28), scan_code(0x64), scan_code(0x52)],
            [0x1e, 0x1c, 0x56, 0xc8].map(Some)
        );
    }
}
