//! Screens drawn by the tests and the benchmark: text of random glyphs, panes, windows, noise.
//! The parent module brings `Framebuffer` and `Rect` into scope.

use super::{Framebuffer, Rect};

pub const PAPER: u32 = 0xFF_FFFF;
pub const LINE: u32 = 18;
const ADVANCE: u32 = 8;

/// A small generator (SplitMix64), so that scenes are the same on each run.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, bound: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut word = self.0;
        word = (word ^ word >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ word >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((word ^ word >> 31) >> 32) as u32 % bound
    }
}

/// Before and after.
pub struct Scene {
    pub name: &'static str,
    pub old: Framebuffer,
    pub new: Framebuffer,
}

pub fn blank(width: u32, height: u32, colour: u32) -> Framebuffer {
    let mut screen = Framebuffer::new(width, height).unwrap();
    screen.pixels_mut().fill(colour);
    screen
}

pub fn fill(screen: &mut Framebuffer, rect: Rect, colour: u32) {
    (rect.y..rect.bottom()).for_each(|y| screen.row_mut(rect.x, y, rect.width).fill(colour));
}

pub fn noise(screen: &mut Framebuffer, rect: Rect, seed: u64) {
    let mut random = Random(seed);
    for y in rect.y..rect.bottom() {
        screen.row_mut(rect.x, y, rect.width).fill_with(|| random.below(1 << 24));
    }
}

/// Shows `rect`'s size of `page` from `(x, y)` on at `rect`.
pub fn show(screen: &mut Framebuffer, rect: Rect, page: &Framebuffer, x: u32, y: u32) {
    for row in 0..rect.height {
        let pixels = page.row(x, y + row, rect.width);
        screen.row_mut(rect.x, rect.y + row, rect.width).copy_from_slice(pixels);
    }
}

/// One of 64 glyphs of 7 x 11 pixels: a few strokes, with grey beside them.
fn glyph(screen: &mut Framebuffer, x: u32, y: u32, code: u32, ink: u32) {
    let mut random = Random(u64::from(code % 64) + 1000);
    for _ in 0..3 {
        let (left, top) = (random.below(6), random.below(8));
        let rect = match random.below(2) {
            0 => Rect::new(x + left, y + top, 1, 11 - top),
            _ => Rect::new(x, y + top, left + 2, 1),
        };
        fill(screen, rect, ink);
        let grey = 0x50_5050 + random.below(8) * 0x10_1010;
        screen.row_mut(x + left, y + top, 1)[0] = grey;
    }
}

/// Lines of words; one in `1 / blank_lines` is empty, most end early.
pub fn text(screen: &mut Framebuffer, rect: Rect, seed: u64, ink: u32, blank_lines: u32) {
    let mut random = Random(seed);
    for line in 0..rect.height / LINE {
        if blank_lines > 0 && random.below(blank_lines) == 0 {
            continue;
        }
        let columns = rect.width / ADVANCE;
        let length = columns / 4 + random.below(columns * 3 / 4 + 1);
        let mut column = 0;
        while column < length {
            let word = 1 + random.below(9);
            for letter in column..(column + word).min(length) {
                let code = random.below(26);
                glyph(screen, rect.x + letter * ADVANCE, rect.y + line * LINE + 3, code, ink);
            }
            column += word + 1;
        }
    }
}

/// A page of text to be shown in parts.
pub fn page(width: u32, height: u32, seed: u64) -> Framebuffer {
    let mut page = blank(width, height, PAPER);
    let bounds = page.bounds();
    text(&mut page, bounds, seed, 0x20_2020, 6);
    page
}

/// A browser: a fixed header, a side bar of text, and the page scrolled to `(x, y)` in `pane`.
fn browser(width: u32, height: u32, content: &Framebuffer, pane: Rect, x: u32, y: u32) -> Framebuffer {
    let mut screen = blank(width, height, 0xF0_F0F0);
    text(&mut screen, Rect::new(10, 5, width - 20, 60), 5, 0x10_1010, 0);
    text(&mut screen, Rect::new(4, 90, pane.x.max(20) - 12, height - 100), 6, 0x40_6080, 3);
    show(&mut screen, pane, content, x, y);
    screen
}

/// A window with a title and text in it.
pub fn window(screen: &mut Framebuffer, rect: Rect) {
    fill(screen, rect, 0x30_3030);
    let inside = Rect::new(rect.x + 2, rect.y + 24, rect.width - 4, rect.height - 26);
    fill(screen, inside, PAPER);
    text(screen, Rect::new(rect.x + 30, rect.y + 2, 200, LINE), 77, 0xE0_E0E0, 0);
    text(screen, inside, 78, 0, 5);
}

