//! What was begun and waits for its end: at most so many, for so long, each taken once.

use crate::identity::sha256_hex;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// More would be somebody who begins and never ends.
const MOST: usize = 16_384;

/// Kept by the hash of the secret that takes it.
pub(crate) struct Pending<T>(Mutex<HashMap<String, (i64, T)>>);

impl<T> Default for Pending<T> {
    fn default() -> Self {
        Pending(Mutex::default())
    }
}

impl<T> Pending<T> {
    /// Keeps it until then. Whether there was room.
    pub fn put(&self, secret: &str, value: T, until_ms: i64, now_ms: i64) -> bool {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MOST {
            kept.retain(|_, (until, _)| *until > now_ms);
        }
        let room = kept.len() < MOST;
        if room {
            kept.insert(sha256_hex(secret.as_bytes()), (until_ms, value));
        }
        room
    }

    /// What this secret takes, with the time until which it may be put back.
    pub fn take(&self, secret: &str, now_ms: i64) -> Option<(i64, T)> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.remove(&sha256_hex(secret.as_bytes())).filter(|(until, _)| *until > now_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_taken_once_by_its_secret_and_not_too_late() {
        let pending = Pending::default();
        assert!(pending.put("a", 1, 100, 0) && pending.put("b", 2, 100, 0));
        assert_eq!(pending.take("c", 1), None);
        assert_eq!(pending.take("a", 1), Some((100, 1)));
        assert_eq!(pending.take("a", 1), None);
        assert_eq!(pending.take("b", 100), None);
    }

    #[test]
    fn there_is_room_for_so_many_and_again_when_they_are_over() {
        let pending = Pending::default();
        assert!((0..MOST).all(|n| pending.put(&n.to_string(), (), 100, 0)));
        assert!(!pending.put("more", (), 100, 99));
        assert!(pending.put("more", (), 200, 100));
    }
}
