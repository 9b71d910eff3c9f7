//! How busy this machine is, as /proc tells.

use std::fs::read_to_string;

/// Processor time so far, of all processors, in the kernel's ticks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Processors {
    busy: u64,
    all: u64,
}

impl Processors {
    pub fn now() -> Processors {
        read_to_string("/proc/stat").ok().and_then(|stat| Processors::parse(&stat)).unwrap_or_default()
    }

    fn parse(stat: &str) -> Option<Processors> {
        let line = stat.lines().next()?.strip_prefix("cpu ")?;
        let ticks: Vec<u64> =
            line.split_ascii_whitespace().take(8).map_while(|field| field.parse().ok()).collect();
        let all = ticks.iter().sum();
        // Idle, and idle for a disk.
        let idle: u64 = ticks.get(3..5)?.iter().sum();
        Some(Processors { busy: all - idle, all })
    }

    /// Of all processors since then, in thousandths.
    pub fn per_mille_since(self, before: Processors) -> u32 {
        let all = self.all.saturating_sub(before.all).max(1);
        (self.busy.saturating_sub(before.busy) * 1_000 / all).min(1_000) as u32
    }
}

/// What programs can still have, in MiB.
pub fn memory_free_mib() -> u64 {
    let text = read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib = line.and_then(|line| line.split_ascii_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or_default() / 1_024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn load_is_what_was_not_idle() {
        let before = Processors::parse("cpu  100 0 100 700 100 0 0 0 0 0\ncpu0 ...").unwrap();
        let after = Processors::parse("cpu  150 0 100 730 120 0 0 0 0 0\n").unwrap();
        assert_eq!(after.per_mille_since(before), 500);
        assert_eq!(before.per_mille_since(after), 0);
        assert_eq!(Processors::parse("intr 1 2 3"), None);
        assert!(memory_free_mib() > 0);
    }
}
