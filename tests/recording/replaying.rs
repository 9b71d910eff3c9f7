//! What a recording shows.

use crate::stage::{TITLE, hash, key, open, recorded};
use chevet::recording::{Keys, Replay, ReplayError};
use std::os::unix::fs::PermissionsExt;

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_shows_what_a_viewer_was_shown_at_the_same_times() {
    let recorded = recorded(9).await;
    let mut replay = recorded.open();
    assert_eq!(replay.damage(), None);
    assert_eq!((replay.header().session.as_str(), replay.header().title.as_str()), ("desk", TITLE));
    assert!(replay.index().keys.len() >= 3, "{:?}", replay.index());
    let mut seen: Vec<u64> = recorded.moments.iter().map(|moment| moment.hash).collect();
    seen.dedup();
    assert!(seen.len() >= 6, "the session changed: {seen:?}");
    let began = replay.header().began_unix_ms;
    for moment in &recorded.moments {
        replay.seek(recorded.time_of(moment, began)).unwrap();
        assert_eq!(hash(replay.player().screen().unwrap()), moment.hash, "at {}", moment.unix_ms);
    }
    let (messages, bytes) = replay.check().unwrap();
    assert!(messages >= 9 && bytes > 1_000, "{messages} messages, {bytes} bytes");
    assert_eq!(replay.persons()[0].1.name, "anne");
}

#[tokio::test(flavor = "multi_thread")]
async fn from_wherever_it_is_begun_a_recording_shows_what_it_shows_when_played_from_its_beginning() {
    let recorded = recorded(7).await;
    let mut replay = recorded.open();
    let end = replay.index().ends_us;
    // Every record's time, with what is shown then.
    let mut shown: Vec<(u64, u64)> = Vec::new();
    replay.seek(replay.index().keys[0].0).unwrap();
    let picture = |replay: &Replay<_>| hash(replay.player().screen().unwrap());
    while let Some(next) = replay.next_us().unwrap() {
        while replay.step_until(next).unwrap().is_some() {}
        shown.push((next, picture(&replay)));
    }
    assert!(shown.len() >= 8, "{}", shown.len());
    let mut random = 88_172_645_463_325_252_u64;
    for _ in 0..200 {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let time = random % (end + 1_000_000);
        let expected = shown.iter().rev().find(|(at, _)| *at <= time).unwrap_or(&shown[0]);
        let time = time.max(shown[0].0);
        replay.seek(time).unwrap();
        assert_eq!(picture(&replay), expected.1, "at {time} µs of {end}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_gateway_leaves_is_played_up_to_its_last_chunk_and_says_that_it_has_no_end() {
    let recorded = recorded(6).await;
    let cut = recorded.folder.0.join("cut.age");
    std::fs::write(&cut, &recorded.unfinished).unwrap();
    let mut replay = open(&cut, &recorded.identity);
    assert!(replay.damage().is_some());
    let began = replay.header().began_unix_ms;
    // What was longer ago than may be lost is there.
    for moment in &recorded.moments[..4] {
        let time = recorded.time_of(moment, began);
        replay.seek(time).unwrap();
        assert_eq!(hash(replay.player().screen().unwrap()), moment.hash, "at {}", moment.unix_ms);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wherever_a_recording_is_cut_what_is_left_is_shown_as_it_was() {
    let recorded = recorded(5).await;
    let whole = std::fs::read(&recorded.file).unwrap();
    let mut reference = recorded.open();
    let cut = recorded.folder.0.join("cut.age");
    let mut played = 0;
    for part in 1..24 {
        std::fs::write(&cut, &whole[..whole.len() * part / 24]).unwrap();
        let Ok(sealed) = Keys::read(&recorded.identity).unwrap().open(&cut) else { continue };
        // Of the first chunks there may be no whole screen yet.
        let mut replay = match Replay::open(sealed) {
            Ok(replay) => replay,
            Err(ReplayError::Empty | ReplayError::Damaged { .. }) => continue,
            Err(error) => panic!("{error}"),
        };
        assert!(replay.damage().is_some());
        let end = replay.index().ends_us;
        for time in [replay.index().keys[0].0, end / 2, end] {
            let time = time.max(replay.index().keys[0].0);
            replay
                .seek(time)
                .unwrap_or_else(|error| assert!(matches!(error, ReplayError::Damaged { .. }), "{error}"));
            reference.seek(replay.time_us()).unwrap();
            assert_eq!(hash(replay.player().screen().unwrap()), hash(reference.player().screen().unwrap()));
        }
        played += 1;
    }
    assert!(played > 5, "{played} pieces could be played");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_chunk_is_told_with_where_it_is_and_what_is_before_and_behind_it_is_played() {
    let recorded = recorded(9).await;
    let mut bytes = std::fs::read(&recorded.file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let damaged = recorded.folder.0.join("damaged.age");
    std::fs::write(&damaged, &bytes).unwrap();
    let mut replay = open(&damaged, &recorded.identity);
    let mut reference = recorded.open();
    let error = replay.check().unwrap_err().to_string();
    assert!(error.contains("damaged") && error.contains("µs"), "{error}");
    let keys = replay.index().keys.clone();
    let mut same = 0;
    for (time, _) in keys {
        if replay.seek(time).is_ok() {
            reference.seek(time).unwrap();
            assert_eq!(hash(replay.player().screen().unwrap()), hash(reference.player().screen().unwrap()));
            same += 1;
        }
    }
    assert!(same >= 2, "{same} whole screens could be shown");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_recording_can_be_read_without_its_key_and_another_key_is_refused() {
    let recorded = recorded(4).await;
    let (_, other) = key(&recorded.folder, "other.txt");
    let refused = Keys::read(&other).unwrap().open(&recorded.file).err().unwrap().to_string();
    assert!(refused.contains("identity"), "{refused}");
    let bytes = std::fs::read(&recorded.file).unwrap();
    let holds = |what: &[u8]| bytes.windows(what.len()).any(|window| window == what);
    for known in [TITLE.as_bytes(), b"desk", b"anne", b"Anne Roy", b"ward 3", b"CHEVREC1", b"CHEVEND1"] {
        assert!(!holds(known), "{:?} can be read", String::from_utf8_lossy(known));
    }
    assert!(holds(b"age-encryption.org"), "it is an age file");
    // Eight equal bytes are rare among 64 KiB of random ones.
    let repeats = bytes.windows(9).filter(|window| window.iter().all(|byte| *byte == window[0])).count();
    assert_eq!(repeats, 0);
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&recorded.file), 0o600);
    assert_eq!(mode(recorded.file.parent().unwrap()), 0o700);
}
