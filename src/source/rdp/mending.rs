//! What is done about pictures that a host sent and nobody could decode: it is asked to draw everything again, and if that does
//! not help the connection is begun anew. Either is done seldom, whatever the host sends.

use std::time::{Duration, Instant};

/// A host that was asked has so long to send what can be decoded.
pub const ANSWER: Duration = Duration::from_secs(2);
/// Requests that did not help, before the connection is begun anew.
const MOST_ASKED: u32 = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    Wait,
    /// The host is to draw everything again.
    Redraw,
    /// Only a new connection begins with whole pictures.
    Reconnect,
}

/// The losses of one connection.
#[derive(Debug, Default)]
pub struct Mending {
    lost: u64,
    /// How many pictures had been decoded at the newest loss, until one more is.
    stale_since: Option<u64>,
    /// Requests since the screen was whole.
    asked: u32,
    asked_at: Option<Instant>,
}

impl Mending {
    /// What to do at `now`, when `lost` pictures of this connection could not be decoded and `decoded` could.
    pub fn look(&mut self, lost: u64, decoded: u64, now: Instant) -> Remedy {
        if lost > self.lost {
            (self.lost, self.stale_since) = (lost, Some(decoded));
        }
        match self.stale_since {
            None => return Remedy::Wait,
            Some(before) if decoded > before => {
                (self.stale_since, self.asked) = (None, 0);
                return Remedy::Wait;
            }
            Some(_) => {}
        }
        if self.asked_at.is_some_and(|at| now.saturating_duration_since(at) < ANSWER) {
            return Remedy::Wait;
        }
        if self.asked >= MOST_ASKED {
            return Remedy::Reconnect;
        }
        self.asked += 1;
        self.asked_at = Some(now);
        Remedy::Redraw
    }

    /// Whether the screen may lack something that the host has drawn.
    pub fn is_stale(&self) -> bool {
        self.stale_since.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_asked_at_once_and_not_again_when_it_sends_what_can_be_decoded() {
        let (mut mending, now) = (Mending::default(), Instant::now());
        assert_eq!(mending.look(0, 5, now), Remedy::Wait);
        assert_eq!(mending.look(1, 5, now), Remedy::Redraw);
        // What was on its way.
        assert_eq!(mending.look(3, 5, now + ANSWER / 4), Remedy::Wait);
        assert!(mending.is_stale());
        assert_eq!(mending.look(3, 6, now + ANSWER / 2), Remedy::Wait);
        assert!(!mending.is_stale());
        assert_eq!(mending.look(3, 6, now + 9 * ANSWER), Remedy::Wait);
    }

    #[test]
    fn a_host_that_falls_silent_or_goes_on_so_is_connected_to_anew() {
        for more in [0, 1] {
            let (mut mending, begun) = (Mending::default(), Instant::now());
            let remedies: Vec<_> = (0..5_000u64)
                .map(|at| mending.look(1 + more * at, 5, begun + Duration::from_millis(at)))
                .filter(|remedy| *remedy != Remedy::Wait)
                .take(3)
                .collect();
            assert_eq!(remedies, [Remedy::Redraw, Remedy::Redraw, Remedy::Reconnect]);
        }
    }

    #[test]
    fn a_host_that_makes_every_other_picture_unreadable_is_asked_at_a_bounded_rate() {
        let (mut mending, begun) = (Mending::default(), Instant::now());
        let minute = 60_000u64;
        let asked = (0..minute)
            .map(|at| mending.look(at.div_ceil(2), at / 2, begun + Duration::from_millis(at)))
            .filter(|remedy| *remedy != Remedy::Wait);
        assert!(asked.count() as u128 <= u128::from(minute) / ANSWER.as_millis() + 1);
    }
}
