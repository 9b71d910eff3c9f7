//! The capturing thread: connects, sleeps until the server has something to tell, and tells it on; when
//! the server is gone, keeps trying.

use super::capture::{Capture, Captured, Shot, check_visual};
use super::input::Errand;
use super::stream::XConnection;
use super::{Outbox, Shared, X11Error, cursor, resize};
use crate::screen::Rect;
use crate::source::{SourceEvent, SourceState};
use std::time::{Duration, Instant};
use x11rb::connection::{Connection, RequestConnection};
use x11rb::protocol::Event;
use x11rb::protocol::damage::{self, ConnectionExt as _, ReportLevel};
use x11rb::protocol::randr::{self, ConnectionExt as _, NotifyMask};
use x11rb::protocol::xfixes::{self, ConnectionExt as _, CursorNotifyMask};
use x11rb::protocol::xinput::{self, ConnectionExt as _, XIEventMask};
use x11rb::protocol::xproto::{ChangeWindowAttributesAux, ConnectionExt as _, EventMask, Window};

const FIRST_RETRY: Duration = Duration::from_millis(100);
const LAST_RETRY: Duration = Duration::from_secs(2);
/// How soon to try again to hand an event to a session whose queue is full.
const HANDOVER: Duration = Duration::from_millis(5);
/// The most rectangles that one capture takes on; what was reported beyond them is the next one's.
const MOST_DAMAGE: usize = 2_048;
/// How often what was damaged while pixels were fetched is fetched as well, before any of it is shown.
const MOST_FETCHES: usize = 3;
/// A program that warps the pointer makes no raw motion, but hardly ever warps it without drawing: where it is is asked when
/// something was drawn, no more often than this.
const POINTER_PERIOD: Duration = Duration::from_millis(100);
/// How often in a row the size may change during a capture before that counts as the server's failure.
const MOST_SIZE_CHANGES: usize = 100;

/// Shows the display until the source is dropped.
pub(super) fn run(shared: &Shared, mut outbox: Outbox) {
    let mut retry = FIRST_RETRY;
    while !shared.is_stopping() {
        let mut was_live = false;
        let ended = watch(shared, &mut outbox, &mut was_live);
        shared.capture_line.untie();
        if let Err(error) = ended {
            if shared.is_stopping() {
                return;
            }
            if was_live {
                shared.inbox.push(Errand::Disconnect);
                retry = FIRST_RETRY;
            }
            let waiting = excuse(&shared.display, &error, was_live || is_gone(&outbox));
            tracing::debug!(display = %shared.display, %error, "no X server to show");
            outbox.tell_state(SourceState::Waiting(waiting));
            pause(shared, &mut outbox, retry);
            retry = (retry * 2).min(LAST_RETRY);
        }
    }
}

/// Waits this long, or until the source is dropped; hands events over meanwhile.
fn pause(shared: &Shared, outbox: &mut Outbox, time: Duration) {
    let end = Instant::now() + time;
    while !shared.is_stopping() {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        let step = if outbox.flush() { left.min(HANDOVER) } else { left };
        if shared.bell.wait(None, Some(step)).is_err() {
            std::thread::sleep(step);
        }
    }
}

/// Whether the session has been told already that a server which was there is gone.
fn is_gone(outbox: &Outbox) -> bool {
    matches!(&outbox.last_state, Some(SourceState::Waiting(text)) if text.contains(" is gone;"))
}

fn excuse(display: &str, error: &X11Error, was_there: bool) -> String {
    match error {
        X11Error::Connect { .. } | X11Error::Gone(_) if was_there => {
            format!("the X server of display {display} is gone; trying again...")
        }
        X11Error::Connect { .. } | X11Error::Gone(_) => {
            format!("the X server of display {display} is not there yet; trying again...")
        }
        error => format!("display {display} cannot be shown: {error}; trying again..."),
    }
}

/// What the server has told since it was last looked after.
#[derive(Default)]
struct News {
    damage: Vec<Rect>,
    cursor: bool,
    pointer: bool,
    size: bool,
}

