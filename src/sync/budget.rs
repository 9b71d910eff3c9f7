use super::Micros;
use std::collections::VecDeque;

/// How many bytes may be on the way to a viewer, and when the next may be sent, learnt from its acknowledgements.
///
/// The bound is what the path carries in its shortest recent round trip and [`QUEUE`]: so that is the queue that
/// chevet builds. It needs no probing: a path that carries more is found by that queue's bytes arriving
/// sooner. Sending is paced, so that a bound's worth does not meet the path at once.
///
/// [`QUEUE`]: Budget::QUEUE
#[derive(Debug)]
pub struct Budget {
    in_flight: u64,
    delivered: u64,
    marks: VecDeque<Mark>,
    /// The largest update of late.
    unit: u64,
    /// Until so many bytes are delivered, it was a lack of pixels that bounded the rate.
    idle_until: u64,
    rates: VecDeque<(Micros, u64)>,
    round_trips: RoundTrips,
    window: u64,
    growth: Option<Growth>,
    share: Share,
    draining_until: Micros,
    drained_at: Micros,
    /// When the pacing lets the next bytes go.
    paced_at: Micros,
}

/// What must be remembered of something sent, to learn from its acknowledgement.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    pub bytes: u64,
    pub at: Micros,
    mark: Mark,
    idle: bool,
    /// Whether it (nearly) filled what may be on the way.
    filled: bool,
}

/// A moment from which a rate can be measured: an acknowledgement came.
#[derive(Clone, Copy, Debug)]
struct Mark {
    at: Micros,
    delivered: u64,
    /// When what it acknowledged was sent.
    sent_at: Micros,
}

/// The bound doubles once a round trip, for as long as that makes the path carry more.
#[derive(Clone, Copy, Debug, Default)]
struct Growth {
    best_rate: u64,
    rounds_without_gain: u32,
    /// A round ends when something is acknowledged that was sent after it began.
    round_began: Micros,
}

/// Whether somebody else fills the path's queue, and what is done to get a share.
#[derive(Clone, Copy, Debug, Default)]
struct Share {
    /// Since when the queue has not gone away although the bound is what the path alone would carry.
    crowded_since: Option<Micros>,
    competing: bool,
    /// The longest queue since the last retreat.
    peak: Micros,
    next_step_at: Micros,
    next_retreat_at: Micros,
    /// The best rate lately: what the path may carry for one alone.
    best: (Micros, u64),
}

impl Budget {
    const FIRST_WINDOW: u64 = 24 << 10;
    const LEAST_WINDOW: u64 = 6 << 10;
    const MOST_WINDOW: u64 = 8 << 20;
    /// The queue that may stand on the path beyond what a round trip carries.
    pub const QUEUE: Micros = 18_000;
    /// An update is what the path carries in this time, at most.
    const UPDATE: Micros = 6_000;
    const LEAST_UPDATE: u64 = 3 << 10;
    /// A rate is measured over a round trip and this.
    const RATE_SPAN: Micros = 40_000;
    /// How long a measured rate counts: so many round trips, but at least this.
    const RATE_ROUND_TRIPS: Micros = 6;
    const RATE_LIFE: Micros = 1_200_000;
    /// What waits no longer than this is not a queue that somebody else keeps full.
    const CROWDED: Micros = 2 * Self::QUEUE;
    const CROWDED_FOR: Micros = 400_000;
    /// Whoever competes looks this often whether it still must; and a round trip is measured anew as often.
    const DRAIN_AFTER: Micros = 4_000_000;
    const LONGEST_ROUND_TRIP: Micros = 60_000_000;
    const RETREAT_AFTER: Micros = 1_000_000;
    /// How long the best rate is remembered.
    const BEST_LIFE: Micros = 60_000_000;
    /// Timers come late by a millisecond or two: what was not sent in that time is made up for.
    const LATE: Micros = 3_000;

    pub fn new() -> Self {
        Budget {
            in_flight: 0,
            delivered: 0,
            marks: VecDeque::new(),
            unit: 0,
            idle_until: 0,
            rates: VecDeque::new(),
            round_trips: RoundTrips::default(),
            window: Self::FIRST_WINDOW,
            growth: Some(Growth::default()),
            share: Share::default(),
            draining_until: 0,
            drained_at: 0,
            paced_at: 0,
        }
    }

