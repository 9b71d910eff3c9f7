//! What a server says once the handshake is done: a machine that takes bytes in any pieces, paints what they
//! show and tells the rest as events.

use super::clipboard::{self, ClipNews};
use super::cursor::{self, Cursor};
use super::inbox::{Inbox, Reader, Stop, bounded};
use super::inflate::Inflate;
use super::layout::{self, Monitor};
use super::tight::Tight;
use super::{RfbError, Surface, encodings, hextile, zrle};
use crate::screen::Rect;
use std::collections::BTreeMap;

const MAX_NAME: u32 = 4_096;
const MAX_FENCE: u32 = 64;

/// What a server tells beside pixels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// An update is over: all of its pixels are painted.
    Updated,
    /// The screen has another size now; its pixels are not known.
    Resized {
        width: u32,
        height: u32,
    },
    /// What the screen is made up of, on servers whose size can be asked for. `refused`: what we asked for is not.
    Monitors {
        monitors: Vec<Monitor>,
        refused: Option<u16>,
    },
    Cursor(Cursor),
    Pointer {
        x: u16,
        y: u16,
    },
    Bell,
    /// The server's clipboard, said in the classic way.
    CutText(String),
    Clip(ClipNews),
    /// To be answered, if it asks for that.
    Fence {
        flags: u32,
        payload: Vec<u8>,
    },
    /// Continuous updates are known to the server, or have ended.
    ContinuousUpdates,
    /// Key events of QEMU's are known to the server.
    QemuKeys,
    /// Scroll lock, num lock and caps lock, from the lowest bit on.
    Leds(u8),
    Name(String),
}

enum State {
    Message,
    /// So many rectangles are to come; `None`: until the server says that it was the last.
    Rectangles(Option<u16>),
    Raw {
        left: Option<u16>,
        rect: Rect,
        y: u32,
    },
    Hextile {
        left: Option<u16>,
        progress: hextile::Progress,
    },
    Zrle {
        left: Option<u16>,
        progress: zrle::Progress,
    },
    /// Bytes that are passed over.
    Skip(u64),
}

/// A server's messages, decoded.
pub struct Decoder {
    inbox: Inbox,
    state: State,
    zrle: Inflate,
    tight: Tight,
    seen: BTreeMap<i32, u64>,
    events: Vec<Event>,
}

impl Default for Decoder {
    fn default() -> Self {
        Decoder::new()
    }
}

impl Decoder {
    pub fn new() -> Self {
        Decoder {
            inbox: Inbox::default(),
            state: State::Message,
            zrle: Inflate::new("ZRLE"),
            tight: Tight::new(),
            seen: BTreeMap::new(),
            events: Vec::new(),
        }
    }

    /// Rectangles so far, by encoding.
    pub fn seen(&self) -> &BTreeMap<i32, u64> {
        &self.seen
    }

    /// Takes what the server sent, paints, and says what else there is. After an error the connection is over.
    pub fn feed(&mut self, bytes: &[u8], surface: &mut dyn Surface) -> Result<Vec<Event>, RfbError> {
        self.inbox.push(bytes);
        while self.step(surface)? {}
        Ok(std::mem::take(&mut self.events))
    }

    /// Goes on by one thing; whether there was enough for that.
    fn step(&mut self, surface: &mut dyn Surface) -> Result<bool, RfbError> {
        let Decoder { inbox, state, zrle, events, .. } = self;
        match state {
            State::Message => {
                let Some(next) = inbox.read(|reader| message(reader, events))? else { return Ok(false) };
                *state = next;
            }
            State::Rectangles(Some(0)) => {
                events.push(Event::Updated);
                *state = State::Message;
            }
            State::Rectangles(left) => {
                let left = *left;
                return self.rectangle(left, surface);
            }
            State::Raw { left, rect, y } => {
                if *y == rect.bottom() || rect.width == 0 {
                    *state = State::Rectangles(*left);
                    return Ok(true);
                }
                let bytes = rect.width as usize * 4;
                let Some(pixels) = inbox.read(|reader| {
                    let (pixels, _) = reader.take(bytes)?.as_chunks::<4>();
                    Ok(pixels
                        .iter()
                        .map(|&pixel| u32::from_le_bytes(pixel) & 0x00ff_ffff)
                        .collect::<Vec<_>>())
                })?
                else {
                    return Ok(false);
                };
                surface.row(rect.x, *y, &pixels);
                *y += 1;
            }
            State::Hextile { left, progress } => {
                if progress.is_done() {
                    *state = State::Rectangles(*left);
                    return Ok(true);
                }
                return Ok(inbox.read(|reader| progress.tile(reader, surface))?.is_some());
            }
            State::Zrle { left, progress } => {
                let (used, done) = progress.advance(inbox.rest(), zrle, surface)?;
                inbox.skip(used);
                match done {
                    true => *state = State::Rectangles(*left),
                    false => return Ok(used > 0),
                }
            }
            State::Skip(left) => {
                let here = inbox.rest().len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                inbox.skip(here);
                *left -= here as u64;
                if *left > 0 {
                    return Ok(false);
                }
                *state = State::Message;
            }
        }
        Ok(true)
    }

