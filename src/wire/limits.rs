//! Every bound on what a peer may send. Each one has a test.

/// The body of a control message, in bytes.
pub const MAX_CONTROL: usize = 1 << 20;
/// Session names, titles and the names of software, in bytes.
pub const MAX_NAME: usize = 256;
/// The reason in a Closing, and the text of a State or a Message, in bytes.
pub const MAX_REASON: usize = 1_024;
/// Tickets and secrets, in bytes.
pub const MAX_TICKET: usize = 2_048;
/// The text of one input event, in bytes.
pub const MAX_TEXT: usize = 4_096;
/// One input event, in bytes: text, and whose it is.
pub const MAX_EVENT: usize = MAX_TEXT + 32;
/// The tiles of the largest screen: a long thin one has the most.
pub const MAX_TILES: usize = 16_384;
/// Copies in one update.
pub const MAX_COPIES: usize = 256;
/// What the copies of one update move, in screens: each is that much work for a viewer.
pub const MAX_COPIED_SCREENS: u64 = 32;
/// Tiles with pixels in one update.
pub const MAX_UPDATE_TILES: usize = 4_096;
/// An update stream, in bytes.
pub const MAX_UPDATE: usize = 64 << 20;
/// One frame of video, in bytes.
pub const MAX_VIDEO_FRAME: usize = 4 << 20;
/// Videos that a viewer decodes at the same time.
pub const MAX_VIDEOS: usize = 8;
/// The side of a cursor, in pixels.
pub const MAX_CURSOR_SIDE: u64 = 256;
/// Updates that wait for an earlier one.
pub const MAX_WAITING: usize = 256;
/// Bytes of updates that wait for an earlier one.
pub const MAX_WAITING_BYTES: usize = 64 << 20;
/// Viewers of one session.
pub const MAX_VIEWERS: usize = 64;
/// A datagram, in bytes.
pub const MAX_DATAGRAM: usize = 1_200;
/// A WebSocket message, in bytes.
pub const MAX_WEBSOCKET: usize = 65_536;
/// Unidirectional streams that a peer may have open on a WebSocket.
pub const MAX_STREAMS: usize = 256;
/// Applications that a host offers.
pub const MAX_APPLICATIONS: usize = 256;
/// Sessions that a host says it runs when it comes.
pub const MAX_RUNNING: usize = 1_024;
/// A host's key, in bytes.
pub const MAX_HOST_KEY: usize = 64;
/// Arguments of a session's command, and variables of its environment.
pub const MAX_ARGUMENTS: usize = 64;
/// One of them, in bytes.
pub const MAX_ARGUMENT: usize = 4_096;
/// The text of a clipboard, in bytes.
pub const MAX_CLIP_TEXT: usize = 512 << 10;
/// The picture of a clipboard, in bytes.
pub const MAX_CLIP_PICTURE: usize = 8 << 20;
/// Its pixels.
pub const MAX_CLIP_PIXELS: u64 = 16 << 20;
/// One part of it, in bytes: what other messages may have to wait for.
pub const MAX_PICTURE_PART: usize = 16 << 10;
/// A message between a gateway and an edge, in bytes.
pub const MAX_TUNNEL_MESSAGE: usize = 1 << 10;
/// One packet of sound, in bytes: it fits a datagram on every path.
pub const MAX_SOUND: usize = 1_000;
/// Other gateways that a viewer is told of.
pub const MAX_GATEWAYS: usize = 32;
/// Certificates by which one of them may be known.
pub const MAX_PINS: usize = 4;
/// Models of small parts that a viewer keeps, each of 104 KiB.
pub const MAX_MODELS: usize = 4;
