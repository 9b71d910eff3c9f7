//! The recorder: one more viewer of a session, that writes instead of showing. It has a thread of its own; what it has not
//! written it has not acknowledged, so a slow disk makes it skip states like any slow viewer, and slows nobody else.
//!
//! A whole screen, from which a replay can begin, is a second attachment: once it has all, it takes the first one's place.

use super::format::{Message, Person};
use super::shelf::{Full, Shelf};
use super::tape::Tape;
use crate::clock;
use crate::codec::video;
use crate::link::{Outlet, Sent, inside};
use crate::session::{Grant, WeakSession};
use crate::sync::Micros;
use crate::wire::limits::{MAX_UPDATE, MAX_WAITING_BYTES};
use crate::wire::{Attach, CloseCode, Control, Reader, Token, features, read_update};
use std::io;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// The session gives up viewers that say nothing.
const PING_EVERY: Duration = Duration::from_secs(3);
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How often it is looked whether there is room.
const ROOM_EVERY: Duration = Duration::from_secs(5);
/// Where the pointer is, is written as often as this at most.
const POINTER_EVERY: Micros = 40_000;
/// Messages before the first whole update may take as many bytes, and a whole screen this long.
const WHOLE_WITHIN: Duration = Duration::from_secs(20);
/// Attachments that failed one after the other.
const MOST_FAILURES: u32 = 3;

/// When a whole screen is written, and when what was written must be on the disk.
#[derive(Clone, Copy, Debug)]
pub struct Rhythm {
    /// No sooner than this after the last one.
    pub key_after: Duration,
    /// At the latest, if anything changed since.
    pub key_within: Duration,
    pub lose_at_most: Duration,
    /// How long after the last person has gone the recording ends.
    pub alone_for: Duration,
    /// Whether it is recorded where the pointer is.
    pub pointer: bool,
}

impl Default for Rhythm {
    fn default() -> Self {
        Rhythm {
            key_after: Duration::from_secs(10),
            key_within: Duration::from_secs(300),
            lose_at_most: Duration::from_secs(60),
            alone_for: Duration::from_secs(30),
            pointer: false,
        }
    }
}

