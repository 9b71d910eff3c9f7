//! Ends a connection from outside the thread that waits on it.

use rustix::net::{Shutdown, shutdown};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

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
    /// Ties the line to a connection, in place of an earlier one; if the line was cut, the connection ends.
    pub(super) fn tie(&self, connection: &impl AsFd) -> std::io::Result<()> {
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
