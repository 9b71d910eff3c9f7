//! What a gateway is told of an OpenID provider.

use crate::outbound::is_safe;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use url::Url;

#[derive(Debug, thiserror::Error)]
pub enum ProviderConfigError {
    #[error("[[oidc]] needs [sign_in] beside it: without it nobody signs in here")]
    NoSignIn,
    #[error("[[oidc]] id {0:?}: give each an id of its own, of letters, digits or dashes")]
    Id(String),
    #[error("[[oidc]] {id}: `{name}` must be an https address, or http on this machine; it is {value:?}")]
    Address { id: String, name: &'static str, value: String },
    #[error(
        "[[oidc]] {0}: give one of `client_secret` and `client_secret_file`, or neither for a public client"
    )]
    TwoSecrets(String),
    #[error("[[oidc]] {0}: `groups` needs `groups_claim`")]
    NoGroupsClaim(String),
    #[error("[[oidc]] {id}: reading {path}: {source}")]
    Secret { id: String, path: PathBuf, source: std::io::Error },
}

/// One provider.
#[derive(Clone, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct ProviderConfig {
    /// In the addresses of this gateway.
    pub id: String,
    /// On the page's button.
    pub title: String,
    pub issuer: String,
    /// Where browsers find this gateway's page.
    pub page: String,
    pub client_id: String,
    pub client_secret: Option<String>,
    pub client_secret_file: Option<PathBuf>,
    #[serde(default = "openid")]
    pub scopes: Vec<String>,
    /// The authority of the provider's certificate, in PEM; without it the public ones.
    pub ca: Option<PathBuf>,
    /// The levels of assurance of which one must have been reached; none: any.
    #[serde(default)]
    pub acr: Vec<String>,
    /// As "login": the provider asks again who is there.
    pub prompt: Option<String>,
    #[serde(default = "preferred_username")]
    pub user_claim: String,
    #[serde(default = "name")]
    pub title_claims: Vec<String>,
    pub groups_claim: Option<String>,
    /// A value of the claim, and the group of this gateway that it stands for.
    #[serde(default)]
    pub groups: BTreeMap<String, String>,
    /// Whether who is not known is made a user.
    #[serde(default)]
    pub create: bool,
    /// Whether who is called as a user here is that user, at the first time.
    #[serde(default)]
    pub link: bool,
    /// Whether claims are asked for at the userinfo endpoint too.
    #[serde(default = "yes")]
    pub userinfo: bool,
    /// Whether clients that are no browser may sign in by the device flow.
    #[serde(default)]
    pub device: bool,
    /// Whether who signs out here signs out at the provider.
    #[serde(default)]
    pub sign_out_there: bool,
}

fn openid() -> Vec<String> {
    vec!["openid".into()]
}

fn preferred_username() -> String {
    "preferred_username".into()
}

fn name() -> Vec<String> {
    vec!["name".into()]
}

fn yes() -> bool {
    true
}

impl std::fmt::Debug for ProviderConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ProviderConfig({:?})", self.id)
    }
}

impl ProviderConfig {
    /// Checks all providers of a gateway.
    pub fn check_all(providers: &[ProviderConfig], people_sign_in: bool) -> Result<(), ProviderConfigError> {
        if !providers.is_empty() && !people_sign_in {
            return Err(ProviderConfigError::NoSignIn);
        }
        for (index, provider) in providers.iter().enumerate() {
            let id = &provider.id;
            let spelled = |c: char| c.is_ascii_alphanumeric() || c == '-';
            let twice = providers[..index].iter().any(|other| other.id == *id);
            if id.is_empty() || id.len() > 32 || !id.chars().all(spelled) || twice {
                return Err(ProviderConfigError::Id(id.clone()));
            }
            for (name, value) in [("issuer", &provider.issuer), ("page", &provider.page)] {
                if !Url::parse(value).is_ok_and(|url| is_safe(&url)) {
                    let value = value.clone();
                    return Err(ProviderConfigError::Address { id: id.clone(), name, value });
                }
            }
            if provider.client_secret.is_some() && provider.client_secret_file.is_some() {
                return Err(ProviderConfigError::TwoSecrets(id.clone()));
            }
            if !provider.groups.is_empty() && provider.groups_claim.is_none() {
                return Err(ProviderConfigError::NoGroupsClaim(id.clone()));
            }
        }
        Ok(())
    }

    /// The client's secret, from wherever it is kept.
    pub fn secret(&self) -> Result<Option<String>, ProviderConfigError> {
        let Some(path) = &self.client_secret_file else { return Ok(self.client_secret.clone()) };
        let read = std::fs::read_to_string(path);
        let failed = |source| ProviderConfigError::Secret { id: self.id.clone(), path: path.clone(), source };
        Ok(Some(read.map_err(failed)?.trim().to_owned()))
    }

    /// The groups that this provider decides about.
    pub fn decided(&self) -> BTreeSet<&String> {
        self.groups.values().collect()
    }

    /// The page's address, ending in a slash.
    pub fn page(&self) -> String {
        format!("{}/", self.page.trim_end_matches('/'))
    }

    /// Where the provider sends browsers back to.
    pub fn callback(&self) -> String {
        format!("{}api/oidc/{}/callback", self.page(), self.id)
    }

    /// What records call a sign-in by this provider.
    pub fn method(&self) -> String {
        format!("oidc:{}", self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(more: &str) -> Result<(), String> {
        let text = format!("id='psc'\ntitle='PSC'\nclient_id='c'\n{more}");
        let provider: ProviderConfig = toml::from_str(&text).map_err(|error| error.to_string())?;
        ProviderConfig::check_all(&[provider], true).map_err(|error| error.to_string())
    }

    #[test]
    fn a_provider_is_asked_over_tls_alone_except_on_this_machine() {
        let page = "page='https://gateway.example'\n";
        assert_eq!(checked(&format!("issuer='https://idp.example/realm'\n{page}")), Ok(()));
        assert_eq!(checked(&format!("issuer='http://127.0.0.1:9000'\n{page}")), Ok(()));
        for wrong in ["http://idp.example", "http://127.0.0.1.example", "idp.example", "file:///etc", ""] {
            assert!(checked(&format!("issuer='{wrong}'\n{page}")).unwrap_err().contains("https"), "{wrong}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_what_to_do() {
        let good = "issuer='https://idp.example'\npage='https://gateway.example'\n";
        let two = format!("{good}client_secret='a'\nclient_secret_file='b'");
        assert!(checked(&two).unwrap_err().contains("client_secret_file"));
        assert!(checked(&format!("{good}groups={{a='b'}}")).unwrap_err().contains("groups_claim"));
        assert!(checked(&format!("{good}isuer='x'")).unwrap_err().contains("isuer"));
        let provider: ProviderConfig =
            toml::from_str(&format!("id='a/b'\ntitle=''\nclient_id='c'\n{good}")).unwrap();
        assert!(ProviderConfig::check_all(std::slice::from_ref(&provider), true).is_err());
        assert!(ProviderConfig::check_all(&[provider], false).unwrap_err().to_string().contains("[sign_in]"));
    }
}
