//! What the scenes show, made beforehand: antialiased text, a stack of CT-like slices, a moving picture.

use crate::corpus;
use chevet::screen::{Framebuffer, Rect};
use fontdue::{Font, FontSettings};
use std::path::{Path, PathBuf};

const FONT: &str = "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf";
const BACKGROUNDS: &str = "/usr/share/backgrounds/mate/nature";
const WORDS: &str = "le patient présente depuis trois jours une douleur thoracique à type de brûlure sans irradiation \
    tension artérielle fréquence cardiaque saturation en air ambiant auscultation pulmonaire libre pas de signe de \
    phlébite traitement habituel par bisoprolol et kardégic bilan biologique troponine négative à deux reprises \
    créatinine kaliémie hémoglobine radiographie du thorax sans foyer surveillance pendant vingt-quatre heures \
    puis retour à domicile avec ordonnance consultation de contrôle chez le médecin traitant dans une semaine";

/// Numbers that look random and are the same in every run.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Random(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// Near enough to a normal distribution of deviation 1.
    fn normal(&mut self) -> f32 {
        let bits = self.next();
        let sum: u64 = (0..4).map(|part| (bits >> (part * 16)) & 0xffff).sum();
        (sum as f32 / 65_536.0 - 2.0) * 1.732
    }
}

pub fn blank(width: u32, height: u32, colour: u32) -> Framebuffer {
    let mut picture = Framebuffer::new(width, height).expect("a picture of a possible size");
    picture.pixels_mut().fill(colour);
    picture
}

/// A whole screen of the codec's corpus.
pub fn screen(name: &str) -> Framebuffer {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/corpus/screens").join(name);
    corpus::read_png(&path.with_extension("png"))
}

/// Black text, as a toolkit draws it with a grey-scale antialiased font.
pub struct Pen {
    font: Font,
}

impl Pen {
    pub fn new() -> Pen {
        let bytes = std::fs::read(FONT)
            .unwrap_or_else(|error| panic!("{FONT}: {error}; run scripts/install.sh peers"));
        Pen { font: Font::from_bytes(bytes, FontSettings::default()).expect("a TrueType font") }
    }

    pub fn advance(&self, letter: char, size: f32) -> u32 {
        self.font.metrics(letter, size).advance_width.round() as u32
    }

    /// Writes with the base line at `y`; returns where the next letter goes.
    pub fn write(&self, on: &mut Framebuffer, text: &str, size: f32, x: u32, y: u32, colour: u32) -> u32 {
        let mut x = x;
        for letter in text.chars() {
            let (metrics, coverage) = self.font.rasterize(letter, size);
            let top = y as i32 - metrics.height as i32 - metrics.ymin;
            for (at, &cover) in coverage.iter().enumerate() {
                let (column, row) = ((at % metrics.width) as i32, (at / metrics.width) as i32);
                let (column, row) = (x as i32 + metrics.xmin + column, top + row);
                if (0..on.width() as i32).contains(&column) && (0..on.height() as i32).contains(&row) {
                    let pixel = &mut on.row_mut(column as u32, row as u32, 1)[0];
                    *pixel = blend(*pixel, colour, u32::from(cover));
                }
            }
            x += self.advance(letter, size);
        }
        x
    }
}

fn blend(under: u32, over: u32, cover: u32) -> u32 {
    let mix = |shift: u32| {
        let (under, over) = ((under >> shift) & 255, (over >> shift) & 255);
        ((under * (255 - cover) + over * cover + 127) / 255) << shift
    };
    mix(16) | mix(8) | mix(0)
}

/// Sentences without end.
pub struct Prose {
    words: Vec<&'static str>,
    random: Random,
    first: bool,
}

impl Prose {
    pub fn new(seed: u64) -> Prose {
        Prose { words: WORDS.split_whitespace().collect(), random: Random::new(seed), first: true }
    }

    pub fn word(&mut self) -> String {
        let word = self.words[self.random.below(self.words.len() as u64) as usize];
        let mut word = match self.first {
            true => word
                .chars()
                .next()
                .into_iter()
                .flat_map(char::to_uppercase)
                .chain(word.chars().skip(1))
                .collect(),
            false => word.to_owned(),
        };
        self.first = self.random.below(11) == 0;
        if self.first {
            word.push('.');
        } else if self.random.below(9) == 0 {
            word.push(',');
        }
        word
    }

    /// As many words as fit.
    pub fn line(&mut self, pen: &Pen, size: f32, width: u32) -> String {
        let (mut line, mut used) = (String::new(), 0);
        loop {
            let word = self.word() + " ";
            used += word.chars().map(|letter| pen.advance(letter, size)).sum::<u32>();
            if used > width {
                return line;
            }
            line += &word;
        }
    }
}

