//! What arrives on a connection: control, input and update streams, datagrams.

use super::line::{Copy, Known, Which};
use super::parity::{Mending, Piece};
use super::{CHUNK, closed, lost_reading};
use crate::link::{Closed, Incoming, Link};
use crate::wire::{CloseCode, Control, ControlReader, InputReader, Motion, SoundPacket, stream_kind};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, mpsc};
use web_transport_quinn::{RecvStream, Session};

const CHUNKS: usize = 32;
/// Updates whose parity is kept: it nearly always comes after all of its update, and is not asked for.
const MOST_PIECES: usize = 32;
/// Copies that wait to be looked at.
const MOST_COPIES: usize = 32;
/// Streams that were not seen yet when the whole update came as its parity.
const MOST_FORESTALLED: usize = 256;

pub(super) async fn read_control(
    mut stream: RecvStream,
    spares: &Spares,
    arrived: mpsc::Sender<Incoming>,
) -> Result<(), Closed> {
    let mut reader = ControlReader::new();
    let mut parting = None;
    let mut known = Known::default();
    while let Some(bytes) = read_line(&mut stream, &mut known, spares, Which::Control).await? {
        reader.push(&bytes);
        while let Some(message) = reader.next().map_err(|error| Closed::violation(&error))? {
            if let Control::Closing { code, reason } = &message {
                parting = Some(Closed::by_peer(*code, reason));
            }
            if arrived.send(Incoming::Control(message)).await.is_err() {
                return Ok(());
            }
        }
    }
    Err(parting.unwrap_or_else(|| Closed::by_peer(CloseCode::DONE, "the control stream ended")))
}

/// The next bytes of a stream of small messages, from itself or from copies; `None` at its end.
async fn read_line(
    stream: &mut RecvStream,
    known: &mut Known,
    spares: &Spares,
    which: Which,
) -> Result<Option<Bytes>, Closed> {
    loop {
        let news = spares.news.notified();
        while let Some((offset, bytes)) = spares.take_copy(which) {
            let new = known.copied(offset, bytes);
            if !new.is_empty() {
                return Ok(Some(new));
            }
        }
        tokio::select! {
            biased;
            chunk = stream.read_chunk(CHUNK, true) => {
                let Some(chunk) = chunk.map_err(lost_reading)? else { return Ok(None) };
                let new = known.read(chunk.bytes);
                if !new.is_empty() {
                    return Ok(Some(new));
                }
            }
            () = news => {}
        }
    }
}

/// The parity and the copies that came, for whoever reads what they are of.
#[derive(Default)]
pub(super) struct Spares {
    state: Mutex<State>,
    news: Notify,
}

#[derive(Default)]
struct State {
    pieces: BTreeMap<u64, Vec<Piece>>,
    control: VecDeque<(u64, Bytes)>,
    input: VecDeque<(u64, Bytes)>,
    /// The stream that is accepted next: of it and later ones nothing has come.
    next: u64,
    /// Updates that came as their parity, before their streams.
    forestalled: BTreeSet<u64>,
}

impl State {
    fn copies(&mut self, which: Which) -> &mut VecDeque<(u64, Bytes)> {
        if which == Which::Control { &mut self.control } else { &mut self.input }
    }
}

impl Spares {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A stream was accepted; whether its update is there already.
    fn accept(&self, stream: u64) -> bool {
        let mut state = self.state();
        state.next = stream + 1;
        state.forestalled.remove(&stream)
    }

    /// A piece came: the update itself if that is what it is and nothing of the update's stream has come.
    fn put(&self, piece: Piece) -> Option<Bytes> {
        let mut state = self.state();
        let unseen = piece.stream >= state.next && state.forestalled.len() < MOST_FORESTALLED;
        if piece.is_whole() && unseen {
            return state.forestalled.insert(piece.stream).then_some(piece.bytes);
        }
        state.pieces.entry(piece.stream).or_default().push(piece);
        if state.pieces.len() > MOST_PIECES {
            state.pieces.pop_first();
        }
        drop(state);
        self.news.notify_waiters();
        None
    }

