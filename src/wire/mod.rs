//! The protocol's messages as bytes: what they hold, how they are written and read, and every bound on
//! what a peer may send. Pure; `docs/protocol.md` describes the same in words.

mod input;

pub use input::{Button, InputEvent};
