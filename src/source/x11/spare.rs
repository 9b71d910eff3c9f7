//! Which symbols lie on keycodes that mean nothing by themselves: a pool, the longest unused given away
//! first. Pure: the caller tells the time and does the mapping.

use super::keymap::{Keycode, Keysym};

/// How long a program may take from a key event to looking the key up, before its meaning may change. No
/// program says when it has; 300 ms was measured to be too short on a machine with seven busy programs on
/// two cores.
pub(super) const REST_MILLIS: u64 = 1_200;

#[derive(Clone, Copy)]
struct Spare {
    keycode: Keycode,
    symbol: Keysym,
    used_millis: u64,
}

/// What to do to have a symbol on a keycode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Map the symbol on this keycode.
    Map(Keycode),
    /// All are in use: ask again after this many milliseconds.
    Wait(u64),
    /// There is no keycode to spare.
    Nowhere,
}

#[derive(Default)]
pub(super) struct Spares {
    mapped: Vec<Spare>,
}

impl Spares {
    /// Where to put a symbol, when `blank` keycodes mean nothing and `held` are down.
    pub(super) fn place(
        &mut self,
        symbol: Keysym,
        now_millis: u64,
        blank: impl Iterator<Item = Keycode>,
        held: &[Keycode],
    ) -> Place {
        let free = blank.filter(|code| !held.contains(code) && !self.is_ours(*code)).last();
        if let Some(keycode) = free {
            self.mapped.push(Spare { keycode, symbol, used_millis: now_millis });
            return Place::Map(keycode);
        }
        let loose = self.mapped.iter_mut().filter(|spare| !held.contains(&spare.keycode));
        let Some(oldest) = loose.min_by_key(|spare| spare.used_millis) else { return Place::Nowhere };
        let rested = now_millis.saturating_sub(oldest.used_millis);
        if rested < REST_MILLIS {
            return Place::Wait(REST_MILLIS - rested);
        }
        (oldest.symbol, oldest.used_millis) = (symbol, now_millis);
        Place::Map(oldest.keycode)
    }

    /// A keycode was pressed or let go: its symbol has to stay for a while.
    pub(super) fn touch(&mut self, keycode: Keycode, now_millis: u64) {
        if let Some(spare) = self.mapped.iter_mut().find(|spare| spare.keycode == keycode) {
            spare.used_millis = now_millis;
        }
    }

    /// Keeps only what is still mapped, after somebody else changed the keyboard.
    pub(super) fn retain(&mut self, is_mapped: impl Fn(Keycode, Keysym) -> bool) {
        self.mapped.retain(|spare| is_mapped(spare.keycode, spare.symbol));
    }

    pub(super) fn keycodes(&self) -> impl Iterator<Item = Keycode> + '_ {
        self.mapped.iter().map(|spare| spare.keycode)
    }

    /// How long until no program can still be looking up the last key.
    pub(super) fn rest_left_millis(&self, now_millis: u64) -> u64 {
        let newest = self.mapped.iter().map(|spare| spare.used_millis).max();
        newest.map_or(0, |used| (used + REST_MILLIS).saturating_sub(now_millis))
    }

    fn is_ours(&self, keycode: Keycode) -> bool {
        self.mapped.iter().any(|spare| spare.keycode == keycode)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_unused_is_given_away_and_never_a_held_or_fresh_one() {
        let mut spares = Spares::default();
        let none = || std::iter::empty();
        assert_eq!(spares.place(1, 0, [100, 101].into_iter(), &[]), Place::Map(101));
        assert_eq!(spares.place(2, 10, [100].into_iter(), &[]), Place::Map(100));
        assert_eq!(spares.place(3, 20, none(), &[]), Place::Wait(REST_MILLIS - 20));
        spares.touch(101, 50);
        assert_eq!(spares.place(3, REST_MILLIS + 10, none(), &[]), Place::Map(100));
        assert_eq!(spares.place(4, 10_000, none(), &[101]), Place::Map(100));
        assert_eq!(spares.place(5, 20_000, none(), &[100, 101]), Place::Nowhere);
    }

    #[test]
    fn a_keycode_that_somebody_else_took_is_forgotten() {
        let mut spares = Spares::default();
        spares.place(1, 0, [100].into_iter(), &[]);
        spares.place(2, 0, [101].into_iter(), &[]);
        spares.retain(|keycode, _| keycode == 101);
        assert_eq!(spares.keycodes().collect::<Vec<_>>(), vec![101]);
        assert_eq!(spares.rest_left_millis(100), REST_MILLIS - 100);
        assert_eq!(spares.rest_left_millis(100_000), 0);
    }
}
