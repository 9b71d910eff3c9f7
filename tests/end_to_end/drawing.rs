//! A program that draws at random on a real X server, as clinical software does: fills, scrolls, text, images.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use x11rb::connection::Connection;
use x11rb::errors::ReplyOrIdError;
use x11rb::protocol::xproto::*;
use x11rb::rust_connection::RustConnection;

/// A screen as the X server itself has it.
pub struct Picture {
    pub width: u32,
    pub height: u32,
    /// 0xRRGGBB, row by row.
    pub pixels: Vec<u32>,
}

/// What the root window shows, all windows included.
pub fn picture_of(display: &str) -> Picture {
    let (connection, screen) = RustConnection::connect(Some(display)).unwrap();
    let root = connection.setup().roots[screen].root;
    let size = connection.get_geometry(root).unwrap().reply().unwrap();
    let (width, height) = (size.width, size.height);
    let image = connection.get_image(ImageFormat::Z_PIXMAP, root, 0, 0, width, height, !0);
    let image = image.unwrap().reply().unwrap();
    let words = image.data.as_chunks::<4>().0;
    let pixels = words.iter().map(|word| u32::from_le_bytes(*word) & 0x00ff_ffff).collect();
    Picture { width: width.into(), height: height.into(), pixels }
}

impl Picture {
    /// Whether it is worth comparing: a drawn screen has many colours.
    pub fn is_rich(&self) -> bool {
        let mut colours = self.pixels.clone();
        colours.sort_unstable();
        colours.dedup();
        colours.len() > 500
    }

    /// How this picture differs from other pixels; nothing if it does not.
    pub fn difference(&self, width: u32, height: u32, pixels: &[u32]) -> Option<String> {
        if (width, height) != (self.width, self.height) || pixels.len() != self.pixels.len() {
            return Some(format!("{width}x{height} pixels instead of {}x{}", self.width, self.height));
        }
        let differs = |index: &usize| self.pixels[*index] != pixels[*index];
        let wrong: Vec<usize> = (0..pixels.len()).filter(differs).collect();
        let first = *wrong.first()?;
        let at = |index: usize| (index as u32 % width, index as u32 / width);
        let (server, viewer) = (self.pixels[first], pixels[first]);
        Some(format!(
            "{} pixels differ, from {:?} ({viewer:06x} instead of {server:06x}) to {:?}",
            wrong.len(),
            at(first),
            at(*wrong.last()?)
        ))
    }
}

/// A program drawing in a thread of its own, until it is told to rest or its server dies.
pub struct Drawing {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<u64>,
}

impl Drawing {
    /// Begins to draw; the same seed draws the same.
    pub fn start(display: &str, seed: u64) -> Drawing {
        let stop = Arc::new(AtomicBool::new(false));
        let (display, stopped) = (display.to_owned(), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            let mut strokes = 0;
            // A server that is killed under it ends the program, as it would end any other.
            let _ = draw(&display, seed, &stopped, &mut strokes);
            strokes
        });
        Drawing { stop, thread }
    }

    /// Draws no more, and returns once the server has done all that was asked of it.
    pub fn rest(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// Draws for this long, and rests.
pub fn draw_for(display: &str, time: Duration, seed: u64) {
    let drawing = Drawing::start(display, seed);
    std::thread::sleep(time);
    assert!(drawing.rest() > 20, "the drawing program hardly drew");
}

/// A repeatable row of numbers (xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 32) as u32 % bound
    }

    fn signed(&mut self, bound: u32) -> i16 {
        self.below(2 * bound + 1) as i16 - bound as i16
    }
}

struct Painter {
    connection: RustConnection,
    canvas: Window,
    /// A small window that travels over the screen, as a user drags one.
    note: Window,
    gc: Gcontext,
    depth: u8,
    width: u32,
    height: u32,
    dice: Dice,
}

fn draw(display: &str, seed: u64, stop: &AtomicBool, strokes: &mut u64) -> Result<(), ReplyOrIdError> {
    let mut painter = Painter::open(display, seed)?;
    painter.page()?;
    let mut pause_at = Instant::now() + Duration::from_millis(30);
    while !stop.load(Ordering::Relaxed) {
        painter.stroke()?;
        *strokes += 1;
        if Instant::now() > pause_at {
            painter.finish()?;
            std::thread::sleep(Duration::from_millis(u64::from(painter.dice.below(60))));
            pause_at = Instant::now() + Duration::from_millis(u64::from(painter.dice.below(40)));
        } else {
            std::thread::sleep(Duration::from_millis(3));
        }
    }
    painter.finish()?;
    // Its windows stay when it has gone, so that what was drawn can be looked at.
    painter.connection.set_close_down_mode(CloseDown::RETAIN_PERMANENT)?;
    painter.finish()
}

