//! Which keys make a symbol: pure thinking over a server's XKB map.
//!
//! A viewer says what symbol its user made; which key and which modifiers that took on the viewer's
//! keyboard does not matter here. [`KeyMap::plan`] finds the cheapest way to the same symbol on the server's
//! keyboard: which modifiers to lift or press around the key, and how to put everything back.

use super::symbols::{self, canonical, to_case};
use std::collections::HashMap;

pub(super) type Keycode = u8;
pub(super) type Keysym = u32;
/// Real modifiers, a bit each, as the core protocol numbers them.
pub(super) type Mods = u8;

pub(super) const SHIFT: Mods = 1;
pub(super) const LOCK: Mods = 2;

/// An XKB key type: which modifiers choose which level.
#[derive(Clone, Debug, Default)]
pub(super) struct KeyType {
    pub mask: Mods,
    /// Modifiers, the level that they choose, and which of them the level does not use up.
    pub levels: Vec<(Mods, u8, Mods)>,
}

/// One group of a key.
#[derive(Clone, Debug, Default)]
pub(super) struct Group {
    /// An index into [`KeyMap`]'s types.
    pub key_type: usize,
    /// A symbol a level; 0 is none.
    pub symbols: Vec<Keysym>,
}

/// What a key does when the keyboard's group is not one of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum OutOfRange {
    #[default]
    Wrap,
    Clamp,
    Redirect(usize),
}

#[derive(Clone, Debug, Default)]
pub(super) struct Key {
    pub groups: Vec<Group>,
    pub out_of_range: OutOfRange,
    /// The modifiers that are set while the key is held.
    pub sets: Mods,
}

impl Key {
    /// Whether the key means nothing, so that a symbol may be put on it.
    pub(super) fn is_blank(&self) -> bool {
        self.sets == 0 && self.groups.iter().all(|group| group.symbols.iter().all(|&symbol| symbol == 0))
    }

    fn group(&self, group: usize) -> Option<&Group> {
        let count = self.groups.len();
        let index = match self.out_of_range {
            _ if count == 0 => return None,
            _ if group < count => group,
            OutOfRange::Wrap => group % count,
            OutOfRange::Clamp => count - 1,
            OutOfRange::Redirect(other) => {
                if other < count {
                    other
                } else {
                    0
                }
            }
        };
        self.groups.get(index)
    }
}

/// A keyboard's state as the server tells it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    /// Modifiers of keys that are down.
    pub base: Mods,
    pub locked: Mods,
    /// The group in force.
    pub group: usize,
    pub locked_group: usize,
}

/// One thing to do to the server's keyboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Down(Keycode),
    Up(Keycode),
    /// Sets the `affect`ed locked modifiers to `values`.
    Lock {
        affect: Mods,
        values: Mods,
    },
    LockGroup(usize),
}

/// How to press a key so that it makes a symbol: `before`, the key down, `after`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub before: Vec<Step>,
    pub keycode: Keycode,
    pub after: Vec<Step>,
}

impl Plan {
    pub(super) fn plain(keycode: Keycode) -> Plan {
        Plan { before: Vec::new(), keycode, after: Vec::new() }
    }
}

/// A modifier that chooses levels and a key that sets it.
#[derive(Clone, Copy, Debug)]
struct Shifter {
    mods: Mods,
    key: Keycode,
    cost: u32,
}

/// A server's keyboard map.
#[derive(Clone, Debug, Default)]
pub(super) struct KeyMap {
    types: Vec<KeyType>,
    keys: Vec<Key>,
    /// Which keys have a symbol somewhere, by canonical symbol.
    index: HashMap<Keysym, Vec<Keycode>>,
    shifters: Vec<Shifter>,
    num_lock: Mods,
}

/// What changing things costs; the cheapest way wins. Locks flip without a key event, which programs see
/// least; a key that is already down has to be lifted first; another group is the last resort.
mod cost {
    pub const LOCK: u32 = 1;
    /// Programs take a set Caps Lock for the user's own.
    pub const CAPS_ON: u32 = 12;
    pub const SHIFT: u32 = 3;
    pub const LEVEL3: u32 = 4;
    pub const LEVEL5: u32 = 6;
    pub const GROUP: u32 = 20;
    pub const BUSY_KEY: u32 = 2;
    /// To programs the keypad's keys are other keys, even where a layout gives them ordinary characters.
    pub const KEYPAD: u32 = 8;
    /// AltGr that chose a symbol on the viewer's keyboard and means nothing for the key pressed here.
    pub const IDLE_SHIFTER: u32 = 7;
}

