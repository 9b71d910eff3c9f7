//! A viewer's keyboard for the tests: from `tests/keyboard/layouts.toml` to input events.

use chevet::wire::InputEvent;

#[derive(serde::Deserialize)]
pub struct Row {
    pub layout: String,
    pub press: Vec<String>,
    pub receive: String,
}

#[derive(serde::Deserialize)]
struct Table {
    row: Vec<Row>,
}

pub fn rows() -> Vec<Row> {
    let table: Table = toml::from_str(include_str!("../keyboard/layouts.toml")).unwrap();
    table.row
}

impl Row {
    /// The input that a viewer makes of the row.
    pub fn events(&self) -> Vec<InputEvent> {
        let mac = self.layout.starts_with("mac");
        let mut events = Vec::new();
        for press in &self.press {
            if let Some(text) = press.strip_prefix("text:") {
                events.push(InputEvent::Text(text.to_owned()));
            } else if let Some(code) = press.strip_prefix('-') {
                events.push(InputEvent::KeyUp { key: hid_usage(code), keysym: 0 });
            } else {
                let held = press.strip_prefix('+');
                let (code, value) = held.unwrap_or(press).split_once('=').unwrap();
                let keysym = keysym(code, value, mac);
                let key = hid_usage(code);
                if keysym != 0 {
                    events.push(InputEvent::KeyDown { key, keysym });
                }
                if held.is_none() {
                    events.push(InputEvent::KeyUp { key, keysym });
                }
            }
        }
        events
    }
}

/// The symbol of a key's value; 0 for a dead key whose character comes with the next.
fn keysym(code: &str, value: &str, mac: bool) -> u32 {
    if let Some(name) = value.strip_prefix("keysym:") {
        return match name {
            "dead_grave" => 0xfe50,
            "dead_acute" => 0xfe51,
            "dead_circumflex" => 0xfe52,
            "dead_tilde" => 0xfe53,
            "dead_diaeresis" => 0xfe57,
            "exclamdown" => 0xa1,
            _ => panic!("no such keysym in the table: {name}"),
        };
    }
    match value {
        "Dead" => 0,
        "Shift" => 0xffe1,
        "Control" => 0xffe3,
        "AltGraph" => 0xfe03,
        // A Mac's Option chooses symbols, and its Command is what Control is elsewhere.
        "Alt" if mac => 0xfe03,
        "Meta" if mac => 0xffe3,
        "CapsLock" => 0xffe5,
        "Enter" if code == "NumpadEnter" => 0xff8d,
        "Enter" => 0xff0d,
        "Tab" => 0xff09,
        "Backspace" => 0xff08,
        "Escape" => 0xff1b,
        _ => {
            let mut characters = value.chars();
            let (Some(character), None) = (characters.next(), characters.next()) else {
                panic!("no such key value in the table: {value}")
            };
            let symbol = xkeysym::Keysym::from_char(character).raw();
            // The keypad's characters are symbols of their own.
            if code.starts_with("Numpad") { 0xff80 + symbol } else { symbol }
        }
    }
}

/// The physical key as a USB HID usage.
fn hid_usage(code: &str) -> u16 {
    let letter = code.strip_prefix("Key").and_then(|letter| letter.bytes().next());
    let digit = |code: &str, prefix| code.strip_prefix(prefix).and_then(|digit| digit.parse::<u16>().ok());
    if let Some(letter) = letter {
        return 0x04 + u16::from(letter - b'A');
    }
    if let Some(digit) = digit(code, "Digit") {
        return 0x1e + (digit + 9) % 10;
    }
    if let Some(digit) = digit(code, "Numpad") {
        return 0x59 + (digit + 9) % 10;
    }
    match code {
        "Enter" => 0x28,
        "Escape" => 0x29,
        "Backspace" => 0x2a,
        "Tab" => 0x2b,
        "Space" => 0x2c,
        "Minus" => 0x2d,
        "Equal" => 0x2e,
        "BracketLeft" => 0x2f,
        "BracketRight" => 0x30,
        "Backslash" => 0x31,
        "Semicolon" => 0x33,
        "Quote" => 0x34,
        "Backquote" => 0x35,
        "Comma" => 0x36,
        "Period" => 0x37,
        "Slash" => 0x38,
        "CapsLock" => 0x39,
        "NumpadDivide" => 0x54,
        "NumpadAdd" => 0x57,
        "NumpadEnter" => 0x58,
        "IntlBackslash" => 0x64,
        "ControlLeft" => 0xe0,
        "ShiftLeft" => 0xe1,
        "AltLeft" => 0xe2,
        "MetaLeft" => 0xe3,
        "AltRight" => 0xe6,
        _ => panic!("no such key in the table: {code}"),
    }
}
