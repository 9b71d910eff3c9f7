//! The scenes: each a seeded program that draws at a fixed timetable.

use crate::pictures::{self, Pen, Prose, Random};
use crate::stage::{Film, Held, Result, Stage};
use chevet::screen::{Framebuffer, Rect};
use x11rb::protocol::xproto::Window;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scene {
    Typing,
    /// The page moves by copying, as toolkits scroll.
    Scrolling,
    /// The page is painted anew at every step, as browsers do.
    Repainting,
    Form,
    Dragging,
    Ct,
    Video,
}

impl Scene {
    pub const ALL: [Scene; 7] = [
        Scene::Typing,
        Scene::Scrolling,
        Scene::Repainting,
        Scene::Form,
        Scene::Dragging,
        Scene::Ct,
        Scene::Video,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Scene::Typing => "typing",
            Scene::Scrolling => "scrolling, copied",
            Scene::Repainting => "scrolling, repainted",
            Scene::Form => "form",
            Scene::Dragging => "dragged window",
            Scene::Ct => "CT stack",
            Scene::Video => "video",
        }
    }

    pub fn frames_per_second(self) -> u32 {
        match self {
            Scene::Typing => 12,
            Scene::Scrolling | Scene::Repainting | Scene::Dragging => 30,
            Scene::Form => 1,
            Scene::Ct => 15,
            Scene::Video => 25,
        }
    }

    /// Compared with the peer's lossy default instead of its lossless setting.
    pub fn is_lossy(self) -> bool {
        self == Scene::Video
    }

    pub fn policy(self) -> &'static str {
        if self == Scene::Ct { "exact-only" } else { "balanced" }
    }
}

const SCROLL: u16 = 40;
const PAGE: Rect = Rect::new(460, 40, 1000, 1000);
const LETTER: f32 = 15.0;
const LINE: u16 = 22;
const EDITOR: Rect = Rect::new(260, 120, 900, 700);
const FIELD: Rect = Rect::new(0, 0, 150, 26);

/// Everything that the scenes show.
pub struct Material {
    pen: Pen,
    documentation: Framebuffer,
    source: Framebuffer,
    form: Framebuffer,
    page: Framebuffer,
    slices: Vec<Framebuffer>,
    film: Vec<Framebuffer>,
}

impl Material {
    /// For runs of up to `seconds`.
    pub fn make(seconds: u32) -> Material {
        let pen = Pen::new();
        let steps = Scene::Scrolling.frames_per_second() * seconds + 1;
        let page = pictures::page(&pen, PAGE.width, PAGE.height + steps * u32::from(SCROLL), 5);
        let pictures = |scene: Scene| (scene.frames_per_second() * seconds + 1) as usize;
        Material {
            pen,
            documentation: pictures::screen("documentation"),
            source: pictures::screen("source"),
            form: pictures::screen("form"),
            page,
            slices: pictures::ct_slices(pictures(Scene::Ct), 1000),
            film: pictures::film(pictures(Scene::Video), 640, 360),
        }
    }
}

/// A scene on a display, ready to draw its next frame.
pub struct Program {
    stage: Stage,
    act: Act,
    frame: u32,
}

enum Act {
    Typing { glyphs: Held, text: Vec<char>, x: u16, y: u16, advances: Vec<u16> },
    Scrolling { page: Held },
    Repainting { page: Held },
    Form { values: Held, random: Random },
    Dragging { pane: Window },
    Film { film: Film, x: u16, y: u16 },
}

impl Program {
    /// Draws the opening.
    pub fn open(scene: Scene, material: &Material, display: &str) -> Result<Program> {
        let background = match scene {
            Scene::Typing | Scene::Ct => &material.source,
            Scene::Form => &material.form,
            _ => &material.documentation,
        };
        let stage = Stage::open(display, background)?;
        let act = match scene {
            Scene::Typing => typing(&stage, &material.pen)?,
            Scene::Scrolling | Scene::Repainting => {
                let page = stage.hold(&material.page)?;
                stage.copy(
                    page,
                    0,
                    0,
                    PAGE.width as u16,
                    PAGE.height as u16,
                    PAGE.x as u16,
                    PAGE.y as u16,
                )?;
                if scene == Scene::Scrolling { Act::Scrolling { page } } else { Act::Repainting { page } }
            }
            Scene::Form => form(&stage, &material.pen)?,
            Scene::Dragging => {
                let picture = stage.hold(&pictures::part(&material.form, Rect::new(300, 100, 720, 520)))?;
                Act::Dragging { pane: stage.pane(picture, drag(0).0 as i16, drag(0).1 as i16)? }
            }
            Scene::Ct => film(&stage, &material.slices, 460, 40)?,
            Scene::Video => film(&stage, &material.film, 620, 340)?,
        };
        stage.finish()?;
        Ok(Program { stage, act, frame: 0 })
    }

