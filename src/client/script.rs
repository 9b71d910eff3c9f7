//! Input by script: a text file of timed key and pointer events, and of texts to copy.

use crate::wire::limits::{MAX_CLIP_PICTURE, MAX_CLIP_TEXT};
use crate::wire::{Button, ClipText, InputEvent, png_size};
use bytes::Bytes;
use std::path::{Path, PathBuf};
use std::time::Duration;
use xkeysym::Keysym;

#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    #[error("reading the input script {path}: {source}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("the input script, line {line}: {reason}\n{help}", help = SYNTAX)]
    Line { line: usize, reason: String },
}

/// What a script may say.
pub const SYNTAX: &str = "\
Input scripts. Each line: a time in milliseconds from the start, then one of
  text WORDS...            types the rest of the line
  key KEY                  presses and releases, e.g. key Return, key é, key Control_L+c
  down KEY | up KEY        holds or lets go
  move X Y                 moves the pointer
  click X Y [BUTTON]       left, middle or right
  press X Y [BUTTON] | release X Y [BUTTON]
  wheel X Y VERTICAL [HORIZONTAL]   in notches
  copy WORDS...            gives the session's clipboard the rest of the line, before what follows
  copy-picture FILE        the same of a PNG file
Lines that are empty or begin with # are passed over.";

/// One thing that a script does.
#[derive(Clone, PartialEq)]
pub enum Act {
    Input(InputEvent),
    Copy(ClipText),
    /// A PNG.
    CopyPicture(Bytes),
}

/// Acts in order, each with its time from the start.
#[derive(Clone)]
pub struct Script {
    acts: Vec<(Duration, Act)>,
}

impl Script {
    pub fn read(path: &Path) -> Result<Script, ScriptError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ScriptError::Read { path: path.to_owned(), source })?;
        Script::parse(&text)
    }

    /// Reads the form that [`SYNTAX`] describes.
    pub fn parse(text: &str) -> Result<Script, ScriptError> {
        let mut acts = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let failed = |reason: String| ScriptError::Line { line: index + 1, reason };
            let (time, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
            let milliseconds: u64 =
                time.parse().map_err(|_| failed(format!("{time:?} is not a time in milliseconds")))?;
            let at = Duration::from_millis(milliseconds);
            let said = parse_acts(rest.trim()).map_err(failed)?;
            acts.extend(said.into_iter().map(|act| (at, act)));
        }
        // A stable order: acts of one time stay as they are written.
        acts.sort_by_key(|(at, _)| *at);
        Ok(Script { acts })
    }

    pub fn acts(&self) -> &[(Duration, Act)] {
        &self.acts
    }
}

fn parse_acts(text: &str) -> Result<Vec<Act>, String> {
    match text.split_once(char::is_whitespace) {
        Some(("copy", words)) if words.len() > MAX_CLIP_TEXT => {
            Err(format!("a clipboard holds {MAX_CLIP_TEXT} bytes, and this is longer"))
        }
        Some(("copy", words)) => Ok(vec![Act::Copy(ClipText(words.to_owned()))]),
        Some(("copy-picture", path)) => Ok(vec![Act::CopyPicture(read_picture(path.trim())?)]),
        _ => Ok(parse_event(text)?.into_iter().map(Act::Input).collect()),
    }
}

fn read_picture(path: &str) -> Result<Bytes, String> {
    let png = std::fs::read(path).map_err(|error| format!("reading the picture {path}: {error}"))?;
    match png.len() <= MAX_CLIP_PICTURE && png_size(&png).is_some() {
        true => Ok(png.into()),
        false => Err(format!("{path} is no PNG of at most 8 MiB and 16 megapixels")),
    }
}

