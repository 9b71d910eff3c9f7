//! What a session plays: samples of a host to packets of Opus (RFC 6716), and back. Pure; libopus, built from source, codes.

#[cfg(not(feature = "sound"))]
mod absent;
mod listener;
#[cfg(feature = "sound")]
mod opus;
mod pace;
mod packer;
mod pcm;
mod resample;

#[cfg(not(feature = "sound"))]
use absent::{Decoder, Encoder};
pub use listener::Listener;
#[cfg(feature = "sound")]
use opus::{Decoder, Encoder};
pub use packer::Packer;
pub use pcm::{Pcm, RATES};

/// Samples a second of each channel, as they are coded.
pub const RATE: u32 = 48_000;
/// Left and right, one after the other in turn.
pub const CHANNELS: usize = 2;
/// Samples of each channel in a packet: 20 ms.
pub const FRAME: usize = 960;
/// Bits a second on average.
pub const BIT_RATE: u32 = 96_000;

/// Whether this build codes sound.
pub const IS_THERE: bool = cfg!(feature = "sound");

/// Why samples could not become packets, or packets samples.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SoundError {
    #[error("this build has no Opus")]
    Absent,
    #[error("Opus: {0}")]
    Opus(String),
}
