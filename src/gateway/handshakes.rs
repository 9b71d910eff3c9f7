//! How many connections may be half made: of one address, and in all.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// Handshakes in progress of one address.
const MAX_OF_ADDRESS: usize = 64;
/// Handshakes in progress in all.
const MAX: usize = 1_024;
/// With this many in progress, QUIC clients must first prove their address: before one address's share can be full.
const PROOF_FROM: usize = MAX_OF_ADDRESS / 2;

/// The handshakes in progress. Clones count together.
#[derive(Clone, Default)]
pub(super) struct Handshakes(Arc<Mutex<Counts>>);

#[derive(Default)]
struct Counts {
    all: usize,
    of: HashMap<IpAddr, usize>,
}

/// One handshake in progress; it is over when this is dropped.
pub(super) struct Handshake {
    counts: Arc<Mutex<Counts>>,
    address: IpAddr,
}

impl Handshakes {
    /// Begins a handshake, unless too many are in progress.
    pub fn begin(&self, address: IpAddr) -> Option<Handshake> {
        let address = address.to_canonical();
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_address = counts.of.get(&address).copied().unwrap_or(0);
        if counts.all >= MAX || of_address >= MAX_OF_ADDRESS {
            return None;
        }
        counts.all += 1;
        counts.of.insert(address, of_address + 1);
        Some(Handshake { counts: self.0.clone(), address })
    }

    /// Whether who comes now must prove that its address is its own. Who uses up another's share by forging its
    /// address does not keep it out: it can prove its own.
    pub fn want_proof(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).all >= PROOF_FROM
    }
}

impl Drop for Handshake {
    fn drop(&mut self) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.all -= 1;
        if let Some(of_address) = counts.of.get_mut(&self.address) {
            *of_address -= 1;
            if *of_address == 0 {
                counts.of.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_its_share_and_not_anothers() {
        let handshakes = Handshakes::default();
        let address = |last: u8| IpAddr::from([10, 0, 0, last]);
        let mut first: Vec<_> = (0..MAX_OF_ADDRESS).map(|_| handshakes.begin(address(1)).unwrap()).collect();
        assert!(handshakes.begin(address(1)).is_none());
        assert!(handshakes.begin("::ffff:10.0.0.1".parse().unwrap()).is_none());
        assert!(handshakes.begin(address(2)).is_some());
        first.pop();
        assert!(handshakes.begin(address(1)).is_some());
    }

    #[test]
    fn all_together_have_a_bound_and_nothing_is_kept_of_those_that_are_over() {
        let handshakes = Handshakes::default();
        let begin =
            |number: usize| handshakes.begin(IpAddr::from([10, 0, (number >> 8) as u8, number as u8]));
        assert!(!handshakes.want_proof());
        let all: Vec<_> = (0..MAX).map(|number| begin(number).unwrap()).collect();
        assert!(begin(MAX).is_none() && handshakes.want_proof());
        drop(all);
        assert!(!handshakes.want_proof() && handshakes.0.lock().unwrap().of.is_empty());
    }
}
