//! The one thing of namespaces that no safe interface of ours offers.

use std::os::fd::AsRawFd;

/// From now on this thread's sockets are made in the network namespace of this name (`ip netns`).
pub fn enter(name: &str) {
    let file = std::fs::File::open(format!("/run/netns/{name}")).unwrap();
    // SAFETY: the descriptor is open for as long as the call lasts, and a network namespace concerns this thread alone.
    let entered = unsafe { libc::setns(file.as_raw_fd(), libc::CLONE_NEWNET) };
    assert_eq!(entered, 0, "entering {name}: {}", std::io::Error::last_os_error());
}
