//! What an RDP host says once it is connected, as IronRDP's crates read it. Pure: frames in; pixels, cursors and news
//! of the clipboard out. Whatever a host sends, what is held is bounded.

mod avc;
mod bounds;
pub mod clipboard;
mod decoder;
#[cfg(any(test, fuzzing))]
pub mod oracle;
pub mod paint;
mod picture;
mod pipeline;
pub mod rail;
pub mod windows;

pub use avc::AvcDecoder;
pub use decoder::{DecodeError, Decoder};
pub use pipeline::{PipelineEar, PipelineNews};

#[cfg(test)]
mod tests;
