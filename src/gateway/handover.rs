//! A gateway that goes hands its sockets to the one that follows it on the same machine, so that whoever knocks meanwhile
//! is served a moment later instead of being refused. The two talk over the successor's standard input:
//!
//! 1. the old one sends its sockets (SCM_RIGHTS, unix(7)) and goes on serving;
//! 2. the successor reads its settings, opens its store and says [`READY`]; if it cannot, it ends, and nothing has changed;
//! 3. the old one receives nothing any more, says [`GO`], lets its viewers go and says which input of theirs was applied;
//! 4. the successor serves, once the old one's audit journal is closed.

use super::Config;
use crate::audit::{Audit, AuditError, JournalError};
use crate::wire::Token;
use aws_lc_rs::hmac;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use std::collections::BTreeMap;
use std::io::{IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Set for a process whose standard input is the way to the gateway that it follows.
const SUCCESSOR: &str = "CHEVET_SUCCESSOR";
const READY: u8 = b'R';
const GO: u8 = b'G';
/// A successor must be ready, and an old gateway gone, within this time.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(2);
/// What is told of input, in bytes: some 60 for each viewer that is remembered.
const MOST_APPLIED: u32 = 64 << 20;
/// More than a configuration has; the kernel passes 253 at once.
const MOST_SOCKETS: usize = 128;

#[derive(Debug, thiserror::Error)]
pub enum HandoverError {
    #[error("starting the program that follows this gateway, {program}: {source}")]
    Start { program: String, source: std::io::Error },
    #[error("the gateway that was to follow ended before it was ready ({0}); its own last words say why")]
    NotReady(String),
    #[error("handing over sockets: {0}")]
    Sockets(std::io::Error),
    #[error("the gateway that served before went without handing over: {0}")]
    Left(std::io::Error),
}

/// A program that is ready to serve once it is told to.
pub(super) struct Successor {
    channel: UnixStream,
    pub process: u32,
}

impl Successor {
    /// Starts this program again, with the arguments that it was started with, and waits until it is ready. Blocks.
    pub fn start(sockets: &[OwnedFd]) -> Result<Successor, HandoverError> {
        let (channel, theirs) = UnixStream::pair().map_err(HandoverError::Sockets)?;
        channel.set_read_timeout(Some(PATIENCE)).map_err(HandoverError::Sockets)?;
        send(&channel, sockets).map_err(HandoverError::Sockets)?;
        let program = own_program();
        let mut child = Command::new(&program)
            .args(std::env::args_os().skip(1))
            .env(SUCCESSOR, "1")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .spawn()
            .map_err(|source| HandoverError::Start { program, source })?;
        let mut said = [0];
        match (&channel).read_exact(&mut said) {
            Ok(()) if said[0] == READY => Ok(Successor { channel, process: child.id() }),
            waited => {
                let _ = child.kill();
                let ended = child.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
                let waited = waited.err().filter(|error| error.kind() == std::io::ErrorKind::WouldBlock);
                Err(HandoverError::NotReady(waited.map_or(ended, |_| "it took more than 30 s".into())))
            }
        }
    }

    /// It serves from now on.
    pub fn go(&self) -> Result<(), HandoverError> {
        (&self.channel).write_all(&[GO]).map_err(HandoverError::Sockets)
    }

    /// Says what was applied.
    pub fn tell(&self, applied: &Applied) -> Result<(), HandoverError> {
        let text = serde_json::to_vec(&applied.0).unwrap_or_default();
        let told = (&self.channel).write_all(&(text.len() as u32).to_be_bytes());
        told.and_then(|()| (&self.channel).write_all(&text)).map_err(HandoverError::Sockets)
    }
}

/// By session, for each of its viewers the number of the first input event that was not applied. Tokens are secrets: they
/// pass between the two processes alone.
#[derive(Default)]
pub(super) struct Applied(BTreeMap<String, Vec<([u8; 16], u64)>>);

impl Applied {
    pub fn add(&mut self, session: &str, applied: Vec<(Token, u64)>) {
        self.0.insert(session.to_owned(), applied.into_iter().map(|(token, next)| (token.0, next)).collect());
    }

    /// What was applied of this session's; once.
    pub fn take(&mut self, session: &str) -> Vec<(Token, u64)> {
        let applied = self.0.remove(session).unwrap_or_default();
        applied.into_iter().map(|(token, next)| (Token(token), next)).collect()
    }

    fn read(channel: &UnixStream) -> std::io::Result<Applied> {
        let mut length = [0; 4];
        let mut channel = channel;
        channel.read_exact(&mut length)?;
        let length = u32::from_be_bytes(length);
        if length > MOST_APPLIED {
            return Err(std::io::Error::other("it says too much of its viewers"));
        }
        let mut text = vec![0; length as usize];
        channel.read_exact(&mut text)?;
        serde_json::from_slice(&text).map(Applied).map_err(std::io::Error::other)
    }
}

/// An upgrade has put another file in the place of the one that runs.
fn own_program() -> String {
    let path = std::env::current_exe().unwrap_or_else(|_| "chevet".into());
    let path = path.to_string_lossy();
    path.strip_suffix(" (deleted)").unwrap_or(&path).to_owned()
}

/// The gateway that served before, as its successor sees it.
pub struct Predecessor {
    channel: UnixStream,
    sockets: Vec<OwnedFd>,
}

impl Predecessor {
    /// What was handed to this process, if it follows another. To be called once.
    pub fn of_this_process() -> Result<Option<Predecessor>, HandoverError> {
        if std::env::var_os(SUCCESSOR).is_none() {
            return Ok(None);
        }
        let channel = std::io::stdin().as_fd().try_clone_to_owned().map_err(HandoverError::Left)?;
        let channel = UnixStream::from(channel);
        channel.set_read_timeout(Some(PATIENCE)).map_err(HandoverError::Left)?;
        let sockets = receive(&channel).map_err(HandoverError::Left)?;
        Ok(Some(Predecessor { channel, sockets }))
    }

    /// The socket of this kind that is bound to this address, if there is one.
    pub(super) fn take(&mut self, kind: socket2::Type, address: SocketAddr) -> Option<OwnedFd> {
        let is_it = |socket: &OwnedFd| {
            let socket = socket2::SockRef::from(socket);
            let bound = socket.local_addr().ok().and_then(|bound| bound.as_socket());
            bound == Some(address) && socket.r#type().is_ok_and(|type_| type_ == kind)
        };
        let at = self.sockets.iter().position(is_it)?;
        Some(self.sockets.swap_remove(at))
    }

    /// Says that this process is ready, and waits until it is its turn.
    pub(super) async fn turn(self) -> Result<Applied, HandoverError> {
        let wait = move || {
            (&self.channel).write_all(&[READY])?;
            let mut said = [0];
            (&self.channel).read_exact(&mut said)?;
            // An old gateway that dies now has told nothing: its viewers go on as after a crash.
            let applied = Applied::read(&self.channel);
            Ok(applied
                .inspect_err(|error| tracing::warn!(%error, "not told what input was applied"))
                .unwrap_or_default())
        };
        let waited = tokio::task::spawn_blocking(wait).await;
        waited.map_err(std::io::Error::other).and_then(|waited| waited).map_err(HandoverError::Left)
    }
}

/// The journal is the old gateway's until its last record is written.
pub(super) async fn open_audit(config: &Config, secret: &hmac::Key) -> Result<Audit, AuditError> {
    let end = tokio::time::Instant::now() + PATIENCE;
    loop {
        match Audit::open(&config.audit, config.state_directory.as_deref(), secret) {
            Err(AuditError::Journal(JournalError::InUse(_))) if tokio::time::Instant::now() < end => {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            opened => return opened,
        }
    }
}

fn send(channel: &UnixStream, sockets: &[OwnedFd]) -> std::io::Result<()> {
    if sockets.len() > MOST_SOCKETS {
        return Err(std::io::Error::other("there are more than 128 sockets"));
    }
    let borrowed: Vec<_> = sockets.iter().map(AsFd::as_fd).collect();
    let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_SOCKETS))];
    let mut rights = SendAncillaryBuffer::new(&mut space);
    if !borrowed.is_empty() {
        rights.push(SendAncillaryMessage::ScmRights(&borrowed));
    }
    sendmsg(channel, &[IoSlice::new(b"S")], &mut rights, SendFlags::NOSIGNAL)?;
    Ok(())
}

