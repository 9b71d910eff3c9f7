//! Brings what was counted into the store, each minute.

use super::meter::Meter;
use super::{add_text, to_text};
use crate::session::tap_histogram;
use crate::store::{AvailabilityRow, Store, StoreError};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What a store that is away is owed is kept for so many hours.
const KEPT_HOURS: i64 = 48;

/// What is asked of a gateway: by when a usable screen is there, and a tap's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Targets {
    pub screen: Duration,
    pub tap: Duration,
}

/// What is kept of one hour until it is over.
struct Hour {
    row: AvailabilityRow,
    screens: hdrhistogram::Histogram<u64>,
    taps: hdrhistogram::Histogram<u64>,
    /// With what was written of it before this process began.
    joined: bool,
    /// Since it was last written.
    changed: bool,
}

/// The meters of all applications, and their way into the store.
pub struct Recorder {
    store: Store,
    site: String,
    gateway: String,
    targets: Targets,
    meters: Mutex<BTreeMap<String, Arc<Meter>>>,
    hours: tokio::sync::Mutex<BTreeMap<(i64, String), Hour>>,
}

/// How an application is at the moment of a look.
#[derive(Clone, Copy, Debug, Default)]
pub struct Look {
    pub viewers: usize,
    /// A viewer is silent, or its path alone takes longer than a tap may.
    pub troubled: bool,
}

impl Recorder {
    pub fn new(store: Store, site: &str, gateway: &str, targets: Targets) -> Recorder {
        Recorder {
            store,
            site: site.to_owned(),
            gateway: gateway.to_owned(),
            targets,
            meters: Mutex::default(),
            hours: tokio::sync::Mutex::default(),
        }
    }

    /// The name under which this gateway's rows are written.
    pub fn gateway(&self) -> &str {
        &self.gateway
    }

    pub fn site(&self) -> &str {
        &self.site
    }

    pub fn targets(&self) -> Targets {
        self.targets
    }

    /// The meter of an application. To be asked only for applications that there are.
    pub fn meter(&self, application: &str) -> Arc<Meter> {
        let mut meters = self.meters.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(Meter::new(self.targets.screen));
        meters.entry(application.to_owned()).or_insert_with(new).clone()
    }

    fn all(&self) -> Vec<(String, Arc<Meter>)> {
        let meters = self.meters.lock().unwrap_or_else(PoisonError::into_inner);
        meters.iter().map(|(name, meter)| (name.clone(), meter.clone())).collect()
    }

    /// Takes in a minute, and writes the hours that it changed. `looks` says how each application is now. What cannot be written
    /// is kept for the next minute.
    pub async fn minute(&self, now_ms: i64, looks: &BTreeMap<String, Look>) -> Result<(), StoreError> {
        let now = now_ms.div_euclid(3_600_000);
        let mut hours = self.hours.lock().await;
        for (application, meter) in self.all() {
            let look = looks.get(&application).copied().unwrap_or_default();
            let (counted, taps) = meter.take();
            let attempts = counted.in_time + counted.late + counted.failed;
            if look.viewers == 0 && attempts == 0 && taps.is_empty() {
                continue;
            }
            let hour = hours.entry((now, application)).or_insert_with_key(|(_, name)| self.empty(now, name));
            let slow = !taps.is_empty() && taps.max() > self.targets.tap.as_micros() as u64;
            hour.row.in_time += counted.in_time;
            hour.row.late += counted.late;
            hour.row.failed += counted.failed;
            hour.row.minutes += 1;
            hour.row.minutes_degraded +=
                i64::from(counted.late + counted.failed > 0 || slow || look.troubled);
            // All have the same bounds.
            let _ = hour.screens.add(&counted.screens);
            let _ = hour.taps.add(&taps);
            hour.changed = true;
        }
        let mut written = Ok(());
        for hour in hours.values_mut().filter(|hour| hour.changed) {
            match self.write(hour).await {
                Ok(()) => hour.changed = false,
                Err(error) => {
                    // The others would wait for the same store.
                    written = Err(error);
                    break;
                }
            }
        }
        hours.retain(|(at, _), hour| *at == now || (hour.changed && *at > now - KEPT_HOURS));
        // Whoever still has a meter counts on; it is made anew when it is asked for.
        let mut meters = self.meters.lock().unwrap_or_else(PoisonError::into_inner);
        meters.retain(|name, meter| {
            hours.keys().any(|(_, known)| known == name) || Arc::strong_count(meter) > 1
        });
        written
    }

