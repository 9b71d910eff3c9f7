//! Whether a provider's token is its own, meant for us, and of now. No I/O, no clock.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, JwkSet, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Map, Value};

pub type Claims = Map<String, Value>;

/// Clocks may differ by so much, in seconds.
pub const SKEW_S: i64 = 60;
/// A token is at most so long, in bytes.
const MOST_BYTES: usize = 64 << 10;
const MOST_SUBJECT: usize = 255;
/// What a logout token says that it is.
const LOGOUT_EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// Only such that the provider alone can sign with.
const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("the token is no signed JWT with claims")]
    Malformed,
    #[error("the token's algorithm is none that the provider alone can sign with")]
    Algorithm,
    #[error("the token's type {0:?} is not the one asked for")]
    Type(String),
    #[error("the token is signed with a key that the provider does not publish")]
    UnknownKey,
    #[error("the token's signature is wrong")]
    Signature,
    #[error("the token's issuer is not this provider")]
    Issuer,
    #[error("the token is meant for somebody else")]
    Audience,
    #[error("the token has expired")]
    Expired,
    #[error("the token is from the future: the provider's clock and this one differ by more than {SKEW_S} s")]
    Early,
    #[error("the token does not answer this sign-in (its nonce is another)")]
    Nonce,
    #[error("the token has no usable `{0}`")]
    Missing(&'static str),
    #[error("the level of assurance {0:?} is not enough")]
    Assurance(String),
    #[error("the token does not ask to end a sign-in")]
    NoLogout,
}

/// What a token must say.
pub struct Expected<'a> {
    pub issuer: &'a str,
    pub client: &'a str,
    pub now_s: i64,
}

/// The claims of a token that one of these keys signed. `types` are those of its header that are accepted, without case;
/// a token without type is of any.
pub fn signed_claims(token: &str, keys: &JwkSet, types: &[&str]) -> Result<Claims, TokenError> {
    if token.len() > MOST_BYTES {
        return Err(TokenError::Malformed);
    }
    let header = token.split('.').next().and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
    let header: Claims =
        header.and_then(|json| serde_json::from_slice(&json).ok()).ok_or(TokenError::Malformed)?;
    let text = |name| header.get(name).and_then(Value::as_str);
    let algorithm: Algorithm = text("alg").unwrap_or_default().parse().map_err(|_| TokenError::Algorithm)?;
    if !ALGORITHMS.contains(&algorithm) {
        return Err(TokenError::Algorithm);
    }
    // Extensions that must be understood are not.
    if header.contains_key("crit") {
        return Err(TokenError::Malformed);
    }
    if let Some(kind) = header.get("typ") {
        let kind = kind.as_str().unwrap_or_default();
        let bare = kind.to_ascii_lowercase();
        let bare = bare.strip_prefix("application/").unwrap_or(&bare);
        if !types.contains(&bare) {
            return Err(TokenError::Type(kind.chars().take(32).collect()));
        }
    }
    let key = key_of(keys, text("kid"), algorithm).ok_or(TokenError::UnknownKey)?;
    let key = DecodingKey::from_jwk(key).map_err(|_| TokenError::UnknownKey)?;
    // The signature alone: the claims are checked here, by the time that is given.
    let mut signature = Validation::new(algorithm);
    signature.required_spec_claims.clear();
    signature.validate_exp = false;
    signature.validate_nbf = false;
    signature.validate_aud = false;
    let decoded = jsonwebtoken::decode::<Claims>(token, &key, &signature);
    decoded.map(|decoded| decoded.claims).map_err(|error| match error.kind() {
        jsonwebtoken::errors::ErrorKind::InvalidSignature => TokenError::Signature,
        _ => TokenError::Malformed,
    })
}

/// The key of this name that signs by this algorithm; without a name the only one there is.
fn key_of<'a>(keys: &'a JwkSet, kid: Option<&str>, algorithm: Algorithm) -> Option<&'a Jwk> {
    let mut fitting = keys.keys.iter().filter(|key| {
        let common = &key.common;
        let signs = matches!(common.public_key_use, None | Some(PublicKeyUse::Signature));
        let named = kid.is_none() || common.key_id.as_deref() == kid;
        let stated = common.key_algorithm.as_ref();
        signs && named && stated.is_none_or(|a| *a == KeyAlgorithm::from(algorithm)) && is_of(key, algorithm)
    });
    let key = fitting.next()?;
    (kid.is_some() || fitting.next().is_none()).then_some(key)
}

