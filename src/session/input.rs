//! Whose input has been applied up to where, and what each viewer holds down.

use crate::sync::Micros;
use crate::wire::{Button, InputEvent, Token};
use std::collections::HashMap;

/// Identities remembered after their last link is gone.
const MAX_IDENTITIES: usize = 1_024;

/// The next input number of every viewer, across its links.
#[derive(Default)]
pub(super) struct Ledger {
    next: HashMap<Token, (u64, Micros)>,
}

impl Ledger {
    pub fn knows(&self, token: &Token) -> bool {
        self.next.contains_key(token)
    }

    pub fn next(&self, token: &Token) -> u64 {
        self.next.get(token).map_or(0, |(next, _)| *next)
    }

    /// Remembers a viewer; of those that are not attached, the longest unseen one is forgotten if there are too
    /// many.
    pub fn enter(&mut self, token: Token, now: Micros, is_attached: impl Fn(&Token) -> bool) {
        if self.next.len() >= MAX_IDENTITIES && !self.knows(&token) {
            let away = self.next.iter().filter(|(token, _)| !is_attached(token));
            let oldest = away.min_by_key(|(_, (_, seen))| *seen).map(|(token, _)| *token);
            oldest.map(|token| self.next.remove(&token));
        }
        self.next.entry(token).or_insert((0, now)).1 = now;
    }

    /// All that is remembered, for who goes on with this session.
    pub fn entries(&self) -> Vec<(Token, u64)> {
        self.next.iter().map(|(token, (next, _))| (*token, *next)).collect()
    }

    /// Takes over what was remembered elsewhere, as far as there is room.
    pub fn remember(&mut self, entries: Vec<(Token, u64)>, now: Micros) {
        for (token, next) in entries.into_iter().take(MAX_IDENTITIES) {
            let known = self.next.entry(token).or_insert((next, now));
            known.0 = known.0.max(next);
        }
    }

    /// Whether event `number` is new, and so to be applied; from then on it is not.
    pub fn take(&mut self, token: &Token, number: u64, now: Micros) -> bool {
        let Some((next, seen)) = self.next.get_mut(token) else { return false };
        let new = number >= *next;
        if new {
            *next = number + 1;
            *seen = now;
        }
        new
    }
}

/// The keys and buttons that one viewer holds down, so that none stays down when it goes.
#[derive(Default)]
pub(super) struct Held {
    keys: Vec<(u16, u32)>,
    buttons: Vec<Button>,
    at: (u16, u16),
}

impl Held {
    /// No keyboard or hand holds more.
    const MOST: usize = 32;

    pub fn note(&mut self, event: &InputEvent) {
        match *event {
            InputEvent::KeyDown { key, keysym } => {
                let known = self.keys.iter().any(|&(k, s)| (k, s) == (key, keysym) || k == key && key != 0);
                if !known && self.keys.len() < Self::MOST {
                    self.keys.push((key, keysym));
                }
            }
            InputEvent::KeyUp { key, keysym } => {
                self.keys.retain(|&(k, s)| if key != 0 { k != key } else { s != keysym });
            }
            InputEvent::PointerButton { button, down, x, y } => {
                self.at = (x, y);
                self.buttons.retain(|&held| held != button);
                if down {
                    self.buttons.push(button);
                }
            }
            InputEvent::ReleaseAll => *self = Held { at: self.at, ..Held::default() },
            InputEvent::Text(_) | InputEvent::PointerMove { .. } | InputEvent::Wheel { .. } => {}
        }
    }

    pub fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.buttons.is_empty()
    }

    /// The events that let go of everything.
    pub fn release(&mut self) -> Vec<InputEvent> {
        let (x, y) = self.at;
        let keys = self.keys.drain(..).map(|(key, keysym)| InputEvent::KeyUp { key, keysym });
        let buttons = self.buttons.drain(..);
        keys.chain(buttons.map(|button| InputEvent::PointerButton { button, down: false, x, y })).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_goes_on_with_a_session_applies_what_was_not_applied_before_and_nothing_twice() {
        let token = Token([7; 16]);
        let (mut before, mut after) = (Ledger::default(), Ledger::default());
        before.enter(token, 0, |_| true);
        assert!((0..5).all(|number| before.take(&token, number, 1)));
        after.remember(before.entries(), 0);
        assert!(after.knows(&token) && !after.take(&token, 4, 2) && after.take(&token, 5, 2));
        after.remember(before.entries(), 3);
        assert!(!after.take(&token, 5, 4), "what came late changes nothing");
    }

    #[test]
    fn an_event_is_applied_once_whatever_link_brings_it() {
        let mut ledger = Ledger::default();
        let token = Token([7; 16]);
        ledger.enter(token, 0, |_| false);
        assert!(ledger.take(&token, 0, 1) && ledger.take(&token, 1, 1));
        assert!(!ledger.take(&token, 0, 2) && !ledger.take(&token, 1, 2));
        assert!(ledger.take(&token, 2, 2));
        assert!(!ledger.take(&Token([8; 16]), 3, 2));
    }

    #[test]
    fn identities_are_bounded() {
        let mut ledger = Ledger::default();
        for index in 0..3_000u32 {
            let mut token = [0; 16];
            token[..4].copy_from_slice(&index.to_le_bytes());
            ledger.enter(Token(token), index.into(), |_| false);
        }
        assert_eq!(ledger.next.len(), MAX_IDENTITIES);
    }

    #[test]
    fn an_attached_viewer_is_not_forgotten_however_many_come_and_go() {
        let mut ledger = Ledger::default();
        let attached = Token([255; 16]);
        ledger.enter(attached, 0, |_| false);
        for index in 1..3_000u32 {
            let mut token = [0; 16];
            token[..4].copy_from_slice(&index.to_le_bytes());
            ledger.enter(Token(token), index.into(), |token| *token == attached);
        }
        assert!(ledger.take(&attached, 0, 3_000));
    }

    #[test]
    fn what_is_held_is_released_once() {
        let mut held = Held::default();
        held.note(&InputEvent::KeyDown { key: 4, keysym: 0x61 });
        held.note(&InputEvent::KeyDown { key: 4, keysym: 0x61 });
        held.note(&InputEvent::PointerButton { button: Button::Left, down: true, x: 3, y: 4 });
        let released = held.release();
        assert!(
            released
                == [
                    InputEvent::KeyUp { key: 4, keysym: 0x61 },
                    InputEvent::PointerButton { button: Button::Left, down: false, x: 3, y: 4 }
                ]
        );
        assert!(held.is_empty() && held.release().is_empty());
    }
}
