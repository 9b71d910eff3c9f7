use super::*;

/// A path of one rate and delay that is always kept full. Returns the longest queue once it has settled, and the
/// rate that was measured.
fn settled_on(bytes_per_second: u64, delay: Micros) -> (Micros, u64) {
    let mut budget = Budget::new();
    let (mut now, mut free_at, mut longest) = (0, 0u64, 0);
    let mut flying: VecDeque<(Micros, Sent)> = VecDeque::new();
    while now < 5_000_000 {
        while budget.room(now) > 0 {
            let bytes = budget.update();
            if now > 2_000_000 {
                longest = longest.max(free_at.saturating_sub(now));
            }
            free_at = free_at.max(now) + bytes * 1_000_000 / bytes_per_second;
            flying.push_back((free_at + delay, budget.sent(bytes, now)));
        }
        let arrival = flying.front().map_or(Micros::MAX, |(at, _)| *at);
        let paced = budget.room_at(now).unwrap_or(Micros::MAX);
        now = now.max(arrival.min(paced));
        if arrival <= now {
            let (_, sent) = flying.pop_front().unwrap();
            budget.acknowledged(&sent, 0, now);
        }
    }
    (longest, budget.rate())
}

#[test]
fn the_queue_is_short_and_the_rate_is_the_paths() {
    for (rate, delay) in [(1_000_000, 40_000), (6_000_000, 10_000), (1_500_000, 60_000), (100_000_000, 1_000)]
    {
        let (queue, measured) = settled_on(rate, delay);
        assert!(measured > rate * 9 / 10 && measured < rate * 11 / 10, "{measured} on {rate}");
        assert!(queue < 25_000, "a queue of {queue} us on {rate} B/s, {delay} us");
    }
}

#[test]
fn something_may_always_be_sent_when_nothing_is_on_the_way() {
    let mut budget = Budget::new();
    let sent = budget.sent(1 << 30, 0);
    assert_eq!(budget.room(0), 0);
    budget.acknowledged(&sent, 0, u64::MAX / 2);
    assert!(budget.room(u64::MAX / 2) > 0);
}

#[test]
fn decoding_is_not_taken_for_the_path() {
    let mut budget = Budget::new();
    for step in 0..100 {
        let sent = budget.sent(3_000, step * 100_000);
        budget.idle();
        budget.acknowledged(&sent, 50_000, step * 100_000 + 60_000);
    }
    assert_eq!(budget.shortest_round_trip().map(|time| time <= 10_000), Some(true));
    assert!(budget.rate() >= 3_000 * 100, "{} bytes a second", budget.rate());
}

#[test]
fn a_longer_round_trip_is_believed_after_a_while() {
    let mut budget = Budget::new();
    for step in 0..300 {
        let now = step * 100_000;
        let sent = budget.sent(1_000, now);
        budget.idle();
        budget.acknowledged(&sent, 0, now + if step < 100 { 10_000 } else { 60_000 });
    }
    assert!(budget.shortest_round_trip() > Some(50_000));
}
