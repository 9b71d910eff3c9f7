//! What a gateway is told of smart cards.

use super::field::{Field, is_oid};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use url::Url;

/// TLS client authentication.
const CLIENT_AUTH: &str = "1.3.6.1.5.5.7.3.2";

#[derive(Debug, thiserror::Error)]
pub enum CardsConfigError {
    #[error("[cards] needs [sign_in] beside it: without it nobody signs in here")]
    NoSignIn,
    #[error(
        "[cards] `listen` names no address: cards are asked for on a port of their own, such as \"0.0.0.0:4381\""
    )]
    NoAddress,
    #[error(
        "[cards] `listen` has {0}, which `listen` of the gateway has too: browsers would ask everybody for a card there"
    )]
    SamePort(SocketAddr),
    #[error("[cards] `{name}` must be {wanted}, without a path; it is {value:?}")]
    Address { name: &'static str, wanted: &'static str, value: String },
    #[error(
        "[cards] `authorities` names no file: give the certificates of those who issue the cards, in PEM"
    )]
    NoAuthority,
    #[error(
        "[cards] `revocation` names no file, so that no withdrawn card would be noticed: give the authorities' lists, or \
         write check_revocation = \"no\""
    )]
    NoList,
    #[error("[cards] `{name}`: {value:?} is no OID, such as {CLIENT_AUTH}")]
    Oid { name: &'static str, value: String },
}

/// Which certificates must not be revoked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Depth {
    /// The card's, and those of every authority under a trusted one.
    #[default]
    Chain,
    Card,
    No,
}

/// What becomes of sign-ins when a revocation list is older than it says that it holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stale {
    #[default]
    Refuse,
    Accept,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CardsConfig {
    /// Where cards are asked for: nowhere else is a certificate asked of a client.
    pub listen: Vec<SocketAddr>,
    /// Where browsers and programs find that.
    pub address: String,
    /// Where browsers find this gateway's page.
    pub page: String,
    /// Certificates that are trusted to issue cards, or to say who does.
    pub authorities: Vec<PathBuf>,
    /// Certificates between those and the cards, which cards may not carry.
    #[serde(default)]
    pub intermediates: Vec<PathBuf>,
    /// The authorities' lists, in PEM or DER.
    #[serde(default)]
    pub revocation: Vec<PathBuf>,
    #[serde(default)]
    pub check_revocation: Depth,
    #[serde(default)]
    pub stale_revocation: Stale,
    /// All of these must be among a certificate's extended key usages.
    #[serde(default = "client_auth")]
    pub key_usages: Vec<String>,
    /// One of these must be among its policies; none: any.
    #[serde(default)]
    pub policies: Vec<String>,
    /// Where the user's name stands.
    #[serde(default = "common_name")]
    pub user: Field,
    /// What must stand before and after it there, and is no part of it.
    #[serde(default)]
    pub user_prefix: String,
    #[serde(default)]
    pub user_suffix: String,
    #[serde(default = "full_name")]
    pub title: Vec<Field>,
    /// The common name of an issuer, and the group here of those whose cards it issued.
    #[serde(default)]
    pub issuer_groups: BTreeMap<String, String>,
    #[serde(default)]
    pub create: bool,
    #[serde(default)]
    pub link: bool,
}

fn client_auth() -> Vec<String> {
    vec![CLIENT_AUTH.into()]
}

fn common_name() -> Field {
    Field::Subject("2.5.4.3".into())
}

fn full_name() -> Vec<Field> {
    vec![Field::Subject("2.5.4.42".into()), Field::Subject("2.5.4.4".into())]
}

