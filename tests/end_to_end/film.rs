//! A program that shows a film in a window on a desktop full of writing.

use crate::drawing::Picture;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use x11rb::connection::Connection;
use x11rb::errors::ReplyOrIdError;
use x11rb::protocol::xproto::*;
use x11rb::rust_connection::RustConnection;

/// Where the film is: neither on the tiles' grid nor on that of macroblocks.
pub const X: u32 = 210;
pub const Y: u32 = 150;
pub const WIDTH: u32 = 324;
pub const HEIGHT: u32 = 246;

/// A film of 25 pictures a second, until it is told to stop.
pub struct Film {
    stop: Arc<AtomicBool>,
    shown: Arc<AtomicU32>,
    thread: JoinHandle<()>,
}

impl Film {
    pub fn start(display: &str) -> Film {
        let stop = Arc::new(AtomicBool::new(false));
        let shown = Arc::new(AtomicU32::new(0));
        let (display, stopped, counter) = (display.to_owned(), stop.clone(), shown.clone());
        let thread = std::thread::spawn(move || play(&display, &stopped, &counter).unwrap());
        Film { stop, shown, thread }
    }

    /// How many pictures it has shown.
    pub fn shown(&self) -> u32 {
        self.shown.load(Ordering::Relaxed)
    }

    /// Its last picture stands still from now on.
    pub fn rest(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
    }
}

/// Whether a pixel of the screen belongs to the film.
pub fn covers(x: u32, y: u32) -> bool {
    (X..X + WIDTH).contains(&x) && (Y..Y + HEIGHT).contains(&y)
}

/// How well the film is shown, as the best signal-to-noise ratio with one of its latest pictures, in decibels.
pub fn quality(canvas: &Picture, shown: u32) -> f64 {
    let ratio = |frame: u32| {
        let mut error = 0.0;
        for (at, wanted) in pixels(frame).enumerate() {
            let (x, y) = (X + at as u32 % WIDTH, Y + at as u32 / WIDTH);
            let got = canvas.pixels[(y * canvas.width + x) as usize];
            for shift in [0, 8, 16] {
                error += (f64::from(got >> shift & 255) - f64::from(wanted >> shift & 255)).powi(2);
            }
        }
        10.0 * (255.0 * 255.0 * f64::from(WIDTH * HEIGHT * 3) / error.max(1.0)).log10()
    };
    (shown.saturating_sub(50)..=shown + 10).map(ratio).fold(0.0, f64::max)
}

/// Swells and turns, so that no part of it is a copy of another.
fn pixels(frame: u32) -> impl Iterator<Item = u32> {
    let time = frame as f32 / 6.0;
    let swell = 60.0 + 40.0 * time.sin();
    (0..WIDTH * HEIGHT).map(move |at| {
        let (u, v) = ((at % WIDTH) as f32 / 23.0, (at / WIDTH) as f32 / 17.0);
        let level = |phase: f32| (128.0 + swell * (u + phase).sin() * (v - phase + time).cos()) as u32;
        level(0.0) << 16 | level(0.7) << 8 | level(1.9)
    })
}

fn play(display: &str, stop: &AtomicBool, shown: &AtomicU32) -> Result<(), ReplyOrIdError> {
    let (connection, number) = RustConnection::connect(Some(display)).unwrap();
    let screen = connection.setup().roots[number].clone();
    let page = connection.generate_id()?;
    let values = CreateWindowAux::new().override_redirect(1).background_pixel(0xf4f4f4);
    let (width, height) = (screen.width_in_pixels, screen.height_in_pixels);
    let class = WindowClass::INPUT_OUTPUT;
    connection.create_window(0, page, screen.root, 0, 0, width, height, 0, class, 0, &values)?;
    connection.map_window(page)?;
    let (font, gc) = (connection.generate_id()?, connection.generate_id()?);
    connection.open_font(font, b"fixed")?;
    connection.create_gc(
        gc,
        page,
        &CreateGCAux::new().font(font).foreground(0x202020).background(0xf4f4f4),
    )?;
    for (line, y) in (14..height as i16).step_by(14).enumerate() {
        let text: Vec<u8> = (0..170).map(|at| 33 + ((at * 7 + line * 13) % 90) as u8).collect();
        connection.image_text8(page, gc, 4, y, &text)?;
    }
    let begun = Instant::now();
    for frame in 0.. {
        let data: Vec<u8> = pixels(frame).flat_map(u32::to_le_bytes).collect();
        let (format, depth) = (ImageFormat::Z_PIXMAP, screen.root_depth);
        let (x, y, width, height) = (X as i16, Y as i16, WIDTH as u16, HEIGHT as u16);
        connection.put_image(format, page, gc, width, height, x, y, 0, depth, &data)?;
        connection.get_input_focus()?.reply()?;
        shown.store(frame, Ordering::Relaxed);
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let next = begun + Duration::from_millis(40) * (frame + 1);
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    // Its window stays when it has gone, so that its last picture can be looked at.
    connection.set_close_down_mode(CloseDown::RETAIN_PERMANENT)?;
    connection.get_input_focus()?.reply()?;
    Ok(())
}
