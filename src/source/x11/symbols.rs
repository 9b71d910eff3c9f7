//! What keysyms mean, as far as choosing keys needs it.

use super::keymap::Keysym;

pub(super) const TAB: Keysym = 0xff09;
pub(super) const RETURN: Keysym = 0xff0d;
pub(super) const ISO_LEFT_TAB: Keysym = 0xfe20;
pub(super) const SHIFT_L: Keysym = 0xffe1;
pub(super) const SHIFT_R: Keysym = 0xffe2;
pub(super) const CONTROL_L: Keysym = 0xffe3;
pub(super) const CONTROL_R: Keysym = 0xffe4;
pub(super) const META_L: Keysym = 0xffe7;
pub(super) const META_R: Keysym = 0xffe8;
pub(super) const ALT_L: Keysym = 0xffe9;
pub(super) const ALT_R: Keysym = 0xffea;
pub(super) const SUPER_L: Keysym = 0xffeb;
pub(super) const SUPER_R: Keysym = 0xffec;
pub(super) const HYPER_L: Keysym = 0xffed;
pub(super) const HYPER_R: Keysym = 0xffee;
pub(super) const MODE_SWITCH: Keysym = 0xff7e;
pub(super) const NUM_LOCK: Keysym = 0xff7f;
pub(super) const CAPS_LOCK: Keysym = 0xffe5;
pub(super) const SHIFT_LOCK: Keysym = 0xffe6;
pub(super) const ISO_LEVEL3_SHIFT: Keysym = 0xfe03;
pub(super) const ISO_LEVEL5_SHIFT: Keysym = 0xfe11;
const UNICODE: Keysym = 0x0100_0000;
const LAST_UNICODE: Keysym = 0x0110_ffff;

/// One symbol for what has several: a character's own keysym where there is one, else its Unicode keysym.
pub(super) fn canonical(symbol: Keysym) -> Keysym {
    if !(UNICODE..=LAST_UNICODE).contains(&symbol) {
        return symbol;
    }
    match char::from_u32(symbol - UNICODE) {
        Some(character) => of_char(character),
        None => symbol,
    }
}

/// The symbol of a character; of a control character 0, apart from the line's end and the tabulator.
pub(super) fn of_char(character: char) -> Keysym {
    match character {
        '\n' | '\r' => RETURN,
        '\t' => TAB,
        _ if character.is_control() => 0,
        _ => xkeysym::Keysym::from_char(character).raw(),
    }
}

fn to_char(symbol: Keysym) -> Option<char> {
    // The keypad's digits are characters too, but never letters, and keys of their own.
    if is_function(symbol) || is_keypad(symbol) {
        return None;
    }
    xkeysym::Keysym::new(symbol).key_char()
}

/// The symbol as a capital or small letter; itself when it has no such form of one character.
pub(super) fn to_case(symbol: Keysym, upper: bool) -> Keysym {
    let Some(character) = to_char(symbol) else { return symbol };
    let mut lower_case = character.to_lowercase();
    let mut upper_case = character.to_uppercase();
    let changed = if upper { upper_case.next() } else { lower_case.next() };
    let more = if upper { upper_case.next() } else { lower_case.next() };
    match (changed, more) {
        (Some(changed), None) if changed != character => of_char(changed),
        _ => symbol,
    }
}

pub(super) fn is_latin_letter(symbol: Keysym) -> bool {
    char::from_u32(symbol).is_some_and(|character| character.is_ascii_alphabetic())
}

/// Keys that do something rather than write: arrows, F1, Return, media keys; not the keypad.
pub(super) fn is_function(symbol: Keysym) -> bool {
    let function = (0xff00..=0xffff).contains(&symbol) || (0x1008_0000..=0x1008_ffff).contains(&symbol);
    function && !is_keypad(symbol)
}

pub(super) fn is_keypad(symbol: Keysym) -> bool {
    (0xff80..=0xffbd).contains(&symbol)
}

/// A modifier that acts while it is held.
pub(super) fn is_modifier(symbol: Keysym) -> bool {
    let level_shift = matches!(symbol, ISO_LEVEL3_SHIFT | ISO_LEVEL5_SHIFT | MODE_SWITCH);
    level_shift || ((SHIFT_L..=HYPER_R).contains(&symbol) && !is_lock(symbol))
}

/// Locks and latches: the symbols that viewers send have their effect in them already.
pub(super) fn is_lock(symbol: Keysym) -> bool {
    matches!(symbol, CAPS_LOCK | SHIFT_LOCK | NUM_LOCK | 0xfe01 | 0xfe02 | 0xfe04..=0xfe0f | 0xfe12 | 0xfe13)
}

/// Modifiers that may stand in for one which a keyboard lacks.
pub(super) fn siblings(symbol: Keysym) -> &'static [Keysym] {
    match symbol {
        SHIFT_L => &[SHIFT_R],
        SHIFT_R => &[SHIFT_L],
        CONTROL_L => &[CONTROL_R],
        CONTROL_R => &[CONTROL_L],
        ALT_L => &[META_L, ALT_R],
        ALT_R | META_L | META_R => &[ALT_L],
        SUPER_L => &[SUPER_R],
        SUPER_R | HYPER_L | HYPER_R => &[SUPER_L],
        MODE_SWITCH => &[ISO_LEVEL3_SHIFT],
        ISO_LEVEL3_SHIFT => &[MODE_SWITCH],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unicode_keysym_and_the_characters_own_are_one_symbol() {
        assert_eq!(canonical(0x0100_20ac), 0x20ac);
        assert_eq!(canonical(0x0100_00e9), 0xe9);
        assert_eq!(canonical(0x0101_f600), 0x0101_f600);
        assert_eq!(canonical(0x0110_d800 - 0x10_0000), 0x0100_d800);
    }

    #[test]
    fn case_changes_letters_only() {
        assert_eq!(to_case(0xe9, true), 0xc9);
        assert_eq!(to_case(u32::from(b'A'), false), u32::from(b'a'));
        assert_eq!(to_case(u32::from(b'1'), true), u32::from(b'1'));
        assert_eq!(to_case(0xdf, true), 0xdf);
        assert_eq!(to_case(0xffb1, true), 0xffb1);
        assert_eq!(to_case(RETURN, false), RETURN);
    }

    #[test]
    fn control_characters_make_no_symbol_but_line_ends_and_tabs_do() {
        assert_eq!(of_char('\u{7}'), 0);
        assert_eq!(of_char('\n'), RETURN);
        assert_eq!(of_char('\t'), TAB);
        assert_eq!(of_char('é'), 0xe9);
        assert_eq!(of_char('😀'), 0x0101_f600);
    }
}
