//! Why there is no connection, in words that the session's user understands, and what follows from it.

use super::kdc::KdcFault;
use ironrdp_connector::sspi::credssp::NStatusCode;
use ironrdp_connector::{ConnectorError, ConnectorErrorKind};
use ironrdp_session::SessionError;

/// What follows decides the kind; the text goes to whoever looks at the session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The host cannot be reached or went away: to be tried again soon.
    Away(String),
    /// It was spoken to and did something wrong, or knows nothing that this side does: to be tried again later.
    Broken(String),
    /// It does not let this user in. Not tried again with the same credentials: that would lock the account.
    Credentials(String),
    /// Kerberos has no ticket for it, for no fault of the user's: to be tried again soon.
    NoTicket(String),
    /// Its certificate is not believed. Nothing secret was sent.
    Distrusted(String),
    /// Somebody else has the host's session now. Taken back only when a viewer asks for it.
    TakenOver,
    /// Its user signed out there, or closed it. Opened again only when a viewer asks for it.
    SignedOut,
    /// Its user closed the application that was shown alone. Opened again only when a viewer asks for it.
    Closed,
    /// It does not show this application alone (RemoteApp): to be connected to once without.
    NoRemoteApp(String),
    /// A farm says which host has the session.
    Redirected(Box<Target>),
}

/// Where a farm sends a client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    pub address: Option<String>,
    pub routing_token: Option<String>,
    pub session: u32,
    pub user: Option<String>,
    pub domain: Option<String>,
    pub cookie: Option<Vec<u8>>,
}

/// How far a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Negotiating,
    SigningIn,
    Opening,
}

impl From<KdcFault> for Failure {
    fn from(fault: KdcFault) -> Failure {
        match fault.is_about_the_user() {
            true => Failure::Credentials(fault.to_string()),
            false => Failure::NoTicket(fault.to_string()),
        }
    }
}

impl Failure {
    pub fn text(&self, host: &str) -> String {
        match self {
            Failure::Away(reason) => format!("{host} cannot be reached: {reason}; trying again"),
            Failure::Broken(reason) => {
                format!("{host} does not get along with this gateway: {reason}; trying again")
            }
            Failure::Credentials(reason) => format!(
                "{host} does not let this session in: {reason}. It is not tried again until the password or the user is changed"
            ),
            Failure::NoTicket(reason) => {
                format!("{host} cannot be signed in to by Kerberos: {reason}; trying again")
            }
            Failure::Distrusted(reason) => format!("{host} is not trusted: {reason}"),
            Failure::TakenOver => {
                format!("this session was opened elsewhere on {host}; press a key or click to take it back")
            }
            Failure::SignedOut => {
                format!("this session on {host} was signed out of; press a key or click to sign in again")
            }
            Failure::Closed => {
                format!("the application on {host} was closed; press a key or click to open it again")
            }
            Failure::NoRemoteApp(reason) => {
                format!(
                    "{host} does not show the application alone: {reason}; opening a session there without"
                )
            }
            Failure::Redirected(_) => format!("{host} sends this session to another host of its farm"),
        }
    }

    /// From what a connection in this stage ended with.
    pub fn of_connector(error: &ConnectorError, stage: Stage) -> Failure {
        match error.kind() {
            ConnectorErrorKind::Negotiation(failure) => Failure::Broken(negotiation(failure.code())),
            ConnectorErrorKind::AccessDenied => {
                Failure::Credentials("the user may not sign in there remotely".into())
            }
            ConnectorErrorKind::Credssp(error) => {
                let reason = match error.nstatus.and_then(status_text) {
                    Some(text) => text.to_owned(),
                    None => format!("the user or the password is wrong, or the host refuses them ({error})"),
                };
                Failure::Credentials(reason)
            }
            // Hosts end the connection in the middle of the exchange when a password is wrong.
            _ if stage == Stage::SigningIn => {
                Failure::Credentials("the user or the password is wrong (the host ended the sign-in)".into())
            }
            ConnectorErrorKind::Custom if is_end(error) => {
                Failure::Away("it closed the connection while it was opened".into())
            }
            // The connector's only word for it.
            ConnectorErrorKind::Reason(reason) if reason.contains("required RemoteApp capabilities") => {
                Failure::NoRemoteApp("it has no RemoteApp".into())
            }
            ConnectorErrorKind::Reason(reason) => Failure::Broken(reason.clone()),
            _ => unread(&error.report()),
        }
    }

