//! A small keyboard, a small server that obeys steps, and what both make of the plans.

use super::*;
use proptest::prelude::*;

const LEVEL3: Mods = 0x80;
const NUM: Mods = 0x10;
const CONTROL: Mods = 4;
const SHIFT_KEY: Keycode = 50;
const ALTGR_KEY: Keycode = 108;
const CONTROL_KEY: Keycode = 37;
const NUM_KEY: Keycode = 77;

fn group(key_type: usize, symbols: &[u32]) -> Group {
    Group { key_type, symbols: symbols.to_vec() }
}

fn key(key_type: usize, symbols: &[u32]) -> Key {
    Key { groups: vec![group(key_type, symbols)], ..Key::default() }
}

fn modifier(symbol: Keysym, sets: Mods) -> Key {
    Key { sets, ..key(0, &[symbol]) }
}

/// Types as servers have them: one level, two levels, letters, four levels, the keypad.
fn types() -> Vec<KeyType> {
    let four = vec![(SHIFT, 1, 0), (LEVEL3, 2, 0), (SHIFT | LEVEL3, 3, 0)];
    vec![
        KeyType::default(),
        KeyType { mask: SHIFT, levels: vec![(SHIFT, 1, 0)] },
        KeyType { mask: SHIFT | LOCK, levels: vec![(SHIFT, 1, 0), (LOCK, 1, 0)] },
        KeyType { mask: SHIFT | LEVEL3, levels: four },
        KeyType { mask: SHIFT | NUM, levels: vec![(SHIFT, 1, 0), (NUM, 1, 0)] },
    ]
}

fn french() -> KeyMap {
    let mut keys = vec![Key::default(); 256];
    keys[10] = key(3, &[0x26, 0x31, 0xb9, 0x1001]);
    keys[11] = key(3, &[0xe9, 0x32, 0x7e, 0xc9]);
    keys[19] = key(3, &[0xe0, 0x30, 0x40, 0xc0]);
    keys[23] = key(1, &[symbols::TAB, symbols::ISO_LEFT_TAB]);
    keys[24] = Key { groups: vec![group(2, &[0x61, 0x41]), group(2, &[0x6c6, 0x6e6])], ..Key::default() };
    keys[26] = key(3, &[0x65, 0x45, 0x20ac, 0xa2]);
    keys[79] = key(4, &[0xff95, 0xffb7]);
    keys[113] = key(0, &[0xff51]);
    keys[SHIFT_KEY as usize] = modifier(symbols::SHIFT_L, SHIFT);
    keys[62] = modifier(symbols::SHIFT_R, SHIFT);
    keys[CONTROL_KEY as usize] = modifier(symbols::CONTROL_L, CONTROL);
    keys[ALTGR_KEY as usize] = modifier(symbols::ISO_LEVEL3_SHIFT, LEVEL3);
    keys[NUM_KEY as usize] = modifier(symbols::NUM_LOCK, NUM);
    KeyMap::new(types(), keys)
}

/// A server's keyboard: keys that are down, locks and group.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Server {
    down: std::collections::BTreeSet<Keycode>,
    locked: Mods,
    group: usize,
}

impl Server {
    fn new(down: &[Keycode], locked: Mods, group: usize) -> Server {
        Server { down: down.iter().copied().collect(), locked, group }
    }

    fn state(&self, map: &KeyMap) -> State {
        let base = self.down.iter().fold(0, |mods, &code| mods | map.keys[code as usize].sets);
        State { base, locked: self.locked, group: self.group, locked_group: self.group }
    }

    fn obey(&mut self, step: &Step) {
        match *step {
            Step::Down(code) => assert!(self.down.insert(code), "key {code} was down already"),
            Step::Up(code) => assert!(self.down.remove(&code), "key {code} was up already"),
            Step::Lock { affect, values } => self.locked = self.locked & !affect | values & affect,
            Step::LockGroup(group) => self.group = group,
        }
    }

