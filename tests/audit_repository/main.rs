//! The audit trail against a real repository: Debian's rsyslog over TLS. What was recorded arrives, whole and in order, whatever
//! becomes of the server and of the gateway in between.

mod message;
mod server;

use aws_lc_rs::hmac;
use base64::Engine;
use chevet::audit::{Audit, Config, Event, Journal, Record, WhenFull};
use server::{Clients, Folder, Server, settle};
use std::collections::BTreeSet;
use std::time::Duration;

const RECEIPT_AFTER: Duration = Duration::from_millis(200);

fn secret() -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, b"of the gateway")
}

fn config(server: &Server, journal: &Folder) -> Config {
    Config {
        directory: Some(journal.file("audit")),
        repository: Some(format!("localhost:{}", server.port)),
        ca: Some(server.folder.file("ca.pem")),
        source: Some("chevet-test".into()),
        site: Some("ward <&> \"B\"".into()),
        spool_megabytes: 1,
        ..Config::default()
    }
}

fn open(config: &Config) -> Audit {
    Audit::open_with(config, None, &secret(), RECEIPT_AFTER).unwrap()
}

fn attached(index: usize) -> Record {
    let road = "QUIC".into();
    let record =
        Record::new(Event::Attached { road }).user(format!("u{index}"), "Zoé O'Neill <nurse> & \"co\"");
    record.session("dossier-patient").seat("ward-3").roles(["nurse"]).peer([10, 0, 0, 7].into())
}

/// The number of the record in the journal that a message says.
fn sequence(message: &str) -> u64 {
    detail(message, "sequence").parse().unwrap()
}

fn detail(message: &str, name: &str) -> String {
    let xml = &message[message.find("<?xml").expect("an XML document")..];
    let document = roxmltree::Document::parse(xml).unwrap_or_else(|error| panic!("{error}: {xml}"));
    let detail = document
        .descendants()
        .find(|node| node.has_tag_name("ParticipantObjectDetail") && node.attribute("type") == Some(name));
    let value = detail.and_then(|node| node.attribute("value")).unwrap();
    String::from_utf8(base64::engine::general_purpose::STANDARD.decode(value).unwrap()).unwrap()
}

/// Waits until all records up to a number have arrived: each at least once, and, but for repetitions, in order.
fn expect_all(server: &Server, last: u64) {
    settle("every record arrives", || {
        let arrived: BTreeSet<u64> = server.received().iter().map(|message| sequence(message)).collect();
        let missing: Vec<_> = (1..=last).filter(|number| !arrived.contains(number)).collect();
        (!missing.is_empty()).then(|| format!("{} are missing, the first is {}", missing.len(), missing[0]))
    });
    let mut newest = 0;
    for message in server.received() {
        let number = sequence(&message);
        assert!(number <= newest + 1, "{number} came before {}", newest + 1);
        newest = newest.max(number);
    }
}

