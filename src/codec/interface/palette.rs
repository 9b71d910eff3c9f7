//! The colours of a payload, numbered as they appear, and the order in which they are sent.

use super::MAX_COLOURS;

/// Slots of the lookup table: four to a colour, so that few need a second probe.
const SLOTS: usize = MAX_COLOURS * 4;
const SLOT_BITS: u32 = SLOTS.trailing_zeros();
const PROBES: usize = 64;
/// Slots of the table of recent colours: few enough to stay in the nearest cache and a few pages.
const RECENT: usize = 2048;
const RECENT_BITS: u32 = RECENT.trailing_zeros();

/// Numbers colours in order of first use.
///
/// A slot holds a generation (24 bits), a colour (24) and its number (16): starting a new payload is
/// one addition, not a cleared table.
pub(super) struct Palette {
    /// The colours last looked up, by hash.
    recent: Box<[u64; RECENT]>,
    slots: Box<[u64; SLOTS]>,
    generation: u32,
    colours: Vec<u32>,
}

impl Palette {
    pub(super) fn new() -> Self {
        Palette { recent: Box::new([0; RECENT]), slots: new_slots(), generation: 0, colours: Vec::new() }
    }

    /// Forgets every colour.
    pub(super) fn start(&mut self) {
        self.colours.clear();
        self.generation += 1;
        if self.generation == 1 << 24 {
            self.recent.fill(0);
            self.slots.fill(0);
            self.generation = 1;
        }
    }

    pub(super) fn colours(&self) -> &[u32] {
        &self.colours
    }

    /// The colour's number; `None` if the palette is full.
    pub(super) fn number(&mut self, colour: u32) -> Option<u16> {
        let mut number = [0];
        self.number_row(&[colour], &mut number, 1)?;
        Some(number[0])
    }

    /// Puts the numbers of `pixels` into every `step`th of `numbers`; `None` if the palette is full.
    #[inline]
    pub(super) fn number_row(&mut self, pixels: &[u32], numbers: &mut [u16], step: usize) -> Option<()> {
        let generation = u64::from(self.generation) << 24;
        let mut at = 0;
        for &pixel in pixels {
            let key = generation | u64::from(pixel & 0x00FF_FFFF);
            let hash = pixel.wrapping_mul(0x9E37_79B1);
            let slot = self.recent[(hash >> (32 - RECENT_BITS)) as usize];
            numbers[at] = if slot >> 16 == key { slot as u16 } else { self.find(key, hash)? };
            at += step;
        }
        Some(())
    }

    /// Looks a colour up in the whole table, or enters it.
    #[inline(never)]
    fn find(&mut self, key: u64, hash: u32) -> Option<u16> {
        let first = (hash >> (32 - SLOT_BITS)) as usize;
        let number = self.probe(key, first)?;
        self.recent[(hash >> (32 - RECENT_BITS)) as usize] = key << 16 | u64::from(number);
        Some(number)
    }

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
