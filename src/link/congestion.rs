//! QUIC's congestion control. What may be on the way is bounded by the session's budget already, and closer, so this has
//! two tasks: not to take a packet that radio lost for a sign of congestion, and to give way when much is lost.

use quinn::congestion::{Controller, ControllerFactory};
use quinn_proto::RttEstimator;
use std::any::Any;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Until anything is known: twice what RFC 9002 gives, and what a session's budget begins with.
const FIRST_WINDOW: u64 = 24 << 10;
/// What is always allowed beyond what the path carries, for pings and acknowledgements beside the updates.
const SPARE: u64 = 16 << 10;
/// How long a measured rate counts.
const RATE_LIFE: Duration = Duration::from_secs(3);
/// Of a hundred bytes of a round trip, so many lost are congestion.
const CONGESTED: u64 = 10;
/// Packets remembered.
const MOST_SENT: usize = 16_384;

/// Makes a [`Steady`] for each connection.
#[derive(Debug, Default)]
pub struct SteadyConfig;

impl ControllerFactory for SteadyConfig {
    fn build(self: Arc<Self>, now: Instant, mtu: u16) -> Box<dyn Controller> {
        Box::new(Steady::new(now, mtu))
    }
}

/// A window of twice what the path carries in a round trip, by the best rate of the last seconds.
#[derive(Clone, Debug)]
pub struct Steady {
    mtu: u64,
    window: u64,
    delivered: u64,
    /// When packets were sent, and how much had been delivered by then.
    sent: VecDeque<(Instant, u64)>,
    /// Descending: the front is the best.
    rates: VecDeque<(Instant, u64)>,
    growing: bool,
    best_rate: u64,
    rounds_without_gain: u32,
    round_ends: Instant,
    acknowledged: u64,
    lost: u64,
}

impl Steady {
    fn new(now: Instant, mtu: u16) -> Self {
        Steady {
            mtu: mtu.into(),
            window: FIRST_WINDOW,
            delivered: 0,
            sent: VecDeque::new(),
            rates: VecDeque::new(),
            growing: true,
            best_rate: 0,
            rounds_without_gain: 0,
            round_ends: now,
            acknowledged: 0,
            lost: 0,
        }
    }

    fn least(&self) -> u64 {
        4 * self.mtu + SPARE / 4
    }

    fn rate(&self) -> u64 {
        self.rates.front().map_or(0, |&(_, rate)| rate)
    }

    fn take_rate(&mut self, now: Instant, sent: Instant, app_limited: bool) {
        let at = self.sent.partition_point(|&(time, _)| time < sent);
        let Some(&(_, delivered)) = self.sent.get(at) else { return };
        self.sent.drain(..at.saturating_sub(MOST_SENT / 4));
        let elapsed = now.saturating_duration_since(sent).as_micros().max(100) as u64;
        let rate = (self.delivered - delivered) * 1_000_000 / elapsed;
        if app_limited && rate <= self.rate() {
            return;
        }
        while self.rates.front().is_some_and(|&(at, _)| at + RATE_LIFE < now) {
            self.rates.pop_front();
        }
        while self.rates.back().is_some_and(|&(_, earlier)| earlier <= rate) {
            self.rates.pop_back();
        }
        self.rates.push_back((now, rate));
    }

    fn end_round(&mut self, now: Instant, round_trip: Duration, app_limited: bool) {
        self.round_ends = now + round_trip;
        let all = self.acknowledged + self.lost;
        let congested = all > 20 * self.mtu && self.lost * 100 > all * CONGESTED;
        (self.acknowledged, self.lost) = (0, 0);
        if congested {
            self.growing = false;
            self.rates.iter_mut().for_each(|(_, rate)| *rate = *rate * 7 / 10);
        } else if self.growing && !app_limited {
            let gained = self.rate() * 4 >= self.best_rate * 5;
            self.rounds_without_gain = if gained { 0 } else { self.rounds_without_gain + 1 };
            self.best_rate = self.best_rate.max(self.rate());
            self.growing = self.rounds_without_gain < 3;
        }
    }
}

impl Controller for Steady {
    fn on_sent(&mut self, now: Instant, _bytes: u64, _last_packet_number: u64) {
        if self.sent.len() >= MOST_SENT {
            self.sent.pop_front();
        }
        self.sent.push_back((now, self.delivered));
    }

    fn on_ack(&mut self, now: Instant, sent: Instant, bytes: u64, app_limited: bool, rtt: &RttEstimator) {
        self.delivered += bytes;
        self.acknowledged += bytes;
        self.take_rate(now, sent, app_limited);
        if now >= self.round_ends {
            self.end_round(now, rtt.get(), app_limited);
        }
        if self.growing {
            if !app_limited {
                self.window += bytes;
            }
        } else {
            let carried = u128::from(self.rate()) * rtt.get().as_micros() / 1_000_000;
            self.window = (2 * carried as u64 + SPARE).max(self.least());
        }
    }

    fn on_congestion_event(&mut self, _: Instant, _: Instant, _persistent: bool, lost_bytes: u64) {
        self.lost += lost_bytes;
    }

    fn on_mtu_update(&mut self, new_mtu: u16) {
        self.mtu = new_mtu.into();
        self.window = self.window.max(self.least());
    }

    fn window(&self) -> u64 {
        self.window
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(self.clone())
    }

    fn initial_window(&self) -> u64 {
        FIRST_WINDOW
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKET: u64 = 1_200;
    const ROUND_TRIP: Duration = Duration::from_millis(60);

    /// A path of 1.2 MB/s on which, of a hundred packets, so many are lost; the rate that is believed after five seconds.
    fn believed(lost_of_hundred: u64) -> u64 {
        let start = Instant::now();
        let at = |millisecond: u64| start + Duration::from_millis(millisecond);
        let mut control = Steady::new(start, PACKET as u16);
        for millisecond in 0..5_000 {
            let now = at(millisecond);
            control.on_sent(now, PACKET, millisecond);
            if millisecond < 60 {
                continue;
            }
            if millisecond * 37 % 100 < lost_of_hundred {
                control.on_congestion_event(now, at(millisecond - 60), false, PACKET);
            } else {
                control.delivered += PACKET;
                control.acknowledged += PACKET;
                control.take_rate(now, at(millisecond - 60), false);
            }
            if now >= control.round_ends {
                control.end_round(now, ROUND_TRIP, false);
            }
        }
        control.rate()
    }

    #[test]
    fn some_random_loss_is_not_taken_for_congestion_but_heavy_loss_is() {
        let (none, some, heavy) = (believed(0), believed(2), believed(30));
        assert!((1_150_000..1_250_000).contains(&none), "{none}");
        assert!(some > none * 95 / 100, "{some} of {none}");
        assert!(heavy < none * 75 / 100, "{heavy} of {none}");
    }
}
