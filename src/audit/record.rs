//! What can happen that an auditor asks about, as typed records. No record has a field for a secret, a key or a pixel.

use super::time::Time;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Characters of one text of a record.
const MAX_TEXT: usize = 256;
/// Roles of one actor that are named.
const MAX_ROLES: usize = 16;

/// A text that may stand in a record: bounded, and without characters that move a cursor or break a line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String")]
pub struct Text(String);

impl Text {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Text {
        // U+FFFE and U+FFFF are no characters in XML, in which records are sent too.
        let hidden =
            |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{fffe}' | '\u{ffff}');
        let visible = |c: char| if hidden(c) { char::REPLACEMENT_CHARACTER } else { c };
        let mut kept: String = text.chars().take(MAX_TEXT).map(visible).collect();
        if text.chars().nth(MAX_TEXT).is_some() {
            kept.pop();
            kept.push('…');
        }
        Text(kept)
    }
}

impl From<String> for Text {
    fn from(text: String) -> Text {
        Text::from(text.as_str())
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How it went, in the steps that audit repositories know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    #[default]
    Success,
    /// Refused, as was right.
    MinorFailure,
    /// Something failed that should not have.
    SeriousFailure,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    SignedIn {
        method: Text,
    },
    SignInRefused {
        method: Text,
        reason: Text,
    },
    SignedOut {
        reason: Text,
    },
    TicketGranted,
    TicketRefused {
        reason: Text,
    },
    /// A viewer was let in to a session.
    Attached {
        road: Text,
    },
    AttachRefused {
        road: Text,
        reason: Text,
    },
    /// The newest right won: the session left a seat and appeared at another.
    Takeover {
        from_seat: Text,
        to_seat: Text,
    },
    Detached {
        road: Text,
        reason: Text,
    },
    /// A code was made by which somebody may ask to watch.
    Invited {
        guest: Text,
    },
    ShareRefused {
        reason: Text,
    },
    WatchAsked,
    WatchAdmitted {
        by: Text,
    },
    WatchRefused {
        by: Text,
        reason: Text,
    },
    WatchEnded {
        reason: Text,
    },
    ControlGiven {
        to: Text,
    },
    ControlTaken {
        from: Text,
    },
    Locked {
        reason: Text,
    },
    Unlocked {
        method: Text,
    },
    /// A host brings a session to the gateway.
    SessionOffered {
        road: Text,
    },
    OfferRefused {
        road: Text,
        reason: Text,
    },
    /// The host's link ended; the session waits for it.
    OfferEnded {
        road: Text,
        reason: Text,
    },
    /// A certificate of a host that has no chevet was seen for the first time, and is believed from now on.
    CertificateTrusted {
        certificate: Text,
    },
    CertificateRefused {
        reason: Text,
    },
    /// The gateway signed in to a host that has no chevet.
    HostSignedIn {
        host_user: Text,
    },
    HostSignInRefused {
        host_user: Text,
        reason: Text,
    },
    /// A user was asked for their credentials on a host without chevet.
    CredentialsAsked {
        reason: Text,
    },
    /// What a user typed is kept for the next time.
    CredentialsStored,
    /// What a user typed was not taken, by the host or by the gateway.
    CredentialsRefused {
        reason: Text,
    },
    /// A host without chevet, to which the gateway had signed in, is gone.
    HostLost {
        reason: Text,
    },
    /// A host does not show an application alone: the session there is one without.
    HostWithoutRemoteApp {
        reason: Text,
    },
    /// A host that starts sessions has come, and proven which one it is.
    HostJoined {
        road: Text,
    },
    HostRefused {
        road: Text,
        reason: Text,
    },
    HostLeft {
        reason: Text,
    },
    SessionStarted,
    StartFailed {
        reason: Text,
    },
    SessionEnded {
        reason: Text,
    },
    PolicyChanged {
        policy: Text,
        from: Text,
        to: Text,
    },
    AdminAction {
        action: Text,
        object: Text,
    },
    AdminRefused {
        action: Text,
        object: Text,
        reason: Text,
    },
    RecordingStarted {
        recording: Text,
    },
    RecordingEnded {
        recording: Text,
    },
    RecordingOpened {
        recording: Text,
    },
    /// What was to be recorded is not, or no longer.
    RecordingFailed {
        recording: Text,
        reason: Text,
    },
    RecordingRemoved {
        recording: Text,
        reason: Text,
    },
    UserChanged {
        changed_user: Text,
        change: Text,
    },
    SeatEnrolled,
    SeatRevoked {
        reason: Text,
    },
    GatewayStarted {
        version: Text,
    },
    GatewayStopped {
        reason: Text,
    },
    AuditLogOpened {
        log: Text,
    },
    /// The journal's end was not whole, after a crash as a rule: these bytes were set aside in a file of this name.
    JournalMended {
        set_aside_bytes: u64,
        kept_in: Text,
    },
    /// So many records came faster than they could be kept, or while they could not be.
    RecordsLost {
        count: u64,
    },
    /// The repository was not sent these, since they were no longer in the journal.
    NotSent {
        first: u64,
        last: u64,
    },
    /// So many refusals like others of the same address were counted instead of written one by one.
    RefusedAgain {
        count: u64,
    },
}

impl Event {
    /// The name in the `event` field.
    pub fn name(&self) -> String {
        let value = serde_json::to_value(self).unwrap_or_default();
        value["event"].as_str().unwrap_or_default().to_owned()
    }
}

/// One thing that happened: what, when, to which session, by whom, from where, and how it went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    pub time: Time,
    #[serde(flatten)]
    pub event: Event,
    pub outcome: Outcome,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<Text>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_name: Option<Text>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<Text>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<Text>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application: Option<Text>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<Text>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seat: Option<Text>,
    /// A certificate's serial number and its issuer's hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card: Option<Text>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<std::net::IpAddr>,
}

