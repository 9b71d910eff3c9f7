//! The one system call that tells whether something keeps the clock right, adjtimex(2). No safe wrapper has it.

use std::io;

/// Whether the kernel's clock is being kept synchronised (NTP, PTP, ...).
///
/// # Errors
/// When the system call is forbidden here.
pub fn is_synchronised() -> io::Result<bool> {
    // SAFETY: `timex` is plain integers, for which zero is a value; `modes` 0 only reads.
    let mut state: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a whole `timex` of ours, which the call fills.
    let outcome = unsafe { libc::adjtimex(&mut state) };
    if outcome < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(outcome != libc::TIME_ERROR && state.status & libc::STA_UNSYNC == 0)
}
