//! Who does what when. A timetable is fixed by seed and viewer before anything is sent: what a slow gateway delays is
//! counted from the time that stands here, so that its slowness does not thin out the load (no coordinated omission).

use super::random::Random;
use std::time::Duration;

/// How a viewer's user works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// Minutes of nothing, then a burst of typing and a few clicks: about one user in thirty is active.
    Ward,
    /// Form after form: typing, a click to the next field, now and then scrolling, short pauses.
    Practice,
    /// Looks through stacks of slices, 15 a second, with time to think between.
    Imaging,
    /// Watches a picture that moves 25 times a second, and types a key every few seconds.
    Video,
    /// Only watches: nothing is typed.
    Watch,
}

/// What a user does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    Key,
    Click,
    Wheel,
}

/// One user's acts in order, each with its time from the start; it does not end, unless the profile has no acts.
pub struct Timetable {
    profile: Profile,
    random: Random,
    at: f64,
    /// What is left of the present bout: of these, so many.
    bout: Vec<(Act, u32, f64)>,
}

impl Timetable {
    pub fn new(profile: Profile, seed: u64, viewer: u64) -> Timetable {
        Timetable { profile, random: Random::new(seed, viewer), at: 0.0, bout: Vec::new() }
    }

    /// Thinks, and sets out for the next bout of work. Its parts stand in reverse.
    fn set_out(&mut self) {
        let random = &mut self.random;
        let (pause, bout) = match self.profile {
            Profile::Ward => (
                random.exponential(240.0),
                vec![(Act::Click, random.between(1, 3), 0.9), (Act::Key, random.between(15, 60), 0.19)],
            ),
            Profile::Practice => {
                let scrolls = if random.between(0, 3) == 0 { random.between(4, 12) } else { 0 };
                let typing = (Act::Key, random.between(5, 25), 0.24);
                (random.exponential(4.0), vec![(Act::Wheel, scrolls, 0.12), (Act::Click, 1, 0.8), typing])
            }
            Profile::Imaging => (
                random.exponential(6.0),
                vec![(Act::Click, 1, 0.7), (Act::Wheel, random.between(20, 75), 1.0 / 15.0)],
            ),
            Profile::Video => (random.exponential(2.0), vec![(Act::Key, 1, 0.5)]),
            Profile::Watch => (0.0, Vec::new()),
        };
        self.at += pause;
        self.bout = bout;
    }
}

impl Iterator for Timetable {
    type Item = (Duration, Act);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.bout.last_mut() {
                Some((act, left, mean)) if *left > 0 => {
                    let (act, mean) = (*act, *mean);
                    *left -= 1;
                    // A wheel turns evenly; fingers do not, and no finger is faster than 25 a second.
                    self.at += match act {
                        Act::Wheel => mean,
                        _ => 0.04 + self.random.exponential(mean - 0.04),
                    };
                    return Some((Duration::from_secs_f64(self.at), act));
                }
                Some(_) => drop(self.bout.pop()),
                None if self.profile == Profile::Watch => return None,
                None => self.set_out(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALL: [Profile; 4] = [Profile::Ward, Profile::Practice, Profile::Imaging, Profile::Video];

    fn acts(profile: Profile, seed: u64, viewer: u64, until: u64) -> Vec<(Duration, Act)> {
        let end = Duration::from_secs(until);
        Timetable::new(profile, seed, viewer).take_while(|(at, _)| *at < end).collect()
    }

    proptest! {
        #[test]
        fn acts_come_in_order_and_again_for_the_same_seed(index in 0usize..4, seed: u64, viewer in 0u64..9_999) {
            let some: Vec<_> = Timetable::new(ALL[index], seed, viewer).take(500).collect();
            prop_assert!(some.windows(2).all(|pair| pair[0].0 < pair[1].0));
            let same: Vec<_> = Timetable::new(ALL[index], seed, viewer).take(500).collect();
            prop_assert!(some == same);
            let other: Vec<_> = Timetable::new(ALL[index], seed, viewer + 1).take(500).collect();
            prop_assert!(some != other);
        }
    }

    #[test]
    fn a_few_per_cent_of_a_ward_are_active_at_a_time() {
        let mut active = 0;
        for viewer in 0..1_000 {
            let acts = acts(Profile::Ward, 7, viewer, 1_800);
            let at = |second: u64| Duration::from_secs(second);
            let is_active =
                |second| acts.iter().any(|(time, _)| *time >= at(second) && *time < at(second + 1));
            active += (600..1_800).step_by(100).filter(|&second| is_active(second)).count();
        }
        let share = active as f64 / 12_000.0;
        assert!((0.01..0.06).contains(&share), "{share}");
    }

    #[test]
    fn stacks_turn_fifteen_times_a_second_and_who_watches_does_nothing() {
        let acts = acts(Profile::Imaging, 1, 1, 600);
        let wheels = acts.windows(2).filter(|pair| pair[0].1 == Act::Wheel && pair[1].1 == Act::Wheel);
        let gaps: Vec<Duration> = wheels.map(|pair| pair[1].0 - pair[0].0).collect();
        assert!(gaps.iter().filter(|gap| gap.as_millis() == 66).count() * 10 > gaps.len() * 9);
        assert_eq!(Timetable::new(Profile::Watch, 1, 1).next(), None);
    }
}
