//! A mark burnt into pixels: a text in rows all over a picture, faint, and yet readable on what is light and what is dark.
//! Pure: the session says whose picture it is, and when.

mod font;

use crate::screen::{Framebuffer, TileSet, copy_tiles};
use std::ops::Range;

/// Screen pixels a side of a letter's pixel.
const SCALE: u32 = 2;
/// From one letter, and one line, to the next.
const ADVANCE: u32 = (font::WIDTH + 1) * SCALE;
const LINE: u32 = (font::HEIGHT + 2) * SCALE;
/// Between two texts of a row, and between two rows.
const GAP: u32 = 72;
/// Letters of a line; the rest is not written.
const MOST_LETTERS: usize = 64;
/// How strongly a pixel is drawn towards black or white, in 256ths: 12 %.
const STRENGTH: u32 = 31;

/// A text's places: which pixels of which row it covers, in a pattern that repeats across and down the picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    lines: Vec<String>,
    /// In pixels, after which a row repeats.
    period: u32,
    /// Ascending, and apart from each other. Every second row of texts stands half a period aside.
    rows: Vec<Vec<Range<u32>>>,
}

impl Mark {
    /// The mark of who sees the picture, at a time in milliseconds since 1970. It is the same for all of a minute.
    pub fn new(who: &str, unix_ms: i64) -> Self {
        let lines: Vec<String> = [font::written(who), minute(unix_ms)]
            .iter()
            .map(|line| line.chars().take(MOST_LETTERS).collect())
            .collect();
        let longest = lines.iter().map(|line| line.chars().count()).max().unwrap_or(0) as u32;
        let period = (longest * ADVANCE + GAP).next_multiple_of(2);
        let upper = text_rows(&lines);
        let lower = upper.iter().map(|row| moved_aside(row, period));
        let rows = upper.iter().cloned().chain(lower).collect();
        Mark { lines, period, rows }
    }

    /// What is written, line by line.
    pub fn lines(&self) -> &[String] {
        &self.lines
    }

    /// Whether a text can be written so that who reads it knows it again.
    pub fn can_write(text: &str) -> bool {
        !font::written(text).contains('?')
    }

    /// Copies `tiles` from `from` to the same place in `to`, which has its size, with the mark in them.
    pub fn burn(&self, from: &Framebuffer, to: &mut Framebuffer, tiles: &TileSet) {
        copy_tiles(from, to, tiles);
        let grid = to.grid();
        for rect in tiles.iter().map(|tile| grid.rect(tile)) {
            for y in rect.y..rect.bottom() {
                self.burn_row(to.row_mut(rect.x, y, rect.width), rect.x, y);
            }
        }
    }

    /// Pixels of row `y` from column `x` on.
    fn burn_row(&self, pixels: &mut [u32], x: u32, y: u32) {
        let runs = &self.rows[y as usize % self.rows.len()];
        let end = x + pixels.len() as u32;
        for base in (x - x % self.period..end).step_by(self.period as usize) {
            let first = runs.partition_point(|run| base + run.end <= x);
            for run in runs[first..].iter().take_while(|run| base + run.start < end) {
                let (start, stop) = ((base + run.start).max(x) - x, (base + run.end).min(end) - x);
                pixels[start as usize..stop as usize].iter_mut().for_each(|pixel| *pixel = drawn(*pixel));
            }
        }
    }
}

/// What is light becomes darker, what is dark lighter.
fn drawn(pixel: u32) -> u32 {
    let part = |shift: u32| pixel >> shift & 0xFF;
    let luminance = (part(16) * 77 + part(8) * 150 + part(0) * 29) >> 8;
    let towards = if luminance >= 128 { 0 } else { 255 };
    let blended = |shift: u32| (part(shift) * (256 - STRENGTH) + towards * STRENGTH) >> 8 << shift;
    blended(16) | blended(8) | blended(0)
}