/// A texture that never repeats, like a photograph as wallpaper.
fn wallpaper(width: u32, height: u32) -> Framebuffer {
    let mut screen = blank(width, height, 0);
    for y in 0..height {
        for (x, pixel) in screen.row_mut(0, y, width).iter_mut().enumerate() {
            let x = x as u32;
            *pixel = ((x / 7 + y / 3) % 200) << 16 | ((x * y / 900) % 256) << 8 | ((y * 2 + x / 5) % 256);
        }
    }
    screen
}

pub fn page_scroll(width: u32, height: u32, by: u32) -> Scene {
    let content = page(width, height + by, 1);
    let mut old = blank(width, height, PAPER);
    let bounds = old.bounds();
    show(&mut old, bounds, &content, 0, 0);
    let mut new = old.clone();
    show(&mut new, bounds, &content, 0, by);
    Scene { name: "full-screen scroll", old, new }
}

pub fn drag(textured: bool) -> Scene {
    let mut old = if textured { wallpaper(1920, 1080) } else { blank(1920, 1080, 0x20_5070) };
    let mut new = old.clone();
    window(&mut old, Rect::new(301, 203, 800, 600));
    window(&mut new, Rect::new(338, 180, 800, 600));
    Scene { name: if textured { "window dragged over a photograph" } else { "window dragged" }, old, new }
}

pub fn video() -> Scene {
    let mut old = page(1920, 1080, 3);
    let mut new = old.clone();
    noise(&mut old, Rect::new(500, 300, 640, 360), 1);
    noise(&mut new, Rect::new(500, 300, 640, 360), 2);
    Scene { name: "video-like noise 640x360", old, new }
}

/// A line of an editor typed into: what is to the right of the caret moves by one letter.
pub fn typing() -> Scene {
    let mut old = page(1920, 1080, 9);
    let mut random = Random(5);
    for letter in 0..75 {
        glyph(&mut old, 160 + letter * ADVANCE, 15 * LINE + 3, random.below(26), 0);
    }
    let mut new = old.clone();
    let line = Rect::new(160, 15 * LINE, 600, LINE);
    show(&mut new, Rect::new(line.x + ADVANCE, line.y, line.width, LINE), &old, line.x, line.y);
    fill(&mut new, Rect::new(line.x, line.y, ADVANCE, LINE), PAPER);
    glyph(&mut new, line.x, line.y + 3, 11, 0);
    Scene { name: "typing", old, new }
}

/// Every scene in which content moves, so that most changed tiles can be saved.
pub fn moving() -> Vec<Scene> {
    let content = page(2600, 2400, 2);
    let pane = Rect::new(237, 83, 1683 - 17, 997);
    let pair = |name, from: (u32, u32), to: (u32, u32)| Scene {
        name,
        old: browser(1920, 1080, &content, pane, from.0, from.1),
        new: browser(1920, 1080, &content, pane, to.0, to.1),
    };
    let mut scenes = vec![
        page_scroll(1920, 1080, 53),
        page_scroll(1366, 768, 3 * LINE),
        pair("pane scrolled down", (0, 100), (0, 157)),
        pair("pane scrolled up", (0, 300), (0, 211)),
        pair("pane scrolled sideways", (300, 40), (331, 40)),
        pair("pane scrolled askew", (300, 340), (260, 301)),
        drag(false),
        drag(true),
    ];
    scenes.push(several_panes(&content));
    scenes.push(fixed_parts(&content));
    scenes.push(sparse_side_bar(&content));
    scenes.push(long_log());
    scenes.push(small_list(&content));
    scenes.push(terminal());
    scenes.push(table_insert(&content));
    scenes
}

fn several_panes(content: &Framebuffer) -> Scene {
    let screen = |left: u32, middle: u32, right: u32| {
        let mut screen = blank(1900, 1000, 0xD0_D0D0);
        show(&mut screen, Rect::new(10, 50, 600, 900), content, 0, left);
        show(&mut screen, Rect::new(640, 50, 600, 900), content, 700, middle);
        show(&mut screen, Rect::new(1270, 50, 610, 900), content, 1400, right);
        screen
    };
    Scene { name: "three panes scrolled at once", old: screen(0, 300, 90), new: screen(54, 264, 99) }
}

