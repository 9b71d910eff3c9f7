//! Signing in by an OpenID provider without a browser here: a code is confirmed in any browser, and this waits for it.

use super::http::Site;
use super::signed_in::{SignInFailed, SignedIn, ask};
use hyper::Method;
use serde_json::json;
use std::time::{Duration, Instant};

/// What the person is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceCode {
    /// The address to open in any browser.
    pub place: String,
    pub code: String,
}

impl SignedIn {
    /// Signs in by a provider of the gateway, by its name there. `tell` shows the person what to do.
    pub async fn with_device(
        site: Site,
        provider: &str,
        seat: &str,
        tell: impl FnOnce(&DeviceCode),
    ) -> Result<SignedIn, SignInFailed> {
        if provider.is_empty() || !provider.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
            return Err(SignInFailed::Refused(format!("{provider:?} is no provider's name")));
        }
        let target = super::address::target_of(&site).await?;
        let path = format!("/api/oidc/{provider}/device");
        let begun = ask(&site, Method::POST, &path, None, Some(&json!({"seat": seat}))).await?;
        let text = |name: &str| shown(begun[name].as_str().unwrap_or_default());
        tell(&DeviceCode { place: text("verification_uri"), code: text("user_code") });
        let seconds = |value: &serde_json::Value| value.as_u64().unwrap_or(5).clamp(1, 600);
        let until =
            Instant::now() + Duration::from_secs(begun["expires_in"].as_u64().unwrap_or(600).min(3_600));
        let mut interval = seconds(&begun["interval"]);
        let wish = json!({"handle": begun["handle"]});
        while Instant::now() < until {
            tokio::time::sleep(Duration::from_secs(interval)).await;
            let answer = ask(&site, Method::POST, &format!("{path}/poll"), None, Some(&wish)).await;
            let answer = match answer {
                // The network may come back before the code is over.
                Err(SignInFailed::Unreachable { .. }) => continue,
                answer => answer?,
            };
            if let Some(secret) = answer["token"].as_str() {
                return Ok(SignedIn::shown(site, target, secret.to_owned()));
            }
            interval = seconds(&answer["interval"]);
        }
        Err(SignInFailed::Refused("the code was not confirmed in time; begin again".into()))
    }
}

/// A gateway's text as a terminal may show it.
fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(512).collect()
}
