use super::Micros;

/// How the two sides' clocks differ, learnt from Pings and their Pongs.
#[derive(Clone, Debug)]
pub struct Clocks {
    round_trip: Option<Micros>,
    best_round_trip: Micros,
    offset: i64,
}

impl Clocks {
    pub fn new() -> Self {
        Clocks { round_trip: None, best_round_trip: Micros::MAX, offset: 0 }
    }

    /// A Pong came: to a Ping of `ping_time`, sent off at `peer_time` by the peer's clock.
    pub fn pong(&mut self, ping_time: Micros, peer_time: Micros, now: Micros) {
        let Some(round_trip) = now.checked_sub(ping_time) else { return };
        self.round_trip = Some(round_trip);
        // The shortest exchange says most about how the two clocks differ.
        if round_trip <= self.best_round_trip {
            self.best_round_trip = round_trip;
            self.offset = peer_time as i64 - (ping_time + round_trip / 2) as i64;
        }
    }

    /// From a Ping to its Pong, the last time.
    pub fn round_trip(&self) -> Option<Micros> {
        self.round_trip
    }

    /// A time of the peer's clock on this side's clock. A difference that the exchange cannot tell from none
    /// counts as none: two processes of one machine have one clock.
    pub fn local_time(&self, peer_time: Micros) -> Micros {
        let known = self.offset.unsigned_abs() > self.best_round_trip / 2 + 1;
        (peer_time as i64 - if known { self.offset } else { 0 }).max(0) as Micros
    }
}

impl Default for Clocks {
    fn default() -> Self {
        Clocks::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortest_exchange_tells_the_difference_of_the_clocks() {
        let mut clocks = Clocks::new();
        clocks.pong(1_000, 501_500, 2_000);
        clocks.pong(10_000, 590_000, 60_000);
        assert_eq!(clocks.local_time(501_500), 1_500);
        assert_eq!(clocks.round_trip(), Some(50_000));
    }

    #[test]
    fn one_clock_for_both_is_no_difference() {
        let mut clocks = Clocks::new();
        clocks.pong(1_000, 1_900, 2_000);
        assert_eq!(clocks.local_time(1_900), 1_900);
    }
}
