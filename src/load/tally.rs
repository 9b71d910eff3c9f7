//! What all viewers counted together.

use crate::link::Closed;
use crate::sync::Micros;
use hdrhistogram::Histogram;
use std::collections::BTreeMap;

/// Longer than anything is waited for.
const LONGEST_US: u64 = 60_000_000;

/// What can go wrong for a viewer. What happens again and again is counted, with one example of its words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// No link to the gateway.
    Dial,
    /// The gateway ended the link with a reason.
    Closed,
    /// The link ended without one.
    Lost,
    /// Nothing was heard for two seconds.
    Silent,
    /// What was sent could not be read or decoded.
    Unreadable,
    /// A proof with which the session did not agree.
    Mismatch,
    /// An event was never answered.
    Unanswered,
    /// None of several gateways let the viewer in in time.
    NotAttached,
}

impl Fault {
    pub fn name(self) -> &'static str {
        match self {
            Fault::Dial => "no link",
            Fault::Closed => "closed by the gateway",
            Fault::Lost => "link lost",
            Fault::Silent => "silent for 2 s",
            Fault::Unreadable => "unreadable",
            Fault::Mismatch => "proof refused",
            Fault::Unanswered => "event unanswered",
            Fault::NotAttached => "let in by no gateway",
        }
    }

    pub fn of(closed: &Closed) -> Fault {
        if closed.by_peer { Fault::Closed } else { Fault::Lost }
    }
}

/// Counts since the start. Latency counts only events that were scheduled once the ramp was over.
pub struct Tally {
    measured_from: Micros,
    /// From an event's scheduled time to the update that answers it.
    pub latency: Histogram<u64>,
    /// From the session's noticing of damage to its update here.
    pub age: Histogram<u64>,
    /// From dialling to the first whole screen.
    pub first_screen: Histogram<u64>,
    recent: Histogram<u64>,
    pub events: u64,
    pub answered: u64,
    pub updates: u64,
    pub bytes: u64,
    pub attached: u64,
    /// How often viewers were let in, and how often they were not.
    pub attaches: u64,
    pub failed_attaches: u64,
    pub faults: BTreeMap<Fault, (u64, String)>,
}

/// One second of a run.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub struct Moment {
    pub second: f64,
    pub attached: u64,
    pub events: u64,
    pub answered: u64,
    pub updates: u64,
    pub bytes: u64,
    pub errors: u64,
    /// Of what was answered in this second; nothing if nothing was.
    pub p50_us: Option<u64>,
    pub p99_us: Option<u64>,
    pub max_us: Option<u64>,
}

impl Tally {
    pub fn new(measured_from: Micros) -> Tally {
        // Three digits.
        let histogram = || Histogram::new_with_bounds(1, LONGEST_US, 3).expect("the bounds are in order");
        Tally {
            measured_from,
            latency: histogram(),
            age: histogram(),
            first_screen: histogram(),
            recent: histogram(),
            events: 0,
            answered: 0,
            updates: 0,
            bytes: 0,
            attached: 0,
            attaches: 0,
            failed_attaches: 0,
            faults: BTreeMap::new(),
        }
    }

    pub fn sent(&mut self) {
        self.events += 1;
    }

    /// An event of that scheduled time was answered now.
    pub fn answered(&mut self, scheduled: Micros, now: Micros) {
        self.answered += 1;
        let latency = now.saturating_sub(scheduled);
        self.recent.saturating_record(latency);
        if scheduled >= self.measured_from {
            self.latency.saturating_record(latency);
        }
    }

    /// An event was given up: it counts with the time for which it was waited, so that what never comes
    /// does not make the rest look good.
    pub fn unanswered(&mut self, scheduled: Micros, now: Micros) {
        self.fault(Fault::Unanswered, || "no update carried its effect".into());
        if scheduled >= self.measured_from {
            self.latency.saturating_record(now.saturating_sub(scheduled));
        }
    }

    pub fn updated(&mut self, bytes: usize, captured_us: Micros, now: Micros) {
        self.updates += 1;
        self.bytes += bytes as u64;
        self.age.saturating_record(now.saturating_sub(captured_us));
    }

    pub fn fault(&mut self, fault: Fault, words: impl FnOnce() -> String) {
        self.faults.entry(fault).or_insert_with(|| (0, words())).0 += 1;
    }

    pub fn errors(&self) -> u64 {
        self.faults.values().map(|(count, _)| count).sum()
    }

    /// The second that ends now; what follows is the next one's.
    pub fn moment(&mut self, second: f64) -> Moment {
        let quantile = |q| (!self.recent.is_empty()).then(|| self.recent.value_at_quantile(q));
        let moment = Moment {
            second,
            attached: self.attached,
            events: self.events,
            answered: self.answered,
            updates: self.updates,
            bytes: self.bytes,
            errors: self.errors(),
            p50_us: quantile(0.5),
            p99_us: quantile(0.99),
            max_us: quantile(1.0),
        };
        self.recent.reset();
        moment
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_scheduled_during_the_ramp_is_not_measured() {
        let mut tally = Tally::new(1_000);
        tally.answered(999, 5_000_000);
        tally.answered(1_000, 1_400);
        assert_eq!((tally.latency.len(), tally.latency.max()), (1, 400));
        assert_eq!(tally.answered, 2);
    }

    #[test]
    fn what_never_came_counts_as_an_error_and_as_slow() {
        let mut tally = Tally::new(0);
        tally.unanswered(0, 10_000_000);
        assert!(tally.latency.max() >= 9_900_000);
        assert_eq!(tally.errors(), 1);
    }

    #[test]
    fn faults_are_counted_by_kind_with_one_example() {
        let mut tally = Tally::new(0);
        for number in 0..1_000 {
            tally.fault(Fault::Dial, || format!("number {number}"));
        }
        assert_eq!(tally.faults[&Fault::Dial], (1_000, "number 0".to_owned()));
    }

    #[test]
    fn each_second_has_its_own_percentiles() {
        let mut tally = Tally::new(0);
        tally.answered(0, 100);
        assert_eq!(tally.moment(1.0).max_us, Some(100));
        assert_eq!(tally.moment(2.0).max_us, None);
    }
}
