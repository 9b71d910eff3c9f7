//! The desk under the windows: paints the background, and arranges the desktop's windows when they appear
//! and whenever the screen has another size. Speaks to window manager and programs by EWMH 1.3.

use super::DemoError;
use super::layout::{Role, place};
use crate::screen::Rect;
use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use x11rb::connection::Connection;
use x11rb::errors::ReplyError;
use x11rb::protocol::Event;
use x11rb::protocol::xproto::*;
use x11rb::rust_connection::{DefaultStream, RustConnection};
use x11rb::wrapper::ConnectionExt as _;

x11rb::atom_manager! {
    Atoms: AtomsCookie {
        _NET_CLIENT_LIST,
        _NET_FRAME_EXTENTS,
        _NET_MOVERESIZE_WINDOW,
        _NET_ACTIVE_WINDOW,
        _NET_WM_STATE,
        _NET_WM_STATE_MAXIMIZED_HORZ,
        _NET_WM_STATE_MAXIMIZED_VERT,
    }
}

/// The background's colours, top and bottom, 0xRRGGBB.
const DUSK: [u32; 2] = [0x16324f, 0x5b8199];
/// Steps from one to the other: few enough to stay in a palette, many enough to look smooth.
const STEPS: u32 = 48;

pub struct Desk {
    connection: RustConnection,
    root: Window,
    depth: u8,
    size: (u32, u32),
    atoms: Atoms,
    /// Windows that have been given their place at the present size of the screen.
    arranged: Vec<(Role, Window)>,
}

impl Desk {
    /// Connects to the display `:NUMBER` of this machine and paints its background.
    ///
    /// # Errors
    /// [`DemoError::Display`].
    pub fn open(display: &str, cookie: &[u8; 16]) -> Result<Desk, DemoError> {
        let failed = |error: String| DemoError::Display { display: display.to_owned(), error };
        let socket = format!("/tmp/.X11-unix/X{}", display.trim_start_matches(':'));
        let stream = UnixStream::connect(socket).map_err(|error| failed(error.to_string()))?;
        let (stream, _) =
            DefaultStream::from_unix_stream(stream).map_err(|error| failed(error.to_string()))?;
        let proof = (b"MIT-MAGIC-COOKIE-1".to_vec(), cookie.to_vec());
        let connection = RustConnection::connect_to_stream_with_auth_info(stream, 0, proof.0, proof.1)
            .map_err(|error| failed(error.to_string()))?;
        Desk::take(connection).map_err(|error| failed(error.to_string()))
    }

    fn take(connection: RustConnection) -> Result<Desk, ReplyError> {
        let screen = &connection.setup().roots[0];
        let (root, depth) = (screen.root, screen.root_depth);
        let size = (screen.width_in_pixels.into(), screen.height_in_pixels.into());
        let atoms = Atoms::new(&connection)?.reply()?;
        let events = EventMask::PROPERTY_CHANGE | EventMask::STRUCTURE_NOTIFY;
        connection
            .change_window_attributes(root, &ChangeWindowAttributesAux::new().event_mask(events))?
            .check()?;
        let desk = Desk { connection, root, depth, size, atoms, arranged: Vec::new() };
        desk.paint()?;
        Ok(desk)
    }

    /// Keeps the desk tidy until its X server has gone; says so once every role has had its window arranged.
    pub fn watch(mut self, all_arranged: &mpsc::Sender<()>) {
        while let Ok(event) = self.connection.wait_for_event() {
            // A window can go at any moment: what was asked of it then fails, and is of no further interest.
            let outcome = match event {
                Event::PropertyNotify(change) if change.atom == self.atoms._NET_CLIENT_LIST => {
                    self.arrange_new()
                }
                Event::ConfigureNotify(change) if change.window == self.root => {
                    self.resized(change.width.into(), change.height.into())
                }
                _ => continue,
            };
            match outcome {
                Ok(()) | Err(ReplyError::X11Error(_)) => {}
                Err(ReplyError::ConnectionError(_)) => return,
            }
            if self.arranged.len() == Role::ALL.len() {
                let _ = all_arranged.send(());
            }
        }
    }

    fn resized(&mut self, width: u32, height: u32) -> Result<(), ReplyError> {
        if self.size == (width, height) {
            return Ok(());
        }
        self.size = (width, height);
        self.paint()?;
        for (role, window) in std::mem::take(&mut self.arranged) {
            match self.arrange(role, window) {
                Ok(()) => self.arranged.push((role, window)),
                Err(ReplyError::X11Error(_)) => {}
                Err(gone) => return Err(gone),
            }
        }
        Ok(())
    }

    /// Gives each role's first window its place; further ones stay where the window manager put them.
    fn arrange_new(&mut self) -> Result<(), ReplyError> {
        let list = self.words(self.root, self.atoms._NET_CLIENT_LIST, AtomEnum::WINDOW.into())?;
        self.arranged.retain(|(_, window)| list.contains(window));
        let known = self.arranged.len();
        for window in list {
            if self.arranged.iter().any(|(_, placed)| *placed == window) {
                continue;
            }
            let Some(role) = self.role(window)? else { continue };
            if self.arranged.iter().all(|(taken, _)| *taken != role) {
                self.arrange(role, window)?;
                self.arranged.push((role, window));
            }
        }
        if self.arranged.len() == Role::ALL.len() && known < self.arranged.len() {
            self.activate_record()?;
        }
        Ok(())
    }

