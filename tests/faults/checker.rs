//! Whether two gateways ever had a session at the same time: from what hosts and gateways said in their logs, each line with the
//! time at which this process read it, since clocks jump here. Pure.

use std::collections::{HashMap, HashSet};

/// What was said, in the order in which it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    pub at_ms: u64,
    /// Which program: "gateway-1", "host-0".
    pub by: String,
    pub what: What,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A host's word: this gateway has the session from now on.
    Given { session: String, gateway: usize },
    /// A host's word: the gateway has it no more.
    Taken,
    /// A gateway's word: it has the session, by the database's count of all that ever had it.
    Has { session: String, fence: u64 },
    /// The program is gone.
    Died,
}

/// Reads a line of a log; nothing if it says nothing of who has a session.
pub fn read(by: &str, line: &str) -> Option<What> {
    let value = |name: &str| {
        let rest = &line[line.find(&format!(" {name}="))? + name.len() + 2..];
        Some(rest.split(' ').next()?.trim_matches('"').to_owned())
    };
    match () {
        () if by.starts_with("host") && line.contains("offered to the gateway") => {
            Some(What::Given { session: value("session")?, gateway: value("gateway")?.parse().ok()? })
        }
        () if by.starts_with("host") && line.contains("the link to the gateway is left") => Some(What::Taken),
        () if by.starts_with("gateway") && line.contains("this gateway has the session") => {
            Some(What::Has { session: value("session")?, fence: value("fence")?.parse().ok()? })
        }
        () => None,
    }
}

/// Every way in which two gateways had a session at once; empty if none had.
pub fn violations(all: &[Said]) -> Vec<String> {
    let mut found = Vec::new();
    // By host: who has what; by session: the highest count, and whose it is.
    let mut given: HashMap<&str, usize> = HashMap::new();
    let mut held_by: HashMap<&str, (&str, usize)> = HashMap::new();
    let mut highest: HashMap<&str, (u64, &str)> = HashMap::new();
    let mut counted: HashSet<(&str, u64)> = HashSet::new();
    for Said { at_ms, by, what } in all {
        match what {
            What::Given { session, gateway } => {
                if let Some(before) = given.insert(by, *gateway) {
                    found.push(format!("{at_ms} ms: {by} gave {session} to {gateway} while {before} had it"));
                }
                if let Some((other, at)) = held_by.insert(session, (by, *gateway))
                    && other != by
                {
                    found
                        .push(format!("{at_ms} ms: {by} and {other} (at gateway {at}) both bring {session}"));
                }
            }
            What::Taken | What::Died => {
                given.remove(by.as_str());
                held_by.retain(|_, (host, _)| *host != by);
            }
            What::Has { session, fence } => {
                if !counted.insert((session, *fence)) {
                    found.push(format!("{at_ms} ms: two had {session} by the number {fence}"));
                }
                let before = highest.entry(session).or_insert((0, by));
                if *fence < before.0 {
                    let (number, holder) = before;
                    found.push(format!(
                        "{at_ms} ms: {by} took {session} by {fence} after {holder} had by {number}"
                    ));
                }
                *before = (*fence, by);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(lines: &[(&str, What)]) -> Vec<Said> {
        let all = lines.iter().enumerate();
        all.map(|(at, (by, what))| Said { at_ms: at as u64, by: (*by).into(), what: what.clone() }).collect()
    }

    fn given(gateway: usize) -> What {
        What::Given { session: "desk".into(), gateway }
    }

    fn has(fence: u64) -> What {
        What::Has { session: "desk".into(), fence }
    }

    #[test]
    fn one_after_the_other_is_right() {
        let lines = [
            ("host-0", given(0)),
            ("gateway-0", has(1)),
            ("host-0", What::Taken),
            ("host-0", given(1)),
            ("gateway-1", has(2)),
            ("host-0", What::Died),
            ("host-0", given(0)),
            ("gateway-0", has(3)),
        ];
        assert_eq!(violations(&said(&lines)), Vec::<String>::new());
    }

    #[test]
    fn a_host_that_gives_to_two_is_found() {
        let found = violations(&said(&[("host-0", given(0)), ("host-0", given(1))]));
        assert!(found.len() == 1 && found[0].contains("while 0 had it"), "{found:?}");
    }

    #[test]
    fn two_hosts_with_the_same_session_are_found() {
        let found = violations(&said(&[("host-0", given(0)), ("host-1", given(1))]));
        assert!(found.len() == 1 && found[0].contains("both bring"), "{found:?}");
    }

    #[test]
    fn a_number_that_two_had_or_that_goes_back_is_found() {
        let found = violations(&said(&[("gateway-0", has(4)), ("gateway-1", has(4))]));
        assert!(found.len() == 1 && found[0].contains("by the number 4"), "{found:?}");
        let found = violations(&said(&[("gateway-0", has(4)), ("gateway-1", has(3))]));
        assert!(found.len() == 1 && found[0].contains("after gateway-0"), "{found:?}");
    }

    #[test]
    fn lines_are_read_as_the_programs_write_them() {
        let line = "2026-01-01T00:00:00Z  INFO chevet::host::offer: offered to the gateway session=\"desk\" road=\"quic\" gateway=2";
        assert_eq!(read("host-0", line), Some(given(2)));
        let line = "… INFO this gateway has the session session=\"desk\" fence=12";
        assert_eq!(read("gateway-1", line), Some(has(12)));
        assert_eq!(read("gateway-1", "… INFO listening on TCP and UDP"), None);
    }
}
