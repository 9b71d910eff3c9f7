//! A record as a DICOM audit message (PS3.15 A.5.1), and that in a syslog message (RFC 5424) as IHE ITI-20 asks for.

use super::codes::{self, APPLICATION, APPLICATION_LAUNCHER, Code, Family};
use crate::audit::chain::Entry;
use crate::audit::record::{Outcome, Record};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fmt::Write;

/// Who sends: the same in every message.
#[derive(Clone, Debug)]
pub struct Sender {
    /// AuditSourceID: how the repository knows this gateway.
    pub source: String,
    /// AuditEnterpriseSiteID.
    pub site: Option<String>,
    pub host_name: String,
    pub process: u32,
}

/// Facility 10, security and authorisation messages.
const FACILITY: u8 = 10;
const NOTICE: u8 = 5;
const WARNING: u8 = 4;
/// IHE ITI-20, 3.20.4.1.2.
const MESSAGE_ID: &str = "IHE+RFC-3881";

/// A syslog message as RFC 5425 carries it: its length in bytes, a space, the message.
pub fn frame(entry: &Entry, sender: &Sender) -> Vec<u8> {
    let severity = if entry.record.outcome == Outcome::Success { NOTICE } else { WARNING };
    let host = header_field(&sender.host_name, 255);
    // The MSG part begins with a byte order mark, which says that it is UTF-8.
    let message = format!(
        "<{}>1 {} {host} chevet {} {MESSAGE_ID} - \u{feff}{}",
        FACILITY * 8 + severity,
        entry.record.time,
        sender.process,
        xml(entry, sender)
    );
    let mut frame = format!("{} ", message.len()).into_bytes();
    frame.extend_from_slice(message.as_bytes());
    frame
}

/// A field of the header: printable ASCII without spaces, bounded, never empty.
fn header_field(text: &str, most: usize) -> String {
    let field: String = text.chars().filter(char::is_ascii_graphic).take(most).collect();
    if field.is_empty() { "-".into() } else { field }
}

