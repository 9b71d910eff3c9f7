//! How many attempts to sign in come from one address.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

/// Attempts of one address at once, and then one in so many milliseconds. A ward behind one address signs in at shift change.
const BURST: i64 = 60;
const EVERY_MS: i64 = 1_000;
/// Addresses remembered. Who comes from more has many networks; the lock of each user still holds.
const MOST: usize = 16_384;

/// A bucket for each address, or for whoever else attempts.
pub struct Attempts<K = IpAddr>(Mutex<HashMap<K, i64>>);

impl<K> Default for Attempts<K> {
    fn default() -> Self {
        Attempts(Mutex::default())
    }
}

impl Attempts {
    /// Counts an attempt. Whether it may be looked at.
    pub fn admit(&self, from: IpAddr, now_ms: i64) -> bool {
        self.admit_as(network_of(from), now_ms)
    }
}

impl<K: Eq + Hash> Attempts<K> {
    /// The same of somebody who is known otherwise.
    pub fn admit_as(&self, who: K, now_ms: i64) -> bool {
        let mut busy_until = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if busy_until.len() >= MOST {
            busy_until.retain(|_, until| *until > now_ms);
        }
        let full = busy_until.len() >= MOST;
        if full && !busy_until.contains_key(&who) {
            return false;
        }
        let until = busy_until.entry(who).or_insert(now_ms);
        let next = (*until).max(now_ms) + EVERY_MS;
        if next - now_ms > BURST * EVERY_MS {
            return false;
        }
        *until = next;
        true
    }
}

/// Who has an IPv6 address usually has its whole /64.
fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) & !u128::from(u64::MAX)).into()),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_burst_and_then_an_attempt_a_second() {
        let attempts = Attempts::default();
        let from: IpAddr = "192.0.2.1".parse().unwrap();
        assert!((0..BURST).all(|_| attempts.admit(from, 0)));
        assert!(!attempts.admit(from, 0));
        assert!(attempts.admit("192.0.2.2".parse().unwrap(), 0), "others are not concerned");
        assert!(attempts.admit(from, EVERY_MS));
        assert!(!attempts.admit(from, EVERY_MS));
    }

    #[test]
    fn the_addresses_of_one_ipv6_network_count_as_one() {
        let attempts = Attempts::default();
        let admitted = (0..200u32).filter(|n| {
            let from = format!("2001:db8::{n:x}").parse().unwrap();
            attempts.admit(from, 0)
        });
        assert_eq!(admitted.count(), BURST as usize);
    }

    #[test]
    fn what_is_remembered_of_addresses_is_bounded() {
        let attempts = Attempts::default();
        for n in 0..MOST as u32 + 100 {
            attempts.admit(IpAddr::V4(n.into()), 0);
        }
        assert_eq!(attempts.0.lock().unwrap().len(), MOST);
        assert!(attempts.admit("203.0.113.9".parse().unwrap(), EVERY_MS * 2), "those at rest are forgotten");
    }
}
