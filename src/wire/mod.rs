//! The protocol's messages as bytes: what they hold, how they are written and read, and every bound on
//! what a peer may send. Pure; `docs/protocol.md` describes the same in words.

mod clip;
mod control;
mod gateways;
mod host;
mod input;
pub mod limits;
mod parts;
mod picture;
mod policy;
mod share;
mod short;
mod sound;
mod tunnel;
mod update;
mod value;
mod websocket;

pub use clip::{Clip, ClipText};
pub use control::{Attach, Attached, Control, ControlReader, Cursor, KnownScreen, Path, Role, Secret, Token};
pub use gateways::GatewayAddress;
pub use host::{EndReason, HostLoad, HostMessage, HostOffers, RunningSession, Start};
pub use input::{Button, InputEvent, InputReader, Motion, Origin, write_event, write_input_start};
pub use picture::{PicturePart, png_size};
pub use policy::{Policy, UnknownPolicy};
pub use share::{Marking, Terms, Watcher, WatcherOrder};
pub use sound::{SoundFormat, SoundPacket};
pub use tunnel::{
    CONNECTION_ID, MAX_HEAD, Outside, TAG_KEY, TUNNEL_ALPN, TunnelMessage, household, outside, put_head,
    read_head,
};
pub use update::{
    CachedTile, CopyRect, Live, Shown, TilePart, UpdateHeader, VideoFrame, read_update, read_update_of,
};
pub use value::{Reader, WireError};
pub(crate) use value::{put_bytes, put_text, put_u64, put_varint};
pub use websocket::{Frame, read_frame, write_frame};

/// The major version: both sides must have the same.
pub const MAJOR: u64 = 1;
/// The minor version: the lower of both sides' is in use.
pub const MINOR: u64 = 7;
/// The ALPN of native QUIC.
pub const ALPN: &[u8] = b"chevet/1";
/// The WebSocket subprotocol.
pub const SUBPROTOCOL: &str = "chevet.1";
/// The path of WebTransport and WebSocket.
pub const PATH: &str = "/chevet";

/// The first varint of a unidirectional stream.
pub mod stream_kind {
    pub const INPUT: u64 = 1;
    pub const UPDATE: u64 = 2;
    pub const SHORT_UPDATE: u64 = 3;

    pub fn is_update(kind: u64) -> bool {
        kind == UPDATE || kind == SHORT_UPDATE
    }
}

/// Bits of what a viewer can do, in Attach.
pub mod features {
    /// It decodes H.264, and so may be sent video.
    pub const H264: u64 = 1;
    /// It plays Opus, and so may be sent what the session plays.
    pub const SOUND: u64 = 2;
    /// It takes updates that give only a part of a tile.
    pub const PARTS: u64 = 4;
    /// It tells its user who watches, and asks whether somebody may.
    pub const SHARE: u64 = 8;
    /// It has a clipboard, and so may be sent what is copied.
    pub const CLIP: u64 = 16;
    /// It takes short updates, finds by itself whether it is exact, and keeps what was learnt of small parts.
    pub const SHORT: u64 = 32;
    /// It goes on at another gateway that it is told of.
    pub const GATEWAYS: u64 = 64;
    /// It knows small parts of tiles to be coded by sixteen neighbours of each pixel.
    pub const FAR: u64 = 128;
}

/// Why a link was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CloseCode(pub u32);

impl CloseCode {
    pub const DONE: CloseCode = CloseCode(0);
    pub const PROTOCOL: CloseCode = CloseCode(1);
    pub const VERSION: CloseCode = CloseCode(2);
    pub const REFUSED: CloseCode = CloseCode(3);
    pub const NO_SESSION: CloseCode = CloseCode(4);
    pub const TAKEN_OVER: CloseCode = CloseCode(5);
    pub const GOING_AWAY: CloseCode = CloseCode(6);
    pub const LIMIT: CloseCode = CloseCode(7);
    pub const INTERNAL: CloseCode = CloseCode(8);
    pub const IDLE: CloseCode = CloseCode(9);
    /// Whoever was signed in is so no longer: since 1.2.
    pub const SIGNED_OUT: CloseCode = CloseCode(10);
    /// The session itself has ended: since 1.3.
    pub const ENDED: CloseCode = CloseCode(13);
    /// Nothing was done for so long that whoever is there must sign in again: since 1.3.
    pub const LOCKED: CloseCode = CloseCode(12);

    /// What the code means, for people.
    pub fn name(self) -> &'static str {
        match self.0 {
            0 => "done",
            1 => "protocol error",
            2 => "version not supported",
            3 => "refused",
            4 => "no such session",
            5 => "taken over",
            6 => "going away",
            7 => "limit reached",
            8 => "internal error",
            9 => "idle",
            10 => "signed out",
            13 => "session ended",
            12 => "locked",
            _ => "unknown reason",
        }
    }
}
