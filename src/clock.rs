//! The monotonic clock, in microseconds: the same for every process of a machine.

use rustix::time::{ClockId, clock_gettime};
use std::time::Instant;

/// Microseconds of `CLOCK_MONOTONIC`.
pub fn now_us() -> u64 {
    now_ns() / 1_000
}

/// Nanoseconds of `CLOCK_MONOTONIC`.
pub fn now_ns() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// The same moment as an [`Instant`] of this process.
pub fn us_of(instant: Instant) -> u64 {
    now_us().saturating_sub(instant.elapsed().as_micros() as u64)
}

/// Milliseconds since 1970 by the system's clock: for what is kept, and what others read.
pub fn unix_ms() -> i64 {
    let time = clock_gettime(ClockId::Realtime);
    time.tv_sec * 1_000 + time.tv_nsec / 1_000_000
}
