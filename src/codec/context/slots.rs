//! What followed each surrounding: tables that guess a pixel's colour.

const SLOT_BITS: u32 = 12;
const SUREST: u32 = 15;
/// Of a slot's second word: one more than how sure the guess is, 0 if it was never used. The colour stands above.
const SURE: u32 = 0xFF;

/// A surrounding, and the colour that followed it when it was last seen.
#[derive(Clone, Copy, Default)]
struct Slot {
    surrounding: u32,
    colour_and_sure: u32,
}

impl Slot {
    fn new(surrounding: u32, colour: u32) -> Slot {
        Slot { surrounding, colour_and_sure: colour << 8 | 1 }
    }

    fn sure(&self) -> u32 {
        self.colour_and_sure & SURE
    }

    fn is_of(&self, surrounding: u32) -> bool {
        self.sure() > 0 && self.surrounding == surrounding
    }

    fn guess(&self) -> (u32, usize) {
        (self.colour_and_sure >> 8, (self.sure() - 1) as usize)
    }

    /// The surrounding was followed by `colour` again, or by another one than before.
    fn learn(&mut self, colour: u32) {
        let sure = self.sure();
        let (known, sure) = match self.colour_and_sure >> 8 == colour {
            true => (colour, (sure + 1).min(SUREST + 1)),
            false if sure > 2 => (self.colour_and_sure >> 8, (sure - 1) / 2 + 1),
            false => (colour, 1),
        };
        self.colour_and_sure = known << 8 | sure;
    }
}

/// 4096 slots, 32 KiB. Either each surrounding has one place, or one of two.
#[derive(Clone)]
pub(super) struct Slots(Box<[Slot]>);

impl Slots {
    pub(super) fn new() -> Slots {
        Slots(vec![Slot::default(); 1 << SLOT_BITS].into_boxed_slice())
    }

    pub(super) fn clear(&mut self) {
        self.0.fill(Slot::default());
    }

    pub(super) fn copy_from(&mut self, base: &Slots) {
        self.0.copy_from_slice(&base.0);
    }

    fn place(surrounding: u32) -> usize {
        (surrounding >> (32 - SLOT_BITS)) as usize
    }

    /// The colour that is guessed, and how sure that is, 0 to 15.
    #[inline]
    pub(super) fn guess(&self, surrounding: u32) -> Option<(u32, usize)> {
        let slot = &self.0[Self::place(surrounding)];
        slot.is_of(surrounding).then(|| slot.guess())
    }

    #[inline]
    pub(super) fn learn(&mut self, surrounding: u32, colour: u32) {
        let slot = &mut self.0[Self::place(surrounding)];
        match slot.is_of(surrounding) {
            true => slot.learn(colour),
            false => *slot = Slot::new(surrounding, colour),
        }
    }

    /// The same where a surrounding may also stand in the other slot of its pair.
    #[inline]
    pub(super) fn guess_of_pair(&self, surrounding: u32) -> Option<(u32, usize)> {
        let place = Self::place(surrounding);
        let slots = [&self.0[place], &self.0[place ^ 1]];
        slots.into_iter().find(|slot| slot.is_of(surrounding)).map(Slot::guess)
    }

    /// A new surrounding takes the place of the less sure of its pair.
    #[inline]
    pub(super) fn learn_in_pair(&mut self, surrounding: u32, colour: u32) {
        let place = Self::place(surrounding);
        let other = place ^ 1;
        if !self.0[place].is_of(surrounding) && self.0[other].is_of(surrounding) {
            self.0.swap(place, other);
        }
        if self.0[place].is_of(surrounding) {
            return self.0[place].learn(colour);
        }
        if self.0[place].sure() >= self.0[other].sure() {
            self.0[other] = self.0[place];
        }
        self.0[place] = Slot::new(surrounding, colour);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: u32 = 0x1230_0000;
    /// Of the same pair.
    const SECOND: u32 = 0x1231_0000;
    const THIRD: u32 = 0x1230_0001;

    #[test]
    fn of_a_pair_the_less_sure_slot_goes() {
        let mut slots = Slots::new();
        assert_eq!(slots.guess_of_pair(FIRST), None);
        (0..3).for_each(|_| slots.learn_in_pair(FIRST, 7));
        slots.learn_in_pair(SECOND, 8);
        assert_eq!((slots.guess_of_pair(FIRST), slots.guess_of_pair(SECOND)), (Some((7, 2)), Some((8, 0))));
        slots.learn_in_pair(THIRD, 9);
        assert_eq!(slots.guess_of_pair(THIRD), Some((9, 0)));
        assert_eq!((slots.guess_of_pair(FIRST), slots.guess_of_pair(SECOND)), (Some((7, 2)), None));
    }

    #[test]
    fn what_often_followed_is_doubted_once_before_it_is_forgotten() {
        let mut slots = Slots::new();
        (0..40).for_each(|_| slots.learn(FIRST, 7));
        assert_eq!(slots.guess(FIRST), Some((7, 15)));
        for sure in [7, 3, 1] {
            slots.learn(FIRST, 8);
            assert_eq!(slots.guess(FIRST), Some((7, sure)));
        }
        slots.learn(FIRST, 8);
        assert_eq!(slots.guess(FIRST), Some((8, 0)));
    }
}
