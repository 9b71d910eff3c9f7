//! The agent of an enrolled seat: badges in, and one screen at a time out. Readers tell what they see, the [`desk`] decides what
//! follows, the gateway is asked, and the page on the same workstation is told over the loopback. It never decides who
//! somebody is, and never has a sign-in's secret: the page takes its sign-in at the gateway.

mod agent;
pub mod desk;
mod evdev;
mod grab;
mod lines;
mod local;
#[cfg(feature = "pcsc")]
mod pcsc;

pub use agent::{Agent, AgentError};
pub use evdev::Keys;
pub use lines::{read_lines, read_lines_from_device};
pub use local::Beginning;
#[cfg(feature = "pcsc")]
pub use pcsc::read_cards;

/// What a reader sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    Badge(String),
    /// The card is no longer there. Readers that type like a keyboard never say so.
    Removed,
    /// The reader is not there, or there again: what to tell people.
    Trouble(Option<String>),
}

/// Readers tell this many things before they wait.
pub const SEEN_AT_ONCE: usize = 16;
