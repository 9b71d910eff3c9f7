//! Keyboard layouts: what a host's keys write, and the scan codes by which they are pressed.

/// A key of a host's keyboard: a scan code of set 1, and its prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    pub code: u8,
    /// Whether it is prefixed by E0.
    pub extended: bool,
}

/// The physical keys that write, as USB HID usages: the row of digits, and the three below it.
#[rustfmt::skip]
const WRITING: [u16; 48] = [
    0x35, 0x1e, 0x1f, 0x20, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27, 0x2d, 0x2e,
    0x14, 0x1a, 0x08, 0x15, 0x17, 0x1c, 0x18, 0x0c, 0x12, 0x13, 0x2f, 0x30,
    0x04, 0x16, 0x07, 0x09, 0x0a, 0x0b, 0x0d, 0x0e, 0x0f, 0x33, 0x34, 0x31,
    0x64, 0x1d, 0x1b, 0x06, 0x19, 0x05, 0x11, 0x10, 0x36, 0x37, 0x38,
];
const SPACE: u16 = 0x2c;
/// The key beside Enter has one usage on keyboards of 104 keys and another on those of 105.
const BESIDE_ENTER: (u16, u16) = (0x31, 0x32);

/// What the writing keys give, plain, with Shift and with AltGr. A key that writes nothing there, or a dead key, which
/// writes nothing by itself, is U+0000.
struct Written {
    name: &'static str,
    /// As Windows numbers layouts.
    id: u32,
    levels: [&'static str; 3],
}

const NOTHING: char = '\0';

/// In the order of [`WRITING`]; a `·` is a key that writes nothing.
const LAYOUTS: [Written; 7] = [
    Written {
        name: "us",
        id: 0x0409,
        levels: [
            "`1234567890-=qwertyuiop[]asdfghjkl;'\\\\zxcvbnm,./",
            "~!@#$%^&*()_+QWERTYUIOP{}ASDFGHJKL:\"||ZXCVBNM<>?",
            "",
        ],
    },
    Written {
        name: "gb",
        id: 0x0809,
        levels: [
            "`1234567890-=qwertyuiop[]asdfghjkl;'#\\zxcvbnm,./",
            "¬!\"£$%^&*()_+QWERTYUIOP{}ASDFGHJKL:@~|ZXCVBNM<>?",
            "¦···€········",
        ],
    },
    Written {
        name: "fr",
        id: 0x040c,
        levels: [
            "²&é\"'(-è_çà)=azertyuiop·$qsdfghjklmù*<wxcvbn,;:!",
            "·1234567890°+AZERTYUIOP·£QSDFGHJKLM%µ>WXCVBN?./§",
            "··~#{[|`\\^@]}··€········¤",
        ],
    },
    Written {
        name: "be",
        id: 0x080c,
        levels: [
            "²&é\"'(§è!çà)-azertyuiop·$qsdfghjklmùµ<wxcvbn,;:=",
            "³1234567890°_AZERTYUIOP·*QSDFGHJKLM%£>WXCVBN?./+",
            "·|@#··^··{}····€·······[]··········´`\\·········~",
        ],
    },
    Written {
        name: "ch-fr",
        id: 0x100c,
        levels: [
            "§1234567890'·qwertzuiopè·asdfghjkléà$<yxcvbnm,.-",
            "°+\"*ç%&/()=?·QWERTZUIOPü!ASDFGHJKLöä£>YXCVBNM;:_",
            "·¦@#°§¬|¢······€·······[]··········{}\\",
        ],
    },
    Written {
        name: "ch",
        id: 0x0807,
        levels: [
            "§1234567890'·qwertzuiopü·asdfghjklöä$<yxcvbnm,.-",
            "°+\"*ç%&/()=?·QWERTZUIOPè!ASDFGHJKLéà£>YXCVBNM;:_",
            "·¦@#°§¬|¢······€·······[]··········{}\\",
        ],
    },
    Written {
        name: "de",
        id: 0x0407,
        levels: [
            "·1234567890ß·qwertzuiopü+asdfghjklöä#<yxcvbnm,.-",
            "°!\"§$%&/()=?·QWERTZUIOPÜ*ASDFGHJKLÖÄ'>YXCVBNM;:_",
            "··²³···{[]}\\·@·€········~············|······µ",
        ],
    },
];

/// What a host's keys write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    id: u32,
    /// By [`WRITING`] and level.
    written: Vec<[char; 3]>,
}

/// Where a character is found: the key's usage and its level (0 plain, 1 Shift, 2 AltGr).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub usage: u16,
    pub level: usize,
}

