//! A recording that is played from any time on, read from something that can be sought in.

use super::format::{END_BYTES, FormatError, Header, Index, Parser, Person, Record, Timed, index_offset};
use super::player::{PlayError, Player};
use crate::screen::TileId;
use std::io::{self, Read, Seek, SeekFrom};

const PIECE: usize = 64 << 10;
/// An index larger than this is made anew.
const MAX_INDEX: u64 = 64 << 20;

#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    #[error(transparent)]
    Format(#[from] FormatError),
    /// What is before the damage can be played, and what is after the next whole screen behind it.
    #[error("the recording is damaged or cut after {after_us} µs: {reason}")]
    Damaged { after_us: u64, reason: String },
    #[error("what stands after {after_us} µs cannot be shown: {source}")]
    Play { after_us: u64, source: PlayError },
    #[error("the recording holds no whole screen")]
    Empty,
}

/// A recording and where it is played.
pub struct Replay<R> {
    source: R,
    parser: Parser,
    header: Header,
    index: Index,
    player: Player,
    time_us: u64,
    /// The whole screen from which it is being played.
    key: Option<(u64, u64)>,
    next: Option<Timed>,
    persons: Vec<(u64, Person)>,
    /// Why there is no end, if there is none.
    damage: Option<String>,
}

impl<R: Read + Seek> Replay<R> {
    /// Opens a recording. One without its end is read through, to find what it holds.
    pub fn open(source: R) -> Result<Replay<R>, ReplayError> {
        let mut replay = Replay {
            source,
            parser: Parser::new(),
            header: Header::default(),
            index: Index::default(),
            player: Player::default(),
            time_us: 0,
            key: None,
            next: None,
            persons: Vec::new(),
            damage: None,
        };
        match replay.read_next()? {
            Some(Timed { record: Record::Header(header), .. }) => replay.header = header,
            Some(_) => return Err(FormatError::Beginning.into()),
            None => {
                return Err(ReplayError::Damaged { after_us: 0, reason: "its beginning is cut off".into() });
            }
        }
        match replay.read_index() {
            Some(index) => replay.index = index,
            None => replay.index = replay.scan(),
        }
        if replay.index.keys.is_empty() {
            return Err(ReplayError::Empty);
        }
        Ok(replay)
    }

    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Where the whole screens are, and when the recording ends.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// Why it ends without an end, if it does.
    pub fn damage(&self) -> Option<&str> {
        self.damage.as_deref()
    }

    /// What is shown now.
    pub fn player(&self) -> &Player {
        &self.player
    }

    pub fn time_us(&self) -> u64 {
        self.time_us
    }

    /// Shows what was shown at a time.
    pub fn seek(&mut self, time_us: u64) -> Result<(), ReplayError> {
        let sought = self.go_until(time_us);
        if sought.is_err() {
            // Whatever comes next begins with a whole screen.
            self.key = None;
        }
        sought
    }

    fn go_until(&mut self, time_us: u64) -> Result<(), ReplayError> {
        let Some(key) = self.index.before(time_us) else { return Err(ReplayError::Empty) };
        let goes_on = time_us >= self.time_us && self.key.is_some_and(|current| current.0 >= key.0);
        if !goes_on {
            self.go_to(key)?;
        }
        while self.step_until(time_us)?.is_some() {}
        self.time_us = self.time_us.max(time_us);
        Ok(())
    }

    /// Plays the next record, if it is not after this time; says which tiles changed.
    pub fn step_until(&mut self, time_us: u64) -> Result<Option<Vec<TileId>>, ReplayError> {
        let Some(timed) = self.peek()? else { return Ok(None) };
        if timed.time_us > time_us {
            return Ok(None);
        }
        let Some(timed) = self.next.take() else { return Ok(None) };
        if let Record::Key(_) = timed.record {
            self.key = Some((timed.time_us, timed.offset));
        }
        let after_us = timed.time_us;
        self.time_us = after_us;
        self.player.take(timed.record).map(Some).map_err(|source| ReplayError::Play { after_us, source })
    }

    /// When the next thing happens.
    pub fn next_us(&mut self) -> Result<Option<u64>, ReplayError> {
        Ok(self.peek()?.map(|timed| timed.time_us))
    }