/// A long page of paragraphs, headings and tinted boxes.
pub fn page(pen: &Pen, width: u32, height: u32, seed: u64) -> Framebuffer {
    let mut page = blank(width, height, 0x00ff_ffff);
    let mut prose = Prose::new(seed);
    let mut random = Random::new(seed ^ 77);
    let mut y = 40;
    while y + 40 < height {
        match random.below(9) {
            0 => {
                let heading = prose.line(pen, 22.0, width / 2);
                pen.write(&mut page, &heading, 22.0, 40, y + 14, 0x0020_4a87);
                for row in y + 24..y + 26 {
                    page.row_mut(40, row, width - 80).fill(0x00c8_d4e4);
                }
                y += 48;
            }
            1 => {
                let rows = (y..(y + 56).min(height)).collect::<Vec<_>>();
                rows.into_iter().for_each(|row| page.row_mut(40, row, width - 80).fill(0x00ee_f3f9));
                for at in [y + 22, y + 44] {
                    let line = prose.line(pen, 14.0, width - 120);
                    pen.write(&mut page, &line, 14.0, 56, at, 0x0033_3333);
                }
                y += 72;
            }
            _ => {
                for _ in 0..2 + random.below(4) {
                    if y + 30 > height {
                        break;
                    }
                    let line = prose.line(pen, 15.0, width - 80);
                    pen.write(&mut page, &line, 15.0, 40, y, 0x0011_1111);
                    y += 22;
                }
                y += 14;
            }
        }
    }
    page
}

/// Slices of 512x512 through a body made of ellipsoids, seen through a soft-tissue window, with noise whose
/// neighbours are correlated as after reconstruction; each scaled to `side` pixels, as viewers show them.
pub fn ct_slices(count: usize, side: u32) -> Vec<Framebuffer> {
    (0..count).map(|slice| scaled_grey(&ct_slice(slice as f32 / 60.0, slice as u64), 512, side)).collect()
}

fn ct_slice(depth: f32, seed: u64) -> Vec<f32> {
    const SIDE: usize = 512;
    // Centre, half axes and grey level; how the centre and the size change with depth; later ones cover earlier ones.
    const ORGANS: [[f32; 8]; 12] = [
        [0.50, 0.54, 0.46, 0.34, 92.0, 0.0, 0.0, -0.05],
        [0.50, 0.54, 0.43, 0.31, 122.0, 0.0, 0.0, -0.05],
        [0.36, 0.48, 0.20, 0.17, 146.0, 0.02, 0.03, -0.3],
        [0.66, 0.44, 0.11, 0.10, 131.0, -0.03, 0.02, -0.2],
        [0.62, 0.45, 0.05, 0.04, 20.0, -0.05, 0.01, 0.4],
        [0.71, 0.62, 0.06, 0.09, 164.0, 0.01, -0.02, -0.5],
        [0.29, 0.66, 0.06, 0.08, 164.0, -0.01, -0.02, -0.4],
        [0.50, 0.72, 0.075, 0.065, 236.0, 0.0, 0.01, 0.1],
        [0.50, 0.71, 0.03, 0.025, 150.0, 0.0, 0.01, 0.1],
        [0.47, 0.60, 0.032, 0.032, 178.0, 0.01, 0.01, 0.1],
        [0.54, 0.60, 0.035, 0.028, 170.0, -0.02, 0.02, 0.2],
        [0.78, 0.55, 0.012, 0.05, 226.0, -0.01, 0.03, 0.6],
    ];
    let mut random = Random::new(seed.wrapping_mul(0x5851_f42d) ^ 9);
    let noise: Vec<f32> = (0..SIDE * SIDE).map(|_| random.normal() * 11.0).collect();
    let mut slice = vec![0.0; SIDE * SIDE];
    for y in 1..SIDE - 1 {
        for x in 1..SIDE - 1 {
            let (u, v) = (x as f32 / SIDE as f32, y as f32 / SIDE as f32);
            let (mut level, mut inside) = (4.0, false);
            for [cx, cy, a, b, grey, dx, dy, growth] in ORGANS {
                let size = 1.0 + growth * depth * 0.3;
                let across = (u - cx - dx * depth) / (a * size);
                let down = (v - cy - dy * depth) / (b * size);
                let distance = across * across + down * down;
                if distance < 1.0 {
                    inside = true;
                    let soft = ((1.0 - distance) * 60.0).min(1.0);
                    level += (grey + 6.0 * (u * 23.0 + v * 31.0 + depth * 2.0).sin() - level) * soft;
                }
            }
            let at = y * SIDE + x;
            let around = noise[at - 1] + noise[at + 1] + noise[at - SIDE] + noise[at + SIDE];
            let blurred = 0.5 * noise[at] + 0.125 * around;
            slice[at] = level + blurred * if inside { 1.0 } else { 0.45 };
        }
    }
    slice
}

