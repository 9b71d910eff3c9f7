//! One provider: the authorization code flow, and what every flow does with the tokens at its end.

use super::OidcError;
use super::config::{ProviderConfig, ProviderConfigError};
use super::device::Device;
use super::known::{Metadata, Publisher};
use super::token::{Claims, Expected, Logout, check_id_token, check_logout_token, subject};
use crate::identity::pending::Pending;
use crate::identity::{Newcomer, Who, new_secret, sha256_hex};
use crate::outbound::{Answer, Http, Showing};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use url::Url;
use url::form_urlencoded::Serializer;

/// A sign-in that was begun waits so long.
const WAITS_MS: i64 = 600_000;
/// What a provider says of its error is repeated to so many characters.
const MOST_REASON: usize = 200;

pub struct Provider {
    config: ProviderConfig,
    secret: Option<String>,
    pub(super) http: Http,
    pub(super) publisher: Publisher,
    begun: Pending<Begun>,
    pub(super) devices: Pending<Device>,
}

/// A sign-in that a browser has begun.
struct Begun {
    /// The hash of the secret that the browser holds.
    browser: String,
    nonce: String,
    verifier: String,
    seat: String,
}

/// Who it was, by the provider's word.
pub struct Proven {
    pub subject: String,
    pub sid: String,
    pub id_token: String,
    pub who: Who,
}

impl Proven {
    /// The person for whom a user is looked for.
    pub fn newcomer<'a>(&'a self, config: &'a ProviderConfig, method: &'a str) -> Newcomer<'a> {
        Newcomer {
            issuer: &config.issuer,
            subject: &self.subject,
            who: &self.who,
            link: config.link,
            create: config.create,
            decided: config.decided(),
            method,
        }
    }
}

/// What the browser brought back from the provider.
#[derive(Debug, Default)]
pub struct Answered {
    pub state: Option<String>,
    pub code: Option<String>,
    pub issuer: Option<String>,
    pub error: Option<String>,
}

impl Answered {
    pub fn of(query: &str) -> Answered {
        let mut answered = Answered::default();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            let field = match &*name {
                "state" => &mut answered.state,
                "code" => &mut answered.code,
                "iss" => &mut answered.issuer,
                "error" => &mut answered.error,
                _ => continue,
            };
            field.get_or_insert(value.into_owned());
        }
        answered
    }
}

/// Why a provider cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    #[error(transparent)]
    Config(#[from] ProviderConfigError),
    #[error("[[oidc]] {id}: {reason}")]
    Tls { id: String, reason: String },
}

impl Provider {
    /// Asks nothing of the provider yet: it may be down when the gateway starts.
    pub fn new(config: &ProviderConfig) -> Result<Provider, ProviderError> {
        let http = Http::new(config.ca.as_deref());
        let http = http.map_err(|reason| ProviderError::Tls { id: config.id.clone(), reason })?;
        Ok(Provider {
            config: config.clone(),
            secret: config.secret()?,
            publisher: Publisher::new(config.issuer.clone(), http.clone()),
            http,
            begun: Pending::default(),
            devices: Pending::default(),
        })
    }

    pub fn config(&self) -> &ProviderConfig {
        &self.config
    }

