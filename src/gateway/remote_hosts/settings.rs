//! A host without chevet as an administrator describes it, and what the gateway makes of that.

use super::super::SessionConfig;
use crate::broker::CredentialPolicy;
use crate::identity::is_title;
use crate::link::parse_fingerprint;
use crate::source::rfb::{Tls, VncConfig};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use utoipa::ToSchema;

const MOST_GROUPS: usize = 64;
/// Bytes of an authority's certificates.
const MOST_AUTHORITY: usize = 8 << 10;
const MOST_USER: usize = 256;

/// How a host is reached, and who may use it. No password is in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoteHost {
    /// Of its session or application, in addresses: 1 to 32 letters of ASCII, digits, dashes or underlines.
    pub name: String,
    /// For people; without one, its name.
    #[serde(default)]
    pub title: String,
    pub protocol: Protocol,
    /// `host`, `host:port` or `[IPv6]:port`.
    pub address: String,
    #[serde(default)]
    pub credentials: Credentials,
    /// Of `own` credentials: where they come from; without it, who has none is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_credentials: Option<CredentialPolicy>,
    /// Of `shared` credentials.
    #[serde(default)]
    pub user: String,
    #[serde(default)]
    pub domain: String,
    /// Of VNC; RDP is always encrypted.
    #[serde(default)]
    pub encryption: Encryption,
    #[serde(default)]
    pub certificate: CertificatePolicy,
    /// Of a `pinned` certificate: its SHA-256, as 64 hexadecimal digits.
    #[serde(default)]
    pub fingerprint: String,
    /// Of a certificate that an `authority` vouches for: that one's certificates, in PEM.
    #[serde(default)]
    pub authority: String,
    /// The layout of an RDP host's keyboard, such as `fr`.
    #[serde(default = "us")]
    pub keyboard: String,
    /// What an RDP host starts instead of the desktop.
    #[serde(default)]
    pub program: String,
    /// An application that an RDP host shows alone (RemoteApp), if it can: `||` and its alias there, or a path.
    #[serde(default)]
    pub remote_app: String,
    /// What that application is started with.
    #[serde(default)]
    pub arguments: String,
    /// Whether signing in on the RDP host's own screen will do, as for xrdp.
    #[serde(default)]
    pub screen_sign_in: bool,
    /// Of an RDP host that is signed in to by Kerberos; without it, by NTLM.
    #[cfg(feature = "rdp")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kerberos: Option<crate::source::rdp::KerberosSettings>,
    /// Whoever is in one of these groups may use it.
    #[serde(default)]
    pub groups: Vec<String>,
    /// A session of `own` credentials ends when nobody has looked at it for so long.
    #[serde(default)]
    pub idle_minutes: Option<f64>,
}

fn us() -> String {
    "us".into()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    Vnc,
    Rdp,
}

/// Who signs in on the host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Credentials {
    /// Nobody: it asks for nothing, or on its own screen.
    #[default]
    None,
    /// The gateway, with a user and password that are kept sealed: one session for everybody.
    Shared,
    /// Everybody as themselves: a session each (RDP).
    Own,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Encryption {
    #[default]
    Required,
    IfOffered,
    Never,
}

/// How the host's certificate is believed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CertificatePolicy {
    /// The first one is believed and kept; another one is refused.
    #[default]
    FirstUse,
    Pinned,
    Authority,
}

impl RemoteHost {
    pub fn title(&self) -> &str {
        if self.title.is_empty() { &self.name } else { &self.title }
    }

    /// Whether everybody has a session of their own there.
    pub fn is_application(&self) -> bool {
        self.credentials == Credentials::Own
    }

    /// Everything that decides to whom a password is shown: it is sealed for that alone.
    pub fn binding(&self) -> String {
        let RemoteHost { name, protocol, address, encryption, certificate, fingerprint, authority, .. } =
            self;
        let parts = (protocol, address, encryption, certificate, fingerprint, authority);
        let binding = format!("{name} {}", serde_json::to_string(&parts).unwrap_or_default());
        // What a KDC is shown can be used to guess the password.
        #[cfg(feature = "rdp")]
        if let Some(kerberos) = &self.kerberos {
            return format!("{binding} {}", serde_json::to_string(kerberos).unwrap_or_default());
        }
        binding
    }

