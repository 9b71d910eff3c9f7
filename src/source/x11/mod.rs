//! The X11 source: what an X server draws, by XDamage and shared memory, and input by XTest.
//!
//! Two threads, each with its own connection, sleep until there is something to do: `capture` carries
//! pixels, cursor and size outwards, `input` carries keys, pointer and wheel inwards, so that a key never
//! waits behind a picture. When the server dies both let go, and the capturing thread keeps knocking.

mod bell;
mod capture;
mod clipboard;
mod cursor;
mod input;
mod keyboard;
mod keymap;
mod lifeline;
mod merge;
mod resize;
mod segment;
mod server;
mod spare;
mod stream;
mod symbols;
mod watch;

use super::{Canvas, Source, SourceEvent, SourceState};
use crate::screen::SizeError;
use crate::wire::{Clip, InputEvent};
use bell::Bell;
use clipboard::Clips;
use cursor::PointerTrail;
use input::{Errand, Inbox};
use lifeline::Lifeline;
pub use server::{XServer, authority_entry};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;
use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::TrySendError;
use x11rb::errors::{ConnectError, ConnectionError, ReplyError, ReplyOrIdError};

/// How long dropping a source waits for its held keys to be lifted; a hung X server may not hold it longer.
const FAREWELL: Duration = Duration::from_millis(700);