    /// Draws the next frame.
    pub fn draw(&mut self) -> Result<()> {
        self.frame += 1;
        let (stage, frame) = (&self.stage, self.frame);
        let place = |rect: Rect| (rect.x as u16, rect.y as u16, rect.width as u16, rect.height as u16);
        match &mut self.act {
            Act::Typing { glyphs, text, x, y, advances } => {
                let letter = text[(frame as usize - 1) % text.len()];
                let (left, top, width, _) = place(EDITOR);
                stage.fill(0x00ff_ffff, *x, *y, 2, LINE)?;
                if letter == '\n' || *x + 40 > left + width {
                    (*x, *y) = (left + 20, *y + LINE);
                }
                if let Some(cell) = ALPHABET.chars().position(|known| known == letter) {
                    stage.copy(*glyphs, cell as u16 * CELL, 0, advances[cell], LINE, *x, *y)?;
                    *x += advances[cell];
                }
                stage.fill(0, *x, *y, 2, LINE)?;
                debug_assert!(*y > top);
            }
            Act::Scrolling { page } => {
                let (x, y, width, height) = place(PAGE);
                stage.scroll_up(x, y, width, height, SCROLL)?;
                let from = frame as u16 * SCROLL + height - SCROLL;
                stage.copy(*page, 0, from, width, SCROLL, x, y + height - SCROLL)?;
            }
            Act::Repainting { page } => {
                let (x, y, width, height) = place(PAGE);
                stage.copy(*page, 0, frame as u16 * SCROLL, width, height, x, y)?;
            }
            Act::Form { values, random } => {
                for field in 0..8u16 {
                    let value = random.below(VALUES) as u16;
                    let (x, y) = (1240 + (field % 2) * 240, 240 + (field / 2) * 90);
                    stage.copy(
                        *values,
                        0,
                        value * FIELD.height as u16,
                        values.width,
                        FIELD.height as u16,
                        x,
                        y,
                    )?;
                }
            }
            Act::Dragging { pane } => stage.drag(*pane, drag(frame).0, drag(frame).1)?,
            Act::Film { film, x, y } => stage.show(film, frame as usize, *x, *y)?,
        }
        stage.end_frame(frame)
    }

    pub fn finish(&self) -> Result<()> {
        self.stage.finish()
    }
}

const ALPHABET: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZéèàùôê.,- ";
const CELL: u16 = 24;

/// A page half written; each frame types one letter.
fn typing(stage: &Stage, pen: &Pen) -> Result<Act> {
    let letters: Vec<char> = ALPHABET.chars().collect();
    let mut glyphs = pictures::blank(u32::from(CELL) * letters.len() as u32, u32::from(LINE), 0x00ff_ffff);
    for (cell, letter) in letters.iter().enumerate() {
        pen.write(&mut glyphs, &letter.to_string(), LETTER, cell as u32 * u32::from(CELL), 16, 0x0011_1111);
    }
    let advances = letters.iter().map(|&letter| pen.advance(letter, LETTER) as u16).collect();
    let mut editor = pictures::blank(EDITOR.width, EDITOR.height, 0x00ff_ffff);
    let mut prose = Prose::new(11);
    let lines = 12u16;
    for line in 0..lines {
        let text = prose.line(pen, LETTER, EDITOR.width - 60);
        pen.write(&mut editor, &text, LETTER, 20, 16 + 20 + u32::from(line * LINE), 0x0011_1111);
    }
    let editor = stage.hold(&editor)?;
    let (left, top) = (EDITOR.x as u16, EDITOR.y as u16);
    stage.copy(editor, 0, 0, editor.width, editor.height, left, top)?;
    let mut text = Vec::new();
    while text.len() < 400 {
        text.extend(prose.word().chars());
        text.push(' ');
    }
    Ok(Act::Typing { glyphs: stage.hold(&glyphs)?, text, x: left + 20, y: top + 20 + lines * LINE, advances })
}

const VALUES: u64 = 64;

/// A patient record in which eight values change at every frame.
fn form(stage: &Stage, pen: &Pen) -> Result<Act> {
    let mut values = pictures::blank(FIELD.width, FIELD.height * VALUES as u32, 0x00ff_ffff);
    let mut random = Random::new(3);
    for value in 0..VALUES as u32 {
        let number = random.below(900) + 100;
        let text = match value % 4 {
            0 => format!("{} / {} mmHg", 100 + number % 60, 55 + number % 40),
            1 => format!("{} bpm", 50 + number % 70),
            2 => format!("{},{} °C", 36 + number % 3, number % 10),
            _ => format!("SpO2 {} %", 90 + number % 10),
        };
        pen.write(&mut values, &text, LETTER, 6, value * FIELD.height + 18, 0x0011_1111);
    }
    Ok(Act::Form { values: stage.hold(&values)?, random: Random::new(8) })
}

fn film(stage: &Stage, pictures: &[Framebuffer], x: u16, y: u16) -> Result<Act> {
    let film = stage.share(pictures)?;
    stage.show(&film, 0, x, y)?;
    Ok(Act::Film { film, x, y })
}

/// Where the dragged window is at a frame: a hand's wandering path.
fn drag(frame: u32) -> (i32, i32) {
    let time = frame as f32 / 30.0;
    let x = 600.0 + 420.0 * (time * 1.1).sin() + 40.0 * (time * 4.7).sin();
    let y = 270.0 + 200.0 * (time * 1.7).sin() + 20.0 * (time * 5.9).cos();
    (x.round() as i32, y.round() as i32)
}
