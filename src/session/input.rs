//! Whose input has been applied up to where, and what each viewer holds down.

use crate::sync::Micros;
use crate::wire::{Button, InputEvent, Token};
use std::collections::HashMap;

/// Identities remembered after their last link is gone.
const MAX_IDENTITIES: usize = 1_024;

/// The next input number of every viewer, across its links.
#[derive(Default)]
pub(super) struct Ledger {
    viewers: HashMap<Token, Entry>,
}

#[derive(Clone, Copy, Default)]
struct Entry {
    next: u64,
    seen: Micros,
    /// The last event that is on its way to a source that will say when it has it.
    on_its_way: Option<u64>,
    /// Up to where such a source has said so.
    taken: u64,
}

impl Entry {
    /// What a viewer need not send again, whatever happens here.
    fn safe(&self) -> u64 {
        if self.on_its_way.is_some() { self.taken } else { self.next }
    }
}

impl Ledger {
    pub fn knows(&self, token: &Token) -> bool {
        self.viewers.contains_key(token)
    }

    pub fn next(&self, token: &Token) -> u64 {
        self.viewers.get(token).map_or(0, |entry| entry.next)
    }

    /// The first event that a viewer must still be able to send again.
    pub fn safe(&self, token: &Token) -> u64 {
        self.viewers.get(token).map_or(0, Entry::safe)
    }

    /// Remembers a viewer; of those that are not attached, the longest unseen one is forgotten if there are too
    /// many.
    pub fn enter(&mut self, token: Token, now: Micros, is_attached: impl Fn(&Token) -> bool) {
        if self.viewers.len() >= MAX_IDENTITIES && !self.knows(&token) {
            let away = self.viewers.iter().filter(|(token, _)| !is_attached(token));
            let oldest = away.min_by_key(|(_, entry)| entry.seen).map(|(token, _)| *token);
            oldest.map(|token| self.viewers.remove(&token));
        }
        self.viewers.entry(token).or_default().seen = now;
    }

    /// All that is remembered, for who goes on with this session.
    pub fn entries(&self) -> Vec<(Token, u64)> {
        self.viewers.iter().map(|(token, entry)| (*token, entry.safe())).collect()
    }

    /// Takes over what was remembered elsewhere, as far as there is room.
    pub fn remember(&mut self, entries: Vec<(Token, u64)>, now: Micros) {
        for (token, next) in entries.into_iter().take(MAX_IDENTITIES) {
            let known = self.viewers.entry(token).or_insert(Entry { seen: now, ..Entry::default() });
            known.next = known.next.max(next);
        }
    }

    /// Whether event `number` is new, and so to be applied; from then on it is not.
    pub fn take(&mut self, token: &Token, number: u64, now: Micros) -> bool {
        let Some(entry) = self.viewers.get_mut(token) else { return false };
        let new = number >= entry.next;
        if new {
            entry.next = number + 1;
            entry.seen = now;
        }
        new
    }

    /// An event that was taken goes to a source that says when it has it.
    pub fn passed_on(&mut self, token: &Token, number: u64) {
        if let Some(entry) = self.viewers.get_mut(token) {
            if entry.on_its_way.is_none() {
                entry.taken = entry.taken.max(number);
            }
            entry.on_its_way = Some(number);
        }
    }

    /// The source has all before event `next`.
    pub fn has_arrived(&mut self, token: &Token, next: u64) {
        if let Some(entry) = self.viewers.get_mut(token) {
            entry.taken = entry.taken.max(next);
            entry.on_its_way = entry.on_its_way.filter(|&number| number >= next);
        }
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
            InputEvent::Of(ref origin) => self.note(&origin.event),
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
    fn what_is_on_its_way_is_not_acknowledged_and_nothing_after_it() {
        let token = Token([7; 16]);
        let mut ledger = Ledger::default();
        ledger.enter(token, 0, |_| true);
        assert!(ledger.take(&token, 0, 1));
        assert_eq!(ledger.safe(&token), 1);
        for number in 1..4 {
            assert!(ledger.take(&token, number, 1));
            ledger.passed_on(&token, number);
            assert_eq!(ledger.safe(&token), 1);
        }
        assert!(ledger.take(&token, 4, 1), "one that goes nowhere");
        ledger.has_arrived(&token, 3);
        assert_eq!(ledger.safe(&token), 3);
        assert_eq!(ledger.entries(), [(token, 3)]);
        ledger.has_arrived(&token, 4);
        assert_eq!(ledger.safe(&token), 5);
    }

    #[test]
    fn identities_are_bounded() {
        let mut ledger = Ledger::default();
        for index in 0..3_000u32 {
            let mut token = [0; 16];
            token[..4].copy_from_slice(&index.to_le_bytes());
            ledger.enter(Token(token), index.into(), |_| false);
        }
        assert_eq!(ledger.viewers.len(), MAX_IDENTITIES);
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
