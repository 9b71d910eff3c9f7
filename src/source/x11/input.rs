//! The input thread: keys, pointer and wheel by XTest, on a connection of its own.

use super::bell::Bell;
use super::clipboard::Clipboard;
use super::keyboard::{KeyName, Keyboard};
use super::stream::XConnection;
use super::{Shared, X11Error};
use crate::wire::{Button, Clip, InputEvent};
use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use x11rb::connection::{Connection, RequestConnection};
use x11rb::protocol::xproto::{
    BUTTON_PRESS_EVENT, BUTTON_RELEASE_EVENT, ConnectionExt as _, MOTION_NOTIFY_EVENT, Window,
};
use x11rb::protocol::xtest::{self, ConnectionExt as _};

/// The most errands that may wait, when the server hangs.
const MOST_WAITING: usize = 4_096;
/// Of them, texts for the clipboard.
const MOST_CLIPS: usize = 64;
/// How soon after a failure another connection is tried, should input arrive.
const RECONNECT: Duration = Duration::from_millis(500);
/// What comes within this time of the source's start waits for the server: viewers of a gateway that follows another are there
/// before its connection is.
const EARLY: Duration = Duration::from_secs(3);
/// How soon to try again to tell a session whose queue is full what was copied.
const HANDOVER: Duration = Duration::from_millis(5);
/// A notch of the wheel, in the unit of [`InputEvent::Wheel`].
const NOTCH: i32 = 120;

/// What the input thread is asked to do.
pub(super) enum Errand {
    Input(InputEvent),
    /// Before all input that follows, the clipboard is to hold this, or nothing.
    Clip(Option<Clip>),
    /// The server is there (again).
    Connect,
    Disconnect,
    Stop,
}

/// Errands waiting for the input thread.
pub(super) struct Inbox {
    waiting: Mutex<VecDeque<Errand>>,
    bell: Bell,
}

impl Inbox {
    pub(super) fn new() -> io::Result<Inbox> {
        Ok(Inbox { waiting: Mutex::new(VecDeque::new()), bell: Bell::new()? })
    }

