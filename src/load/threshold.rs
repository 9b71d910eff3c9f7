//! What a run must not exceed: `p99>50ms` fails it.

use super::tally::Tally;
use std::fmt;
use std::str::FromStr;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Metric {
    /// Of the latencies; 1 is the longest.
    Quantile(f64),
    Errors,
    FailedAttaches,
}

const METRICS: [(&str, Metric); 8] = [
    ("p50", Metric::Quantile(0.5)),
    ("p90", Metric::Quantile(0.9)),
    ("p95", Metric::Quantile(0.95)),
    ("p99", Metric::Quantile(0.99)),
    ("p99.9", Metric::Quantile(0.999)),
    ("max", Metric::Quantile(1.0)),
    ("errors", Metric::Errors),
    ("failed-attaches", Metric::FailedAttaches),
];

/// A condition under which a run has failed.
#[derive(Clone, Debug, PartialEq)]
pub struct Threshold {
    text: String,
    metric: Metric,
    /// Whether the bound itself fails already.
    inclusive: bool,
    /// Microseconds, or a count.
    bound: f64,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ThresholdError {
    #[error("{0:?} has no comparison: write METRIC>VALUE or METRIC>=VALUE, such as p99>50ms or errors>0")]
    NoComparison(String),
    #[error("{0:?} is not a metric: there are p50, p90, p95, p99, p99.9, max, errors and failed-attaches")]
    NoMetric(String),
    #[error("{0:?} is not a time: write a number and its unit, us, ms or s, such as 50ms")]
    NoTime(String),
    #[error("{0:?} is not a count: write a whole number")]
    NoCount(String),
}

impl FromStr for Threshold {
    type Err = ThresholdError;

    fn from_str(text: &str) -> Result<Self, ThresholdError> {
        let (name, value) = text.split_once('>').ok_or_else(|| ThresholdError::NoComparison(text.into()))?;
        let (inclusive, value) = value.strip_prefix('=').map_or((false, value), |value| (true, value));
        let (name, value) = (name.trim(), value.trim());
        let metric = METRICS.iter().find(|(known, _)| *known == name).map(|(_, metric)| *metric);
        let metric = metric.ok_or_else(|| ThresholdError::NoMetric(name.into()))?;
        let bound = match metric {
            Metric::Errors | Metric::FailedAttaches => {
                value.parse::<u32>().map(f64::from).map_err(|_| ThresholdError::NoCount(value.into()))?
            }
            Metric::Quantile(_) => time_us(value).ok_or_else(|| ThresholdError::NoTime(value.into()))?,
        };
        Ok(Threshold { text: text.trim().to_owned(), metric, inclusive, bound })
    }
}

fn time_us(text: &str) -> Option<f64> {
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = text.split_at(split);
    let scale = match unit.trim() {
        "us" | "µs" => 1.0,
        "ms" => 1e3,
        "s" => 1e6,
        _ => return None,
    };
    number.parse::<f64>().ok().map(|number| number * scale)
}

impl Threshold {
    /// Why a run has failed by this, or nothing.
    pub fn broken_by(&self, tally: &Tally) -> Option<String> {
        let Threshold { text, metric, inclusive, bound } = self;
        let value = match metric {
            Metric::Errors => tally.errors() as f64,
            Metric::FailedAttaches if tally.attaches + tally.failed_attaches == 0 => {
                return Some(format!("{text}: cannot be told, for no viewer tried to attach"));
            }
            Metric::FailedAttaches => tally.failed_attaches as f64,
            Metric::Quantile(_) if tally.latency.is_empty() => {
                return Some(format!("{text}: cannot be told, for no event was measured"));
            }
            Metric::Quantile(quantile) => tally.latency.value_at_quantile(*quantile) as f64,
        };
        let broken = if *inclusive { value >= *bound } else { value > *bound };
        let said = match metric {
            Metric::Errors => format!("{value} errors"),
            Metric::FailedAttaches => format!("{value} of {}", tally.attaches + tally.failed_attaches),
            Metric::Quantile(_) => format!("{:.3} ms", value / 1e3),
        };
        broken.then(|| format!("{text}: it is {said}"))
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tally::Fault;
    use super::*;
    use proptest::prelude::*;

    fn broken(text: &str, latencies: &[u64], errors: u64) -> Option<String> {
        let mut tally = Tally::new(0);
        latencies.iter().for_each(|&latency| tally.answered(0, latency));
        (0..errors).for_each(|_| tally.fault(Fault::Dial, String::new));
        text.parse::<Threshold>().unwrap().broken_by(&tally)
    }

    #[test]
    fn a_run_fails_above_its_bound_in_any_unit() {
        for text in ["max>50ms", " max > 50 ms", "max>50000us", "max>0.05s", "p50>=50ms", "p99.9>49ms"] {
            assert!(broken(text, &[50_500], 0).is_some(), "{text}");
            assert!(broken(text, &[48_000], 0).is_none(), "{text}");
        }
        assert!(broken("errors>0", &[], 1).unwrap().contains("1 errors"));
        assert!(broken("errors>0", &[1], 0).is_none());
        assert!(broken("errors>=1", &[], 1).is_some());
    }

    #[test]
    fn a_run_fails_by_attaches_that_failed_and_if_nobody_tried() {
        let mut tally = Tally::new(0);
        let threshold: Threshold = "failed-attaches>0".parse().unwrap();
        assert!(threshold.broken_by(&tally).unwrap().contains("no viewer tried"));
        tally.attaches = 7;
        assert_eq!(threshold.broken_by(&tally), None);
        tally.failed_attaches = 1;
        assert!(threshold.broken_by(&tally).unwrap().contains("1 of 8"));
    }

    #[test]
    fn a_run_that_measured_nothing_does_not_pass() {
        assert!(broken("p99>1s", &[], 0).unwrap().contains("no event"));
    }

    #[test]
    fn what_is_not_a_threshold_is_named_with_what_can_be_written() {
        let wrong = |text: &str| text.parse::<Threshold>().unwrap_err().to_string();
        assert!(wrong("p99").contains("p99>50ms"));
        assert!(wrong("p98>1ms").contains("p99.9"));
        assert!(wrong("p99>50").contains("ms"));
        assert!(wrong("p99>fast").contains("unit"));
        assert!(wrong("errors>1ms").contains("whole number"));
        assert!(wrong("p99<50ms").contains("p99>50ms"));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".{0,20}") {
            let _ = text.parse::<Threshold>();
        }

        #[test]
        fn a_time_is_read_as_written(number in 0u32..100_000) {
            let threshold: Threshold = format!("p50>{number}us").parse().unwrap();
            prop_assert_eq!(threshold.bound, f64::from(number));
        }
    }
}
