//! What a provider publishes of itself: its endpoints and keys, fetched when they are needed and kept for a while.

use super::OidcError;
use super::token::{Claims, TokenError, signed_claims};
use crate::outbound::{Http, Showing};
use jsonwebtoken::jwk::JwkSet;
use serde::Deserialize;
use std::sync::Arc;
use tokio::sync::Mutex;
use url::Url;

/// Keys that a provider withdraws are trusted no longer than this.
const KEPT_MS: i64 = 600_000;
/// A key that is not known is not looked for more often: anybody can name one.
const AGAIN_MS: i64 = 5_000;
/// No provider publishes more.
const MOST_KEYS: usize = 64;

/// The provider's own description (OpenID Connect Discovery).
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Metadata {
    issuer: String,
    pub authorization_endpoint: Url,
    pub token_endpoint: Url,
    jwks_uri: Url,
    pub userinfo_endpoint: Option<Url>,
    pub end_session_endpoint: Option<Url>,
    pub device_authorization_endpoint: Option<Url>,
    pub token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    pub authorization_response_iss_parameter_supported: bool,
}

#[derive(Clone)]
struct Known {
    metadata: Arc<Metadata>,
    keys: Arc<JwkSet>,
    fetched_at: i64,
}

#[derive(Default)]
struct State {
    known: Option<Known>,
    tried_at: Option<i64>,
}

pub(super) struct Publisher {
    issuer: String,
    http: Http,
    // Held while fetching, so that many who wait ask once.
    state: Mutex<State>,
}

impl Publisher {
    pub fn new(issuer: String, http: Http) -> Publisher {
        Publisher { issuer, http, state: Mutex::default() }
    }

    pub async fn metadata(&self, now_ms: i64) -> Result<Arc<Metadata>, OidcError> {
        Ok(self.known(now_ms, None).await?.metadata)
    }

    /// The claims of a token that the provider signed. A key that is not known is looked for once more.
    pub async fn signed_claims(&self, token: &str, types: &[&str], now_ms: i64) -> Result<Claims, OidcError> {
        let known = self.known(now_ms, None).await?;
        match signed_claims(token, &known.keys, types) {
            Err(TokenError::UnknownKey) => {
                let newer = self.known(now_ms, Some(known.fetched_at)).await?;
                Ok(signed_claims(token, &newer.keys, types)?)
            }
            claims => Ok(claims?),
        }
    }

    /// What is known, fetched anew if it is old, or not newer than `not_from`.
    async fn known(&self, now_ms: i64, not_from: Option<i64>) -> Result<Known, OidcError> {
        let mut state = self.state.lock().await;
        let recent = state.tried_at.is_some_and(|at| (0..AGAIN_MS).contains(&(now_ms - at)));
        if let Some(known) = &state.known {
            let fresh = (0..KEPT_MS).contains(&(now_ms - known.fetched_at));
            let newer = not_from.is_none_or(|at| known.fetched_at > at);
            if fresh && (newer || recent) {
                return Ok(known.clone());
            }
        }
        if recent {
            return Err(OidcError::Down("it did not answer a moment ago".into()));
        }
        state.tried_at = Some(now_ms);
        let (metadata, keys) = self.fetch().await.map_err(OidcError::Down)?;
        let known = Known { metadata: Arc::new(metadata), keys: Arc::new(keys), fetched_at: now_ms };
        state.known = Some(known.clone());
        Ok(known)
    }

    async fn fetch(&self) -> Result<(Metadata, JwkSet), String> {
        let place = format!("{}/.well-known/openid-configuration", self.issuer.trim_end_matches('/'));
        let place = Url::parse(&place).map_err(|error| error.to_string())?;
        let metadata: Metadata = serde_json::from_value(self.get(&place).await?)
            .map_err(|error| format!("{place} is no description of a provider: {error}"))?;
        if metadata.issuer != self.issuer {
            return Err(format!("{place} describes {:?}, not {:?}", metadata.issuer, self.issuer));
        }
        let set = self.get(&metadata.jwks_uri).await?;
        let listed = set["keys"].as_array().ok_or_else(|| format!("{} has no keys", metadata.jwks_uri))?;
        // A key of a kind that is not known is not used; the others are.
        let keys = listed.iter().take(MOST_KEYS).filter_map(|key| serde_json::from_value(key.clone()).ok());
        Ok((metadata, JwkSet { keys: keys.collect() }))
    }

    async fn get(&self, place: &Url) -> Result<serde_json::Value, String> {
        let answer = self.http.get(place, Showing::Nothing).await;
        let answer = answer.map_err(|error| format!("asking {place}: {error}"))?;
        match answer.status.is_success() {
            true => answer.json(),
            false => Err(format!("{place} answered {}", answer.status)),
        }
    }
}
