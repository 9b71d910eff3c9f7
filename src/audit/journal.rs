//! The journal on disk: append-only files of chained lines, written by one thread, many records to a sync. Callers never
//! wait for it unless they ask to; what it cannot keep it counts, says, and writes down as soon as it can write again.

use super::chain::{Head, SealKey};
use super::files;
use super::record::{Event, Record};
use super::time::Time;
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::Duration;
use tokio::sync::{oneshot, watch};

/// Records that wait for the disk.
const QUEUE: usize = 4_096;
/// Records that are synced at once.
const BATCH: usize = 1_024;
const RETRY: Duration = Duration::from_millis(500);
/// How often an idle journal looks whether something was lost.
const LOOK: Duration = Duration::from_secs(2);
/// How often a lock is tried that is held.
const LOCK_TRIES: u32 = 20;
const LOCK_RETRY: Duration = Duration::from_millis(20);
/// When the gateway ends while nothing can be written.
const LAST_TRIES: u32 = 4;

#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error(
        "opening the audit journal in {path}: {source}; give [audit] a `directory` that this user may write to"
    )]
    Open { path: PathBuf, source: std::io::Error },
    #[error(
        "the audit journal in {0} is another gateway's, which is running: give each its own [audit] directory"
    )]
    InUse(PathBuf),
}

/// The record is not known to be on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the audit journal cannot be written")]
pub struct NotKept;

/// An open journal. It is closed, and all of it on disk, once it is dropped.
pub struct Journal {
    orders: Option<SyncSender<Order>>,
    state: Arc<State>,
    thread: Option<std::thread::JoinHandle<()>>,
}

struct Order {
    record: Record,
    done: Option<oneshot::Sender<()>>,
}

struct State {
    /// Records that found no place and are not yet written down as lost.
    lost: AtomicU64,
    failing: AtomicBool,
    closing: AtomicBool,
    /// The number of the last record on disk.
    kept: watch::Sender<u64>,
    /// Bytes on disk since the journal was opened.
    written: AtomicU64,
}

/// Takes the lock unless another gateway keeps it. A process that this one starts holds a copy of the file, and so the lock of an
/// earlier journal, until it has become another program: a moment.
fn take(lock: &File) -> bool {
    (0..LOCK_TRIES).any(|at| {
        if at > 0 {
            std::thread::sleep(LOCK_RETRY);
        }
        rustix::fs::flock(lock, rustix::fs::FlockOperation::NonBlockingLockExclusive).is_ok()
    })
}

impl Journal {
    /// Opens the journal of a directory, which is made if it is not there, and mends its end after a crash.
    pub fn open(directory: &Path, file_bytes: u64, key: Option<SealKey>) -> Result<Journal, JournalError> {
        Journal::with_queue(directory, file_bytes, key, QUEUE)
    }

