//! How an RDP host is named and signed in to, as a configuration says it.

use super::kerberos::KerberosSettings;
use super::layout::Layout;
use super::monitors::{self, Monitor};
use serde::Deserialize;
use std::path::PathBuf;
use std::sync::Arc;
use zeroize::Zeroizing;

pub const DEFAULT_PORT: u16 = 3389;
/// Characters of a user's, domain's or program's name that a host is told.
const MAX_TEXT: usize = 256;

/// One RDP host and how its session is to be.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct RdpSettings {
    /// `host`, `host:port` or `[IPv6]:port`.
    pub address: String,
    pub user: String,
    pub domain: String,
    pub password_file: Option<PathBuf>,
    pub certificate: CertificatePolicy,
    /// The SHA-256 of the host's certificate, for `certificate = "pinned"`.
    pub fingerprint: Option<String>,
    /// PEM certificates of authorities, for `certificate = "ca"`.
    pub authorities: Option<PathBuf>,
    /// The layout of the host's keyboard, such as `fr`.
    pub keyboard: String,
    /// What is started instead of the desktop.
    pub program: String,
    pub directory: String,
    /// An application that is shown alone (RemoteApp): `||` and its alias there, or a path. Where the host has none of that, `program`.
    pub remote_app: String,
    /// What the application is started with.
    pub arguments: String,
    /// Signing in on the host's own screen, without network level authentication.
    pub screen_sign_in: bool,
    /// Network level authentication by Kerberos; without it, by NTLM.
    pub kerberos: Option<KerberosSettings>,
    /// Whether the host may send pictures with losses where it has a choice (RemoteFX).
    pub lossy: bool,
    /// Whether the graphics pipeline is offered (Windows 8 and later).
    pub pipeline: bool,
    /// What the load balancer of a farm wants to be told.
    pub routing_token: Option<String>,
    pub clipboard: bool,
    /// Whether what the host plays is asked for.
    pub sound: bool,
    /// Whether the host may pack what it sends (MPPC with a history of 64 KiB).
    pub compression: bool,
    /// The screens of the session, instead of one of the viewer's size; the first one is the primary one.
    pub monitors: Vec<Monitor>,
}

impl Default for RdpSettings {
    fn default() -> Self {
        RdpSettings {
            address: String::new(),
            user: String::new(),
            domain: String::new(),
            password_file: None,
            certificate: CertificatePolicy::default(),
            fingerprint: None,
            authorities: None,
            keyboard: "us".into(),
            program: String::new(),
            directory: String::new(),
            remote_app: String::new(),
            arguments: String::new(),
            screen_sign_in: false,
            kerberos: None,
            lossy: false,
            pipeline: true,
            routing_token: None,
            clipboard: true,
            sound: true,
            compression: false,
            monitors: Vec::new(),
        }
    }
}

/// How a host's certificate is believed.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum CertificatePolicy {
    /// It must have the configured fingerprint.
    Pinned,
    /// An authority must vouch for the host's name.
    Ca,
    /// The first one is believed and kept; another one is refused.
    #[default]
    FirstUse,
}

impl RdpSettings {
    /// What is wrong with them, with what to do.
    pub fn fault(&self) -> Option<String> {
        let (host, _) = match self.host_and_port() {
            Ok(parts) => parts,
            Err(fault) => return Some(fault),
        };
        if host.is_empty() {
            return Some("`address` names no host: write \"host\" or \"host:3389\"".into());
        }
        let texts =
            [&self.user, &self.domain, &self.program, &self.directory, &self.remote_app, &self.arguments];
        if texts.iter().any(|text| text.len() > MAX_TEXT || text.chars().any(char::is_control)) {
            return Some(format!("a text is longer than {MAX_TEXT} bytes, or has control characters in it"));
        }
        if self.remote_app.is_empty() && !self.arguments.is_empty() {
            return Some("`arguments` are for `remote_app`; those of `program` stand behind its name".into());
        }
        let token = self.routing_token.as_deref().unwrap_or_default();
        if token.len() > MAX_TEXT || token.contains(['\r', '\n']) {
            return Some(format!("`routing_token` is one line of at most {MAX_TEXT} bytes"));
        }
        if let Some(kerberos) = &self.kerberos {
            if self.screen_sign_in {
                return Some(
                    "`screen_sign_in` lets the host do without `kerberos`: leave one of them out".into(),
                );
            }
            if let Some(fault) = kerberos.fault() {
                return Some(fault);
            }
        }
        if let Some(fault) = monitors::fault(&self.monitors) {
            return Some(fault);
        }
        if Layout::named(&self.keyboard).is_none() {
            let known = Layout::names().collect::<Vec<_>>().join(", ");
            return Some(format!("`keyboard` {:?} is not known; there are: {known}", self.keyboard));
        }
        match (self.certificate, &self.fingerprint, &self.authorities) {
            (CertificatePolicy::Pinned, Some(text), _) if parse_fingerprint(text).is_none() => {
                Some("`fingerprint` is the SHA-256 of a certificate: 64 hexadecimal digits".into())
            }
            (CertificatePolicy::Pinned, None, _) => {
                Some("certificate = \"pinned\" needs `fingerprint`; `chevet source check` prints it".into())
            }
            (CertificatePolicy::Ca | CertificatePolicy::FirstUse, Some(_), _) => {
                Some("`fingerprint` is for certificate = \"pinned\"".into())
            }
            (CertificatePolicy::Ca, _, None) => {
                Some("certificate = \"ca\" needs `authorities`, a file of PEM certificates".into())
            }
            (CertificatePolicy::Pinned | CertificatePolicy::FirstUse, _, Some(_)) => {
                Some("`authorities` is for certificate = \"ca\"".into())
            }
            _ => None,
        }
    }