/// Connects and shows the display until the source is dropped (`Ok`) or something breaks.
fn watch(shared: &Shared, outbox: &mut Outbox, was_live: &mut bool) -> Result<(), X11Error> {
    let (connection, screen) = shared.capture_line.connect(&shared.server)?;
    let mut display = Display::open(&connection, screen)?;
    display.show_all(shared)?;
    shared.trail().clear();
    *was_live = true;
    outbox.tell_state(SourceState::Live);
    shared.inbox.push(Errand::Connect);
    let mut news = News { cursor: true, pointer: true, ..News::default() };
    loop {
        // Everything that has arrived is one capture's worth; nothing waits for more.
        while news.damage.len() < MOST_DAMAGE
            && let Some(event) = connection.poll_for_event()?
        {
            news.note(&event, display.root);
        }
        if shared.is_stopping() {
            return Ok(());
        }
        let idle = news.is_empty();
        display.look_after(&mut news, shared, outbox)?;
        if let Some(size) = shared.take_wanted_size() {
            display.resizer.resize(&connection, display.root, size)?;
            news.size = true;
        } else if idle {
            connection.flush()?;
            // What came while an answer was waited for is in the connection's queue, and its socket wakes nobody for it.
            if let Some(event) = connection.poll_for_event()? {
                news.note(&event, display.root);
                continue;
            }
            let handover = outbox.flush().then_some(HANDOVER);
            let timeout = handover.into_iter().chain(display.pointer_due_in()).min();
            shared.bell.wait(Some(connection.stream()), timeout).map_err(X11Error::Wait)?;
            news.pointer |= display.pointer_due_in().is_some_and(|left| left.is_zero());
        }
    }
}

impl News {
    fn is_empty(&self) -> bool {
        self.damage.is_empty() && !(self.cursor || self.pointer || self.size)
    }

    fn note(&mut self, event: &Event, root: Window) {
        match event {
            Event::DamageNotify(damaged) => self.damage.push(clip_to_positive(&damaged.area)),
            Event::XfixesCursorNotify(_) => self.cursor = true,
            Event::XinputRawMotion(_) => self.pointer = true,
            Event::RandrScreenChangeNotify(_) => self.size = true,
            Event::ConfigureNotify(configured) if configured.window == root => self.size = true,
            Event::Error(error) => tracing::debug!(?error, "the X server refused a request"),
            _ => {}
        }
    }
}

/// One connection's view of the root window.
struct Display<'c> {
    connection: &'c XConnection,
    root: Window,
    damage: damage::Damage,
    capture: Capture,
    resizer: resize::Resizer,
    pointer_asked: Instant,
    /// Something was drawn since.
    pointer_due: bool,
}

