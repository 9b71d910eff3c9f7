//! The colours of a payload, numbered as they appear, and the order in which they are sent.

use super::MAX_COLOURS;

/// Slots of the lookup table: four to a colour, so that nearly every lookup hits at once.
const SLOTS: usize = MAX_COLOURS * 4;
const SLOT_BITS: u32 = SLOTS.trailing_zeros();
const PROBES: usize = 64;

/// Numbers colours in order of first use.
///
/// A slot holds a generation (24 bits), a colour (24) and its number (16): starting a new payload is
/// one addition, not a cleared table.
pub(super) struct Palette {
    slots: Box<[u64; SLOTS]>,
    generation: u32,
    colours: Vec<u32>,
}

impl Palette {
    pub(super) fn new() -> Self {
        Palette { slots: new_slots(), generation: 0, colours: Vec::new() }
    }

    /// Forgets every colour.
    pub(super) fn start(&mut self) {
        self.colours.clear();
        self.generation += 1;
        if self.generation == 1 << 24 {
            self.slots.fill(0);
            self.generation = 1;
        }
    }

    pub(super) fn colours(&self) -> &[u32] {
        &self.colours
    }

    /// The colour's number; `None` if the palette is full.
    #[inline(always)]
    pub(super) fn number(&mut self, colour: u32) -> Option<u16> {
        let key = u64::from(self.generation) << 24 | u64::from(colour & 0x00FF_FFFF);
        let first = (colour.wrapping_mul(0x9E37_79B1) >> (32 - SLOT_BITS)) as usize;
        let slot = self.slots[first];
        if slot >> 16 == key {
            return Some(slot as u16);
        }
        self.probe(key, first)
    }

    #[cold]
    fn probe(&mut self, key: u64, first: usize) -> Option<u16> {
        for step in 0..PROBES {
            let at = (first + step) % SLOTS;
            let slot = self.slots[at];
            if slot >> 16 == key {
                return Some(slot as u16);
            }
            if (slot >> 40) as u32 != self.generation {
                if self.colours.len() == MAX_COLOURS {
                    return None;
                }
                let number = self.colours.len() as u16;
                self.colours.push(key as u32 & 0x00FF_FFFF);
                self.slots[at] = key << 16 | u64::from(number);
                return Some(number);
            }
        }
        None
    }

    /// Takes back the colours from number `length` on.
    pub(super) fn truncate(&mut self, length: usize) {
        let kept: Vec<u32> = self.colours[..length].to_vec();
        self.start();
        for colour in kept {
            self.number(colour);
        }
    }
}

fn new_slots() -> Box<[u64; SLOTS]> {
    // Made on the heap: the array is too long for a small stack.
    vec![0; SLOTS].into_boxed_slice().try_into().expect("the slice has as many slots as the array")
}

/// How many codes of one byte introduce a second byte, for a palette of this many colours.
pub(super) fn escapes(colours: usize) -> usize {
    if colours <= 256 { 0 } else { (colours - 256).div_ceil(255) }
}
