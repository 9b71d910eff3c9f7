//! The CLIPBOARD selection, on the input thread's connection, so that a key typed after something was pasted finds it there
//! (ICCCM 2, XFixes). Nothing here waits for another client: whoever owns or asks may hang.

use super::X11Error;
use super::stream::XConnection;
use crate::source::SourceEvent;
use crate::wire::limits::{MAX_CLIP_PICTURE, MAX_CLIP_TEXT};
use crate::wire::{Clip, png_size};
use bytes::Bytes;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::TrySendError;
use x11rb::connection::{Connection, RequestConnection};
use x11rb::protocol::Event;
use x11rb::protocol::xfixes::{self, ConnectionExt as _, SelectionEventMask};
use x11rb::protocol::xproto::{
    Atom, AtomEnum, ChangeWindowAttributesAux, ConnectionExt as _, CreateWindowAux, EventMask, PropMode,
    Property, PropertyNotifyEvent, SELECTION_NOTIFY_EVENT, SelectionNotifyEvent, SelectionRequestEvent,
    Timestamp, Window, WindowClass,
};
use x11rb::wrapper::ConnectionExt as _;

/// An owner that says nothing for this long is not listened to any more; nor is who takes something in parts.
const PATIENCE: Duration = Duration::from_secs(5);
/// What is larger goes in parts of this many bytes, which every server takes.
const PART: usize = 64 << 10;
/// Forms that an owner may say it has.
const MOST_TARGETS: u32 = 1_024;
/// Clients that take something in parts at the same time.
const MOST_TAKERS: usize = 16;

x11rb::atom_manager! {
    Atoms: AtomsCookie {
        CLIPBOARD,
        TARGETS,
        TIMESTAMP,
        INCR,
        TEXT,
        UTF8_STRING,
        PLAIN: b"text/plain;charset=utf-8",
        PNG: b"image/png",
        CHEVET_CLIP_0,
        CHEVET_CLIP_1,
        CHEVET_CLIP_2,
        CHEVET_CLIP_3,
        CHEVET_CLIP_4,
        CHEVET_CLIP_5,
        CHEVET_CLIP_6,
        CHEVET_CLIP_7,
    }
}

impl Atoms {
    /// How many bytes what is asked for in this form may have.
    fn most(&self, target: Atom) -> usize {
        if target == self.PNG { MAX_CLIP_PICTURE } else { MAX_CLIP_TEXT }
    }

    /// Where answers are put.
    fn places(&self) -> [Atom; 8] {
        let low = [self.CHEVET_CLIP_0, self.CHEVET_CLIP_1, self.CHEVET_CLIP_2, self.CHEVET_CLIP_3];
        let high = [self.CHEVET_CLIP_4, self.CHEVET_CLIP_5, self.CHEVET_CLIP_6, self.CHEVET_CLIP_7];
        std::array::from_fn(|at| if at < 4 { low[at] } else { high[at - 4] })
    }
}

/// The properties of the window that answers are put into, each in its turn. One who is not listened to any more may still write
/// to the one that it was asked to use, part after part: that one is left alone.
#[derive(Default)]
struct Places {
    last: usize,
    left: [bool; 8],
}

impl Places {
    fn next(&mut self) -> usize {
        if self.left.iter().all(|left| *left) {
            self.left = [false; 8];
        }
        let turns = (1..=self.left.len()).map(|step| (self.last + step) % self.left.len());
        self.last = turns.into_iter().find(|&place| !self.left[place]).unwrap_or(0);
        self.last
    }
}

/// What was copied, on its way to the session: the newest alone.
pub(super) struct Clips {
    events: Sender<SourceEvent>,
    waiting: Mutex<Option<SourceEvent>>,
}

impl Clips {
    pub fn new(events: Sender<SourceEvent>) -> Clips {
        Clips { events, waiting: Mutex::default() }
    }

    /// Tells the session; whether nothing waits any more.
    pub fn flush(&self, found: Option<Clip>) -> bool {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(clip) = found {
            *waiting = Some(SourceEvent::Clip(clip));
        }
        if let Some(event) = waiting.take()
            && let Err(TrySendError::Full(event)) = self.events.try_send(event)
        {
            *waiting = Some(event);
        }
        waiting.is_none()
    }
}

/// What another client is asked for: the forms that it has, a text, or a picture.
struct Fetch {
    target: Atom,
    /// Of the places, the one that its answer is put into.
    place: usize,
    at: Timestamp,
    /// Its parts so far, if it comes in parts.
    parts: Option<Vec<u8>>,
    heard: Instant,
}