    /// Bytes that may be sent now. At least something once nothing is on the way.
    pub fn room(&self, now: Micros) -> u64 {
        if now < self.paced_at { 0 } else { self.bound(now).saturating_sub(self.in_flight) }
    }

    /// If it is only the pacing that leaves no room now, when it will.
    pub fn room_at(&self, now: Micros) -> Option<Micros> {
        (now < self.paced_at && self.in_flight < self.bound(now)).then_some(self.paced_at)
    }

    fn bound(&self, now: Micros) -> u64 {
        if now < self.draining_until { self.carried(self.base()) / 2 } else { self.window }
    }

    /// The bytes that an update should have at most.
    pub fn update(&self) -> u64 {
        let most = if self.growth.is_some() { self.window / 4 } else { self.carried(Self::UPDATE) };
        most.max(Self::LEAST_UPDATE)
    }

    pub fn in_flight(&self) -> u64 {
        self.in_flight
    }

    /// Bytes a second, or 0 before anything was acknowledged.
    pub fn rate(&self) -> u64 {
        self.rates.iter().map(|&(_, rate)| rate).max().unwrap_or(0)
    }

    /// The shortest time between sending and acknowledgement lately.
    pub fn shortest_round_trip(&self) -> Option<Micros> {
        self.round_trips.shortest()
    }

    /// The round trip without a queue, as far as is known.
    fn base(&self) -> Micros {
        self.shortest_round_trip().unwrap_or(0)
    }

    fn carried(&self, time: Micros) -> u64 {
        self.rate().saturating_mul(time) / 1_000_000
    }

    /// There is nothing to send: from now on the rate is not the path's.
    pub fn idle(&mut self) {
        self.idle_until = self.delivered + self.in_flight;
        self.marks.clear();
        if self.growth.is_some() {
            // A bound that nothing fills is not proven by the path: what comes next must not overrun it.
            let proven = self.carried(self.base() + Self::QUEUE) * 5 / 4;
            self.window = self.window.min(proven.max(Self::FIRST_WINDOW));
        }
    }

    pub fn sent(&mut self, bytes: u64, now: Micros) -> Sent {
        if self.in_flight == 0 {
            // Nothing was on the way: the time of idleness is not the path's.
            self.marks.clear();
        }
        if self.marks.is_empty() {
            self.marks.push_back(Mark { at: now, delivered: self.delivered, sent_at: now });
        }
        self.unit = bytes.max(self.unit - self.unit / 16);
        let idle = self.delivered < self.idle_until;
        self.in_flight += bytes;
        let pace = self.pace().max(1);
        let wait = bytes.saturating_mul(1_000_000) / pace;
        self.paced_at = self.paced_at.max(now.saturating_sub(Self::LATE)) + wait.min(1_000_000);
        let filled = self.in_flight * 4 >= self.window * 3;
        Sent { bytes, at: now, mark: self.marks[0], idle, filled }
    }

    /// Bytes a second at which to send.
    fn pace(&self) -> u64 {
        let Some(newest) = self.round_trips.newest() else { return u64::MAX };
        let by_window = self.window.saturating_mul(1_000_000) / newest.max(1);
        match self.growth {
            Some(_) => (self.rate() * 2).max(by_window),
            None => (self.rate() * 5 / 4).max(by_window),
        }
    }

    /// An update will not arrive: its stream was reset.
    pub fn dropped(&mut self, sent: &Sent) {
        self.in_flight = self.in_flight.saturating_sub(sent.bytes);
    }

