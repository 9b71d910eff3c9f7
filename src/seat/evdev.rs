//! What a keyboard-like reader types, from Linux' input events: digits and letters up to Enter, whatever keyboard layout the
//! workstation has.

/// `struct input_event` on 64-bit Linux: two 8-byte times, a 16-bit type and code, a 32-bit value.
pub const EVENT_BYTES: usize = 24;
const EV_KEY: u16 = 1;
const PRESSED: i32 = 1;
const KEY_ENTER: u16 = 28;
const KEY_KEYPAD_ENTER: u16 = 96;
const LONGEST: usize = 64;

/// The keys typed since the last Enter.
#[derive(Debug, Default)]
pub struct Keys {
    line: String,
    over: bool,
}

impl Keys {
    /// Takes one event. At Enter: what was typed, if it can be a badge's number.
    pub fn take(&mut self, event: &[u8; EVENT_BYTES]) -> Option<String> {
        let kind = u16::from_ne_bytes([event[16], event[17]]);
        let code = u16::from_ne_bytes([event[18], event[19]]);
        let value = i32::from_ne_bytes([event[20], event[21], event[22], event[23]]);
        if kind != EV_KEY || value != PRESSED {
            return None;
        }
        if code == KEY_ENTER || code == KEY_KEYPAD_ENTER {
            let line = std::mem::take(&mut self.line);
            let over = std::mem::take(&mut self.over);
            return (!over && !line.is_empty()).then_some(line);
        }
        if let Some(character) = character(code) {
            match self.line.len() < LONGEST {
                true => self.line.push(character),
                false => self.over = true,
            }
        }
        None
    }
}

/// The character of a key on the layout that such readers type for.
fn character(code: u16) -> Option<char> {
    const ROWS: [(u16, &str); 6] =
        [(2, "1234567890"), (16, "QWERTYUIOP"), (30, "ASDFGHJKL"), (44, "ZXCVBNM"), (71, "789"), (75, "456")];
    let in_row = |(first, row): &(u16, &str)| row.chars().nth(usize::from(code.checked_sub(*first)?));
    ROWS.iter().find_map(in_row).or(match code {
        79..=81 => char::from_digit(u32::from(code) - 78, 10),
        82 => Some('0'),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn event(kind: u16, code: u16, value: i32) -> [u8; EVENT_BYTES] {
        let mut bytes = [0x55; EVENT_BYTES];
        bytes[16..18].copy_from_slice(&kind.to_ne_bytes());
        bytes[18..20].copy_from_slice(&code.to_ne_bytes());
        bytes[20..].copy_from_slice(&value.to_ne_bytes());
        bytes
    }

    #[test]
    fn what_is_typed_up_to_enter_is_a_badge_and_releases_are_not_typed() {
        let mut keys = Keys::default();
        // 0 4 A F 9, then 7 and 2 on the keypad; each pressed, released, and told with a synchronisation.
        for code in [11, 5, 30, 33, 10, 71, 80] {
            for event in [event(4, 4, 7), event(1, code, 1), event(1, code, 0), event(0, 0, 0)] {
                assert_eq!(keys.take(&event), None);
            }
        }
        assert_eq!(keys.take(&event(1, KEY_ENTER, 1)).as_deref(), Some("04AF972"));
        assert_eq!(keys.take(&event(1, KEY_ENTER, 1)), None, "an Enter alone");
    }

    proptest! {
        #[test]
        fn whatever_is_typed_the_line_is_bounded(codes in prop::collection::vec(any::<(u16, u16, i32)>(), 0..400)) {
            let mut keys = Keys::default();
            for (kind, code, value) in codes {
                let _ = keys.take(&event(kind % 3, code % 128, value % 3));
                prop_assert!(keys.line.len() <= LONGEST);
            }
        }
    }
}
