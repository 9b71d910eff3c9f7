//! The model: guesses for each pixel by what surrounds it, and the colours seen so far.

use super::coder::{Chance, Coder};
use super::slots::Slots;
use super::{Beginning, Reach};

/// More colours are no small interface content.
const MOST_COLOURS: usize = 255;
/// What stands outside: no colour.
pub(super) const OUTSIDE: u32 = 1 << 24;
/// Multiplies what is mixed into a surrounding.
const MIXER: u32 = 0x9E37_79B1;
/// How the next guess stands to one: there is none; the same, or another, each hardly sure, rather, or very.
const RELATIONS: usize = 7;

/// Guesses for each pixel, by sixteen neighbours, by six and by two, and the colours seen so far. Begins anew with every
/// payload, or goes on from what was learnt of an earlier one. 104 KiB.
#[derive(Clone)]
pub struct ContextModel {
    far: Slots,
    wide: Slots,
    narrow: Slots,
    /// Of each of the three, how many were tried before it, how the next one stands to it, and how sure it is.
    hits: [[[[Chance; 16]; RELATIONS]; 3]; 3],
    /// The same for near surroundings.
    wide_hits: [Chance; 16],
    /// Of the narrow guess: when there was no wide one, and when that failed.
    narrow_hits: [[Chance; 16]; 2],
    is_new: [Chance; 2],
    was_new: bool,
    is_grey: Chance,
    ranks: [Chance; 256],
    green: [Chance; 256],
    red: [Chance; 256],
    blue: [Chance; 256],
    /// The last one that was not guessed first.
    colours: Vec<u32>,
    /// When there are too many colours, the one that was not needed for longest is forgotten.
    forgets: bool,
}

/// The colours are too many, or one is meant that there is not.
pub(super) struct NoSuchColour;

impl Default for ContextModel {
    fn default() -> Self {
        ContextModel {
            far: Slots::new(),
            wide: Slots::new(),
            narrow: Slots::new(),
            hits: [[[[Chance::EVEN; 16]; RELATIONS]; 3]; 3],
            wide_hits: [Chance::EVEN; 16],
            narrow_hits: [[Chance::EVEN; 16]; 2],
            is_new: [Chance::EVEN; 2],
            was_new: false,
            is_grey: Chance::EVEN,
            ranks: [Chance::EVEN; 256],
            green: [Chance::EVEN; 256],
            red: [Chance::EVEN; 256],
            blue: [Chance::EVEN; 256],
            colours: Vec::with_capacity(MOST_COLOURS),
            forgets: false,
        }
    }
}

impl ContextModel {
    pub(super) fn start(&mut self, beginning: Beginning) {
        self.forgets = matches!(beginning, Beginning::Live(_));
        let Beginning::Live(Some(base)) = beginning else { return self.clear() };
        self.far.copy_from(&base.far);
        self.wide.copy_from(&base.wide);
        self.narrow.copy_from(&base.narrow);
        self.hits = base.hits;
        (self.wide_hits, self.narrow_hits) = (base.wide_hits, base.narrow_hits);
        (self.is_new, self.was_new, self.is_grey) = (base.is_new, base.was_new, base.is_grey);
        (self.ranks, self.green, self.red, self.blue) = (base.ranks, base.green, base.red, base.blue);
        self.colours.clone_from(&base.colours);
    }

    fn clear(&mut self) {
        for slots in [&mut self.far, &mut self.wide, &mut self.narrow] {
            slots.clear();
        }
        self.hits.as_flattened_mut().as_flattened_mut().as_flattened_mut().fill(Chance::EVEN);
        self.wide_hits.fill(Chance::EVEN);
        self.narrow_hits = [[Chance::EVEN; 16]; 2];
        self.is_new.fill(Chance::EVEN);
        self.was_new = false;
        self.is_grey = Chance::EVEN;
        for chances in [&mut self.ranks, &mut self.green, &mut self.red, &mut self.blue] {
            chances.fill(Chance::EVEN);
        }
        self.colours.clear();
    }

