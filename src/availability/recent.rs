//! What the last day and the last month add up to.

use super::Figures;
use crate::store::AvailabilityRow;
use std::collections::BTreeMap;

/// Hours of the last day, and of the last 30 days.
pub const DAY: i64 = 24;
pub const MONTH: i64 = 30 * DAY;

/// Figures of the last day and of the last month.
#[derive(Clone, Debug, Default)]
pub struct Stretch {
    pub day: Figures,
    pub month: Figures,
}

pub struct Recent {
    /// The hour since 1970 that runs: the last of both stretches.
    pub hour: i64,
    pub whole: Stretch,
    /// By application and site.
    pub applications: BTreeMap<(String, String), Stretch>,
    /// The last 24 hours, the oldest first; those without a row are empty.
    pub hours: Vec<Figures>,
    /// The last 30 times 24 hours, the oldest first.
    pub days: Vec<Figures>,
    /// Rows whose histograms could not be read.
    pub damaged: usize,
}

impl Recent {
    /// The hours, since 1970, of which rows are needed.
    pub fn needed(hour: i64) -> std::ops::Range<i64> {
        hour + 1 - MONTH..hour + 1
    }

    pub fn of(hour: i64, rows: &[AvailabilityRow]) -> Recent {
        let mut recent = Recent {
            hour,
            whole: Stretch::default(),
            applications: BTreeMap::new(),
            hours: vec![Figures::default(); DAY as usize],
            days: vec![Figures::default(); (MONTH / DAY) as usize],
            damaged: 0,
        };
        for row in rows.iter().filter(|row| Recent::needed(hour).contains(&row.hour)) {
            let since = row.hour - Recent::needed(hour).start;
            let whole = recent.whole.month.add(row);
            recent.damaged += usize::from(!whole);
            recent.days[(since / DAY) as usize].add(row);
            let of = recent.applications.entry((row.application.clone(), row.site.clone())).or_default();
            of.month.add(row);
            if let Ok(at) = usize::try_from(since - (MONTH - DAY)) {
                of.day.add(row);
                recent.whole.day.add(row);
                recent.hours[at].add(row);
            }
        }
        recent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(hour: i64, application: &str, in_time: i64, late: i64) -> AvailabilityRow {
        let empty = super::super::to_text(&crate::session::tap_histogram());
        AvailabilityRow {
            hour,
            application: application.into(),
            site: "north".into(),
            gateway: "g:1".into(),
            in_time,
            late,
            failed: 0,
            minutes: 10,
            minutes_degraded: late,
            screen_target: 1_000,
            tap_target: 100,
            screens: empty.clone(),
            taps: empty,
        }
    }

    #[test]
    fn the_last_day_is_the_last_24_hours_and_what_is_older_than_30_days_counts_nowhere() {
        let now = 500_000;
        let rows = [
            row(now, "desk", 3, 1),
            row(now - 23, "desk", 1, 0),
            row(now - 24, "desk", 5, 0),
            row(now - 719, "lab", 7, 0),
            row(now - 720, "lab", 100, 0),
            row(now + 1, "lab", 100, 0),
        ];
        let recent = Recent::of(now, &rows);
        let desk = &recent.applications[&("desk".into(), "north".into())];
        assert_eq!((desk.day.attempts(), desk.month.attempts()), (5, 10));
        assert_eq!((desk.day.share(), desk.day.minutes_degraded), (Some(0.8), 1));
        assert_eq!((recent.whole.day.attempts(), recent.whole.month.attempts()), (5, 17));
        assert_eq!((recent.hours[0].attempts(), recent.hours[23].attempts()), (1, 4));
        assert_eq!(
            (recent.days[0].attempts(), recent.days[28].attempts(), recent.days[29].attempts()),
            (7, 5, 5)
        );
        assert_eq!(recent.damaged, 0);
    }

    #[test]
    fn a_row_that_cannot_be_read_is_said_and_its_counts_stay() {
        let damaged = AvailabilityRow { taps: "!".into(), ..row(9_000, "desk", 2, 0) };
        let recent = Recent::of(9_000, &[damaged]);
        assert_eq!((recent.damaged, recent.whole.day.attempts()), (1, 2));
    }
}
