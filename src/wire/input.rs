//! The input stream and the motion datagram.

use super::limits::{MAX_DATAGRAM, MAX_EVENT, MAX_TEXT};
use super::value::*;
use super::{Token, stream_kind};
use crate::screen::MAX_SIDE;

/// A pointer button.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Button {
    Left = 1,
    Middle = 2,
    Right = 3,
    Back = 8,
    Forward = 9,
}

/// What a viewer's user does to the session.
///
/// `Debug` is not derived: keystrokes never reach a log.
#[derive(Clone, PartialEq)]
pub enum InputEvent {
    /// A key goes down. `key` names the physical key (USB HID usage, page 7; 0 when unknown), `keysym`
    /// the X11 keysym that the viewer's own layout gave it, modifiers included. Repeats are sent again.
    KeyDown {
        key: u16,
        keysym: u32,
    },
    /// The physical key goes up, whatever symbol it would have by now. With `key` 0, `keysym` says which.
    KeyUp {
        key: u16,
        keysym: u32,
    },
    /// Text that no single key makes: an input method's, or a paste as typing. At most
    /// [`MAX_TEXT`] bytes of UTF-8.
    Text(String),
    /// Every held key and button goes up: the viewer lost the keyboard.
    ReleaseAll,
    /// The pointer, in pixels of the session's screen.
    PointerMove {
        x: u16,
        y: u16,
    },
    PointerButton {
        button: Button,
        down: bool,
        x: u16,
        y: u16,
    },
    /// The wheel, in 120ths of a notch: positive is right and down.
    Wheel {
        horizontal: i16,
        vertical: i16,
        x: u16,
        y: u16,
    },
    /// What a gateway passes on to a host: whose event it is, so that it is applied once whichever gateways bring it.
    /// Since 1.5.
    Of(Box<Origin>),
}

/// An event of a viewer's, as a gateway passes it on.
#[derive(Clone, PartialEq)]
pub struct Origin {
    pub viewer: Token,
    /// The number that the viewer gave it.
    pub number: u64,
    /// Not one that is passed on itself.
    pub event: InputEvent,
}

/// A pointer motion that travels as a datagram: only the newest counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Motion {
    /// Counts up on a link; a motion of a lower counter than the last is late and ignored.
    pub counter: u64,
    /// The number of the next input event when the pointer moved.
    pub next_input: u64,
    pub x: u16,
    pub y: u16,
}

impl Motion {
    pub fn write(&self, out: &mut Vec<u8>) {
        out.push(1);
        put_varint(out, self.counter);
        put_varint(out, self.next_input);
        put_varint(out, self.x.into());
        put_varint(out, self.y.into());
    }

    /// Reads a datagram; `None` if it is of a kind that this version does not know.
    pub fn read(datagram: &[u8]) -> Result<Option<Motion>, WireError> {
        if datagram.len() > MAX_DATAGRAM {
            let (value, limit) = (datagram.len() as u64, MAX_DATAGRAM as u64);
            return Err(WireError::TooMuch { what: "a datagram", value, limit });
        }
        let r = &mut Reader::new(datagram);
        if r.u8("a datagram's kind")? != 1 {
            return Ok(None);
        }
        Ok(Some(Motion {
            counter: r.varint("a motion's counter")?,
            next_input: r.varint("a motion's input number")?,
            x: coordinate(r)?,
            y: coordinate(r)?,
        }))
    }
}

/// Appends the beginning of an input stream whose first event has the number `first`.
pub fn write_input_start(out: &mut Vec<u8>, first: u64) {
    put_varint(out, stream_kind::INPUT);
    put_varint(out, first);
}

/// Appends one event of an input stream.
pub fn write_event(out: &mut Vec<u8>, event: &InputEvent) {
    let mut body = Vec::new();
    let kind = write_body(&mut body, event);
    out.push(kind);
    put_bytes(out, &body);
}

fn write_body(body: &mut Vec<u8>, event: &InputEvent) -> u8 {
    match event {
        InputEvent::KeyDown { key, keysym } | InputEvent::KeyUp { key, keysym } => {
            put_varint(body, (*key).into());
            put_varint(body, (*keysym).into());
            if matches!(event, InputEvent::KeyDown { .. }) { 1 } else { 2 }
        }
        InputEvent::Text(text) => {
            let end = text.floor_char_boundary(MAX_TEXT);
            body.extend_from_slice(&text.as_bytes()[..end]);
            3
        }
        InputEvent::ReleaseAll => 4,
        InputEvent::PointerMove { x, y } => {
            put_varint(body, (*x).into());
            put_varint(body, (*y).into());
            5
        }
        InputEvent::PointerButton { button, down, x, y } => {
            body.push(*button as u8);
            body.push((*down).into());
            put_varint(body, (*x).into());
            put_varint(body, (*y).into());
            6
        }
        InputEvent::Wheel { horizontal, vertical, x, y } => {
            put_zigzag(body, (*horizontal).into());
            put_zigzag(body, (*vertical).into());
            put_varint(body, (*x).into());
            put_varint(body, (*y).into());
            7
        }
        InputEvent::Of(origin) => {
            body.extend_from_slice(&origin.viewer.0);
            put_varint(body, origin.number);
            let at = body.len();
            body.push(0);
            body[at] = write_body(body, &origin.event);
            8
        }
    }
}

