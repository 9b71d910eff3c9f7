//! The journal and its chain, as an auditor and as a crash see them.

use super::*;
use aws_lc_rs::hmac;
use proptest::prelude::*;
use std::sync::atomic::{AtomicU32, Ordering};

/// A directory that goes with the test.
struct Place(PathBuf);

impl Place {
    fn new() -> Place {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("chevet-audit-{}-{number}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        Place(path)
    }

    fn open(&self) -> Journal {
        Journal::open(&self.0, 1 << 20, None).unwrap()
    }

    fn file(&self, first: u64) -> PathBuf {
        self.0.join(files::name(first))
    }

    /// Makes a journal of these bytes.
    fn put(&self, bytes: &[u8]) {
        std::fs::create_dir_all(&self.0).unwrap();
        std::fs::write(self.file(1), bytes).unwrap();
    }

    fn findings(&self, key: Option<&SealKey>) -> Findings {
        let (files, _) = files_of(std::slice::from_ref(&self.0)).unwrap();
        verify(&files, &Check { key, noted: None, complete: true }, |_| {}).unwrap()
    }

    fn records(&self) -> Vec<Record> {
        let mut follower = files::Follower::new(&self.0, 1);
        let mut records = Vec::new();
        loop {
            match follower.read().unwrap() {
                files::Found::Entry(entry, _) => records.push(entry.record),
                files::Found::Gap(..) => {}
                files::Found::End => return records,
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn key(secret: &[u8]) -> SealKey {
    SealKey::derive(&hmac::Key::new(hmac::HMAC_SHA256, secret))
}

fn number(index: u64) -> Record {
    let event = Event::Attached { road: "QUIC".into() };
    Record::new(event).user(format!("user-{index}"), "Zoé «la rapide»").session("desk")
}

fn journal(records: u64, key: Option<&SealKey>) -> Vec<u8> {
    let (mut head, mut bytes) = (Head::default(), Vec::new());
    (0..records).for_each(|index| head.append(&number(index), key, &mut bytes));
    bytes
}

fn lines(bytes: &[u8]) -> Vec<Vec<u8>> {
    bytes.split_inclusive(|&byte| byte == b'\n').map(<[u8]>::to_vec).collect()
}

#[test]
fn a_journal_is_whole_as_it_was_written() {
    let place = Place::new();
    let opened = place.open();
    (0..100).for_each(|index| opened.record(number(index)));
    drop(opened);
    let findings = place.findings(None);
    assert_eq!((findings.records, &findings.broken), (100, &None));
    assert!(findings.is_whole());
    let users: Vec<_> = place.records().into_iter().map(|record| record.user.unwrap()).collect();
    assert_eq!(users[99].as_str(), "user-99");
}

#[test]
fn a_chain_goes_on_over_restarts_and_files() {
    let place = Place::new();
    for round in 0..5 {
        let opened = Journal::open(&place.0, 2_000, None).unwrap();
        for index in 0..10 {
            let kept = opened.kept();
            opened.record(number(round * 10 + index));
            // One to a batch, so that files are full in between.
            while *kept.borrow() < round * 10 + index + 1 {
                std::thread::yield_now();
            }
        }
    }
    let findings = place.findings(None);
    assert!(findings.is_whole() && findings.records == 50 && findings.files > 5, "{findings:?}");
}

#[test]
fn a_seal_is_right_for_its_key_alone() {
    let place = Place::new();
    place.put(&journal(3, Some(&key(b"one"))));
    assert!(place.findings(None).is_whole());
    assert!(place.findings(Some(&key(b"one"))).is_whole());
    assert_eq!(place.findings(Some(&key(b"two"))).broken.unwrap().fault, Fault::WrongSeal);
    place.put(&journal(3, None));
    assert_eq!(place.findings(Some(&key(b"one"))).broken.unwrap().fault, Fault::Unsealed);
}

#[test]
fn a_chain_that_was_made_anew_without_the_key_is_found_with_it() {
    let place = Place::new();
    let mut kept = lines(&journal(9, Some(&key(b"gateway"))));
    // Somebody takes out record 5 and chains the later ones anew, with a seal of their own.
    let (mut head, mut forged) = (Head::default(), Vec::new());
    for line in kept.drain(..4) {
        head.follow(&chain::read(line.trim_ascii_end(), None).unwrap()).unwrap();
        forged.extend(line);
    }
    (5..9).for_each(|index| head.append(&number(index), Some(&key(b"forger")), &mut forged));
    place.put(&forged);
    assert!(place.findings(None).is_whole(), "hashes alone cannot tell");
    let broken = place.findings(Some(&key(b"gateway"))).broken.unwrap();
    assert_eq!((broken.line, broken.fault), (5, Fault::WrongSeal));
}

#[test]
fn an_end_that_was_cut_off_is_found_with_a_noted_hash() {
    let place = Place::new();
    let whole = lines(&journal(9, None));
    let noted = chain::read(whole[8].trim_ascii_end(), None).unwrap().hash;
    let find = || {
        let check = Check { key: None, noted: Some((9, &noted)), complete: true };
        verify(&[place.file(1)], &check, |_| {}).unwrap()
    };
    place.put(&whole.concat());
    assert_eq!((find().noted, find().is_whole()), (Some(true), true));
    place.put(&whole[..7].concat());
    assert_eq!((find().noted, find().is_whole()), (Some(false), false));
}

#[test]
fn a_journal_without_its_beginning_is_said_to_have_none() {
    let place = Place::new();
    place.put(&lines(&journal(9, None))[3..].concat());
    let find = |complete| {
        let check = Check { key: None, noted: None, complete };
        verify(&[place.file(1)], &check, |_| {}).unwrap()
    };
    assert_eq!(find(true).broken.unwrap().fault, Fault::Sequence { wanted: 1, found: 4 });
    let archived = find(false);
    assert!(archived.is_whole());
    assert_eq!(archived.first.unwrap().0, 4);
}

#[test]
fn the_last_record_is_found_behind_any_length_of_rubbish() {
    for (records, rubbish) in [(1, 300_000), (3_000, 0), (3_000, 70_000), (700, 400_000)] {
        for pattern in [&b"\0"[..], b"{\"sequence\":9}\n", b"\n", b"no end at all "] {
            let place = Place::new();
            let mut bytes = journal(records, None);
            bytes.extend(pattern.iter().cycle().take(rubbish));
            place.put(&bytes);
            place.open().record(number(records));
            assert!(place.findings(None).is_whole(), "{records} records, {rubbish} bytes of {pattern:?}");
            let kept = place.records().len() as u64;
            assert_eq!(kept, records + 1 + u64::from(rubbish > 0), "{rubbish} bytes of {pattern:?}");
        }
    }
}

#[test]
fn two_gateways_do_not_write_one_journal() {
    let place = Place::new();
    let first = place.open();
    assert!(matches!(Journal::open(&place.0, 1 << 20, None), Err(JournalError::InUse(_))));
    drop(first);
    place.open();
}

#[test]
fn what_cannot_be_kept_in_time_is_counted_said_and_written_down() {
    let place = Place::new();
    let opened = Journal::with_queue(&place.0, 1 << 20, None, 2).unwrap();
    const SENT: u64 = 20_000;
    let mut was_unhealthy = false;
    for index in 0..SENT {
        opened.record(number(index));
        was_unhealthy |= !opened.healthy();
    }
    assert!(was_unhealthy, "a queue of two holds no 20,000 records");
    drop(opened);
    let records = place.records();
    let lost: u64 = records
        .iter()
        .map(|record| if let Event::RecordsLost { count } = record.event { count } else { 0 })
        .sum();
    let kept = records.iter().filter(|record| matches!(record.event, Event::Attached { .. })).count();
    assert!(lost > 0);
    assert_eq!(kept as u64 + lost, SENT, "each is either kept or counted");
    assert!(place.findings(None).is_whole());
}

#[tokio::test]
async fn while_the_disk_refuses_nothing_is_lost_and_everybody_is_told() {
    let place = Place::new();
    let opened = place.open();
    opened.durable(number(0)).await.unwrap();
    let aside = place.0.with_extension("aside");
    // The file goes, and no other can be made.
    std::fs::rename(&place.0, &aside).unwrap();
    std::fs::remove_file(aside.join(files::name(1))).unwrap();
    assert_eq!(opened.durable(number(1)).await, Err(NotKept));
    assert!(!opened.healthy());
    opened.record(number(2));
    std::fs::rename(&aside, &place.0).unwrap();
    opened.durable(number(3)).await.unwrap();
    assert!(opened.healthy());
    drop(opened);
    let users: Vec<_> = place.records().into_iter().map(|record| record.user.unwrap().to_string()).collect();
    assert_eq!(users, ["user-1", "user-2", "user-3"], "the first went with its file, which verify then says");
    let broken = place.findings(None).broken.unwrap();
    assert_eq!(broken.fault, Fault::Sequence { wanted: 1, found: 2 });
}

#[tokio::test]
async fn under_refuse_a_grant_waits_for_the_disk_and_fails_with_it() {
    let place = Place::new();
    let config =
        |when_spool_full| Config { directory: Some(place.0.clone()), when_spool_full, ..Config::default() };
    let secret = hmac::Key::new(hmac::HMAC_SHA256, b"secret");
    let strict = Audit::open(&config(WhenFull::Refuse), None, &secret).unwrap();
    strict.grant(number(0)).await.unwrap();
    assert_eq!(place.records().len(), 1, "it is there when the grant is given");
    std::fs::remove_dir_all(&place.0).unwrap();
    assert_eq!(strict.grant(number(1)).await, Err(NotKept));
    assert!(!strict.admits());
    drop(strict);
    let lenient = Audit::open(&config(WhenFull::GoOn), None, &secret).unwrap();
    std::fs::remove_dir_all(&place.0).unwrap();
    lenient.grant(number(2)).await.unwrap();
    assert!(lenient.admits());
}

proptest! {
    #[test]
    fn no_line_makes_a_reader_panic(line in any::<Vec<u8>>(), cut in 0_usize..400) {
        let _ = chain::read(&line, Some(&key(b"gateway")));
        let whole = journal(1, Some(&key(b"gateway")));
        let part = &whole[..cut.min(whole.len() - 2)];
        prop_assert!(chain::read(part, None).is_err());
    }

    #[test]
    fn any_changed_byte_is_found(at in any::<prop::sample::Index>(), to in any::<u8>(), sealed in any::<bool>()) {
        let place = Place::new();
        let seal = key(b"gateway");
        let mut bytes = journal(8, sealed.then_some(&seal));
        // The very last byte ends the last line, which is then one that is being written.
        let at = at.index(bytes.len() - 1);
        prop_assume!(bytes[at] != to);
        bytes[at] = to;
        place.put(&bytes);
        let findings = place.findings(None);
        let line = 1 + bytes[..at].iter().filter(|&&byte| byte == b'\n').count() as u64;
        let broken = findings.broken.expect("found");
        prop_assert!(broken.line <= line + 1, "in line {}, not {}", line, broken.line);
    }

    #[test]
    fn any_cut_in_the_middle_is_found(from in any::<prop::sample::Index>(), length in 1_usize..2_000) {
        let place = Place::new();
        let whole = journal(8, None);
        let mut bytes = whole.clone();
        let from = from.index(bytes.len() - 1);
        bytes.drain(from..(from + length).min(whole.len() - 1));
        // A shorter journal, whole lines cut off its end, is one that only a noted hash tells: see above.
        prop_assume!(!whole.starts_with(&bytes));
        place.put(&bytes);
        prop_assert!(place.findings(None).broken.is_some());
    }

    #[test]
    fn any_lines_removed_repeated_or_moved_are_found(
        what in 0..3, one in 0_usize..7, other in 0_usize..8,
    ) {
        let place = Place::new();
        let mut all = lines(&journal(8, None));
        match what {
            // Not the last: see the noted hash.
            0 => drop(all.remove(one)),
            1 => all.insert(other, all[one].clone()),
            _ => {
                prop_assume!(one != other);
                all.swap(one, other);
            }
        }
        place.put(&all.concat());
        prop_assert!(place.findings(None).broken.is_some());
    }

    #[test]
    fn a_crash_at_any_byte_keeps_all_records_before_it(at in any::<prop::sample::Index>(), noise in 0_usize..3) {
        let place = Place::new();
        let whole = journal(6, None);
        let at = at.index(whole.len() + 1);
        let mut torn = whole[..at].to_vec();
        // File systems leave zeros, or pieces of other files, behind what was written.
        torn.extend([&b""[..], &[0; 700], b"\nrubbish\n\n"][noise]);
        place.put(&torn);
        let before = whole[..at].iter().filter(|&&byte| byte == b'\n').count();
        let opened = place.open();
        opened.record(number(99));
        drop(opened);
        let findings = place.findings(None);
        prop_assert!(findings.is_whole(), "{:?}", findings);
        let records = place.records();
        let users: Vec<_> =
            records.iter().filter_map(|record| record.user.clone()).map(|user| user.to_string()).collect();
        let expected: Vec<_> = (0..before).map(|i| format!("user-{i}")).chain(["user-99".into()]).collect();
        let mended = records.iter().find_map(|record| match &record.event {
            Event::JournalMended { set_aside_bytes, kept_in } => Some((*set_aside_bytes, kept_in.to_string())),
            _ => None,
        });
        prop_assert_eq!(&users[..before], &expected[..before]);
        let said = mended.as_ref().map_or(0, |(bytes, _)| *bytes);
        let kept: usize = lines(&whole)[..users.len() - 1].iter().map(Vec::len).sum();
        prop_assert_eq!(said, (torn.len() - kept) as u64, "what was set aside is said");
        if let Some((bytes, file)) = mended {
            prop_assert_eq!(std::fs::metadata(place.0.join(file)).unwrap().len(), bytes);
        }
    }
}
