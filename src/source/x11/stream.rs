//! The socket to an X server, asked no more often than it can have an answer: a read that came back short has
//! emptied it, so that it is not read again before a poll has said that there is more.

use std::io::{IoSlice, Result};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use x11rb::rust_connection::{DefaultStream, PollMode, RustConnection, Stream};
use x11rb::utils::RawFdContainer;

pub(super) type XConnection = RustConnection<XStream>;

pub(super) struct XStream {
    socket: DefaultStream,
    /// The last read emptied the socket.
    emptied: AtomicBool,
    /// The last write found no room.
    full: AtomicBool,
}

impl XStream {
    pub(super) fn new(socket: DefaultStream) -> Self {
        XStream { socket, emptied: AtomicBool::new(false), full: AtomicBool::new(false) }
    }

    /// A poll says that there is something to read, or the connection's end.
    pub(super) fn is_readable(&self) {
        self.emptied.store(false, Ordering::Release);
    }

    fn wrote(&self, written: Result<usize>) -> Result<usize> {
        let full = written.as_ref().is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
        self.full.store(full, Ordering::Release);
        written
    }
}

impl AsFd for XStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Stream for XStream {
    fn poll(&self, mode: PollMode) -> Result<()> {
        // There nearly always is room: writing finds out.
        if mode.writable() && !self.full.load(Ordering::Acquire) {
            return Ok(());
        }
        self.socket.poll(mode)?;
        self.is_readable();
        self.full.store(false, Ordering::Release);
        Ok(())
    }

    fn read(&self, buffer: &mut [u8], fds: &mut Vec<RawFdContainer>) -> Result<usize> {
        if self.emptied.load(Ordering::Acquire) {
            return Err(std::io::ErrorKind::WouldBlock.into());
        }
        let read = self.socket.read(buffer, fds);
        let emptied = match &read {
            // Nothing at all is the connection's end, and is said again to whoever asks again.
            Ok(count) => *count > 0 && *count < buffer.len(),
            Err(error) => error.kind() == std::io::ErrorKind::WouldBlock,
        };
        self.emptied.store(emptied, Ordering::Release);
        read
    }

    fn write(&self, buffer: &[u8], fds: &mut Vec<RawFdContainer>) -> Result<usize> {
        self.wrote(self.socket.write(buffer, fds))
    }

    fn write_vectored(&self, buffers: &[IoSlice<'_>], fds: &mut Vec<RawFdContainer>) -> Result<usize> {
        self.wrote(self.socket.write_vectored(buffers, fds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{ErrorKind, Write};
    use std::os::unix::net::UnixStream;

    fn pair() -> (XStream, UnixStream) {
        let (here, there) = UnixStream::pair().unwrap();
        let socket = DefaultStream::from_unix_stream(here).unwrap().0;
        (XStream::new(socket), there)
    }

    fn read(stream: &XStream) -> Result<usize> {
        stream.read(&mut [0; 64], &mut Vec::new())
    }

    #[test]
    fn what_came_after_a_short_read_is_read_once_a_poll_has_said_so() {
        let (stream, mut there) = pair();
        for _ in 0..3 {
            there.write_all(&[7; 100]).unwrap();
            stream.poll(PollMode::Readable).unwrap();
            assert_eq!((read(&stream).unwrap(), read(&stream).unwrap()), (64, 36));
            there.write_all(&[7; 5]).unwrap();
            assert_eq!(read(&stream).unwrap_err().kind(), ErrorKind::WouldBlock);
            stream.poll(PollMode::Readable).unwrap();
            assert_eq!(read(&stream).unwrap(), 5);
        }
        drop(there);
        stream.poll(PollMode::Readable).unwrap();
        assert_eq!((read(&stream).unwrap(), read(&stream).unwrap()), (0, 0));
    }

    #[test]
    fn a_full_socket_is_written_to_again_once_the_other_side_has_read() {
        let (stream, mut there) = pair();
        let block = [7; 64 << 10];
        while stream.write(&block, &mut Vec::new()).is_ok() {}
        let reader = std::thread::spawn(move || {
            std::thread::sleep(std::time::Duration::from_millis(30));
            std::io::Read::read_to_end(&mut there, &mut Vec::new()).unwrap();
        });
        // Something to read would end the waiting as well: there is nothing.
        while stream.write(&block, &mut Vec::new()).is_err() {
            stream.poll(PollMode::ReadAndWritable).unwrap();
        }
        drop(stream);
        reader.join().unwrap();
    }
}
