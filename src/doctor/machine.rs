//! The machine itself: kernel, processor, memory, limits, installed programs.

use super::Finding;
use std::fs::read_to_string;

const MIB: u64 = 1 << 20;

pub fn kernel() -> Finding {
    let release = read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    kernel_of(release.trim())
}

/// Batched UDP came in two steps: sending (GSO) with Linux 4.18, receiving (GRO) with 5.0.
fn kernel_of(release: &str) -> Finding {
    const SUBJECT: &str = "kernel";
    let mut numbers = release.split(['.', '-']).map(|part| part.parse::<u32>().ok());
    match (numbers.next().flatten(), numbers.next().flatten()) {
        (Some(major), Some(_)) if major >= 5 => {
            Finding::ok(SUBJECT, format!("Linux {release}"), "new enough for UDP in batches")
        }
        (Some(_), Some(_)) => Finding::warn(
            SUBJECT,
            format!("Linux {release}"),
            "older than 5.0: UDP goes packet by packet, which costs processor time",
            "run the gateway on a newer kernel: Debian 11 or later has one",
        ),
        _ => Finding::warn(
            SUBJECT,
            "unknown",
            "its version could not be read from /proc",
            "mount /proc where chevet runs",
        ),
    }
}

pub fn cores() -> Finding {
    const SUBJECT: &str = "processor cores";
    match std::thread::available_parallelism().map_or(1, usize::from) {
        1 => Finding::warn(
            SUBJECT,
            "1",
            "capturing, encoding and sending take turns",
            "give the machine or container two cores or more",
        ),
        many => Finding::ok(SUBJECT, many.to_string(), "capturing, encoding and sending run side by side"),
    }
}

pub fn vector_unit() -> Finding {
    const SUBJECT: &str = "vector instructions";
    #[cfg(target_arch = "x86_64")]
    if !std::arch::is_x86_feature_detected!("avx2") {
        return Finding::warn(
            SUBJECT,
            "no AVX2",
            "hashing and encoding run as plain code, several times slower",
            "pass the host's processor through to the virtual machine, or use one with AVX2",
        );
    }
    let found = if cfg!(target_arch = "x86_64") { "AVX2" } else { std::env::consts::ARCH };
    Finding::ok(SUBJECT, found, "hashing and encoding use what this processor has")
}

pub fn memory() -> Finding {
    const SUBJECT: &str = "available memory";
    let available = read_to_string("/proc/meminfo").ok().and_then(|text| mem_available(&text));
    match available {
        Some(bytes) if bytes >= 512 * MIB => {
            Finding::ok(SUBJECT, size(bytes), "a 1920x1080 session takes tens of MiB")
        }
        Some(bytes) => Finding::warn(
            SUBJECT,
            size(bytes),
            "enough for few sessions only",
            "stop other programs or give the machine more memory",
        ),
        None => Finding::warn(
            SUBJECT,
            "unknown",
            "it could not be read from /proc/meminfo",
            "mount /proc where chevet runs",
        ),
    }
}

/// Bytes, from the text of `/proc/meminfo`, which counts in KiB.
fn mem_available(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

pub fn shared_memory() -> Finding {
    const SUBJECT: &str = "/dev/shm";
    match rustix::fs::statvfs("/dev/shm") {
        Ok(shm) => {
            let free = shm.f_bavail.saturating_mul(shm.f_frsize);
            if free >= 256 * MIB {
                Finding::ok(SUBJECT, format!("{} free", size(free)), "enough for the programs of a session")
            } else {
                Finding::warn(
                    SUBJECT,
                    format!("{} free", size(free)),
                    "browsers and other programs of a session crash when it is full",
                    "mount -o remount,size=1G /dev/shm, or start the container with --shm-size=1g",
                )
            }
        }
        Err(error) => Finding::warn(
            SUBJECT,
            format!("not usable: {error}"),
            "browsers and other programs of a session may not start",
            "mount a tmpfs on /dev/shm",
        ),
    }
}

pub fn open_files() -> Finding {
    const SUBJECT: &str = "open files limit";
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    match limit.current {
        Some(files) if files < 4_096 => Finding::warn(
            SUBJECT,
            files.to_string(),
            "each viewer on WebSocket takes a descriptor: the rest is refused when they are used up",
            "LimitNOFILE=65536 in the service, or `ulimit -n 65536` in the shell that starts chevet",
        ),
        files => Finding::ok(
            SUBJECT,
            files.map_or("unlimited".to_owned(), |files| files.to_string()),
            "enough for thousands of viewers",
        ),
    }
}

pub fn demo_programs() -> Finding {
    const SUBJECT: &str = "demo programs";
    let missing = crate::demo::missing();
    if missing.is_empty() {
        return Finding::ok(SUBJECT, "all there", "`chevet demo` can show its desktop");
    }
    let list = |word: fn(&crate::demo::Program) -> &'static str, separator| {
        missing.iter().map(word).collect::<Vec<_>>().join(separator)
    };
    Finding::warn(
        SUBJECT,
        format!("missing {}", list(|program| program.name, ", ")),
        "`chevet demo` cannot show its desktop; nothing else needs them",
        format!("apt-get install {}", list(|program| program.package, " ")),
    )
}

/// A number of bytes for people: `1.5 GiB`.
pub fn size(bytes: u64) -> String {
    let (unit, name) = match bytes {
        0..1024 => return format!("{bytes} B"),
        1024..MIB => (1024, "KiB"),
        MIB..0x4000_0000 => (MIB, "MiB"),
        _ => (1 << 30, "GiB"),
    };
    format!("{:.1} {name}", bytes as f64 / unit as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    #[test]
    fn a_kernel_is_judged_by_its_version() {
        assert_eq!(kernel_of("6.1.0-18-amd64").verdict, Verdict::Ok);
        assert_eq!(kernel_of("5.0").verdict, Verdict::Ok);
        assert_eq!(kernel_of("4.19.0-26-amd64").verdict, Verdict::Warn);
        assert_eq!(kernel_of("").verdict, Verdict::Warn);
    }

    #[test]
    fn available_memory_is_read_in_bytes() {
        assert_eq!(mem_available("MemTotal: 9 kB\nMemAvailable:    2048 kB\n"), Some(2 * MIB));
        assert_eq!(mem_available("MemAvailable: 99999999999999999999 kB\n"), None);
        assert_eq!(mem_available(""), None);
    }

    #[test]
    fn sizes_have_the_unit_that_fits() {
        assert_eq!(size(0), "0 B");
        assert_eq!(size(212_992), "208.0 KiB");
        assert_eq!(size(4 * MIB), "4.0 MiB");
        assert_eq!(size(3 << 29), "1.5 GiB");
    }
}