fn receive(channel: &UnixStream) -> std::io::Result<Vec<OwnedFd>> {
    let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_SOCKETS))];
    let mut rights = RecvAncillaryBuffer::new(&mut space);
    let mut said = [0];
    let got = recvmsg(channel, &mut [IoSliceMut::new(&mut said)], &mut rights, RecvFlags::CMSG_CLOEXEC)?;
    if got.bytes != 1 || said != *b"S" {
        return Err(std::io::Error::other("it sent no sockets"));
    }
    let mut sockets = Vec::new();
    for message in rights.drain() {
        if let RecvAncillaryMessage::ScmRights(fds) = message {
            sockets.extend(fds);
        }
    }
    Ok(sockets)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, UdpSocket};

    #[test]
    fn sockets_arrive_as_they_were_bound_and_are_found_by_kind_and_address() {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let udp = UdpSocket::bind(tcp.local_addr().unwrap()).unwrap();
        let address = tcp.local_addr().unwrap();
        let (ours, theirs) = UnixStream::pair().unwrap();
        send(&ours, &[udp.into(), tcp.into()]).unwrap();
        let sockets = receive(&theirs).unwrap();
        let mut predecessor = Predecessor { channel: theirs, sockets };
        let listener = TcpListener::from(predecessor.take(socket2::Type::STREAM, address).unwrap());
        std::net::TcpStream::connect(address).unwrap();
        listener.accept().unwrap();
        assert!(predecessor.take(socket2::Type::STREAM, address).is_none());
        assert!(predecessor.take(socket2::Type::DGRAM, address).is_some());
    }

    #[test]
    fn what_is_no_handover_is_an_error() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (&ours).write_all(b"x").unwrap();
        assert!(receive(&theirs).is_err());
        drop(ours);
        assert!(receive(&theirs).is_err());
    }
}
