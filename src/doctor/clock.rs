//! The clocks: the one that paces updates, and the one that certificates and tickets are judged by.

mod adjtimex;

use super::Finding;
use rustix::time::{ClockId, clock_gettime};
use std::time::Instant;

const READS: u32 = 20_000;
/// A clock that the processor keeps is read in tens of nanoseconds, one that a device keeps in thousands.
const SLOW_READ_NS: u128 = 1_000;

pub fn monotonic() -> Finding {
    const SUBJECT: &str = "monotonic clock";
    let started = Instant::now();
    let mut last = clock_gettime(ClockId::Monotonic);
    for _ in 0..READS {
        let now = clock_gettime(ClockId::Monotonic);
        if (now.tv_sec, now.tv_nsec) < (last.tv_sec, last.tv_nsec) {
            return Finding::fail(
                SUBJECT,
                "it went backwards",
                "round trips and pacing are computed from it and go wrong",
                "repair the machine's or hypervisor's clock source",
            );
        }
        last = now;
    }
    judge_read(SUBJECT, started.elapsed().as_nanos() / u128::from(READS))
}

fn judge_read(subject: &'static str, nanoseconds: u128) -> Finding {
    let found = format!("steady, {nanoseconds} ns a reading");
    if nanoseconds <= SLOW_READ_NS {
        return Finding::ok(subject, found, "cheap enough to be read for each packet");
    }
    Finding::warn(
        subject,
        found,
        "each reading is a trip into the kernel, and each packet takes one",
        "choose tsc or kvm-clock in /sys/devices/system/clocksource/clocksource0/current_clocksource",
    )
}

pub fn synchronised() -> Finding {
    const SUBJECT: &str = "clock synchronisation";
    match adjtimex::is_synchronised() {
        Ok(true) => Finding::ok(SUBJECT, "the kernel says so", "certificates and tickets are judged rightly"),
        Ok(false) => Finding::warn(
            SUBJECT,
            "the kernel says the clock is not synchronised",
            "certificates and tickets may be judged by a wrong time, and audit records carry it",
            "apt-get install systemd-timesyncd (or chrony), unless the machine's host keeps its clock",
        ),
        Err(error) => Finding::warn(
            SUBJECT,
            format!("unknown: {error}"),
            "whether certificates are judged by the right time is not known",
            "allow the system call adjtimex, or see that the machine's host keeps its clock",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    #[test]
    fn a_clock_that_is_dear_to_read_is_warned_of() {
        assert_eq!(judge_read("c", 45).verdict, Verdict::Ok);
        assert_eq!(judge_read("c", 2_500).verdict, Verdict::Warn);
    }

    #[test]
    fn the_kernel_tells_whether_its_clock_is_synchronised() {
        // A sandbox may forbid the question; anything else is an answer.
        if let Err(error) = adjtimex::is_synchronised() {
            assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied);
        }
    }
}