    /// Writes or reads the pixels of an area, row by row.
    pub(super) fn area(
        &mut self,
        coder: &mut impl Coder,
        area: &mut Area,
        reach: Reach,
    ) -> Result<(), NoSuchColour> {
        for y in 0..area.height {
            let start = area.at(0, y);
            for x in 0..area.width {
                let at = start + x;
                let pixel = area.pixels[at];
                area.pixels[at] = match reach {
                    Reach::Near => {
                        let (wide, narrow) = area.near(at, x, y);
                        self.near_pixel(coder, wide, narrow, pixel)?
                    }
                    Reach::Far => {
                        let surroundings = area.far(at);
                        self.far_pixel(coder, surroundings, pixel)?
                    }
                };
            }
        }
        Ok(())
    }

    #[inline]
    fn near_pixel(
        &mut self,
        coder: &mut impl Coder,
        wide: u32,
        narrow: u32,
        pixel: u32,
    ) -> Result<u32, NoSuchColour> {
        let (first, second) = (self.wide.guess(wide), self.narrow.guess(narrow));
        let pixel = 'found: {
            if let Some((guess, sure)) = first
                && coder.code(&mut self.wide_hits[sure], guess == pixel)
            {
                break 'found guess;
            }
            if let Some((guess, sure)) = second
                && first.is_none_or(|(tried, _)| tried != guess)
                && coder.code(&mut self.narrow_hits[usize::from(first.is_some())][sure], guess == pixel)
            {
                break 'found guess;
            }
            self.colour(coder, pixel)?
        };
        self.wide.learn(wide, pixel);
        self.narrow.learn(narrow, pixel);
        Ok(pixel)
    }

    /// `surroundings`: by sixteen neighbours, by six and by two.
    #[inline]
    fn far_pixel(
        &mut self,
        coder: &mut impl Coder,
        surroundings @ [far, wide, narrow]: [u32; 3],
        pixel: u32,
    ) -> Result<u32, NoSuchColour> {
        let guesses =
            [self.far.guess_of_pair(far), self.wide.guess_of_pair(wide), self.narrow.guess_of_pair(narrow)];
        let mut tried = 0;
        let pixel = 'found: {
            for (level, guess) in guesses.iter().enumerate() {
                let Some((guess, sure)) = *guess else { continue };
                if guesses[..level].iter().flatten().any(|(before, _)| *before == guess) {
                    continue;
                }
                let relation = relation(guess, guesses.get(level + 1).copied().flatten());
                if coder.code(&mut self.hits[level][tried][relation][sure], guess == pixel) {
                    break 'found guess;
                }
                tried += 1;
            }
            self.colour(coder, pixel)?
        };
        // Where the many neighbours knew, the fewer need not learn what is particular to them.
        let right = |guess: &Option<(u32, usize)>| guess.is_some_and(|(guess, _)| guess == pixel);
        let learners = guesses.iter().position(right).map_or(3, |level| level + 2);
        let tables = [&mut self.far, &mut self.wide, &mut self.narrow];
        for (slots, surrounding) in tables.into_iter().zip(surroundings).take(learners) {
            slots.learn_in_pair(surrounding, pixel);
        }
        Ok(pixel)
    }

    /// A colour that was not guessed: its rank among those seen, or itself.
    fn colour(&mut self, coder: &mut impl Coder, pixel: u32) -> Result<u32, NoSuchColour> {
        let rank = self.colours.iter().position(|&colour| colour == pixel);
        let is_new = coder.code(&mut self.is_new[usize::from(self.was_new)], rank.is_none());
        self.was_new = is_new;
        let pixel = if is_new {
            if self.colours.len() == MOST_COLOURS && (!self.forgets || self.colours.pop().is_none()) {
                return Err(NoSuchColour);
            }
            let [_, red, green, blue] = pixel.to_be_bytes();
            let is_grey = coder.code(&mut self.is_grey, red == green && blue == green);
            let green = coder.byte(&mut self.green, green);
            let mut other = |chances: &mut _, value: u8| match is_grey {
                true => green,
                false => coder.byte(chances, value.wrapping_sub(green)).wrapping_add(green),
            };
            let (red, blue) = (other(&mut self.red, red), other(&mut self.blue, blue));
            u32::from_be_bytes([0, red, green, blue])
        } else {
            let rank = coder.byte(&mut self.ranks, rank.unwrap_or_default() as u8);
            if usize::from(rank) >= self.colours.len() {
                return Err(NoSuchColour);
            }
            self.colours.remove(rank.into())
        };
        self.colours.insert(0, pixel);
        Ok(pixel)
    }
}

