//! What viewers do, as the events of RDP's fast-path input.
//!
//! A key goes as the scan code of the physical key as long as the host's layout gives the symbol that the viewer's gave.
//! Where it does not, the character goes as Unicode, or, to hosts that know no Unicode input, by the key that writes it there.

use super::layout::{self, Key, Layout, Place};
use crate::wire::{Button, InputEvent};
use ironrdp_pdu::input::fast_path::{FastPathInputEvent, KeyboardFlags, SynchronizeFlags};
use ironrdp_pdu::input::mouse::PointerFlags;
use ironrdp_pdu::input::mouse_x::PointerXFlags;
use ironrdp_pdu::input::{MousePdu, MouseXPdu};
use std::collections::BTreeMap;

const PAUSE: u16 = 0x48;
const NUM_LOCK: u16 = 0x53;
const CAPS_LOCK: u16 = 0x39;
const SCROLL_LOCK: u16 = 0x47;
const ENTER: u16 = 0x28;
const TAB: u16 = 0x2b;
const LEFT_SHIFT: u16 = 0xe1;
const RIGHT_SHIFT: u16 = 0xe5;
const ALT_GR: u16 = 0xe6;
/// Control, Alt and the Windows keys.
const COMMANDS: [u16; 5] = [0xe0, 0xe2, 0xe3, 0xe4, 0xe7];
/// The keys that change what others write.
const MODIFIERS: std::ops::RangeInclusive<u16> = 0xe0..=0xe7;
const KEYPAD: std::ops::RangeInclusive<u16> = 0x54..=0x63;
/// Accents that Windows waits with for a letter, in one layout or another.
const ACCENTS: [char; 5] = ['^', '`', '´', '~', '¨'];
/// Keys that can be held at once.
const MOST_HELD: usize = 32;
/// The largest rotation of one event.
const MOST_WHEEL: i16 = 240;

/// What is held on one host, and in what state its locks are.
pub struct Keyboard {
    layout: Layout,
    /// Whether the host takes characters.
    unicode: bool,
    /// What was pressed for a viewer's key, by its usage, or by its keysym where that is all there is.
    held: BTreeMap<u32, Held>,
    locks: SynchronizeFlags,
    buttons: Vec<Button>,
    pointer: (u16, u16),
    /// The host's screen, beyond which the pointer does not go.
    screen: (u16, u16),
}

#[derive(Clone, Copy, PartialEq)]
enum Held {
    /// This usage is down on the host.
    Key(u16),
    /// The character was typed at once.
    Typed,
}

impl Keyboard {
    pub fn new(layout: Layout, unicode: bool, screen: (u16, u16)) -> Self {
        Keyboard {
            layout,
            unicode,
            held: BTreeMap::new(),
            locks: SynchronizeFlags::NUM_LOCK,
            buttons: Vec::new(),
            pointer: (0, 0),
            screen,
        }
    }

    pub fn resize(&mut self, screen: (u16, u16)) {
        self.screen = screen;
    }

    /// What a host is told first: which locks are on, and that nothing is held.
    pub fn begin(&mut self, out: &mut Vec<FastPathInputEvent>) {
        self.release_all(out);
        out.push(FastPathInputEvent::SyncEvent(self.locks));
    }

    pub fn event(&mut self, event: &InputEvent, out: &mut Vec<FastPathInputEvent>) {
        match event {
            InputEvent::KeyDown { key, keysym } => self.down(*key, *keysym, out),
            InputEvent::KeyUp { key, keysym } => self.up(*key, *keysym, out),
            InputEvent::Text(text) => text.chars().for_each(|character| self.type_character(character, out)),
            InputEvent::ReleaseAll => {
                self.release_all(out);
                out.push(FastPathInputEvent::SyncEvent(self.locks));
            }
            InputEvent::PointerMove { x, y } => {
                self.point(*x, *y);
                out.push(self.mouse(PointerFlags::MOVE, 0));
            }
            InputEvent::PointerButton { button, down, x, y } => {
                self.point(*x, *y);
                self.buttons.retain(|held| held != button);
                if *down {
                    self.buttons.push(*button);
                }
                out.push(self.button(*button, *down));
            }
            InputEvent::Wheel { horizontal, vertical, x, y } => {
                self.point(*x, *y);
                // A host's wheel turns away from the user for more than 0.
                self.wheel(PointerFlags::VERTICAL_WHEEL, vertical.saturating_neg(), out);
                self.wheel(PointerFlags::HORIZONTAL_WHEEL, *horizontal, out);
            }
            InputEvent::Of(origin) => self.event(&origin.event, out),
        }
    }

