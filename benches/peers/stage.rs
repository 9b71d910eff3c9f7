//! The drawing program's side of an X display: one window that covers the screen, pictures kept in the server as
//! toolkits keep glyphs and backing pixmaps, and the marker that ends every frame.

use chevet::screen::Framebuffer;
use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use std::error::Error;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use x11rb::connection::{Connection, RequestConnection};
use x11rb::protocol::shm::ConnectionExt as _;
use x11rb::protocol::xproto::*;
use x11rb::rust_connection::RustConnection;

pub const WIDTH: u16 = 1920;
pub const HEIGHT: u16 = 1080;
/// The side of the marker, in the lower right corner.
pub const MARKER: u16 = 16;

pub type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// A picture that the server holds.
#[derive(Clone, Copy)]
pub struct Held {
    pixmap: Pixmap,
    pub width: u16,
    pub height: u16,
}

/// Pictures in memory shared with the server, all of one size.
pub struct Film {
    segment: u32,
    width: u16,
    height: u16,
}

pub struct Stage {
    x: RustConnection,
    window: Window,
    marker: Window,
    gc: Gcontext,
}

impl Stage {
    /// Covers the screen with `background`.
    pub fn open(display: &str, background: &Framebuffer) -> Result<Stage> {
        let (x, screen) = RustConnection::connect(Some(display))?;
        x.prefetch_maximum_request_bytes();
        let root = x.setup().roots[screen].root;
        let (window, marker, gc) = (x.generate_id()?, x.generate_id()?, x.generate_id()?);
        x.create_gc(gc, root, &CreateGCAux::new().graphics_exposures(0))?;
        let mut stage = Stage { x, window: root, marker, gc };
        let picture = stage.hold(background)?;
        let look = CreateWindowAux::new().background_pixmap(picture.pixmap).override_redirect(1);
        stage.x.create_window(
            0,
            window,
            root,
            0,
            0,
            WIDTH,
            HEIGHT,
            0,
            WindowClass::INPUT_OUTPUT,
            0,
            &look,
        )?;
        stage.window = window;
        stage.x.map_window(window)?;
        let look = CreateWindowAux::new().background_pixel(marker_colour(0)).override_redirect(1);
        let (left, top) = ((WIDTH - MARKER) as i16, (HEIGHT - MARKER) as i16);
        stage.x.create_window(
            0,
            marker,
            window,
            left,
            top,
            MARKER,
            MARKER,
            0,
            WindowClass::INPUT_OUTPUT,
            0,
            &look,
        )?;
        stage.x.map_window(marker)?;
        stage.finish()?;
        Ok(stage)
    }

    /// Gives a picture to the server.
    pub fn hold(&self, picture: &Framebuffer) -> Result<Held> {
        let (width, height) = (picture.width() as u16, picture.height() as u16);
        let pixmap = self.x.generate_id()?;
        self.x.create_pixmap(24, pixmap, self.window, width, height)?;
        let rows = ((self.x.maximum_request_bytes().min(1 << 20) - 64) / (usize::from(width) * 4)).max(1);
        for (band, pixels) in picture.pixels().chunks(rows * usize::from(width)).enumerate() {
            let bytes: Vec<u8> = pixels.iter().flat_map(|pixel| pixel.to_ne_bytes()).collect();
            let (top, tall) = ((band * rows) as i16, (pixels.len() / usize::from(width)) as u16);
            self.x.put_image(ImageFormat::Z_PIXMAP, pixmap, self.gc, width, tall, 0, top, 0, 24, &bytes)?;
        }
        Ok(Held { pixmap, width, height })
    }

    /// Shares pictures of one size with the server.
    pub fn share(&self, pictures: &[Framebuffer]) -> Result<Film> {
        let (width, height) = (pictures[0].width() as u16, pictures[0].height() as u16);
        let fd = memfd_create("peers-film", MemfdFlags::CLOEXEC)?;
        let size = u64::from(width) * u64::from(height) * 4;
        ftruncate(&fd, size * pictures.len() as u64)?;
        let file = File::from(fd);
        for (index, picture) in pictures.iter().enumerate() {
            let bytes: Vec<u8> = picture.pixels().iter().flat_map(|pixel| pixel.to_ne_bytes()).collect();
            file.write_all_at(&bytes, index as u64 * size)?;
        }
        let segment = self.x.generate_id()?;
        self.x.shm_attach_fd(segment, OwnedFd::from(file), true)?.check()?;
        Ok(Film { segment, width, height })
    }

    /// Copies part of a held picture to the window.
    #[allow(clippy::too_many_arguments)]
    pub fn copy(
        &self,
        from: Held,
        x: u16,
        y: u16,
        width: u16,
        height: u16,
        to_x: u16,
        to_y: u16,
    ) -> Result<()> {
        let at = |value: u16| value as i16;
        let (x, y, to_x, to_y) = (at(x), at(y), at(to_x), at(to_y));
        self.x.copy_area(from.pixmap, self.window, self.gc, x, y, to_x, to_y, width, height)?;
        Ok(())
    }