impl Record {
    /// It happens now, and went as such events go: a refusal is a minor failure, a loss a serious one.
    pub fn new(event: Event) -> Record {
        use Event::{
            AdminRefused, AttachRefused, CertificateRefused, CredentialsRefused, HostRefused,
            HostSignInRefused, HostWithoutRemoteApp, JournalMended, NotSent, OfferRefused, RecordingFailed,
            RecordsLost, RefusedAgain, ShareRefused, SignInRefused, StartFailed, TicketRefused, WatchRefused,
        };
        let outcome = match &event {
            SignInRefused { .. }
            | TicketRefused { .. }
            | AttachRefused { .. }
            | OfferRefused { .. }
            | HostRefused { .. }
            | CertificateRefused { .. }
            | HostSignInRefused { .. }
            | CredentialsRefused { .. }
            | HostWithoutRemoteApp { .. }
            | WatchRefused { .. }
            | ShareRefused { .. }
            | AdminRefused { .. }
            | RefusedAgain { .. } => Outcome::MinorFailure,
            RecordingFailed { .. }
            | RecordsLost { .. }
            | NotSent { .. }
            | JournalMended { .. }
            | StartFailed { .. } => Outcome::SeriousFailure,
            _ => Outcome::Success,
        };
        Record {
            time: Time::now(),
            event,
            outcome,
            user: None,
            user_name: None,
            roles: Vec::new(),
            session: None,
            application: None,
            host: None,
            seat: None,
            card: None,
            peer: None,
        }
    }

    pub fn outcome(mut self, outcome: Outcome) -> Self {
        self.outcome = outcome;
        self
    }

    pub fn user(mut self, user: impl Into<Text>, name: impl Into<Text>) -> Self {
        (self.user, self.user_name) = (Some(user.into()), Some(name.into()));
        self
    }

    pub fn roles<T: Into<Text>>(mut self, roles: impl IntoIterator<Item = T>) -> Self {
        self.roles = roles.into_iter().take(MAX_ROLES).map(Into::into).collect();
        self
    }

    pub fn session(mut self, session: impl Into<Text>) -> Self {
        self.session = Some(session.into());
        self
    }

    pub fn application(mut self, application: impl Into<Text>) -> Self {
        self.application = Some(application.into());
        self
    }

    pub fn host(mut self, host: impl Into<Text>) -> Self {
        self.host = Some(host.into());
        self
    }

    pub fn seat(mut self, seat: impl Into<Text>) -> Self {
        self.seat = Some(seat.into());
        self
    }

    pub fn card(mut self, card: impl Into<Text>) -> Self {
        self.card = Some(card.into());
        self
    }

    pub fn peer(mut self, peer: std::net::IpAddr) -> Self {
        // A browser on an IPv6 socket is the same browser.
        self.peer = Some(peer.to_canonical());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_bounded_and_cannot_break_a_line() {
        assert_eq!(Text::from("a\nb\u{1b}[31m").as_str(), "a\u{fffd}b\u{fffd}[31m");
        let long = Text::from("é".repeat(1_000));
        assert_eq!(long.as_str().chars().count(), MAX_TEXT);
        assert!(long.as_str().ends_with('…'));
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let event = Event::Takeover { from_seat: "ward-2".into(), to_seat: "ward-3".into() };
        let record = Record::new(event).user("u17", "Zoé").roles(["nurse"]).session("desk").seat("ward-3");
        let record = record.peer("::ffff:10.0.0.7".parse().unwrap());
        let text = serde_json::to_string(&record).unwrap();
        assert!(text.contains(r#""event":"takeover""#) && text.contains(r#""peer":"10.0.0.7""#), "{text}");
        assert_eq!(serde_json::from_str::<Record>(&text).unwrap(), record);
        assert_eq!(record.event.name(), "takeover");
    }
}
