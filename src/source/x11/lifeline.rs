//! Ends a connection from outside the thread that waits on it.

use super::stream::{XConnection, XStream};
use super::{X11Error, XServer};
use rustix::net::{Shutdown, shutdown};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, PoisonError};
use x11rb::errors::{ConnectError, DisplayParsingError};
use x11rb::reexports::x11rb_protocol::parse_display::parse_display;
use x11rb::rust_connection::DefaultStream;

/// A second handle on a thread's connection.
#[derive(Default)]
pub(super) struct Lifeline {
    end: Mutex<End>,
}

#[derive(Default)]
enum End {
    #[default]
    Loose,
    Tied(OwnedFd),
    Cut,
}

impl Lifeline {
    /// Connects to a display, tied from before the first word, since a hung server never says one. Returns
    /// the number of its screen too.
    pub(super) fn connect(&self, server: &XServer) -> Result<(XConnection, usize), X11Error> {
        let failed = |error| X11Error::Connect { display: server.display.clone(), error };
        let parsed = parse_display(Some(&server.display)).map_err(|error| failed(error.into()))?;
        let screen = usize::from(parsed.screen);
        let mut last = ConnectError::from(DisplayParsingError::Unknown);
        for address in parsed.connect_instruction() {
            match DefaultStream::connect(&address) {
                Ok((stream, (family, address))) => {
                    self.tie(&stream).map_err(X11Error::Wait)?;
                    // Without authority the server may still let its own user in.
                    let (name, data) = server.authority(family, &address, parsed.display).unwrap_or_default();
                    let stream = XStream::new(stream);
                    let connected = XConnection::connect_to_stream_with_auth_info(stream, screen, name, data);
                    return connected.map(|connection| (connection, screen)).map_err(failed);
                }
                Err(error) => last = ConnectError::IoError(error),
            }
        }
        Err(failed(last))
    }

    /// Ties the line to a connection, in place of an earlier one; if the line was cut, the connection ends.
    fn tie(&self, connection: &impl AsFd) -> std::io::Result<()> {
        let fd = connection.as_fd().try_clone_to_owned()?;
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*end, End::Cut) {
            hang_up(&fd);
        } else {
            *end = End::Tied(fd);
        }
        Ok(())
    }

    /// Ends the connection, and every one that is tied from now on.
    pub(super) fn cut(&self) {
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        if let End::Tied(fd) = std::mem::replace(&mut *end, End::Cut) {
            hang_up(&fd);
        }
    }

    /// Forgets the connection, which its owner is about to close.
    pub(super) fn untie(&self) {
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*end, End::Tied(_)) {
            *end = End::Loose;
        }
    }
}

fn hang_up(fd: &OwnedFd) {
    // It fails only when the other side was faster.
    let _ = shutdown(fd, Shutdown::Both);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::unix::net::UnixStream;

    #[test]
    fn cutting_frees_a_reader_and_ends_what_is_tied_later() {
        let line = Lifeline::default();
        let (mut here, _there) = UnixStream::pair().unwrap();
        line.tie(&here).unwrap();
        let reader = std::thread::spawn(move || here.read(&mut [0; 1]).unwrap());
        line.cut();
        assert_eq!(reader.join().unwrap(), 0);
        let (mut late, _there) = UnixStream::pair().unwrap();
        line.tie(&late).unwrap();
        assert_eq!(late.read(&mut [0; 1]).unwrap(), 0);
    }

    #[test]
    fn an_untied_connection_lives_on() {
        let line = Lifeline::default();
        let (mut here, mut there) = UnixStream::pair().unwrap();
        line.tie(&here).unwrap();
        line.untie();
        line.cut();
        std::io::Write::write_all(&mut there, b"x").unwrap();
        assert_eq!(here.read(&mut [0; 1]).unwrap(), 1);
    }
}
