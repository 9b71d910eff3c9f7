//! The messages of the control stream.

use super::clip::ClipText;
use super::gateways::{self, GatewayAddress};
use super::limits::*;
use super::picture::{self, PicturePart};
use super::share::{self, Terms, Watcher, WatcherOrder};
use super::sound::{self, SoundFormat};
use super::value::*;
use super::{CloseCode, HostMessage, Policy, WireError};
use crate::screen::{HashKey, TileHash};

/// What the dialling side is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Viewer,
    Host,
}

/// Names one viewer across its links. It is a secret: who has it may continue the viewer's input.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Token(pub [u8; 16]);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(secret)")
    }
}

/// What a returning viewer still shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownScreen {
    pub key: HashKey,
    pub width: u32,
    pub height: u32,
    /// One hash a tile, in the grid's order.
    pub hashes: Vec<TileHash>,
}

/// A viewer's wish to see a session.
#[derive(Clone, PartialEq, Eq)]
pub struct Attach {
    pub session: String,
    pub ticket: Vec<u8>,
    /// The size that the viewer would like, in pixels; 0 leaves it.
    pub width: u32,
    pub height: u32,
    pub cache_bytes: u64,
    /// What the viewer can do: see [`super::features`].
    pub features: u64,
    pub token: Option<Token>,
    pub screen: Option<KnownScreen>,
}

impl std::fmt::Debug for Attach {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Attach({:?}, {}x{})", self.session, self.width, self.height)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attached {
    pub token: Token,
    pub key: HashKey,
    pub width: u32,
    pub height: u32,
    /// The number of the next input event that the session expects.
    pub next_input: u64,
    pub title: String,
    /// Since 1.1; a session of 1.0 is balanced, and has no video.
    pub policy: Policy,
}

/// A cursor's picture: premultiplied R, G, B, A bytes, row by row. Width 0: the cursor is hidden.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Cursor {
    pub width: u16,
    pub height: u16,
    pub hot_x: u16,
    pub hot_y: u16,
    pub rgba: Vec<u8>,
}

/// What the session side measures of the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Path {
    pub round_trip_us: u64,
    pub bytes_per_second: u64,
    pub lost_per_million: u64,
    pub in_flight_bytes: u64,
}

/// A message of the control stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Control {
    Hello {
        major: u64,
        minor: u64,
        role: Role,
        software: String,
    },
    Welcome {
        major: u64,
        minor: u64,
        software: String,
    },
    Attach(Attach),
    Attached(Attached),
    Ack {
        update: u64,
        decode_us: u64,
        missing: Vec<u32>,
    },
    Resize {
        width: u32,
        height: u32,
    },
    Cursor(Cursor),
    CursorAt {
        x: u32,
        y: u32,
    },
    State {
        live: bool,
        text: String,
    },
    InputAck {
        next: u64,
    },
    Proof {
        update: u64,
        root: u64,
    },
    Verdict {
        update: u64,
        agreed: bool,
    },
    HashesWanted {
        update: u64,
    },
    Hashes {
        update: u64,
        hashes: Vec<TileHash>,
    },
    Ping {
        number: u64,
        time_us: u64,
    },
    Pong {
        number: u64,
        ping_time_us: u64,
        time_us: u64,
    },
    Dropped {
        update: u64,
    },
    Path(Path),
    Closing {
        code: CloseCode,
        reason: String,
    },
    Offer {
        session: String,
        title: String,
        secret: Secret,
    },
    Busy {
        busy: bool,
    },
    /// The viewer could not decode a frame of this video: it needs a new one, or tiles. Since 1.1.
    VideoFailed {
        video: u64,
    },
    /// The session's policy is another one from now on. Since 1.1.
    Policy {
        policy: Policy,
    },
    /// What the viewer shows when it dials next. Since 1.2.
    Ticket {
        ticket: Secret,
    },
    /// What an administrator tells whoever sits before the viewer. Since 1.2.
    Message {
        text: String,
    },
    /// Between a host that starts sessions on demand and its gateway. Since 1.3.
    Host(HostMessage),
    /// Whether what the session shows is recorded, from now on. Since 1.3.
    Recorded {
        recorded: bool,
    },
    /// What the viewer may do. Since 1.3, like all that follow.
    Terms(Terms),
    /// Somebody asks to watch: a question to the user.
    WatchAsked {
        ask: u64,
        title: String,
        seat: String,
        administrator: bool,
    },
    /// The question needs no answer any more.
    WatchOver {
        ask: u64,
    },
    WatchAnswer {
        ask: u64,
        admitted: bool,
    },
    /// All who watch now.
    Watchers(Vec<Watcher>),
    WatcherOrder {
        watcher: u64,
        order: WatcherOrder,
    },
    /// A text that was copied: by the session's programs to the viewer, or at the viewer to the session. Since 1.4.
    Clip(ClipText),
    /// What the viewer copied is there before any input that it sends from now on; or it may not be. Since 1.4.
    ClipTaken {
        taken: bool,
    },
    /// The session plays something, so coded; `None`: nothing any more. Since 1.5.
    Sound(Option<SoundFormat>),
    /// Whether the viewer is to be sent what the session plays; until it says so, it is not. Since 1.5.
    SoundWanted {
        wanted: bool,
    },
    /// A picture that was copied, as PNG, in the directions of [`Control::Clip`]: that there is one, or a part that was asked
    /// for. Since 1.6.
    Picture(PicturePart),
    /// The part of a picture that begins there is to come. Since 1.6.
    PictureWanted {
        picture: u64,
        from: u32,
    },
    /// The other gateways at which the session may be had, the one to try first before all others. Since 1.5.
    Gateways(Vec<GatewayAddress>),
    /// This gateway is going: whoever hears it goes on at another one, and leaves this link once it is whole there.
    /// Since 1.5.
    Move,
}