    fn down(&mut self, key: u16, keysym: u32, out: &mut Vec<FastPathInputEvent>) {
        let usage = if key == 0 { layout::usage_of(keysym).unwrap_or(0) } else { key };
        let id = identity(key, keysym);
        // A key that is held already repeats as what it was pressed as.
        if let Some(&Held::Key(held)) = self.held.get(&id) {
            return press(held, true, out);
        }
        let character =
            character_of(keysym).filter(|_| !KEYPAD.contains(&usage) && !MODIFIERS.contains(&usage));
        self.match_locks(usage, keysym, character, out);
        let held = match character {
            Some(character) => self.write(usage, character, out),
            None if is_known(usage) => {
                press(usage, true, out);
                self.toggle(usage);
                Held::Key(usage)
            }
            None => return,
        };
        if self.held.len() < MOST_HELD {
            self.held.insert(id, held);
        } else if let Held::Key(usage) = held {
            press(usage, false, out);
        }
    }

    fn up(&mut self, key: u16, keysym: u32, out: &mut Vec<FastPathInputEvent>) {
        if let Some(Held::Key(usage)) = self.held.remove(&identity(key, keysym)) {
            press(usage, false, out);
        }
    }

    /// Presses what writes a character, and says what is held now.
    fn write(&mut self, usage: u16, character: char, out: &mut Vec<FastPathInputEvent>) -> Held {
        let command = self.is_held(&COMMANDS) && !self.is_held(&[ALT_GR]);
        if command {
            // A shortcut is meant by its letter, wherever the host's layout has it.
            let small = character.to_lowercase().next().unwrap_or(character);
            let place = self.layout.find(small).filter(|place| place.level == 0);
            let usage = place.map_or(usage, |place| place.usage);
            if is_known(usage) {
                press(usage, true, out);
                return Held::Key(usage);
            }
            return Held::Typed;
        }
        let dead = self.unicode && ACCENTS.contains(&character);
        if !dead && self.layout.at(usage, self.level()).is_some_and(|written| is_same(written, character)) {
            press(usage, true, out);
            return Held::Key(usage);
        }
        self.type_character(character, out);
        Held::Typed
    }

    /// Types a character at once, whatever is held.
    fn type_character(&mut self, character: char, out: &mut Vec<FastPathInputEvent>) {
        let control = match character {
            '\n' => Some(ENTER),
            '\t' => Some(TAB),
            _ => None,
        };
        if let Some(usage) = control {
            self.with_modifiers(None, out, |out| tap(usage, out));
        } else if character.is_control() {
            // Nothing writes it.
        } else if self.unicode {
            self.with_modifiers(None, out, |out| {
                let mut units = [0; 2];
                for &mut unit in character.encode_utf16(&mut units) {
                    out.push(FastPathInputEvent::UnicodeKeyboardEvent(KeyboardFlags::empty(), unit));
                    out.push(FastPathInputEvent::UnicodeKeyboardEvent(KeyboardFlags::RELEASE, unit));
                }
            });
        } else if let Some(Place { usage, level }) = self.layout.find(character) {
            let capitals =
                self.locks.contains(SynchronizeFlags::CAPS_LOCK) && character.is_ascii_alphabetic();
            let modifier = match (level, capitals) {
                (0, false) | (1, true) => None,
                (0 | 1, _) => Some(LEFT_SHIFT),
                _ => Some(ALT_GR),
            };
            self.with_modifiers(modifier, out, |out| tap(usage, out));
        }
    }

    /// Does something while this modifier is held and no other; then those that are held are held again.
    fn with_modifiers(
        &self,
        wanted: Option<u16>,
        out: &mut Vec<FastPathInputEvent>,
        work: impl FnOnce(&mut Vec<FastPathInputEvent>),
    ) {
        let held: Vec<u16> = self.held_usages().filter(|usage| MODIFIERS.contains(usage)).collect();
        let lift = held.iter().filter(|&&usage| Some(usage) != wanted);
        lift.clone().for_each(|&usage| press(usage, false, out));
        let add = wanted.filter(|usage| !held.contains(usage));
        add.iter().for_each(|&usage| press(usage, true, out));
        work(out);
        add.iter().for_each(|&usage| press(usage, false, out));
        lift.for_each(|&usage| press(usage, true, out));
    }

    /// The viewer's symbols show in what state its locks are: the host's are to be the same.
    fn match_locks(
        &mut self,
        usage: u16,
        keysym: u32,
        character: Option<char>,
        out: &mut Vec<FastPathInputEvent>,
    ) {
        let mut locks = self.locks;
        let shift = self.is_held(&[LEFT_SHIFT, RIGHT_SHIFT]);
        if let Some(letter) = character.filter(char::is_ascii_alphabetic)
            && !self.is_held(&COMMANDS)
            && !self.is_held(&[ALT_GR])
        {
            locks.set(SynchronizeFlags::CAPS_LOCK, letter.is_ascii_uppercase() != shift);
        }
        match (usage, keysym) {
            (0x59..=0x63, 0xffb0..=0xffb9 | 0xffac | 0xffae | 0x30..=0x39) if !shift => {
                locks.insert(SynchronizeFlags::NUM_LOCK);
            }
            (0x59..=0x63, 0xff95..=0xff9f | 0xff50..=0xff58 | 0xff63 | 0xffff) if !shift => {
                locks.remove(SynchronizeFlags::NUM_LOCK);
            }
            _ => {}
        }
        if locks != self.locks {
            self.locks = locks;
            out.push(FastPathInputEvent::SyncEvent(locks));
        }
    }

