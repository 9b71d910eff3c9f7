//! Every kind of record as the audit message that DICOM's schema allows, which xmllint says.

use crate::server::Folder;
use chevet::audit::atna::{Sender, xml};
use chevet::audit::{Event, Head, Record, read};
use std::process::Command;

fn sender() -> Sender {
    Sender {
        source: "chevet-1 «A» & <B>".into(),
        site: Some("site".into()),
        host_name: "gateway.example".into(),
        process: 4_711,
    }
}

/// One of each kind, in turn: who adds a kind has to say here what comes after which.
fn after(event: &Event) -> Option<Event> {
    use Event as E;
    let text = || "it's <a> \"text\" & more".into();
    Some(match event {
        E::SignedIn { .. } => E::SignInRefused { method: text(), reason: text() },
        E::SignInRefused { .. } => E::SignedOut { reason: text() },
        E::SignedOut { .. } => E::TicketGranted,
        E::TicketGranted => E::TicketRefused { reason: text() },
        E::TicketRefused { .. } => E::Attached { road: text() },
        E::Attached { .. } => E::AttachRefused { road: text(), reason: text() },
        E::AttachRefused { .. } => E::Takeover { from_seat: text(), to_seat: text() },
        E::Takeover { .. } => E::Detached { road: text(), reason: text() },
        E::Detached { .. } => E::Invited { guest: text() },
        E::Invited { .. } => E::ShareRefused { reason: text() },
        E::ShareRefused { .. } => E::WatchAsked,
        E::WatchAsked => E::WatchAdmitted { by: text() },
        E::WatchAdmitted { .. } => E::WatchRefused { by: text(), reason: text() },
        E::WatchRefused { .. } => E::WatchEnded { reason: text() },
        E::WatchEnded { .. } => E::ControlGiven { to: text() },
        E::ControlGiven { .. } => E::ControlTaken { from: text() },
        E::ControlTaken { .. } => E::Locked { reason: text() },
        E::Locked { .. } => E::Unlocked { method: text() },
        E::Unlocked { .. } => E::SessionOffered { road: text() },
        E::SessionOffered { .. } => E::OfferRefused { road: text(), reason: text() },
        E::OfferRefused { .. } => E::OfferEnded { road: text(), reason: text() },
        E::OfferEnded { .. } => E::CertificateTrusted { certificate: text() },
        E::CertificateTrusted { .. } => E::CertificateRefused { reason: text() },
        E::CertificateRefused { .. } => E::HostSignedIn { host_user: text() },
        E::HostSignedIn { .. } => E::HostSignInRefused { host_user: text(), reason: text() },
        E::HostSignInRefused { .. } => E::CredentialsAsked { reason: text() },
        E::CredentialsAsked { .. } => E::CredentialsStored,
        E::CredentialsStored => E::CredentialsRefused { reason: text() },
        E::CredentialsRefused { .. } => E::HostLost { reason: text() },
        E::HostLost { .. } => E::HostWithoutRemoteApp { reason: text() },
        E::HostWithoutRemoteApp { .. } => E::HostJoined { road: text() },
        E::HostJoined { .. } => E::HostRefused { road: text(), reason: text() },
        E::HostRefused { .. } => E::HostLeft { reason: text() },
        E::HostLeft { .. } => E::SessionStarted,
        E::SessionStarted => E::StartFailed { reason: text() },
        E::StartFailed { .. } => E::SessionEnded { reason: text() },
        E::SessionEnded { .. } => E::PolicyChanged { policy: text(), from: text(), to: text() },
        E::PolicyChanged { .. } => E::AdminAction { action: text(), object: text() },
        E::AdminAction { .. } => E::AdminRefused { action: text(), object: text(), reason: text() },
        E::AdminRefused { .. } => E::RecordingStarted { recording: text() },
        E::RecordingStarted { .. } => E::RecordingEnded { recording: text() },
        E::RecordingEnded { .. } => E::RecordingOpened { recording: text() },
        E::RecordingOpened { .. } => E::RecordingFailed { recording: text(), reason: text() },
        E::RecordingFailed { .. } => E::RecordingRemoved { recording: text(), reason: text() },
        E::RecordingRemoved { .. } => E::UserChanged { changed_user: text(), change: text() },
        E::UserChanged { .. } => E::SeatEnrolled,
        E::SeatEnrolled => E::SeatRevoked { reason: text() },
        E::SeatRevoked { .. } => E::GatewayStarted { version: text() },
        E::GatewayStarted { .. } => E::GatewayStopped { reason: text() },
        E::GatewayStopped { .. } => E::AuditLogOpened { log: text() },
        E::AuditLogOpened { .. } => E::JournalMended { set_aside_bytes: 7, kept_in: text() },
        E::JournalMended { .. } => E::RecordsLost { count: 7 },
        E::RecordsLost { .. } => E::NotSent { first: 1, last: 2 },
        E::NotSent { .. } => E::RefusedAgain { count: 7 },
        E::RefusedAgain { .. } => return None,
    })
}

