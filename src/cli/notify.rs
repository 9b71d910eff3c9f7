//! What a service manager is told: sd_notify(3).

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// This process serves, also when another one did when the service was started.
pub fn serving() {
    tell(&format!("READY=1\nMAINPID={}", std::process::id()));
}

/// What was asked for could not be done; the service goes on.
pub fn status(text: &str) {
    tell(&format!("READY=1\nSTATUS={}", text.replace('\n', " ")));
}

/// A new configuration, or a new program, is on its way.
pub fn reloading() {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let micros = now.tv_sec * 1_000_000 + now.tv_nsec / 1_000;
    tell(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"));
}

/// Another process serves in the place of this one, which ends.
pub fn succeeded_by(process: u32) {
    tell(&format!("MAINPID={process}"));
}

fn tell(what: &str) {
    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let path = path.to_string_lossy();
    let address = match path.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name.as_bytes()),
        None => SocketAddr::from_pathname(path.as_ref()),
    };
    let told = address.and_then(|address| UnixDatagram::unbound()?.send_to_addr(what.as_bytes(), &address));
    if let Err(error) = told {
        tracing::warn!(%error, "the service manager could not be told");
    }
}