    pub(super) fn with_queue(
        directory: &Path,
        file_bytes: u64,
        key: Option<SealKey>,
        queue: usize,
    ) -> Result<Journal, JournalError> {
        let failed = |source| JournalError::Open { path: directory.to_owned(), source };
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed)?;
        let lock = create(&directory.join("lock")).map_err(failed)?;
        if !take(&lock) {
            return Err(JournalError::InUse(directory.to_owned()));
        }
        let (writer, mended) = Writer::open(directory, file_bytes, key, lock).map_err(failed)?;
        let state = Arc::new(State {
            lost: AtomicU64::new(0),
            failing: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            kept: watch::channel(writer.head.next - 1).0,
            written: AtomicU64::new(0),
        });
        let (orders, to_write) = sync_channel(queue);
        if let Some(event) = mended {
            tracing::warn!(event = ?event, "the audit journal's end was not whole; it was set aside");
            let _ = orders.try_send(Order { record: Record::new(event), done: None });
        }
        let writing = state.clone();
        let thread = std::thread::Builder::new()
            .name("audit".into())
            .spawn(move || writer.run(&to_write, &writing))
            .map_err(failed)?;
        Ok(Journal { orders: Some(orders), state, thread: Some(thread) })
    }

    /// Takes a record. Never waits; a record that finds no place is counted, and the journal is then not healthy.
    pub fn record(&self, record: Record) {
        let _ = self.send(Order { record, done: None });
    }

    /// Takes a record and waits until it is on disk.
    pub async fn durable(&self, record: Record) -> Result<(), NotKept> {
        let (done, waiting) = oneshot::channel();
        self.send(Order { record, done: Some(done) })?;
        waiting.await.map_err(|_| NotKept)
    }

    fn send(&self, order: Order) -> Result<(), NotKept> {
        let Some(orders) = &self.orders else { return Err(NotKept) };
        let order = match orders.try_send(order) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Full(order) | TrySendError::Disconnected(order)) => order,
        };
        let lost = self.state.lost.fetch_add(1, Ordering::SeqCst) + 1;
        if lost.is_power_of_two() {
            let event = order.record.event.name();
            tracing::error!(lost, event, "the audit journal cannot keep up; a record is lost");
        }
        Err(NotKept)
    }

    /// Whether every record so far is kept or about to be.
    pub fn healthy(&self) -> bool {
        self.state.lost.load(Ordering::SeqCst) == 0 && !self.state.failing.load(Ordering::SeqCst)
    }

    /// The number of the last record on disk, and whoever waits for it is told.
    pub fn kept(&self) -> watch::Receiver<u64> {
        self.state.kept.subscribe()
    }

    /// Bytes on disk since the journal was opened.
    pub fn written(&self) -> u64 {
        self.state.written.load(Ordering::SeqCst)
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.state.closing.store(true, Ordering::SeqCst);
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Writer {
    directory: PathBuf,
    file_bytes: u64,
    key: Option<SealKey>,
    head: Head,
    current: Option<Current>,
    /// Held for as long as the journal is open.
    _lock: File,
}

/// The file that is written to.
struct Current {
    file: File,
    length: u64,
    day: i64,
}

impl Writer {
    /// Finds the head of the chain. What stands behind the last line that is whole is set aside, and what it was is told.
    fn open(
        directory: &Path,
        file_bytes: u64,
        key: Option<SealKey>,
        lock: File,
    ) -> std::io::Result<(Writer, Option<Event>)> {
        let mut writer = Writer {
            directory: directory.to_owned(),
            file_bytes,
            key,
            head: Head::default(),
            current: None,
            _lock: lock,
        };
        let mut mended = None;
        for found in files::list(directory)?.into_iter().rev() {
            let mut file = File::options().read(true).write(true).open(&found.path)?;
            let length = file.metadata()?.len();
            let last = files::last_whole_line(&mut file)?;
            let whole = last.as_ref().map_or(0, |(_, end)| *end);
            if whole < length {
                let event = set_aside(directory, &found, &mut file, whole, length)?;
                mended = mended.or(Some(event));
            }
            if let Some((entry, end)) = last {
                file.seek(SeekFrom::Start(end))?;
                writer.head = Head::after(&entry);
                writer.current = Some(Current { file, length: end, day: entry.record.time.day() });
                break;
            }
            std::fs::remove_file(&found.path)?;
        }
        Ok((writer, mended))
    }

    fn run(mut self, orders: &Receiver<Order>, state: &State) {
        loop {
            let mut batch = match orders.recv_timeout(LOOK) {
                Ok(first) => vec![first],
                // One that found no place may have been counted when the queue had just been emptied.
                Err(RecvTimeoutError::Timeout) if state.lost.load(Ordering::SeqCst) == 0 => continue,
                Err(RecvTimeoutError::Timeout) => Vec::new(),
                Err(RecvTimeoutError::Disconnected) => break,
            };
            batch.extend(orders.try_iter().take(BATCH - 1));
            self.keep(batch, state);
        }
        // Those that found no place at the very end.
        if state.lost.load(Ordering::SeqCst) > 0 {
            self.keep(Vec::new(), state);
        }
    }

    /// Writes a batch and syncs it, as often as it takes.
    fn keep(&mut self, mut batch: Vec<Order>, state: &State) {
        let lost = state.lost.load(Ordering::SeqCst);
        let mut head = self.head.clone();
        let mut bytes = Vec::new();
        let key = self.key.as_ref();
        if lost > 0 {
            head.append(&Record::new(Event::RecordsLost { count: lost }), key, &mut bytes);
        }
        batch.iter().for_each(|order| head.append(&order.record, key, &mut bytes));
        let mut tries = 0;
        while let Err(error) = self.write(&bytes) {
            if !state.failing.swap(true, Ordering::SeqCst) {
                let path = self.directory.display();
                tracing::error!(%path, %error, "the audit journal cannot be written; trying again until it can");
            }
            // Who waits is told at once; the records stay.
            batch.iter_mut().for_each(|order| order.done = None);
            tries += 1;
            if tries >= LAST_TRIES && state.closing.load(Ordering::SeqCst) {
                let records = batch.len();
                tracing::error!(records, lost, "the gateway ends and these audit records were not kept");
                return;
            }
            std::thread::sleep(RETRY);
        }
        self.head = head;
        state.lost.fetch_sub(lost, Ordering::SeqCst);
        if state.failing.swap(false, Ordering::SeqCst) {
            tracing::warn!("the audit journal is written again");
        }
        state.written.fetch_add(bytes.len() as u64, Ordering::SeqCst);
        state.kept.send_replace(self.head.next - 1);
        batch.into_iter().filter_map(|order| order.done).for_each(|done| {
            let _ = done.send(());
        });
    }

    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let today = Time::now().day();
        let first = self.head.next;
        // A file that somebody removed would take records with it.
        let usable = self.current.as_ref().is_some_and(|current| {
            let linked = current.file.metadata().is_ok_and(|metadata| metadata.nlink() > 0);
            linked && current.day == today && current.length < self.file_bytes
        });
        if !usable {
            let file = create(&self.directory.join(files::name(first)))?;
            File::open(&self.directory)?.sync_all()?;
            self.current = Some(Current { file, length: 0, day: today });
        }
        let Some(current) = &mut self.current else { return Ok(()) };
        let written = current.file.write_all(bytes).and_then(|()| current.file.sync_data());
        match written {
            Ok(()) => {
                current.length += bytes.len() as u64;
                Ok(())
            }
            Err(error) => {
                // Part of it may be there: the next try begins where the last whole line ends.
                let _ = current.file.set_len(current.length);
                let _ = current.file.seek(SeekFrom::Start(current.length));
                Err(error)
            }
        }
    }
}

fn create(path: &Path) -> std::io::Result<File> {
    File::options().create(true).truncate(false).read(true).write(true).mode(0o600).open(path)
}

fn set_aside(
    directory: &Path,
    found: &files::JournalFile,
    file: &mut File,
    whole: u64,
    length: u64,
) -> std::io::Result<Event> {
    let name = format!("{}-{}.torn", files::name(found.first), Time::now());
    file.seek(SeekFrom::Start(whole))?;
    let mut aside = create(&directory.join(&name))?;
    std::io::copy(file, &mut aside)?;
    aside.sync_all()?;
    file.set_len(whole)?;
    file.sync_all()?;
    File::open(directory)?.sync_all()?;
    Ok(Event::JournalMended { set_aside_bytes: length - whole, kept_in: name.into() })
}
