//! The instruments, and how Prometheus reads them.

use std::fmt::Write;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

/// Only grows.
#[derive(Debug)]
pub struct Counter(AtomicU64);

impl Counter {
    pub const fn new() -> Self {
        Counter(AtomicU64::new(0))
    }

    pub fn count(&self) {
        self.add(1);
    }

    pub fn add(&self, number: u64) {
        self.0.fetch_add(number, Ordering::Relaxed);
    }

    pub fn counted(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Default for Counter {
    fn default() -> Self {
        Counter::new()
    }
}

/// Grows and shrinks.
#[derive(Debug)]
pub struct Gauge(AtomicI64);

impl Gauge {
    pub const fn new() -> Self {
        Gauge(AtomicI64::new(0))
    }

    pub fn more(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub fn less(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    pub fn value(&self) -> f64 {
        self.0.load(Ordering::Relaxed) as f64
    }
}

impl Default for Gauge {
    fn default() -> Self {
        Gauge::new()
    }
}

/// The upper bounds of the buckets, in microseconds, and as they are written: from a tenth of a millisecond to 10 s.
const BOUNDS: [(u64, &str); 15] = [
    (100, "0.0001"),
    (250, "0.00025"),
    (500, "0.0005"),
    (1_000, "0.001"),
    (2_500, "0.0025"),
    (5_000, "0.005"),
    (10_000, "0.01"),
    (25_000, "0.025"),
    (50_000, "0.05"),
    (100_000, "0.1"),
    (250_000, "0.25"),
    (500_000, "0.5"),
    (1_000_000, "1"),
    (2_500_000, "2.5"),
    (10_000_000, "10"),
];

/// How long something took.
#[derive(Debug)]
pub struct Histogram {
    /// The last one has what is longer than all bounds.
    buckets: [AtomicU64; BOUNDS.len() + 1],
    sum_us: AtomicU64,
}

impl Histogram {
    pub const fn new() -> Self {
        Histogram { buckets: [const { AtomicU64::new(0) }; BOUNDS.len() + 1], sum_us: AtomicU64::new(0) }
    }

    pub fn observe(&self, time: Duration) {
        let us = time.as_micros() as u64;
        let bucket = BOUNDS.partition_point(|(bound, _)| *bound < us);
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum_us.fetch_add(us, Ordering::Relaxed);
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Histogram::new()
    }
}

#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// Prometheus' text format.
#[derive(Debug, Default)]
pub struct Text {
    text: String,
    name: &'static str,
}

impl Text {
    /// Begins the series of a name.
    pub fn family(&mut self, name: &'static str, kind: Kind, help: &str) {
        self.name = name;
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let _ = write!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    fn line(&mut self, suffix: &str, labels: &[(&str, &str)], value: f64) {
        let _ = write!(self.text, "{}{suffix}", self.name);
        for (index, (name, label)) in labels.iter().enumerate() {
            let before = if index == 0 { '{' } else { ',' };
            let label = label.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _ = write!(self.text, "{before}{name}=\"{label}\"");
        }
        let _ = writeln!(self.text, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }

    pub fn value(&mut self, labels: &[(&str, &str)], value: f64) {
        self.line("", labels, value);
    }

    pub fn count(&mut self, labels: &[(&str, &str)], counter: &Counter) {
        self.line("", labels, counter.0.load(Ordering::Relaxed) as f64);
    }

    pub fn histogram(&mut self, labels: &[(&str, &str)], histogram: &Histogram) {
        let mut count = 0;
        for (index, bucket) in histogram.buckets.iter().enumerate() {
            count += bucket.load(Ordering::Relaxed);
            let bound = BOUNDS.get(index).map_or("+Inf", |(_, bound)| bound);
            let labels = [labels, &[("le", bound)]].concat();
            self.line("_bucket", &labels, count as f64);
        }
        self.line("_sum", labels, histogram.sum_us.load(Ordering::Relaxed) as f64 / 1e6);
        self.line("_count", labels, count as f64);
    }

    pub fn done(self) -> String {
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_is_cumulative_and_its_bounds_belong_to_their_buckets() {
        let histogram = Histogram::new();
        for us in [1, 100, 101, 20_000_000] {
            histogram.observe(Duration::from_micros(us));
        }
        let mut text = Text::default();
        text.family("t_seconds", Kind::Histogram, "t");
        text.histogram(&[("a", "b")], &histogram);
        let text = text.done();
        for line in [
            "t_seconds_bucket{a=\"b\",le=\"0.0001\"} 2",
            "t_seconds_bucket{a=\"b\",le=\"0.00025\"} 3",
            "t_seconds_bucket{a=\"b\",le=\"10\"} 3",
            "t_seconds_bucket{a=\"b\",le=\"+Inf\"} 4",
            "t_seconds_sum{a=\"b\"} 20.000202",
            "t_seconds_count{a=\"b\"} 4",
        ] {
            assert!(text.lines().any(|known| known == line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn a_label_cannot_leave_its_quotes() {
        let mut text = Text::default();
        text.family("t", Kind::Gauge, "t");
        text.value(&[("a", "b\"} 1\nc\\")], 2.0);
        assert_eq!(text.done().lines().last(), Some("t{a=\"b\\\"} 1\\nc\\\\\"} 2"));
    }
}