    /// Moves what is in a rectangle of the window up by `distance`, as toolkits scroll.
    pub fn scroll_up(&self, x: u16, y: u16, width: u16, height: u16, distance: u16) -> Result<()> {
        let (left, top, from) = (x as i16, y as i16, (y + distance) as i16);
        self.x.copy_area(
            self.window,
            self.window,
            self.gc,
            left,
            from,
            left,
            top,
            width,
            height - distance,
        )?;
        Ok(())
    }

    pub fn fill(&self, colour: u32, x: u16, y: u16, width: u16, height: u16) -> Result<()> {
        self.x.change_gc(self.gc, &ChangeGCAux::new().foreground(colour))?;
        let rectangle = Rectangle { x: x as i16, y: y as i16, width, height };
        self.x.poly_fill_rectangle(self.window, self.gc, &[rectangle])?;
        Ok(())
    }

    /// Shows one picture of a film.
    pub fn show(&self, film: &Film, index: usize, x: u16, y: u16) -> Result<()> {
        let (width, height) = (film.width, film.height);
        let offset = index as u32 * u32::from(width) * u32::from(height) * 4;
        self.x.shm_put_image(
            self.window,
            self.gc,
            width,
            height,
            0,
            0,
            width,
            height,
            x as i16,
            y as i16,
            24,
            u8::from(ImageFormat::Z_PIXMAP),
            false,
            film.segment,
            offset,
        )?;
        Ok(())
    }

    /// A window over the others that shows a held picture.
    pub fn pane(&self, picture: Held, x: i16, y: i16) -> Result<Window> {
        let pane = self.x.generate_id()?;
        let look = CreateWindowAux::new().background_pixmap(picture.pixmap).override_redirect(1);
        let (width, height) = (picture.width, picture.height);
        self.x.create_window(
            0,
            pane,
            self.window,
            x,
            y,
            width,
            height,
            0,
            WindowClass::INPUT_OUTPUT,
            0,
            &look,
        )?;
        self.x.map_window(pane)?;
        self.x.configure_window(self.marker, &ConfigureWindowAux::new().stack_mode(StackMode::ABOVE))?;
        Ok(pane)
    }

    pub fn drag(&self, pane: Window, x: i32, y: i32) -> Result<()> {
        self.x.configure_window(pane, &ConfigureWindowAux::new().x(x).y(y))?;
        Ok(())
    }

    /// Ends frame `number`: paints the marker, and hands all of it to the server.
    pub fn end_frame(&self, number: u32) -> Result<()> {
        self.x.change_gc(self.gc, &ChangeGCAux::new().foreground(marker_colour(number)))?;
        let all = Rectangle { x: 0, y: 0, width: MARKER, height: MARKER };
        self.x.poly_fill_rectangle(self.marker, self.gc, &[all])?;
        self.x.flush()?;
        Ok(())
    }

    /// Waits until the server has done all that it was asked for.
    pub fn finish(&self) -> Result<()> {
        self.x.get_input_focus()?.reply()?;
        Ok(())
    }
}

/// The colour that stands for a frame's number: eight levels of each component, so that it survives rounding.
fn marker_colour(number: u32) -> u32 {
    let level = |value: u32| (value & 7) * 32 + 16;
    (level(number >> 6) << 16) | (level(number >> 3) << 8) | level(number)
}

/// The frame, modulo 512, that the marker on a screen of the stage's size tells.
pub fn marked(screen: &[u32]) -> u32 {
    let at = usize::from(HEIGHT - MARKER / 2) * usize::from(WIDTH) + usize::from(WIDTH - MARKER / 2);
    let level = |shift: u32| ((screen[at] >> shift) & 255) / 32;
    (level(16) << 6) | (level(8) << 3) | level(0)
}

/// Reads a display's screen.
pub struct Camera {
    x: RustConnection,
    root: Window,
    segment: u32,
    file: File,
}

impl Camera {
    pub fn open(display: &str) -> Result<Camera> {
        let (x, screen) = RustConnection::connect(Some(display))?;
        let root = x.setup().roots[screen].root;
        let fd = memfd_create("peers-camera", MemfdFlags::CLOEXEC)?;
        ftruncate(&fd, u64::from(WIDTH) * u64::from(HEIGHT) * 4)?;
        let file = File::from(fd);
        let segment = x.generate_id()?;
        x.shm_attach_fd(segment, OwnedFd::from(file.try_clone()?), false)?.check()?;
        Ok(Camera { x, root, segment, file })
    }

    pub fn take(&self) -> Result<Vec<u32>> {
        let format = u8::from(ImageFormat::Z_PIXMAP);
        self.x.shm_get_image(self.root, 0, 0, WIDTH, HEIGHT, !0, format, self.segment, 0)?.reply()?;
        let mut bytes = vec![0; usize::from(WIDTH) * usize::from(HEIGHT) * 4];
        self.file.read_exact_at(&mut bytes, 0)?;
        Ok(bytes.as_chunks::<4>().0.iter().map(|pixel| u32::from_ne_bytes(*pixel) & 0x00ff_ffff).collect())
    }
}