impl Layout {
    pub fn names() -> impl Iterator<Item = &'static str> {
        LAYOUTS.iter().map(|layout| layout.name)
    }

    pub fn named(name: &str) -> Option<Layout> {
        let layout = LAYOUTS.iter().find(|layout| layout.name == name)?;
        let mut levels = layout.levels.map(str::chars);
        let mut next = |level: usize| levels[level].next().filter(|&c| c != '·').unwrap_or(NOTHING);
        let written = WRITING.iter().map(|_| [next(0), next(1), next(2)]).collect();
        Some(Layout { id: layout.id, written })
    }

    /// As Windows numbers layouts.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// What a key writes at a level.
    pub fn at(&self, usage: u16, level: usize) -> Option<char> {
        let usage = if usage == BESIDE_ENTER.1 { BESIDE_ENTER.0 } else { usage };
        if usage == SPACE {
            return (level < 2).then_some(' ');
        }
        let index = WRITING.iter().position(|&key| key == usage)?;
        let written = *self.written[index].get(level)?;
        (written != NOTHING).then_some(written)
    }

    /// The key that writes a character: the plain ones first.
    pub fn find(&self, character: char) -> Option<Place> {
        if character == ' ' {
            return Some(Place { usage: SPACE, level: 0 });
        }
        (0..3).find_map(|level| {
            let index = self.written.iter().position(|levels| levels[level] == character)?;
            (character != NOTHING).then(|| Place { usage: WRITING[index], level })
        })
    }
}

const fn plain(code: u8) -> Option<Key> {
    Some(Key { code, extended: false })
}

const fn extended(code: u8) -> Option<Key> {
    Some(Key { code, extended: true })
}

/// The scan codes of the usages 0x04 to 0x31.
#[rustfmt::skip]
const CODES: [u8; 0x2e] = [
    0x1e, 0x30, 0x2e, 0x20, 0x12, 0x21, 0x22, 0x23, 0x17, 0x24, 0x25, 0x26, 0x32, 0x31, 0x18, 0x19,
    0x10, 0x13, 0x1f, 0x14, 0x16, 0x2f, 0x11, 0x2d, 0x15, 0x2c, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07,
    0x08, 0x09, 0x0a, 0x0b, 0x1c, 0x01, 0x0e, 0x0f, 0x39, 0x0c, 0x0d, 0x1a, 0x1b, 0x2b,
];
/// Of the keypad, 0x56 to 0x63.
const KEYPAD: [u8; 14] = [0x4a, 0x4e, 0, 0x4f, 0x50, 0x51, 0x4b, 0x4c, 0x4d, 0x47, 0x48, 0x49, 0x52, 0x53];
/// Of the keys between, 0x49 to 0x52: Insert, Home, Page Up, Delete, End, Page Down, and the arrows.
const BETWEEN: [u8; 10] = [0x52, 0x47, 0x49, 0x53, 0x4f, 0x51, 0x4d, 0x4b, 0x50, 0x48];

/// The key of a USB HID usage.
pub fn key(usage: u16) -> Option<Key> {
    let at = |table: &[u8], first: u16| table[usize::from(usage - first)];
    match usage {
        0x04..=0x31 => plain(at(&CODES, 0x04)),
        0x32 => plain(0x2b),
        0x33 => plain(0x27),
        0x34 => plain(0x28),
        0x35 => plain(0x29),
        0x36..=0x38 => plain(0x33 + (usage - 0x36) as u8),
        0x39 => plain(0x3a),
        0x3a..=0x43 => plain(0x3b + (usage - 0x3a) as u8),
        0x44 | 0x45 => plain(0x57 + (usage - 0x44) as u8),
        0x46 => extended(0x37),
        0x47 => plain(0x46),
        0x49..=0x52 => extended(at(&BETWEEN, 0x49)),
        0x53 => plain(0x45),
        0x54 => extended(0x35),
        0x55 => plain(0x37),
        0x58 => extended(0x1c),
        0x56..=0x63 => plain(at(&KEYPAD, 0x56)),
        0x64 => plain(0x56),
        0x65 => extended(0x5d),
        0x68..=0x72 => plain(0x64 + (usage - 0x68) as u8),
        0x73 => plain(0x76),
        0x7f => extended(0x20),
        0x80 => extended(0x30),
        0x81 => extended(0x2e),
        0x85 => plain(0x7e),
        0x87 => plain(0x73),
        0x88 => plain(0x70),
        0x89 => plain(0x7d),
        0x8a => plain(0x79),
        0x8b => plain(0x7b),
        0xe0 => plain(0x1d),
        0xe1 => plain(0x2a),
        0xe2 => plain(0x38),
        0xe3 => extended(0x5b),
        0xe4 => extended(0x1d),
        0xe5 => plain(0x36),
        0xe6 => extended(0x38),
        0xe7 => extended(0x5c),
        _ => None,
    }
}

