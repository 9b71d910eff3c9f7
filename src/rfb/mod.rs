//! RFB, the protocol of VNC, as its client: the handshake, what is said and what is heard. Pure: bytes in, pixels
//! into a [`Surface`], events out. Whatever a server sends, what is held is bounded.

mod client;
mod clipboard;
mod cursor;
mod decoder;
pub mod encodings;
mod error;
mod handshake;
mod hextile;
mod inbox;
mod inflate;
mod keyboard;
mod layout;
#[cfg(any(test, fuzzing))]
pub mod oracle;
mod surface;
mod tight;
mod vnc_auth;
mod zrle;

pub use client::{
    enable_continuous_updates, fence_answer, set_desktop_size, set_encodings, set_pixel_format,
    update_request, wanted, wants_answer,
};
pub use clipboard::{
    ClipNews, capabilities as clip_capabilities, classic as clip_classic, notify as clip_notify,
    provide as clip_provide, request as clip_request,
};
pub use cursor::Cursor;
pub use decoder::{Decoder, Event};
pub use error::RfbError;
pub use handshake::{Credentials, Encryption, Handshake, Security, Server, Step};
pub use keyboard::{Hands, scan_code};
pub use layout::{Monitor, refusal};
pub use surface::Surface;