fn parse_event(text: &str) -> Result<Vec<InputEvent>, String> {
    let (verb, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let words: Vec<&str> = rest.split_whitespace().collect();
    match verb {
        "text" => Ok(rest.chars().flat_map(|c| tap(&[Keysym::from_char(c).raw()])).collect()),
        "key" => {
            let keys: Vec<u32> = rest.trim().split('+').map(keysym).collect::<Result<_, _>>()?;
            Ok(tap(&keys))
        }
        "down" => Ok(vec![InputEvent::KeyDown { key: 0, keysym: keysym(rest.trim())? }]),
        "up" => Ok(vec![InputEvent::KeyUp { key: 0, keysym: keysym(rest.trim())? }]),
        "move" => {
            let (x, y) = position(&words)?;
            Ok(vec![InputEvent::PointerMove { x, y }])
        }
        "click" | "press" | "release" => {
            let ((x, y), button) = (position(&words)?, button(words.get(2))?);
            let event = |down| InputEvent::PointerButton { button, down, x, y };
            Ok(match verb {
                "click" => vec![event(true), event(false)],
                "press" => vec![event(true)],
                _ => vec![event(false)],
            })
        }
        "wheel" => {
            let (x, y) = position(&words)?;
            let notches = |word: Option<&&str>| match word {
                None => Ok(0),
                Some(word) => word
                    .parse::<f32>()
                    .map(|notches| (notches * 120.0).round() as i16)
                    .map_err(|_| format!("{word:?} is not a number of notches")),
            };
            let (vertical, horizontal) = (notches(words.get(2))?, notches(words.get(3))?);
            Ok(vec![InputEvent::Wheel { horizontal, vertical, x, y }])
        }
        other => Err(format!("{other:?} is not an event")),
    }
}

/// Presses keys in order and releases them in the opposite one.
fn tap(keysyms: &[u32]) -> Vec<InputEvent> {
    let downs = keysyms.iter().map(|&keysym| InputEvent::KeyDown { key: 0, keysym });
    let ups = keysyms.iter().rev().map(|&keysym| InputEvent::KeyUp { key: 0, keysym });
    downs.chain(ups).collect()
}

fn keysym(name: &str) -> Result<u32, String> {
    let mut characters = name.chars();
    if let (Some(only), None) = (characters.next(), characters.next()) {
        return Ok(Keysym::from_char(only).raw());
    }
    let named = NAMED.iter().find(|(known, _)| *known == name);
    named.map(|(_, keysym)| keysym.raw()).ok_or_else(|| {
        let known: Vec<&str> = NAMED.iter().map(|(known, _)| *known).collect();
        format!("{name:?} is not a key; write a character, or one of {}", known.join(" "))
    })
}

const NAMED: &[(&str, Keysym)] = &[
    ("Return", Keysym::Return),
    ("Escape", Keysym::Escape),
    ("Tab", Keysym::Tab),
    ("BackSpace", Keysym::BackSpace),
    ("Delete", Keysym::Delete),
    ("Insert", Keysym::Insert),
    ("Home", Keysym::Home),
    ("End", Keysym::End),
    ("Page_Up", Keysym::Page_Up),
    ("Page_Down", Keysym::Page_Down),
    ("Left", Keysym::Left),
    ("Right", Keysym::Right),
    ("Up", Keysym::Up),
    ("Down", Keysym::Down),
    ("space", Keysym::space),
    ("Shift_L", Keysym::Shift_L),
    ("Control_L", Keysym::Control_L),
    ("Alt_L", Keysym::Alt_L),
    ("Super_L", Keysym::Super_L),
    ("ISO_Level3_Shift", Keysym::ISO_Level3_Shift),
    ("F1", Keysym::F1),
    ("F2", Keysym::F2),
    ("F3", Keysym::F3),
    ("F4", Keysym::F4),
    ("F5", Keysym::F5),
    ("F6", Keysym::F6),
    ("F7", Keysym::F7),
    ("F8", Keysym::F8),
    ("F9", Keysym::F9),
    ("F10", Keysym::F10),
    ("F11", Keysym::F11),
    ("F12", Keysym::F12),
];

fn position(words: &[&str]) -> Result<(u16, u16), String> {
    let number = |index: usize| {
        words.get(index).and_then(|word| word.parse().ok()).ok_or("a position is two numbers, X and Y")
    };
    Ok((number(0)?, number(1)?))
}

fn button(word: Option<&&str>) -> Result<Button, String> {
    match word {
        None | Some(&"left") => Ok(Button::Left),
        Some(&"middle") => Ok(Button::Middle),
        Some(&"right") => Ok(Button::Right),
        Some(other) => Err(format!("{other:?} is not left, middle or right")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_gives_its_events_in_order_of_time() {
        let script =
            Script::parse("200 key Control_L+c\n# later\n100 text é\n300 click 5 6 right\n400 copy à 8 h")
                .unwrap();
        let wanted = [
            (100, InputEvent::KeyDown { key: 0, keysym: 0xE9 }),
            (100, InputEvent::KeyUp { key: 0, keysym: 0xE9 }),
            (200, InputEvent::KeyDown { key: 0, keysym: 0xFFE3 }),
            (200, InputEvent::KeyDown { key: 0, keysym: 0x63 }),
            (200, InputEvent::KeyUp { key: 0, keysym: 0x63 }),
            (200, InputEvent::KeyUp { key: 0, keysym: 0xFFE3 }),
            (300, InputEvent::PointerButton { button: Button::Right, down: true, x: 5, y: 6 }),
            (300, InputEvent::PointerButton { button: Button::Right, down: false, x: 5, y: 6 }),
        ];
        let mut wanted: Vec<_> =
            wanted.into_iter().map(|(at, event)| (Duration::from_millis(at), Act::Input(event))).collect();
        wanted.push((Duration::from_millis(400), Act::Copy(ClipText("à 8 h".into()))));
        assert!(script.acts() == wanted);
    }

    #[test]
    fn a_wrong_line_is_named_with_what_can_be_written() {
        for text in ["x key a", "1 hop", "1 copy", "1 key Foo", "1 click 5", "1 click 5 6 up"] {
            let Err(error) = Script::parse(text) else { panic!("{text} was taken") };
            assert!(error.to_string().contains("line 1"));
        }
    }
}
