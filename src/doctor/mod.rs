//! Looks at the machine as the gateway will find it, and says what is wrong and how to mend it. Every
//! check does the real thing: binds the port, sends the datagram, asks the X server. It changes nothing.

mod clock;
mod display;
mod machine;
mod network;
mod report;

pub use report::{json, run, table};

use serde::Serialize;

/// How a check came out, from best to worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Ok,
    /// chevet runs, with less than it could have.
    Warn,
    /// Something that was asked for cannot work.
    Fail,
}

/// What one check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at, in a few words.
    pub subject: &'static str,
    pub verdict: Verdict,
    /// What is there, with its unit.
    pub found: String,
    /// What it means for chevet, in one line.
    pub means: String,
    /// What to do about it, in one line; nothing when all is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mend: Option<String>,
}

impl Finding {
    fn ok(subject: &'static str, found: impl Into<String>, means: impl Into<String>) -> Finding {
        Finding { subject, verdict: Verdict::Ok, found: found.into(), means: means.into(), mend: None }
    }

    fn warn(
        subject: &'static str,
        found: impl Into<String>,
        means: impl Into<String>,
        mend: impl Into<String>,
    ) -> Finding {
        let (found, means, mend) = (found.into(), means.into(), Some(mend.into()));
        Finding { subject, verdict: Verdict::Warn, found, means, mend }
    }

    fn fail(
        subject: &'static str,
        found: impl Into<String>,
        means: impl Into<String>,
        mend: impl Into<String>,
    ) -> Finding {
        Finding { verdict: Verdict::Fail, ..Finding::warn(subject, found, means, mend) }
    }
}

/// The port of the gateway when its configuration names no other: UDP for QUIC, TCP for the page.
pub const DEFAULT_PORT: u16 = 4380;

/// Examines this machine, in the order in which a session's pixels pass it. Takes a second or two; up to five
/// when a display does not answer.
pub fn examine() -> Vec<Finding> {
    let mut findings = vec![machine::kernel(), machine::cores(), machine::vector_unit(), machine::memory()];
    findings.extend([machine::shared_memory(), machine::open_files()]);
    findings.extend([clock::monotonic(), clock::synchronised()]);
    findings.extend(network::examine(DEFAULT_PORT));
    findings.extend(display::examine(std::env::var("DISPLAY").ok().as_deref()));
    findings.push(machine::demo_programs());
    findings
}

/// The worst of the findings' verdicts; [`Verdict::Ok`] for none.
pub fn worst(findings: &[Finding]) -> Verdict {
    findings.iter().map(|finding| finding.verdict).max().unwrap_or(Verdict::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_that_runs_the_tests_fails_no_check_of_its_own() {
        let findings = examine();
        // What the environment asked for, a display, may be broken; what the machine is, may not.
        let failed: Vec<_> = findings
            .iter()
            .filter(|finding| finding.verdict == Verdict::Fail && !finding.subject.starts_with("X11"))
            .collect();
        assert!(failed.is_empty(), "{failed:?}");
        assert!(findings.len() >= 14);
    }

    #[test]
    fn what_is_not_well_says_how_to_mend_it_and_what_is_well_does_not() {
        for finding in examine() {
            assert_eq!(finding.mend.is_some(), finding.verdict != Verdict::Ok, "{finding:?}");
            for line in [&finding.found, &finding.means, finding.mend.as_ref().unwrap_or(&finding.means)] {
                assert!(!line.is_empty() && !line.contains('\n'), "{finding:?}");
            }
        }
    }

    #[test]
    fn the_worst_verdict_counts() {
        let (ok, warn) = (Finding::ok("a", "b", "c"), Finding::warn("a", "b", "c", "d"));
        let fail = Finding::fail("a", "b", "c", "d");
        assert_eq!(worst(&[]), Verdict::Ok);
        assert_eq!(worst(&[warn.clone(), ok.clone()]), Verdict::Warn);
        assert_eq!(worst(&[warn, fail, ok]), Verdict::Fail);
    }
}