impl CardsConfig {
    /// Whether this can be run beside the gateway's own listeners.
    pub fn check(&self, people_sign_in: bool, listen: &[SocketAddr]) -> Result<(), CardsConfigError> {
        if !people_sign_in {
            return Err(CardsConfigError::NoSignIn);
        }
        if self.listen.is_empty() {
            return Err(CardsConfigError::NoAddress);
        }
        if let Some(same) = self.listen.iter().find(|address| address.port() != 0 && listen.contains(address))
        {
            return Err(CardsConfigError::SamePort(*same));
        }
        let site = |value: &str| Url::parse(value).ok().filter(|url| url.has_host() && url.path() == "/");
        let bare = |url: &Url| url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
        if !site(&self.address).is_some_and(|url| url.scheme() == "https" && bare(&url)) {
            let (value, wanted) = (self.address.clone(), "an https address");
            return Err(CardsConfigError::Address { name: "address", wanted, value });
        }
        if !site(&self.page).is_some_and(|url| is_safe(&url) && bare(&url)) {
            let (value, wanted) = (self.page.clone(), "an https address, or http on this machine");
            return Err(CardsConfigError::Address { name: "page", wanted, value });
        }
        if self.authorities.is_empty() {
            return Err(CardsConfigError::NoAuthority);
        }
        if self.check_revocation != Depth::No && self.revocation.is_empty() {
            return Err(CardsConfigError::NoList);
        }
        for (name, oids) in [("key_usages", &self.key_usages), ("policies", &self.policies)] {
            if let Some(wrong) = oids.iter().find(|oid| !is_oid(oid)) {
                return Err(CardsConfigError::Oid { name, value: wrong.clone() });
            }
        }
        Ok(())
    }

    /// The page's address, ending in a slash.
    pub fn page(&self) -> String {
        format!("{}/", self.page.trim_end_matches('/'))
    }

    /// The address where cards are asked for, ending in a slash.
    pub fn address(&self) -> String {
        format!("{}/", self.address.trim_end_matches('/'))
    }

    /// The groups that cards decide about.
    pub fn decided(&self) -> BTreeSet<&String> {
        self.issuer_groups.values().collect()
    }
}

fn is_safe(url: &Url) -> bool {
    let here = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    url.scheme() == "https" || (url.scheme() == "http" && here)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "listen = ['127.0.0.1:4381']\naddress = 'https://cards.example:4381'\npage = 'https://gw.example'\n\
        authorities = ['root.pem']\nrevocation = ['root.crl']\n";

    fn refused(from: &str, to: &str) -> String {
        assert!(GOOD.contains(from));
        let config: CardsConfig = toml::from_str(&GOOD.replace(from, to)).unwrap();
        config.check(true, &["127.0.0.1:4380".parse().unwrap()]).unwrap_err().to_string()
    }

    #[test]
    fn what_cannot_be_run_is_refused_with_what_to_do() {
        let good: CardsConfig = toml::from_str(GOOD).unwrap();
        assert!(good.check(true, &[]).is_ok());
        assert!(good.check(false, &[]).unwrap_err().to_string().contains("[sign_in]"));
        assert!(refused("127.0.0.1:4381", "127.0.0.1:4380").contains("a card there"));
        assert!(refused("['127.0.0.1:4381']", "[]").contains("of their own"));
        assert!(refused("https://cards", "http://cards").contains("`address`"));
        assert!(refused("https://gw.example", "http://gw.example").contains("`page`"));
        assert!(refused("https://gw.example", "https://gw.example/?to=https://other").contains("`page`"));
        assert!(refused("['root.pem']", "[]").contains("`authorities`"));
        assert!(refused("['root.crl']", "[]").contains("withdrawn"));
        assert!(refused("['root.pem']", "['root.pem']\npolicies = ['any']").contains("no OID"));
    }

    #[test]
    fn revocation_is_checked_strictly_unless_said_otherwise() {
        let good: CardsConfig = toml::from_str(GOOD).unwrap();
        assert_eq!((good.check_revocation, good.stale_revocation), (Depth::Chain, Stale::Refuse));
        assert_eq!(good.key_usages, [CLIENT_AUTH]);
        assert!(!good.create && !good.link);
    }
}
