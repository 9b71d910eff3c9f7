//! Refusals of one address: the first ones of a minute stand in the journal each, the others as a number.

use super::record::{Event, Record};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

/// Refusals of one address in one span that are written one by one.
const EACH: u64 = 10;
const SPAN: Duration = Duration::from_secs(60);
/// Addresses that are told apart; beyond, all others count as one.
const MAX_ADDRESSES: usize = 4_096;

#[derive(Default)]
pub(super) struct Refusals {
    addresses: HashMap<Option<IpAddr>, Seen>,
}

struct Seen {
    since: Instant,
    count: u64,
}

/// Of IPv6 a household has as many addresses as it likes.
fn household(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from(u128::from(address) & !u128::from(u64::MAX)).into(),
        address => address,
    }
}

impl Refusals {
    /// What is to be written of a refusal.
    pub fn take(&mut self, record: Record, now: Instant) -> Vec<Record> {
        let mut records = Vec::new();
        let mut key = record.peer.map(household);
        if !self.addresses.contains_key(&key) && self.addresses.len() >= MAX_ADDRESSES {
            records.extend(self.over(now));
            if self.addresses.len() >= MAX_ADDRESSES {
                key = None;
            }
        }
        let seen = self.addresses.entry(key).or_insert(Seen { since: now, count: 0 });
        if now.saturating_duration_since(seen.since) >= SPAN {
            records.extend(seen.counted(key));
            *seen = Seen { since: now, count: 0 };
        }
        seen.count += 1;
        if seen.count <= EACH {
            records.push(record);
        }
        records
    }

    /// What is to be written of addresses whose span is over.
    pub fn over(&mut self, now: Instant) -> Vec<Record> {
        let mut records = Vec::new();
        self.addresses.retain(|address, seen| {
            let over = now.saturating_duration_since(seen.since) >= SPAN;
            if over {
                records.extend(seen.counted(*address));
            }
            !over
        });
        records
    }

    /// What is to be written of all addresses.
    pub fn all(&mut self) -> Vec<Record> {
        self.addresses.drain().filter_map(|(address, seen)| seen.counted(address)).collect()
    }
}

impl Seen {
    fn counted(&self, address: Option<IpAddr>) -> Option<Record> {
        let count = self.count.checked_sub(EACH).filter(|&count| count > 0)?;
        let record = Record::new(Event::RefusedAgain { count });
        Some(match address {
            Some(address) => record.peer(address),
            None => record,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(peer: [u8; 4]) -> Record {
        let event = Event::AttachRefused { road: "QUIC".into(), reason: "the ticket is not valid".into() };
        Record::new(event).peer(peer.into())
    }

    #[test]
    fn a_flood_of_refusals_is_a_few_records_and_a_number() {
        let (mut refusals, begun) = (Refusals::default(), Instant::now());
        let written: usize = (0..1_000).map(|_| refusals.take(refusal([10, 0, 0, 1]), begun).len()).sum();
        assert_eq!(written, 10);
        assert_eq!(refusals.take(refusal([10, 0, 0, 2]), begun).len(), 1, "others are not held back by it");
        assert!(refusals.over(begun + SPAN / 2).is_empty());
        let told = refusals.over(begun + SPAN);
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].event, Event::RefusedAgain { count: 990 });
        assert_eq!(told[0].peer, Some([10, 0, 0, 1].into()));
        assert!(refusals.addresses.is_empty());
    }

    #[test]
    fn addresses_without_number_take_no_memory_without_end() {
        let (mut refusals, begun) = (Refusals::default(), Instant::now());
        for number in 0..10_000_u32 {
            refusals.take(refusal(number.to_be_bytes()), begun);
        }
        assert!(refusals.addresses.len() <= MAX_ADDRESSES + 1);
        let told: u64 = refusals
            .over(begun + SPAN)
            .iter()
            .map(|record| match record.event {
                Event::RefusedAgain { count } => count,
                _ => 0,
            })
            .sum();
        assert_eq!(told, 10_000 - MAX_ADDRESSES as u64 - EACH, "none is forgotten");
    }
}
