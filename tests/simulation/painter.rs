//! A source that draws at random what desktops draw: text, panes that scroll, windows that move, pictures,
//! a caret, things that come back.

use crate::random::Random;
use chevet::screen::{Framebuffer, Rect, TileSet};

const MASK: u32 = 0x00FF_FFFF;
const INKS: [u32; 6] = [0x000000, 0x202020, 0x0040A0, 0xF0F0F0, 0xFFFFFF, 0x80C0E0];

pub struct Painter {
    pub framebuffer: Framebuffer,
    pub damage: TileSet,
    earlier: Vec<Framebuffer>,
    caret: Rect,
}

impl Painter {
    pub fn new(width: u32, height: u32) -> Self {
        let framebuffer = Framebuffer::new(width, height).unwrap();
        let damage = TileSet::full(framebuffer.grid().len());
        Painter { framebuffer, damage, earlier: Vec::new(), caret: Rect::default() }
    }

    /// One act of drawing.
    pub fn act(&mut self, random: &mut Random) {
        match random.below(100) {
            0..30 => self.text(random),
            30..52 => self.scroll(random),
            52..62 => self.move_window(random),
            62..67 => self.noise(random),
            67..75 => {
                let (place, ink) = (self.place(random, 100), random.pick(&INKS));
                self.fill(place, ink);
            }
            75..82 => self.go_back(random),
            82..86 => self.remember(),
            86..97 => self.blink(random),
            _ => self.damage = TileSet::full(self.framebuffer.grid().len()),
        }
    }

    /// Reverses a small rectangle that stays where it is.
    pub fn blink(&mut self, random: &mut Random) {
        if self.caret.is_empty() || random.chance(5) {
            self.caret = self.place(random, 3);
        }
        let caret = self.caret;
        self.each_pixel(caret, |_, _, old| !old & MASK);
    }

    pub fn noise_at(&mut self, place: Rect, random: &mut Random) {
        self.each_pixel(place, |_, _, _| random.next() as u32 & MASK);
    }

    /// A soft picture that swells and turns, so that no part of one frame is a copy from another.
    pub fn film(&mut self, place: Rect, frame: u32) {
        let time = frame as f32 / 6.0;
        self.each_pixel(place, |x, y, _| {
            let (u, v, swell) = (x as f32 / 23.0, y as f32 / 17.0, 60.0 + 40.0 * time.sin());
            let level = |phase: f32| (128.0 + swell * (u + phase).sin() * (v - phase + time).cos()) as u32;
            level(0.0) << 16 | level(0.7) << 8 | level(1.9)
        });
    }

    fn place(&self, random: &mut Random, percent: u64) -> Rect {
        let (width, height) = (self.framebuffer.width(), self.framebuffer.height());
        let mut side = |all: u32| random.between(1, (u64::from(all) * percent / 100).max(1)) as u32;
        let (w, h) = (side(width), side(height));
        let x = random.below(u64::from(width - w + 1)) as u32;
        let y = random.below(u64::from(height - h + 1)) as u32;
        Rect::new(x, y, w, h)
    }

    fn each_pixel(&mut self, place: Rect, mut ink: impl FnMut(u32, u32, u32) -> u32) {
        for y in place.y..place.bottom() {
            let row = self.framebuffer.row_mut(place.x, y, place.width);
            row.iter_mut().zip(place.x..).for_each(|(pixel, x)| *pixel = ink(x, y, *pixel));
        }
        self.damaged(place);
    }

    fn damaged(&mut self, place: Rect) {
        self.framebuffer.grid().tiles_in(&place).for_each(|tile| self.damage.insert(tile));
    }

    fn fill(&mut self, place: Rect, ink: u32) {
        self.each_pixel(place, |_, _, _| ink);
    }

    /// Lines of glyphs: 6 x 9 cells whose dots a few bits decide.
    fn text(&mut self, random: &mut Random) {
        let place = self.place(random, 60);
        let (paper, ink, salt) = (random.pick(&INKS), random.pick(&INKS), random.next());
        self.each_pixel(place, |x, y, _| {
            let cell = u64::from(x / 6) << 32 | u64::from(y / 9);
            let glyph = (cell ^ salt).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 10;
            let dot = (x % 6) + (y % 9) * 6;
            if x % 6 < 5 && y % 9 < 7 && glyph >> (dot % 54) & 1 == 1 { ink } else { paper }
        });
    }

    fn noise(&mut self, random: &mut Random) {
        let place = self.place(random, 25);
        self.noise_at(place, random);
    }

    /// A pane's content moves up or down (or to a side) by some pixels; new text comes in at the edge.
    fn scroll(&mut self, random: &mut Random) {
        let pane = self.place(random, 100);
        let by = random.between(1, 90) as u32;
        let salt = random.next() as u32;
        let (from, x, y, bare) = match random.below(4) {
            0 if by < pane.height => {
                let kept = Rect { height: pane.height - by, ..pane };
                (kept, pane.x, pane.y + by, Rect { height: by, ..pane })
            }
            1 | 2 if by < pane.height => {
                let kept = Rect { y: pane.y + by, height: pane.height - by, ..pane };
                (kept, pane.x, pane.y, Rect { y: pane.bottom() - by, height: by, ..pane })
            }
            3 if by < pane.width => {
                let kept = Rect { width: pane.width - by, ..pane };
                (kept, pane.x + by, pane.y, Rect { width: by, ..pane })
            }
            _ => return,
        };
        self.framebuffer.copy_within(from, x, y);
        self.damaged(pane);
        self.each_pixel(
            bare,
            |x, y, _| if ((x * 31) ^ (y * 17) ^ salt) & 4 == 0 { 0xFFFFFF } else { 0x101010 },
        );
    }

    fn move_window(&mut self, random: &mut Random) {
        let window = self.place(random, 50);
        let x = random.below(u64::from(self.framebuffer.width() - window.width + 1)) as u32;
        let y = random.below(u64::from(self.framebuffer.height() - window.height + 1)) as u32;
        self.framebuffer.copy_within(window, x, y);
        self.damaged(Rect { x, y, ..window });
    }

    fn remember(&mut self) {
        if self.earlier.len() == 4 {
            self.earlier.remove(0);
        }
        self.earlier.push(self.framebuffer.clone());
    }

    fn go_back(&mut self, random: &mut Random) {
        let index = random.below(self.earlier.len() as u64) as usize;
        let Some(earlier) = self.earlier.get(index) else { return };
        self.framebuffer = earlier.clone();
        self.damage = TileSet::full(self.framebuffer.grid().len());
    }
}