fn scaled_grey(slice: &[f32], from: usize, side: u32) -> Framebuffer {
    let mut picture = blank(side, side, 0);
    let step = (from - 1) as f32 / (side - 1) as f32;
    for y in 0..side {
        for x in 0..side {
            let value = sample(slice, from, from, x as f32 * step, y as f32 * step);
            picture.row_mut(x, y, 1)[0] = value.clamp(0.0, 255.0) as u32 * 0x0001_0101;
        }
    }
    picture
}

fn sample(plane: &[f32], width: usize, height: usize, x: f32, y: f32) -> f32 {
    let (x, y) = (x.clamp(0.0, (width - 2) as f32), y.clamp(0.0, (height - 2) as f32));
    let (left, top) = (x as usize, y as usize);
    let (across, down) = (x - left as f32, y - top as f32);
    let at = top * width + left;
    let upper = plane[at] + (plane[at + 1] - plane[at]) * across;
    let lower = plane[at + width] + (plane[at + width + 1] - plane[at + width]) * across;
    upper + (lower - upper) * down
}

struct Photograph {
    width: usize,
    height: usize,
    planes: [Vec<f32>; 3],
}

fn photograph(name: &str) -> Photograph {
    let path = PathBuf::from(BACKGROUNDS).join(name);
    let bytes = std::fs::read(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; run scripts/install.sh peers", path.display()));
    let mut decoder = zune_jpeg::JpegDecoder::new(std::io::Cursor::new(bytes));
    let pixels = decoder.decode().expect("a photograph");
    let (width, height) = decoder.dimensions().expect("a photograph's size");
    let plane =
        |channel: usize| pixels.iter().skip(channel).step_by(3).map(|&value| f32::from(value)).collect();
    Photograph { width, height, planes: [plane(0), plane(1), plane(2)] }
}

/// A camera that turns, closes in and pans over a photograph; a part of another one crosses it; film grain.
pub fn film(count: usize, width: u32, height: u32) -> Vec<Framebuffer> {
    let (far, near) = (photograph("Garden.jpg"), photograph("LadyBird.jpg"));
    (0..count).map(|index| film_frame(&far, &near, index, width, height)).collect()
}

fn film_frame(far: &Photograph, near: &Photograph, index: usize, width: u32, height: u32) -> Framebuffer {
    let time = index as f32 / 25.0;
    let (turn, scale) = (0.12 * (time * 0.5).sin(), 1.15 + 0.25 * (time * 0.6).sin());
    let (sin, cos) = turn.sin_cos();
    let centre = (
        far.width as f32 * (0.5 + 0.12 * (time * 0.35).sin()),
        far.height as f32 * (0.5 + 0.1 * (time * 0.45).cos()),
    );
    let (ball_x, ball_y) = ((time * 130.0) % (width as f32 + 160.0) - 80.0, height as f32 * 0.6);
    let mut random = Random::new(index as u64 + 1);
    let mut picture = blank(width, height, 0);
    for y in 0..height {
        for x in 0..width {
            let (across, down) = (x as f32 - width as f32 / 2.0, y as f32 - height as f32 / 2.0);
            let u = centre.0 + (across * cos - down * sin) * scale;
            let v = centre.1 + (across * sin + down * cos) * scale;
            let (dx, dy) = (x as f32 - ball_x, y as f32 - ball_y);
            let is_near = dx * dx + dy * dy < 60.0 * 60.0;
            let grain = random.normal() * 2.0;
            let mut pixel = 0;
            for channel in 0..3 {
                let value = match is_near {
                    true => {
                        let (u, v) =
                            (near.width as f32 / 2.0 + dx * 2.0, near.height as f32 / 2.0 + dy * 2.0);
                        sample(&near.planes[channel], near.width, near.height, u, v)
                    }
                    false => sample(&far.planes[channel], far.width, far.height, u, v),
                };
                pixel = (pixel << 8) | (value + grain).clamp(0.0, 255.0) as u32;
            }
            picture.row_mut(x, y, 1)[0] = pixel;
        }
    }
    picture
}

/// A part of a picture.
pub fn part(of: &Framebuffer, rect: Rect) -> Framebuffer {
    let mut picture = blank(rect.width, rect.height, 0);
    for y in 0..rect.height {
        picture.row_mut(0, y, rect.width).copy_from_slice(of.row(rect.x, rect.y + y, rect.width));
    }
    picture
}
