//! The WebSocket road: one ordered connection that carries the control stream, update streams in pieces,
//! input and motions. What matters most is written first, and an update that is out of date is cut short.

use super::{Closed, EXPORTER_LABEL, Exporter, Inbox, Incoming, Link, Outgoing, Road, Transport};
use crate::wire::limits::MAX_STREAMS;
use crate::wire::{CloseCode, ControlReader, Frame, InputReader, Motion, Path, SoundPacket};
use crate::wire::{read_frame, stream_kind, write_frame};
use bytes::Bytes;
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;
use tokio::sync::mpsc;

/// Payload of one frame of an update: small enough that a keystroke's answer never waits long behind it.
const PIECE: usize = 16 << 10;
/// How long a closing link may still send what it holds.
const FAREWELL: Duration = Duration::from_millis(200);
const SUPERSEDED: u64 = 1;
/// Frames taken over for writing; what is beyond waits in the outbox, which has a bound.
const MOST_URGENT: usize = 256;
/// Added to a close code for WebSocket's own closing.
const CODES_FROM: u32 = 4_000;
/// WebSocket's own closing carries a reason of at most this many bytes.
const MAX_CLOSE_REASON: usize = 120;

/// Why a WebSocket failed, in its library's words.
pub type WebSocketFault = Box<dyn std::error::Error + Send + Sync>;

/// What is written to a WebSocket.
pub enum Written {
    /// A binary message.
    Frame(Bytes),
    /// The closing, with its code and reason.
    Close(u16, String),
}

/// TCP tells nothing of its path, and a frame is read only when there is room for what it holds.
struct Tcp {
    exporter: Option<Exporter>,
}

impl Transport for Tcp {
    fn path(&self) -> Option<Path> {
        None
    }

    fn expect_updates(&self) {}

    fn exporter(&self) -> Option<Exporter> {
        self.exporter
    }
}

/// What binds to the TLS session under a WebSocket, on either side of it.
pub fn exporter_of<Data>(tls: &rustls::ConnectionCommon<Data>) -> Option<Exporter> {
    tls.export_keying_material(Exporter::default(), EXPORTER_LABEL, None).ok()
}

/// Makes a link of an open WebSocket, as a sink and a stream of its binary messages. `exporter` is of the TLS session
/// under it, if there is one.
pub fn join(
    sink: impl Sink<Written, Error = WebSocketFault> + Send + Unpin + 'static,
    mut stream: impl Stream<Item = Result<Bytes, WebSocketFault>> + Send + Unpin + 'static,
    exporter: Option<Exporter>,
) -> (Link, Inbox) {
    let (link, inbox, to_send, arrived) = Link::new(Road::WebSocket, Tcp { exporter });
    tokio::spawn(write_all(sink, link.clone(), to_send));
    let reading = link.clone();
    tokio::spawn(async move {
        let mut ended = reading.watch_end();
        let closed = tokio::select! {
            closed = read_all(&mut stream, &reading, arrived) => closed,
            _ = ended.wait_for(Option::is_some) => Closed::lost(""),
        };
        reading.end(closed);
        // TCP forgets what it was to send, the reason above all, if it is closed over unread bytes.
        let drained = async { while let Some(Ok(_)) = stream.next().await {} };
        let _ = tokio::time::timeout(FAREWELL, drained).await;
    });
    (link, inbox)
}

struct Update {
    stream: u64,
    bytes: Bytes,
    written: usize,
}

/// What is to be written, in order of importance.
#[derive(Default)]
struct Queue {
    urgent: std::collections::VecDeque<Vec<u8>>,
    updates: BTreeMap<u64, Update>,
    input_stream: Option<u64>,
    streams: u64,
}

impl Queue {
    /// Whether there is room for another message from the outbox.
    fn has_room(&self) -> bool {
        self.urgent.len() < MOST_URGENT
    }

    fn control(&mut self, bytes: &[u8]) {
        for piece in bytes.chunks(PIECE) {
            let mut frame = Vec::with_capacity(piece.len() + 1);
            write_frame(&mut frame, &Frame::Control(piece));
            self.urgent.push_back(frame);
        }
    }

