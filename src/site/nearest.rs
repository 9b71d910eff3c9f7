//! Which of several gateways is the nearest, by how long they take to answer.

use std::collections::HashMap;
use std::hash::Hash;

/// A nearer one is changed to if it is nearer by this part, and by this many microseconds at least: or one would go to and fro
/// between two that are equally far.
const NEARER_BY: u64 = 4;
const NEARER_BY_US: u64 = 2_000;
/// A measurement counts this much of what is known.
const WEIGHT: u64 = 4;
/// One that does not answer is thought of as this far away, until it does.
const GONE_US: u64 = 60_000_000;
/// Gateways that are remembered.
const MOST: usize = 64;

/// What is known of gateways' distances, and which one is used.
#[derive(Clone, Debug)]
pub struct Nearest<G> {
    /// Smoothed, in microseconds; the first ones known came first.
    distances: HashMap<G, u64>,
    used: Option<G>,
}

impl<G> Default for Nearest<G> {
    fn default() -> Self {
        Nearest { distances: HashMap::new(), used: None }
    }
}

impl<G: Clone + Eq + Hash> Nearest<G> {
    /// A gateway took so long to answer, in microseconds.
    pub fn answered(&mut self, gateway: &G, took_us: u64) {
        let took = took_us.min(GONE_US - 1);
        if self.distances.len() >= MOST && !self.distances.contains_key(gateway) {
            return;
        }
        let known = self.distances.entry(gateway.clone()).or_insert(took);
        *known = match *known {
            GONE_US => took,
            before => (before * (WEIGHT - 1) + took) / WEIGHT,
        };
    }

    /// A gateway did not answer.
    pub fn did_not_answer(&mut self, gateway: &G) {
        if self.distances.len() < MOST || self.distances.contains_key(gateway) {
            self.distances.insert(gateway.clone(), GONE_US);
        }
    }

    /// These gateways in the order in which to try them: the one in use stays first unless another is clearly nearer. Those
    /// that were never measured come before those that are gone, and otherwise last, in the order given.
    pub fn order(&mut self, gateways: &[G]) -> Vec<G> {
        let far = |gateway: &G| self.distances.get(gateway).copied().unwrap_or(GONE_US - 1);
        let mut order: Vec<G> = gateways.to_vec();
        order.sort_by_key(far);
        let used = self.used.take().filter(|used| order.contains(used));
        if let (Some(used), Some(first)) = (used, order.first()) {
            let (of_used, of_first) = (far(&used), far(first));
            let gains = of_used.saturating_sub(of_first);
            if gains < NEARER_BY_US || gains < of_used / NEARER_BY {
                order.retain(|gateway| *gateway != used);
                order.insert(0, used);
            }
        }
        self.used = order.first().cloned();
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_clearly_nearer_gateway_is_gone_over_to_and_a_slightly_nearer_one_is_not() {
        let mut nearest = Nearest::default();
        assert_eq!(nearest.order(&['a', 'b']), ['a', 'b']);
        nearest.answered(&'a', 20_000);
        nearest.answered(&'b', 18_500);
        assert_eq!(nearest.order(&['a', 'b']), ['a', 'b'], "too little to change for");
        for _ in 0..20 {
            nearest.answered(&'b', 5_000);
        }
        assert_eq!(nearest.order(&['a', 'b']), ['b', 'a']);
        nearest.did_not_answer(&'b');
        assert_eq!(nearest.order(&['a', 'b']), ['a', 'b']);
        nearest.answered(&'b', 1_000);
        assert_eq!(nearest.order(&['a', 'b']), ['b', 'a'], "what answers again counts as it is");
    }

    #[test]
    fn what_is_not_measured_is_tried_before_what_is_gone() {
        let mut nearest = Nearest::default();
        nearest.did_not_answer(&'a');
        assert_eq!(nearest.order(&['a', 'b', 'c']), ['b', 'c', 'a']);
    }

    proptest! {
        #[test]
        fn whatever_is_measured_each_gateway_is_tried_once_and_asking_again_changes_nothing(
            measured: Vec<(u8, Option<u64>)>, gateways in proptest::collection::hash_set(0u8..100, 0..8),
        ) {
            let gateways: Vec<u8> = gateways.into_iter().collect();
            let mut nearest = Nearest::default();
            for (gateway, took) in measured {
                match took {
                    Some(took) => nearest.answered(&gateway, took),
                    None => nearest.did_not_answer(&gateway),
                }
                let order = nearest.order(&gateways);
                prop_assert_eq!(&order, &nearest.order(&gateways));
                let mut sorted = order;
                sorted.sort();
                let mut all = gateways.clone();
                all.sort();
                prop_assert_eq!(sorted, all);
            }
            prop_assert!(nearest.distances.len() <= MOST);
        }
    }
}