#[test]
fn records_arrive_whole_as_syslog_with_audit_messages() {
    let (mut server, journal) = (Server::new(Clients::Anybody), Folder::new());
    server.start();
    let audit = open(&config(&server, &journal));
    (0..20).for_each(|index| audit.record(attached(index)));
    let refused = Event::AttachRefused { road: "QUIC".into(), reason: "the ticket is not valid".into() };
    audit.record(Record::new(refused).peer([10, 0, 0, 9].into()));
    expect_all(&server, 21);
    let received = server.received();
    let first = &received[0];
    let (header, xml) = first.split_once('\u{feff}').expect("a byte order mark");
    let fields: Vec<_> = header.split(' ').collect();
    assert_eq!((fields[0], fields[3], fields[5], fields[6]), ("<85>1", "chevet", "IHE+RFC-3881", "-"));
    assert!(fields[1].ends_with('Z') && fields[4] == std::process::id().to_string(), "{header}");
    let document = roxmltree::Document::parse(xml).unwrap();
    let of = |element: &str, attribute: &str| {
        let node = document.descendants().find(|node| node.has_tag_name(element)).unwrap();
        node.attribute(attribute).unwrap().to_owned()
    };
    assert_eq!(of("ActiveParticipant", "UserName"), "Zoé O'Neill <nurse> & \"co\"");
    assert_eq!(of("AuditSourceIdentification", "AuditEnterpriseSiteID"), "ward <&> \"B\"");
    assert_eq!(
        of("ParticipantObjectIdentification", "ParticipantObjectID"),
        "chevet:session/dossier-patient"
    );
    assert_eq!(of("EventIdentification", "EventOutcomeIndicator"), "0");
    let last = received.iter().find(|message| sequence(message) == 21).unwrap();
    assert!(last.starts_with("<84>1 ") && last.contains("EventOutcomeIndicator=\"4\""), "{last}");
    settle("there is a receipt for all of it", || {
        (audit.owed_bytes() > 0).then(|| format!("{} bytes are owed", audit.owed_bytes()))
    });
}

#[test]
fn a_server_that_is_killed_and_comes_back_has_everything_in_the_end() {
    let (mut server, journal) = (Server::new(Clients::Anybody), Folder::new());
    server.start();
    let audit = open(&config(&server, &journal));
    let mut sent = 0;
    for round in 0..4 {
        for _ in 0..250 {
            audit.record(attached(sent));
            sent += 1;
            std::thread::sleep(Duration::from_micros(200));
        }
        // In the middle of what is being sent, and then while it is away.
        server.kill();
        (0..100).for_each(|_| {
            audit.record(attached(sent));
            sent += 1;
        });
        std::thread::sleep(Duration::from_millis(100 * round));
        server.start();
    }
    expect_all(&server, sent as u64);
}

#[test]
fn what_is_owed_outlives_the_gateway() {
    let (mut server, journal) = (Server::new(Clients::Anybody), Folder::new());
    let config = config(&server, &journal);
    let audit = open(&config);
    (0..300).for_each(|index| audit.record(attached(index)));
    drop(audit);
    let audit = open(&config);
    assert!(audit.owed_bytes() > 300 * 200, "{} bytes are owed", audit.owed_bytes());
    audit.record(attached(300));
    server.start();
    expect_all(&server, 301);
    settle("there is a receipt", || (audit.owed_bytes() > 0).then(|| audit.owed_bytes().to_string()));
    drop(audit);
    // With its receipt it is not sent again.
    let arrived = server.received().len();
    let audit = open(&config);
    audit.record(attached(301));
    expect_all(&server, 302);
    assert_eq!(server.received().len(), arrived + 1);
}

#[test]
fn what_is_gone_from_the_journal_is_said_not_to_have_been_sent() {
    let (mut server, journal) = (Server::new(Clients::Anybody), Folder::new());
    let config = config(&server, &journal);
    let directory = config.directory.clone().unwrap();
    for index in 0..30 {
        // A file has room for a few of them.
        let kept = Journal::open(&directory, 2_000, None).unwrap();
        kept.record(attached(index));
    }
    let files = chevet::audit::list(&directory).unwrap();
    assert!(files.len() > 4);
    std::fs::remove_file(&files[0].path).unwrap();
    std::fs::remove_file(&files[2].path).unwrap();
    let audit = open(&config);
    server.start();
    settle("the repository is told of both gaps", || {
        let told =
            server.received().iter().filter(|message| message.contains("csd-code=\"not_sent\"")).count();
        (told != 2).then(|| format!("{told}"))
    });
    let told: Vec<_> = server.received().into_iter().filter(|message| message.contains("not_sent")).collect();
    let (first, last) = (files[2].first.to_string(), (files[3].first - 1).to_string());
    assert_eq!(detail(&told[0], "last"), (files[1].first - 1).to_string());
    assert_eq!((detail(&told[1], "first"), detail(&told[1], "last")), (first, last));
    settle("nothing is owed", || (audit.owed_bytes() > 0).then(|| audit.owed_bytes().to_string()));
}

