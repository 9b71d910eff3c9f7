//! What is counted of one application between two looks at it.

use crate::link::{Closed, Link};
use crate::session::{FirstScreen, Taps, tap_histogram};
use crate::wire::CloseCode;
use hdrhistogram::Histogram;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How an attempt to attach went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// A usable screen came after this time.
    Shown(Duration),
    /// None came.
    Failed,
    /// Its viewer went before one could be expected: clients dial by two roads and keep the better one.
    Abandoned,
}

impl Ending {
    /// Of a link that was closed before it showed anything.
    fn without_screen(closed: &Closed, after: Duration, target: Duration) -> Ending {
        let gone = closed.by_peer || closed.code == CloseCode::TAKEN_OVER;
        if gone && after < target { Ending::Abandoned } else { Ending::Failed }
    }
}

/// What was counted since it was last taken.
#[derive(Debug)]
pub(super) struct Counted {
    pub in_time: i64,
    pub late: i64,
    pub failed: i64,
    pub screens: Histogram<u64>,
}

impl Default for Counted {
    fn default() -> Self {
        Counted { in_time: 0, late: 0, failed: 0, screens: tap_histogram() }
    }
}

/// Counts for one application.
#[derive(Debug)]
pub struct Meter {
    target: Duration,
    taps: Arc<Taps>,
    counted: Mutex<Counted>,
}

impl Meter {
    pub(super) fn new(target: Duration) -> Meter {
        Meter { target, taps: Arc::default(), counted: Mutex::default() }
    }

    /// Where its viewers' taps go.
    pub fn taps(&self) -> Arc<Taps> {
        self.taps.clone()
    }

    pub fn count(&self, ending: Ending) {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        match ending {
            Ending::Shown(time) => {
                counted.screens.saturating_record(time.as_micros() as u64);
                if time <= self.target {
                    counted.in_time += 1;
                } else {
                    counted.late += 1;
                }
            }
            Ending::Failed => counted.failed += 1,
            Ending::Abandoned => {}
        }
    }

    /// Counts a link that was given to its session, once it is known how that went. `live`: whether there is anything to see.
    pub async fn follow(self: Arc<Self>, link: Link, first: Arc<FirstScreen>, live: bool) {
        let ending = tokio::select! {
            _ = first.seen() => if live { Ending::Shown(link.age()) } else { Ending::Failed },
            closed = link.ended() => Ending::without_screen(&closed, link.age(), self.target),
        };
        self.count(ending);
    }

    pub(super) fn take(&self) -> (Counted, Histogram<u64>) {
        let counted = std::mem::take(&mut *self.counted.lock().unwrap_or_else(PoisonError::into_inner));
        (counted, self.taps.take())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_viewer_that_goes_early_is_no_attempt_and_one_that_waited_in_vain_is_a_failure() {
        let target = Duration::from_secs(3);
        let ending = |code, by_peer, ms| {
            let closed = Closed { code, reason: String::new(), by_peer };
            Ending::without_screen(&closed, Duration::from_millis(ms), target)
        };
        assert_eq!(ending(CloseCode::DONE, true, 200), Ending::Abandoned);
        assert_eq!(ending(CloseCode::TAKEN_OVER, false, 200), Ending::Abandoned);
        assert_eq!(ending(CloseCode::DONE, true, 3_000), Ending::Failed);
        assert_eq!(ending(CloseCode::IDLE, false, 200), Ending::Failed);
        assert_eq!(ending(CloseCode::LIMIT, false, 1), Ending::Failed);
    }

    #[test]
    fn screens_are_in_time_up_to_the_target() {
        let meter = Meter::new(Duration::from_secs(1));
        for ms in [10, 1_000, 1_001] {
            meter.count(Ending::Shown(Duration::from_millis(ms)));
        }
        meter.count(Ending::Failed);
        meter.count(Ending::Abandoned);
        let (counted, _) = meter.take();
        assert_eq!((counted.in_time, counted.late, counted.failed, counted.screens.len()), (2, 1, 1, 3));
        assert_eq!(meter.take().0.in_time, 0);
    }
}
