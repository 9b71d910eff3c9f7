//! A binary range coder: each decision costs what its probability says.

use crate::codec::payload::{DecodeError, Reader};

/// How likely a decision is to be *yes*, learnt from those before it: quickly at first.
#[derive(Clone, Copy)]
pub(super) struct Chance {
    yes: u16,
    seen: u8,
}

const SURE: u32 = 65_536 - 64;
const SLOWEST: u8 = 30;

impl Chance {
    pub(super) const EVEN: Chance = Chance { yes: 1 << 15, seen: 0 };

    fn learn(&mut self, yes: bool) {
        let goal = if yes { 65_535 } else { 0 };
        let now = i32::from(self.yes);
        self.yes = (now + (goal - now) * 2 / (2 * i32::from(self.seen) + 3)) as u16;
        self.seen = (self.seen + 1).min(SLOWEST);
    }
}

/// Where the interval from `low` to `high` is cut: up to there it means *yes*.
fn cut(low: u32, high: u32, chance: Chance) -> u32 {
    let (range, yes) = (high - low, u32::from(chance.yes).clamp(65_536 - SURE, SURE));
    low + (range >> 16) * yes + (((range & 0xFFFF) * yes) >> 16)
}

/// Writes or reads decisions; who describes them need not know which.
pub(super) trait Coder {
    /// The decision: `yes` when writing; when reading, what was written.
    fn code(&mut self, chance: &mut Chance, yes: bool) -> bool;

    /// A byte, bit by bit from the highest, each with the chance that those before it lead to.
    fn byte(&mut self, chances: &mut [Chance; 256], byte: u8) -> u8 {
        let mut node = 1;
        for bit in (0..8).rev() {
            let yes = self.code(&mut chances[node], byte >> bit & 1 == 1);
            node = node << 1 | usize::from(yes);
        }
        node as u8
    }
}

pub(super) struct Writer<'a> {
    low: u32,
    high: u32,
    out: &'a mut Vec<u8>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>) -> Self {
        Writer { low: 0, high: u32::MAX, out }
    }

    /// One more byte tells the rest: followed by zeros it lies in the interval.
    pub(super) fn finish(self) {
        self.out.push((self.high >> 24) as u8);
    }
}

impl Coder for Writer<'_> {
    #[inline]
    fn code(&mut self, chance: &mut Chance, yes: bool) -> bool {
        let cut = cut(self.low, self.high, *chance);
        if yes {
            self.high = cut;
        } else {
            self.low = cut + 1;
        }
        chance.learn(yes);
        while (self.low ^ self.high) >> 24 == 0 {
            self.out.push((self.high >> 24) as u8);
            self.low <<= 8;
            self.high = self.high << 8 | 0xFF;
        }
        yes
    }
}

/// Reads what is left of a payload; after its end come zeros.
pub(super) struct Decisions<'a, 'b> {
    low: u32,
    high: u32,
    word: u32,
    bytes: &'b mut Reader<'a>,
    /// How many zeros were read after the end.
    beyond: u32,
}

impl<'a, 'b> Decisions<'a, 'b> {
    pub(super) fn new(bytes: &'b mut Reader<'a>) -> Self {
        let mut decisions = Decisions { low: 0, high: u32::MAX, word: 0, bytes, beyond: 0 };
        (0..4).for_each(|_| decisions.next_byte());
        decisions
    }

    fn next_byte(&mut self) {
        let byte = self.bytes.byte().unwrap_or_else(|_| {
            self.beyond += 1;
            0
        });
        self.word = self.word << 8 | u32::from(byte);
    }

    /// Four bytes are read ahead, and one is written at the end.
    pub(super) fn finish(self) -> Result<(), DecodeError> {
        if self.beyond == 3 { Ok(()) } else { Err(DecodeError::Truncated) }
    }
}

impl Coder for Decisions<'_, '_> {
    #[inline]
    fn code(&mut self, chance: &mut Chance, _: bool) -> bool {
        let cut = cut(self.low, self.high, *chance);
        let yes = self.word <= cut;
        if yes {
            self.high = cut;
        } else {
            self.low = cut + 1;
        }
        chance.learn(yes);
        while (self.low ^ self.high) >> 24 == 0 {
            self.low <<= 8;
            self.high = self.high << 8 | 0xFF;
            self.next_byte();
        }
        yes
    }
}