    /// Carries a plan out; returns the symbol that a program would see.
    fn press(&mut self, map: &KeyMap, plan: &Plan) -> Keysym {
        plan.before.iter().for_each(|step| self.obey(step));
        let state = self.state(map);
        let symbol = map.symbol(plan.keycode, state.base | state.locked, state.group);
        plan.after.iter().for_each(|step| self.obey(step));
        symbol
    }
}

fn plan(map: &KeyMap, server: &Server, symbol: Keysym) -> Option<Plan> {
    let state = server.state(map);
    let held: Vec<Keycode> = server.down.iter().copied().collect();
    map.plan(map.meant(symbol, &state), &state, &held)
}

#[test]
fn a_symbol_that_the_held_modifiers_make_takes_nothing_but_its_key() {
    let map = french();
    let altgr = Server::new(&[ALTGR_KEY], 0, 0);
    assert_eq!(plan(&map, &altgr, 0x40), Some(Plan::plain(19)));
    let shift = Server::new(&[62], NUM, 0);
    assert_eq!(plan(&map, &shift, 0x41), Some(Plan::plain(24)));
}

#[test]
fn a_digit_without_shift_presses_shift_and_a_small_letter_under_shift_lifts_it() {
    let map = french();
    let expected = Plan { before: vec![Step::Down(50)], keycode: 10, after: vec![Step::Up(50)] };
    assert_eq!(plan(&map, &Server::new(&[], 0, 0), 0x31), Some(expected));
    let expected = Plan { before: vec![Step::Up(62)], keycode: 10, after: vec![Step::Down(62)] };
    assert_eq!(plan(&map, &Server::new(&[62], 0, 0), 0x26), Some(expected));
}

#[test]
fn caps_lock_on_the_server_is_opened_for_the_key_and_not_faked_around() {
    let map = french();
    let opened = |keycode| Plan {
        before: vec![Step::Lock { affect: LOCK, values: 0 }],
        keycode,
        after: vec![Step::Lock { affect: LOCK, values: LOCK }],
    };
    let server = Server::new(&[], LOCK, 0);
    assert_eq!(plan(&map, &server, 0x61), Some(opened(24)));
    assert_eq!(plan(&map, &server, 0x41), Some(Plan::plain(24)));
    // A four-level key leaves Lock over, and Lock makes a capital of what is left.
    assert_eq!(plan(&map, &server, 0xe9), Some(opened(11)));
    assert_eq!(plan(&map, &server, 0x26), Some(Plan::plain(10)));
}

#[test]
fn keypad_digits_use_num_lock_and_arrows_stay_plain_under_shift() {
    let map = french();
    let digit = plan(&map, &Server::new(&[], 0, 0), 0xffb7).unwrap();
    assert_eq!(digit.before, vec![Step::Lock { affect: NUM, values: NUM }]);
    let home = plan(&map, &Server::new(&[], NUM, 0), 0xff95).unwrap();
    assert_eq!(home.before, vec![Step::Lock { affect: NUM, values: 0 }]);
    assert_eq!(plan(&map, &Server::new(&[50], 0, 0), 0xff51), Some(Plan::plain(113)));
}

#[test]
fn a_shortcuts_letter_follows_shift_and_not_the_viewers_caps_lock() {
    let map = french();
    let control = Server::new(&[CONTROL_KEY], 0, 0);
    assert_eq!(plan(&map, &control, 0x41), Some(Plan::plain(24)));
    let both = Server::new(&[CONTROL_KEY, SHIFT_KEY], 0, 0);
    assert_eq!(plan(&map, &both, 0x61), Some(Plan::plain(24)));
}

#[test]
fn tab_under_shift_is_left_tab_however_the_viewer_calls_it() {
    let map = french();
    let shift = Server::new(&[SHIFT_KEY], 0, 0);
    assert_eq!(plan(&map, &shift, symbols::TAB), Some(Plan::plain(23)));
    assert_eq!(plan(&map, &shift, symbols::ISO_LEFT_TAB), Some(Plan::plain(23)));
}

