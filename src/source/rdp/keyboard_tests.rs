use super::*;

fn keyboard(layout: &str, unicode: bool) -> Keyboard {
    Keyboard::new(Layout::named(layout).unwrap(), unicode, (640, 480))
}

/// What goes out for these events, written down: `+1e` a code down, `-e38` an extended one up, `u20ac` a unit of text.
fn sent(keyboard: &mut Keyboard, events: &[InputEvent]) -> String {
    let mut out = Vec::new();
    events.iter().for_each(|event| keyboard.event(event, &mut out));
    out.iter().map(written).collect::<Vec<_>>().join(" ")
}

fn written(event: &FastPathInputEvent) -> String {
    match event {
        FastPathInputEvent::KeyboardEvent(flags, code) => {
            let sign = if flags.contains(KeyboardFlags::RELEASE) { '-' } else { '+' };
            let prefix = match () {
                () if flags.contains(KeyboardFlags::EXTENDED) => "e",
                () if flags.contains(KeyboardFlags::EXTENDED1) => "p",
                () => "",
            };
            format!("{sign}{prefix}{code:02x}")
        }
        FastPathInputEvent::UnicodeKeyboardEvent(flags, unit) if flags.is_empty() => format!("u{unit:04x}"),
        FastPathInputEvent::UnicodeKeyboardEvent(..) => "u-".into(),
        FastPathInputEvent::SyncEvent(locks) => format!("locks{}", locks.bits()),
        FastPathInputEvent::MouseEvent(mouse) => {
            format!(
                "m{:04x}:{}@{},{}",
                mouse.flags.bits(),
                mouse.number_of_wheel_rotation_units,
                mouse.x_position,
                mouse.y_position
            )
        }
        FastPathInputEvent::MouseEventEx(mouse) => format!("x{:04x}", mouse.flags.bits()),
        other => panic!("{other:?} is not used"),
    }
}

fn down(key: u16, keysym: u32) -> InputEvent {
    InputEvent::KeyDown { key, keysym }
}

fn up(key: u16) -> InputEvent {
    InputEvent::KeyUp { key, keysym: 0 }
}

fn symbol(character: char) -> u32 {
    xkeysym::Keysym::from_char(character).raw()
}

#[test]
fn a_key_whose_symbol_the_hosts_layout_gives_goes_as_its_scan_code() {
    assert_eq!(sent(&mut keyboard("us", true), &[down(4, symbol('a')), up(4)]), "+1e -1e");
    let mut french = keyboard("fr", true);
    // The key where Americans have Q writes an a, and é stands on the 2.
    assert_eq!(sent(&mut french, &[down(0x14, symbol('a')), up(0x14)]), "+10 -10");
    assert_eq!(sent(&mut french, &[down(0x1f, symbol('é')), up(0x1f)]), "+03 -03");
    let at = [down(0xe6, 0xfe03), down(0x27, symbol('@')), up(0x27), up(0xe6)];
    assert_eq!(sent(&mut french, &at), "+e38 +0b -0b -e38");
    let shifted = [down(0xe1, 0xffe1), down(0x38, symbol('§')), up(0x38), up(0xe1)];
    assert_eq!(sent(&mut french, &shifted), "+2a +35 -35 -2a");
}

#[test]
fn a_symbol_that_the_hosts_key_does_not_give_goes_as_a_character() {
    // An American's A on a French host: its key writes a q there.
    assert_eq!(sent(&mut keyboard("fr", true), &[down(4, symbol('a')), up(4)]), "u0061 u-");
    // Without Unicode input, by the key that writes it there.
    assert_eq!(sent(&mut keyboard("fr", false), &[down(4, symbol('a')), up(4)]), "+10 -10");
    // An American's / on a French host is :, with Shift; the 2 needs Shift there.
    assert_eq!(sent(&mut keyboard("fr", false), &[down(0x1f, symbol('2')), up(0x1f)]), "+2a +03 -03 -2a");
    // What is held is lifted while the character is typed.
    let held = [down(0xe1, 0xffe1), down(0x1f, symbol('@')), up(0x1f), up(0xe1)];
    assert_eq!(sent(&mut keyboard("fr", false), &held), "+2a -2a +e38 +0b -0b -e38 +2a -2a");
}

#[test]
fn a_shortcut_is_meant_by_its_letter() {
    let events = [down(0xe0, 0xffe3), down(0x14, symbol('q')), up(0x14), up(0xe0)];
    // Control and Q of an American keyboard, on a French host.
    assert_eq!(sent(&mut keyboard("fr", true), &events), "+1d +1e -1e -1d");
    assert_eq!(sent(&mut keyboard("us", true), &events), "+1d +10 -10 -1d");
}

#[test]
fn an_accent_that_windows_would_wait_with_goes_as_a_character() {
    let events = [down(0xe6, 0xfe03), down(0x1f, symbol('~')), up(0x1f), up(0xe6)];
    assert_eq!(sent(&mut keyboard("fr", true), &events), "+e38 -e38 u007e u- +e38 -e38");
    assert_eq!(sent(&mut keyboard("fr", false), &events), "+e38 +03 -03 -e38");
}

