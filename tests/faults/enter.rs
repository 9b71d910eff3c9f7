//! The one thing of namespaces that no safe interface of ours offers.

use std::os::fd::AsRawFd;

/// Does something in a network namespace, on a thread of its own: X servers that this process starts must not be in one, as
/// servers of different namespaces take each other's display (what keeps them apart is an abstract socket).
pub fn within<T: Send + 'static>(name: &str, work: impl FnOnce() -> T + Send + 'static) -> T {
    let name = name.to_owned();
    let thread = std::thread::spawn(move || {
        enter(&name);
        work()
    });
    thread.join().unwrap_or_else(|reason| std::panic::resume_unwind(reason))
}

/// From now on this thread's sockets are made in the network namespace of this name (`ip netns`).
pub fn enter(name: &str) {
    let file = std::fs::File::open(format!("/run/netns/{name}")).unwrap();
    // SAFETY: the descriptor is open for as long as the call lasts, and a network namespace concerns this thread alone.
    let entered = unsafe { libc::setns(file.as_raw_fd(), libc::CLONE_NEWNET) };
    assert_eq!(entered, 0, "entering {name}: {}", std::io::Error::last_os_error());
}