    /// The viewer acknowledged, having spent `decode` on it.
    pub fn acknowledged(&mut self, sent: &Sent, decode: Micros, now: Micros) {
        self.in_flight = self.in_flight.saturating_sub(sent.bytes);
        self.delivered += sent.bytes;
        // The path's share of the time: without the viewer's work, and without the update's own length.
        let whole = now.saturating_sub(sent.at).saturating_sub(decode);
        // By the best rate: one that is measured too low would take off too much.
        let own = (sent.bytes * 1_000_000).checked_div(self.share.best.1).unwrap_or(0).min(Self::UPDATE);
        let round_trip = whole.saturating_sub(own).clamp(1, Self::LONGEST_ROUND_TRIP);
        self.round_trips.note(round_trip, now);
        self.take_rate(sent, decode, now);
        self.note_delivered(sent.at, now);
        if self.growth.is_some() {
            if sent.filled && !sent.idle {
                self.grow(sent, now);
            }
            return;
        }
        self.drain_if_due(now);
        self.watch_others(now);
        let alone = self.carried(self.base() + Self::QUEUE);
        self.window = if self.share.competing { self.window.max(alone) } else { alone };
        // Where one tile takes long, the next must be on the way before the last has been acknowledged.
        self.window = self.window.max(2 * self.unit).clamp(Self::LEAST_WINDOW, Self::MOST_WINDOW);
    }

    fn note_delivered(&mut self, sent_at: Micros, now: Micros) {
        // The last mark that is a whole span old is kept: a rate is measured from there.
        while self.marks.get(1).is_some_and(|mark| mark.at + Self::RATE_SPAN <= now) {
            self.marks.pop_front();
        }
        if self.marks.back().is_none_or(|mark| mark.at + Self::RATE_SPAN / 16 <= now) {
            self.marks.push_back(Mark { at: now, delivered: self.delivered, sent_at });
        }
    }

    fn take_rate(&mut self, sent: &Sent, decode: Micros, now: Micros) {
        let mark = sent.mark;
        // What a loss had held up comes all at once, but did not leave faster than it was sent.
        let arriving = now.saturating_sub(mark.at.min(sent.at)).saturating_sub(decode);
        let leaving = sent.at.saturating_sub(mark.sent_at);
        let rate = (self.delivered - mark.delivered) * 1_000_000 / arriving.max(leaving).max(50);
        // What was held back by a lack of pixels, not by the path, can only show that the path is better.
        if sent.idle && rate <= self.rate() {
            return;
        }
        let life = (self.base() * Self::RATE_ROUND_TRIPS).max(Self::RATE_LIFE);
        while self.rates.front().is_some_and(|&(at, _)| at + life < now) {
            self.rates.pop_front();
        }
        while self.rates.back().is_some_and(|&(_, earlier)| earlier <= rate) {
            self.rates.pop_back();
        }
        self.rates.push_back((now, rate));
        let (at, best) = self.share.best;
        if rate >= best || at + Self::BEST_LIFE < now {
            self.share.best = (now, rate);
        }
    }

    /// Once a round trip: double while the rate still grows by a quarter and no queue is seen.
    fn grow(&mut self, sent: &Sent, now: Micros) {
        let queue = self.round_trips.standing() > Self::QUEUE;
        let (rate, carried) = (self.rate(), self.carried(self.base() + Self::QUEUE));
        let Some(growth) = &mut self.growth else { return };
        if sent.at < growth.round_began {
            return;
        }
        growth.round_began = now;
        let first = growth.best_rate == 0;
        if rate * 4 >= growth.best_rate * 5 {
            growth.best_rate = rate;
            growth.rounds_without_gain = 0;
        } else {
            growth.rounds_without_gain += 1;
        }
        let gained = growth.rounds_without_gain == 0;
        if growth.rounds_without_gain >= 3 || (queue && !gained) {
            self.growth = None;
        } else if !queue {
            // What the first acknowledgement says of the rate is only its update's length.
            let most = if first { Self::MOST_WINDOW } else { carried * 2 };
            self.window = (self.window * 2).min(most).clamp(self.window, Self::MOST_WINDOW);
        }
    }

    /// Now and then the queue is let run empty: a round trip that has become longer, or somebody else who
    /// fills the queue, is told from an own queue by that.
    fn drain_if_due(&mut self, now: Micros) {
        let stale = self.round_trips.shortest_is_older_than(Self::DRAIN_AFTER, now);
        if (stale || self.share.competing) && now >= self.drained_at + Self::DRAIN_AFTER {
            self.drain(now);
        }
    }

    /// For as long as the queue takes to run empty and that to be seen.
    fn drain(&mut self, now: Micros) {
        self.drained_at = now;
        self.draining_until = now + 2 * self.base() + self.round_trips.standing() + Self::QUEUE;
    }

