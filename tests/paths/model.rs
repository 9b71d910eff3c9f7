//! A pure model of one direction of a path: a bounded queue before a link of one rate, then a delay that wanders,
//! then loss. Times are microseconds on whatever clock the caller has; the same seed gives the same path.

pub type Micros = u64;

/// How often the wandering delay takes a new heading.
const WANDER: Micros = 200_000;
/// A sender whose packets get no answer tries again after this, then after twice that, and so on (RFC 6298).
const FIRST_RETRY: Micros = 200_000;
/// The same for a connection's first packet.
const FIRST_DIAL_RETRY: Micros = 1_000_000;

/// One direction of a path.
#[derive(Clone, Copy, Debug)]
pub struct Conditions {
    pub delay: Micros,
    /// The delay wanders by so much to both sides, so slowly that nothing is reordered.
    pub jitter: Micros,
    pub lost_per_million: u64,
    /// Bytes a second.
    pub rate: u64,
    /// What does not fit the queue is dropped.
    pub queue: Micros,
}

/// Times at which nothing comes through.
#[derive(Clone, Copy, Debug)]
pub struct DeadSpots {
    pub every: Micros,
    pub lasting: Micros,
}

/// A kind of network.
#[derive(Clone, Copy, Debug)]
pub struct Profile {
    pub name: &'static str,
    pub down: Conditions,
    pub up: Conditions,
    pub dead: Option<DeadSpots>,
}

const fn both(delay: Micros, jitter: Micros, lost_per_million: u64, rate: u64, queue: Micros) -> Conditions {
    // Figures of a round trip; each direction has half.
    Conditions { delay: delay / 2, jitter: jitter / 2, lost_per_million, rate, queue }
}

const MBIT: u64 = 125_000;

pub const PROFILES: [Profile; 5] = {
    let lan = both(1_000, 0, 0, 1_000 * MBIT, 50_000);
    let wifi = both(10_000, 5_000, 5_000, 50 * MBIT, 100_000);
    let adsl = both(40_000, 0, 1_000, 8 * MBIT, 200_000);
    let mobile = both(60_000, 20_000, 10_000, 12 * MBIT, 300_000);
    let spotty = both(30_000, 0, 0, 20 * MBIT, 200_000);
    let dead = DeadSpots { every: 20_000_000, lasting: 3_000_000 };
    [
        Profile { name: "lan", down: lan, up: lan, dead: None },
        Profile { name: "wifi", down: wifi, up: wifi, dead: None },
        Profile { name: "adsl", down: adsl, up: Conditions { rate: MBIT, ..adsl }, dead: None },
        Profile { name: "4g", down: mobile, up: mobile, dead: None },
        Profile { name: "dead-spot", down: spotty, up: spotty, dead: Some(dead) },
    ]
};

impl Profile {
    pub fn named(name: &str) -> Option<Profile> {
        PROFILES.into_iter().find(|profile| profile.name == name)
    }

    pub fn round_trip(&self) -> Micros {
        self.down.delay + self.up.delay
    }
}

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Arrives(Micros),
    /// The queue was full.
    Overflowed,
    Lost,
    /// It was sent in a dead spot.
    Swallowed,
}

/// One direction, with what is queued in it.
#[derive(Clone, Debug)]
pub struct Path {
    conditions: Conditions,
    dead: Option<DeadSpots>,
    random: u64,
    /// When the link has sent all that is queued.
    free_at: Micros,
    last_arrival: Micros,
    wander: Wander,
}

#[derive(Clone, Copy, Debug, Default)]
struct Wander {
    since: Micros,
    from: i64,
    to: i64,
}

impl Path {
    /// Dead spots end a period: the first begins `every - lasting` after `now`.
    pub fn new(conditions: Conditions, dead: Option<DeadSpots>, seed: u64) -> Self {
        Path { conditions, dead, random: seed, free_at: 0, last_arrival: 0, wander: Wander::default() }
    }

    pub fn conditions(&self) -> &Conditions {
        &self.conditions
    }

    /// Other conditions from now on; what is under way stays so.
    #[allow(dead_code)]
    pub fn change(&mut self, conditions: Conditions) {
        self.conditions = conditions;
    }

    /// How long a packet that comes now waits before the link takes it.
    pub fn queue(&self, now: Micros) -> Micros {
        self.free_at.saturating_sub(now)
    }

    pub fn is_dead(&self, now: Micros) -> bool {
        self.dead.is_some_and(|dead| now % dead.every >= dead.every - dead.lasting)
    }

    /// A packet comes in.
    pub fn offer(&mut self, bytes: u64, now: Micros) -> Fate {
        if self.is_dead(now) {
            return Fate::Swallowed;
        }
        let sending = bytes * 1_000_000 / self.conditions.rate;
        if self.queue(now) + sending > self.conditions.queue.max(sending) {
            return Fate::Overflowed;
        }
        self.free_at = self.free_at.max(now) + sending;
        if self.next_random() % 1_000_000 < self.conditions.lost_per_million {
            return Fate::Lost;
        }
        let delay = (self.conditions.delay as i64 + self.wandering(now)).max(0) as Micros;
        self.last_arrival = self.last_arrival.max(self.free_at + delay);
        Fate::Arrives(self.last_arrival)
    }

    /// A packet of an ordered stream comes in, and is sent again until it is through: a loss costs a round trip.
    /// Nothing arrives before `not_before`, when the stream's last packet does.
    pub fn carry(&mut self, bytes: u64, now: Micros, round_trip: Micros, not_before: Micros) -> Micros {
        let (mut at, mut retry) = (now, FIRST_RETRY);
        while self.is_dead(at) {
            at += retry;
            retry *= 2;
        }
        if at > now {
            return not_before.max(at + self.conditions.delay);
        }
        let mut again = 0;
        loop {
            match self.offer(bytes, now) {
                Fate::Arrives(arrival) => return not_before.max(arrival + again),
                // Sent again, it is in the queue once more, by this model at once.
                _ => again += round_trip,
            }
            if again > 20 * round_trip {
                return not_before.max(self.free_at + again);
            }
        }
    }

    /// When the first packet of a connection that is opened now comes through.
    pub fn opened(&self, now: Micros) -> Micros {
        let (mut at, mut retry) = (now, FIRST_DIAL_RETRY);
        while self.is_dead(at) {
            at += retry;
            retry *= 2;
        }
        at
    }

    fn wandering(&mut self, now: Micros) -> i64 {
        let jitter = self.conditions.jitter;
        if jitter == 0 {
            return 0;
        }
        while now >= self.wander.since + WANDER {
            let far_behind = now >= self.wander.since + 2 * WANDER;
            let since = if far_behind { now - now % WANDER } else { self.wander.since + WANDER };
            let to = (self.next_random() % (2 * jitter + 1)) as i64 - jitter as i64;
            self.wander = Wander { since, from: self.wander.to, to };
        }
        let Wander { since, from, to } = self.wander;
        from + (to - from) * now.saturating_sub(since) as i64 / WANDER as i64
    }

    /// SplitMix64.
    fn next_random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.random;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }
}