    /// The host's name or address, without brackets, and its port.
    pub fn host_and_port(&self) -> Result<(String, u16), String> {
        host_and_port(&self.address)
    }
}

/// The parts of `host`, `host:port` or `[IPv6]:port`.
pub fn host_and_port(address: &str) -> Result<(String, u16), String> {
    host_and_port_or(address, DEFAULT_PORT)
        .ok_or_else(|| format!("{address:?} is not an address: write host:3389, or [::1]:3389"))
}

/// The same with another port for an address without one; none if it is no address.
pub fn host_and_port_or(address: &str, default: u16) -> Option<(String, u16)> {
    let (host, port) = match address.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            (host, rest.strip_prefix(':'))
        }
        None if address.matches(':').count() > 1 => (address, None),
        None => address.split_once(':').map_or((address, None), |(host, port)| (host, Some(port))),
    };
    let port = port.map_or(Some(default), |port| port.parse().ok())?;
    let odd = host.len() > 253 || host.chars().any(|c| c.is_whitespace() || c.is_control());
    (!odd).then(|| (host.to_owned(), port))
}

/// 32 bytes as hexadecimal digits, with or without colons.
pub fn parse_fingerprint(text: &str) -> Option<[u8; 32]> {
    let digits: Vec<u32> =
        text.chars().filter(|&c| c != ':').map(|c| c.to_digit(16)).collect::<Option<_>>()?;
    let (pairs, []) = digits.as_chunks::<2>() else { return None };
    let bytes: Vec<u8> = pairs.iter().map(|&[high, low]| (high << 4 | low) as u8).collect();
    bytes.try_into().ok()
}

pub fn fingerprint_text(fingerprint: &[u8; 32]) -> String {
    fingerprint.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Who signs in.
#[derive(Clone, PartialEq)]
pub struct Login {
    pub user: String,
    pub domain: String,
    pub password: Zeroizing<String>,
}

/// Where the credentials of a session come from; asked again before every sign-in, so that what was wrong can be put
/// right while it runs. An error is a text for the session's user.
pub type Keyring = Arc<dyn Fn() -> Result<Login, String> + Send + Sync>;

/// The credentials that a configuration names.
pub fn keyring(settings: &RdpSettings) -> Keyring {
    let (user, domain) = (settings.user.clone(), settings.domain.clone());
    let file = settings.password_file.clone();
    Arc::new(move || {
        let password = match &file {
            Some(path) => read_password(path)?,
            None => Zeroizing::new(String::new()),
        };
        Ok(Login { user: user.clone(), domain: domain.clone(), password })
    })
}

fn read_password(path: &std::path::Path) -> Result<Zeroizing<String>, String> {
    let text = std::fs::read_to_string(path).map(Zeroizing::new);
    // The path is the operator's business, not the user's.
    let text = text.map_err(|error| {
        tracing::warn!(path = %path.display(), %error, "the password of an RDP host cannot be read");
        "the gateway cannot read the password of this host: tell its operator".to_owned()
    })?;
    Ok(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(address: &str) -> RdpSettings {
        RdpSettings { address: address.into(), ..RdpSettings::default() }
    }

    #[test]
    fn addresses_are_read_as_people_write_them() {
        let parts = |address| host_and_port(address).unwrap();
        assert_eq!(parts("ts1.example"), ("ts1.example".into(), 3389));
        assert_eq!(parts("ts1:3390"), ("ts1".into(), 3390));
        assert_eq!(parts("[::1]:3390"), ("::1".into(), 3390));
        assert_eq!(parts("::1"), ("::1".into(), 3389));
        assert!(host_and_port("ts1:port").is_err());
        assert!(host_and_port("[::1").is_err());
    }

    #[test]
    fn settings_that_cannot_work_are_refused_with_what_to_do() {
        assert_eq!(settings("ts1").fault(), None);
        assert!(settings("").fault().unwrap().contains("address"));
        let keyboard = RdpSettings { keyboard: "xx".into(), ..settings("ts1") };
        assert!(keyboard.fault().unwrap().contains("fr"));
        let pinned = RdpSettings { certificate: CertificatePolicy::Pinned, ..settings("ts1") };
        assert!(pinned.fault().unwrap().contains("source check"));
        let short = RdpSettings { fingerprint: Some("ab".into()), ..pinned };
        assert!(short.fault().unwrap().contains("64"));
        let ca = RdpSettings { certificate: CertificatePolicy::Ca, ..settings("ts1") };
        assert!(ca.fault().unwrap().contains("authorities"));
        let arguments = RdpSettings { arguments: "/new".into(), ..settings("ts1") };
        assert!(arguments.fault().unwrap().contains("remote_app"));
        let token = RdpSettings { routing_token: Some("a\r\nb".into()), ..settings("ts1") };
        assert!(token.fault().unwrap().contains("one line"));
    }

    #[test]
    fn a_fingerprint_is_read_with_and_without_colons() {
        let text = "ab:".repeat(31) + "CD";
        let bytes = parse_fingerprint(&text).unwrap();
        assert_eq!((bytes[0], bytes[31]), (0xab, 0xcd));
        assert_eq!(parse_fingerprint(&fingerprint_text(&bytes)), Some(bytes));
        assert_eq!(parse_fingerprint("abc"), None);
    }
}