#[test]
fn text_goes_as_characters_and_its_line_ends_as_enter() {
    let text = |text: &str| InputEvent::Text(text.into());
    assert_eq!(sent(&mut keyboard("us", true), &[text("é\n")]), "u00e9 u- +1c -1c");
    assert_eq!(sent(&mut keyboard("us", true), &[text("😀")]), "ud83d u- ude00 u-");
    assert_eq!(sent(&mut keyboard("us", false), &[text("aB\u{7}é")]), "+1e -1e +2a +30 -30 -2a");
}

#[test]
fn keys_without_a_character_and_keys_without_a_usage_are_found() {
    let mut us = keyboard("us", true);
    assert_eq!(sent(&mut us, &[down(0x52, 0xff52), down(0x52, 0xff52), up(0x52)]), "+e48 +e48 -e48");
    assert_eq!(sent(&mut us, &[down(0, 0xff0d), InputEvent::KeyUp { key: 0, keysym: 0xff0d }]), "+1c -1c");
    assert_eq!(sent(&mut us, &[down(0x48, 0xff13), up(0x48)]), "+p1d +45 -p1d -45");
    assert_eq!(sent(&mut us, &[down(0, symbol('a'))]), "u0061 u-");
    assert_eq!(sent(&mut us, &[down(0x3ff, 0)]), "");
}

#[test]
fn the_hosts_locks_follow_what_the_viewers_symbols_show() {
    let mut us = keyboard("us", true);
    assert_eq!(sent(&mut us, &[down(4, symbol('A')), up(4)]), "locks6 +1e -1e");
    assert_eq!(sent(&mut us, &[down(4, symbol('A')), up(4)]), "+1e -1e");
    let shifted = [down(0xe1, 0xffe1), down(4, symbol('a')), up(4), up(0xe1)];
    assert_eq!(sent(&mut us, &shifted), "+2a +1e -1e -2a");
    assert_eq!(sent(&mut us, &[down(4, symbol('a')), up(4)]), "locks2 +1e -1e");
    // The 7 of the keypad, as Home.
    assert_eq!(sent(&mut us, &[down(0x5f, 0xff95), up(0x5f)]), "locks0 +47 -47");
    assert_eq!(sent(&mut us, &[down(0x5f, 0xffb7), up(0x5f)]), "locks2 +47 -47");
    // The lock's own key goes as it is, and is remembered.
    assert_eq!(sent(&mut us, &[down(0x39, 0xffe5), up(0x39), down(4, symbol('A'))]), "+3a -3a +1e");
}

#[test]
fn everything_held_is_lifted_when_the_viewer_loses_the_keyboard() {
    let mut us = keyboard("us", true);
    let left = InputEvent::PointerButton { button: Button::Left, down: true, x: 3, y: 4 };
    sent(&mut us, &[down(4, symbol('a')), down(0xe0, 0xffe3), left]);
    assert_eq!(sent(&mut us, &[InputEvent::ReleaseAll]), "-1e -1d m1000:0@3,4 locks2");
    assert_eq!(sent(&mut us, &[up(4)]), "");
    let mut out = Vec::new();
    us.begin(&mut out);
    assert_eq!(out.iter().map(written).collect::<Vec<_>>(), ["locks2"]);
}

#[test]
fn the_pointer_stays_on_the_screen_and_has_five_buttons_and_two_wheels() {
    let mut us = keyboard("us", true);
    assert_eq!(sent(&mut us, &[InputEvent::PointerMove { x: 700, y: 9 }]), "m0800:0@639,9");
    let button = |button, down| InputEvent::PointerButton { button, down, x: 1, y: 2 };
    assert_eq!(
        sent(&mut us, &[button(Button::Right, true), button(Button::Right, false)]),
        "ma000:0@1,2 m2000:0@1,2"
    );
    assert_eq!(sent(&mut us, &[button(Button::Back, true), button(Button::Forward, false)]), "x8001 x0002");
    let wheel = |horizontal, vertical| InputEvent::Wheel { horizontal, vertical, x: 1, y: 2 };
    assert_eq!(sent(&mut us, &[wheel(0, 120)]), "m0200:-120@1,2");
    assert_eq!(sent(&mut us, &[wheel(-120, -300)]), "m0200:240@1,2 m0200:60@1,2 m0400:-120@1,2");
    assert!(sent(&mut us, &[wheel(0, i16::MIN)]).len() > 100);
}

#[test]
fn what_is_held_is_bounded() {
    let mut us = keyboard("us", true);
    let mut out = Vec::new();
    for usage in 0x3a..0x74 {
        us.event(&down(usage, 0), &mut out);
    }
    assert!(us.held.len() <= MOST_HELD);
    out.clear();
    us.event(&InputEvent::ReleaseAll, &mut out);
    assert!(out.len() <= MOST_HELD + 2);
}