/// A client that takes something in parts.
struct Taker {
    window: Window,
    property: Atom,
    target: Atom,
    bytes: Bytes,
    sent: usize,
    heard: Instant,
}

pub(super) struct Clipboard {
    window: Window,
    atoms: Atoms,
    /// What this client offers, and since when by the server's clock.
    owned: Option<(Clip, Timestamp)>,
    fetch: Option<Fetch>,
    places: Places,
    takers: Vec<Taker>,
    found: Option<Clip>,
}

impl Clipboard {
    pub fn open(connection: &XConnection, root: Window) -> Result<Clipboard, X11Error> {
        if connection.extension_information(xfixes::X11_EXTENSION_NAME)?.is_none() {
            return Err(X11Error::Extension("XFIXES"));
        }
        connection.xfixes_query_version(5, 0)?.reply()?;
        let atoms = Atoms::new(connection)?.reply()?;
        let window = connection.generate_id()?;
        let looks = CreateWindowAux::new().event_mask(EventMask::PROPERTY_CHANGE);
        connection.create_window(0, window, root, -1, -1, 1, 1, 0, WindowClass::INPUT_ONLY, 0, &looks)?;
        let told = SelectionEventMask::SET_SELECTION_OWNER
            | SelectionEventMask::SELECTION_WINDOW_DESTROY
            | SelectionEventMask::SELECTION_CLIENT_CLOSE;
        connection.xfixes_select_selection_input(window, atoms.CLIPBOARD, told)?;
        let (fetch, places) = (None, Places::default());
        let mut clipboard =
            Clipboard { window, atoms, owned: None, fetch, places, takers: Vec::new(), found: None };
        if connection.get_selection_owner(clipboard.atoms.CLIPBOARD)?.reply()?.owner != x11rb::NONE {
            clipboard.ask(connection, clipboard.atoms.TARGETS, x11rb::CURRENT_TIME)?;
        }
        Ok(clipboard)
    }

    /// What another client has copied, once.
    pub fn take_found(&mut self) -> Option<Clip> {
        self.found.take()
    }

    /// The clipboard holds this from now on.
    pub fn own(&mut self, connection: &XConnection, clip: Clip) -> Result<(), X11Error> {
        self.leave();
        self.owned = Some((clip, x11rb::CURRENT_TIME));
        connection.set_selection_owner(self.window, self.atoms.CLIPBOARD, x11rb::CURRENT_TIME)?;
        connection.flush()?;
        Ok(())
    }

    /// The clipboard holds nothing from now on, whoever owned it.
    pub fn empty(&mut self, connection: &XConnection) -> Result<(), X11Error> {
        self.leave();
        (self.owned, self.found) = (None, None);
        self.takers.clear();
        // Only who owns it can give it up.
        for owner in [self.window, x11rb::NONE] {
            connection.set_selection_owner(owner, self.atoms.CLIPBOARD, x11rb::CURRENT_TIME)?;
        }
        connection.flush()?;
        Ok(())
    }

    /// Hears what concerns the clipboard.
    pub fn note(&mut self, connection: &XConnection, event: &Event) -> Result<(), X11Error> {
        match event {
            Event::XfixesSelectionNotify(event) if event.owner == self.window => {
                if let Some((_, since)) = &mut self.owned {
                    *since = event.selection_timestamp;
                }
            }
            Event::XfixesSelectionNotify(event) => {
                self.leave();
                self.owned = None;
                if event.owner != x11rb::NONE {
                    self.ask(connection, self.atoms.TARGETS, event.selection_timestamp)?;
                }
            }
            Event::SelectionNotify(event) if event.requestor == self.window => {
                self.answered(connection, event)?;
            }
            Event::PropertyNotify(event) if event.window == self.window => {
                self.part_came(connection, event)?
            }
            Event::PropertyNotify(event) => self.part_taken(connection, event)?,
            Event::SelectionRequest(event) => self.asked(connection, event)?,
            _ => {}
        }
        Ok(())
    }

    fn ask(&mut self, connection: &XConnection, target: Atom, at: Timestamp) -> Result<(), X11Error> {
        let (selection, place) = (self.atoms.CLIPBOARD, self.places.next());
        let property = self.atoms.places()[place];
        connection.convert_selection(self.window, selection, target, property, at)?;
        connection.flush()?;
        self.fetch = Some(Fetch { target, place, at, parts: None, heard: Instant::now() });
        Ok(())
    }