fn read_event(kind: u8, body: &[u8]) -> Result<Option<InputEvent>, WireError> {
    let r = &mut Reader::new(body);
    Ok(Some(match kind {
        1 => InputEvent::KeyDown { key: r.u16("a key")?, keysym: r.u32("a keysym")? },
        2 => InputEvent::KeyUp { key: r.u16("a key")?, keysym: r.u32("a keysym")? },
        3 if body.len() > MAX_TEXT => {
            let (value, limit) = (body.len() as u64, MAX_TEXT as u64);
            return Err(WireError::TooMuch { what: "typed text", value, limit });
        }
        3 => InputEvent::Text(text(body, "typed text")?),
        4 => InputEvent::ReleaseAll,
        5 => InputEvent::PointerMove { x: coordinate(r)?, y: coordinate(r)? },
        6 => InputEvent::PointerButton {
            button: read_button(r)?,
            down: r.flag("a button's state")?,
            x: coordinate(r)?,
            y: coordinate(r)?,
        },
        7 => InputEvent::Wheel {
            horizontal: wheel(r)?,
            vertical: wheel(r)?,
            x: coordinate(r)?,
            y: coordinate(r)?,
        },
        8 => {
            let viewer = Token(r.bytes16("an event's viewer")?);
            let number = r.varint("an event's number at its viewer")?;
            match r.u8("a passed-on event's type")? {
                8 => return Err(WireError::Meaningless { what: "a passed-on event's type", value: 8 }),
                kind => match read_event(kind, r.rest())? {
                    Some(event) => InputEvent::Of(Box::new(Origin { viewer, number, event })),
                    None => return Ok(None),
                },
            }
        }
        _ => return Ok(None),
    }))
}

fn read_button(r: &mut Reader) -> Result<Button, WireError> {
    Ok(match r.u8("a button")? {
        1 => Button::Left,
        2 => Button::Middle,
        3 => Button::Right,
        8 => Button::Back,
        9 => Button::Forward,
        other => return Err(WireError::Meaningless { what: "a button", value: other.into() }),
    })
}

fn coordinate(r: &mut Reader) -> Result<u16, WireError> {
    Ok(r.bounded(MAX_SIDE.into(), "a pointer position")? as u16)
}

fn wheel(r: &mut Reader) -> Result<i16, WireError> {
    let value = r.zigzag("a wheel's turn")?;
    i16::try_from(value).map_err(|_| WireError::TooMuch {
        what: "a wheel's turn",
        value: value.unsigned_abs(),
        limit: i16::MAX as u64,
    })
}

/// Cuts an input stream into numbered events, whatever pieces it comes in.
#[derive(Default)]
pub struct InputReader {
    buffer: Vec<u8>,
    start: usize,
    next: u64,
    begun: bool,
}

impl InputReader {
    /// Reads from the start of the stream, its kind included.
    pub fn new() -> Self {
        InputReader::default()
    }

    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.start);
        self.start = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole event and its number. An event of an unknown type has a number but is passed over.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<(u64, InputEvent)>, WireError> {
        if !self.begun && !self.begin()? {
            return Ok(None);
        }
        loop {
            let mut reader = Reader::new(&self.buffer[self.start..]);
            let Ok(kind) = reader.u8("an input event's type") else { return Ok(None) };
            let length = match reader.count(MAX_EVENT, "an input event's length") {
                Err(WireError::Truncated { .. }) => return Ok(None),
                other => other?,
            };
            let Ok(body) = reader.take(length, "an input event") else { return Ok(None) };
            let event = read_event(kind, body);
            self.start = self.buffer.len() - reader.rest().len();
            let number = self.next;
            self.next += 1;
            if let Some(event) = event? {
                return Ok(Some((number, event)));
            }
        }
    }

    fn begin(&mut self) -> Result<bool, WireError> {
        let mut reader = Reader::new(&self.buffer);
        let Ok(kind) = reader.varint("a stream's kind") else { return Ok(false) };
        if kind != stream_kind::INPUT {
            return Err(WireError::Meaningless { what: "a stream's kind", value: kind });
        }
        let Ok(first) = reader.varint("the first input number") else { return Ok(false) };
        self.next = first;
        self.start = self.buffer.len() - reader.rest().len();
        self.begun = true;
        Ok(true)
    }
}
