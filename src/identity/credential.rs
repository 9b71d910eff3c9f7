//! What a user signs in with on a host that has no chevet, as it is kept: sealed for that user and that host.

use super::secret::{Keys, Sealed};
use zeroize::Zeroizing;

/// Bytes of each of its texts.
const MAX_TEXT: usize = 256;
/// Stands between them, and in none.
const BETWEEN: &str = "\0";

/// A user name, a domain and a password of another system.
#[derive(Clone, PartialEq)]
pub struct HostCredential {
    pub user: String,
    pub domain: String,
    pub password: Zeroizing<String>,
}

impl std::fmt::Debug for HostCredential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "HostCredential({})", self.user)
    }
}

/// The name under which a host's credentials are kept: as an address is written, whatever its letters' case.
pub fn credential_host(address: &str) -> String {
    address.trim().to_lowercase()
}

impl HostCredential {
    /// Whether it is short enough to be kept, and names a user.
    pub fn is_sensible(&self) -> bool {
        let texts = [&self.user, &self.domain, &*self.password];
        let fits = |text: &String| text.len() <= MAX_TEXT && !text.contains(BETWEEN);
        !self.user.is_empty() && texts.into_iter().all(fits)
    }

    pub fn seal(&self, user_id: &str, host: &str, keys: &Keys) -> Sealed {
        let text = Zeroizing::new([&*self.user, &self.domain, &self.password].join(BETWEEN));
        keys.seal(text.as_bytes(), &owner(user_id, host))
    }

    /// What was sealed for this user and host; nothing if it was another's.
    pub fn open(sealed: &str, user_id: &str, host: &str, keys: &Keys) -> Option<Self> {
        let bytes = Zeroizing::new(keys.open(sealed, &owner(user_id, host))?);
        let mut parts = std::str::from_utf8(&bytes).ok()?.split(BETWEEN).map(str::to_owned);
        let (user, domain, password) = (parts.next()?, parts.next()?, parts.next()?);
        Some(HostCredential { user, domain, password: Zeroizing::new(password) })
    }
}

/// Seals the password that a gateway signs in with on a host. `binding` says everything that decides where it goes.
pub fn seal_host_password(password: &str, binding: &str, keys: &Keys) -> Sealed {
    keys.seal(password.as_bytes(), &format!("password of host {binding}"))
}

/// What was sealed for this host; nothing if it was another's.
pub fn open_host_password(sealed: &str, binding: &str, keys: &Keys) -> Option<Zeroizing<String>> {
    let bytes = Zeroizing::new(keys.open(sealed, &format!("password of host {binding}"))?);
    std::str::from_utf8(&bytes).ok().map(|text| Zeroizing::new(text.to_owned()))
}

fn owner(user_id: &str, host: &str) -> String {
    // A user's id has no spaces.
    format!("credential of {user_id} on {host}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::hmac;

    #[test]
    fn a_hosts_password_opens_where_it_was_meant_to_go_alone() {
        let keys = Keys::new(&hmac::Key::new(hmac::HMAC_SHA256, b"secret"));
        let sealed = seal_host_password("Été 2026", "ward pc7", &keys);
        assert!(!sealed.contains("2026"));
        assert_eq!(open_host_password(&sealed, "ward pc7", &keys).unwrap().as_str(), "Été 2026");
        assert_eq!(open_host_password(&sealed, "ward pc8", &keys), None);
        assert_eq!(HostCredential::open(&sealed, "ward", "pc7", &keys), None);
    }

    #[test]
    fn a_credential_opens_for_its_user_on_its_host_alone() {
        let keys = Keys::new(&hmac::Key::new(hmac::HMAC_SHA256, b"secret"));
        let credential = HostCredential {
            user: "anne".into(),
            domain: "CLINIC".into(),
            password: Zeroizing::new("Été 2026".into()),
        };
        let sealed = credential.seal("1", "ts1", &keys);
        assert!(!sealed.contains("anne"));
        assert_eq!(HostCredential::open(&sealed, "1", "ts1", &keys).unwrap(), credential);
        assert_eq!(HostCredential::open(&sealed, "2", "ts1", &keys), None);
        assert_eq!(HostCredential::open(&sealed, "1", "ts2", &keys), None);
        let others = Keys::new(&hmac::Key::new(hmac::HMAC_SHA256, b"other"));
        assert_eq!(HostCredential::open(&sealed, "1", "ts1", &others), None);
        assert!(!format!("{credential:?}").contains("2026"));
        assert_eq!(credential_host(" TS1.Example "), "ts1.example");
    }
}