/// A secret that a peer shows; it never reaches a log.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub Vec<u8>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

impl Control {
    /// Appends the message with its type and length.
    pub fn write(&self, out: &mut Vec<u8>) {
        let mut body = Vec::new();
        let kind = self.write_body(&mut body);
        put_varint(out, kind);
        put_bytes(out, &body);
    }

    /// The message as bytes of its own.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out);
        out
    }

    fn write_body(&self, out: &mut Vec<u8>) -> u64 {
        match self {
            Control::Hello { major, minor, role, software } => {
                put_varint(out, *major);
                put_varint(out, *minor);
                out.push(match role {
                    Role::Viewer => 1,
                    Role::Host => 2,
                });
                put_text(out, software, MAX_NAME);
                1
            }
            Control::Welcome { major, minor, software } => {
                put_varint(out, *major);
                put_varint(out, *minor);
                put_text(out, software, MAX_NAME);
                2
            }
            Control::Attach(attach) => {
                write_attach(attach, out);
                3
            }
            Control::Attached(attached) => {
                out.extend_from_slice(&attached.token.0);
                put_u64(out, attached.key.0);
                put_varint(out, attached.width.into());
                put_varint(out, attached.height.into());
                put_varint(out, attached.next_input);
                put_text(out, &attached.title, MAX_NAME);
                put_varint(out, attached.policy.number());
                4
            }
            Control::Ack { update, decode_us, missing } => {
                put_varint(out, *update);
                put_varint(out, *decode_us);
                put_varint(out, missing.len() as u64);
                missing.iter().for_each(|&tile| put_varint(out, tile.into()));
                5
            }
            Control::Resize { width, height } => {
                put_varint(out, (*width).into());
                put_varint(out, (*height).into());
                6
            }
            Control::Cursor(cursor) => {
                for value in [cursor.width, cursor.height, cursor.hot_x, cursor.hot_y] {
                    put_varint(out, value.into());
                }
                out.extend_from_slice(&cursor.rgba);
                7
            }
            Control::CursorAt { x, y } => {
                put_varint(out, (*x).into());
                put_varint(out, (*y).into());
                8
            }
            Control::State { live, text } => {
                out.push((*live).into());
                put_text(out, text, MAX_REASON);
                9
            }
            Control::InputAck { next } => {
                put_varint(out, *next);
                10
            }
            Control::Proof { update, root } => {
                put_varint(out, *update);
                put_u64(out, *root);
                11
            }
            Control::Verdict { update, agreed } => {
                put_varint(out, *update);
                out.push((*agreed).into());
                12
            }
            Control::HashesWanted { update } => {
                put_varint(out, *update);
                13
            }
            Control::Hashes { update, hashes } => {
                put_varint(out, *update);
                put_hashes(out, hashes);
                14
            }
            Control::Ping { number, time_us } => {
                put_varint(out, *number);
                put_varint(out, *time_us);
                15
            }
            Control::Pong { number, ping_time_us, time_us } => {
                put_varint(out, *number);
                put_varint(out, *ping_time_us);
                put_varint(out, *time_us);
                16
            }
            Control::Dropped { update } => {
                put_varint(out, *update);
                17
            }
            Control::Path(path) => {
                put_varint(out, path.round_trip_us);
                put_varint(out, path.bytes_per_second);
                put_varint(out, path.lost_per_million);
                put_varint(out, path.in_flight_bytes);
                18
            }
            Control::Closing { code, reason } => {
                put_varint(out, code.0.into());
                put_text(out, reason, MAX_REASON);
                19
            }
            Control::Offer { session, title, secret } => {
                put_text(out, session, MAX_NAME);
                put_text(out, title, MAX_NAME);
                put_bytes(out, &secret.0);
                20
            }
            Control::Busy { busy } => {
                out.push((*busy).into());
                21
            }
            Control::VideoFailed { video } => {
                put_varint(out, *video);
                22
            }
            Control::Policy { policy } => {
                put_varint(out, policy.number());
                23
            }
            Control::Ticket { ticket } => {
                put_bytes(out, &ticket.0);
                24
            }
            Control::Message { text } => {
                put_text(out, text, MAX_REASON);
                25
            }
            Control::Host(message) => message.write_body(out),
            Control::Recorded { recorded } => {
                out.push((*recorded).into());
                34
            }
            Control::Terms(terms) => {
                terms.write(out);
                28
            }
            Control::WatchAsked { ask, title, seat, administrator } => {
                put_varint(out, *ask);
                put_text(out, title, MAX_NAME);
                put_text(out, seat, MAX_NAME);
                out.push((*administrator).into());
                29
            }
            Control::WatchOver { ask } => {
                put_varint(out, *ask);
                30
            }
            Control::WatchAnswer { ask, admitted } => {
                put_varint(out, *ask);
                out.push((*admitted).into());
                31
            }
            Control::Watchers(watchers) => {
                share::write_watchers(watchers, out);
                32
            }
            Control::WatcherOrder { watcher, order } => {
                put_varint(out, *watcher);
                out.push(order.number());
                33
            }
            Control::Clip(text) => {
                put_text(out, &text.0, MAX_CLIP_TEXT);
                42
            }
            Control::ClipTaken { taken } => {
                out.push((*taken).into());
                43
            }
            Control::Sound(format) => {
                sound::write_format(*format, out);
                44
            }
            Control::SoundWanted { wanted } => {
                out.push((*wanted).into());
                45
            }
            Control::Picture(part) => {
                picture::write_part(part, out);
                46
            }
            Control::PictureWanted { picture, from } => {
                put_varint(out, *picture);
                put_varint(out, (*from).into());
                47
            }
            Control::Gateways(gateways) => {
                gateways::write_gateways(gateways, out);
                48
            }
            Control::Move => 49,
        }
    }

    /// Reads the body of a message of type `kind`; `None` for a type that this version does not know.
    pub fn read(kind: u64, body: &[u8]) -> Result<Option<Control>, WireError> {
        let r = &mut Reader::new(body);
        Ok(Some(match kind {
            1 => Control::Hello {
                major: r.varint("Hello's version")?,
                minor: r.varint("Hello's version")?,
                role: match r.u8("Hello's role")? {
                    1 => Role::Viewer,
                    2 => Role::Host,
                    other => {
                        return Err(WireError::Meaningless { what: "Hello's role", value: other.into() });
                    }
                },
                software: r.text(MAX_NAME, "Hello's software")?,
            },
            2 => Control::Welcome {
                major: r.varint("Welcome's version")?,
                minor: r.varint("Welcome's version")?,
                software: r.text(MAX_NAME, "Welcome's software")?,
            },
            3 => Control::Attach(read_attach(r)?),
            4 => Control::Attached(Attached {
                token: Token(r.bytes16("Attached's token")?),
                key: HashKey(r.u64("Attached's key")?),
                width: side(r, "Attached's width")?,
                height: side(r, "Attached's height")?,
                next_input: r.varint("Attached's input number")?,
                title: r.text(MAX_NAME, "Attached's title")?,
                policy: match r.rest().is_empty() {
                    // A session of version 1.0 does not say.
                    true => Policy::default(),
                    false => policy(r, "Attached's policy")?,
                },
            }),
            5 => {
                let update = r.varint("Ack's update")?;
                let decode_us = r.varint("Ack's time")?;
                let count = r.count(MAX_TILES, "Ack's missing tiles")?;
                // Each tile takes a byte at least, so a short body cannot ask for a long list.
                let count = if count > r.rest().len() {
                    return Err(WireError::Truncated { what: "Ack's missing tiles" });
                } else {
                    count
                };
                let mut missing = Vec::with_capacity(count);
                for _ in 0..count {
                    missing.push(r.bounded(MAX_TILES as u64 - 1, "Ack's missing tile")? as u32);
                }
                Control::Ack { update, decode_us, missing }
            }
            6 => Control::Resize { width: side(r, "Resize's width")?, height: side(r, "Resize's height")? },
            7 => {
                let width = r.bounded(MAX_CURSOR_SIDE, "the cursor's width")? as u16;
                let height = r.bounded(MAX_CURSOR_SIDE, "the cursor's height")? as u16;
                let hot_x = r.bounded(MAX_CURSOR_SIDE, "the cursor's hot spot")? as u16;
                let hot_y = r.bounded(MAX_CURSOR_SIDE, "the cursor's hot spot")? as u16;
                let rgba = r.take(width as usize * height as usize * 4, "the cursor's pixels")?.to_vec();
                Control::Cursor(Cursor { width, height, hot_x, hot_y, rgba })
            }
            8 => Control::CursorAt { x: side(r, "CursorAt's x")?, y: side(r, "CursorAt's y")? },
            9 => Control::State { live: r.flag("State's state")?, text: r.text(MAX_REASON, "State's text")? },
            10 => Control::InputAck { next: r.varint("InputAck's number")? },
            11 => Control::Proof { update: r.varint("Proof's update")?, root: r.u64("Proof's root")? },
            12 => Control::Verdict {
                update: r.varint("Verdict's update")?,
                agreed: r.flag("Verdict's answer")?,
            },
            13 => Control::HashesWanted { update: r.varint("HashesWanted's update")? },
            14 => {
                Control::Hashes { update: r.varint("Hashes' update")?, hashes: hashes(r, "Hashes' hashes")? }
            }
            15 => Control::Ping { number: r.varint("Ping's number")?, time_us: r.varint("Ping's time")? },
            16 => Control::Pong {
                number: r.varint("Pong's number")?,
                ping_time_us: r.varint("Pong's time")?,
                time_us: r.varint("Pong's time")?,
            },
            17 => Control::Dropped { update: r.varint("Dropped's update")? },
            18 => Control::Path(Path {
                round_trip_us: r.varint("Path's round trip")?,
                bytes_per_second: r.varint("Path's rate")?,
                lost_per_million: r.varint("Path's loss")?,
                in_flight_bytes: r.varint("Path's bytes in flight")?,
            }),
            19 => Control::Closing {
                code: CloseCode(r.u32("Closing's code")?),
                reason: r.text(MAX_REASON, "Closing's reason")?,
            },
            20 => Control::Offer {
                session: r.text(MAX_NAME, "Offer's session")?,
                title: r.text(MAX_NAME, "Offer's title")?,
                secret: Secret(r.bytes(MAX_TICKET, "Offer's secret")?.to_vec()),
            },
            21 => Control::Busy { busy: r.flag("Busy's state")? },
            22 => Control::VideoFailed { video: r.varint("VideoFailed's video")? },
            23 => Control::Policy { policy: policy(r, "Policy's policy")? },
            24 => Control::Ticket { ticket: Secret(r.bytes(MAX_TICKET, "Ticket's ticket")?.to_vec()) },
            25 => Control::Message { text: r.text(MAX_REASON, "Message's text")? },
            36..=41 => return Ok(HostMessage::read(kind, r)?.map(Control::Host)),
            34 => Control::Recorded { recorded: r.flag("Recorded")? },
            28 => Control::Terms(Terms::read(r)?),
            29 => Control::WatchAsked {
                ask: r.varint("WatchAsked's question")?,
                title: r.text(MAX_NAME, "WatchAsked's title")?,
                seat: r.text(MAX_NAME, "WatchAsked's seat")?,
                administrator: r.flag("WatchAsked's kind")?,
            },
            30 => Control::WatchOver { ask: r.varint("WatchOver's question")? },
            31 => Control::WatchAnswer {
                ask: r.varint("WatchAnswer's question")?,
                admitted: r.flag("WatchAnswer's answer")?,
            },
            32 => Control::Watchers(share::read_watchers(r)?),
            33 => Control::WatcherOrder {
                watcher: r.varint("WatcherOrder's watcher")?,
                order: WatcherOrder::read(r)?,
            },
            42 => Control::Clip(ClipText(r.text(MAX_CLIP_TEXT, "Clip's text")?)),
            43 => Control::ClipTaken { taken: r.flag("ClipTaken")? },
            44 => Control::Sound(sound::read_format(r)?),
            45 => Control::SoundWanted { wanted: r.flag("SoundWanted")? },
            46 => Control::Picture(picture::read_part(r)?),
            47 => Control::PictureWanted {
                picture: r.varint("PictureWanted's number")?,
                from: r.count(MAX_CLIP_PICTURE, "where PictureWanted begins")? as u32,
            },
            48 => Control::Gateways(gateways::read_gateways(r)?),
            49 => Control::Move,
            _ => return Ok(None),
        }))
    }
}