/// What a recorder is told.
#[derive(Debug)]
pub enum Command {
    /// Somebody who is recorded came or went.
    Person(Person),
    /// The recording is to end.
    End(&'static str),
}

/// How a recording ended.
#[derive(Debug, thiserror::Error)]
pub enum Ended {
    #[error("{0}")]
    Asked(&'static str),
    #[error("the session ended")]
    SessionEnded,
    #[error("who was recorded has gone")]
    Alone,
    #[error("there is no room: {0}")]
    Full(#[from] Full),
    #[error("writing it failed: {0}")]
    Write(#[from] io::Error),
    #[error("the session could not be followed")]
    Lost,
}

impl Ended {
    /// Whether there should be a recording and is none any more.
    pub fn is_failure(&self) -> bool {
        matches!(self, Ended::Full(_) | Ended::Write(_) | Ended::Lost)
    }
}

/// An attachment of the recorder to its session.
struct Track {
    outlet: Outlet,
    since: Instant,
    /// What came before it had a whole screen.
    gathered: Vec<Message>,
    bytes: usize,
}

struct Recorder<'a> {
    session: WeakSession,
    shelf: &'a Shelf,
    tape: &'a mut Tape,
    rhythm: Rhythm,
    began_us: Micros,
    track: Option<Track>,
    /// The attachment that is to become a whole screen.
    next: Option<Track>,
    failures: u32,
    key_at: Instant,
    key_bytes: u64,
    bytes_since_key: u64,
    pointer: Option<Control>,
    pointer_us: Micros,
    pointer_waits: bool,
    alone_since: Option<Instant>,
    present: usize,
    pinged_at: Instant,
    room_at: Instant,
}

/// Records a session until it ends, nobody is left who is recorded, or there is no room. To be run on a thread of its own.
/// Times count from `began_us` on the monotonic clock; `alone` is asked whether it may end because nobody is left.
pub async fn record(
    session: WeakSession,
    shelf: &Shelf,
    tape: &mut Tape,
    rhythm: Rhythm,
    began_us: Micros,
    commands: &mut mpsc::Receiver<Command>,
    mut alone: impl FnMut() -> bool,
) -> Ended {
    let now = Instant::now();
    let mut recorder = Recorder {
        session,
        shelf,
        tape,
        rhythm,
        began_us,
        track: None,
        next: None,
        failures: 0,
        key_at: now,
        key_bytes: 0,
        bytes_since_key: 0,
        pointer: None,
        pointer_us: 0,
        pointer_waits: false,
        alone_since: Some(now),
        present: 0,
        pinged_at: now,
        room_at: now,
    };
    let ended = loop {
        match recorder.turn(commands).await {
            Err(Ended::Alone) if !alone() => recorder.alone_since = Some(Instant::now()),
            Err(ended) => break ended,
            Ok(()) => {}
        }
    };
    for track in recorder.track.iter().chain(&recorder.next) {
        track.outlet.link().close(CloseCode::DONE, "");
    }
    ended
}

impl Recorder<'_> {
    /// Waits for the next thing that happens, and does what it asks for.
    async fn turn(&mut self, commands: &mut mpsc::Receiver<Command>) -> Result<(), Ended> {
        if self.track.is_none() && self.next.is_none() {
            self.next = Some(self.attach().await?);
        }
        let mut commanded = None;
        tokio::select! {
            command = commands.recv() => commanded = Some(command),
            sent = next_of(&mut self.track) => match sent {
                Ok(sent) => self.follow(sent)?,
                Err(_) => self.track = None,
            },
            sent = next_of(&mut self.next) => match sent {
                Ok(sent) => self.gather(sent)?,
                Err(_) => self.give_up()?,
            },
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        match commanded {
            Some(Some(Command::Person(person))) => self.person(&person)?,
            Some(Some(Command::End(reason))) => return Err(Ended::Asked(reason)),
            Some(None) => return Err(Ended::Asked("the gateway is stopping")),
            None => {}
        }
        self.look().await
    }

    /// What time brings about.
    async fn look(&mut self) -> Result<(), Ended> {
        if self.pinged_at.elapsed() >= PING_EVERY {
            self.pinged_at = Instant::now();
            for track in self.track.iter().chain(&self.next) {
                track.outlet.answer(Control::Ping { number: 1, time_us: clock::now_us() });
            }
        }
        if self.room_at.elapsed() >= ROOM_EVERY {
            self.room_at = Instant::now();
            self.shelf.room()?;
        }
        if self.alone_since.is_some_and(|since| since.elapsed() >= self.rhythm.alone_for) {
            return Err(Ended::Alone);
        }
        self.write_pointer(clock::now_us())?;
        self.tape.settle(self.rhythm.lose_at_most)?;
        match &self.next {
            Some(next) if next.since.elapsed() >= WHOLE_WITHIN => self.give_up()?,
            None if self.key_is_due() => self.next = Some(self.attach().await?),
            _ => {}
        }
        Ok(())
    }

    /// A whole screen costs about as much as it is bytes: it is due when twice that has followed the last one, or after a while.
    fn key_is_due(&self) -> bool {
        let (elapsed, Rhythm { key_after, key_within, .. }) = (self.key_at.elapsed(), self.rhythm);
        let many = self.bytes_since_key > 2 * self.key_bytes && elapsed >= key_after;
        self.track.is_some() && self.bytes_since_key > 0 && (many || elapsed >= key_within)
    }

    async fn attach(&self) -> Result<Track, Ended> {
        let session = self.session.upgrade().ok_or(Ended::SessionEnded)?;
        let (link, inbox, outlet) = inside();
        let video = if video::IS_THERE { features::H264 } else { 0 };
        let attach = Attach {
            session: session.name().to_owned(),
            ticket: Vec::new(),
            width: 0,
            height: 0,
            // Without a cache nothing but the recording is needed to show it.
            cache_bytes: 0,
            features: features::PARTS | features::FAR | video,
            token: None,
            screen: None,
        };
        let grant = Grant { controls: false, sees_pointer: self.rhythm.pointer, ..Grant::shared() };
        session.attach(link, inbox, attach, grant).await;
        Ok(Track { outlet, since: Instant::now(), gathered: Vec::new(), bytes: 0 })
    }

    /// The attachment for a whole screen came to nothing: it is tried again, but not for ever.
    fn give_up(&mut self) -> Result<(), Ended> {
        if let Some(track) = self.next.take() {
            track.outlet.link().close(CloseCode::DONE, "");
        }
        self.failures += 1;
        if self.session.upgrade().is_none() {
            return Err(Ended::SessionEnded);
        }
        match self.failures < MOST_FAILURES {
            true => {
                // Not at once again: a film may have to end first.
                self.key_at = Instant::now();
                Ok(())
            }
            false if self.track.is_some() => {
                (self.failures, self.key_at) = (0, Instant::now());
                Ok(())
            }
            false => Err(Ended::Lost),
        }
    }

    /// Writes what the session sent to the attachment that is followed.
    fn follow(&mut self, sent: Sent) -> Result<(), Ended> {
        let now = clock::now_us();
        match sent {
            Sent::Control(bytes) => {
                let Some(control) = kept(&bytes) else { return Ok(()) };
                if let Control::CursorAt { .. } = control {
                    (self.pointer, self.pointer_waits) = (Some(control), true);
                    return self.write_pointer(now);
                }
                self.write(now, &Message::Control(control))?;
            }
            Sent::Update { number, stream } => {
                self.bytes_since_key += stream.len() as u64;
                self.write(now, &Message::Update(stream.into()))?;
                let ack = Control::Ack { update: number, decode_us: 0, missing: Vec::new() };
                if let Some(track) = &self.track {
                    track.outlet.answer(ack);
                }
            }
        }
        Ok(())
    }

    fn write(&mut self, now: Micros, message: &Message) -> Result<(), Ended> {
        Ok(self.tape.message(now.saturating_sub(self.began_us), message)?)
    }

    fn write_pointer(&mut self, now: Micros) -> Result<(), Ended> {
        let due = self.track.is_some() && now.saturating_sub(self.pointer_us) >= POINTER_EVERY;
        let Some(pointer) = self.pointer.clone().filter(|_| self.pointer_waits && due) else { return Ok(()) };
        (self.pointer_us, self.pointer_waits) = (now, false);
        self.write(now, &Message::Control(pointer))
    }

    /// Gathers what brings a new attachment to its whole screen, and goes over to it then.
    fn gather(&mut self, sent: Sent) -> Result<(), Ended> {
        let Some(next) = &mut self.next else { return Ok(()) };
        let mut whole = false;
        match sent {
            Sent::Control(bytes) => next.gathered.extend(kept(&bytes).map(Message::Control)),
            Sent::Update { number, stream } => {
                whole = read_update(&stream).is_ok_and(|(header, _)| header.complete || header.caught_up);
                next.bytes += stream.len();
                next.gathered.push(Message::Update(stream.into()));
                next.outlet.answer(Control::Ack { update: number, decode_us: 0, missing: Vec::new() });
            }
        }
        if next.bytes > MAX_UPDATE.min(MAX_WAITING_BYTES) {
            return self.give_up();
        }
        if whole { self.go_over() } else { Ok(()) }
    }

    fn go_over(&mut self) -> Result<(), Ended> {
        let Some(mut next) = self.next.take() else { return Ok(()) };
        let mut messages = std::mem::take(&mut next.gathered);
        // The session tells a new viewer where the pointer was put last, not where it was moved since.
        messages.extend(self.pointer.clone().map(Message::Control));
        self.tape.key(clock::now_us().saturating_sub(self.began_us), &messages)?;
        self.pointer_waits = false;
        (self.key_at, self.key_bytes, self.bytes_since_key) = (Instant::now(), next.bytes as u64, 0);
        self.failures = 0;
        if let Some(before) = self.track.replace(next) {
            before.outlet.link().close(CloseCode::DONE, "");
        }
        Ok(())
    }

    fn person(&mut self, person: &Person) -> Result<(), Ended> {
        self.present = if person.came { self.present + 1 } else { self.present.saturating_sub(1) };
        self.alone_since = (self.present == 0).then(Instant::now);
        Ok(self.tape.person(clock::now_us().saturating_sub(self.began_us), person)?)
    }
}

async fn next_of(track: &mut Option<Track>) -> Result<Sent, crate::link::Closed> {
    match track {
        Some(track) => track.outlet.next().await,
        None => std::future::pending().await,
    }
}

/// A control message as it is recorded; what concerns only the link is not, nor is the token, which is a secret.
fn kept(bytes: &[u8]) -> Option<Control> {
    let reader = &mut Reader::new(bytes);
    let kind = reader.varint("a control message").ok()?;
    let body = reader.bytes(bytes.len(), "a control message").ok()?;
    Some(match Control::read(kind, body).ok()?? {
        Control::Attached(mut attached) => {
            attached.token = Token([0; 16]);
            Control::Attached(attached)
        }
        control @ (Control::State { .. }
        | Control::Cursor(_)
        | Control::CursorAt { .. }
        | Control::Policy { .. }
        | Control::Dropped { .. }
        | Control::Message { .. }) => control,
        _ => return None,
    })
}
