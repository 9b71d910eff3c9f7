//! Sends the journal to the repository, in order, each record at least once.
//!
//! Syslog has no acknowledgements. What a peer's kernel has taken may still be lost with the peer, so a record counts as
//! arrived only with a receipt: this side ends the stream, and the peer, having read all of it, ends its own in order. A
//! connection that ends in any other way gives no receipt, and what was sent on it is sent again on the next.

use super::cursor::Cursor;
use super::message::{Sender, frame};
use crate::audit::files::{Follower, Found};
use crate::audit::record::{Event, Record};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// For a connection, a write, a receipt.
const PATIENCE: Duration = Duration::from_secs(10);
/// Records that are sent before a receipt is asked for.
const MOST_UNCONFIRMED: u64 = 5_000;
/// Bytes written at once.
const CHUNK: usize = 64 << 10;

/// Where the records go.
pub struct Target {
    pub host: String,
    pub port: u16,
    pub tls: Arc<ClientConfig>,
    pub sender: Sender,
    pub directory: PathBuf,
    /// A receipt is asked for when nothing was sent for this long, or when something has had none for six times as long.
    pub receipt_after: Duration,
}

/// A running delivery. It stops when dropped; what has no receipt by then stays owed.
pub struct Repository {
    arrived: Arc<AtomicU64>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Repository {
    /// Begins to deliver what is `kept` on disk. `tell` takes what the journal is to know of it.
    pub fn start(
        target: Target,
        cursor: Cursor,
        kept: watch::Receiver<u64>,
        tell: impl Fn(Record) + Send + 'static,
    ) -> io::Result<Repository> {
        let arrived = Arc::new(AtomicU64::new(0));
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let delivery = Delivery { target, cursor, kept, tell, arrived: arrived.clone() };
        let thread = std::thread::Builder::new().name("audit-repository".into()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = delivery.run() => {}
                    _ = stopped => {}
                }
            });
        })?;
        Ok(Repository { arrived, stop: Some(stop), thread: Some(thread) })
    }

    /// Bytes of the journal that have arrived since the start.
    pub fn arrived(&self) -> u64 {
        self.arrived.load(Ordering::SeqCst)
    }
}

impl Drop for Repository {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Delivery<T> {
    target: Target,
    cursor: Cursor,
    kept: watch::Receiver<u64>,
    tell: T,
    arrived: Arc<AtomicU64>,
}

/// What was sent on one connection.
struct Sent {
    follower: Follower,
    bytes: u64,
    /// Records that are no longer in the journal: first and last.
    gaps: Vec<(u64, u64)>,
}

impl<T: Fn(Record)> Delivery<T> {
    async fn run(mut self) {
        let mut pause = FIRST_PAUSE;
        loop {
            let cursor = self.cursor.next();
            if self.kept.wait_for(|&kept| kept >= cursor).await.is_err() {
                return;
            }
            match self.deliver().await {
                Ok(()) => pause = FIRST_PAUSE,
                Err(error) => {
                    if self.cursor.next() > cursor {
                        pause = FIRST_PAUSE;
                    }
                    let Target { host, port, .. } = &self.target;
                    let retry_in_ms = pause.as_millis() as u64;
                    tracing::warn!(host, port, %error, retry_in_ms, "the audit repository");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    /// One connection: from the first record that is owed to a receipt.
    async fn deliver(&mut self) -> io::Result<()> {
        let mut stream = within(self.connect()).await?;
        let follower = Follower::new(&self.target.directory, self.cursor.next());
        let mut sent = Sent { follower, bytes: 0, gaps: Vec::new() };
        let since = Instant::now();
        let mut ear = [0; 256];
        loop {
            let newest = *self.kept.borrow_and_update();
            self.send(&mut stream, &mut sent, newest).await?;
            let unconfirmed = sent.follower.due() - self.cursor.next();
            let quiet = self.target.receipt_after;
            if unconfirmed >= MOST_UNCONFIRMED || since.elapsed() >= quiet * 6 {
                break;
            }
            tokio::select! {
                changed = self.kept.changed() => if changed.is_err() { break },
                // A repository says nothing; if it ends the connection, nothing tells how much of it it has read.
                heard = stream.read(&mut ear) => if heard? == 0 {
                    return Err(io::Error::other("the repository ended the connection; sending again"));
                },
                () = tokio::time::sleep(quiet) => break,
            }
        }
        self.receipt(stream, sent).await
    }

    async fn connect(&self) -> io::Result<TlsStream<TcpStream>> {
        let Target { host, port, tls, .. } = &self.target;
        let name = ServerName::try_from(host.clone()).map_err(io::Error::other)?;
        let stream = TcpStream::connect((host.as_str(), *port)).await?;
        stream.set_nodelay(true)?;
        TlsConnector::from(tls.clone()).connect(name, stream).await
    }

    /// Sends what is on disk up to the newest record.
    async fn send(
        &mut self,
        stream: &mut TlsStream<TcpStream>,
        sent: &mut Sent,
        newest: u64,
    ) -> io::Result<()> {
        let mut chunk = Vec::with_capacity(CHUNK);
        while sent.follower.due() <= newest && sent.follower.due() - self.cursor.next() < MOST_UNCONFIRMED {
            match sent.follower.read()? {
                Found::Entry(entry, length) => {
                    sent.bytes += length;
                    chunk.extend_from_slice(&frame(&entry, &self.target.sender));
                }
                Found::Gap(first, before) => sent.gaps.push((first, before - 1)),
                Found::End => break,
            }
            if chunk.len() >= CHUNK {
                within(stream.write_all(&chunk)).await?;
                chunk.clear();
            }
        }
        within(stream.write_all(&chunk)).await?;
        within(stream.flush()).await
    }

    async fn receipt(&mut self, mut stream: TlsStream<TcpStream>, sent: Sent) -> io::Result<()> {
        within(stream.shutdown()).await?;
        let mut ear = [0; 256];
        let ended = timeout(PATIENCE, async {
            loop {
                match stream.read(&mut ear).await {
                    Ok(0) => return Ok(()),
                    // Many servers end TCP in order without a word of TLS; with unread bytes it would be a reset.
                    Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
                    Ok(_) => {}
                    Err(error) => return Err(error),
                }
            }
        });
        ended.await.map_err(|_| io::Error::other("the repository gave no receipt; sending again"))??;
        self.cursor.advance(sent.follower.due())?;
        self.arrived.fetch_add(sent.bytes, Ordering::SeqCst);
        for (first, last) in sent.gaps {
            tracing::error!(first, last, "audit records are no longer in the journal and were not sent");
            (self.tell)(Record::new(Event::NotSent { first, last }));
        }
        Ok(())
    }
}

async fn within<V>(work: impl Future<Output = io::Result<V>>) -> io::Result<V> {
    timeout(PATIENCE, work)
        .await
        .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "no answer within 10 s"))?
}
