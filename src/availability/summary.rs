//! What a month's rows add up to.

use super::{Month, add_text};
use crate::session::tap_histogram;
use crate::store::AvailabilityRow;
use hdrhistogram::Histogram;
use std::collections::{BTreeMap, BTreeSet};

/// Counts and times, of an application or a day.
#[derive(Clone, Debug)]
pub struct Figures {
    pub in_time: i64,
    pub late: i64,
    pub failed: i64,
    pub minutes: i64,
    pub minutes_degraded: i64,
    pub screens: Histogram<u64>,
    pub taps: Histogram<u64>,
}

impl Default for Figures {
    fn default() -> Self {
        let (screens, taps) = (tap_histogram(), tap_histogram());
        Figures { in_time: 0, late: 0, failed: 0, minutes: 0, minutes_degraded: 0, screens, taps }
    }
}

impl Figures {
    pub fn attempts(&self) -> i64 {
        self.in_time + self.late + self.failed
    }

    /// The share of attempts that gave a usable screen in time.
    pub fn share(&self) -> Option<f64> {
        (self.attempts() > 0).then(|| self.in_time as f64 / self.attempts() as f64)
    }

    /// Whether the row's histograms could be read.
    pub(super) fn add(&mut self, row: &AvailabilityRow) -> bool {
        self.in_time += row.in_time;
        self.late += row.late;
        self.failed += row.failed;
        self.minutes += row.minutes;
        self.minutes_degraded += row.minutes_degraded;
        add_text(&row.screens, &mut self.screens) & add_text(&row.taps, &mut self.taps)
    }
}

/// In milliseconds, if anything was measured.
pub fn quantile(histogram: &Histogram<u64>, quantile: f64) -> Option<f64> {
    (!histogram.is_empty()).then(|| histogram.value_at_quantile(quantile) as f64 / 1e3)
}

pub struct Summary {
    pub month: Month,
    pub whole: Figures,
    /// By application and site.
    pub applications: BTreeMap<(String, String), Figures>,
    /// By day of the month.
    pub days: BTreeMap<i64, Figures>,
    /// Targets for a screen and a tap by which it was judged, in milliseconds.
    pub targets: BTreeSet<(i64, i64)>,
    /// Rows whose histograms could not be read.
    pub damaged: usize,
}

impl Summary {
    pub fn of(month: Month, rows: &[AvailabilityRow]) -> Summary {
        let mut summary = Summary {
            month,
            whole: Figures::default(),
            applications: BTreeMap::new(),
            days: BTreeMap::new(),
            targets: BTreeSet::new(),
            damaged: 0,
        };
        for row in rows.iter().filter(|row| month.hours().contains(&row.hour)) {
            summary.damaged += usize::from(!summary.whole.add(row));
            let of = (row.application.clone(), row.site.clone());
            summary.applications.entry(of).or_default().add(row);
            summary.days.entry(month.day_of(row.hour)).or_default().add(row);
            summary.targets.insert((row.screen_target, row.tap_target));
        }
        summary
    }
}
