//! The newest takeovers, for administrators: what the audit journal has of them, since this gateway started.

use crate::clock;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

const MOST: usize = 100;

#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub(crate) struct Takeover {
    /// Milliseconds since 1970.
    pub at: i64,
    pub session: String,
    /// Whose right was the newest. Empty: a shared code.
    pub title: String,
    pub from_seat: String,
    pub to_seat: String,
}

#[derive(Default)]
pub(super) struct Takeovers(Mutex<VecDeque<Takeover>>);

impl Takeovers {
    pub fn add(&self, session: &str, title: &str, from_seat: &str, to_seat: &str) {
        let mut newest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        newest.truncate(MOST - 1);
        newest.push_front(Takeover {
            at: clock::unix_ms(),
            session: session.to_owned(),
            title: title.to_owned(),
            from_seat: from_seat.to_owned(),
            to_seat: to_seat.to_owned(),
        });
    }

    /// The newest first.
    pub fn newest(&self) -> Vec<Takeover> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_takeovers_are_kept_and_no_more_than_a_hundred() {
        let takeovers = Takeovers::default();
        (0..150).for_each(|n| takeovers.add(&format!("s{n}"), "", "a", "b"));
        let kept = takeovers.newest();
        assert_eq!((kept.len(), kept[0].session.as_str(), kept[99].session.as_str()), (100, "s149", "s50"));
    }
}