#[test]
fn altgr_that_means_nothing_here_is_lifted() {
    let mut map = french();
    map.keys[20] = key(1, &[0x5d, 0x7d]);
    let map = KeyMap::new(map.types, map.keys);
    let expected = Plan { before: vec![Step::Up(108)], keycode: 20, after: vec![Step::Down(108)] };
    assert_eq!(plan(&map, &Server::new(&[ALTGR_KEY], 0, 0), 0x5d), Some(expected));
}

#[test]
fn what_no_key_has_and_what_others_hold_down_has_no_plan() {
    let map = french();
    assert_eq!(plan(&map, &Server::new(&[], 0, 0), 0x0101_f600), None);
    let state = State { base: SHIFT, ..State::default() };
    assert_eq!(map.plan(0x26, &state, &[]), None);
}

#[test]
fn a_second_group_is_locked_for_the_key_and_put_back() {
    let map = french();
    let mut server = Server::new(&[], 0, 0);
    let found = plan(&map, &server, 0x6c6).unwrap();
    assert_eq!(found.before, vec![Step::LockGroup(1)]);
    assert_eq!(server.press(&map, &found), 0x6c6);
    assert_eq!(server.group, 0);
}

#[test]
fn blank_keys_are_those_without_symbol_or_modifier() {
    let map = french();
    let blank: Vec<Keycode> = map.blank_keys().collect();
    assert_eq!(blank.len(), 248 - 13);
    assert!(!blank.contains(&19) && !blank.contains(&SHIFT_KEY) && blank.contains(&255));
}

fn symbol_of_the_map() -> impl Strategy<Value = Keysym> {
    let writing: Vec<Keysym> =
        french().index.keys().copied().filter(|&symbol| !symbols::is_modifier(symbol)).collect();
    proptest::sample::select(writing)
        .prop_filter("a lock writes nothing", |&symbol| !symbols::is_lock(symbol))
}

proptest! {
    /// Whatever is held and locked by us, every symbol of the map comes out right, and all is as before.
    #[test]
    fn every_symbol_comes_out_and_nothing_stays_changed(
        symbol in symbol_of_the_map(),
        held in proptest::sample::subsequence(vec![50u8, 62, ALTGR_KEY, 26, 10], 0..=5),
        locked in proptest::sample::select(vec![0, LOCK, NUM, LOCK | NUM]),
        group in 0usize..2,
    ) {
        let map = french();
        let mut server = Server::new(&held, locked, group);
        let before = server.clone();
        let meant = map.meant(symbol, &server.state(&map));
        let found = plan(&map, &server, symbol);
        prop_assert!(found.is_some());
        let made = server.press(&map, &found.unwrap());
        prop_assert!(made == meant || symbols::is_function(symbol));
        prop_assert_eq!(server, before);
    }

    /// A map from a hostile server makes no panic.
    #[test]
    fn any_map_and_state_can_be_planned_for(
        key_type in 0usize..9,
        symbols in proptest::collection::vec(0u32..0x0110_0000, 0..6),
        sets in any::<u8>(),
        levels in proptest::collection::vec((any::<u8>(), any::<u8>(), any::<u8>()), 0..4),
        mask in any::<u8>(),
        base in any::<u8>(),
        locked in any::<u8>(),
        redirect in 0usize..4,
    ) {
        let out_of_range = OutOfRange::Redirect(redirect);
        let wild = Key { groups: vec![group(key_type, &symbols)], out_of_range, sets };
        let map = KeyMap::new(vec![KeyType { mask, levels }; 4], vec![wild; 256]);
        let state = State { base, locked, group: 3, locked_group: 7 };
        for &symbol in &symbols {
            map.plan(map.meant(symbol, &state), &state, &[8, 9]);
            map.modifier_key(symbol);
        }
    }
}
