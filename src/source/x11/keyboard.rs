//! The server's keyboard: reads its map, carries out plans by XTest, and puts symbols that the map lacks on
//! spare keycodes.
//!
//! **Repeats.** A held key is repeated by the viewer, not by the server: the server's own repetition is
//! switched off, and each repeat that arrives lifts the key and presses it again. So a repeat has the
//! symbol that it should have even where modifiers were faked for the press, its pace is the viewer's, and
//! when the viewer, the link or this process stops, so does the repeating.

use super::X11Error;
use super::keymap::{Group, Key, KeyMap, KeyType, Keycode, Keysym, Mods, OutOfRange, Plan, State, Step};
use super::spare::{Place, Spares};
use super::stream::XConnection;
use super::symbols;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use x11rb::connection::Connection;
use x11rb::errors::ReplyError;
use x11rb::protocol::Event;
use x11rb::protocol::xkb::{self, BoolCtrl, ConnectionExt as _, EventType, GetMapReply, MapPart, SAType};
use x11rb::protocol::xproto::{
    AutoRepeatMode, ChangeKeyboardControlAux, ConnectionExt as _, KEY_PRESS_EVENT, KEY_RELEASE_EVENT,
};
use x11rb::protocol::xtest::ConnectionExt as _;

const CORE_KEYBOARD: xkb::DeviceSpec = 0x100;
/// `SetMods` takes the modifiers that the key is mapped to.
const USE_MODMAP: u8 = 4;
/// The most keys that a viewer may hold at once; people have ten fingers, hostile viewers more.
const MOST_HELD: usize = 256;
/// How long to wait before looking again whether a spare keycode has rested.
const SPARE_POLL: Duration = Duration::from_millis(20);
/// How long programs have for looking up the last keys when the source goes: dropping it waits for this.
const LAST_LOOK: Duration = Duration::from_millis(400);

/// What a viewer calls a key: the physical key, or the symbol where that is not known.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyName {
    Key(u16),
    Symbol(Keysym),
}

impl KeyName {
    pub(super) fn new(key: u16, symbol: Keysym) -> KeyName {
        if key == 0 { KeyName::Symbol(symbol) } else { KeyName::Key(key) }
    }
}

struct HeldKey {
    name: KeyName,
    keycode: Keycode,
    is_modifier: bool,
}

pub(super) struct Keyboard {
    map: KeyMap,
    /// Somebody, perhaps we, changed the server's map since it was read.
    is_stale: bool,
    /// What came for the clipboard while the map was looked at.
    pub(super) passed_over: Vec<Event>,
    held: Vec<HeldKey>,
    spares: Spares,
    /// The source is being dropped: nothing is worth a long wait any more.
    stopping: Arc<AtomicBool>,
    born: Instant,
    /// The server repeated held keys when we came.
    repeated: bool,
}

impl Keyboard {
    pub(super) fn open(connection: &XConnection, stopping: Arc<AtomicBool>) -> Result<Keyboard, X11Error> {
        if !connection.xkb_use_extension(1, 0)?.reply()?.supported {
            return Err(X11Error::Extension("XKEYBOARD"));
        }
        let maps = MapPart::KEY_TYPES | MapPart::KEY_SYMS | MapPart::KEY_ACTIONS | MapPart::MODIFIER_MAP;
        let controls = xkb::SelectEventsAuxControlsNotify {
            affect_ctrls: xkb::Control::from(1u32 << 31),
            ctrl_details: xkb::Control::from(1u32 << 31),
        };
        let keyboards = xkb::SelectEventsAuxNewKeyboardNotify {
            affect_new_keyboard: xkb::NKNDetail::KEYCODES | xkb::NKNDetail::DEVICE_ID,
            new_keyboard_details: xkb::NKNDetail::KEYCODES | xkb::NKNDetail::DEVICE_ID,
        };
        let details = xkb::SelectEventsAux::new().new_keyboard_notify(keyboards).controls_notify(controls);
        connection.xkb_select_events(
            CORE_KEYBOARD,
            EventType::default(),
            EventType::MAP_NOTIFY,
            maps,
            maps,
            &details,
        )?;
        let repeated = connection.get_keyboard_control()?.reply()?.global_auto_repeat;
        set_repeat(connection, AutoRepeatMode::OFF)?;
        Ok(Keyboard {
            map: read_map(connection)?,
            is_stale: false,
            passed_over: Vec::new(),
            held: Vec::new(),
            spares: Spares::default(),
            stopping,
            born: Instant::now(),
            repeated: repeated == AutoRepeatMode::ON,
        })
    }