    /// Gives the record the keyboard: windows took it as they came.
    fn activate_record(&self) -> Result<(), ReplyError> {
        if let Some((_, window)) = self.arranged.iter().find(|(role, _)| *role == Role::Record) {
            const FROM_A_PAGER: u32 = 2;
            self.ask(*window, self.atoms._NET_ACTIVE_WINDOW, [FROM_A_PAGER, 0, 0, 0, 0])?;
            self.connection.flush()?;
        }
        Ok(())
    }

    fn role(&self, window: Window) -> Result<Option<Role>, ReplyError> {
        let class = self
            .connection
            .get_property(false, window, AtomEnum::WM_CLASS, AtomEnum::STRING, 0, 64)?
            .reply()?
            .value;
        // Two strings, each ended by a zero: instance and class.
        let class = class.split(|byte| *byte == 0).nth(1).unwrap_or_default();
        Ok(Role::ALL.into_iter().find(|role| role.window_class().as_bytes() == class))
    }

    fn arrange(&self, role: Role, window: Window) -> Result<(), ReplyError> {
        const GRAVITY_NORTH_WEST: u32 = 1;
        const X_Y_WIDTH_HEIGHT: u32 = 0b1111 << 8;
        const FROM_A_PAGER: u32 = 2 << 12;
        const REMOVE: u32 = 0;
        let atoms = &self.atoms;
        let maximised =
            [REMOVE, atoms._NET_WM_STATE_MAXIMIZED_HORZ, atoms._NET_WM_STATE_MAXIMIZED_VERT, 2, 0];
        self.ask(window, atoms._NET_WM_STATE, maximised)?;
        let frame = self.words(window, atoms._NET_FRAME_EXTENTS, AtomEnum::CARDINAL.into())?;
        let [left, right, top, bottom] = frame.try_into().unwrap_or([0; 4]);
        let Rect { x, y, width, height } = place(role, self.size.0, self.size.1);
        // The position is the frame's, the size the client's.
        let width = width.saturating_sub(left.saturating_add(right)).max(1);
        let height = height.saturating_sub(top.saturating_add(bottom)).max(1);
        let flags = GRAVITY_NORTH_WEST | X_Y_WIDTH_HEIGHT | FROM_A_PAGER;
        self.ask(window, atoms._NET_MOVERESIZE_WINDOW, [flags, x, y, width, height])?;
        self.connection.flush()?;
        Ok(())
    }

    /// Sends the window manager a request about `window` (EWMH: a client message to the root window).
    fn ask(&self, window: Window, request: Atom, data: [u32; 5]) -> Result<(), ReplyError> {
        let message = ClientMessageEvent::new(32, window, request, data);
        let heard_by = EventMask::SUBSTRUCTURE_NOTIFY | EventMask::SUBSTRUCTURE_REDIRECT;
        self.connection.send_event(false, self.root, heard_by, message)?;
        Ok(())
    }

    /// A property of 32-bit values, 1,024 of them at most; empty if the window has none such.
    fn words(&self, window: Window, property: Atom, kind: Atom) -> Result<Vec<u32>, ReplyError> {
        let reply = self.connection.get_property(false, window, property, kind, 0, 1024)?.reply()?;
        Ok(reply.value32().map(Iterator::collect).unwrap_or_default())
    }

    fn paint(&self) -> Result<(), ReplyError> {
        let (connection, root) = (&self.connection, self.root);
        // Within u16: these are sizes that the server has.
        let (width, height) = (self.size.0 as u16, self.size.1 as u16);
        let pixmap = connection.generate_id().map_err(|_| x11rb::errors::ConnectionError::UnknownError)?;
        connection.create_pixmap(self.depth, pixmap, root, width, height)?;
        let context = connection.generate_id().map_err(|_| x11rb::errors::ConnectionError::UnknownError)?;
        connection.create_gc(context, pixmap, &CreateGCAux::new())?;
        for step in 0..STEPS {
            let colour = blend(DUSK[0], DUSK[1], step, STEPS - 1);
            connection.change_gc(context, &ChangeGCAux::new().foreground(colour))?;
            let (top, bottom) = (self.size.1 * step / STEPS, self.size.1 * (step + 1) / STEPS);
            let band = Rectangle { x: 0, y: top as i16, width, height: (bottom - top) as u16 };
            connection.poly_fill_rectangle(pixmap, context, &[band])?;
        }
        connection
            .change_window_attributes(root, &ChangeWindowAttributesAux::new().background_pixmap(pixmap))?;
        connection.clear_area(false, root, 0, 0, 0, 0)?;
        connection.free_gc(context)?;
        connection.free_pixmap(pixmap)?;
        connection.sync()
    }
}

/// The colour `step` / `steps` of the way from one to the other, 0xRRGGBB.
fn blend(from: u32, to: u32, step: u32, steps: u32) -> u32 {
    [16, 8, 0].into_iter().fold(0, |colour, shift| {
        let (a, b) = ((from >> shift) & 0xff, (to >> shift) & 0xff);
        (colour << 8) | ((a * (steps - step) + b * step) / steps)
    })
}