impl KeyMap {
    /// A map of these types and keys; `keys[n]` is keycode `n`.
    pub(super) fn new(types: Vec<KeyType>, keys: Vec<Key>) -> KeyMap {
        let mut map = KeyMap { types, keys, ..KeyMap::default() };
        for keycode in 0..map.keys.len().min(256) {
            for group in &map.keys[keycode].groups {
                for &symbol in group.symbols.iter().filter(|&&symbol| symbol != 0) {
                    let keys = map.index.entry(canonical(symbol)).or_default();
                    if keys.last() != Some(&(keycode as Keycode)) {
                        keys.push(keycode as Keycode);
                    }
                }
            }
        }
        let wanted = [
            ([symbols::SHIFT_L, symbols::SHIFT_R], cost::SHIFT),
            ([symbols::ISO_LEVEL3_SHIFT, symbols::MODE_SWITCH], cost::LEVEL3),
            ([symbols::ISO_LEVEL5_SHIFT, symbols::ISO_LEVEL5_SHIFT], cost::LEVEL5),
        ];
        for (names, cost) in wanted {
            if let Some(key) = names.iter().find_map(|&symbol| map.setting_key(symbol)) {
                let mods = map.keys[key as usize].sets;
                map.shifters.push(Shifter { mods, key, cost });
            }
        }
        let num_lock = map.index.get(&symbols::NUM_LOCK).and_then(|keys| keys.first());
        map.num_lock = num_lock.map_or(0, |&key| map.keys[key as usize].sets);
        map
    }

    pub(super) fn key(&self, keycode: Keycode) -> Option<&Key> {
        self.keys.get(keycode as usize)
    }