    /// Takes note of what the server tells about its keyboard.
    pub(super) fn note(&mut self, connection: &XConnection, event: &Event) -> Result<(), X11Error> {
        match event {
            Event::XkbMapNotify(_) | Event::XkbNewKeyboardNotify(_) | Event::MappingNotify(_) => {
                self.is_stale = true;
            }
            // A session's settings program may switch repetition on after us.
            Event::XkbControlsNotify(changed)
                if changed.enabled_control_changes.contains(BoolCtrl::REPEAT_KEYS)
                    && changed.enabled_controls.contains(BoolCtrl::REPEAT_KEYS) =>
            {
                self.repeated = true;
                set_repeat(connection, AutoRepeatMode::OFF)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// A viewer's key goes down, or is repeated.
    pub(super) fn down(
        &mut self,
        connection: &XConnection,
        name: KeyName,
        symbol: Keysym,
    ) -> Result<(), X11Error> {
        if symbols::is_lock(symbol) || symbol == 0 {
            return Ok(());
        }
        if let Some(index) = self.held.iter().position(|held| held.name == name) {
            if self.held[index].is_modifier {
                return Ok(());
            }
            let held = self.held.remove(index);
            self.fake(connection, &Step::Up(held.keycode))?;
        }
        if self.held.len() >= MOST_HELD {
            return Ok(());
        }
        self.refresh(connection)?;
        let is_modifier = symbols::is_modifier(symbol);
        let plan = if is_modifier {
            self.map.modifier_key(symbol).map(Plan::plain)
        } else {
            self.plan(connection, symbol)?
        };
        let Some(plan) = plan else {
            tracing::debug!("the session's keyboard cannot have a key that a viewer pressed");
            return Ok(());
        };
        self.press(connection, &plan)?;
        self.held.push(HeldKey { name, keycode: plan.keycode, is_modifier });
        Ok(())
    }

    /// A viewer's key goes up.
    pub(super) fn up(&mut self, connection: &XConnection, name: KeyName) -> Result<(), X11Error> {
        if let Some(index) = self.held.iter().position(|held| held.name == name) {
            let held = self.held.remove(index);
            // Two viewer keys may stand for one modifier key here, and the other may still be down.
            if !self.is_down(held.keycode) {
                self.fake(connection, &Step::Up(held.keycode))?;
            }
        }
        Ok(())
    }

    /// Types text, each character as a key. Control and Alt held by the viewer are lifted meanwhile: an
    /// input method's text, or a paste that Ctrl+V asked for, is no row of shortcuts. Ends early when the
    /// source is stopping: text full of rare characters takes its time.
    pub(super) fn write(&mut self, connection: &XConnection, text: &str) -> Result<(), X11Error> {
        self.refresh(connection)?;
        let shortcut = self.map.shortcut_mods();
        let lifted: Vec<Keycode> = self
            .held_codes()
            .into_iter()
            .filter(|&code| self.map.key(code).is_some_and(|key| key.sets & shortcut != 0))
            .collect();
        for &keycode in &lifted {
            self.fake(connection, &Step::Up(keycode))?;
        }
        // "\r\n" is one line's end.
        for character in text.chars().filter(|&character| character != '\r') {
            let symbol = symbols::of_char(character);
            if self.stopping.load(Ordering::Acquire) {
                break;
            }
            if symbol == 0 {
                continue;
            }
            self.refresh(connection)?;
            if let Some(plan) = self.plan(connection, symbol)? {
                self.press(connection, &plan)?;
                self.fake(connection, &Step::Up(plan.keycode))?;
            }
        }
        for &keycode in &lifted {
            self.fake(connection, &Step::Down(keycode))?;
        }
        Ok(())
    }

    /// Lifts every key that is down by our doing.
    pub(super) fn release_all(&mut self, connection: &XConnection) -> Result<(), X11Error> {
        // Modifiers last, so that no letter is left alone without its Control.
        self.held.sort_by_key(|held| held.is_modifier);
        for held in std::mem::take(&mut self.held) {
            self.fake(connection, &Step::Up(held.keycode))?;
        }
        Ok(())
    }

    /// Leaves the server's keyboard as it was found.
    pub(super) fn close(mut self, connection: &XConnection) -> Result<(), X11Error> {
        self.release_all(connection)?;
        connection.flush()?;
        // Programs may still be looking up the last keys.
        let rest = Duration::from_millis(self.spares.rest_left_millis(self.now_millis()));
        std::thread::sleep(rest.min(LAST_LOOK));
        self.refresh(connection)?;
        for keycode in self.spares.keycodes() {
            map_symbol(connection, keycode, 0)?;
        }
        // Last: from here on nobody listens who would switch it off again.
        if self.repeated {
            set_repeat(connection, AutoRepeatMode::ON)?;
        }
        Ok(())
    }

    fn plan(&mut self, connection: &XConnection, symbol: Keysym) -> Result<Option<Plan>, X11Error> {
        let state = read_state(connection)?;
        let symbol = self.map.meant(symbol, &state);
        if let Some(plan) = self.map.plan(symbol, &state, &self.held_codes()) {
            return Ok(Some(plan));
        }
        if !self.map_spare(connection, symbol)? {
            return Ok(None);
        }
        Ok(self.map.plan(symbol, &state, &self.held_codes()))
    }

    /// Puts a symbol that the map lacks on a keycode that has none. Returns whether there was one.
    fn map_spare(&mut self, connection: &XConnection, symbol: Keysym) -> Result<bool, X11Error> {
        loop {
            let held = self.held_codes();
            let now = self.now_millis();
            match self.spares.place(symbol, now, self.map.blank_keys(), &held) {
                Place::Map(keycode) => {
                    map_symbol(connection, keycode, symbol)?;
                    self.map = read_map(connection)?;
                    return Ok(true);
                }
                // A program must have looked up the key before its meaning changes. Nothing is used
                // meanwhile, so the wait ends.
                Place::Wait(millis) if !self.stopping.load(Ordering::Acquire) => {
                    connection.flush()?;
                    std::thread::sleep(SPARE_POLL.min(Duration::from_millis(millis)));
                }
                Place::Wait(_) | Place::Nowhere => return Ok(false),
            }
        }
    }

    fn press(&mut self, connection: &XConnection, plan: &Plan) -> Result<(), X11Error> {
        // One server key for two of the viewer's: the earlier one ends here.
        if self.is_down(plan.keycode) && self.map.key(plan.keycode).is_none_or(|key| key.sets == 0) {
            self.fake(connection, &Step::Up(plan.keycode))?;
            self.held.retain(|held| held.keycode != plan.keycode);
        }
        for step in &plan.before {
            self.fake(connection, step)?;
        }
        self.fake(connection, &Step::Down(plan.keycode))?;
        for step in &plan.after {
            self.fake(connection, step)?;
        }
        Ok(())
    }

    fn fake(&mut self, connection: &XConnection, step: &Step) -> Result<(), X11Error> {
        match *step {
            Step::Down(keycode) => {
                self.spares.touch(keycode, self.born.elapsed().as_millis() as u64);
                connection.xtest_fake_input(KEY_PRESS_EVENT, keycode, 0, x11rb::NONE, 0, 0, 0)?;
            }
            Step::Up(keycode) => {
                self.spares.touch(keycode, self.born.elapsed().as_millis() as u64);
                connection.xtest_fake_input(KEY_RELEASE_EVENT, keycode, 0, x11rb::NONE, 0, 0, 0)?;
            }
            Step::Lock { affect, values } => {
                let (affect, values) = (u16::from(affect).into(), u16::from(values).into());
                let group = xkb::Group::M1;
                let none = 0u16.into();
                connection.xkb_latch_lock_state(
                    CORE_KEYBOARD,
                    affect,
                    values,
                    false,
                    group,
                    none,
                    false,
                    0,
                )?;
            }
            Step::LockGroup(group) => {
                let group = xkb::Group::from(group as u8);
                let none = 0u16.into();
                connection.xkb_latch_lock_state(CORE_KEYBOARD, none, none, true, group, none, false, 0)?;
            }
        }
        Ok(())
    }

    /// Reads the map anew if it changed; what is left of ours in it stays ours.
    fn refresh(&mut self, connection: &XConnection) -> Result<(), X11Error> {
        while let Some(event) = connection.poll_for_event()? {
            self.note(connection, &event)?;
            if matches!(
                event,
                Event::XfixesSelectionNotify(_)
                    | Event::SelectionNotify(_)
                    | Event::SelectionRequest(_)
                    | Event::PropertyNotify(_)
            ) {
                self.passed_over.push(event);
            }
        }
        if std::mem::take(&mut self.is_stale) {
            self.map = read_map(connection)?;
            let map = &self.map;
            self.spares.retain(|keycode, symbol| {
                symbols::canonical(map.symbol(keycode, 0, 0)) == symbols::canonical(symbol)
            });
        }
        Ok(())
    }

    fn held_codes(&self) -> Vec<Keycode> {
        let mut codes: Vec<Keycode> = self.held.iter().map(|held| held.keycode).collect();
        codes.sort_unstable();
        codes.dedup();
        codes
    }

    fn is_down(&self, keycode: Keycode) -> bool {
        self.held.iter().any(|held| held.keycode == keycode)
    }

    fn now_millis(&self) -> u64 {
        self.born.elapsed().as_millis() as u64
    }
}

fn set_repeat(connection: &XConnection, mode: AutoRepeatMode) -> Result<(), X11Error> {
    connection.change_keyboard_control(&ChangeKeyboardControlAux::new().auto_repeat_mode(mode))?;
    Ok(())
}

/// Gives a keycode one symbol, with Shift or without; 0 takes it away.
fn map_symbol(connection: &XConnection, keycode: Keycode, symbol: Keysym) -> Result<(), X11Error> {
    match connection.change_keyboard_mapping(1, keycode, 2, &[symbol; 2])?.check() {
        Ok(()) => Ok(()),
        // Another program may have changed the range of keycodes; the plan then finds no key.
        Err(ReplyError::X11Error(error)) => {
            tracing::debug!(?error, "the X server refused a symbol for a spare key");
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

fn read_state(connection: &XConnection) -> Result<State, X11Error> {
    let state = connection.xkb_get_state(CORE_KEYBOARD)?.reply()?;
    let mods = |mask| (u16::from(mask) & 0xff) as Mods;
    // A latched modifier works on the next key alone, like a lock that opens itself.
    Ok(State {
        base: mods(state.base_mods),
        locked: mods(state.locked_mods) | mods(state.latched_mods),
        group: u8::from(state.group).into(),
        locked_group: u8::from(state.locked_group).into(),
    })
}

fn read_map(connection: &XConnection) -> Result<KeyMap, X11Error> {
    let full = MapPart::KEY_TYPES | MapPart::KEY_SYMS | MapPart::KEY_ACTIONS | MapPart::MODIFIER_MAP;
    let none = MapPart::default();
    let virtual_mods = xkb::VMod::default();
    let map = connection
        .xkb_get_map(CORE_KEYBOARD, full, none, 0, 0, 0, 0, 0, 0, 0, 0, virtual_mods, 0, 0, 0, 0, 0, 0)?
        .reply()?;
    Ok(keymap_of(&map))
}

fn keymap_of(reply: &GetMapReply) -> KeyMap {
    let types = reply.map.types_rtrn.iter().flatten().map(key_type_of).collect();
    let mut keys = vec![Key::default(); 256];
    let first = usize::from(reply.first_key_sym);
    for (offset, symbols) in reply.map.syms_rtrn.iter().flatten().enumerate() {
        let Some(key) = keys.get_mut(first + offset) else { break };
        let width = usize::from(symbols.width);
        let count = usize::from(symbols.group_info & 0x0f).min(4);
        key.groups = (0..count)
            .map(|group| Group {
                key_type: symbols.kt_index[group].into(),
                symbols: symbols.syms.iter().skip(group * width).take(width).copied().collect(),
            })
            .collect();
        key.out_of_range = match symbols.group_info & 0xc0 {
            0x40 => OutOfRange::Clamp,
            0x80 => OutOfRange::Redirect(usize::from(symbols.group_info >> 4 & 3)),
            _ => OutOfRange::Wrap,
        };
    }
    let mut modmap = [0 as Mods; 256];
    for entry in reply.map.modmap_rtrn.iter().flatten() {
        modmap[usize::from(entry.keycode)] = (u16::from(entry.mods) & 0xff) as Mods;
    }
    for (key, &mapped) in keys.iter_mut().zip(&modmap) {
        key.sets = mapped;
    }
    if let Some(actions) = &reply.map.key_actions {
        let first = usize::from(reply.first_key_action);
        let mut next = 0;
        for (offset, &count) in actions.acts_rtrn_count.iter().enumerate() {
            let action = actions.acts_rtrn_acts.get(next).filter(|_| count > 0);
            next += usize::from(count);
            let (Some(key), Some(action)) = (keys.get_mut(first + offset), action) else { continue };
            if action.as_type() == SAType::SET_MODS {
                let set = action.as_setmods();
                let from_map = u8::from(set.flags) & USE_MODMAP != 0;
                let own = (u16::from(set.mask) & 0xff) as Mods;
                key.sets = if from_map { modmap[first + offset] } else { own };
            }
        }
    }
    KeyMap::new(types, keys)
}

fn key_type_of(key_type: &xkb::KeyType) -> KeyType {
    let mods = |mask| (u16::from(mask) & 0xff) as Mods;
    let levels = key_type
        .map
        .iter()
        .enumerate()
        .filter(|(_, entry)| entry.active)
        .map(|(index, entry)| {
            let preserved = key_type.preserve.get(index).map_or(0, |preserve| mods(preserve.mask));
            (mods(entry.mods_mask), entry.level, preserved)
        })
        .collect();
    KeyType { mask: mods(key_type.mods_mask), levels }
}
