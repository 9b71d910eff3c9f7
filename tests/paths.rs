//! The budget on bad networks, in virtual time: how long a queue chevet builds, how much of the path it uses, whether
//! it finds more and leaves others theirs.

#[path = "paths/cubic.rs"]
mod cubic;
#[allow(dead_code)]
#[path = "paths/model.rs"]
mod model;
#[path = "paths/rig.rs"]
mod rig;

use model::{Conditions, Micros, Profile};
use rig::{Content, Rig, Road, permille};

const SECOND: Micros = 1_000_000;
const ROADS: [Road; 2] = [Road::Streams, Road::Ordered];

fn profile(name: &str) -> Profile {
    Profile::named(name).unwrap()
}

/// The percentage of its capacity that a path carried.
fn share(rig: &Rig, profile: &Profile, time: Micros) -> u64 {
    rig.delivered * 100 * SECOND / (profile.down.rate * time)
}

#[test]
fn the_queue_stays_below_30_ms_and_the_path_is_used_whatever_it_is() {
    for (name, streams, ordered) in
        [("wifi", 85, 70), ("adsl", 85, 80), ("4g", 60, 40), ("dead-spot", 85, 85)]
    {
        for (road, least) in ROADS.into_iter().zip([streams, ordered]) {
            for seed in 1..3 {
                let profile = profile(name);
                let mut rig = Rig::new(profile, road, Content::Photographs, seed);
                rig.run_until(2 * SECOND);
                rig.forget_measurements();
                rig.run_until(14 * SECOND);
                let (share, queue) = (share(&rig, &profile, 12 * SECOND), permille(&rig.queues, 950));
                println!(
                    "{name} {road:?} {seed}: {share} %, queue p50 {} p95 {queue} us, draw to decode p50 {} p95 {}",
                    permille(&rig.queues, 500),
                    permille(&rig.latencies, 500),
                    permille(&rig.latencies, 950),
                );
                assert!(queue < 30_000, "{name} by {road:?}: a queue of {queue} us");
                assert!(share >= least, "{name} by {road:?}: {share} % of the path used");
            }
        }
    }
}

#[test]
fn a_first_screen_of_photographs_takes_little_longer_than_the_path_needs_for_it() {
    for name in ["wifi", "adsl", "4g"] {
        for road in ROADS {
            let profile = profile(name);
            let mut rig = Rig::new(profile, road, Content::OnePhotograph, 1);
            rig.run_until(10 * SECOND);
            let last = rig.latencies.last().copied().unwrap_or(0);
            let ideal = rig.delivered * SECOND / profile.down.rate + profile.round_trip();
            println!(
                "{name} by {road:?}: {last} us, at best {ideal}; queue p95 {}",
                permille(&rig.queues, 950)
            );
            assert!(last < ideal * 2, "{name} by {road:?}: {last} us where {ideal} would do");
        }
    }
}

#[test]
fn photographs_after_text_do_not_overrun_the_path() {
    for name in ["adsl", "4g"] {
        let mut rig = Rig::new(profile(name), Road::Streams, Content::Text, 1);
        rig.run_until(3 * SECOND);
        rig.forget_measurements();
        rig.content = Content::Photographs;
        rig.run_until(5 * SECOND);
        let queue = permille(&rig.queues, 990);
        println!("{name}: {queue} us");
        assert!(queue < 60_000, "{name}: a queue of {queue} us");
    }
}

#[test]
fn more_capacity_is_found_within_a_second_and_less_makes_no_lasting_queue() {
    for road in ROADS {
        let narrow = profile("adsl");
        let mut wide = narrow;
        wide.down.rate *= 3;
        let mut rig = Rig::new(narrow, road, Content::Photographs, 1);
        rig.run_until(5 * SECOND);
        rig.down.change(wide.down);
        rig.run_until(6 * SECOND);
        rig.forget_measurements();
        rig.run_until(8 * SECOND);
        let share = share(&rig, &wide, 2 * SECOND);
        println!("{road:?}: {share} % of three times the capacity");
        assert!(share >= 80, "{road:?}: {share} %");
        rig.down.change(narrow.down);
        rig.run_until(10 * SECOND);
        rig.forget_measurements();
        rig.run_until(14 * SECOND);
        let queue = permille(&rig.queues, 950);
        println!("{road:?}: {queue} us after the capacity fell");
        assert!(queue < 30_000, "{road:?}: a queue of {queue} us");
    }
}

#[test]
fn beside_somebody_elses_download_neither_starves() {
    for name in ["wifi", "adsl", "4g"] {
        for road in ROADS {
            // Random loss would keep the other one down by itself.
            let mut profile = profile(name);
            profile.down.lost_per_million = 0;
            let mut rig = Rig::new(profile, road, Content::Photographs, 5);
            rig.run_until(3 * SECOND);
            rig.add_cross_traffic();
            rig.run_until(6 * SECOND);
            rig.forget_measurements();
            rig.run_until(26 * SECOND);
            let (ours, theirs) = (rig.delivered, rig.cross_delivered);
            println!("{name} by {road:?}: {ours} bytes beside {theirs}");
            assert!(ours * 4 >= theirs && theirs * 4 >= ours, "{name} by {road:?}: {ours} beside {theirs}");
        }
    }
}

#[test]
fn after_a_download_has_ended_the_queue_is_short_again() {
    let profile =
        Profile { down: Conditions { lost_per_million: 0, ..profile("adsl").down }, ..profile("adsl") };
    let mut rig = Rig::new(profile, Road::Streams, Content::Photographs, 5);
    rig.run_until(3 * SECOND);
    rig.add_cross_traffic();
    rig.run_until(13 * SECOND);
    rig.end_cross_traffic();
    rig.run_until(19 * SECOND);
    rig.forget_measurements();
    rig.run_until(24 * SECOND);
    let queue = permille(&rig.queues, 950);
    println!("{queue} us, {} %", share(&rig, &profile, 5 * SECOND));
    assert!(queue < 30_000, "a queue of {queue} us");
    assert!(share(&rig, &profile, 5 * SECOND) >= 85);
}

#[test]
fn a_path_that_became_longer_is_used_again() {
    for road in ROADS {
        let mut profile = profile("adsl");
        let mut rig = Rig::new(profile, road, Content::Photographs, 1);
        rig.run_until(5 * SECOND);
        profile.down.delay += 100_000;
        rig.down.change(profile.down);
        rig.run_until(18 * SECOND);
        rig.forget_measurements();
        rig.run_until(28 * SECOND);
        let (share, queue) = (share(&rig, &profile, 10 * SECOND), permille(&rig.queues, 950));
        println!("{road:?}: {share} %, {queue} us");
        assert!(share >= 70, "{road:?}: {share} % used");
        assert!(queue < 30_000, "{road:?}: a queue of {queue} us");
    }
}

#[test]
fn a_viewer_that_decodes_slowly_is_kept_busy_and_no_queue_is_built_for_it() {
    let mut rig = Rig::new(profile("wifi"), Road::Streams, Content::Photographs, 1);
    rig.decode = 15_000;
    rig.run_until(3 * SECOND);
    rig.forget_measurements();
    rig.run_until(9 * SECOND);
    let (updates, late) = (rig.latencies.len() as u64 / 6, permille(&rig.latencies, 950));
    println!("{updates} updates a second, {late} us");
    // It can do 66.
    assert!(updates >= 50, "{updates} updates a second");
    assert!(late < 250_000, "{late} us from a change to its decoding");
    assert!(permille(&rig.queues, 950) < 30_000);
}