impl Painter {
    fn open(display: &str, seed: u64) -> Result<Painter, ReplyOrIdError> {
        let (connection, number) = RustConnection::connect(Some(display))
            .map_err(|_| ReplyOrIdError::ConnectionError(x11rb::errors::ConnectionError::UnknownError))?;
        let screen = connection.setup().roots[number].clone();
        let size = connection.get_geometry(screen.root)?.reply()?;
        let window = |x, y, width, height, colour| -> Result<Window, ReplyOrIdError> {
            let id = connection.generate_id()?;
            let values = CreateWindowAux::new().override_redirect(1).background_pixel(colour);
            let class = WindowClass::INPUT_OUTPUT;
            connection.create_window(0, id, screen.root, x, y, width, height, 1, class, 0, &values)?;
            connection.map_window(id)?;
            Ok(id)
        };
        let canvas = window(0, 0, size.width, size.height, 0xd8dee9)?;
        let note = window(40, 40, 180, 90, 0xfff3b0)?;
        let font = connection.generate_id()?;
        connection.open_font(font, b"fixed")?;
        let gc = connection.generate_id()?;
        connection.create_gc(gc, canvas, &CreateGCAux::new().font(font).graphics_exposures(0))?;
        let (width, height) = (size.width.into(), size.height.into());
        let dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        Ok(Painter { connection, canvas, note, gc, depth: screen.root_depth, width, height, dice })
    }

    /// Waits until the server has drawn all of it.
    fn finish(&self) -> Result<(), ReplyOrIdError> {
        self.connection.get_input_focus()?.reply()?;
        Ok(())
    }

    /// A first page full of lines of text, with an image in it.
    fn page(&mut self) -> Result<(), ReplyOrIdError> {
        for y in (14..self.height).step_by(14) {
            self.text(4, y as i16, (self.width / 7) as usize)?;
        }
        self.image(160, 120)
    }

    fn stroke(&mut self) -> Result<(), ReplyOrIdError> {
        let (x, y) = (self.dice.below(self.width) as i16 - 20, self.dice.below(self.height) as i16 - 20);
        match self.dice.below(10) {
            0 | 1 => {
                let (width, height) = (self.dice.below(300) as u16 + 1, self.dice.below(160) as u16 + 1);
                self.colour(!0)?;
                self.connection.poly_fill_rectangle(
                    self.canvas,
                    self.gc,
                    &[Rectangle { x, y, width, height }],
                )?;
            }
            2..=5 => {
                let length = self.dice.below(60) as usize + 1;
                self.text(x, y, length)?;
            }
            6 | 7 => self.scroll()?,
            8 => {
                let (width, height) = (self.dice.below(90) as u16 + 1, self.dice.below(70) as u16 + 1);
                self.image(width, height)?;
            }
            _ => {
                let place = ConfigureWindowAux::new().x(i32::from(x)).y(i32::from(y));
                self.connection.configure_window(self.note, &place)?;
            }
        }
        Ok(())
    }

    fn colour(&mut self, mask: u32) -> Result<(), ReplyOrIdError> {
        let colour = self.dice.below(1 << 24) & mask;
        self.connection.change_gc(self.gc, &ChangeGCAux::new().foreground(colour).background(0xffffff))?;
        Ok(())
    }

    fn text(&mut self, x: i16, y: i16, length: usize) -> Result<(), ReplyOrIdError> {
        let text: Vec<u8> = (0..length.min(255)).map(|_| 32 + self.dice.below(95) as u8).collect();
        self.colour(0x3f3f3f)?;
        self.connection.image_text8(self.canvas, self.gc, x, y, &text)?;
        Ok(())
    }

    /// Moves a part of the screen, mostly straight up or down.
    fn scroll(&mut self) -> Result<(), ReplyOrIdError> {
        let (width, height) = (self.dice.below(self.width) + 20, self.dice.below(self.height) + 20);
        let (x, y) = (self.dice.below(self.width) as i16, self.dice.below(self.height) as i16);
        let sideways = if self.dice.below(3) == 0 { self.dice.signed(90) } else { 0 };
        let (to_x, to_y) = (x + sideways, y + self.dice.signed(120));
        let (width, height) = (width as u16, height as u16);
        self.connection.copy_area(self.canvas, self.canvas, self.gc, x, y, to_x, to_y, width, height)?;
        Ok(())
    }

    /// A smooth shade with grain, as a scan has.
    fn image(&mut self, width: u16, height: u16) -> Result<(), ReplyOrIdError> {
        let (x, y) = (self.dice.below(self.width) as i16 - 20, self.dice.below(self.height) as i16 - 20);
        let slope = self.dice.below(5) + 1;
        let mut data = Vec::with_capacity(usize::from(width) * usize::from(height) * 4);
        for row in 0..u32::from(height) {
            for column in 0..u32::from(width) {
                let shade = (row * slope + column + self.dice.below(9)) as u8;
                data.extend([shade, row as u8, shade.wrapping_add(column as u8 / 3), 0]);
            }
        }
        let format = ImageFormat::Z_PIXMAP;
        self.connection.put_image(format, self.canvas, self.gc, width, height, x, y, 0, self.depth, &data)?;
        Ok(())
    }
}
