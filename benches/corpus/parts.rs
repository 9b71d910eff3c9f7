//! Small parts of tiles, as small changes leave them: glyphs, a caret, a field, a strip, a window's edge.

use chevet::screen::{Framebuffer, Rect};

/// Updates of one kind. Each update is the rectangles of one payload.
pub struct Parts {
    pub name: &'static str,
    pub screen: Framebuffer,
    pub updates: Vec<Vec<Rect>>,
}

/// `screen` gives a screen of the corpus by its name.
pub fn all(screen: impl Fn(&str) -> Framebuffer) -> Vec<Parts> {
    // Twelve letters of one line: where the first one starts, the font's advance in 64ths of a pixel, a letter's size.
    let letters = |x: u32, y: u32, advance: u32, width: u32, height: u32| {
        (0..12).map(|at| vec![Rect::new(x + at * advance / 64, y, width, height)]).collect()
    };
    let field = |x: u32, y: u32| {
        vec![[(x, 64), (x + 64, 64), (x + 128, 22)].map(|(x, width)| Rect::new(x, y, width, 26)).to_vec()]
    };
    let parts = |name, screen, updates| Parts { name, screen, updates };
    vec![
        parts("letters 8x16, source", screen("source"), letters(391, 307, 540, 8, 16)),
        parts("letters 9x18, documentation", screen("documentation"), letters(672, 390, 540, 9, 18)),
        parts("letters 8x16, form", screen("form"), letters(629, 318, 512, 8, 16)),
        parts("letters 12x24, heading", screen("documentation"), letters(436, 288, 768, 12, 24)),
        parts("caret 1x18", columns(&[0x0020_2020], 18), vec![vec![Rect::new(0, 0, 1, 18)]]),
        parts("field 150x26, form", screen("form"), field(629, 317)),
        parts("strip 64x4, form", screen("form"), vec![vec![Rect::new(629, 322, 64, 4)]]),
        parts(
            "edge 3x64",
            columns(&[0x00C8_D4E4, 0x00FF_FFFF, 0x00EE_F3F9], 64),
            vec![vec![Rect::new(0, 0, 3, 64)]],
        ),
    ]
}

fn columns(colours: &[u32], height: u32) -> Framebuffer {
    let mut screen =
        Framebuffer::new(colours.len() as u32, height).expect("a screen of this size is possible");
    for y in 0..height {
        screen.row_mut(0, y, colours.len() as u32).copy_from_slice(colours);
    }
    screen
}