    /// Leaves an errand. Of pointer moves in a row only the last stays; when too much waits, input is
    /// dropped as a whole and everything held is lifted, so that no key is left stuck.
    pub(super) fn push(&self, errand: Errand) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let is_move = |errand: &Errand| matches!(errand, Errand::Input(InputEvent::PointerMove { .. }));
        let is_clip = |errand: &Errand| matches!(errand, Errand::Clip(Some(_)));
        let is_picture = |errand: &Errand| matches!(errand, Errand::Clip(Some(Clip::Picture(_))));
        // Of pictures for a server that is slow the last is enough: they are large.
        if is_picture(&errand) {
            waiting.retain(|waiting| !is_picture(waiting));
        }
        let clips = |waiting: &VecDeque<Errand>| waiting.iter().filter(|errand| is_clip(errand)).count();
        if is_move(&errand) && waiting.back().is_some_and(is_move) {
            waiting.pop_back();
        } else if waiting.len() >= MOST_WAITING || is_clip(&errand) && clips(&waiting) >= MOST_CLIPS {
            let emptied = waiting.iter().any(|errand| matches!(errand, Errand::Clip(None)));
            waiting.retain(|errand| !matches!(errand, Errand::Input(_) | Errand::Clip(_)));
            // Connects and disconnects alternate: the last of them says it all.
            let superseded = waiting.len().saturating_sub(1);
            waiting.drain(..superseded);
            // What the user before had copied is not there again because a server was slow.
            waiting.extend(emptied.then_some(Errand::Clip(None)));
            waiting.push_back(Errand::Input(InputEvent::ReleaseAll));
            tracing::warn!("the X server takes no input; what waited was dropped");
        }
        waiting.push_back(errand);
        drop(waiting);
        self.bell.ring();
    }

    fn take(&self) -> VecDeque<Errand> {
        std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Carries errands out until it is told to stop, and then lifts everything.
pub(super) fn run(shared: &Shared) {
    let mut hands: Option<Hands> = None;
    let mut tried: Option<Instant> = None;
    let (started, mut early) = (Instant::now(), VecDeque::new());
    loop {
        let mut errands = shared.inbox.take();
        while let Some(errand) = errands.pop_front() {
            match errand {
                Errand::Stop => return let_go(hands),
                Errand::Disconnect => let_go(hands.take()),
                Errand::Connect => {
                    let_go(hands.take());
                    hands = connect(shared);
                    tried = Some(Instant::now());
                    let kept = std::mem::take(&mut early).into_iter().rev();
                    if started.elapsed() < EARLY {
                        kept.for_each(|errand| errands.push_front(errand));
                    }
                }
                Errand::Input(_) | Errand::Clip(_)
                    if tried.is_none() && started.elapsed() < EARLY && early.len() < MOST_WAITING =>
                {
                    if matches!(errand, Errand::Clip(_)) {
                        early.retain(|kept| !matches!(kept, Errand::Clip(_)));
                    }
                    early.push_back(errand);
                }
                Errand::Clip(clip) => {
                    let done = hands.as_mut().map(|hands| match clip {
                        Some(clip) => hands.clipboard.own(&hands.connection, clip),
                        None => hands.clipboard.empty(&hands.connection),
                    });
                    if let Some(Err(error)) = done {
                        tracing::debug!(%error, "the clipboard could not be filled");
                    }
                }
                Errand::Input(event) => {
                    let may_try = tried.is_some_and(|tried| tried.elapsed() >= RECONNECT);
                    if hands.is_none() && may_try && !shared.is_stopping() {
                        hands = connect(shared);
                        tried = Some(Instant::now());
                    }
                    let done = hands.as_mut().map(|hands| hands.handle(event, shared));
                    if let Some(Err(error)) = done {
                        tracing::debug!(%error, "input to the X server failed");
                        hands = None;
                    }
                }
            }
        }
        let heard = hands.as_mut().map(Hands::listen);
        let told = shared.clips.flush(hands.as_mut().and_then(|hands| hands.clipboard.take_found()));
        if let Some(Err(error)) = heard {
            tracing::debug!(%error, "the X server is gone for input");
            hands = None;
        }
        let connection = hands.as_ref().map(|hands| hands.connection.stream());
        if let Err(error) = shared.inbox.bell.wait(connection, (!told).then_some(HANDOVER)) {
            tracing::warn!(%error, "waiting for input failed");
            std::thread::sleep(RECONNECT);
        }
    }
}

fn connect(shared: &Shared) -> Option<Hands> {
    match Hands::open(shared) {
        Ok(hands) => Some(hands),
        // Without a server the capturing thread has said so already.
        Err(X11Error::Connect { .. } | X11Error::Gone(_)) => None,
        Err(error) => {
            tracing::warn!(display = %shared.display, %error, "the session cannot be given input");
            None
        }
    }
}

fn let_go(hands: Option<Hands>) {
    if let Some(Err(error)) = hands.map(Hands::close) {
        tracing::debug!(%error, "the X server was gone before its keys were lifted");
    }
}

/// A connection's pointer and keyboard.
struct Hands {
    connection: XConnection,
    root: Window,
    keyboard: Keyboard,
    clipboard: Clipboard,
    /// Buttons that are down, by their X number.
    buttons: Vec<u8>,
    across: Wheel,
    down: Wheel,
}

impl Hands {
    fn open(shared: &Shared) -> Result<Hands, X11Error> {
        let (connection, screen) = shared.input_line.connect(&shared.server)?;
        if connection.extension_information(xtest::X11_EXTENSION_NAME)?.is_none() {
            return Err(X11Error::Extension("XTEST"));
        }
        // Another client's grab of the server must not hold the session's input back.
        connection.xtest_grab_control(true)?;
        let keyboard = Keyboard::open(&connection, Arc::clone(&shared.stopping))?;
        let root = connection.setup().roots[screen].root;
        let clipboard = Clipboard::open(&connection, root)?;
        let (across, down) = (Wheel::default(), Wheel::default());
        Ok(Hands { connection, root, keyboard, clipboard, buttons: Vec::new(), across, down })
    }

    /// Hears what the server tells unasked.
    fn listen(&mut self) -> Result<(), X11Error> {
        // What came while keys were pressed has been heard by the keyboard alone.
        for event in std::mem::take(&mut self.keyboard.passed_over) {
            self.clipboard.note(&self.connection, &event)?;
        }
        while let Some(event) = self.connection.poll_for_event()? {
            self.keyboard.note(&self.connection, &event)?;
            self.clipboard.note(&self.connection, &event)?;
        }
        self.connection.flush()?;
        Ok(())
    }

    fn handle(&mut self, event: InputEvent, shared: &Shared) -> Result<(), X11Error> {
        match event {
            InputEvent::KeyDown { key, keysym } => {
                self.keyboard.down(&self.connection, KeyName::new(key, keysym), keysym)?;
            }
            InputEvent::KeyUp { key, keysym } => {
                self.keyboard.up(&self.connection, KeyName::new(key, keysym))?;
            }
            InputEvent::Text(text) => {
                self.keyboard.write(&self.connection, &text)?;
            }
            InputEvent::ReleaseAll => self.release_all()?,
            InputEvent::PointerMove { x, y } => self.point(x, y, shared)?,
            InputEvent::PointerButton { button, down, x, y } => {
                self.point(x, y, shared)?;
                self.button(button, down)?;
            }
            InputEvent::Wheel { horizontal, vertical, x, y } => {
                self.point(x, y, shared)?;
                let across = self.across.turn(horizontal.into());
                let down = self.down.turn(vertical.into());
                self.click(if across < 0 { 6 } else { 7 }, across.unsigned_abs())?;
                self.click(if down < 0 { 4 } else { 5 }, down.unsigned_abs())?;
            }
            InputEvent::Of(origin) => return self.handle(origin.event, shared),
        }
        self.connection.flush()?;
        Ok(())
    }

    fn point(&self, x: u16, y: u16, shared: &Shared) -> Result<(), X11Error> {
        shared.trail().inject(x, y);
        let bound = |side: u16| i16::try_from(side).unwrap_or(i16::MAX);
        self.fake(MOTION_NOTIFY_EVENT, 0, self.root, bound(x), bound(y))
    }

    fn button(&mut self, button: Button, down: bool) -> Result<(), X11Error> {
        let number = button as u8;
        let held = self.buttons.iter().position(|&held| held == number);
        match (held, down) {
            (None, true) => {
                self.buttons.push(number);
                self.fake(BUTTON_PRESS_EVENT, number, x11rb::NONE, 0, 0)
            }
            (Some(index), false) => {
                self.buttons.remove(index);
                self.fake(BUTTON_RELEASE_EVENT, number, x11rb::NONE, 0, 0)
            }
            _ => Ok(()),
        }
    }

    fn click(&self, number: u8, times: u32) -> Result<(), X11Error> {
        for _ in 0..times {
            self.fake(BUTTON_PRESS_EVENT, number, x11rb::NONE, 0, 0)?;
            self.fake(BUTTON_RELEASE_EVENT, number, x11rb::NONE, 0, 0)?;
        }
        Ok(())
    }

    fn fake(&self, kind: u8, detail: u8, root: Window, x: i16, y: i16) -> Result<(), X11Error> {
        self.connection.xtest_fake_input(kind, detail, 0, root, x, y, 0)?;
        Ok(())
    }

    fn release_all(&mut self) -> Result<(), X11Error> {
        for number in std::mem::take(&mut self.buttons) {
            self.fake(BUTTON_RELEASE_EVENT, number, x11rb::NONE, 0, 0)?;
        }
        (self.across, self.down) = (Wheel::default(), Wheel::default());
        self.keyboard.release_all(&self.connection)
    }

    /// Lifts everything, leaves the server as it was found, and waits until it has obeyed.
    fn close(mut self) -> Result<(), X11Error> {
        self.release_all()?;
        self.keyboard.close(&self.connection)?;
        self.connection.get_input_focus()?.reply()?;
        Ok(())
    }
}

/// One axis of the wheel: turns of less than a notch add up.
#[derive(Default)]
struct Wheel {
    rest: i32,
}

impl Wheel {
    /// Turns by some 120ths of a notch; returns how many whole notches that makes. Turning back forgets
    /// what was left of the other direction.
    fn turn(&mut self, by: i32) -> i32 {
        if by.signum() * self.rest.signum() < 0 {
            self.rest = 0;
        }
        self.rest += by;
        let notches = self.rest / NOTCH;
        self.rest %= NOTCH;
        notches
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fine_turns_add_up_to_a_notch_and_turning_back_starts_anew() {
        let mut wheel = Wheel::default();
        assert_eq!([40, 40, 40, 40].map(|by| wheel.turn(by)), [0, 0, 1, 0]);
        assert_eq!(wheel.turn(-80), 0);
        assert_eq!(wheel.turn(-40), -1);
        assert_eq!(wheel.turn(360), 3);
        assert_eq!(wheel.turn(i16::MIN.into()), -273);
    }

    #[test]
    fn moves_in_a_row_are_one_and_a_flood_ends_in_everything_lifted() {
        let inbox = Inbox::new().unwrap();
        for x in 0..100 {
            inbox.push(Errand::Input(InputEvent::PointerMove { x, y: 0 }));
        }
        let waiting = inbox.take();
        assert_eq!(waiting.len(), 1);
        assert!(matches!(waiting[0], Errand::Input(InputEvent::PointerMove { x: 99, y: 0 })));
        inbox.push(Errand::Connect);
        for _ in 0..=MOST_WAITING {
            inbox.push(Errand::Input(InputEvent::KeyDown { key: 4, keysym: 97 }));
        }
        let waiting = inbox.take();
        assert!(waiting.len() < 10);
        assert!(matches!(waiting[0], Errand::Connect));
        assert!(matches!(waiting[1], Errand::Input(InputEvent::ReleaseAll)));
    }
}