    /// What is wrong with it, with what to do. `has_password`: one is given or kept.
    pub fn fault(&self, has_password: bool) -> Option<String> {
        let fault = |text: &str| Some(text.to_owned());
        let letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        let long = |text: &String| text.len() > MOST_USER || text.chars().any(char::is_control);
        match self {
            _ if !(1..=32).contains(&self.name.len()) || !self.name.chars().all(letter) => {
                fault("a name has 1 to 32 letters of ASCII, digits, dashes or underlines")
            }
            _ if !self.title.is_empty() && !is_title(&self.title) => {
                fault("a title has at most 128 bytes, and no control characters")
            }
            _ if self.groups.len() > MOST_GROUPS || !self.groups.iter().all(|group| is_title(group)) => {
                fault("at most 64 groups, each of 1 to 128 bytes without control characters")
            }
            _ if [&self.user, &self.domain].into_iter().any(long) => {
                fault("a user or domain has at most 256 bytes, and no control characters")
            }
            _ if self.idle_minutes.is_some() && !self.is_application() => fault(
                "only sessions of people who sign in there as themselves end when idle: leave `idle_minutes` out",
            ),
            _ if self.idle_minutes.is_some_and(|minutes| !(0.01..1e6).contains(&minutes)) => {
                fault("`idle_minutes` is more than 0; leave it out to keep the session")
            }
            _ => self
                .credentials_fault(has_password)
                .or_else(|| self.certificate_fault())
                .or_else(|| self.protocol_fault()),
        }
    }

    fn credentials_fault(&self, has_password: bool) -> Option<String> {
        let named = !self.user.is_empty() || !self.domain.is_empty();
        let text = match self.credentials {
            Credentials::Shared if !has_password => "shared credentials need a password",
            Credentials::Shared if self.protocol == Protocol::Rdp && self.user.is_empty() => {
                "shared credentials for an RDP host need a user"
            }
            Credentials::None | Credentials::Own if named || has_password => {
                "a user, domain or password is for shared credentials: leave them out, or choose those"
            }
            Credentials::Own if self.protocol == Protocol::Vnc => {
                "a VNC server shows everybody one screen: its credentials are shared or none"
            }
            Credentials::None | Credentials::Shared if self.own_credentials.is_some() => {
                "`own_credentials` is for people who sign in there as themselves: leave it out, or choose those"
            }
            _ => return None,
        };
        Some(text.into())
    }

    fn certificate_fault(&self) -> Option<String> {
        let pem = || CertificateDer::pem_slice_iter(self.authority.as_bytes()).collect::<Vec<_>>();
        let text = match self.certificate {
            CertificatePolicy::Pinned if parse_fingerprint(&self.fingerprint).is_none() => {
                "`fingerprint` is the SHA-256 of the host's certificate, 64 hexadecimal digits: a test shows it"
            }
            CertificatePolicy::Authority if self.authority.len() > MOST_AUTHORITY => {
                "`authority` is at most 8 KiB of certificates in PEM"
            }
            CertificatePolicy::Authority if pem().is_empty() || pem().iter().any(Result::is_err) => {
                "`authority` is the authority's certificate in PEM (-----BEGIN CERTIFICATE-----)"
            }
            CertificatePolicy::FirstUse | CertificatePolicy::Authority if !self.fingerprint.is_empty() => {
                "`fingerprint` is for a pinned certificate: leave it out, or choose that"
            }
            CertificatePolicy::FirstUse | CertificatePolicy::Pinned if !self.authority.is_empty() => {
                "`authority` is for certificates that one vouches for: leave it out, or choose that"
            }
            _ => return None,
        };
        Some(text.into())
    }

