//! Which addresses may open QUIC connections, and to which gateway: those that a gateway has said so of. A gateway is known by
//! the hash of its certificate, so that what it said outlives a tunnel.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

/// Addresses at once.
const MOST: usize = 65_536;
/// The longest that a gateway may admit an address for.
const LONGEST: Duration = Duration::from_secs(24 * 3_600);

/// Addresses that are treated as one: a household's part of IPv6, or one address of IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Household(IpAddr);

impl Household {
    pub(super) fn of(address: IpAddr) -> Household {
        Household(match address.to_canonical() {
            IpAddr::V6(address) => {
                let bits = u128::from(address) & !u128::from(u64::MAX);
                IpAddr::V6(Ipv6Addr::from(bits))
            }
            address => address,
        })
    }
}

#[derive(Default)]
pub(super) struct Admissions(HashMap<Household, Admission>);

struct Admission {
    gateway: [u8; 32],
    until: Instant,
}

impl Admissions {
    /// A gateway lets an address in from `now` on. The last gateway that did has it.
    pub(super) fn admit(&mut self, gateway: [u8; 32], address: IpAddr, lasting: Duration, now: Instant) {
        let household = Household::of(address);
        if self.0.len() >= MOST && !self.0.contains_key(&household) {
            self.0.retain(|_, admission| admission.until > now);
            if self.0.len() >= MOST {
                return;
            }
        }
        self.0.insert(household, Admission { gateway, until: now + lasting.min(LONGEST) });
    }

    /// The gateway that an address was let in by.
    pub(super) fn gateway_of(&self, address: IpAddr, now: Instant) -> Option<[u8; 32]> {
        let admission = self.0.get(&Household::of(address))?;
        (admission.until > now).then_some(admission.gateway)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_is_let_in_for_a_while_and_by_the_last_gateway_that_said_so() {
        let (mut admissions, now) = (Admissions::default(), Instant::now());
        let second = Duration::from_secs(1);
        assert_eq!(admissions.gateway_of(address("192.0.2.7"), now), None);
        admissions.admit([1; 32], address("192.0.2.7"), 10 * second, now);
        admissions.admit([2; 32], address("192.0.2.7"), 20 * second, now);
        admissions.admit([1; 32], address("192.0.2.8"), 10 * second, now);
        assert_eq!(admissions.gateway_of(address("::ffff:192.0.2.7"), now + 19 * second), Some([2; 32]));
        assert_eq!(admissions.gateway_of(address("192.0.2.7"), now + 20 * second), None);
        assert_eq!(admissions.gateway_of(address("192.0.2.8"), now), Some([1; 32]));
    }

    #[test]
    fn a_household_s_addresses_of_ipv6_are_let_in_together() {
        let (mut admissions, now) = (Admissions::default(), Instant::now());
        admissions.admit([1; 32], address("2001:db8:1:2:3::4"), Duration::from_secs(9), now);
        assert_eq!(admissions.gateway_of(address("2001:db8:1:2:aaaa::1"), now), Some([1; 32]));
        assert_eq!(admissions.gateway_of(address("2001:db8:1:3:3::4"), now), None);
    }

    #[test]
    fn there_are_only_so_many_and_those_that_ended_make_room() {
        let (mut admissions, now) = (Admissions::default(), Instant::now());
        let number = |number: u32| IpAddr::from(number.to_be_bytes());
        for each in 0..MOST as u32 {
            admissions.admit([1; 32], number(each), Duration::from_secs(1), now);
        }
        admissions.admit([1; 32], number(MOST as u32), Duration::from_secs(1), now);
        assert_eq!(admissions.gateway_of(number(MOST as u32), now), None);
        let later = now + Duration::from_secs(2);
        admissions.admit([1; 32], number(MOST as u32), Duration::from_secs(1), later);
        assert_eq!(admissions.gateway_of(number(MOST as u32), later), Some([1; 32]));
    }
}