/// Which pixels the lines cover, and the empty rows below them.
fn text_rows(lines: &[String]) -> Vec<Vec<Range<u32>>> {
    let mut rows = vec![Vec::new(); (lines.len() as u32 * LINE + GAP) as usize];
    for (line, top) in lines.iter().zip((0..).step_by(LINE as usize)) {
        let glyphs = (0..).step_by(ADVANCE as usize).zip(line.chars().map(font::glyph));
        for (left, glyph) in glyphs.filter_map(|(left, glyph)| Some((left, glyph?))) {
            for (row, bits) in glyph.iter().enumerate() {
                let set = |column: &u32| bits >> (font::WIDTH - 1 - column) & 1 == 1;
                let pixels = (0..font::WIDTH).filter(set).map(|column| left + column * SCALE);
                for start in pixels {
                    let y = top + row * SCALE as usize;
                    rows[y..y + SCALE as usize].iter_mut().for_each(|row| cover(row, start..start + SCALE));
                }
            }
        }
    }
    rows
}

/// Adds a run behind all that are there.
fn cover(row: &mut Vec<Range<u32>>, run: Range<u32>) {
    match row.last_mut().filter(|last| last.end == run.start) {
        Some(last) => last.end = run.end,
        None => row.push(run),
    }
}

/// The same row half a period on: what leaves it at the right comes in at the left.
fn moved_aside(row: &[Range<u32>], period: u32) -> Vec<Range<u32>> {
    let half = period / 2;
    let mut moved = Vec::new();
    for run in row {
        // Runs never cross the middle: letters that would are cut in two.
        let left = run.start..run.end.min(half);
        let right = run.start.max(half)..run.end;
        moved.extend((!left.is_empty()).then(|| left.start + half..left.end + half));
        moved.extend((!right.is_empty()).then(|| right.start - half..right.end - half));
    }
    moved.sort_unstable_by_key(|run| run.start);
    moved
}

