//! Invitations to watch: a code that a user tells somebody, good once and for a while. Nothing here knows the time.

use crate::identity::{new_code, sha256_hex};
use std::collections::HashMap;

/// How long a code is good, in milliseconds.
pub const LASTS_MS: i64 = 10 * 60_000;
const MOST: usize = 4_096;
/// Codes of one sign-in that are good at the same time: a new one beyond that takes the oldest one's place.
const MOST_OF_ONE: usize = 4;

/// To whom an invitation was given, and for what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    pub session: String,
    /// The sign-in of who invites.
    pub sign_in: String,
    /// The only user who may use it, by name. Empty: whoever is told the code.
    pub guest: String,
    pub until: i64,
}

/// All that are good.
#[derive(Default)]
pub struct Invitations {
    /// By the hash of the code: looking one up tells nothing of the others by the time it takes.
    by_code: HashMap<String, Invitation>,
}

impl Invitations {
    /// A new code; `None` if there are too many already.
    pub fn invite(&mut self, session: &str, sign_in: &str, guest: &str, now_ms: i64) -> Option<String> {
        self.by_code.retain(|_, invitation| invitation.until > now_ms);
        let own = self.by_code.iter().filter(|(_, invitation)| invitation.sign_in == sign_in);
        if own.clone().count() >= MOST_OF_ONE {
            let oldest = own.min_by_key(|(_, invitation)| invitation.until).map(|(code, _)| code.clone());
            oldest.map(|code| self.by_code.remove(&code));
        }
        if self.by_code.len() >= MOST {
            return None;
        }
        let code = new_code();
        let invitation = Invitation {
            session: session.to_owned(),
            sign_in: sign_in.to_owned(),
            guest: guest.to_owned(),
            until: now_ms + LASTS_MS,
        };
        self.by_code.insert(key(&code), invitation);
        Some(code)
    }

    /// Uses a code up, if this user may use it.
    pub fn take(&mut self, code: &str, user: &str, now_ms: i64) -> Option<Invitation> {
        let key = key(code);
        let found = self.by_code.get(&key)?;
        if found.until <= now_ms || !(found.guest.is_empty() || found.guest == user) {
            return None;
        }
        self.by_code.remove(&key)
    }

    /// Who invited to a session does so no more; how many codes that concerned.
    pub fn withdraw(&mut self, session: &str, sign_in: &str) -> usize {
        let before = self.by_code.len();
        self.by_code.retain(|_, i| i.session != session || i.sign_in != sign_in);
        before - self.by_code.len()
    }
}

/// As people type it: with spaces or dashes, in either case.
fn key(code: &str) -> String {
    let plain: String =
        code.chars().filter(char::is_ascii_alphanumeric).take(64).collect::<String>().to_ascii_uppercase();
    sha256_hex(plain.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_good_once_for_a_while_and_however_it_is_typed() {
        let mut all = Invitations::default();
        let code = all.invite("desk", "s", "", 0).unwrap();
        assert!(code.len() == 11 && code.as_bytes()[5] == b'-', "{code}");
        assert_eq!(all.take("AAAAA-AAAAA", "paul", 1), None);
        let typed = code.to_lowercase().replace('-', " ");
        assert_eq!(all.take(&typed, "paul", 1).unwrap().session, "desk");
        assert_eq!(all.take(&code, "paul", 1), None, "used");
        let late = all.invite("desk", "s", "", 0).unwrap();
        assert_eq!(all.take(&late, "paul", LASTS_MS), None);
        let withdrawn = all.invite("desk", "s", "", 0).unwrap();
        assert_eq!((all.withdraw("desk", "other"), all.withdraw("desk", "s")), (0, 2));
        assert_eq!(all.take(&withdrawn, "paul", 1), None);
    }

    #[test]
    fn a_code_for_somebody_is_of_no_use_to_others_and_stays_good() {
        let mut all = Invitations::default();
        let code = all.invite("desk", "s", "paul", 0).unwrap();
        assert_eq!(all.take(&code, "eve", 1), None);
        assert!(all.take(&code, "paul", 1).is_some());
    }

    #[test]
    fn codes_are_bounded_and_a_user_has_the_newest_few() {
        let mut all = Invitations::default();
        let first = all.invite("desk", "s", "", 0).unwrap();
        let rest: Vec<_> = (1..=4).map(|now| all.invite("desk", "s", "", now).unwrap()).collect();
        assert_eq!(all.take(&first, "paul", 5), None);
        assert!(all.take(&rest[0], "paul", 5).is_some());
        for n in 0..2 * MOST {
            all.invite("desk", &n.to_string(), "", 6);
        }
        assert_eq!(all.by_code.len(), MOST);
        assert!(all.invite("desk", "more", "", 7).is_none());
        assert!(all.invite("desk", "more", "", 6 + LASTS_MS).is_some(), "old ones make room");
    }
}