fn every_event() -> Vec<Event> {
    std::iter::successors(Some(Event::SignedIn { method: "badge".into() }), after).collect()
}

fn message(record: &Record) -> String {
    let mut line = Vec::new();
    Head::default().append(record, None, &mut line);
    let entry = read(line.trim_ascii_end(), None).unwrap();
    assert_eq!(&entry.record, record, "the journal gives back what it was given");
    xml(&entry, &sender())
}

#[test]
fn every_kind_of_record_is_an_audit_message_that_the_schema_allows() {
    let folder = Folder::new();
    let mut files = Vec::new();
    for event in every_event() {
        let bare = Record::new(event.clone());
        let full = Record::new(event).user("u'1\u{1f9d1}", "Zoé\u{0} <O'Neill>\n&").roles(["nurse", "a b"]);
        let full = full.session("dossier & \"co\"").application("imaging").host("host-1").seat("ward-3");
        for record in [bare, full.peer("2001:db8::7".parse().unwrap())] {
            let file = folder.file(&format!("{}-{}.xml", record.event.name(), files.len()));
            std::fs::write(&file, message(&record)).unwrap();
            files.push(file);
        }
    }
    assert_eq!(files.len(), 2 * 55);
    let schema = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/audit_repository/audit-message.rng");
    let judged = Command::new("xmllint").args(["--noout", "--relaxng", schema]).args(&files).output();
    let judged = judged.expect("xmllint: install the packages that scripts/install.sh has under `test`");
    let said = String::from_utf8_lossy(&judged.stderr);
    assert!(judged.status.success(), "{said}");
    assert_eq!(said.matches(" validates").count(), files.len());
}

#[test]
fn messages_say_what_dicom_requires_of_their_kind() {
    for event in every_event() {
        let name = event.name();
        let text = message(&Record::new(event));
        let document = roxmltree::Document::parse(&text).unwrap();
        let all = |element: &'static str| {
            document.descendants().filter(move |node| node.has_tag_name(element)).collect::<Vec<_>>()
        };
        let codes: Vec<_> =
            all("EventTypeCode").iter().filter_map(|node| node.attribute("csd-code")).collect();
        assert_eq!(codes.last(), Some(&name.as_str()));
        let participants = all("ActiveParticipant");
        let details: Vec<_> =
            all("ParticipantObjectDetail").iter().filter_map(|node| node.attribute("type")).collect();
        assert!(details.contains(&"sequence") && details.contains(&"hash"), "{name}");
        match all("EventID")[0].attribute("csd-code").unwrap() {
            "110100" => assert!(["110120", "110121"].contains(&codes[0]), "{name}"),
            "110101" => {
                assert_eq!(all("EventIdentification")[0].attribute("EventActionCode"), Some("R"));
                assert_eq!(all("ParticipantObjectName")[0].text(), Some("Security Audit Log"));
            }
            "110113" => {
                assert!(codes[0].starts_with("1101"), "{name}");
                assert!(details.contains(&"Alert Description"), "{name}");
            }
            "110114" => {
                assert!(["110122", "110123"].contains(&codes[0]), "{name}");
                assert!(participants[0].has_attribute("NetworkAccessPointID"), "{name}");
            }
            other => panic!("{name} is {other}"),
        }
    }
}