    /// Reads a rectangle's head, and all of it where that is short.
    fn rectangle(&mut self, left: Option<u16>, surface: &mut dyn Surface) -> Result<bool, RfbError> {
        let Decoder { inbox, tight, events, .. } = self;
        let after = left.map(|left| left - 1);
        let read = inbox.read(|reader| {
            let [x, y, width, height] = [reader.u16()?, reader.u16()?, reader.u16()?, reader.u16()?];
            let encoding = reader.i32()?;
            let rect = Rect::new(x.into(), y.into(), width.into(), height.into());
            let mut next = State::Rectangles(after);
            match encoding {
                encodings::RAW => {
                    check(rect, surface)?;
                    next = State::Raw { left: after, rect, y: rect.y };
                }
                encodings::COPY_RECT => {
                    check(rect, surface)?;
                    let (x, y) = (reader.u16()?.into(), reader.u16()?.into());
                    let from = Rect { x, y, ..rect };
                    check(from, surface)?;
                    if !rect.is_empty() {
                        surface.copy(from, rect.x, rect.y);
                    }
                }
                encodings::HEXTILE => {
                    check(rect, surface)?;
                    next = State::Hextile { left: after, progress: hextile::Progress::new(rect) };
                }
                encodings::ZRLE => {
                    check(rect, surface)?;
                    let progress = zrle::Progress::new(rect, reader.u32()?);
                    next = State::Zrle { left: after, progress };
                }
                encodings::TIGHT => {
                    check(rect, surface)?;
                    tight.rectangle(reader, rect, surface)?;
                }
                encodings::LAST_RECT => next = State::Rectangles(Some(0)),
                _ => events.extend(announcement(encoding, rect, reader, surface)?),
            }
            Ok((encoding, next))
        })?;
        let Some((encoding, next)) = read else { return Ok(false) };
        *self.seen.entry(encoding).or_default() += 1;
        self.state = next;
        Ok(true)
    }
}

fn check(rect: Rect, surface: &dyn Surface) -> Result<(), RfbError> {
    let (screen_width, screen_height) = surface.size();
    if Rect::new(0, 0, screen_width, screen_height).contains(&rect) {
        return Ok(());
    }
    let Rect { x, y, width, height } = rect;
    Err(RfbError::Outside { x, y, width, height, screen_width, screen_height })
}

/// Reads the head of a message, or all of it where that is short.
fn message(reader: &mut Reader, events: &mut Vec<Event>) -> Result<State, Stop> {
    match reader.u8()? {
        0 => {
            reader.u8()?;
            let count = reader.u16()?;
            return Ok(State::Rectangles((count != u16::MAX).then_some(count)));
        }
        // Colours of a map, which true colour does not have.
        1 => {
            reader.take(3)?;
            return Ok(State::Skip(u64::from(reader.u16()?) * 6));
        }
        2 => events.push(Event::Bell),
        3 => return cut_text(reader, events),
        150 => events.push(Event::ContinuousUpdates),
        248 => {
            reader.take(3)?;
            let flags = reader.u32()?;
            let length = bounded("a fence's payload", reader.u8()?.into(), MAX_FENCE)?;
            events.push(Event::Fence { flags, payload: reader.take(length as usize)?.to_vec() });
        }
        other => return Err(RfbError::UnknownMessage(other).into()),
    }
    Ok(State::Message)
}

fn cut_text(reader: &mut Reader, events: &mut Vec<Event>) -> Result<State, Stop> {
    reader.take(3)?;
    let length = reader.i32()?;
    let bytes = length.unsigned_abs();
    // What is too long for a clipboard does no harm to the screen.
    if bytes > clipboard::MAX_MESSAGE {
        return Ok(State::Skip(bytes.into()));
    }
    if length < 0 {
        events.extend(clipboard::read(reader.take(bytes as usize)?)?.map(Event::Clip));
    } else {
        events.push(Event::CutText(clipboard::latin_1(reader, bytes)?));
    }
    Ok(State::Message)
}

/// Rectangles that bring no pixels of the screen.
fn announcement(
    encoding: i32,
    rect: Rect,
    reader: &mut Reader,
    surface: &mut dyn Surface,
) -> Result<Vec<Event>, Stop> {
    let Rect { x, y, width, height } = rect;
    let event = match encoding {
        encodings::CURSOR => Event::Cursor(cursor::masked(reader, rect)?),
        encodings::ALPHA_CURSOR => Event::Cursor(cursor::with_alpha(reader, rect)?),
        encodings::POINTER_POSITION => Event::Pointer { x: x as u16, y: y as u16 },
        encodings::QEMU_KEYS => Event::QemuKeys,
        encodings::LED_STATE => Event::Leds(reader.u8()?),
        encodings::DESKTOP_NAME => Event::Name(reader.text("the desktop's name", MAX_NAME)?),
        encodings::DESKTOP_SIZE => return Ok(resize(width, height, surface)?.into_iter().collect()),
        encodings::EXTENDED_DESKTOP_SIZE => {
            let monitors = layout::monitors(reader)?;
            // `x` says who asked, `y` whether it was done.
            let refused = (x == 1 && y != 0).then_some(y as u16);
            let resized = if y == 0 { resize(width, height, surface)? } else { None };
            return Ok(resized.into_iter().chain([Event::Monitors { monitors, refused }]).collect());
        }
        other => return Err(RfbError::UnknownEncoding(other).into()),
    };
    Ok(vec![event])
}

fn resize(width: u32, height: u32, surface: &mut dyn Surface) -> Result<Option<Event>, RfbError> {
    if surface.size() == (width, height) {
        return Ok(None);
    }
    surface.resize(width, height)?;
    Ok(Some(Event::Resized { width, height }))
}

#[cfg(test)]
#[path = "decoder_tests.rs"]
mod tests;