    fn take(&mut self, message: Outgoing, link: &Link) {
        let mut frame = Vec::new();
        match message {
            Outgoing::Control(bytes) => {
                link.control_left(bytes.len());
                return self.control(&bytes);
            }
            Outgoing::Input(bytes) => {
                let stream = self.input_stream.unwrap_or_else(|| self.new_stream());
                self.input_stream = Some(stream);
                write_frame(&mut frame, &Frame::Stream { stream, end: false, data: &bytes });
            }
            Outgoing::Datagram(bytes) | Outgoing::Sound(bytes) => {
                write_frame(&mut frame, &Frame::Datagram(&bytes));
            }
            Outgoing::Update { number, stream: bytes } => {
                let stream = self.new_stream();
                self.updates.insert(number, Update { stream, bytes, written: 0 });
                return;
            }
            Outgoing::Reset { number } => match self.updates.remove(&number) {
                Some(update) if update.written > 0 => {
                    write_frame(&mut frame, &Frame::Reset { stream: update.stream, code: SUPERSEDED });
                }
                _ => return,
            },
        }
        self.urgent.push_back(frame);
    }

    fn new_stream(&mut self) -> u64 {
        self.streams += 1;
        self.streams - 1
    }

    fn next(&mut self) -> Option<Vec<u8>> {
        if let Some(frame) = self.urgent.pop_front() {
            return Some(frame);
        }
        let mut first = self.updates.first_entry()?;
        let update = first.get_mut();
        let end = (update.written + PIECE).min(update.bytes.len());
        let data = &update.bytes[update.written..end];
        let mut frame = Vec::with_capacity(data.len() + 10);
        let last = end == update.bytes.len();
        write_frame(&mut frame, &Frame::Stream { stream: update.stream, end: last, data });
        update.written = end;
        if last {
            first.remove();
        }
        Some(frame)
    }
}

async fn write_all(
    mut sink: impl Sink<Written, Error = WebSocketFault> + Unpin,
    link: Link,
    mut to_send: mpsc::Receiver<Outgoing>,
) {
    let mut ended = link.watch_end();
    let mut queue = Queue::default();
    let written = loop {
        while queue.has_room()
            && let Ok(message) = to_send.try_recv()
        {
            queue.take(message, &link);
        }
        if link.closed().is_some() {
            break Ok(());
        }
        let written = match queue.next() {
            Some(frame) => {
                let sound = is_sound(&frame);
                let written = tokio::select! {
                    written = sink.send(Written::Frame(frame.into())) => written,
                    _ = ended.wait_for(Option::is_some) => break Ok(()),
                };
                if sound {
                    link.sound_left();
                }
                written
            }
            None => tokio::select! {
                biased;
                message = to_send.recv() => match message {
                    Some(message) => { queue.take(message, &link); Ok(()) }
                    None => break Ok(()),
                },
                _ = ended.wait_for(Option::is_some) => break Ok(()),
            },
        };
        if written.is_err() {
            break written;
        }
    };
    if let Err(error) = written {
        // A sink that has failed must not be used again.
        return link.end(Closed::lost(error.to_string()));
    }
    let farewell = async {
        while let Ok(message) = to_send.try_recv() {
            queue.take(message, &link);
        }
        if let Some(bytes) = link.farewell() {
            // It never was in the outbox, whose bytes are counted.
            queue.control(&bytes);
        }
        while let Some(frame) = queue.urgent.pop_front() {
            sink.send(Written::Frame(frame.into())).await?;
        }
        sink.send(closing(link.closed())).await?;
        sink.close().await
    };
    let _ = tokio::time::timeout(FAREWELL, farewell).await;
}

/// Whether a frame is a datagram of sound.
fn is_sound(frame: &[u8]) -> bool {
    matches!(read_frame(frame), Ok(Some(Frame::Datagram([SoundPacket::KIND, ..]))))
}

