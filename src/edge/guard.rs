//! How much anybody outside may begin: by address and by the network around it, so that who floods uses up a share of their own.

use crate::wire::household;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// Addresses and networks that are counted at once. Beyond that those that have come to rest are forgotten, then all.
const MOST_COUNTED: usize = 65_536;

/// What may be begun.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Allowance {
    /// TCP connections at once of one address, of its network, and in all.
    pub of_address: u32,
    pub of_network: u32,
    pub of_all: u32,
    /// Beginnings a second of one address, on average, TCP connections and first packets of QUIC alike.
    pub a_second: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Whose {
    Address(IpAddr),
    Network(IpAddr),
}

impl Whose {
    fn both(address: IpAddr) -> [Whose; 2] {
        let network = match address.to_canonical() {
            IpAddr::V4(address) => IpAddr::V4(Ipv4Addr::from(u32::from(address) & !0xFF)),
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from(u128::from(address) >> 80 << 80)),
        };
        [Whose::Address(household(address)), Whose::Network(network)]
    }
}

/// Clones count together.
#[derive(Clone)]
pub(super) struct Guard {
    allowance: Allowance,
    counts: Arc<Mutex<Counts>>,
}

#[derive(Default)]
struct Counts {
    all: u32,
    of: HashMap<Whose, Count>,
}

struct Count {
    open: u32,
    /// Beginnings that are still allowed at once, and when that was so.
    left: f32,
    at: Instant,
}

/// A TCP connection's place, until it is dropped.
pub(super) struct Place {
    counts: Arc<Mutex<Counts>>,
    address: IpAddr,
}

/// Beginnings at once, for each that is allowed a second: a page opens several connections.
const BURST: f32 = 4.0;
/// A network of addresses may begin so much more than one of them.
const NETWORK: u32 = 8;

impl Guard {
    pub(super) fn new(allowance: Allowance) -> Guard {
        Guard { allowance, counts: Arc::default() }
    }

    /// Whether an address may begin something now: a connection, or a packet that may be one's first.
    pub(super) fn may_begin(&self, address: IpAddr, now: Instant) -> bool {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.make_room();
        let rates = [self.allowance.a_second, self.allowance.a_second * NETWORK];
        let both = || Whose::both(address).into_iter().zip(rates);
        // What one address is refused is not taken from its neighbours.
        let may = both().all(|(whose, rate)| counts.count(whose, rate, now).has_one(rate, now));
        if may {
            both().for_each(|(whose, rate)| counts.count(whose, rate, now).left -= 1.0);
        }
        may
    }

    /// A place for a TCP connection, if there is one.
    pub(super) fn connect(&self, address: IpAddr, now: Instant) -> Option<Place> {
        if !self.may_begin(address, now) {
            return None;
        }
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let limits = [self.allowance.of_address, self.allowance.of_network];
        let whose = Whose::both(address);
        let open = |counts: &Counts, whose| counts.of.get(&whose).map_or(0, |count| count.open);
        let full = whose.iter().zip(limits).any(|(&whose, limit)| open(&counts, whose) >= limit);
        if full || counts.all >= self.allowance.of_all {
            return None;
        }
        counts.all += 1;
        for whose in whose {
            counts.count(whose, 0, now).open += 1;
        }
        Some(Place { counts: self.counts.clone(), address })
    }

    #[cfg(test)]
    fn open(&self) -> u32 {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).all
    }
}

impl Counts {
    fn make_room(&mut self) {
        if self.of.len() >= MOST_COUNTED {
            // Whoever has a connection open stays counted; a flood of addresses only forgets how fast they came.
            self.of.retain(|_, count| count.open > 0);
        }
    }

    fn count(&mut self, whose: Whose, rate: u32, now: Instant) -> &mut Count {
        self.of.entry(whose).or_insert(Count { open: 0, left: rate as f32 * BURST, at: now })
    }
}

impl Count {
    fn has_one(&mut self, rate: u32, now: Instant) -> bool {
        let gained = now.saturating_duration_since(self.at).as_secs_f32() * rate as f32;
        self.left = (self.left + gained).min(rate as f32 * BURST);
        self.at = now;
        self.left >= 1.0
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.all -= 1;
        for whose in Whose::both(self.address) {
            if let Some(count) = counts.of.get_mut(&whose) {
                count.open -= 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const ALLOWANCE: Allowance = Allowance { of_address: 2, of_network: 3, of_all: 4, a_second: 5 };

    fn address(last: [u8; 2]) -> IpAddr {
        IpAddr::from([192, 0, last[0], last[1]])
    }

    #[test]
    fn an_address_a_network_and_all_together_have_their_share_of_connections() {
        let (guard, now) = (Guard::new(ALLOWANCE), Instant::now());
        let mut places: Vec<_> = (0..2).map(|_| guard.connect(address([2, 1]), now).unwrap()).collect();
        assert!(guard.connect(address([2, 1]), now).is_none(), "the address's");
        places.push(guard.connect(address([2, 2]), now).unwrap());
        assert!(guard.connect(address([2, 3]), now).is_none(), "the network's");
        places.push(guard.connect(address([3, 1]), now).unwrap());
        assert!(guard.connect(address([4, 1]), now).is_none(), "all");
        assert_eq!(guard.open(), 4);
        places.pop();
        assert!(guard.connect(address([4, 1]), now).is_some());
        drop(places);
        assert_eq!(guard.open(), 0);
    }

    #[test]
    fn who_begins_too_often_waits_and_others_do_not() {
        let (guard, now) = (Guard::new(ALLOWANCE), Instant::now());
        let begun = (0..100).filter(|_| guard.may_begin(address([2, 1]), now)).count();
        assert_eq!(begun, 20);
        let neighbours = (0..100).filter(|_| guard.may_begin(address([2, 2]), now)).count();
        assert_eq!(neighbours, 20, "an address that floods takes nothing of its neighbours");
        assert!(guard.may_begin(address([9, 1]), now));
        let later = now + Duration::from_secs(1);
        let begun = (0..100).filter(|_| guard.may_begin(address([2, 1]), later)).count();
        assert_eq!(begun, 5);
    }

    #[test]
    fn a_flood_of_addresses_takes_no_more_memory_and_forgets_no_open_connection() {
        let (guard, now) = (Guard::new(ALLOWANCE), Instant::now());
        let _place = guard.connect(address([2, 1]), now).unwrap();
        for each in 0..3 * MOST_COUNTED as u32 {
            guard.may_begin(IpAddr::from((each << 8).to_be_bytes()), now);
        }
        let counts = guard.counts.lock().unwrap();
        assert!(counts.of.len() <= MOST_COUNTED + 2);
        assert_eq!(counts.of[&Whose::both(address([2, 1]))[0]].open, 1);
    }
}
