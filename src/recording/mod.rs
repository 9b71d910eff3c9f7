//! Recordings of sessions: the protocol itself with times, in a file that only the recipients' keys open. The recorder is one
//! more viewer of the session, inside the process, that writes instead of showing; a replay is a viewer that reads.
//!
//! The gateway has no key to what it wrote, and never reads a recording back. Keys that were typed are not recorded.

mod format;
mod player;
mod replay;

#[cfg(feature = "net")]
mod config;
#[cfg(feature = "net")]
mod label;
#[cfg(feature = "net")]
mod recorder;
#[cfg(feature = "net")]
mod seal;
#[cfg(feature = "net")]
mod shelf;
#[cfg(feature = "net")]
mod tape;

pub use format::{
    END_BYTES, FormatError, Header, Index, MAGIC, MAX_RECORD, Message, Parser, Person, Record, Timed, Writer,
    index_offset,
};
pub use player::{PlayError, Player};
pub use replay::{Replay, ReplayError};

#[cfg(feature = "net")]
pub use config::{Config, ConfigError, RecordedInput, WhenFull};
#[cfg(feature = "net")]
pub use label::{Label, LabelledPerson};
#[cfg(feature = "net")]
pub use recorder::{Command, Ended, Rhythm, record};
#[cfg(feature = "net")]
pub use seal::{Keys, Opened, SealError, recipients_of};
#[cfg(feature = "net")]
pub use shelf::{Full, Kept, Limits, Removed, Shelf, ShelfError, is_name};
#[cfg(feature = "net")]
pub use tape::Tape;
