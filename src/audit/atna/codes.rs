//! Which of DICOM's audit messages (PS3.15 A.5.3) says what a record says, and its codes (PS3.16, CID 400 to 403).

use crate::audit::record::Event;

/// A coded value: code and meaning, of the system `DCM`.
pub type Code = (&'static str, &'static str);

pub const APPLICATION: Code = ("110150", "Application");
pub const APPLICATION_LAUNCHER: Code = ("110151", "Application Launcher");

const APPLICATION_ACTIVITY: Code = ("110100", "Application Activity");
const AUDIT_LOG_USED: Code = ("110101", "Audit Log Used");
const SECURITY_ALERT: Code = ("110113", "Security Alert");
const USER_AUTHENTICATION: Code = ("110114", "User Authentication");

const APPLICATION_START: Code = ("110120", "Application Start");
const APPLICATION_STOP: Code = ("110121", "Application Stop");
const LOGIN: Code = ("110122", "Login");
const LOGOUT: Code = ("110123", "Logout");
const NODE_AUTHENTICATION: Code = ("110126", "Node Authentication");
const NETWORK_CONFIGURATION: Code = ("110128", "Network Configuration");
const SECURITY_CONFIGURATION: Code = ("110129", "Security Configuration");
const SOFTWARE_CONFIGURATION: Code = ("110131", "Software Configuration");
const USE_OF_RESTRICTED_FUNCTION: Code = ("110132", "Use of Restricted Function");
const AUDIT_RECORDING_STOPPED: Code = ("110133", "Audit Recording Stopped");
const USER_SECURITY_ATTRIBUTES_CHANGED: Code = ("110137", "User Security Attributes Changed");

/// The family of messages that an event belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// A.5.3.1: an application, which for chevet is the gateway or a session, started or stopped.
    Application,
    /// A.5.3.2: a log of audit records was read.
    AuditLog,
    /// A.5.3.11: something was asked for that is not everybody's, and was granted or refused.
    Security,
    /// A.5.3.12: somebody logged in or out.
    User,
}

impl Family {
    pub fn id(self) -> Code {
        match self {
            Family::Application => APPLICATION_ACTIVITY,
            Family::AuditLog => AUDIT_LOG_USED,
            Family::Security => SECURITY_ALERT,
            Family::User => USER_AUTHENTICATION,
        }
    }

    /// EventActionCode: read or execute.
    pub fn action(self) -> &'static str {
        if self == Family::AuditLog { "R" } else { "E" }
    }
}

/// The family and the standard's type of an event. Security alerts are finer told by chevet's own type beside it.
pub fn of(event: &Event) -> (Family, Option<Code>) {
    use Event as E;
    use Family as F;
    let (family, code) = match event {
        E::SignedIn { .. } | E::SignInRefused { .. } | E::Unlocked { .. } => (F::User, LOGIN),
        E::SignedOut { .. } | E::Locked { .. } => (F::User, LOGOUT),
        E::SessionStarted | E::StartFailed { .. } | E::GatewayStarted { .. } => {
            (F::Application, APPLICATION_START)
        }
        E::SessionEnded { .. } | E::GatewayStopped { .. } => (F::Application, APPLICATION_STOP),
        E::AuditLogOpened { .. } => return (F::AuditLog, None),
        E::TicketGranted
        | E::TicketRefused { .. }
        | E::AttachRefused { .. }
        | E::RefusedAgain { .. }
        | E::SessionOffered { .. }
        | E::CertificateTrusted { .. }
        | E::CertificateRefused { .. }
        | E::HostSignedIn { .. }
        | E::HostSignInRefused { .. }
        | E::CredentialsAsked { .. }
        | E::CredentialsStored
        | E::CredentialsRefused { .. }
        | E::HostLost { .. }
        | E::HostWithoutRemoteApp { .. }
        | E::HostJoined { .. }
        | E::HostRefused { .. }
        | E::HostLeft { .. }
        | E::OfferRefused { .. }
        | E::OfferEnded { .. } => (F::Security, NODE_AUTHENTICATION),
        E::Attached { .. }
        | E::Takeover { .. }
        | E::Detached { .. }
        | E::Invited { .. }
        | E::ShareRefused { .. }
        | E::WatchAsked
        | E::WatchAdmitted { .. }
        | E::WatchRefused { .. }
        | E::WatchEnded { .. }
        | E::ControlGiven { .. }
        | E::ControlTaken { .. }
        | E::RecordingStarted { .. }
        | E::RecordingEnded { .. }
        | E::RecordingOpened { .. }
        | E::RecordingFailed { .. }
        | E::RecordingRemoved { .. } => (F::Security, USE_OF_RESTRICTED_FUNCTION),
        E::PolicyChanged { .. } => (F::Security, SECURITY_CONFIGURATION),
        E::AdminAction { .. } | E::AdminRefused { .. } => (F::Security, SOFTWARE_CONFIGURATION),
        E::UserChanged { .. } => (F::Security, USER_SECURITY_ATTRIBUTES_CHANGED),
        E::SeatEnrolled | E::SeatRevoked { .. } => (F::Security, NETWORK_CONFIGURATION),
        E::JournalMended { .. } | E::RecordsLost { .. } | E::NotSent { .. } => {
            (F::Security, AUDIT_RECORDING_STOPPED)
        }
    };
    (family, Some(code))
}