    /// A host that does not get along with this side while an application is `wanted` alone is tried once without.
    pub fn or_without_app(self, wanted: bool) -> Failure {
        match self {
            Failure::Broken(reason) if wanted => Failure::NoRemoteApp(reason),
            failure => failure,
        }
    }

    /// From what decoding ended with.
    pub fn of_session(error: &SessionError) -> Failure {
        unread(&error.report())
    }
}

/// The details are for who reads the log.
fn unread(detail: &dyn std::fmt::Display) -> Failure {
    tracing::warn!(%detail, "an RDP host sent something that cannot be read");
    Failure::Broken("it sent something that cannot be read".into())
}

fn is_end(error: &ConnectorError) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        if error
            .downcast_ref::<std::io::Error>()
            .is_some_and(|error| error.kind() != std::io::ErrorKind::Other)
        {
            return true;
        }
        source = error.source();
    }
    false
}

fn negotiation(code: ironrdp_pdu::nego::FailureCode) -> String {
    use ironrdp_pdu::nego::FailureCode;
    match code {
        FailureCode::HYBRID_REQUIRED_BY_SERVER => {
            "it demands network level authentication (NLA): set screen_sign_in = false".into()
        }
        FailureCode::SSL_NOT_ALLOWED_BY_SERVER => {
            "it knows only RDP's own encryption, which is not safe: switch TLS on there".into()
        }
        FailureCode::SSL_CERT_NOT_ON_SERVER => "it has no certificate for TLS".into(),
        FailureCode::SSL_WITH_USER_AUTH_REQUIRED_BY_SERVER => "it demands a client certificate".into(),
        FailureCode::ENTRA_AUTH_REQUIRED_BY_SERVER => "it demands a sign-in by Microsoft Entra".into(),
        other => format!("it refused the negotiation (code {})", u32::from(other)),
    }
}

/// What Windows says of a sign-in that it refused.
fn status_text(status: NStatusCode) -> Option<&'static str> {
    logon_status(status.0)
}

/// The same by NTSTATUS number, which also comes after a sign-in on the screen.
pub fn logon_status(status: u32) -> Option<&'static str> {
    Some(match status {
        0xc000_0022 => "the user may not sign in there remotely",
        0xc000_0064 | 0xc000_006a | 0xc000_006d => "the user or the password is wrong",
        0xc000_006e => "the account is restricted",
        0xc000_006f => "the account may not sign in at this hour",
        0xc000_0070 => "the account may not sign in from here",
        0xc000_0071 => "the password has expired",
        0xc000_0072 => "the account is disabled",
        0xc000_0133 => "the clocks of the host and of this gateway differ too much",
        0xc000_015b => "the account lacks the right to sign in remotely",
        0xc000_0193 => "the account has expired",
        0xc000_0224 => "the password must be changed first",
        0xc000_0234 => "the account is locked",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ironrdp_connector::ConnectorErrorExt as _;

    #[test]
    fn an_end_in_the_middle_of_the_sign_in_means_wrong_credentials_and_elsewhere_does_not() {
        let ended = || {
            let end = std::io::Error::new(std::io::ErrorKind::UnexpectedEof, "not enough bytes");
            ConnectorError::custom("read frame by hint", end)
        };
        assert!(matches!(Failure::of_connector(&ended(), Stage::SigningIn), Failure::Credentials(_)));
        assert!(matches!(Failure::of_connector(&ended(), Stage::Negotiating), Failure::Away(_)));
        let odd = ConnectorError::reason("x", "an odd answer");
        assert!(
            matches!(Failure::of_connector(&odd, Stage::Opening), Failure::Broken(text) if text.contains("odd answer"))
        );
    }

    #[test]
    fn a_refused_sign_in_says_that_it_is_not_tried_again() {
        let text = Failure::Credentials("the account is locked".into()).text("ts1");
        assert!(text.contains("ts1") && text.contains("locked") && text.contains("not tried again"));
        assert_eq!(logon_status(0xc000_0234), Some("the account is locked"));
        assert_eq!(logon_status(1), None);
    }
}