    /// The keycodes that mean nothing.
    pub(super) fn blank_keys(&self) -> impl Iterator<Item = Keycode> + '_ {
        // Keycodes below 8 are not keys in X.
        (8..self.keys.len().min(256)).filter(|&code| self.keys[code].is_blank()).map(|code| code as Keycode)
    }

    /// The symbol that a key makes with these modifiers in this group, as XKB defines it; 0 is none.
    pub(super) fn symbol(&self, keycode: Keycode, mods: Mods, group: usize) -> Keysym {
        let Some(group) = self.key(keycode).and_then(|key| key.group(group)) else { return 0 };
        let Some(key_type) = self.types.get(group.key_type) else { return 0 };
        let active = mods & key_type.mask;
        let (level, preserved) = key_type
            .levels
            .iter()
            .find(|(wanted, ..)| *wanted == active)
            .map_or((0, 0), |&(_, level, preserved)| (level, preserved));
        let symbol = group.symbols.get(level as usize).copied().unwrap_or(0);
        // A Lock that the type did not use up turns the symbol into its capital.
        if mods & LOCK & !(key_type.mask & !preserved) != 0 { to_case(symbol, true) } else { symbol }
    }

    /// A key which has the symbol without modifiers and sets modifiers.
    fn setting_key(&self, symbol: Keysym) -> Option<Keycode> {
        let keys = self.index.get(&symbol)?;
        keys.iter().copied().find(|&code| {
            let key = &self.keys[code as usize];
            let first = key.groups.first().and_then(|group| group.symbols.first());
            key.sets != 0 && first == Some(&symbol)
        })
    }

    /// The key that stands for a modifier's symbol; a sibling where the keyboard has only one of two.
    pub(super) fn modifier_key(&self, symbol: Keysym) -> Option<Keycode> {
        std::iter::once(symbol)
            .chain(symbols::siblings(symbol).iter().copied())
            .find_map(|symbol| self.setting_key(symbol))
    }

    /// The modifiers which make shortcuts rather than symbols (Control, Alt, Super).
    pub(super) fn shortcut_mods(&self) -> Mods {
        !self.shifters.iter().fold(SHIFT | LOCK | self.num_lock, |mods, shifter| mods | shifter.mods)
    }

    /// The symbol that the user meant, given what is held on the server.
    ///
    /// With Control or Alt held, a letter's case follows Shift: a viewer's Caps Lock must not turn Ctrl+A
    /// into Ctrl+Shift+A. Shift and Tab is a symbol of its own.
    pub(super) fn meant(&self, symbol: Keysym, state: &State) -> Keysym {
        let shifted = state.base & SHIFT != 0;
        if symbol == symbols::TAB && shifted && self.index.contains_key(&symbols::ISO_LEFT_TAB) {
            return symbols::ISO_LEFT_TAB;
        }
        if state.base & self.shortcut_mods() != 0 && symbols::is_latin_letter(symbol) {
            return to_case(symbol, shifted);
        }
        canonical(symbol)
    }

    /// How to make a symbol (as [`KeyMap::meant`] gives it), when the server's keyboard is in this state
    /// and `held` are down by our doing. `None` when no key of the map has it.
    pub(super) fn plan(&self, symbol: Keysym, state: &State, held: &[Keycode]) -> Option<Plan> {
        let keys = self.index.get(&symbol)?;
        if symbols::is_function(symbol)
            && let Some(&key) = keys.iter().find(|&&key| self.symbol(key, 0, state.group) == symbol)
        {
            // Shift+F1 or Ctrl+Left mean the key with its modifiers: which symbol that makes is for the
            // server's map to say.
            return Some(Plan::plain(key));
        }
        let ways = (0..4).flat_map(|group| self.mod_choices().map(move |mods| (group, mods)));
        let mut best: Option<(u32, Plan)> = None;
        for (group, mods) in ways {
            for &keycode in keys {
                let mut own = if held.contains(&keycode) { cost::BUSY_KEY } else { 0 };
                if !symbols::is_keypad(symbol) && self.is_on_keypad(keycode) {
                    own += cost::KEYPAD;
                }
                let Some((cost, plan)) = self.way(symbol, keycode, group, mods, state, held) else {
                    continue;
                };
                if best.as_ref().is_none_or(|(least, _)| cost + own < *least) {
                    best = Some((cost + own, plan));
                }
            }
        }
        best.map(|(_, plan)| plan)
    }

    fn is_on_keypad(&self, keycode: Keycode) -> bool {
        let all = self.key(keycode).into_iter().flat_map(|key| &key.groups).flat_map(|group| &group.symbols);
        all.copied().any(symbols::is_keypad)
    }

    /// Every choice of the modifiers that choose levels.
    fn mod_choices(&self) -> impl Iterator<Item = Mods> + '_ {
        let bits: Vec<Mods> =
            self.shifters.iter().map(|shifter| shifter.mods).chain([LOCK, self.num_lock]).collect();
        (0..1u32 << bits.len()).map(move |choice| {
            let chosen = bits.iter().enumerate().filter(|(bit, _)| choice & (1 << bit) != 0);
            chosen.fold(0, |mods, (_, bit)| mods | bit)
        })
    }

    /// The cost and steps of making a symbol with this key, in this group, with exactly these level
    /// modifiers; `None` when that makes another symbol or cannot be done.
    fn way(
        &self,
        symbol: Keysym,
        keycode: Keycode,
        group: usize,
        wanted: Mods,
        state: &State,
        held: &[Keycode],
    ) -> Option<(u32, Plan)> {
        let choosing = !self.shortcut_mods();
        let others = (state.base | state.locked) & !choosing;
        if canonical(self.symbol(keycode, wanted | others, group)) != symbol {
            return None;
        }
        let mut cost = 0;
        let mut before = Vec::new();
        let mut after = Vec::new();
        // Lift held keys whose modifiers are not wanted; if others hold them, there is no way.
        let unwanted = state.base & choosing & !wanted;
        let lifted: Vec<Keycode> = held
            .iter()
            .copied()
            .filter(|&code| self.key(code).is_some_and(|key| key.sets & unwanted != 0))
            .collect();
        let covered = lifted.iter().fold(0, |mods, &code| mods | self.keys[code as usize].sets);
        if unwanted & !covered != 0 || covered & wanted != 0 {
            return None;
        }
        before.extend(lifted.iter().map(|&code| Step::Up(code)));
        after.extend(lifted.iter().map(|&code| Step::Down(code)));
        // Flip locks that are set and not wanted, or wanted and best set as a lock.
        let lockable = LOCK | self.num_lock;
        let unlock = state.locked & choosing & !wanted;
        let lock = wanted & !(state.base | state.locked) & lockable;
        if unlock | lock != 0 {
            let affect = unlock | lock;
            before.push(Step::Lock { affect, values: lock });
            after.push(Step::Lock { affect, values: state.locked & affect });
            cost += cost::LOCK * affect.count_ones();
            cost += if lock & LOCK != 0 { cost::CAPS_ON } else { 0 };
        }
        if group != state.group {
            before.push(Step::LockGroup(group));
            after.push(Step::LockGroup(state.locked_group));
            cost += cost::GROUP;
        }
        for shifter in &self.shifters {
            let is_lifted = unwanted & shifter.mods != 0;
            let is_missing = wanted & shifter.mods & !(state.base | state.locked) != 0;
            if is_missing {
                if held.contains(&shifter.key) {
                    return None;
                }
                before.push(Step::Down(shifter.key));
                after.push(Step::Up(shifter.key));
            }
            if is_lifted || is_missing {
                cost += shifter.cost;
            }
            let without = self.symbol(keycode, (wanted & !shifter.mods) | others, group);
            if shifter.mods & SHIFT == 0 && wanted & shifter.mods != 0 && canonical(without) == symbol {
                cost += cost::IDLE_SHIFTER;
            }
        }
        after.reverse();
        Some((cost, Plan { before, keycode, after }))
    }
}

#[cfg(test)]
#[path = "keymap_tests.rs"]
mod tests;