    /// The owner has answered.
    fn answered(&mut self, connection: &XConnection, event: &SelectionNotifyEvent) -> Result<(), X11Error> {
        let places = self.atoms.places();
        // An earlier owner may answer late.
        let is_it = |fetch: &&mut Fetch| match event.property {
            x11rb::NONE => true,
            property => fetch.target == event.target && places[fetch.place] == property,
        };
        let Some(fetch) = self.fetch.as_mut().filter(is_it) else { return Ok(()) };
        let (target, at) = (fetch.target, fetch.at);
        if event.property == x11rb::NONE {
            self.fetch = None;
            return match target {
                // Some have a text and do not say so.
                _ if target == self.atoms.TARGETS => self.ask(connection, self.atoms.UTF8_STRING, at),
                _ if target == self.atoms.UTF8_STRING => self.ask(connection, AtomEnum::STRING.into(), at),
                _ => Ok(()),
            };
        }
        fetch.heard = Instant::now();
        if target == self.atoms.TARGETS {
            return self.forms_came(connection, event.property, at);
        }
        // A program may say anything of its clip's length: what does not fit is not read.
        let most = (self.atoms.most(target) / 4 + 1) as u32;
        let property = connection.get_property(true, self.window, event.property, AtomEnum::ANY, 0, most)?;
        let property = property.reply()?;
        if property.type_ == self.atoms.INCR {
            fetch.parts = Some(Vec::new());
        } else if property.bytes_after == 0 {
            self.find(property.value);
        } else {
            connection.delete_property(self.window, event.property)?;
            self.give_up("it is too long");
        }
        Ok(())
    }

    /// The owner has said in which forms there is what it copied: a text goes before a picture.
    fn forms_came(
        &mut self,
        connection: &XConnection,
        property: Atom,
        at: Timestamp,
    ) -> Result<(), X11Error> {
        let forms = connection.get_property(true, self.window, property, AtomEnum::ANY, 0, MOST_TARGETS)?;
        let forms = forms.reply()?;
        if forms.bytes_after > 0 {
            connection.delete_property(self.window, property)?;
        }
        let forms: Vec<Atom> = forms.value32().map(Iterator::collect).unwrap_or_default();
        let text = [self.atoms.UTF8_STRING, self.atoms.PLAIN, self.atoms.TEXT, AtomEnum::STRING.into()];
        let has_text = text.iter().any(|form| forms.contains(form));
        match !has_text && forms.contains(&self.atoms.PNG) {
            true => self.ask(connection, self.atoms.PNG, at),
            false => self.ask(connection, self.atoms.UTF8_STRING, at),
        }
    }

    /// A part of what comes in parts; an empty one is its end.
    fn part_came(&mut self, connection: &XConnection, event: &PropertyNotifyEvent) -> Result<(), X11Error> {
        let most = self.fetch.as_ref().map_or(0, |fetch| self.atoms.most(fetch.target));
        let Some(Fetch { parts: Some(parts), heard, place, .. }) = &mut self.fetch else { return Ok(()) };
        if event.state != Property::NEW_VALUE || event.atom != self.atoms.places()[*place] {
            return Ok(());
        }
        let longs = (most / 4 + 1) as u32;
        let part =
            connection.get_property(true, self.window, event.atom, AtomEnum::ANY, 0, longs)?.reply()?;
        let waited = heard.elapsed();
        *heard = Instant::now();
        if part.bytes_after > 0 || parts.len() + part.value.len() > most || waited > PATIENCE {
            self.give_up("it is too long, or comes too slowly");
        } else if part.value.is_empty() {
            let whole = std::mem::take(parts);
            self.find(whole);
        } else {
            parts.extend_from_slice(&part.value);
        }
        Ok(())
    }

    fn give_up(&mut self, why: &str) {
        tracing::debug!(why, "what a program has copied is not sent on");
        self.leave();
    }

    /// What is not answered to its end is not listened to any more.
    fn leave(&mut self) {
        if let Some(fetch) = self.fetch.take() {
            self.places.left[fetch.place] = true;
        }
    }

    fn find(&mut self, bytes: Vec<u8>) {
        let target = self.fetch.take().map_or(x11rb::NONE, |fetch| fetch.target);
        if target == self.atoms.PNG {
            let fits = bytes.len() <= MAX_CLIP_PICTURE && png_size(&bytes).is_some();
            return match fits {
                true => self.found = Some(Clip::Picture(bytes.into())),
                false => self.give_up("it is no picture, or too large a one"),
            };
        }
        let text = match target == Atom::from(AtomEnum::STRING) {
            true => bytes.into_iter().map(char::from).collect(),
            false => String::from_utf8_lossy(&bytes).into_owned(),
        };
        let text = text.trim_end_matches('\0').replace("\r\n", "\n");
        if !text.is_empty() && text.len() <= MAX_CLIP_TEXT {
            self.found = Some(Clip::Text(text));
        }
    }

