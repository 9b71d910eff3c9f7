//! Somebody else's TCP: congestion control as most systems have it (CUBIC, RFC 9438), in packets.

use crate::model::Micros;

const SCALING: f64 = 0.4;
const DECREASE: f64 = 0.7;

pub struct Cubic {
    window: f64,
    in_flight: u64,
    /// The window at the last loss, and when that was. None: slow start.
    last_loss: Option<(f64, Micros)>,
}

impl Cubic {
    pub fn new() -> Self {
        Cubic { window: 10.0, in_flight: 0, last_loss: None }
    }

    pub fn may_send(&self) -> bool {
        (self.in_flight as f64) < self.window
    }

    pub fn sent(&mut self) {
        self.in_flight += 1;
    }

    pub fn acknowledged(&mut self, now: Micros) {
        self.in_flight -= 1;
        let Some((largest, at)) = self.last_loss else {
            self.window += 1.0;
            return;
        };
        let since = now.saturating_sub(at) as f64 / 1e6;
        let plateau = (largest * (1.0 - DECREASE) / SCALING).cbrt();
        let target = SCALING * (since - plateau).powi(3) + largest;
        self.window += ((target - self.window) / self.window).clamp(0.01 / self.window, 0.5);
    }

    pub fn lost(&mut self, now: Micros) {
        self.in_flight -= 1;
        // Losses of one round trip or so are one event.
        if self.last_loss.is_some_and(|(_, at)| now < at + 300_000) {
            return;
        }
        self.last_loss = Some((self.window, now));
        self.window = (self.window * DECREASE).max(2.0);
    }
}
