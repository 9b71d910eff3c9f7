//! When an update's parity is sent, and copies of small messages: where packets get lost, and what is lost is long in
//! coming again.

use super::line::{Which, Written};
use super::parity;
use bytes::Bytes;
use std::time::Duration;
use tokio::time::Instant;
use web_transport_quinn::Session;

/// Where a lost packet comes again sooner than this, it need not be mended.
const SHORT: Duration = Duration::from_millis(5);
/// It goes after what it is of, in other packets.
const AFTER: Duration = Duration::from_millis(1);
/// How often the path is looked at.
const LOOK: Duration = Duration::from_millis(100);
/// A path that has become longer is believed, a part of so many at each look.
const FORGET: u32 = 32;
/// A path loses packets if more than one of so many is lost.
const LOSES: u64 = 400;
/// What is known before anything was sent: one of so many is lost.
const PRIOR: u64 = 200;
/// After so many packets they count half.
const MEMORY: u64 = 4_000;
/// Parity takes at most one of so many bytes that the path carries, ...
const SHARE: u64 = 10;
/// ... over this time.
const SAVED: Duration = Duration::from_millis(250);
/// Who takes no datagrams of this length takes none.
const LEAST_DATAGRAM: usize = 1_000;
/// What of a packet is not the stream's, at the least: to a peer that wants no connection id. A period may be longer than what a packet
/// carried, never shorter.
const HEADS: usize = 20;

/// What is sent a second time, in another way, of what was sent last.
pub(super) struct Spare {
    losses: Losses,
    looked_at: Instant,
    /// The shortest of late: a machine that is busy makes a short path seem long.
    round_trip: Duration,
    packet: usize,
    /// Bytes of parity that may be sent.
    saved: u64,
    due: Option<Instant>,
    waiting: Vec<Bytes>,
    control: Written,
    input: Written,
}

impl Spare {
    pub fn new() -> Self {
        Spare {
            losses: Losses::default(),
            looked_at: Instant::now() - 2 * LOOK,
            round_trip: Duration::MAX,
            packet: 0,
            saved: u64::MAX,
            due: None,
            waiting: Vec::new(),
            control: Written::new(Which::Control),
            input: Written::new(Which::Input),
        }
    }

    /// An update was written whole to a stream.
    pub fn written(&mut self, session: &Session, stream: u64, update: &[u8]) {
        let now = Instant::now();
        if !self.is_worth_it(session, now) || update.len() > parity::MOST {
            return;
        }
        let length = update.len().min(self.packet) as u64;
        let most = session.max_datagram_size();
        if most < LEAST_DATAGRAM {
            return;
        }
        if let Some(saved) = self.saved.checked_sub(length) {
            self.saved = saved;
            self.waiting.extend(parity::datagrams(stream, update, self.packet, most));
            self.due.get_or_insert(now + AFTER);
        }
    }

    /// Messages were written to the control or the input stream.
    pub fn noted(&mut self, session: &Session, which: Which, bytes: &[u8]) {
        let now = Instant::now();
        let copied = self.is_worth_it(session, now);
        let written = if which == Which::Control { &mut self.control } else { &mut self.input };
        written.note(bytes, copied);
        if copied {
            self.due.get_or_insert(now + AFTER);
        }
    }

    fn is_worth_it(&mut self, session: &Session, now: Instant) -> bool {
        if now >= self.looked_at + LOOK {
            self.look(session, now);
        }
        self.round_trip >= SHORT && self.losses.are_likely()
    }

    fn look(&mut self, session: &Session, now: Instant) {
        let connection: &quinn::Connection = session;
        let path = connection.stats().path;
        let passed = now.saturating_duration_since(self.looked_at);
        self.looked_at = now;
        self.round_trip = path.rtt.min(self.round_trip.saturating_add(self.round_trip / FORGET));
        self.packet = usize::from(path.current_mtu).saturating_sub(HEADS);
        self.losses.count(path.sent_packets, path.lost_packets);
        // The window is twice what the path carries in a round trip.
        let carried = |time: Duration| {
            u128::from(path.cwnd / 2) * time.as_micros() / path.rtt.as_micros().max(1) / u128::from(SHARE)
        };
        let most = carried(SAVED).max(2 * self.packet as u128) as u64;
        self.saved = self.saved.saturating_add(carried(passed) as u64).min(most);
    }

    pub fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Sends what is due.
    pub fn send(&mut self, session: &Session) {
        if self.due.is_some_and(|due| due <= Instant::now()) {
            self.due = None;
            let copies = [self.control.take(), self.input.take()];
            for datagram in copies.into_iter().flatten().chain(self.waiting.drain(..)) {
                let _ = session.send_datagram(datagram);
            }
        }
    }
}

/// Of packets sent of late, how many were lost.
#[derive(Default)]
struct Losses {
    sent: u64,
    lost: u64,
    /// Of the connection as a whole, when it was last looked at.
    counted: (u64, u64),
}

impl Losses {
    fn count(&mut self, sent: u64, lost: u64) {
        self.sent += sent.saturating_sub(self.counted.0);
        self.lost += lost.saturating_sub(self.counted.1);
        self.counted = (sent, lost);
        if self.sent > MEMORY {
            (self.sent, self.lost) = (self.sent / 2, self.lost / 2);
        }
    }

    fn are_likely(&self) -> bool {
        (self.lost + 1) * LOSES > self.sent + PRIOR
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_are_likely_at_first_and_for_as_long_as_there_are_some() {
        let mut losses = Losses::default();
        assert!(losses.are_likely());
        losses.count(1_000, 0);
        assert!(!losses.are_likely());
        losses.count(2_000, 5);
        assert!(losses.are_likely());
        losses.count(20_000, 10);
        assert!(!losses.are_likely());
    }
}
