//! Which host a new session goes to.

use crate::wire::HostLoad;

/// A host that could take a session.
#[derive(Clone, Debug)]
pub struct Candidate {
    pub host: String,
    pub load: HostLoad,
    /// Sessions that it runs, and those that are being started there.
    pub sessions: u32,
    pub capacity: u32,
}

/// The hosts that can take a session of this many MiB, the least loaded first. The fuller of its places and its
/// processors is a host's load: the one that is short decides how a session feels there.
pub fn order(mut candidates: Vec<Candidate>, memory_mib: u64) -> Vec<String> {
    candidates.retain(|candidate| {
        let room = candidate.sessions < candidate.capacity;
        room && !candidate.load.draining && candidate.load.memory_free_mib >= memory_mib
    });
    let load = |candidate: &Candidate| {
        let places = u64::from(candidate.sessions) * 1_000 / u64::from(candidate.capacity.max(1));
        let memory = std::cmp::Reverse(candidate.load.memory_free_mib);
        (places.max(candidate.load.cpu_per_mille.into()), candidate.sessions, memory)
    };
    candidates.sort_by(|a, b| load(a).cmp(&load(b)).then_with(|| a.host.cmp(&b.host)));
    candidates.into_iter().map(|candidate| candidate.host).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str, sessions: u32, cpu_per_mille: u32, memory_free_mib: u64) -> Candidate {
        let load = HostLoad { running: sessions, cpu_per_mille, memory_free_mib, draining: false };
        Candidate { host: name.into(), load, sessions, capacity: 10 }
    }

    #[test]
    fn the_least_loaded_host_comes_first_by_what_it_is_short_of() {
        let busy = host("busy", 0, 900, 4_000);
        let half = host("half", 5, 100, 4_000);
        let free = host("free", 2, 100, 4_000);
        assert_eq!(order(vec![busy, half, free], 0), ["free", "half", "busy"]);
        let equal = vec![host("b", 1, 0, 1_000), host("c", 1, 0, 2_000), host("a", 1, 0, 1_000)];
        assert_eq!(order(equal, 0), ["c", "a", "b"]);
    }

    #[test]
    fn a_host_that_is_full_draining_or_short_of_memory_is_none() {
        let mut draining = host("draining", 0, 0, 4_000);
        draining.load.draining = true;
        let none = vec![host("full", 10, 0, 4_000), draining, host("small", 0, 0, 100)];
        assert!(order(none, 512).is_empty());
    }
}
