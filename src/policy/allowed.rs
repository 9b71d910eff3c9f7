//! What came of the policies for one viewer. It travels in the ticket, so that every gateway and edge reads the same.

use serde::{Deserialize, Serialize};

/// Which way the clipboard goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Clipboard {
    #[default]
    Both,
    /// From the viewer into the session alone.
    In,
    /// From the session to the viewer alone.
    Out,
    None,
}

impl Clipboard {
    /// Whether the session takes what the viewer copied.
    pub fn goes_in(self) -> bool {
        matches!(self, Clipboard::Both | Clipboard::In)
    }

    /// Whether the viewer is given what was copied in the session.
    pub fn goes_out(self) -> bool {
        matches!(self, Clipboard::Both | Clipboard::Out)
    }
}

/// Who sees the screen, written over it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Watermark {
    #[default]
    None,
    /// The viewer draws it over the picture; its pixels stay as they are.
    Viewer,
    /// It is in the pixels that the viewer is sent.
    BurntIn,
}

/// Whether administrators may see the session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Shadow {
    Never,
    /// When the user says yes.
    #[default]
    Ask,
    /// And the user is told.
    Tell,
}

/// What somebody may do in a session, where they are. Short names, and what is usual left out: a ticket has little room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Allowed {
    #[serde(rename = "c", skip_serializing_if = "is_usual")]
    pub clipboard: Clipboard,
    /// Whether the session takes the size of the viewer's window.
    #[serde(rename = "z", skip_serializing_if = "is_true")]
    pub resize: bool,
    /// After this long without a key or click the screen is locked. 0: never.
    #[serde(rename = "i", skip_serializing_if = "is_usual")]
    pub idle_lock_ms: i64,
    #[serde(rename = "w", skip_serializing_if = "is_usual")]
    pub watermark: Watermark,
    /// Whether the session is recorded while this viewer works in it.
    #[serde(rename = "r", skip_serializing_if = "is_usual")]
    pub recording: bool,
    /// Whether the user may invite somebody to watch.
    #[serde(rename = "s", skip_serializing_if = "is_true")]
    pub share: bool,
    #[serde(rename = "a", skip_serializing_if = "is_usual")]
    pub shadow: Shadow,
    /// Whether the viewer hears what the session plays.
    #[serde(rename = "h", skip_serializing_if = "is_true")]
    pub sound: bool,
}

fn is_usual<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn is_true(value: &bool) -> bool {
    *value
}

/// What holds where no policy says otherwise.
impl Default for Allowed {
    fn default() -> Self {
        Allowed {
            clipboard: Clipboard::default(),
            resize: true,
            idle_lock_ms: 0,
            watermark: Watermark::default(),
            recording: false,
            share: true,
            shadow: Shadow::default(),
            sound: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_allowed_survives_a_ticket_and_is_short() {
        let all = Allowed {
            clipboard: Clipboard::None,
            resize: false,
            idle_lock_ms: 86_400_000,
            watermark: Watermark::BurntIn,
            recording: true,
            share: false,
            shadow: Shadow::Never,
            sound: false,
        };
        for allowed in [all, Allowed::default()] {
            let text = serde_json::to_string(&allowed).unwrap();
            assert!(text.len() <= 100, "{text}");
            assert_eq!(serde_json::from_str::<Allowed>(&text).unwrap(), allowed);
        }
        assert_eq!(serde_json::to_string(&Allowed::default()).unwrap(), "{}");
    }
}
