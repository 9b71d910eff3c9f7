//! The processes of a session, as /proc tells of them, and their end.

use rustix::process::{Pid, Signal, kill_process};
use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};

const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Every process with its parent's id, but those that are dead and only not waited for.
fn parents() -> HashMap<i32, i32> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return HashMap::new() };
    let ids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    ids.filter_map(|id| {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        // The name stands in parentheses, and may hold some itself.
        let mut fields = stat[stat.rfind(')')? + 1..].split_ascii_whitespace();
        let state = fields.next()?;
        let parent = fields.next()?.parse().ok()?;
        (!matches!(state, "Z" | "X")).then_some((id, parent))
    })
    .collect()
}

/// All that descend from this process.
pub fn descendants() -> Vec<i32> {
    let parents = parents();
    let own = rustix::process::getpid().as_raw_nonzero().get();
    let descends = |id: i32| {
        let mut at = id;
        // No line of parents is longer than there are processes.
        for _ in 0..=parents.len() {
            match parents.get(&at) {
                Some(parent) if *parent == own => return true,
                Some(parent) => at = *parent,
                None => return false,
            }
        }
        false
    };
    parents.keys().copied().filter(|id| descends(*id)).collect()
}

pub fn signal(id: i32, signal: Signal) {
    if let Some(id) = Pid::from_raw(id) {
        let _ = kill_process(id, signal);
    }
}

/// Signals all that `which` names, again and again for new ones, until there are none or the patience is at its end.
/// Whether none are left.
pub fn end(sent: Signal, patience: Duration, which: impl Fn() -> Vec<i32>) -> bool {
    let until = Instant::now() + patience;
    let mut told = std::collections::HashSet::new();
    loop {
        let left = which();
        if left.is_empty() {
            return true;
        }
        for id in left {
            if told.insert(id) {
                signal(id, sent);
            }
        }
        if Instant::now() >= until {
            return false;
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Kills every process whose environment says that a variable is this path.
pub fn end_marked(variable: &str, path: &Path, patience: Duration) {
    let mark = [variable.as_bytes(), b"=", path.as_os_str().as_bytes()].concat();
    let marked = || {
        let is_marked = |id: &i32| {
            let environment = std::fs::read(format!("/proc/{id}/environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|pair| pair == mark)
        };
        parents().into_keys().filter(is_marked).collect()
    };
    end(Signal::KILL, patience, marked);
}
