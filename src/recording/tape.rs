//! A recording that is being written: what is said is sealed chunk by chunk, and is on the disk soon enough.

use super::format::{Header, Message, Person, Writer};
use super::seal::{CHUNK, seal};
use age::stream::StreamWriter;
use age::x25519::Recipient;
use std::fs::File;
use std::io::{self, Write};
use std::time::{Duration, Instant};

pub struct Tape {
    writer: Writer,
    sealed: StreamWriter<File>,
    /// The same file, to have it put on the disk.
    file: File,
    out: Vec<u8>,
    /// Since when there is something that a crash would lose.
    owed_since: Option<Instant>,
    synced_at: Instant,
    unsynced: bool,
}

impl Tape {
    pub fn begin(file: File, recipients: &[Recipient], header: &Header) -> io::Result<Tape> {
        let twin = file.try_clone()?;
        let sealed = seal(file, recipients)?;
        let mut tape = Tape {
            writer: Writer::default(),
            sealed,
            file: twin,
            out: Vec::new(),
            owed_since: None,
            synced_at: Instant::now(),
            unsynced: false,
        };
        tape.write(|writer, out| writer.begin(header, out))?;
        Ok(tape)
    }

    pub fn key(&mut self, time_us: u64, messages: &[Message]) -> io::Result<()> {
        self.write(|writer, out| writer.key(time_us, messages, out))
    }

    pub fn message(&mut self, time_us: u64, message: &Message) -> io::Result<()> {
        self.write(|writer, out| writer.message(time_us, message, out))
    }

    pub fn person(&mut self, time_us: u64, person: &Person) -> io::Result<()> {
        self.write(|writer, out| writer.person(time_us, person, out))
    }

    fn write(&mut self, say: impl FnOnce(&mut Writer, &mut Vec<u8>)) -> io::Result<()> {
        let before = self.writer.written();
        self.out.clear();
        say(&mut self.writer, &mut self.out);
        self.sealed.write_all(&self.out)?;
        if self.out.capacity() > 1 << 20 {
            self.out = Vec::new();
        }
        // A chunk is sealed and written once a byte of the next one comes.
        let sealed = |written: u64| written.saturating_sub(1) / CHUNK;
        match sealed(before) == sealed(self.writer.written()) {
            true => self.owed_since = self.owed_since.or(Some(Instant::now())),
            false => (self.owed_since, self.unsynced) = (Some(Instant::now()), true),
        }
        Ok(())
    }

    /// Has what was said longer ago than this put on the disk, where a crash does not reach it.
    pub fn settle(&mut self, lose_at_most: Duration) -> io::Result<()> {
        if self.owed_since.is_some_and(|since| since.elapsed() >= lose_at_most) {
            let until = (self.writer.written().saturating_sub(1) / CHUNK + 1) * CHUNK + 1;
            self.write(|writer, out| writer.padding(until, out))?;
            // What is owed now is a few bytes of padding.
            self.owed_since = None;
        }
        if self.unsynced && self.synced_at.elapsed() >= lose_at_most {
            self.file.sync_data()?;
            (self.synced_at, self.unsynced) = (Instant::now(), false);
        }
        Ok(())
    }

    /// Plain bytes so far.
    pub fn written(&self) -> u64 {
        self.writer.written()
    }

    /// Writes the index and the end.
    pub fn end(mut self) -> io::Result<()> {
        self.write(|writer, out| writer.end(out))?;
        self.sealed.finish()?;
        self.file.sync_all()
    }
}