    fn protocol_fault(&self) -> Option<String> {
        let of_rdp = [&self.program, &self.remote_app, &self.arguments, &self.domain];
        match self.protocol {
            Protocol::Vnc if self.screen_sign_in || of_rdp.iter().any(|text| !text.is_empty()) => Some(
                "`program`, `remote_app`, `arguments`, `domain` and `screen_sign_in` are for RDP hosts: leave them out"
                    .into(),
            ),
            #[cfg(feature = "rdp")]
            Protocol::Vnc if self.kerberos.is_some() => {
                Some("`kerberos` is for RDP hosts: leave it out".into())
            }
            // The file is written later; that it can be is known.
            Protocol::Vnc => self.vnc(Some(PathBuf::from("/"))).fault(),
            #[cfg(feature = "rdp")]
            Protocol::Rdp if self.encryption != Encryption::Required => {
                Some("an RDP host is always encrypted: leave `encryption` out".into())
            }
            #[cfg(feature = "rdp")]
            Protocol::Rdp if self.credentials == Credentials::None && !self.screen_sign_in => Some(
                "without credentials people sign in on the host's screen: allow that, or give some".into(),
            ),
            #[cfg(feature = "rdp")]
            Protocol::Rdp => self.rdp(Some(PathBuf::from("/"))).fault(),
            #[cfg(not(feature = "rdp"))]
            Protocol::Rdp => Some("this chevet was built without RDP".into()),
        }
    }

    /// `authority` is the file with the authority's certificates.
    pub fn vnc(&self, authority: Option<PathBuf>) -> VncConfig {
        let encrypted = self.encryption != Encryption::Never;
        let by = |policy| encrypted && self.certificate == policy;
        VncConfig {
            address: self.address.clone(),
            user: Some(self.user.clone()).filter(|user| !user.is_empty()),
            tls: match self.encryption {
                Encryption::Required => Tls::Required,
                Encryption::IfOffered => Tls::IfOffered,
                Encryption::Never => Tls::Never,
            },
            ca_file: authority.filter(|_| by(CertificatePolicy::Authority)),
            fingerprint: by(CertificatePolicy::Pinned).then(|| self.fingerprint.clone()),
            first_use: by(CertificatePolicy::FirstUse),
            ..VncConfig::default()
        }
    }

    #[cfg(feature = "rdp")]
    pub fn rdp(&self, authority: Option<PathBuf>) -> crate::source::rdp::RdpSettings {
        use crate::source::rdp::{CertificatePolicy as Policy, RdpSettings};
        RdpSettings {
            address: self.address.clone(),
            user: self.user.clone(),
            domain: self.domain.clone(),
            certificate: match self.certificate {
                CertificatePolicy::FirstUse => Policy::FirstUse,
                CertificatePolicy::Pinned => Policy::Pinned,
                CertificatePolicy::Authority => Policy::Ca,
            },
            fingerprint: (self.certificate == CertificatePolicy::Pinned).then(|| self.fingerprint.clone()),
            authorities: authority.filter(|_| self.certificate == CertificatePolicy::Authority),
            keyboard: self.keyboard.clone(),
            program: self.program.clone(),
            remote_app: self.remote_app.clone(),
            arguments: self.arguments.clone(),
            screen_sign_in: self.screen_sign_in,
            kerberos: self.kerberos.clone(),
            ..RdpSettings::default()
        }
    }

    /// The session that everybody shares.
    pub fn session(&self, authority: Option<PathBuf>) -> SessionConfig {
        SessionConfig {
            name: self.name.clone(),
            title: Some(self.title().to_owned()),
            vnc: (self.protocol == Protocol::Vnc).then(|| self.vnc(authority.clone())),
            #[cfg(feature = "rdp")]
            rdp: (self.protocol == Protocol::Rdp).then(|| self.rdp(authority)),
            ..SessionConfig::default()
        }
    }