    /// Writes an hour; with what a gateway of this name had written of it before its restart.
    async fn write(&self, hour: &mut Hour) -> Result<(), StoreError> {
        if !hour.joined {
            let Hour { row, screens, taps, .. } = hour;
            let of = (row.hour, row.application.as_str());
            if let Some(kept) = self.store.availability_of(of.0, of.1, &self.site, &self.gateway).await? {
                row.in_time += kept.in_time;
                row.late += kept.late;
                row.failed += kept.failed;
                row.minutes += kept.minutes;
                row.minutes_degraded += kept.minutes_degraded;
                add_text(&kept.screens, screens);
                add_text(&kept.taps, taps);
            }
            hour.joined = true;
        }
        (hour.row.screens, hour.row.taps) = (to_text(&hour.screens), to_text(&hour.taps));
        self.store.keep_availability(&hour.row).await
    }

    fn empty(&self, hour: i64, application: &str) -> Hour {
        let row = AvailabilityRow {
            hour,
            application: application.to_owned(),
            site: self.site.clone(),
            gateway: self.gateway.clone(),
            in_time: 0,
            late: 0,
            failed: 0,
            minutes: 0,
            minutes_degraded: 0,
            screen_target: self.targets.screen.as_millis() as i64,
            tap_target: self.targets.tap.as_millis() as i64,
            screens: String::new(),
            taps: String::new(),
        };
        Hour { row, screens: tap_histogram(), taps: tap_histogram(), joined: false, changed: false }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Ending, Month, Summary};
    use super::*;

    #[tokio::test]
    async fn minutes_add_up_to_hours_also_over_a_restart_and_a_month_sums_them_up() {
        let folder = std::env::temp_dir().join(format!("chevet-availability-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        let store = Store::open(&Store::url_in(&folder)).await.unwrap();
        let targets = Targets { screen: Duration::from_secs(1), tap: Duration::from_millis(100) };
        let start = || Recorder::new(store.clone(), "north", "gateway-1", targets);
        let month: Month = "2026-11".parse().unwrap();
        let begin = month.hours().start * 3_600_000;
        let recorder = start();
        let meter = recorder.meter("desk");
        meter.count(Ending::Shown(Duration::from_millis(300)));
        meter.count(Ending::Shown(Duration::from_millis(3_000)));
        let nobody = BTreeMap::new();
        recorder.minute(begin, &nobody).await.unwrap();
        let watched = BTreeMap::from([("desk".to_owned(), Look { viewers: 1, troubled: false })]);
        recorder.minute(begin + 60_000, &watched).await.unwrap();
        recorder.minute(begin + 120_000, &nobody).await.unwrap();
        let again = start();
        again.meter("desk").count(Ending::Failed);
        again.minute(begin + 180_000, &nobody).await.unwrap();
        again.meter("desk").count(Ending::Shown(Duration::from_millis(5)));
        again.minute(begin + 3_600_000, &nobody).await.unwrap();
        let rows = store.availability(month.hours().start, month.hours().end).await.unwrap();
        let counts: Vec<_> =
            rows.iter().map(|r| (r.in_time, r.late, r.failed, r.minutes, r.minutes_degraded)).collect();
        assert_eq!(counts, [(1, 1, 1, 3, 2), (1, 0, 0, 1, 0)]);
        let summary = Summary::of(month, &rows);
        let figures = &summary.applications[&("desk".to_owned(), "north".to_owned())];
        assert_eq!((figures.attempts(), figures.share()), (4, Some(0.5)));
        assert!(figures.screens.max() >= 2_900_000);
        std::fs::remove_dir_all(folder).unwrap();
    }
}
