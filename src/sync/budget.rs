use super::Micros;
use std::collections::VecDeque;

/// How many bytes may be on the way to a viewer, learnt from its acknowledgements.
///
/// The bound is what the path carries in its shortest round trip, and a little more: so the queue that chevet
/// itself builds stays at a few tens of milliseconds. The rate is the best of the recent rates at
/// which bytes were acknowledged (as in BBR); until that stops growing, the bound doubles.
#[derive(Debug)]
pub struct Budget {
    in_flight: u64,
    delivered: u64,
    delivered_at: Micros,
    rates: VecDeque<(Micros, u64)>,
    shortest_round_trip: Micros,
    window: u64,
    growing: bool,
    best_rate_at_growth: u64,
    growth_rounds_without_gain: u32,
    next_round_at: u64,
}

/// What must be remembered of something sent, to learn from its acknowledgement.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    pub bytes: u64,
    pub at: Micros,
    delivered: u64,
    delivered_at: Micros,
    window_limited: bool,
}

impl Budget {
    const FIRST_WINDOW: u64 = 128 << 10;
    const LEAST_WINDOW: u64 = 32 << 10;
    const MOST_WINDOW: u64 = 8 << 20;
    /// The queue that may stand on the path beyond what a round trip carries.
    const QUEUE: Micros = 25_000;
    /// How long a measured rate counts.
    const RATE_LIFE: Micros = 3_000_000;

    pub fn new() -> Self {
        Budget {
            in_flight: 0,
            delivered: 0,
            delivered_at: 0,
            rates: VecDeque::new(),
            shortest_round_trip: Micros::MAX,
            window: Self::FIRST_WINDOW,
            growing: true,
            best_rate_at_growth: 0,
            growth_rounds_without_gain: 0,
            next_round_at: 0,
        }
    }

    /// Bytes that may be sent now. At least something once nothing is on the way.
    pub fn room(&self) -> u64 {
        self.window.saturating_sub(self.in_flight)
    }

    pub fn in_flight(&self) -> u64 {
        self.in_flight
    }

    /// Bytes a second, or 0 before anything was acknowledged.
    pub fn rate(&self) -> u64 {
        self.rates.iter().map(|&(_, rate)| rate).max().unwrap_or(0)
    }

    /// The shortest time between sending and acknowledgement so far.
    pub fn shortest_round_trip(&self) -> Option<Micros> {
        (self.shortest_round_trip != Micros::MAX).then_some(self.shortest_round_trip)
    }

    pub fn sent(&mut self, bytes: u64, now: Micros) -> Sent {
        if self.in_flight == 0 {
            // Nothing was on the way: the time of idleness is not the path's.
            self.delivered_at = now;
        }
        self.in_flight += bytes;
        let window_limited = self.in_flight + self.window / 4 >= self.window;
        Sent { bytes, at: now, delivered: self.delivered, delivered_at: self.delivered_at, window_limited }
    }

    /// An update will not arrive: its stream was reset.
    pub fn dropped(&mut self, sent: &Sent) {
        self.in_flight = self.in_flight.saturating_sub(sent.bytes);
    }

    /// The viewer acknowledged, having spent `decode` on it.
    pub fn acknowledged(&mut self, sent: &Sent, decode: Micros, now: Micros) {
        self.in_flight = self.in_flight.saturating_sub(sent.bytes);
        self.delivered += sent.bytes;
        self.delivered_at = now;
        let round_trip = now.saturating_sub(sent.at).saturating_sub(decode).max(1);
        self.shortest_round_trip = self.shortest_round_trip.min(round_trip);
        self.take_rate(sent, decode, now);
        if self.growing && sent.window_limited {
            self.grow();
        }
        if !self.growing {
            let carried = |time: Micros| self.rate().saturating_mul(time) / 1_000_000;
            let wanted = carried(self.shortest_round_trip.min(1_000_000) + Self::QUEUE);
            self.window = wanted.clamp(Self::LEAST_WINDOW, Self::MOST_WINDOW);
        }
    }

    fn take_rate(&mut self, sent: &Sent, decode: Micros, now: Micros) {
        while self.rates.front().is_some_and(|&(at, _)| at + Self::RATE_LIFE < now) && self.rates.len() > 1 {
            self.rates.pop_front();
        }
        let elapsed = now.saturating_sub(sent.delivered_at.min(sent.at)).saturating_sub(decode);
        let rate = (self.delivered - sent.delivered) * 1_000_000 / elapsed.max(50);
        // What was held back by a lack of pixels, not by the path, can only show that the path is better.
        if sent.window_limited || rate > self.rate() {
            self.rates.push_back((now, rate));
            if self.rates.len() > 64 {
                self.rates.pop_front();
            }
        }
    }

    /// Once a round trip: double while the rate still grows by a quarter.
    fn grow(&mut self) {
        if self.delivered < self.next_round_at {
            return;
        }
        self.next_round_at = self.delivered + self.in_flight;
        let rate = self.rate();
        if rate * 4 >= self.best_rate_at_growth * 5 {
            self.best_rate_at_growth = rate;
            self.growth_rounds_without_gain = 0;
            self.window = (self.window * 2).min(Self::MOST_WINDOW);
        } else {
            self.growth_rounds_without_gain += 1;
            self.growing = self.growth_rounds_without_gain < 3;
        }
    }
}

impl Default for Budget {
    fn default() -> Self {
        Budget::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A path of one rate and one delay, always kept full.
    fn window_on(bytes_per_second: u64, delay: Micros) -> (u64, u64) {
        let mut budget = Budget::new();
        let mut now = 0;
        let mut free_at = 0;
        let mut flying: VecDeque<(Micros, Sent)> = VecDeque::new();
        while now < 5_000_000 {
            while budget.room() > 4_096 {
                let bytes = budget.room().min(16_384);
                free_at = free_at.max(now) + bytes * 1_000_000 / bytes_per_second;
                flying.push_back((free_at + delay, budget.sent(bytes, now)));
            }
            let (arrival, sent) = flying.pop_front().unwrap();
            now = now.max(arrival);
            budget.acknowledged(&sent, 0, now);
        }
        (budget.window, budget.rate())
    }

    #[test]
    fn the_window_fits_the_path() {
        for (rate, delay) in [(1_000_000, 40_000), (6_000_000, 10_000), (1_500_000, 60_000)] {
            let (window, measured) = window_on(rate, delay);
            let queue_us = (window * 1_000_000 / rate).saturating_sub(delay);
            assert!(measured > rate * 8 / 10 && measured < rate * 12 / 10, "{measured} on {rate}");
            assert!(queue_us < 70_000, "a queue of {queue_us} us on {rate} B/s, {delay} us");
        }
    }

    #[test]
    fn something_may_always_be_sent_when_nothing_is_on_the_way() {
        let mut budget = Budget::new();
        let sent = budget.sent(1 << 30, 0);
        assert_eq!(budget.room(), 0);
        budget.acknowledged(&sent, 0, u64::MAX / 2);
        assert!(budget.room() > 0);
    }
}
