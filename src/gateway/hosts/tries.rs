//! How often a user may be refused by a host: before it locks their account.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Hosts lock accounts after five refusals or more, as a rule.
const MOST: u32 = 4;
const WITHIN: Duration = Duration::from_secs(15 * 60);

/// What hosts refused, by user and host.
#[derive(Default)]
pub(super) struct Tries {
    counts: Mutex<HashMap<(String, String), (u32, Instant)>>,
    /// Credentials that are kept and were refused, as they are sealed, with the host's reason.
    kept: Mutex<HashMap<(String, String), KeptRefused>>,
}

struct KeptRefused {
    sealed: String,
    reason: String,
    at: Instant,
}

impl Tries {
    /// Counts one more. Whether the host may be asked.
    pub(super) fn admit(&self, user: &str, host: &str, now: Instant) -> bool {
        let mut tries = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        tries.retain(|_, (_, since)| now.saturating_duration_since(*since) < WITHIN);
        let (count, last) = tries.entry((user.to_owned(), host.to_owned())).or_insert((0, now));
        let admitted = *count < MOST;
        if admitted {
            (*count, *last) = (*count + 1, now);
        }
        admitted
    }

    /// The host let the user in.
    pub(super) fn let_in(&self, user: &str, host: &str) {
        let mut tries = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        tries.remove(&(user.to_owned(), host.to_owned()));
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.remove(&(user.to_owned(), host.to_owned()));
    }

    /// The host refused what is kept for the user.
    pub(super) fn kept_refused(&self, user: &str, host: &str, sealed: String, reason: String, now: Instant) {
        self.admit(user, host, now);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|_, refused| now.saturating_duration_since(refused.at) < WITHIN);
        kept.insert((user.to_owned(), host.to_owned()), KeptRefused { sealed, reason, at: now });
    }

    /// Why the host refused what is kept for the user, if it is the same still, and it was not long ago.
    pub(super) fn why_kept_refused(
        &self,
        user: &str,
        host: &str,
        sealed: &str,
        now: Instant,
    ) -> Option<String> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let refused = kept.get(&(user.to_owned(), host.to_owned()))?;
        let holds = refused.sealed == sealed && now.saturating_duration_since(refused.at) < WITHIN;
        holds.then(|| refused.reason.clone())
    }

    /// The host did not say.
    pub(super) fn undecided(&self, user: &str, host: &str) {
        let mut tries = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((count, _)) = tries.get_mut(&(user.to_owned(), host.to_owned())) {
            *count = count.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_not_asked_until_it_locks_the_account() {
        let (tries, now) = (Tries::default(), Instant::now());
        assert!((0..MOST).all(|_| tries.admit("anne", "ts1", now)));
        assert!(!tries.admit("anne", "ts1", now));
        assert!(tries.admit("paul", "ts1", now) && tries.admit("anne", "ts2", now));
        // No more of them at the end of a while than within it.
        let later = now + WITHIN - Duration::from_secs(1);
        assert!((1..MOST).all(|_| tries.admit("paul", "ts1", later)));
        assert!(!tries.admit("paul", "ts1", now + WITHIN));
        assert!(tries.admit("anne", "ts1", now + WITHIN));
    }

    #[test]
    fn what_is_kept_and_was_refused_is_not_shown_to_the_host_again_unless_it_has_changed() {
        let (tries, now) = (Tries::default(), Instant::now());
        let why = |sealed, now| tries.why_kept_refused("anne", "ts1", sealed, now);
        assert_eq!(why("a", now), None);
        tries.kept_refused("anne", "ts1", "a".into(), "locked".into(), now);
        assert_eq!(why("a", now).as_deref(), Some("locked"));
        assert_eq!((why("b", now), why("a", now + WITHIN)), (None, None));
        tries.let_in("anne", "ts1");
        assert_eq!(why("a", now), None);
    }

    #[test]
    fn only_refusals_count() {
        let (tries, now) = (Tries::default(), Instant::now());
        for _ in 0..3 * MOST {
            assert!(tries.admit("anne", "ts1", now));
            tries.undecided("anne", "ts1");
        }
        for _ in 0..MOST {
            tries.admit("anne", "ts1", now);
        }
        tries.let_in("anne", "ts1");
        assert!(tries.admit("anne", "ts1", now));
    }
}
