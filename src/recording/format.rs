//! What stands in a recording, before it is encrypted: a viewer's control messages and update streams, each with its time,
//! whole screens to begin from, and where those are. Pure; `docs/recording.md` describes the same in words.

use crate::wire::limits::{MAX_CONTROL, MAX_NAME, MAX_UPDATE};
use crate::wire::{Control, Reader, WireError, put_bytes, put_text, put_u64, put_varint};

/// The first bytes.
pub const MAGIC: &[u8; 8] = b"CHEVREC1";
/// The last eight bytes of a recording that was ended; eight bytes before them say where its index is.
const END: &[u8; 8] = b"CHEVEND1";
/// The end's bytes.
pub const END_BYTES: usize = 16;
/// One record, in bytes: a whole screen in many updates is the largest.
pub const MAX_RECORD: usize = 2 * MAX_UPDATE;
/// Whole screens in an index.
pub const MAX_KEYS: usize = 1 << 20;
/// A time of a recording: ten years, in microseconds.
const MAX_TIME_US: u64 = 10 * 366 * 86_400 * 1_000_000;

mod kind {
    pub const HEADER: u64 = 0;
    pub const KEY: u64 = 1;
    pub const CONTROL: u64 = 2;
    pub const UPDATE: u64 = 3;
    pub const PADDING: u64 = 4;
    pub const PERSON: u64 = 5;
    pub const INDEX: u64 = 6;
    pub const END: u64 = 7;
}

/// Why bytes are no recording, or not as they were written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    #[error("this is no recording of a chevet session")]
    Magic,
    #[error("{0}")]
    Wire(#[from] WireError),
    #[error("a recording begins with its header and a whole screen; this one does not")]
    Beginning,
    #[error("a message of a type that no recording holds stands in it")]
    Unexpected,
}

/// What the recording is of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// Time 0, in milliseconds since 1970.
    pub began_unix_ms: u64,
    pub session: String,
    pub title: String,
    pub software: String,
}

/// Something that a viewer was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    Control(Control),
    Update(Vec<u8>),
}

/// Somebody who is recorded came or went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Person {
    pub came: bool,
    pub name: String,
    pub title: String,
    pub seat: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    Header(Header),
    /// The messages that bring a new viewer to the whole screen: nothing before them is needed for what comes.
    Key(Vec<Message>),
    Message(Message),
    Person(Person),
    Index(Index),
    End,
}

/// Where the whole screens are: time in microseconds and offset in bytes of each, ascending.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Index {
    pub keys: Vec<(u64, u64)>,
    /// The time of the last record.
    pub ends_us: u64,
}

impl Index {
    /// The last whole screen at or before a time; the first one if there is none.
    pub fn before(&self, time_us: u64) -> Option<(u64, u64)> {
        let after = self.keys.partition_point(|&(at, _)| at <= time_us);
        self.keys.get(after.saturating_sub(1)).copied()
    }
}

/// Writes a recording, record by record, and remembers what its index needs.
#[derive(Default)]
pub struct Writer {
    time_us: u64,
    written: u64,
    index: Index,
}

impl Writer {
    /// The recording's beginning.
    pub fn begin(&mut self, header: &Header, out: &mut Vec<u8>) {
        let from = out.len();
        out.extend_from_slice(MAGIC);
        let mut body = Vec::new();
        put_u64(&mut body, header.began_unix_ms);
        for text in [&header.session, &header.title, &header.software] {
            put_text(&mut body, text, MAX_NAME);
        }
        self.written += (out.len() - from) as u64;
        self.record(kind::HEADER, 0, &body, out);
    }

    /// A whole screen at this time.
    pub fn key(&mut self, time_us: u64, messages: &[Message], out: &mut Vec<u8>) {
        let time_us = self.at(time_us);
        if self.index.keys.len() < MAX_KEYS {
            self.index.keys.push((time_us, self.written));
        }
        let mut body = Vec::new();
        put_varint(&mut body, time_us);
        for message in messages {
            let (kind, bytes) = bytes_of(message);
            put_varint(&mut body, kind);
            put_bytes(&mut body, &bytes);
        }
        self.record(kind::KEY, time_us, &body, out);
    }