/// The audit message.
pub fn xml(entry: &Entry, sender: &Sender) -> String {
    let record = &entry.record;
    let (family, code) = codes::of(&record.event);
    let mut xml = String::from(r#"<?xml version="1.0" encoding="UTF-8"?><AuditMessage>"#);
    let outcome = match record.outcome {
        Outcome::Success => "0",
        Outcome::MinorFailure => "4",
        Outcome::SeriousFailure => "8",
    };
    let time = record.time.to_string();
    open(
        &mut xml,
        "EventIdentification",
        &[("EventActionCode", family.action()), ("EventDateTime", &time), ("EventOutcomeIndicator", outcome)],
    );
    coded(&mut xml, "EventID", family.id());
    if let Some(code) = code {
        coded(&mut xml, "EventTypeCode", code);
    }
    let name = record.event.name();
    empty(
        &mut xml,
        "EventTypeCode",
        &[("csd-code", &name), ("codeSystemName", "chevet"), ("originalText", &name.replace('_', " "))],
    );
    let details = details(record);
    if record.outcome != Outcome::Success {
        let reason = details.iter().find(|(name, _)| name == "reason").map_or(&name, |(_, value)| value);
        let _ = write!(xml, "<EventOutcomeDescription>{}</EventOutcomeDescription>", escaped(reason));
    }
    xml.push_str("</EventIdentification>");
    person(&mut xml, record, family);
    gateway(&mut xml, record, sender, family);
    let mut source = vec![("AuditSourceID", sender.source.as_str())];
    if let Some(site) = &sender.site {
        source.insert(0, ("AuditEnterpriseSiteID", site));
    }
    open(&mut xml, "AuditSourceIdentification", &source);
    // 4: an application server's process.
    xml.push_str(r#"<AuditSourceTypeCode csd-code="4"/></AuditSourceIdentification>"#);
    object(&mut xml, entry, family, &details);
    xml.push_str("</AuditMessage>");
    xml
}

/// The person on whose behalf it happened, or who claimed to be somebody, or the address that nobody has signed in at.
fn person(xml: &mut String, record: &Record, family: Family) {
    let peer = record.peer.map(|peer| peer.to_string());
    let user = record.user.as_ref().map(|user| user.as_str());
    let Some(id) = user.or(peer.as_deref()).or((family == Family::User).then_some("unknown")) else { return };
    let mut attributes = vec![("UserID", id)];
    if let Some(name) = &record.user_name {
        attributes.push(("UserName", name.as_str()));
    }
    attributes.push(("UserIsRequestor", "true"));
    if let Some(seat) = &record.seat {
        attributes.extend([("NetworkAccessPointID", seat.as_str()), ("NetworkAccessPointTypeCode", "1")]);
    } else if let Some(peer) = &peer {
        attributes.extend([("NetworkAccessPointID", peer.as_str()), ("NetworkAccessPointTypeCode", "2")]);
    } else if family == Family::User {
        attributes.extend([("NetworkAccessPointID", "unknown"), ("NetworkAccessPointTypeCode", "1")]);
    }
    open(xml, "ActiveParticipant", &attributes);
    if family == Family::Application {
        coded(xml, "RoleIDCode", APPLICATION_LAUNCHER);
    }
    for role in &record.roles {
        let role = role.as_str();
        let attributes = [("csd-code", role), ("codeSystemName", "chevet roles"), ("originalText", role)];
        empty(xml, "RoleIDCode", &attributes);
    }
    xml.push_str("</ActiveParticipant>");
}

/// The gateway's process, which reports; or, where a session starts or ends, that session.
fn gateway(xml: &mut String, record: &Record, sender: &Sender, family: Family) {
    let process = sender.process.to_string();
    let session = record.session.as_ref().filter(|_| family == Family::Application);
    let name = session.map_or(sender.source.as_str(), |session| session.as_str());
    let attributes = [
        ("UserID", name),
        ("AlternativeUserID", process.as_str()),
        ("UserIsRequestor", "false"),
        ("NetworkAccessPointID", sender.host_name.as_str()),
        ("NetworkAccessPointTypeCode", "1"),
    ];
    open(xml, "ActiveParticipant", &attributes);
    coded(xml, "RoleIDCode", APPLICATION);
    xml.push_str("</ActiveParticipant>");
}

/// What it happened to, with what is known of it, and the record's place in the journal.
fn object(xml: &mut String, entry: &Entry, family: Family, details: &[(String, String)]) {
    let record = &entry.record;
    let session = record.session.as_ref().map_or("", |session| session.as_str());
    let (id, name) = match family {
        Family::AuditLog => ("chevet:audit".to_owned(), "Security Audit Log"),
        _ if session.is_empty() => ("chevet:gateway".to_owned(), "chevet gateway"),
        _ => (format!("chevet:session/{session}"), session),
    };
    let attributes = [
        ("ParticipantObjectID", id.as_str()),
        // A system object; a security resource.
        ("ParticipantObjectTypeCode", "2"),
        ("ParticipantObjectTypeCodeRole", "13"),
    ];
    open(xml, "ParticipantObjectIdentification", &attributes);
    empty(
        xml,
        "ParticipantObjectIDTypeCode",
        &[("csd-code", "12"), ("codeSystemName", "RFC-3881"), ("originalText", "URI")],
    );
    let _ = write!(xml, "<ParticipantObjectName>{}</ParticipantObjectName>", escaped(name));
    if family == Family::Security {
        let description = record.event.name().replace('_', " ");
        detail(xml, "Alert Description", &description);
    }
    details.iter().for_each(|(name, value)| detail(xml, name, value));
    detail(xml, "sequence", &entry.sequence.to_string());
    detail(xml, "hash", &entry.hash);
    xml.push_str("</ParticipantObjectIdentification>");
}

/// Everything that the record says beyond what has a place of its own in the message.
fn details(record: &Record) -> Vec<(String, String)> {
    const HAVE_A_PLACE: [&str; 8] =
        ["time", "event", "outcome", "user", "user_name", "roles", "session", "sequence"];
    let value = serde_json::to_value(record).unwrap_or_default();
    let fields = value.as_object().cloned().unwrap_or_default();
    let told = |(name, value): (String, serde_json::Value)| {
        let text = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
        (!HAVE_A_PLACE.contains(&name.as_str())).then_some((name, text))
    };
    fields.into_iter().filter_map(told).collect()
}

fn detail(xml: &mut String, name: &str, value: &str) {
    empty(xml, "ParticipantObjectDetail", &[("type", name), ("value", &STANDARD.encode(value))]);
}

fn coded(xml: &mut String, element: &str, (code, meaning): Code) {
    empty(xml, element, &[("csd-code", code), ("codeSystemName", "DCM"), ("originalText", meaning)]);
}

fn open(xml: &mut String, element: &str, attributes: &[(&str, &str)]) {
    let _ = write!(xml, "<{element}");
    for (name, value) in attributes {
        let _ = write!(xml, " {name}=\"{}\"", escaped(value));
    }
    xml.push('>');
}

fn empty(xml: &mut String, element: &str, attributes: &[(&str, &str)]) {
    open(xml, element, attributes);
    xml.pop();
    xml.push_str("/>");
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            _ => escaped.push(c),
        }
    }
    escaped
}