#[test]
fn a_journal_that_was_begun_anew_is_sent_from_its_beginning() {
    let (mut server, journal) = (Server::new(Clients::Anybody), Folder::new());
    server.start();
    let config = config(&server, &journal);
    let directory = config.directory.clone().unwrap();
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(directory.join("repository.next"), "500\n").unwrap();
    let audit = open(&config);
    (0..3).for_each(|index| audit.record(attached(index)));
    expect_all(&server, 3);
}

#[test]
fn a_full_spool_refuses_or_goes_on_as_configured() {
    for when_spool_full in [WhenFull::Refuse, WhenFull::GoOn] {
        let (mut server, journal) = (Server::new(Clients::Anybody), Folder::new());
        let audit = open(&Config { when_spool_full, ..config(&server, &journal) });
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let mut recorded = 0;
        while !audit.spool_is_full() {
            runtime.block_on(audit.durable(attached(recorded))).unwrap();
            recorded += 1;
            assert!(recorded < 20_000, "the spool never fills");
        }
        let refuses = when_spool_full == WhenFull::Refuse;
        assert_eq!(audit.admits(), !refuses);
        assert_eq!(runtime.block_on(audit.grant(attached(recorded))).is_err(), refuses);
        // Who leaves is recorded all the same.
        let left = Record::new(Event::Detached { road: "QUIC".into(), reason: "asked to".into() });
        runtime.block_on(audit.durable(left)).unwrap();
        server.start();
        settle("the repository's return empties the spool", || {
            (audit.owed_bytes() > 0).then(|| format!("{} bytes are owed", audit.owed_bytes()))
        });
        runtime.block_on(audit.grant(attached(recorded))).unwrap();
        expect_all(&server, recorded as u64 + if refuses { 2 } else { 3 });
    }
}

#[test]
fn a_repository_that_asks_for_a_certificate_is_shown_one() {
    let (mut server, journal) = (Server::new(Clients::Certified), Folder::new());
    server.start();
    let nameless = config(&server, &journal);
    let audit = open(&nameless);
    audit.record(attached(0));
    std::thread::sleep(Duration::from_secs(2));
    assert!(audit.owed_bytes() > 0, "nothing counts as arrived that the server refused");
    drop(audit);
    assert_eq!(server.received(), Vec::<String>::new());
    let own = |name| Some(server.folder.file(name));
    let audit = open(&Config { certificate: own("client.pem"), key: own("client-key.pem"), ..nameless });
    expect_all(&server, 1);
    settle("there is a receipt", || (audit.owed_bytes() > 0).then(|| audit.owed_bytes().to_string()));
}

#[test]
fn a_repository_that_has_no_tls_1_3_is_sent_to_by_1_2() {
    let mut server = Server::with_versions(Clients::Anybody, "NORMAL:-VERS-TLS1.3:-VERS-TLS1.1:-VERS-TLS1.0");
    let journal = Folder::new();
    server.start();
    let audit = open(&config(&server, &journal));
    audit.record(attached(0));
    expect_all(&server, 1);
    settle("there is a receipt", || (audit.owed_bytes() > 0).then(|| audit.owed_bytes().to_string()));
}

#[test]
fn a_server_of_another_authority_is_sent_nothing() {
    let (mut server, journal) = (Server::new(Clients::Anybody), Folder::new());
    server.start();
    let stranger = Server::new(Clients::Anybody);
    let audit = open(&Config { ca: Some(stranger.folder.file("ca.pem")), ..config(&server, &journal) });
    audit.record(attached(0));
    std::thread::sleep(Duration::from_secs(2));
    assert!(audit.owed_bytes() > 0);
    assert_eq!(server.received(), Vec::<String>::new());
}
