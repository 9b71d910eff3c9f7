use super::super::is_name;
use crate::site::is_site_key;
use serde::Deserialize;
use url::Url;

/// This site, and the others that it knows.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct SiteConfig {
    pub name: String,
    /// How long copies of a site's accounts are believed while it cannot be reached; 0: not at all.
    #[serde(default = "eight_hours")]
    pub believe_copies_minutes: u32,
    #[serde(default, rename = "peer")]
    pub peers: Vec<PeerConfig>,
}

fn eight_hours() -> u32 {
    480
}

/// What another site is given of the accounts here.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Accounts {
    #[default]
    None,
    /// Nothing that proves who somebody is: this site is asked at each sign-in.
    Ask,
    /// Copies, by which it signs people in itself.
    Copy,
}

/// Another site.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct PeerConfig {
    pub name: String,
    /// As `chevet site key` prints it there.
    pub key: String,
    pub gateways: Vec<Url>,
    #[serde(default)]
    pub accounts: Accounts,
    /// Whose accounts here are for it: those of these groups.
    #[serde(default)]
    pub share_groups: Vec<String>,
    /// The groups of its people that count here.
    #[serde(default)]
    pub accept_groups: Vec<String>,
}

impl SiteConfig {
    /// What is wrong, and of which site.
    pub fn fault(&self) -> Option<(String, &'static str)> {
        let is_site = |name: &str| is_name(name) && !name.chars().any(char::is_uppercase);
        if !is_site(&self.name) {
            return Some((self.name.clone(), "its name has 1 to 64 small letters, digits, dots, dashes"));
        }
        for (at, peer) in self.peers.iter().enumerate() {
            let twice =
                self.peers[..at].iter().any(|other| other.name == peer.name) || peer.name == self.name;
            let https = |url: &Url| url.scheme() == "https" && url.has_host() && url.path() == "/";
            let fault = match () {
                () if !is_site(&peer.name) => "its name has 1 to 64 small letters, digits, dots, dashes",
                () if twice => "two sites are called so; each needs a name of its own",
                () if !is_site_key(&peer.key) => "its `key` is what `chevet site key` prints there",
                () if peer.gateways.is_empty() || peer.gateways.len() > 16 => {
                    "its `gateways` are between 1 and 16"
                }
                () if !peer.gateways.iter().all(https) => {
                    "its `gateways` are addresses such as \"https://gateway.south.example\""
                }
                () if peer.accounts != Accounts::None && peer.share_groups.is_empty() => {
                    "whose accounts are for it? Name groups in `share_groups`"
                }
                () => continue,
            };
            return Some((peer.name.clone(), fault));
        }
        None
    }
}