/// The usage of a key that writes nothing, by its keysym: for viewers that know no physical key.
pub fn usage_of(keysym: u32) -> Option<u16> {
    Some(match keysym {
        0xff08 => 0x2a,
        0xff09 | 0xfe20 => 0x2b,
        0xff0d => 0x28,
        0xff13 => 0x48,
        0xff14 => 0x47,
        0xff1b => 0x29,
        0xff50 => 0x4a,
        0xff51 => 0x50,
        0xff52 => 0x52,
        0xff53 => 0x4f,
        0xff54 => 0x51,
        0xff55 => 0x4b,
        0xff56 => 0x4e,
        0xff57 => 0x4d,
        0xff61 => 0x46,
        0xff63 => 0x49,
        0xff67 => 0x65,
        0xff7f => 0x53,
        0xff8d => 0x58,
        0xffaa => 0x55,
        0xffab => 0x57,
        0xffad => 0x56,
        0xffae => 0x63,
        0xffaf => 0x54,
        0xffb0 => 0x62,
        0xffb1..=0xffb9 => 0x59 + (keysym - 0xffb1) as u16,
        0xffbe..=0xffc9 => 0x3a + (keysym - 0xffbe) as u16,
        0xffe1 => 0xe1,
        0xffe2 => 0xe5,
        0xffe3 => 0xe0,
        0xffe4 => 0xe4,
        0xffe5 => 0x39,
        0xffe9 => 0xe2,
        0xffea | 0xfe03 | 0xff7e => 0xe6,
        0xffeb => 0xe3,
        0xffec => 0xe7,
        0xffff => 0x4c,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_layout_names_every_writing_key_or_says_that_it_writes_nothing() {
        for layout in &LAYOUTS {
            for level in &layout.levels[..2] {
                assert_eq!(level.chars().count(), WRITING.len(), "{}: {level}", layout.name);
            }
            assert!(layout.levels[2].chars().count() <= WRITING.len());
            let read = Layout::named(layout.name).unwrap();
            for letter in 'a'..='z' {
                let place = read.find(letter).unwrap_or_else(|| panic!("{} has no {letter}", layout.name));
                assert_eq!(read.at(place.usage, place.level), Some(letter));
                assert_eq!(read.at(place.usage, 1), Some(letter.to_ascii_uppercase()));
            }
        }
    }

    #[test]
    fn the_layouts_of_french_keyboards_write_what_is_printed_on_them() {
        let fr = Layout::named("fr").unwrap();
        assert_eq!(fr.id(), 0x040c);
        assert_eq!((fr.at(0x14, 0), fr.at(0x04, 0), fr.at(0x1d, 0)), (Some('a'), Some('q'), Some('w')));
        assert_eq!((fr.at(0x1f, 0), fr.at(0x1f, 1), fr.at(0x1f, 2)), (Some('é'), Some('2'), Some('~')));
        assert_eq!((fr.at(0x27, 2), fr.at(0x08, 2), fr.at(0x30, 2)), (Some('@'), Some('€'), Some('¤')));
        assert_eq!(fr.at(0x2f, 0), None);
        assert_eq!((fr.at(0x38, 0), fr.at(0x38, 1), fr.at(0x33, 0)), (Some('!'), Some('§'), Some('m')));
        let be = Layout::named("be").unwrap();
        assert_eq!((be.at(0x1f, 2), be.at(0x64, 2), be.at(0x38, 2)), (Some('@'), Some('\\'), Some('~')));
        assert_eq!(
            (be.at(0x26, 2), be.at(0x27, 2), be.at(0x2f, 2), be.at(0x30, 2)),
            (Some('{'), Some('}'), Some('['), Some(']'))
        );
        let swiss = Layout::named("ch-fr").unwrap();
        assert_eq!(
            (swiss.at(0x1c, 0), swiss.at(0x1d, 0), swiss.at(0x33, 0)),
            (Some('z'), Some('y'), Some('é'))
        );
        assert_eq!(
            (swiss.at(0x1f, 2), swiss.at(0x08, 2), swiss.at(0x64, 2)),
            (Some('@'), Some('€'), Some('\\'))
        );
        let de = Layout::named("de").unwrap();
        assert_eq!(
            (de.at(0x14, 2), de.at(0x64, 2), de.at(0x30, 2), de.at(0x10, 2)),
            (Some('@'), Some('|'), Some('~'), Some('µ'))
        );
    }

    #[test]
    fn keys_have_the_scan_codes_of_a_pc_keyboard() {
        assert_eq!(key(0x04), plain(0x1e));
        assert_eq!(key(0x31), plain(0x2b));
        assert_eq!(key(0x38), plain(0x35));
        assert_eq!(key(0x4c), extended(0x53));
        assert_eq!(key(0x52), extended(0x48));
        assert_eq!(key(0x58), extended(0x1c));
        assert_eq!(key(0x59), plain(0x4f));
        assert_eq!(key(0x63), plain(0x53));
        assert_eq!(key(0xe6), extended(0x38));
        assert_eq!(key(0x0000), None);
        for keysym in 0xff00..=0xffff {
            assert!(usage_of(keysym).is_none_or(|usage| usage == 0x48 || key(usage).is_some()), "{keysym:x}");
        }
    }
}
