//! How the session is for who views it: when the first screen came, and how long a tap takes to its screen. Measured where
//! the viewer's acknowledgements arrive, so that the time of the path is in it, once there and once back.

use crate::sync::Micros;
use hdrhistogram::Histogram;
use std::sync::{Mutex, PoisonError};
use tokio::sync::watch;

/// When a viewer first had acknowledged a whole picture.
#[derive(Debug)]
pub struct FirstScreen(watch::Sender<Option<Micros>>);

impl Default for FirstScreen {
    fn default() -> Self {
        FirstScreen(watch::channel(None).0)
    }
}

impl FirstScreen {
    pub(super) fn came(&self, now: Micros) {
        self.0.send_if_modified(|at| {
            let first = at.is_none();
            at.get_or_insert(now);
            first
        });
    }

    /// Resolves when it came, on the monotonic clock of [`crate::clock`].
    pub async fn seen(&self) -> Micros {
        // The sender lives as long as `self`.
        self.0.subscribe().wait_for(Option::is_some).await.ok().and_then(|at| *at).unwrap_or_default()
    }
}

/// The times from taps to their screens, of many viewers, until somebody takes them away.
#[derive(Debug)]
pub struct Taps(Mutex<Histogram<u64>>);

/// No tap is counted as longer, in microseconds.
pub const LONGEST_TAP: Micros = 60_000_000;

/// An empty histogram of microseconds, of two digits up to [`LONGEST_TAP`].
pub fn tap_histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(100, LONGEST_TAP, 2).expect("these bounds are right")
}

impl Default for Taps {
    fn default() -> Self {
        Taps(Mutex::new(tap_histogram()))
    }
}

impl Taps {
    pub(super) fn took(&self, time: Micros) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).saturating_record(time);
    }

    /// What was measured since the last call.
    pub fn take(&self) -> Histogram<u64> {
        std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), tap_histogram())
    }
}

/// Follows one viewer: the picture that is its first whole one, and the tap that waits for its screen.
#[derive(Debug, Default)]
pub(super) struct Watched {
    shown: bool,
    whole: Option<u64>,
    tapped_at: Option<Micros>,
    /// The update that carries what a tap did, and when that was.
    answer: Option<(u64, Micros)>,
}

impl Watched {
    pub fn tapped(&mut self, now: Micros) {
        if self.answer.is_none() {
            self.tapped_at.get_or_insert(now);
        }
    }

    pub fn sent(&mut self, number: u64, complete: bool) {
        if complete && !self.shown && self.whole.is_none() {
            self.whole = Some(number);
        }
        if let Some(at) = self.tapped_at.take() {
            self.answer = Some((number, at));
        }
    }

    /// An update will not arrive.
    pub fn dropped(&mut self, number: u64) {
        if self.whole == Some(number) {
            self.whole = None;
        }
        if let Some((_, at)) = self.answer.take_if(|(answer, _)| *answer == number) {
            self.tapped_at = Some(at);
        }
    }

    /// Whether this was the first whole picture, and how long a tap took to what was acknowledged.
    pub fn acknowledged(&mut self, number: u64, now: Micros) -> (bool, Option<Micros>) {
        let first = !self.shown && self.whole == Some(number);
        self.shown |= first;
        let answered = self.answer.take_if(|(answer, _)| *answer == number);
        (first, answered.map(|(_, at)| now.saturating_sub(at)))
    }

    /// The screen that it brought is the session's already.
    pub fn resumed(&mut self) {
        self.shown = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_whole_picture_counts_once_and_not_before_its_acknowledgement() {
        let mut watched = Watched::default();
        watched.sent(1, false);
        watched.sent(2, true);
        watched.sent(3, true);
        assert!(!watched.acknowledged(1, 10).0);
        assert!(watched.acknowledged(2, 20).0);
        assert!(!watched.acknowledged(3, 30).0);
    }

    #[test]
    fn a_tap_lasts_until_what_was_sent_after_it_is_acknowledged_even_if_that_was_dropped_once() {
        let mut watched = Watched::default();
        watched.sent(1, true);
        watched.tapped(100);
        watched.tapped(150);
        assert_eq!(watched.acknowledged(1, 160).1, None);
        watched.sent(2, true);
        watched.dropped(2);
        watched.sent(3, true);
        assert_eq!(watched.acknowledged(2, 190).1, None);
        assert_eq!(watched.acknowledged(3, 200).1, Some(100));
        assert_eq!(watched.acknowledged(3, 300).1, None);
    }

    #[tokio::test]
    async fn who_waits_for_the_first_screen_is_told_of_the_first() {
        let first = FirstScreen::default();
        first.came(7);
        first.came(9);
        assert_eq!(first.seen().await, 7);
    }
}
