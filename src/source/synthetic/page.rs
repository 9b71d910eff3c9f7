//! What a synthetic screen shows, drawn once for all sessions of a size.

use super::Layout;
use crate::screen::{Framebuffer, Rect, SizeError};
use std::sync::{Arc, Mutex, PoisonError, Weak};

pub const PAPER: u32 = 0x00f4_f5f7;
const FIELD: u32 = 0x00ff_ffff;
const EDGE: u32 = 0x00b8_bec8;
pub const INK: u32 = 0x0020_2630;
const PALE_INK: u32 = 0x0060_6a78;
const BAR: u32 = 0x0024_4c7c;
/// A letter's cell, in pixels.
pub const LETTER: (u32, u32) = (8, 16);
/// The height of a table's row.
pub const ROW: u32 = 24;

/// A form with labels and fields, a table, a dark place for a picture. The same page serves every session of its
/// size for as long as one of them lives.
pub fn page(width: u32, height: u32) -> Result<Arc<Framebuffer>, SizeError> {
    static DRAWN: Mutex<Vec<Weak<Framebuffer>>> = Mutex::new(Vec::new());
    let mut drawn = DRAWN.lock().unwrap_or_else(PoisonError::into_inner);
    drawn.retain(|page| page.strong_count() > 0);
    let known = drawn.iter().filter_map(Weak::upgrade).find(|p| (p.width(), p.height()) == (width, height));
    if let Some(page) = known {
        return Ok(page);
    }
    let page = Arc::new(draw(width, height)?);
    drawn.push(Arc::downgrade(&page));
    Ok(page)
}

fn draw(width: u32, height: u32) -> Result<Framebuffer, SizeError> {
    let mut page = Framebuffer::new(width, height)?;
    let layout = Layout::new(width, height);
    fill(&mut page, &Rect::new(0, 0, width, height), PAPER);
    fill(&mut page, &Rect::new(0, 0, width, 40), BAR);
    // Labels and fields in columns, one form line every 48 pixels.
    for (line, y) in (64..height.saturating_sub(48)).step_by(48).enumerate() {
        for (column, x) in (16..width.saturating_sub(200)).step_by(384).enumerate() {
            let seed = (line * 64 + column) as u64;
            text(&mut page, x, y + 12, 9 + (mix(seed) % 6) as u32, seed, PALE_INK);
            let field = Rect::new(x + 128, y + 4, 232, 32);
            frame(&mut page, &field);
            if !mix(seed ^ 77).is_multiple_of(3) {
                text(&mut page, x + 136, y + 12, 6 + (mix(seed ^ 5) % 18) as u32, seed ^ 99, INK);
            }
        }
    }
    rows(&mut page, &layout.table, 0, 0);
    fill(&mut page, &layout.picture, 0x0010_1010);
    Ok(page)
}

fn frame(page: &mut Framebuffer, rect: &Rect) {
    fill(page, rect, EDGE);
    let inner =
        Rect::new(rect.x + 1, rect.y + 1, rect.width.saturating_sub(2), rect.height.saturating_sub(2));
    fill(page, &inner, FIELD);
}

/// Draws the table's rows into `table`, as if it were scrolled by `scrolled` pixels.
pub fn rows(page: &mut Framebuffer, table: &Rect, scrolled: u64, seed: u64) {
    for y in table.y..table.bottom() {
        table_line(page, table, y, scrolled, seed);
    }
}

/// Moves the table's rows up by `step` pixels and draws those that come into sight.
pub fn scroll(page: &mut Framebuffer, table: &Rect, scrolled: u64, step: u32, seed: u64) {
    if table.is_empty() {
        return;
    }
    let step = step.min(table.height);
    let kept = Rect::new(table.x, table.y + step, table.width, table.height - step);
    if !kept.is_empty() {
        page.copy_within(kept, table.x, table.y);
    }
    for y in table.bottom() - step..table.bottom() {
        table_line(page, table, y, scrolled, seed);
    }
}

fn table_line(page: &mut Framebuffer, table: &Rect, y: u32, scrolled: u64, seed: u64) {
    let in_table = scrolled + u64::from(y - table.y);
    let (row, line) = (in_table / u64::from(ROW), (in_table % u64::from(ROW)) as u32);
    let back = if row % 2 == 0 { FIELD } else { 0x00eb_f0f6 };
    let pixels = page.row_mut(table.x, y, table.width);
    for (pixel, x) in pixels.iter_mut().zip(0..) {
        let letter = x / LETTER.0;
        // Words of five letters with a gap, as a list of names and values has them.
        let is_gap = letter % 6 == 5 || x < 8;
        let ink = !is_gap
            && (4..20).contains(&line)
            && stroke(mix(seed ^ row << 20 ^ u64::from(letter)), x % LETTER.0, line - 4);
        *pixel = if line == ROW - 1 { EDGE } else { back };
        if ink {
            *pixel = INK;
        }
    }
}

/// Writes `letters` letters in one line; what lies beyond the screen is left out.
pub fn text(page: &mut Framebuffer, x: u32, y: u32, letters: u32, seed: u64, ink: u32) {
    for letter in 0..letters {
        let shape = mix(seed << 8 ^ u64::from(letter));
        if !shape.is_multiple_of(7) {
            glyph(page, x + letter * LETTER.0, y, shape, ink);
        }
    }
}

/// One letter, its shape from a number.
pub fn glyph(page: &mut Framebuffer, x: u32, y: u32, shape: u64, ink: u32) {
    let cell = Rect::new(x, y, LETTER.0, LETTER.1).intersect(&page.bounds());
    for row in 0..cell.height {
        let pixels = page.row_mut(cell.x, cell.y + row, cell.width);
        for (pixel, column) in pixels.iter_mut().zip(0..) {
            if stroke(shape, column, row) {
                *pixel = ink;
            }
        }
    }
}

/// Whether a letter has ink there: strokes on a raster of 3 by 5.
fn stroke(shape: u64, column: u32, row: u32) -> bool {
    column < 6 && (3..13).contains(&row) && (shape | 1) >> ((row - 3) / 2 * 3 + column / 2) & 1 == 1
}

/// Fills what of a rectangle lies on the page.
pub fn fill(page: &mut Framebuffer, rect: &Rect, colour: u32) {
    let rect = rect.intersect(&page.bounds());
    for y in rect.y..rect.bottom() {
        page.row_mut(rect.x, y, rect.width).fill(colour);
    }
}

/// Scatters a number's bits (the finaliser of SplitMix64).
pub fn mix(bits: u64) -> u64 {
    let mut bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}