    /// Everything that is in it, read from its beginning to its end or its damage: how many messages and bytes of updates.
    pub fn check(&mut self) -> Result<(u64, u64), ReplayError> {
        self.rewind_to(0)?;
        self.parser = Parser::new();
        let (mut messages, mut bytes) = (0, 0);
        loop {
            match self.peek()?.map(|timed| &timed.record) {
                None | Some(Record::End) => return Ok((messages, bytes)),
                Some(Record::Message(super::Message::Update(stream))) => {
                    (messages, bytes) = (messages + 1, bytes + stream.len() as u64);
                }
                Some(Record::Message(_)) => messages += 1,
                Some(_) => {}
            }
            let Some(Timed { time_us, record, .. }) = self.next.take() else { continue };
            self.time_us = time_us;
            if let Record::Person(person) = record {
                self.persons.push((time_us, person));
            }
        }
    }

    /// Who came and went, once it was checked or had no index.
    pub fn persons(&self) -> &[(u64, Person)] {
        &self.persons
    }

    fn go_to(&mut self, key: (u64, u64)) -> Result<(), ReplayError> {
        self.rewind_to(key.1)?;
        self.parser = Parser::at(key.1);
        (self.time_us, self.key, self.player) = (0, None, Player::default());
        Ok(())
    }

    fn rewind_to(&mut self, offset: u64) -> Result<(), ReplayError> {
        self.next = None;
        (self.time_us, self.key) = (0, None);
        self.persons.clear();
        let sought = self.source.seek(SeekFrom::Start(offset));
        sought.map(|_| ()).map_err(|error| self.damaged(&error))
    }

    fn peek(&mut self) -> Result<Option<&Timed>, ReplayError> {
        if self.next.is_none() {
            self.next = match self.read_next() {
                // Of what was cut off, only the cut itself is left.
                Err(ReplayError::Damaged { after_us, .. })
                    if self.damage.is_some() && after_us >= self.index.ends_us =>
                {
                    None
                }
                read => read?,
            };
        }
        Ok(self.next.as_ref().filter(|timed| timed.record != Record::End))
    }

    fn damaged(&self, error: &io::Error) -> ReplayError {
        ReplayError::Damaged { after_us: self.time_us, reason: error.to_string() }
    }

    /// The next record; `None` at the end of the bytes.
    fn read_next(&mut self) -> Result<Option<Timed>, ReplayError> {
        let mut piece = vec![0; PIECE];
        loop {
            if let Some(timed) = self.parser.take()? {
                return Ok(Some(timed));
            }
            match self.source.read(&mut piece) {
                Ok(0) => return Ok(None),
                Ok(read) => self.parser.feed(&piece[..read]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.damaged(&error)),
            }
        }
    }

    /// The index at the end, if the recording was ended and the index can be true.
    fn read_index(&mut self) -> Option<Index> {
        let end = self.source.seek(SeekFrom::End(-(END_BYTES as i64))).ok()?;
        let mut last = [0; END_BYTES];
        self.source.read_exact(&mut last).ok()?;
        let offset = index_offset(&last).filter(|&offset| offset < end && end - offset <= MAX_INDEX)?;
        self.source.seek(SeekFrom::Start(offset)).ok()?;
        let mut bytes = vec![0; (end - offset) as usize];
        self.source.read_exact(&mut bytes).ok()?;
        let mut parser = Parser::at(offset);
        parser.feed(&bytes);
        match parser.take() {
            Ok(Some(Timed { record: Record::Index(index), .. })) => {
                let ordered = index.keys.is_sorted() && index.keys.iter().all(|&(_, at)| at < offset);
                ordered.then_some(index)
            }
            _ => None,
        }
    }

    /// Reads all there is, and makes the index of it.
    fn scan(&mut self) -> Index {
        let mut index = Index::default();
        self.parser = Parser::new();
        self.damage = Some("it has no end: it is being written, or was cut off".into());
        if let Err(error) = self.rewind_to(0) {
            self.damage = Some(error.to_string());
            return index;
        }
        loop {
            match self.read_next() {
                Ok(None) | Ok(Some(Timed { record: Record::End, .. })) => return index,
                Ok(Some(timed)) => {
                    index.ends_us = timed.time_us;
                    self.time_us = timed.time_us;
                    match timed.record {
                        Record::Key(_) => index.keys.push((timed.time_us, timed.offset)),
                        Record::Person(person) => self.persons.push((timed.time_us, person)),
                        _ => {}
                    }
                }
                Err(error) => {
                    self.damage = Some(error.to_string());
                    return index;
                }
            }
        }
    }
}