    fn toggle(&mut self, usage: u16) {
        let lock = match usage {
            NUM_LOCK => SynchronizeFlags::NUM_LOCK,
            CAPS_LOCK => SynchronizeFlags::CAPS_LOCK,
            SCROLL_LOCK => SynchronizeFlags::SCROLL_LOCK,
            _ => return,
        };
        self.locks.toggle(lock);
    }

    fn level(&self) -> usize {
        match () {
            () if self.is_held(&[ALT_GR]) => 2,
            () if self.is_held(&[LEFT_SHIFT, RIGHT_SHIFT]) => 1,
            () => 0,
        }
    }

    fn held_usages(&self) -> impl Iterator<Item = u16> {
        self.held.values().filter_map(|held| match held {
            Held::Key(usage) => Some(*usage),
            Held::Typed => None,
        })
    }

    fn is_held(&self, usages: &[u16]) -> bool {
        self.held_usages().any(|held| usages.contains(&held))
    }

    fn release_all(&mut self, out: &mut Vec<FastPathInputEvent>) {
        let held: Vec<u16> = self.held_usages().collect();
        self.held.clear();
        held.into_iter().for_each(|usage| press(usage, false, out));
        for button in std::mem::take(&mut self.buttons) {
            out.push(self.button(button, false));
        }
    }

    fn point(&mut self, x: u16, y: u16) {
        self.pointer = (x.min(self.screen.0.saturating_sub(1)), y.min(self.screen.1.saturating_sub(1)));
    }

    fn mouse(&self, flags: PointerFlags, rotation: i16) -> FastPathInputEvent {
        let (x_position, y_position) = self.pointer;
        FastPathInputEvent::MouseEvent(MousePdu {
            flags,
            number_of_wheel_rotation_units: rotation,
            x_position,
            y_position,
        })
    }

    fn button(&self, button: Button, down: bool) -> FastPathInputEvent {
        let state = if down { PointerFlags::DOWN } else { PointerFlags::empty() };
        let (x_position, y_position) = self.pointer;
        let side = |which: PointerXFlags| {
            let state = if down { PointerXFlags::DOWN } else { PointerXFlags::empty() };
            FastPathInputEvent::MouseEventEx(MouseXPdu { flags: which | state, x_position, y_position })
        };
        match button {
            Button::Left => self.mouse(PointerFlags::LEFT_BUTTON | state, 0),
            Button::Middle => self.mouse(PointerFlags::MIDDLE_BUTTON_OR_WHEEL | state, 0),
            Button::Right => self.mouse(PointerFlags::RIGHT_BUTTON | state, 0),
            Button::Back => side(PointerXFlags::BUTTON1),
            Button::Forward => side(PointerXFlags::BUTTON2),
        }
    }

    fn wheel(&self, which: PointerFlags, rotation: i16, out: &mut Vec<FastPathInputEvent>) {
        let mut rest = rotation;
        while rest != 0 {
            let step = rest.clamp(-MOST_WHEEL, MOST_WHEEL);
            out.push(self.mouse(which, step));
            rest -= step;
        }
    }
}

fn identity(key: u16, keysym: u32) -> u32 {
    if key == 0 { keysym | 1 << 31 } else { key.into() }
}

fn is_known(usage: u16) -> bool {
    usage == PAUSE || layout::key(usage).is_some()
}

/// Capital and small letters are one key.
fn is_same(written: char, character: char) -> bool {
    written == character || written.to_lowercase().eq(character.to_lowercase())
}

/// The character of a keysym; of a key with a function, none.
fn character_of(keysym: u32) -> Option<char> {
    if (0xfe00..=0xffff).contains(&keysym) {
        return None;
    }
    xkeysym::Keysym::new(keysym).key_char().filter(|character| !character.is_control())
}

fn tap(usage: u16, out: &mut Vec<FastPathInputEvent>) {
    press(usage, true, out);
    press(usage, false, out);
}

fn press(usage: u16, down: bool, out: &mut Vec<FastPathInputEvent>) {
    let release = if down { KeyboardFlags::empty() } else { KeyboardFlags::RELEASE };
    if usage == PAUSE {
        // The one key with a prefix of its own and two codes.
        out.push(FastPathInputEvent::KeyboardEvent(KeyboardFlags::EXTENDED1 | release, 0x1d));
        out.push(FastPathInputEvent::KeyboardEvent(release, 0x45));
    } else if let Some(Key { code, extended }) = layout::key(usage) {
        let prefix = if extended { KeyboardFlags::EXTENDED } else { KeyboardFlags::empty() };
        out.push(FastPathInputEvent::KeyboardEvent(prefix | release, code));
    }
}

#[cfg(test)]
#[path = "keyboard_tests.rs"]
mod tests;
