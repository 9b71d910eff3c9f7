//! Which addresses may open QUIC connections, and to which gateway: those that a gateway has said so of. A gateway is known by
//! the hash of its certificate, so that what it said outlives a tunnel.

use crate::wire::household;
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Addresses at once.
const MOST: usize = 65_536;
/// The longest that a gateway may admit an address for.
const LONGEST: Duration = Duration::from_secs(24 * 3_600);

/// Gateways that a household's addresses may be let in by at the same time.
const MOST_GATEWAYS: usize = 8;

/// Of each household, what each gateway has said of it; the last one that did comes last.
#[derive(Default)]
pub(super) struct Admissions(HashMap<IpAddr, Vec<Admission>>);

struct Admission {
    gateway: [u8; 32],
    until: Instant,
}

/// When a household is let in no more.
fn end(admissions: &[Admission]) -> Option<Instant> {
    admissions.iter().map(|admission| admission.until).max()
}

impl Admissions {
    /// A gateway lets an address in from `now` on. Of several gateways the one that does so the longest has it, or the last
    /// one: a gateway that comes back says again whom it let in before they went to another one.
    pub(super) fn admit(&mut self, gateway: [u8; 32], address: IpAddr, lasting: Duration, now: Instant) {
        let (household, until) = (household(address), now + lasting.min(LONGEST));
        if self.0.len() >= MOST && !self.0.contains_key(&household) {
            self.make_room();
        }
        let admissions = self.0.entry(household).or_default();
        admissions.retain(|admission| admission.gateway != gateway && admission.until > now);
        admissions.push(Admission { gateway, until });
        if admissions.len() > MOST_GATEWAYS {
            let soonest = admissions.iter().enumerate().min_by_key(|(_, admission)| admission.until);
            soonest.map(|(at, _)| at).map(|at| admissions.remove(at));
        }
    }

    /// A gateway knows nobody at an address any more. That others let it in stays.
    pub(super) fn withdraw(&mut self, gateway: [u8; 32], address: IpAddr) {
        let household = household(address);
        if let Some(admissions) = self.0.get_mut(&household) {
            admissions.retain(|admission| admission.gateway != gateway);
            if admissions.is_empty() {
                self.0.remove(&household);
            }
        }
    }

    /// Those that end soonest go.
    fn make_room(&mut self) {
        let mut ends: Vec<Option<Instant>> = self.0.values().map(|admissions| end(admissions)).collect();
        let (_, soon, _) = ends.select_nth_unstable(MOST / 8);
        let soon = *soon;
        self.0.retain(|_, admissions| end(admissions) > soon);
    }