fn small_list(content: &Framebuffer) -> Scene {
    let screen = |y| {
        let mut screen = page(1280, 800, 4);
        fill(&mut screen, Rect::new(499, 279, 302, 202), 0x80_8080);
        show(&mut screen, Rect::new(500, 280, 300, 200), content, 40, y);
        screen
    };
    Scene { name: "list of 300x200 scrolled by a row", old: screen(90), new: screen(90 + LINE) }
}

/// Short lines at the left, nothing to the right; a prompt appears below.
fn terminal() -> Scene {
    let mut lines = blank(800, 1200, 0);
    for line in 0..60 {
        let width = 80 + (line * 37 % 200);
        text(&mut lines, Rect::new(0, line * LINE, width, LINE), u64::from(line) + 50, 0xC0_C0C0, 0);
    }
    let screen = |y| {
        let mut screen = page(1600, 1000, 8);
        show(&mut screen, Rect::new(400, 130, 800, 720), &lines, 0, y);
        screen
    };
    Scene { name: "terminal scrolled by one line", old: screen(5 * LINE), new: screen(6 * LINE) }
}

fn table_insert(content: &Framebuffer) -> Scene {
    let mut old = blank(1600, 900, PAPER);
    text(&mut old, Rect::new(0, 0, 1600, 90), 12, 0, 0);
    let mut new = old.clone();
    show(&mut old, Rect::new(0, 90, 1600, 810), content, 0, 90);
    show(&mut new, Rect::new(0, 90, 1600, 108), content, 0, 90);
    fill(&mut new, Rect::new(0, 198, 1600, 24), 0xC0_E0FF);
    text(&mut new, Rect::new(0, 200, 1600, LINE), 13, 0, 0);
    show(&mut new, Rect::new(0, 222, 1600, 678), content, 0, 198);
    Scene { name: "row inserted into a table", old, new }
}

/// A page below a floating button and a band that stay where they are.
fn fixed_parts(content: &Framebuffer) -> Scene {
    let screen = |y| {
        let mut screen = blank(1920, 1080, PAPER);
        let bounds = screen.bounds();
        show(&mut screen, bounds, content, 0, y);
        fill(&mut screen, Rect::new(0, 400, 1920, 20), 0xFF_F0A0);
        fill(&mut screen, Rect::new(1700, 900, 70, 70), 0x20_60F0);
        screen
    };
    Scene { name: "page scrolled below fixed parts", old: screen(0), new: screen(40) }
}

/// Beside the pane that scrolls, a wide side bar with little in it, of the same paper.
fn sparse_side_bar(content: &Framebuffer) -> Scene {
    let screen = |y| {
        let mut screen = blank(1920, 1000, PAPER);
        (0..6).for_each(|widget| fill(&mut screen, Rect::new(1200, 40 + widget * 170, 30, 30), 0xC0_3030));
        show(&mut screen, Rect::new(0, 0, 900, 1000), content, 500, y);
        screen
    };
    Scene { name: "pane scrolled beside a sparse side bar", old: screen(7), new: screen(61) }
}

/// Lines that all say the same but for a number.
fn long_log() -> Scene {
    let mut lines = blank(1000, 1400, 0);
    for line in 0..1400 / LINE {
        text(&mut lines, Rect::new(80, line * LINE, 700, LINE), 4, 0xC0_C0C0, 0);
        let digits = [line / 100, line / 10 % 10, line % 10];
        for (digit, column) in digits.into_iter().zip(0..) {
            glyph(&mut lines, 8 + column * ADVANCE, line * LINE + 3, 30 + digit, 0xC0_C0C0);
        }
    }
    let screen = |y| {
        let mut screen = blank(1000, 900, 0);
        let bounds = screen.bounds();
        show(&mut screen, bounds, &lines, 0, y);
        screen
    };
    Scene { name: "log of like lines scrolled", old: screen(9 * LINE), new: screen(12 * LINE) }
}

/// Another text in the same letters: windows match by chance, and nothing moved.
pub fn other_page() -> Scene {
    Scene { name: "another page of text", old: page(1920, 1080, 61), new: page(1920, 1080, 62) }
}

/// Tiles of a photograph, each put elsewhere: as many displacements as there can be.
pub fn shuffle() -> Scene {
    let old = wallpaper(1920, 1080);
    let mut new = old.clone();
    let mut random = Random(8);
    for y in (0..1040).step_by(40) {
        for x in (0..1920).step_by(48) {
            show(&mut new, Rect::new(x, y, 48, 40), &old, random.below(1870), random.below(1040));
        }
    }
    Scene { name: "shuffled photograph", old, new }
}