    pub fn message(&mut self, time_us: u64, message: &Message, out: &mut Vec<u8>) {
        let (kind, bytes) = bytes_of(message);
        self.record(kind, time_us, &bytes, out);
    }

    pub fn person(&mut self, time_us: u64, person: &Person, out: &mut Vec<u8>) {
        let mut body = vec![u8::from(person.came)];
        for text in [&person.name, &person.title, &person.seat] {
            put_text(&mut body, text, MAX_NAME);
        }
        self.record(kind::PERSON, time_us, &body, out);
    }

    /// Bytes that mean nothing, until there are at least `until` in all.
    pub fn padding(&mut self, until: u64, out: &mut Vec<u8>) {
        let lacking = until.saturating_sub(self.written).min(MAX_RECORD as u64 / 2);
        self.record(kind::PADDING, self.time_us, &vec![0; lacking as usize], out);
    }

    /// The recording's end: where its whole screens are.
    pub fn end(&mut self, out: &mut Vec<u8>) {
        let at = self.written;
        let mut body = Vec::new();
        put_varint(&mut body, self.time_us);
        put_varint(&mut body, self.index.keys.len() as u64);
        for &(time, offset) in &self.index.keys {
            put_varint(&mut body, time);
            put_varint(&mut body, offset);
        }
        self.record(kind::INDEX, self.time_us, &body, out);
        let mut end = Vec::with_capacity(END_BYTES);
        put_u64(&mut end, at);
        end.extend_from_slice(END);
        self.record(kind::END, self.time_us, &end, out);
    }

    /// Bytes written so far.
    pub fn written(&self) -> u64 {
        self.written
    }

    fn at(&self, time_us: u64) -> u64 {
        time_us.clamp(self.time_us, MAX_TIME_US)
    }

    fn record(&mut self, kind: u64, time_us: u64, body: &[u8], out: &mut Vec<u8>) {
        let (from, time_us) = (out.len(), self.at(time_us));
        put_varint(out, kind);
        put_varint(out, time_us - self.time_us);
        put_bytes(out, body);
        self.time_us = time_us;
        self.written += (out.len() - from) as u64;
    }
}

fn bytes_of(message: &Message) -> (u64, std::borrow::Cow<'_, [u8]>) {
    match message {
        Message::Control(control) => (kind::CONTROL, control.to_bytes().into()),
        Message::Update(stream) => (kind::UPDATE, stream.into()),
    }
}

/// Reads a recording from bytes that are handed over piece by piece, from its beginning or from a whole screen on.
#[derive(Default)]
pub struct Parser {
    held: Vec<u8>,
    read: usize,
    /// The offset of `held[read]` in the recording.
    offset: u64,
    time_us: u64,
    begun: bool,
}

/// A record, when it was, and where it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timed {
    pub time_us: u64,
    pub offset: u64,
    pub record: Record,
}

impl Parser {
    /// For bytes from the recording's beginning on.
    pub fn new() -> Parser {
        Parser::default()
    }

    /// For bytes from this offset on, where a whole screen or the index stands.
    pub fn at(offset: u64) -> Parser {
        Parser { offset, begun: true, ..Parser::default() }
    }

    pub fn feed(&mut self, bytes: &[u8]) {
        if self.read > 0 {
            self.held.drain(..self.read);
            self.read = 0;
        }
        self.held.extend_from_slice(bytes);
    }

    /// The next record, if all of it is there.
    pub fn take(&mut self) -> Result<Option<Timed>, FormatError> {
        if !self.begun {
            let Some(magic) = self.held.get(..MAGIC.len()) else { return Ok(None) };
            if magic != MAGIC {
                return Err(FormatError::Magic);
            }
            (self.read, self.offset, self.begun) = (MAGIC.len(), MAGIC.len() as u64, true);
        }
        loop {
            let held = &self.held[self.read..];
            let mut reader = Reader::new(held);
            let Some((kind, passed_us, length)) = head(&mut reader)? else { return Ok(None) };
            let start = held.len() - reader.rest().len();
            let Some(body) = held.get(start..start + length) else { return Ok(None) };
            let offset = self.offset;
            let mut time_us = (self.time_us + passed_us).min(MAX_TIME_US);
            let record = read(kind, body, &mut time_us)?;
            self.time_us = time_us;
            self.read += start + length;
            self.offset += (start + length) as u64;
            if let Some(record) = record {
                return Ok(Some(Timed { time_us, offset, record }));
            }
        }
    }

