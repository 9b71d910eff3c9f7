//! How much may be played: as much as time has passed, and a little at once.

/// Frames that may come at once, of a host that sends in bursts.
const BURST: u64 = 50;
const FRAME_US: u64 = 20_000;

/// Frames that there is room for, as time goes on. Nothing that a host sends makes more of them.
pub struct Pace {
    /// Until when what was taken lasts, in microseconds.
    taken_us: u64,
}

impl Pace {
    pub fn new() -> Self {
        Pace { taken_us: 0 }
    }

    /// Whether another frame may be played.
    pub fn take(&mut self, now_us: u64) -> bool {
        self.taken_us = self.taken_us.max(now_us);
        let may = self.taken_us - now_us < BURST * FRAME_US;
        if may {
            self.taken_us += FRAME_US;
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_faster_than_it_can_be_played_is_no_more_than_time_and_a_second() {
        let mut pace = Pace::new();
        let taken = (0..100_000_u64).filter(|at| pace.take(5_000_000 + at * 100)).count();
        // Ten seconds.
        assert!((500..=551).contains(&taken), "{taken}");
        assert!((0..1_000_u64).all(|at| pace.take(60_000_000 + at * FRAME_US)));
    }
}