    fn put_copy(&self, copy: Copy) {
        let mut state = self.state();
        let copies = state.copies(copy.which);
        // One that finds no room is of bytes that the stream brings as well.
        if copies.len() < MOST_COPIES {
            copies.push_back((copy.offset, copy.bytes));
        }
        drop(state);
        self.news.notify_waiters();
    }

    fn take_copy(&self, which: Which) -> Option<(u64, Bytes)> {
        self.state().copies(which).pop_front()
    }

    fn take(&self, stream: u64) -> Vec<Piece> {
        self.state().pieces.remove(&stream).unwrap_or_default()
    }
}

pub(super) async fn read_datagrams(
    session: Session,
    link: Link,
    spares: Arc<Spares>,
    arrived: mpsc::Sender<Incoming>,
) -> Result<(), Closed> {
    loop {
        let datagram = session.read_datagram().await.map_err(closed)?;
        let violation = |error| Closed::violation(&error);
        let result = if let Some(piece) = Piece::read(&datagram).map_err(violation)? {
            if !link.expects_updates() {
                continue;
            }
            let Some(whole) = spares.put(piece) else { continue };
            let mut update = Vec::new();
            link.gather(&mut update, &whole)?;
            arrived.send(Incoming::Update(update.into())).await.is_ok()
        } else if let Some(copy) = Copy::read(&datagram).map_err(violation)? {
            spares.put_copy(copy);
            true
        } else if let Some(motion) = Motion::read(&datagram).map_err(violation)? {
            // A motion that finds no room is out of date by the time there is.
            let sent = arrived.try_send(Incoming::Motion(motion));
            !matches!(sent, Err(mpsc::error::TrySendError::Closed(_)))
        } else if let Some(packet) = SoundPacket::read(&datagram).map_err(violation)? {
            if !link.expects_updates() {
                continue;
            }
            // What finds no room would be played too late.
            let sent = arrived.try_send(Incoming::Sound(packet));
            !matches!(sent, Err(mpsc::error::TrySendError::Closed(_)))
        } else {
            true
        };
        if !result {
            return Ok(());
        }
    }
}

pub(super) async fn read_streams(
    session: Session,
    link: Link,
    spares: Arc<Spares>,
    arrived: mpsc::Sender<Incoming>,
) -> Result<(), Closed> {
    loop {
        let stream = session.accept_uni().await.map_err(closed)?;
        let here_already = spares.accept(stream.quic_id().index());
        let (link, spares, arrived) = (link.clone(), spares.clone(), arrived.clone());
        tokio::spawn(async move {
            let result = match here_already {
                true => {
                    drain(stream).await;
                    Ok(())
                }
                false => read_stream(stream, &link, &spares, arrived).await,
            };
            if let Err(closed) = result {
                link.end(closed);
            }
        });
    }
}

/// What comes of an update that is there already is not needed.
async fn drain(mut stream: RecvStream) {
    while let Ok(Some(_)) = stream.read_chunk(CHUNK, false).await {}
}

async fn read_stream(
    mut stream: RecvStream,
    link: &Link,
    spares: &Spares,
    arrived: mpsc::Sender<Incoming>,
) -> Result<(), Closed> {
    let id = stream.quic_id().index();
    let first = loop {
        let news = spares.news.notified();
        let pieces = spares.take(id);
        if !pieces.is_empty() {
            return mend(stream, Mending::new(Vec::new()), pieces, link, spares, arrived).await;
        }
        tokio::select! {
            biased;
            first = stream.read_chunk(CHUNK, true) => {
                let Ok(Some(first)) = first else { return Ok(()) };
                break first.bytes;
            }
            () = news => {}
        }
    };
    match first.first().copied().map(u64::from) {
        Some(stream_kind::INPUT) => {
            link.begin_input()?;
            read_input(stream, first, spares, arrived).await
        }
        Some(kind) if stream_kind::is_update(kind) => gather(stream, first, link, spares, arrived).await,
        // Streams of a kind that this version does not know are passed over.
        _ => {
            let _ = stream.stop(0);
            Ok(())
        }
    }
}