    /// Bytes that were handed over and belong to no whole record yet.
    pub fn left(&self) -> usize {
        self.held.len() - self.read
    }
}

/// Kind, time since the record before, and length of a record; `None` if they are not all there.
fn head(reader: &mut Reader) -> Result<Option<(u64, u64, usize)>, FormatError> {
    let mut values = [0; 3];
    for (value, limit) in values.iter_mut().zip([u64::MAX, MAX_TIME_US, MAX_RECORD as u64]) {
        *value = match reader.bounded(limit, "a record") {
            Ok(value) => value,
            Err(WireError::Truncated { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
    }
    Ok(Some((values[0], values[1], values[2] as usize)))
}

/// `None` for padding, and for what this version does not know.
fn read(kind: u64, body: &[u8], time_us: &mut u64) -> Result<Option<Record>, FormatError> {
    let r = &mut Reader::new(body);
    Ok(Some(match kind {
        kind::HEADER => Record::Header(Header {
            began_unix_ms: r.u64("the recording's beginning")?,
            session: r.text(MAX_NAME, "the session's name")?,
            title: r.text(MAX_NAME, "the session's title")?,
            software: r.text(MAX_NAME, "the recording's software")?,
        }),
        kind::KEY => {
            *time_us = r.bounded(MAX_TIME_US, "a whole screen's time")?;
            let mut messages = Vec::new();
            while !r.is_empty() {
                let kind = r.varint("a message's type")?;
                messages.extend(message(kind, r.bytes(MAX_UPDATE, "a message")?)?);
            }
            Record::Key(messages)
        }
        kind::CONTROL | kind::UPDATE => match message(kind, body)? {
            Some(message) => Record::Message(message),
            None => return Ok(None),
        },
        kind::PERSON => Record::Person(Person {
            came: r.flag("whether somebody came")?,
            name: r.text(MAX_NAME, "a person's name")?,
            title: r.text(MAX_NAME, "a person's name")?,
            seat: r.text(MAX_NAME, "a seat")?,
        }),
        kind::INDEX => {
            let ends_us = r.bounded(MAX_TIME_US, "the recording's end")?;
            let count = r.count(MAX_KEYS.min(body.len()), "whole screens")?;
            let mut keys = Vec::with_capacity(count);
            for _ in 0..count {
                keys.push((r.varint("a whole screen's time")?, r.varint("a whole screen's place")?));
            }
            Record::Index(Index { keys, ends_us })
        }
        kind::END => Record::End,
        _ => return Ok(None),
    }))
}

fn message(kind: u64, bytes: &[u8]) -> Result<Option<Message>, FormatError> {
    match kind {
        kind::CONTROL => {
            let r = &mut Reader::new(bytes);
            let kind = r.varint("a control message's type")?;
            let body = r.bytes(MAX_CONTROL, "a control message")?;
            Ok(Control::read(kind, body)?.map(Message::Control))
        }
        kind::UPDATE if bytes.len() <= MAX_UPDATE => Ok(Some(Message::Update(bytes.to_vec()))),
        _ => Err(FormatError::Unexpected),
    }
}

/// Where the index is, by a recording's last [`END_BYTES`] bytes; `None` if it was not ended.
pub fn index_offset(last: &[u8]) -> Option<u64> {
    let (offset, end) = last.split_first_chunk::<8>()?;
    (end == END).then_some(u64::from_le_bytes(*offset))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn state(text: &str) -> Message {
        Message::Control(Control::State { live: false, text: text.into() })
    }

    fn sample() -> (Vec<u8>, Vec<Timed>) {
        let (mut writer, mut out) = (Writer::default(), Vec::new());
        let header = Header { began_unix_ms: 7, session: "desk".into(), ..Header::default() };
        writer.begin(&header, &mut out);
        writer.key(5, &[state("a"), Message::Update(vec![1, 2, 3])], &mut out);
        writer.padding(500, &mut out);
        writer.message(900, &Message::Update(vec![9; 70]), &mut out);
        writer.person(1_000, &Person { came: true, name: "anne".into(), ..Person::default() }, &mut out);
        writer.key(70_000_000, &[state("b")], &mut out);
        writer.message(80_000_000, &state("c"), &mut out);
        writer.end(&mut out);
        assert_eq!(writer.written(), out.len() as u64);
        let mut parser = Parser::new();
        parser.feed(&out);
        let mut all = Vec::new();
        while let Some(timed) = parser.take().unwrap() {
            all.push(timed);
        }
        (out, all)
    }

    #[test]
    fn a_recording_reads_back_as_it_was_written() {
        let (bytes, all) = sample();
        let times: Vec<u64> = all.iter().map(|timed| timed.time_us).collect();
        assert_eq!(times, [0, 5, 900, 1_000, 70_000_000, 80_000_000, 80_000_000, 80_000_000]);
        assert_eq!(all[1].record, Record::Key(vec![state("a"), Message::Update(vec![1, 2, 3])]));
        let at = index_offset(&bytes[bytes.len() - END_BYTES..]).unwrap();
        let mut parser = Parser::at(at);
        parser.feed(&bytes[at as usize..]);
        let Some(Timed { record: Record::Index(index), .. }) = parser.take().unwrap() else { panic!() };
        assert_eq!(index.keys, [(5, all[1].offset), (70_000_000, all[4].offset)]);
        assert_eq!(index.ends_us, 80_000_000);
        assert_eq!(index.before(0), index.keys.first().copied());
        assert_eq!(index.before(69_999_999), index.keys.first().copied());
        assert_eq!(index.before(u64::MAX), index.keys.last().copied());
    }

    #[test]
    fn reading_from_a_whole_screen_gives_the_same_records_and_times_as_from_the_beginning() {
        let (bytes, all) = sample();
        let mut parser = Parser::at(all[4].offset);
        parser.feed(&bytes[all[4].offset as usize..]);
        for timed in &all[4..] {
            assert_eq!(parser.take().unwrap().as_ref(), Some(timed));
        }
        assert_eq!(parser.take(), Ok(None));
    }

    #[test]
    fn what_is_no_recording_is_refused() {
        let mut parser = Parser::new();
        parser.feed(b"age-encryption.org/v1");
        assert_eq!(parser.take(), Err(FormatError::Magic));
    }

    #[test]
    fn a_record_beyond_the_limit_is_refused_before_it_is_waited_for() {
        let mut bytes = Vec::new();
        put_varint(&mut bytes, kind::UPDATE);
        put_varint(&mut bytes, 0);
        put_varint(&mut bytes, MAX_RECORD as u64 + 1);
        let mut parser = Parser::at(0);
        parser.feed(&bytes);
        assert!(matches!(parser.take(), Err(FormatError::Wire(WireError::TooMuch { .. }))));
    }

    proptest! {
        #[test]
        fn in_whatever_pieces_it_comes_a_recording_reads_alike(sizes in prop::collection::vec(1usize..90, 1..60)) {
            let (bytes, all) = sample();
            let mut parser = Parser::new();
            let (mut rest, mut read) = (&bytes[..], Vec::new());
            for size in sizes.iter().cycle() {
                let (piece, after) = rest.split_at((*size).min(rest.len()));
                parser.feed(piece);
                while let Some(timed) = parser.take().unwrap() {
                    read.push(timed);
                }
                rest = after;
                if rest.is_empty() { break; }
            }
            prop_assert_eq!(read, all);
            prop_assert_eq!(parser.left(), 0);
        }

        #[test]
        fn a_cut_recording_gives_what_is_whole_and_no_error(cut in 8usize..700) {
            let (bytes, all) = sample();
            let cut = cut.min(bytes.len() - 1);
            let mut parser = Parser::new();
            parser.feed(&bytes[..cut]);
            let mut count = 0;
            while let Some(timed) = parser.take().unwrap() {
                prop_assert_eq!(&timed, &all[count]);
                count += 1;
            }
            prop_assert!(count < all.len());
        }
    }
}