#[derive(Debug, thiserror::Error)]
pub enum X11Error {
    #[error("{0:?} does not name an X display: write it like :1 or host:1")]
    DisplayName(String),
    #[error("could not start a thread for X display {display}: {error}")]
    Thread { display: String, error: std::io::Error },
    #[error("could not make the means to wake a thread of X display {display}: {error}")]
    Wake { display: String, error: std::io::Error },
    #[error("could not connect to X display {display}: {error}")]
    Connect { display: String, error: ConnectError },
    #[error("the X server lacks the {0} extension, without which its screen cannot be shown; enable it")]
    Extension(&'static str),
    #[error(
        "the X screen has depth {depth} and {bits} bits a pixel in an order that cannot be shown; \
         start the X server with depth 24 and TrueColor"
    )]
    Visual { depth: u8, bits: u8 },
    #[error(transparent)]
    Size(#[from] SizeError),
    #[error("the connection to the X server broke: {0}")]
    Gone(#[from] ConnectionError),
    #[error("the X server refused a request: {0}")]
    Refused(ReplyError),
    #[error("waiting for the X server failed: {0}")]
    Wait(std::io::Error),
}

impl From<ReplyError> for X11Error {
    fn from(error: ReplyError) -> Self {
        match error {
            ReplyError::ConnectionError(error) => X11Error::Gone(error),
            error => X11Error::Refused(error),
        }
    }
}

impl From<ReplyOrIdError> for X11Error {
    fn from(error: ReplyOrIdError) -> Self {
        match error {
            ReplyOrIdError::ConnectionError(error) => X11Error::Gone(error),
            ReplyOrIdError::X11Error(error) => X11Error::Refused(ReplyError::X11Error(error)),
            // Identifiers run out only when the server stops answering for new ranges.
            ReplyOrIdError::IdsExhausted => X11Error::Gone(ConnectionError::UnknownError),
        }
    }
}

/// What both threads and the handle share.
struct Shared {
    server: XServer,
    display: String,
    canvas: Arc<Canvas>,
    /// Wakes the capturing thread for a resize or the end.
    bell: Bell,
    wanted_size: Mutex<Option<(u32, u32)>>,
    stopping: Arc<AtomicBool>,
    inbox: Inbox,
    trail: Mutex<PointerTrail>,
    clips: Clips,
    capture_line: Lifeline,
    input_line: Lifeline,
}

impl Shared {
    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    fn take_wanted_size(&self) -> Option<(u32, u32)> {
        self.wanted_size.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn trail(&self) -> std::sync::MutexGuard<'_, PointerTrail> {
        self.trail.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A session's X display as a source. Dropping it lifts every key and button that it holds, which may take
/// some tenths of a second.
pub struct X11Source {
    shared: Arc<Shared>,
    input_ended: Mutex<mpsc::Receiver<()>>,
}

impl X11Source {
    /// Shows the display in `canvas` from now on, and tells the rest through `events`. The display need
    /// not be there yet: until it is, and whenever it dies, the source reports [`SourceState::Waiting`]
    /// and keeps trying.
    ///
    /// # Errors
    /// When `display` is not a display's name, or the machine has no thread to give.
    pub fn start(
        server: &XServer,
        canvas: Arc<Canvas>,
        events: Sender<SourceEvent>,
    ) -> Result<X11Source, X11Error> {
        let display = server.display.as_str();
        if !server.is_well_formed() {
            return Err(X11Error::DisplayName(display.to_owned()));
        }
        let no_bell = |error| X11Error::Wake { display: display.to_owned(), error };
        let shared = Arc::new(Shared {
            display: display.to_owned(),
            server: server.clone(),
            canvas,
            bell: Bell::new().map_err(no_bell)?,
            wanted_size: Mutex::new(None),
            stopping: Arc::new(AtomicBool::new(false)),
            inbox: Inbox::new().map_err(no_bell)?,
            trail: Mutex::new(PointerTrail::default()),
            clips: Clips::new(events.clone()),
            capture_line: Lifeline::default(),
            input_line: Lifeline::default(),
        });
        let (ended, input_ended) = mpsc::channel();
        // From here on dropping the handle stops whichever thread has started.
        let source = X11Source { shared: Arc::clone(&shared), input_ended: Mutex::new(input_ended) };
        let no_thread = |error| X11Error::Thread { display: display.to_owned(), error };
        let capturing = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("x11-capture".into())
            .spawn(move || watch::run(&capturing, Outbox::new(events)))
            .map_err(no_thread)?;
        std::thread::Builder::new()
            .name("x11-input".into())
            .spawn(move || {
                input::run(&shared);
                drop(ended);
            })
            .map_err(no_thread)?;
        Ok(source)
    }
}

impl Source for X11Source {
    fn input(&self, event: InputEvent) {
        self.shared.inbox.push(Errand::Input(event));
    }

    fn resize(&self, width: u32, height: u32) {
        *self.shared.wanted_size.lock().unwrap_or_else(PoisonError::into_inner) = Some((width, height));
        self.shared.bell.ring();
    }

    fn clip(&self, clip: Clip) {
        self.shared.inbox.push(Errand::Clip(Some(clip)));
    }

    fn empty_clipboard(&self) {
        self.shared.inbox.push(Errand::Clip(None));
    }
}

impl Drop for X11Source {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::Release);
        self.shared.inbox.push(Errand::Stop);
        self.shared.bell.ring();
        // The sender is dropped when the thread has lifted everything: an error is the sign to go on.
        let ended = self.input_ended.get_mut().unwrap_or_else(PoisonError::into_inner);
        let _ = ended.recv_timeout(FAREWELL);
        // A thread that waits for a hung server's answer is freed by the end of its connection.
        self.shared.capture_line.cut();
        self.shared.input_line.cut();
    }
}

/// Events on their way to the session: of each kind only the newest waits, so a session that is slow to
/// listen neither stops the pixels nor lets a queue grow.
struct Outbox {
    events: Sender<SourceEvent>,
    state: Option<SourceEvent>,
    cursor: Option<SourceEvent>,
    moved: Option<SourceEvent>,
    last_state: Option<SourceState>,
}

impl Outbox {
    fn new(events: Sender<SourceEvent>) -> Self {
        Outbox { events, state: None, cursor: None, moved: None, last_state: None }
    }

    fn tell_state(&mut self, state: SourceState) {
        if self.last_state.as_ref() != Some(&state) {
            self.last_state = Some(state.clone());
            self.put(SourceEvent::State(state));
        }
    }

    fn put(&mut self, event: SourceEvent) {
        match event {
            SourceEvent::State(_) => self.state = Some(event),
            SourceEvent::Cursor(_) => self.cursor = Some(event),
            SourceEvent::CursorMoved { .. } => self.moved = Some(event),
            // An X server promises nothing of its pixels, and has no sound; what is copied the input thread tells.
            SourceEvent::Policy(_)
            | SourceEvent::Clip(_)
            | SourceEvent::Plays(_)
            | SourceEvent::HasSound
            | SourceEvent::PlaysCoded(_)
            | SourceEvent::Taken { .. } => {}
        }
        self.flush();
    }

    /// Hands over what fits; returns whether anything still waits.
    fn flush(&mut self) -> bool {
        for slot in [&mut self.state, &mut self.cursor, &mut self.moved] {
            if let Some(event) = slot.take()
                && let Err(TrySendError::Full(event)) = self.events.try_send(event)
            {
                *slot = Some(event);
                return true;
            }
        }
        false
    }
}