    /// The application of which everybody has a session of their own.
    #[cfg(feature = "rdp")]
    pub fn application(&self, authority: Option<PathBuf>) -> crate::broker::Application {
        use crate::broker::{Application, Command, Title};
        Application {
            name: self.name.clone(),
            title: Title::Same(self.title().to_owned()),
            icon: None,
            command: Command::Named("desktop".into()),
            environment: std::collections::BTreeMap::default(),
            hosts: Vec::new(),
            rdp: Some(self.rdp(authority)),
            credentials: self.own_credentials,
            groups: self.groups.clone(),
            users: Vec::new(),
            width: 1_280,
            height: 800,
            policy: crate::wire::Policy::default(),
            single: true,
            end_when_idle_minutes: self.idle_minutes,
            end_at_sign_out: false,
            limits: crate::broker::Limits::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn host(more: Value) -> RemoteHost {
        let mut host = json!({"name": "ward", "protocol": "vnc", "address": "pc7"});
        host.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(host).unwrap()
    }

    #[test]
    fn what_cannot_work_is_refused_with_what_to_do() {
        let fault = |more| host(more).fault(false).unwrap_or_default();
        assert_eq!(host(json!({})).fault(false), None);
        assert!(fault(json!({"name": "a.b"})).contains("letters"), "a dot would be another's session");
        assert!(fault(json!({"address": "vnc://pc7"})).contains("address"));
        assert!(fault(json!({"credentials": "shared"})).contains("password"));
        assert!(fault(json!({"credentials": "own"})).contains("one screen"));
        assert!(fault(json!({"user": "x"})).contains("shared"));
        assert!(fault(json!({"own_credentials": "stored"})).contains("as themselves"));
        assert!(fault(json!({"certificate": "pinned", "fingerprint": "ab"})).contains("64"));
        assert!(fault(json!({"certificate": "authority", "authority": "x"})).contains("PEM"));
        assert!(fault(json!({"idle_minutes": 5.0})).contains("idle"));
        assert!(fault(json!({"program": "x"})).contains("RDP"));
        assert!(fault(json!({"remote_app": "||x"})).contains("RDP"));
        assert!(fault(json!({"title": "a\nb"})).contains("title"));
        assert_eq!(host(json!({"credentials": "shared"})).fault(true), None);
    }

    #[cfg(feature = "rdp")]
    #[test]
    fn an_rdp_host_is_a_session_or_everybodys_application() {
        let rdp = |mut more: Value| {
            more["protocol"] = json!("rdp");
            host(more)
        };
        assert!(rdp(json!({})).fault(false).unwrap().contains("screen"));
        assert!(rdp(json!({"screen_sign_in": true, "keyboard": "xx"})).fault(false).unwrap().contains("fr"));
        let own =
            rdp(json!({"credentials": "own", "idle_minutes": 5.0, "keyboard": "fr", "groups": ["nurses"]}));
        assert_eq!(own.fault(false), None);
        let application = own.application(None);
        assert_eq!((application.fault(), application.single), (None, true));
        assert!(application.credentials() == CredentialPolicy::Ask && own.own_credentials.is_none());
        for (policy, text) in [
            (CredentialPolicy::Stored, "stored"),
            (CredentialPolicy::Ask, "ask"),
            (CredentialPolicy::AskAndRemember, "ask-and-remember"),
        ] {
            let host = rdp(json!({"credentials": "own", "own_credentials": text}));
            assert_eq!((host.fault(false), host.application(None).credentials()), (None, policy));
            assert_eq!(serde_json::to_value(&host).unwrap()["own_credentials"], json!(text));
        }
        let kerberos = |kdc| json!({"realm": "CLINIC.EXAMPLE", "kdc": kdc});
        let by = |kdc| rdp(json!({"credentials": "own", "kerberos": kerberos(kdc)}));
        assert_eq!(by("dc1.clinic.example").fault(false), None);
        assert!(by("dc1").rdp(None).kerberos.is_some_and(|kerberos| kerberos.kdc == "dc1" && !kerberos.ntlm));
        assert!(by("https://dc1").fault(false).unwrap().contains("kdc"));
        assert_ne!(by("dc1").binding(), by("dc2").binding());
        let loose = json!({"credentials": "own", "screen_sign_in": true, "kerberos": kerberos("dc1")});
        assert!(rdp(loose).fault(false).unwrap().contains("screen_sign_in"));
        assert!(host(json!({"kerberos": kerberos("dc1")})).fault(false).unwrap().contains("RDP"));
        let shared = rdp(json!({"credentials": "shared", "user": "nurse"}));
        assert_eq!(shared.fault(true), None);
        assert_eq!(shared.session(None).rdp.unwrap().user, "nurse");
    }

    #[test]
    fn a_password_is_for_one_address_and_one_trust() {
        let before = host(json!({"title": "A"})).binding();
        assert_eq!(host(json!({"title": "B", "groups": ["x"]})).binding(), before);
        for other in [json!({"address": "pc8"}), json!({"encryption": "never"}), json!({"name": "icu"})] {
            assert_ne!(host(other).binding(), before);
        }
    }
}