/// A moment in universal time, to the minute.
fn minute(unix_ms: i64) -> String {
    let minutes = unix_ms.div_euclid(60_000);
    let (days, minute) = (minutes.div_euclid(1_440), minutes.rem_euclid(1_440));
    // Years that begin in March end with the leap day; 400 of them always have as many days.
    let days = days + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (year, month) = match month {
        0..=9 => (era * 400 + year, month + 3),
        _ => (era * 400 + year + 1, month - 9),
    };
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02} UTC", minute / 60, minute % 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::screen::{Rect, TileId};

    const NOON: i64 = 1_795_608_000_000;

    fn picture(width: u32, height: u32, colour: impl Fn(u32, u32) -> u32) -> Framebuffer {
        let mut picture = Framebuffer::new(width, height).unwrap();
        for y in 0..height {
            picture.row_mut(0, y, width).iter_mut().zip(0..).for_each(|(pixel, x)| *pixel = colour(x, y));
        }
        picture
    }

    fn burnt(mark: &Mark, plain: &Framebuffer) -> Framebuffer {
        let mut to = Framebuffer::new(plain.width(), plain.height()).unwrap();
        mark.burn(plain, &mut to, &TileSet::full(plain.grid().len()));
        to
    }

    /// Reads letters off the picture, knowing the plain one: by what differs at each letter's pixels.
    fn read(plain: &Framebuffer, marked: &Framebuffer, x: u32, y: u32, letters: usize) -> String {
        let differs = |x: u32, y: u32| plain.row(x, y, 1) != marked.row(x, y, 1);
        let letter = |at: usize| {
            let left = x + at as u32 * ADVANCE;
            let mut glyph = [0u8; font::HEIGHT as usize];
            for (row, bits) in glyph.iter_mut().enumerate() {
                for column in 0..font::WIDTH {
                    let set = differs(left + column * SCALE, y + row as u32 * SCALE);
                    *bits = *bits << 1 | u8::from(set);
                }
            }
            let all = (' '..='Z').chain(['_', '·']);
            all.into_iter().find(|&each| font::glyph(each) == Some(&glyph)).unwrap_or(' ')
        };
        (0..letters).map(letter).collect()
    }

    #[test]
    fn the_mark_reads_on_light_and_dark_and_on_what_is_between() {
        let mark = Mark::new("Hélène Roy · Room 12", NOON);
        assert_eq!(mark.lines(), ["HELENE ROY · ROOM 12", "2026-11-25 12:00 UTC"]);
        let colours: [fn(u32, u32) -> u32; 5] = [
            |_, _| 0,
            |_, _| 0x00FF_FFFF,
            |_, _| 0x007F_7F7F,
            |_, _| 0x0080_8080,
            |x, y| ((x * 7 + y * 3) & 0xFF) * 0x0001_0101,
        ];
        for colour in colours {
            let plain = picture(700, 300, colour);
            let marked = burnt(&mark, &plain);
            assert_eq!(read(&plain, &marked, 0, 0, 20), mark.lines()[0]);
            assert_eq!(read(&plain, &marked, 0, LINE, 20), mark.lines()[1]);
            // The next one of the row, and one of the next row.
            assert_eq!(read(&plain, &marked, mark.period, 0, 20), mark.lines()[0]);
            let next = 2 * LINE + GAP;
            assert_eq!(read(&plain, &marked, mark.period / 2, next, 20), mark.lines()[0]);
            for (plain, marked) in plain.pixels().iter().zip(marked.pixels()) {
                let difference = (plain & 0xFF).abs_diff(marked & 0xFF);
                assert!(difference == 0 || (14..=32).contains(&difference), "{plain:x} {marked:x}");
            }
        }
    }

    #[test]
    fn tile_by_tile_it_is_the_same_as_at_once() {
        let plain = picture(500, 333, |x, y| (x * 31 + y * 17) & 0x00FF_FFFF);
        let mark = Mark::new("Anne", NOON);
        let whole = burnt(&mark, &plain);
        let mut bit_by_bit = Framebuffer::new(500, 333).unwrap();
        for tile in (0..plain.grid().len() as TileId).rev() {
            let mut one = TileSet::new(plain.grid().len());
            one.insert(tile);
            mark.burn(&plain, &mut bit_by_bit, &one);
        }
        assert!(whole == bit_by_bit);
        let inside = |y| (0..500).any(|x| whole.row(x, y, 1) != plain.row(x, y, 1));
        assert!((0..14).all(inside), "each row of the letters has some of them");
        assert_eq!(Rect::new(0, 0, 500, 333), whole.bounds());
    }

    #[test]
    fn the_time_is_that_of_the_calendar() {
        for (unix, text) in [
            (0, "1970-01-01 00:00 UTC"),
            (951_782_399, "2000-02-28 23:59 UTC"),
            (951_868_799, "2000-02-29 23:59 UTC"),
            (951_868_800, "2000-03-01 00:00 UTC"),
            (4_107_542_399, "2100-02-28 23:59 UTC"),
            (4_107_542_400, "2100-03-01 00:00 UTC"),
            (1_798_761_599, "2026-12-31 23:59 UTC"),
        ] {
            assert_eq!(minute(unix * 1_000), text);
        }
        assert_eq!(Mark::new("", NOON), Mark::new("", NOON + 59_999));
        assert_ne!(Mark::new("", NOON), Mark::new("", NOON + 60_000));
    }

    #[test]
    fn a_text_of_any_length_is_bounded() {
        let mark = Mark::new(&"W".repeat(10_000), NOON);
        assert_eq!(mark.lines()[0].len(), MOST_LETTERS);
        let tiny = picture(1, 1, |_, _| 0);
        burnt(&mark, &tiny);
        assert!(Mark::can_write("Zoé") && !Mark::can_write("Зоя"));
    }
}