async fn read_input(
    mut stream: RecvStream,
    first: Bytes,
    spares: &Spares,
    arrived: mpsc::Sender<Incoming>,
) -> Result<(), Closed> {
    let mut reader = InputReader::new();
    let mut known = Known::default();
    let mut next = Some(known.read(first));
    while let Some(bytes) = next {
        reader.push(&bytes);
        while let Some((number, event)) = reader.next().map_err(|error| Closed::violation(&error))? {
            if arrived.send(Incoming::Input(number, event)).await.is_err() {
                return Ok(());
            }
        }
        next = read_line(&mut stream, &mut known, spares, Which::Input).await?;
    }
    Ok(())
}

/// Reads an update stream to its end.
async fn gather(
    mut stream: RecvStream,
    first: Bytes,
    link: &Link,
    spares: &Spares,
    arrived: mpsc::Sender<Incoming>,
) -> Result<(), Closed> {
    let id = stream.quic_id().index();
    let mut gathered = Vec::new();
    link.gather(&mut gathered, &first)?;
    // A packet fills a chunk: many are taken at once, so that the connection is locked once for all of them.
    let mut chunks: [Bytes; CHUNKS] = Default::default();
    loop {
        let news = spares.news.notified();
        let pieces = spares.take(id);
        if !pieces.is_empty() {
            return mend(stream, Mending::new(gathered), pieces, link, spares, arrived).await;
        }
        let read = tokio::select! {
            biased;
            read = stream.read_chunks(&mut chunks) => read,
            () = news => continue,
        };
        match read {
            Ok(Some(count)) => {
                for chunk in &mut chunks[..count] {
                    link.gather(&mut gathered, &std::mem::take(chunk))?;
                }
            }
            Ok(None) => {
                let _ = arrived.send(Incoming::Update(gathered.into())).await;
                return Ok(());
            }
            // A reset: the session says Dropped for it. A lost connection is told by the other tasks.
            Err(_) => {
                link.abandoned(gathered.len());
                return Ok(());
            }
        }
    }
}

/// Goes on with an update whose parity came before all of it did.
async fn mend(
    mut stream: RecvStream,
    mut mending: Mending,
    mut pieces: Vec<Piece>,
    link: &Link,
    spares: &Spares,
    arrived: mpsc::Sender<Incoming>,
) -> Result<(), Closed> {
    let id = stream.quic_id().index();
    loop {
        let news = spares.news.notified();
        pieces.extend(spares.take(id));
        pieces.drain(..).for_each(|piece| mending.add_piece(piece));
        let received = mending.received();
        let mended = mending.mend();
        if mended {
            link.count(mending.received() - received, mending.received())?;
        } else {
            let read = tokio::select! {
                biased;
                read = stream.read_chunk(CHUNK, false) => read,
                () = news => continue,
            };
            match read {
                Ok(Some(chunk)) => {
                    let (offset, length) = (chunk.offset as usize, chunk.bytes.len());
                    link.count(length, offset.saturating_add(length))?;
                    mending.add(offset, &chunk.bytes);
                    continue;
                }
                Ok(None) => {}
                Err(_) => {
                    link.abandoned(received);
                    return Ok(());
                }
            }
        }
        let update = mending.into_bytes();
        if update.first().is_some_and(|&kind| stream_kind::is_update(kind.into())) {
            let _ = arrived.send(Incoming::Update(update.into())).await;
        } else {
            link.abandoned(update.len());
        }
        drain(stream).await;
        return Ok(());
    }
}