fn is_of(key: &Jwk, algorithm: Algorithm) -> bool {
    use jsonwebtoken::jwk::EllipticCurve::{Ed25519, P256, P384};
    match (&key.algorithm, algorithm) {
        (
            AlgorithmParameters::RSA(_),
            Algorithm::RS256
            | Algorithm::RS384
            | Algorithm::RS512
            | Algorithm::PS256
            | Algorithm::PS384
            | Algorithm::PS512,
        ) => true,
        (AlgorithmParameters::EllipticCurve(key), Algorithm::ES256) => key.curve == P256,
        (AlgorithmParameters::EllipticCurve(key), Algorithm::ES384) => key.curve == P384,
        (AlgorithmParameters::OctetKeyPair(key), Algorithm::EdDSA) => key.curve == Ed25519,
        _ => false,
    }
}

/// Checks what every token says: by whom, for whom, and when.
fn check_common(claims: &Claims, expected: &Expected<'_>) -> Result<(), TokenError> {
    if claims.get("iss").and_then(Value::as_str) != Some(expected.issuer) {
        return Err(TokenError::Issuer);
    }
    // A token that is meant for others too could be shown by any of them.
    let for_us = match claims.get("aud") {
        Some(Value::String(one)) => one == expected.client,
        Some(Value::Array(all)) => !all.is_empty() && all.iter().all(|one| one == expected.client),
        _ => false,
    };
    let party = claims.get("azp").is_none_or(|party| party == expected.client);
    if !for_us || !party {
        return Err(TokenError::Audience);
    }
    let time = |name| match claims.get(name) {
        Some(value) => {
            let seconds = value.as_i64().or_else(|| value.as_f64().map(|seconds| seconds as i64));
            seconds.map(Some).ok_or(TokenError::Missing(name))
        }
        None => Ok(None),
    };
    let expires = time("exp")?.ok_or(TokenError::Missing("exp"))?;
    let issued = time("iat")?.ok_or(TokenError::Missing("iat"))?;
    if expires.saturating_add(SKEW_S) <= expected.now_s {
        return Err(TokenError::Expired);
    }
    let latest = expected.now_s + SKEW_S;
    if issued > latest || time("nbf")?.is_some_and(|from| from > latest) {
        return Err(TokenError::Early);
    }
    Ok(())
}

/// Checks an ID token's claims. `nonce` is the one that was sent, if one was; `acr` the levels that are enough.
pub fn check_id_token(
    claims: &Claims,
    expected: &Expected<'_>,
    nonce: Option<&str>,
    acr: &[String],
) -> Result<(), TokenError> {
    check_common(claims, expected)?;
    subject(claims)?;
    if let Some(nonce) = nonce
        && claims.get("nonce").and_then(Value::as_str) != Some(nonce)
    {
        return Err(TokenError::Nonce);
    }
    let reached = claims.get("acr").and_then(Value::as_str).unwrap_or_default();
    if !acr.is_empty() && !acr.iter().any(|level| level == reached) {
        return Err(TokenError::Assurance(reached.chars().take(64).collect()));
    }
    Ok(())
}

/// Who the provider says it is: the same for ever, and nobody else.
pub fn subject(claims: &Claims) -> Result<&str, TokenError> {
    let subject = claims.get("sub").and_then(Value::as_str).unwrap_or_default();
    let usable = (1..=MOST_SUBJECT).contains(&subject.len()) && !subject.chars().any(char::is_control);
    usable.then_some(subject).ok_or(TokenError::Missing("sub"))
}

/// Whose sign-ins a logout token ends.
#[derive(Debug, PartialEq, Eq)]
pub struct Logout {
    pub subject: Option<String>,
    pub sid: Option<String>,
}

/// Checks a logout token's claims.
pub fn check_logout_token(claims: &Claims, expected: &Expected<'_>) -> Result<Logout, TokenError> {
    check_common(claims, expected)?;
    let asks = claims.get("events").and_then(|events| events.get(LOGOUT_EVENT)).is_some_and(Value::is_object);
    // With a nonce it would be an ID token that somebody passes off as this.
    if !asks || claims.contains_key("nonce") {
        return Err(TokenError::NoLogout);
    }
    let text = |name| claims.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let logout = Logout { subject: text("sub").map(str::to_owned), sid: text("sid").map(str::to_owned) };
    if logout.subject.is_none() && logout.sid.is_none() {
        return Err(TokenError::Missing("sub"));
    }
    Ok(logout)
}
#[cfg(test)]
#[path = "token_tests.rs"]
mod tests;