fn policy(r: &mut Reader, what: &'static str) -> Result<Policy, WireError> {
    let number = r.varint(what)?;
    // A promise that this side does not know, it cannot rely on.
    Policy::of(number).ok_or(WireError::Meaningless { what, value: number })
}

fn write_attach(attach: &Attach, out: &mut Vec<u8>) {
    put_text(out, &attach.session, MAX_NAME);
    put_bytes(out, &attach.ticket);
    put_varint(out, attach.width.into());
    put_varint(out, attach.height.into());
    put_varint(out, attach.cache_bytes);
    put_u64(out, attach.features);
    out.push(attach.token.is_some().into());
    if let Some(token) = &attach.token {
        out.extend_from_slice(&token.0);
    }
    out.push(attach.screen.is_some().into());
    if let Some(screen) = &attach.screen {
        put_u64(out, screen.key.0);
        put_varint(out, screen.width.into());
        put_varint(out, screen.height.into());
        put_hashes(out, &screen.hashes);
    }
}

fn read_attach(r: &mut Reader) -> Result<Attach, WireError> {
    Ok(Attach {
        session: r.text(MAX_NAME, "Attach's session")?,
        ticket: r.bytes(MAX_TICKET, "Attach's ticket")?.to_vec(),
        width: side(r, "Attach's width")?,
        height: side(r, "Attach's height")?,
        cache_bytes: r.varint("Attach's cache")?,
        features: r.u64("Attach's features")?,
        token: match r.flag("Attach's token")? {
            true => Some(Token(r.bytes16("Attach's token")?)),
            false => None,
        },
        screen: match r.flag("Attach's screen")? {
            true => Some(KnownScreen {
                key: HashKey(r.u64("Attach's hash key")?),
                width: side(r, "Attach's known width")?,
                height: side(r, "Attach's known height")?,
                hashes: hashes(r, "Attach's hashes")?,
            }),
            false => None,
        },
    })
}

/// Cuts a control stream into messages, whatever pieces it comes in. Holds at most one message.
#[derive(Default)]
pub struct ControlReader {
    buffer: Vec<u8>,
    start: usize,
}

impl ControlReader {
    pub fn new() -> Self {
        ControlReader::default()
    }

    /// Takes in the next bytes of the stream. Call [`ControlReader::next`] until it has no more.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.start);
        self.start = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole message; types unknown to this version are passed over.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<Control>, WireError> {
        loop {
            let mut reader = Reader::new(&self.buffer[self.start..]);
            let Ok(kind) = reader.varint("a control message's type") else { return Ok(None) };
            let length = match reader.count(MAX_CONTROL, "a control message's length") {
                Err(WireError::Truncated { .. }) => return Ok(None),
                other => other?,
            };
            let Ok(body) = reader.take(length, "a control message") else { return Ok(None) };
            let message = Control::read(kind, body);
            self.start = self.buffer.len() - reader.rest().len();
            if let Some(message) = message? {
                return Ok(Some(message));
            }
        }
    }
}
