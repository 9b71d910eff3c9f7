//! Wakes a thread that sleeps on its X connection.

use super::stream::XStream;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

pub(super) struct Bell {
    fd: OwnedFd,
}

impl Bell {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Bell { fd: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)? })
    }

    pub(super) fn ring(&self) {
        // It fails only when the counter is full, and then the sleeper is awake already.
        let _ = rustix::io::write(&self.fd, &1u64.to_ne_bytes());
    }

    /// Sleeps until the bell rings, `connection` has something to read, or the time is over (`None` is
    /// never). Takes the ring back.
    pub(super) fn wait(&self, connection: Option<&XStream>, timeout: Option<Duration>) -> io::Result<()> {
        let mut fds = vec![PollFd::new(&self.fd, PollFlags::IN)];
        if let Some(connection) = connection {
            fds.push(PollFd::new(connection, PollFlags::IN));
        }
        let timeout = timeout
            .map(|time| Timespec { tv_sec: time.as_secs() as i64, tv_nsec: i64::from(time.subsec_nanos()) });
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        if let Some(connection) = connection
            && !fds[1].revents().is_empty()
        {
            connection.is_readable();
        }
        if fds[0].revents().contains(PollFlags::IN) {
            let _ = rustix::io::read(&self.fd, &mut [0u8; 8]);
        }
        Ok(())
    }
}