    /// Others who do not mind a queue keep it full, and a share of the path is then only had with a share of the queue:
    /// the bound grows, and retreats when the queue has reached its end and shrinks, as theirs do.
    fn watch_others(&mut self, now: Micros) {
        let queue = self.round_trips.standing();
        let share = &mut self.share;
        if queue < Budget::CROWDED {
            share.crowded_since = None;
            share.competing &= queue >= Budget::QUEUE;
        } else if !share.competing && now >= self.draining_until {
            let since = *share.crowded_since.get_or_insert(now);
            let draining_helped_not = now < self.drained_at + Self::DRAIN_AFTER;
            if now >= since + Self::CROWDED_FOR && draining_helped_not {
                share.competing = true;
                share.peak = queue;
                share.next_step_at = now;
            } else if now >= since + Self::CROWDED_FOR {
                self.drain(now);
                // If the path carries less than it did, that is known from now on.
                self.rates.drain(..self.rates.len().saturating_sub(1));
                self.share.crowded_since = Some(self.draining_until);
                return;
            }
        }
        let share = &mut self.share;
        if !share.competing || now < share.next_step_at || now < self.draining_until {
            return;
        }
        share.next_step_at = now + self.round_trips.shortest().unwrap_or(0) + queue;
        share.peak = share.peak.max(queue);
        if queue * 4 < share.peak * 3 && now >= share.next_retreat_at {
            // Not more often than theirs, or every stutter would be a retreat.
            share.next_retreat_at = now + Self::RETREAT_AFTER;
            share.peak = queue;
            self.window = self.window * 3 / 4;
            return;
        }
        let rate = self.rates.iter().map(|&(_, rate)| rate).max().unwrap_or(0);
        let starved = rate < share.best.1 / 3;
        self.window += if starved { self.window / 6 } else { 1_500 };
    }
}

impl Default for Budget {
    fn default() -> Self {
        Budget::new()
    }
}

/// The shortest round trips of the last ten seconds, and of the last moment.
#[derive(Debug, Default)]
struct RoundTrips {
    /// The shortest of each second.
    seconds: VecDeque<(Micros, Micros)>,
    /// When the shortest one was last seen again, or nearly.
    renewed_at: Micros,
    recent: VecDeque<(Micros, Micros)>,
}

impl RoundTrips {
    const LIFE: Micros = 10_000_000;
    /// The last moment: so long, but at least a round trip.
    const MOMENT: Micros = 100_000;

    fn note(&mut self, round_trip: Micros, now: Micros) {
        match self.seconds.back_mut() {
            Some((since, shortest)) if *since + 1_000_000 > now => *shortest = (*shortest).min(round_trip),
            _ => self.seconds.push_back((now, round_trip)),
        }
        while self.seconds.front().is_some_and(|&(since, _)| since + Self::LIFE < now) {
            self.seconds.pop_front();
        }
        let shortest = self.shortest().unwrap_or(round_trip);
        if round_trip <= shortest + shortest / 8 + 1_000 {
            self.renewed_at = now;
        }
        // Kept ascending: the front is the shortest of the moment, the back the newest.
        while self.recent.back().is_some_and(|&(_, earlier)| earlier >= round_trip) {
            self.recent.pop_back();
        }
        self.recent.push_back((now, round_trip));
        let moment = Self::MOMENT.max(shortest * 2);
        while self.recent.front().is_some_and(|&(at, _)| at + moment < now) {
            self.recent.pop_front();
        }
    }

    fn shortest(&self) -> Option<Micros> {
        self.seconds.iter().map(|&(_, shortest)| shortest).min()
    }

    fn shortest_is_older_than(&self, age: Micros, now: Micros) -> bool {
        now.saturating_sub(self.renewed_at) > age
    }

    fn newest(&self) -> Option<Micros> {
        self.recent.back().map(|&(_, round_trip)| round_trip)
    }

    /// The queue that stood on the path throughout the last moment.
    fn standing(&self) -> Micros {
        let recent = self.recent.front().map_or(0, |&(_, shortest)| shortest);
        recent.saturating_sub(self.shortest().unwrap_or(0))
    }
}

#[cfg(test)]
#[path = "budget_tests.rs"]
mod tests;
