//! What a client is told, and what it may be told to do.

use crate::link::{Closed, DialError, Road};
use crate::sync::{Applied, Micros};
use crate::wire::{ClipText, Cursor, Path, Policy, SoundFormat, SoundPacket, Terms, Watcher};

#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("no road to the gateway: {0}")]
    Unreachable(DialError),
    /// The gateway said so; dialling again would change nothing.
    #[error("the gateway closed the connection: {0}")]
    Closed(Closed),
}

/// Which roads a client may take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Roads {
    /// UDP first, TCP beside it.
    #[default]
    All,
    OnlyQuic,
    OnlyWebSocket,
}

/// An update that was applied to the screen.
#[derive(Clone, Debug)]
pub struct Update {
    pub applied: Applied,
    /// From the host's damage to the decoded pixels, by the two machines' monotonic clocks.
    pub draw_to_decode_us: Micros,
    pub decode_us: Micros,
}

/// What happened to a viewer.
#[derive(Clone, Debug)]
pub enum Event {
    Attached {
        title: String,
        width: u32,
        height: u32,
        road: Road,
        policy: Policy,
    },
    /// The session promises something else of its pixels from now on.
    Policy(Policy),
    Updated(Update),
    /// The session agreed with the hashes of this screen.
    Exact,
    Cursor(Cursor),
    CursorAt {
        x: u32,
        y: u32,
    },
    State {
        live: bool,
        text: String,
    },
    Path(Path),
    /// What an administrator says to whoever views.
    Message(String),
    /// Whether what the session shows is recorded, from now on.
    Recorded(bool),
    /// What this viewer may do.
    Terms(Terms),
    /// Somebody asks to watch: see [`super::Client::answer_watch`].
    WatchAsked {
        ask: u64,
        title: String,
        seat: String,
        administrator: bool,
    },
    /// That question needs no answer any more.
    WatchOver {
        ask: u64,
    },
    /// All who watch now.
    Watchers(Vec<Watcher>),
    /// The session plays something, so coded: see [`super::Client::hear`]. `None`: nothing any more.
    Sound(Option<SoundFormat>),
    /// What it plays.
    Heard(SoundPacket),
    /// A program of the session has copied this.
    Clip(ClipText),
    /// A program of the session has copied this picture, as PNG of which the header alone was looked at.
    Picture(bytes::Bytes),
    /// Whether the session has what was copied here, before all input from now on.
    ClipTaken(bool),
    /// Nothing was heard for two seconds, or the link broke; the client is dialling again.
    Silent(String),
}