fn closing(closed: Option<Closed>) -> Written {
    let (code, mut reason) = closed.map_or((CloseCode::DONE, String::new()), |c| (c.code, c.reason));
    reason.truncate(reason.floor_char_boundary(MAX_CLOSE_REASON));
    // Codes that a peer made up do not fit WebSocket's range.
    let code = CODES_FROM + if code.0 < 1_000 { code.0 } else { CloseCode::PROTOCOL.0 };
    Written::Close(code as u16, reason)
}

enum Arriving {
    Input(InputReader),
    Update(Vec<u8>),
    Unknown,
}

async fn read_all(
    stream: &mut (impl Stream<Item = Result<Bytes, WebSocketFault>> + Unpin),
    link: &Link,
    arrived: mpsc::Sender<Incoming>,
) -> Closed {
    let mut control = ControlReader::new();
    let mut streams: HashMap<u64, Arriving> = HashMap::new();
    while let Some(message) = stream.next().await {
        let message = match message {
            Ok(message) => message,
            Err(error) => return Closed::lost(error.to_string()),
        };
        let taken = match read_frame(&message) {
            Ok(Some(frame)) => take_frame(frame, &mut control, &mut streams, link, &arrived).await,
            Ok(None) => Ok(()),
            Err(error) => Err(Closed::violation(&error)),
        };
        if let Err(closed) = taken {
            return closed;
        }
    }
    Closed::lost("the connection ended")
}

async fn take_frame(
    frame: Frame<'_>,
    control: &mut ControlReader,
    streams: &mut HashMap<u64, Arriving>,
    link: &Link,
    arrived: &mpsc::Sender<Incoming>,
) -> Result<(), Closed> {
    let violation = |error| Closed::violation(&error);
    let gone = |_| Closed::lost("nobody reads this link");
    match frame {
        Frame::Control(bytes) => {
            control.push(bytes);
            while let Some(message) = control.next().map_err(violation)? {
                arrived.send(Incoming::Control(message)).await.map_err(gone)?;
            }
        }
        Frame::Datagram(bytes) => {
            if let Some(motion) = Motion::read(bytes).map_err(violation)? {
                // A motion that finds no room is out of date by the time there is.
                let _ = arrived.try_send(Incoming::Motion(motion));
            } else if link.expects_updates()
                && let Some(packet) = SoundPacket::read(bytes).map_err(violation)?
            {
                let _ = arrived.try_send(Incoming::Sound(packet));
            }
        }
        Frame::Reset { stream, .. } => {
            if let Some(Arriving::Update(gathered)) = streams.remove(&stream) {
                link.abandoned(gathered.len());
            }
        }
        Frame::Stream { stream, end, data } => {
            if !streams.contains_key(&stream) {
                if streams.len() >= MAX_STREAMS {
                    return Err(Closed {
                        code: crate::wire::CloseCode::LIMIT,
                        reason: "too many streams at once".into(),
                        by_peer: false,
                    });
                }
                streams.insert(stream, begin(data, link)?);
            }
            match streams.get_mut(&stream) {
                Some(Arriving::Input(reader)) => {
                    reader.push(data);
                    while let Some((number, event)) = reader.next().map_err(violation)? {
                        arrived.send(Incoming::Input(number, event)).await.map_err(gone)?;
                    }
                }
                Some(Arriving::Update(gathered)) => link.gather(gathered, data)?,
                Some(Arriving::Unknown) | None => {}
            }
            if end && let Some(Arriving::Update(gathered)) = streams.remove(&stream) {
                arrived.send(Incoming::Update(gathered.into())).await.map_err(gone)?;
            }
        }
    }
    Ok(())
}

fn begin(data: &[u8], link: &Link) -> Result<Arriving, Closed> {
    Ok(match data.first().copied().map(u64::from) {
        Some(stream_kind::INPUT) => {
            link.begin_input()?;
            Arriving::Input(InputReader::new())
        }
        Some(kind) if stream_kind::is_update(kind) => Arriving::Update(Vec::new()),
        _ => Arriving::Unknown,
    })
}