    /// Begins a sign-in of the browser that holds this secret; it is sent to the address that is returned.
    pub async fn begin(&self, browser: &str, seat: &str, now_ms: i64) -> Result<Url, OidcError> {
        let metadata = self.publisher.metadata(now_ms).await?;
        let (state, nonce, verifier) = (new_secret(), new_secret(), new_secret());
        let challenge = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, verifier.as_bytes());
        let mut place = metadata.authorization_endpoint.clone();
        {
            let mut query = place.query_pairs_mut();
            query
                .append_pair("response_type", "code")
                .append_pair("client_id", &self.config.client_id)
                .append_pair("redirect_uri", &self.config.callback())
                .append_pair("scope", &self.scope())
                .append_pair("state", &state)
                .append_pair("nonce", &nonce)
                .append_pair("code_challenge", &URL_SAFE_NO_PAD.encode(challenge))
                .append_pair("code_challenge_method", "S256");
            if !self.config.acr.is_empty() {
                query.append_pair("acr_values", &self.config.acr.join(" "));
            }
            if let Some(prompt) = &self.config.prompt {
                query.append_pair("prompt", prompt);
            }
        }
        let browser = sha256_hex(browser.as_bytes());
        let seat = seat.chars().take(crate::identity::MAX_TITLE).collect();
        let begun = Begun { browser, nonce, verifier, seat };
        match self.begun.put(&state, begun, now_ms + WAITS_MS, now_ms) {
            true => Ok(place),
            false => Err(OidcError::TooMany),
        }
    }

    /// Ends it with what the provider answered: who it is, and at which seat.
    pub async fn finish(
        &self,
        answered: &Answered,
        browser: &str,
        now_ms: i64,
    ) -> Result<(Proven, String), OidcError> {
        let state = answered.state.as_deref().unwrap_or_default();
        // Taken whatever follows: a state is good once.
        let (_, begun) = self.begun.take(state, now_ms).ok_or(OidcError::NotAwaited)?;
        // Otherwise somebody could sign others in as themselves.
        if begun.browser != sha256_hex(browser.as_bytes()) {
            return Err(OidcError::NotAwaited);
        }
        let metadata = self.publisher.metadata(now_ms).await?;
        let named = answered.issuer.as_deref();
        let must = metadata.authorization_response_iss_parameter_supported;
        if (must || named.is_some()) && named != Some(&self.config.issuer) {
            return Err(OidcError::OtherIssuer(shortened(named.unwrap_or_default())));
        }
        if let Some(error) = &answered.error {
            return Err(OidcError::Denied(shortened(error)));
        }
        let code = answered.code.as_deref().ok_or_else(|| OidcError::Refused("there is no code".into()))?;
        let callback = self.config.callback();
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &callback),
            ("code_verifier", &begun.verifier),
        ];
        let answer = self.post(&metadata, &metadata.token_endpoint, &form).await?;
        let tokens = tokens(&answer)?;
        let proven = self.proven(&metadata, &tokens, Some(&begun.nonce), now_ms).await?;
        Ok((proven, begun.seat))
    }

    /// Who the tokens at the end of a flow are of.
    pub(super) async fn proven(
        &self,
        metadata: &Metadata,
        tokens: &Value,
        nonce: Option<&str>,
        now_ms: i64,
    ) -> Result<Proven, OidcError> {
        let id_token = tokens["id_token"].as_str();
        let id_token = id_token.ok_or_else(|| OidcError::Refused("there is no ID token".into()))?;
        let mut claims = self.publisher.signed_claims(id_token, &["jwt"], now_ms).await?;
        check_id_token(&claims, &self.expected(now_ms), nonce, &self.config.acr)?;
        let subject = subject(&claims)?.to_owned();
        let sid = claims.get("sid").and_then(Value::as_str).unwrap_or_default().to_owned();
        if let (true, Some(place), Some(access)) =
            (self.config.userinfo, &metadata.userinfo_endpoint, tokens["access_token"].as_str())
        {
            let more = self.userinfo(place, access, now_ms).await?;
            if super::token::subject(&more)? != subject {
                return Err(OidcError::OtherSubject);
            }
            // What the ID token says is signed, and stays.
            for (name, value) in more {
                claims.entry(name).or_insert(value);
            }
        }
        let who = Who::of(&claims, &self.config)?;
        Ok(Proven { subject, sid, id_token: id_token.to_owned(), who })
    }

    async fn userinfo(&self, place: &Url, access: &str, now_ms: i64) -> Result<Claims, OidcError> {
        let answer = self.http.get(place, Showing::Bearer(access)).await.map_err(OidcError::Down)?;
        if !answer.status.is_success() {
            return Err(OidcError::Refused(format!("the userinfo endpoint answered {}", answer.status)));
        }
        if answer.is_jwt {
            let token = String::from_utf8_lossy(&answer.body);
            return self.publisher.signed_claims(token.trim(), &["jwt"], now_ms).await;
        }
        match answer.json() {
            Ok(Value::Object(claims)) => Ok(claims),
            _ => Err(OidcError::Down("its userinfo is no JSON object".into())),
        }
    }

    /// Whose sign-ins a logout token of the provider ends.
    pub async fn logout(&self, token: &str, now_ms: i64) -> Result<Logout, OidcError> {
        let claims = self.publisher.signed_claims(token, &["logout+jwt", "jwt"], now_ms).await?;
        Ok(check_logout_token(&claims, &self.expected(now_ms))?)
    }

    /// Where a browser signs out at the provider too, if that is wished and can be.
    pub async fn leave(&self, id_token: &str, now_ms: i64) -> Option<Url> {
        if !self.config.sign_out_there {
            return None;
        }
        let metadata = self.publisher.metadata(now_ms).await.ok()?;
        let mut place = metadata.end_session_endpoint.clone()?;
        place
            .query_pairs_mut()
            .append_pair("id_token_hint", id_token)
            .append_pair("client_id", &self.config.client_id)
            .append_pair("post_logout_redirect_uri", &self.config.page());
        Some(place)
    }

    fn expected(&self, now_ms: i64) -> Expected<'_> {
        Expected { issuer: &self.config.issuer, client: &self.config.client_id, now_s: now_ms / 1_000 }
    }

    pub(super) fn scope(&self) -> String {
        let mut scopes = self.config.scopes.clone();
        if !scopes.iter().any(|scope| scope == "openid") {
            scopes.insert(0, "openid".into());
        }
        scopes.join(" ")
    }

    /// Asks an endpoint as this client.
    pub(super) async fn post(
        &self,
        metadata: &Metadata,
        place: &Url,
        form: &[(&str, &str)],
    ) -> Result<Answer, OidcError> {
        let id = self.config.client_id.as_str();
        let methods = metadata.token_endpoint_auth_methods_supported.as_deref();
        // Basic is what a provider understands that says nothing.
        let basic = methods.is_none_or(|all| all.iter().any(|method| method == "client_secret_basic"));
        let (showing, more) = match &self.secret {
            Some(secret) if basic => (Showing::Basic(id, secret), vec![]),
            Some(secret) => (Showing::Nothing, vec![("client_id", id), ("client_secret", secret.as_str())]),
            None => (Showing::Nothing, vec![("client_id", id)]),
        };
        let body = Serializer::new(String::new()).extend_pairs(form).extend_pairs(more).finish();
        self.http.post(place, showing, &body).await.map_err(OidcError::Down)
    }
}

/// What a token endpoint answered, if it gave tokens.
fn tokens(answer: &Answer) -> Result<Value, OidcError> {
    if answer.status.is_server_error() {
        return Err(OidcError::Down(format!("its token endpoint answered {}", answer.status)));
    }
    let body = answer.json().map_err(OidcError::Down)?;
    match answer.status.is_success() {
        true => Ok(body),
        false => Err(OidcError::Refused(shortened(body["error"].as_str().unwrap_or("no reason given")))),
    }
}

pub(super) fn shortened(text: &str) -> String {
    text.chars().take(MOST_REASON).collect()
}
