//! What a run came to: for people, for programs.

use super::tally::{Moment, Tally};
use super::threshold::Threshold;
use super::{Plan, html};
use hdrhistogram::Histogram;
use serde_json::{Value, json};
use std::fmt::Write;

/// A run that is over.
pub struct Outcome {
    pub plan: Plan,
    pub(super) tally: Tally,
    pub moments: Vec<Moment>,
    /// From the first viewer to the end.
    pub seconds: f64,
    pub interrupted: bool,
}

/// Parts of all latencies that are told, with their names.
pub(super) const QUANTILES: [(&str, f64); 6] =
    [("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0)];

impl Outcome {
    pub fn errors(&self) -> u64 {
        self.tally.errors()
    }

    /// The most viewers that were attached at once.
    pub fn most_attached(&self) -> u64 {
        self.moments.iter().map(|moment| moment.attached).max().unwrap_or(0)
    }

    /// Why the run has failed by these thresholds, a line each.
    pub fn failures(&self, thresholds: &[Threshold]) -> Vec<String> {
        thresholds.iter().filter_map(|threshold| threshold.broken_by(&self.tally)).collect()
    }

    pub fn json(&self, failures: &[String]) -> Value {
        let Outcome { plan, tally, .. } = self;
        let errors = tally.faults.iter().map(|(fault, (count, example))| {
            (fault.name().to_owned(), json!({ "count": count, "example": example }))
        });
        json!({
            "viewers": plan.viewers,
            "most_attached": self.most_attached(),
            "attaches": tally.attaches,
            "failed_attaches": tally.failed_attaches,
            "sessions": plan.sessions,
            "profile": plan.profile,
            "road": plan.road.name(),
            "decodes": plan.cache_bytes.is_some(),
            "seed": plan.seed,
            "ramp_s": plan.ramp.as_secs_f64(),
            "duration_s": plan.duration.as_secs_f64(),
            "seconds": self.seconds,
            "interrupted": self.interrupted,
            "events": tally.events,
            "answered": tally.answered,
            "updates": tally.updates,
            "bytes": tally.bytes,
            "latency_us": quantiles(&tally.latency),
            "update_age_us": quantiles(&tally.age),
            "first_screen_us": quantiles(&tally.first_screen),
            "error_count": tally.errors(),
            "errors": errors.collect::<serde_json::Map<_, _>>(),
            "failures": failures,
            "moments": self.moments,
        })
    }

    /// A page of its own, that needs nothing beside it.
    pub fn html(&self, failures: &[String]) -> String {
        html::page(self, failures)
    }

    /// A few lines for the terminal.
    pub fn summary(&self) -> String {
        let Outcome { plan, tally, seconds, .. } = self;
        let mut text = String::new();
        let _ = writeln!(
            text,
            "{} viewers of {} sessions over {}, {:.0} s: {} events, {} answered, {} updates, {:.1} MB",
            self.most_attached(),
            plan.sessions,
            plan.road.name(),
            seconds,
            tally.events,
            tally.answered,
            tally.updates,
            tally.bytes as f64 / 1e6
        );
        if plan.visit.is_some() {
            let _ =
                writeln!(text, "  let in {} times, and {} times not", tally.attaches, tally.failed_attaches);
        }
        for (what, histogram) in [
            ("from a key to its update", &tally.latency),
            ("from damage to its update", &tally.age),
            ("from dialling to the screen", &tally.first_screen),
        ] {
            let _ = write!(text, "  {what:<28}");
            match histogram.is_empty() {
                true => text.push_str(" nothing was measured"),
                false => QUANTILES.iter().for_each(|(name, quantile)| {
                    let value = milliseconds(histogram.value_at_quantile(*quantile));
                    let _ = write!(text, " {name} {value} ms ");
                }),
            }
            text.push('\n');
        }
        for (fault, (count, example)) in &tally.faults {
            let _ = writeln!(text, "  {count} times {}: {example}", fault.name());
        }
        text
    }
}

/// Microseconds as milliseconds, in as many digits as mean something.
pub(super) fn milliseconds(us: u64) -> String {
    let digits = if us < 10_000 {
        2
    } else if us < 100_000 {
        1
    } else {
        0
    };
    format!("{:.digits$}", us as f64 / 1e3)
}

fn quantiles(histogram: &Histogram<u64>) -> Value {
    let mut all = json!({ "count": histogram.len(), "mean": histogram.mean() });
    for (name, quantile) in QUANTILES {
        let value = (!histogram.is_empty()).then(|| histogram.value_at_quantile(quantile));
        all[name] = json!(value);
    }
    all
}