    /// The gateways that let an address in, the one that does so the longest first; of several that are equally long, the last.
    pub(super) fn gateways_of(&self, address: IpAddr, now: Instant) -> Vec<[u8; 32]> {
        let all = self.0.get(&household(address)).map(Vec::as_slice).unwrap_or_default();
        let mut lasting: Vec<&Admission> =
            all.iter().rev().filter(|admission| admission.until > now).collect();
        lasting.sort_by_key(|admission| std::cmp::Reverse(admission.until));
        lasting.into_iter().map(|admission| admission.gateway).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    impl Admissions {
        fn gateway_of(&self, address: IpAddr, now: Instant) -> Option<[u8; 32]> {
            self.gateways_of(address, now).first().copied()
        }
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
    fn there_are_only_so_many_and_those_that_end_soonest_make_room() {
        let (mut admissions, now) = (Admissions::default(), Instant::now());
        let number = |number: u32| IpAddr::from(number.to_be_bytes());
        for each in 0..2 * MOST as u32 {
            admissions.admit([1; 32], number(each), Duration::from_secs(60 + u64::from(each)), now);
            assert!(admissions.0.len() <= MOST);
            assert_eq!(admissions.gateway_of(number(each), now), Some([1; 32]));
        }
        assert_eq!(admissions.gateway_of(number(0), now), None);
    }

    #[test]
    fn a_gateway_lets_out_whom_it_let_in_and_nobody_else() {
        let (mut admissions, now) = (Admissions::default(), Instant::now());
        admissions.admit([1; 32], address("192.0.2.7"), Duration::from_secs(9), now);
        admissions.withdraw([2; 32], address("192.0.2.7"));
        assert_eq!(admissions.gateway_of(address("192.0.2.7"), now), Some([1; 32]));
        admissions.withdraw([1; 32], address("192.0.2.7"));
        assert_eq!(admissions.gateway_of(address("192.0.2.7"), now), None);
    }

    #[test]
    fn whom_several_gateways_let_in_stays_until_the_last_one_lets_them_out() {
        let (mut admissions, now) = (Admissions::default(), Instant::now());
        let (at_home, beside) = (address("2001:db8:1:2::3"), address("2001:db8:1:2::4"));
        admissions.admit([1; 32], at_home, Duration::from_secs(600), now);
        admissions.admit([2; 32], beside, Duration::from_secs(900), now);
        admissions.withdraw([2; 32], beside);
        assert_eq!(admissions.gateway_of(at_home, now), Some([1; 32]));
        admissions.admit([2; 32], beside, Duration::from_secs(300), now);
        admissions.withdraw([1; 32], at_home);
        assert_eq!(admissions.gateway_of(at_home, now), Some([2; 32]));
        admissions.withdraw([2; 32], beside);
        assert_eq!(admissions.gateway_of(at_home, now), None);
        assert!(admissions.0.is_empty());
    }

    #[test]
    fn a_household_is_let_in_by_only_so_many_gateways_and_those_that_let_it_in_longest_are_known() {
        let (mut admissions, now) = (Admissions::default(), Instant::now());
        for gateway in 0..100 {
            let lasting = Duration::from_secs(60 + u64::from(gateway));
            admissions.admit([gateway; 32], address("192.0.2.7"), lasting, now);
            assert!(admissions.0.values().all(|each| each.len() <= MOST_GATEWAYS));
        }
        assert_eq!(admissions.gateway_of(address("192.0.2.7"), now), Some([99; 32]));
        admissions.withdraw([99; 32], address("192.0.2.7"));
        assert_eq!(admissions.gateway_of(address("192.0.2.7"), now), Some([98; 32]));
    }

    #[test]
    fn a_gateway_that_comes_back_takes_nobody_from_the_one_that_they_went_to() {
        let (mut admissions, now) = (Admissions::default(), Instant::now());
        let minute = Duration::from_secs(60);
        admissions.admit([1; 32], address("192.0.2.7"), 10 * minute, now);
        admissions.admit([2; 32], address("192.0.2.7"), 20 * minute, now);
        admissions.admit([1; 32], address("192.0.2.7"), 9 * minute, now);
        assert_eq!(admissions.gateway_of(address("192.0.2.7"), now), Some([2; 32]));
        admissions.admit([1; 32], address("192.0.2.7"), 60 * minute, now);
        assert_eq!(admissions.gateway_of(address("192.0.2.7"), now), Some([1; 32]));
    }

    #[test]
    fn the_gateways_of_an_address_are_known_in_the_order_in_which_they_let_it_in_longest() {
        let (mut admissions, now) = (Admissions::default(), Instant::now());
        let (home, minute) = (address("2001:db8:1:2::3"), Duration::from_secs(60));
        for (gateway, minutes) in [(1, 10), (2, 30), (3, 20), (4, 30)] {
            admissions.admit([gateway; 32], home, minutes * minute, now);
        }
        let gateways = |after| admissions.gateways_of(address("2001:db8:1:2::4"), now + after);
        assert_eq!(gateways(Duration::ZERO), [[4; 32], [2; 32], [3; 32], [1; 32]]);
        assert_eq!(gateways(15 * minute), [[4; 32], [2; 32], [3; 32]]);
        assert!(gateways(30 * minute).is_empty());
    }
}