fn relation(guess: u32, next: Option<(u32, usize)>) -> usize {
    next.map_or(0, |(colour, sure)| {
        let sureness = usize::from(sure >= 3) + usize::from(sure >= 12);
        if colour == guess { 1 + sureness } else { 4 + sureness }
    })
}

fn mixed(surrounding: u32, colour: u32) -> u32 {
    let product = (surrounding ^ colour).wrapping_mul(MIXER);
    product ^ product >> 15
}

/// Pixels beside which stand three columns, and above which stand three rows, of [`OUTSIDE`].
#[derive(Default)]
pub(super) struct Area {
    pixels: Vec<u32>,
    width: usize,
    height: usize,
}

const MARGIN: usize = 3;

impl Area {
    /// Makes room for pixels that are yet to be known.
    pub(super) fn start(&mut self, width: usize, height: usize) {
        (self.width, self.height) = (width, height);
        self.pixels.clear();
        self.pixels.resize(self.stride() * (height + MARGIN), OUTSIDE);
    }

    fn stride(&self) -> usize {
        self.width + 2 * MARGIN
    }

    fn at(&self, x: usize, y: usize) -> usize {
        (y + MARGIN) * self.stride() + MARGIN + x
    }

    /// Pixels of a row, from a column on.
    pub(super) fn row(&self, x: usize, y: usize, width: usize) -> &[u32] {
        let start = self.at(x, y);
        &self.pixels[start..start + width]
    }

    pub(super) fn row_mut(&mut self, y: usize) -> &mut [u32] {
        let start = self.at(0, y);
        &mut self.pixels[start..start + self.width]
    }

    /// Six neighbours, and of them two: where there is none, one nearby takes its place.
    #[inline]
    fn near(&self, at: usize, x: usize, y: usize) -> (u32, u32) {
        let (pixels, stride) = (&self.pixels, self.stride());
        let north = pixels[at - stride];
        let west = if x > 0 { pixels[at - 1] } else { north };
        let north_west = if x > 0 && y > 0 { pixels[at - stride - 1] } else { north };
        let north_east = if x + 1 < self.width && y > 0 { pixels[at - stride + 1] } else { north };
        let west_west = if x > 1 { pixels[at - 2] } else { west };
        let north_north = pixels[at - 2 * stride];
        let narrow = mixed(mixed(0, west), north);
        (mixed(mixed(mixed(mixed(narrow, north_east), north_west), west_west), north_north), narrow)
    }

    /// Sixteen neighbours, six and two. What is mixed in last is a sum, so that processors need not wait for each product.
    #[inline]
    fn far(&self, at: usize) -> [u32; 3] {
        let stride = self.stride();
        let rows = [0, 1, 2, 3].map(|up| at - up * stride);
        let row = |up: usize| &self.pixels[rows[up] - MARGIN..rows[up] + MARGIN + 1];
        let (own, first, second) = (row(0), row(1), row(2));
        let narrow = mixed(mixed(0, own[2]), first[3]);
        let wide = mixed(mixed(mixed(mixed(narrow, first[4]), first[2]), own[1]), second[3]);
        let (left, right) = ([own[0], first[1], first[5], second[4], second[2]], self.pixels[rows[3]]);
        let more =
            [left[0], left[1], left[2], left[3], left[4], right, first[6], first[0], second[5], second[1]];
        let sum = more
            .iter()
            .zip(POWERS)
            .fold(0u32, |sum, (pixel, power)| sum.wrapping_add(pixel.wrapping_mul(power)));
        [mixed(wide, sum), wide, narrow]
    }
}

/// Of the mixer, from the first on.
const POWERS: [u32; 10] = {
    let mut powers = [MIXER; 10];
    let mut at = 1;
    while at < 10 {
        powers[at] = powers[at - 1].wrapping_mul(MIXER);
        at += 1;
    }
    powers
};