impl<'c> Display<'c> {
    fn open(connection: &'c XConnection, screen: usize) -> Result<Display<'c>, X11Error> {
        check_visual(connection, screen)?;
        let root = connection.setup().roots[screen].root;
        require(connection, xfixes::X11_EXTENSION_NAME, "XFIXES")?;
        require(connection, damage::X11_EXTENSION_NAME, "DAMAGE")?;
        connection.xfixes_query_version(5, 0)?.reply()?;
        connection.damage_query_version(1, 1)?.reply()?;
        let structure = ChangeWindowAttributesAux::new().event_mask(EventMask::STRUCTURE_NOTIFY);
        connection.change_window_attributes(root, &structure)?;
        connection.xfixes_select_cursor_input(root, CursorNotifyMask::DISPLAY_CURSOR)?;
        if connection.extension_information(randr::X11_EXTENSION_NAME)?.is_some() {
            connection.randr_query_version(1, 3)?.reply()?;
            connection.randr_select_input(root, NotifyMask::SCREEN_CHANGE)?;
        }
        if connection.extension_information(xinput::X11_EXTENSION_NAME)?.is_some() {
            connection.xinput_xi_query_version(2, 0)?.reply()?;
            let motion = xinput::EventMask {
                deviceid: xinput::Device::ALL_MASTER.into(),
                mask: vec![XIEventMask::RAW_MOTION],
            };
            connection.xinput_xi_select_events(root, &[motion])?;
        }
        // Each event brings a rectangle that was whole until then: no question to ask before fetching it.
        let damage = connection.generate_id()?;
        connection.damage_create(damage, root, ReportLevel::DELTA_RECTANGLES)?;
        let size = geometry(connection, root)?;
        let capture = Capture::new(connection, root, size)?;
        Ok(Display {
            connection,
            root,
            damage,
            capture,
            resizer: resize::Resizer::default(),
            pointer_asked: Instant::now(),
            pointer_due: false,
        })
    }

    /// How long until it is asked where the pointer is, if that is to be asked.
    fn pointer_due_in(&self) -> Option<Duration> {
        self.pointer_due.then(|| POINTER_PERIOD.saturating_sub(self.pointer_asked.elapsed()))
    }

    /// Tells on what is new, pixels first.
    fn look_after(&mut self, news: &mut News, shared: &Shared, outbox: &mut Outbox) -> Result<(), X11Error> {
        let News { damage, cursor, pointer, size } = std::mem::take(news);
        if size && geometry(self.connection, self.root)? != self.capture.size() {
            self.show_all(shared)?;
        }
        self.pointer_due |= !damage.is_empty();
        let whereabouts = if pointer || cursor || self.pointer_due_in().is_some_and(|left| left.is_zero()) {
            (self.pointer_asked, self.pointer_due) = (Instant::now(), false);
            Some(self.connection.query_pointer(self.root)?)
        } else {
            None
        };
        if !damage.is_empty() {
            self.show_damage(damage, news, shared)?;
        }
        if cursor && let Some(shape) = cursor::fetch(self.connection)? {
            outbox.put(SourceEvent::Cursor(shape));
        }
        if let Some(whereabouts) = whereabouts {
            let reply = whereabouts.reply()?;
            let moved = shared.trail().notice(&reply, self.root, self.capture.size());
            if let Some(moved) = moved {
                outbox.put(moved);
            }
        }
        Ok(())
    }

    /// Brings what is damaged into the canvas. Damage is taken back before pixels are fetched, so that what
    /// is drawn in between is told again. Servers tell of what a program draws at one go piece by piece: what was told by the
    /// time the first pieces are there belongs to them.
    fn show_damage(
        &mut self,
        mut damage: Vec<Rect>,
        news: &mut News,
        shared: &Shared,
    ) -> Result<(), X11Error> {
        let mut shot = Shot::default();
        for _ in 0..MOST_FETCHES {
            self.connection.damage_subtract(self.damage, x11rb::NONE, x11rb::NONE)?;
            if self.capture.fetch(self.connection, &damage, &mut shot)? == Captured::SizeChanged {
                return self.show_all(shared);
            }
            damage.clear();
            while news.damage.len() < MOST_DAMAGE
                && let Some(event) = self.connection.poll_for_event()?
            {
                news.note(&event, self.root);
            }
            if news.damage.is_empty() {
                break;
            }
            std::mem::swap(&mut damage, &mut news.damage);
        }
        // What is told and not fetched is the next one's.
        news.damage.append(&mut damage);
        self.capture.paint(&shot, &shared.canvas)
    }

    /// Brings the whole screen into the canvas, in the size that it has now.
    fn show_all(&mut self, shared: &Shared) -> Result<(), X11Error> {
        for _ in 0..MOST_SIZE_CHANGES {
            let size = geometry(self.connection, self.root)?;
            if size != self.capture.size() {
                let capture = Capture::new(self.connection, self.root, size)?;
                std::mem::replace(&mut self.capture, capture).detach(self.connection)?;
            }
            self.connection.damage_subtract(self.damage, x11rb::NONE, x11rb::NONE)?;
            let everything = Rect::new(0, 0, size.0, size.1);
            let mut shot = Shot::default();
            if self.capture.fetch(self.connection, &[everything], &mut shot)? == Captured::Done {
                return self.capture.paint(&shot, &shared.canvas);
            }
        }
        Err(X11Error::Wait(std::io::Error::other("the screen changes its size without end")))
    }
}

fn require(connection: &XConnection, extension: &'static str, name: &'static str) -> Result<(), X11Error> {
    match connection.extension_information(extension)? {
        Some(_) => Ok(()),
        None => Err(X11Error::Extension(name)),
    }
}

fn geometry(connection: &XConnection, root: Window) -> Result<(u32, u32), X11Error> {
    let geometry = connection.get_geometry(root)?.reply()?;
    Ok((geometry.width.into(), geometry.height.into()))
}

/// Damage may begin left of or above the screen, where nothing is shown.
fn clip_to_positive(part: &x11rb::protocol::xproto::Rectangle) -> Rect {
    let right = i32::from(part.x) + i32::from(part.width);
    let bottom = i32::from(part.y) + i32::from(part.height);
    let (x, y) = (i32::from(part.x).max(0), i32::from(part.y).max(0));
    Rect::new(x as u32, y as u32, (right - x).max(0) as u32, (bottom - y).max(0) as u32)
}