    /// Another client wants what this one offers.
    fn asked(&mut self, connection: &XConnection, event: &SelectionRequestEvent) -> Result<(), X11Error> {
        let property = if event.property == x11rb::NONE { event.target } else { event.property };
        let given = event.selection == self.atoms.CLIPBOARD && self.give(connection, event, property)?;
        let answer = SelectionNotifyEvent {
            response_type: SELECTION_NOTIFY_EVENT,
            sequence: 0,
            time: event.time,
            requestor: event.requestor,
            selection: event.selection,
            target: event.target,
            property: if given { property } else { x11rb::NONE },
        };
        connection.send_event(false, event.requestor, EventMask::NO_EVENT, answer)?;
        connection.flush()?;
        Ok(())
    }

    fn give(
        &mut self,
        connection: &XConnection,
        event: &SelectionRequestEvent,
        property: Atom,
    ) -> Result<bool, X11Error> {
        let Some((clip, since)) = &self.owned else { return Ok(false) };
        let (atoms, string, to) = (&self.atoms, Atom::from(AtomEnum::STRING), event.requestor);
        let target = event.target;
        if target == atoms.TARGETS {
            let forms: &[Atom] = match clip {
                Clip::Text(_) => &[atoms.UTF8_STRING, atoms.PLAIN, atoms.TEXT, string],
                Clip::Picture(_) => &[atoms.PNG],
            };
            let offered = [&[atoms.TARGETS, atoms.TIMESTAMP], forms].concat();
            connection.change_property32(PropMode::REPLACE, to, property, AtomEnum::ATOM, &offered)?;
            return Ok(true);
        }
        if target == atoms.TIMESTAMP {
            connection.change_property32(PropMode::REPLACE, to, property, AtomEnum::INTEGER, &[*since])?;
            return Ok(true);
        }
        let latin = |text: &str| text.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect();
        let (kind, bytes) = match clip {
            Clip::Picture(png) if target == atoms.PNG => (target, png.clone()),
            Clip::Text(text) if target == atoms.UTF8_STRING || target == atoms.PLAIN => {
                (target, Bytes::copy_from_slice(text.as_bytes()))
            }
            Clip::Text(text) if target == atoms.TEXT => {
                (atoms.UTF8_STRING, Bytes::copy_from_slice(text.as_bytes()))
            }
            Clip::Text(text) if target == string => (string, latin(text)),
            _ => return Ok(false),
        };
        if bytes.len() <= PART {
            connection.change_property8(PropMode::REPLACE, to, property, kind, &bytes)?;
            return Ok(true);
        }
        self.takers.retain(|taker| taker.heard.elapsed() < PATIENCE);
        if self.takers.len() >= MOST_TAKERS {
            return Ok(false);
        }
        // It says that it took a part by deleting the property.
        let listen = ChangeWindowAttributesAux::new().event_mask(EventMask::PROPERTY_CHANGE);
        connection.change_window_attributes(to, &listen)?;
        let length = [bytes.len() as u32];
        connection.change_property32(PropMode::REPLACE, to, property, self.atoms.INCR, &length)?;
        let heard = Instant::now();
        self.takers.push(Taker { window: to, property, target: kind, bytes, sent: 0, heard });
        Ok(true)
    }

    /// Whoever takes something in parts has taken one, and is given the next; the last one is empty.
    fn part_taken(&mut self, connection: &XConnection, event: &PropertyNotifyEvent) -> Result<(), X11Error> {
        let is_it = |taker: &Taker| taker.window == event.window && taker.property == event.atom;
        let Some(at) = self.takers.iter().position(is_it).filter(|_| event.state == Property::DELETE) else {
            return Ok(());
        };
        let taker = &mut self.takers[at];
        let part = &taker.bytes[taker.sent..taker.bytes.len().min(taker.sent + PART)];
        connection.change_property8(PropMode::REPLACE, taker.window, taker.property, taker.target, part)?;
        connection.flush()?;
        (taker.sent, taker.heard) = (taker.sent + part.len(), Instant::now());
        if part.is_empty() {
            self.takers.swap_remove(at);
        }
        Ok(())
    }
}
