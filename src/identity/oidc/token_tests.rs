use super::*;
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use proptest::prelude::*;
use serde_json::json;

const NOW: i64 = 1_800_000_000;

/// A provider with one key.
struct Signer {
    key: EcdsaKeyPair,
    keys: JwkSet,
}

fn signer() -> Signer {
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let point = &key.public_key().as_ref()[1..];
    let (x, y) = (URL_SAFE_NO_PAD.encode(&point[..32]), URL_SAFE_NO_PAD.encode(&point[32..]));
    let jwk = json!({"kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": "k1", "use": "sig", "alg": "ES256"});
    Signer { key, keys: JwkSet { keys: vec![serde_json::from_value(jwk).unwrap()] } }
}

impl Signer {
    fn sign(&self, header: Value, claims: &Value) -> String {
        let text = unsigned(&header, claims);
        let signature = self.key.sign(&SystemRandom::new(), text.as_bytes()).unwrap();
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn check(&self, claims: &Value, nonce: Option<&str>, acr: &[String]) -> Result<(), TokenError> {
        let token = self.sign(json!({"alg": "ES256", "kid": "k1"}), claims);
        let claims = signed_claims(&token, &self.keys, &["jwt"])?;
        check_id_token(&claims, &expected(), nonce, acr)
    }

    fn logout(&self, changed: &[(&str, Value)]) -> Result<Logout, TokenError> {
        let mut claims = json!({"iss": "https://idp.example", "aud": "chevet", "iat": NOW, "exp": NOW + 120,
            "jti": "1", "sub": "anne", "sid": "s1", "events": {LOGOUT_EVENT: {}}});
        change(&mut claims, changed);
        let token = self.sign(json!({"alg": "ES256", "kid": "k1", "typ": "logout+jwt"}), &claims);
        check_logout_token(&signed_claims(&token, &self.keys, &["logout+jwt", "jwt"])?, &expected())
    }
}

fn unsigned(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", part(header), part(claims))
}

fn expected() -> Expected<'static> {
    Expected { issuer: "https://idp.example", client: "chevet", now_s: NOW }
}

/// Sets claims; null takes one away.
fn change(claims: &mut Value, changed: &[(&str, Value)]) {
    for (name, value) in changed {
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(*name)),
            value => claims[*name] = value.clone(),
        }
    }
}

fn good() -> Value {
    json!({"iss": "https://idp.example", "aud": "chevet", "sub": "anne", "iat": NOW - 5, "exp": NOW + 300,
        "nonce": "n1", "acr": "eidas1"})
}

fn checked(changed: &[(&str, Value)]) -> Result<(), TokenError> {
    let mut claims = good();
    change(&mut claims, changed);
    signer().check(&claims, Some("n1"), &["eidas1".into()])
}

#[test]
fn a_token_that_says_what_is_expected_is_taken() {
    assert_eq!(checked(&[]), Ok(()));
    assert_eq!(checked(&[("aud", json!(["chevet"])), ("azp", json!("chevet"))]), Ok(()));
}

#[test]
fn a_token_of_another_issuer_or_for_another_client_is_refused() {
    for issuer in [json!("https://idp.example/"), json!("https://evil.example"), json!(1), Value::Null] {
        assert_eq!(checked(&[("iss", issuer)]), Err(TokenError::Issuer));
    }
    for audience in [json!("other"), json!([]), json!(["chevet", "other"]), json!({"chevet": 1}), Value::Null]
    {
        assert_eq!(checked(&[("aud", audience)]), Err(TokenError::Audience));
    }
    assert_eq!(checked(&[("azp", json!("other"))]), Err(TokenError::Audience));
}

#[test]
fn clocks_may_differ_by_a_minute_and_no_more() {
    assert_eq!(checked(&[("exp", json!(NOW - SKEW_S + 1))]), Ok(()));
    assert_eq!(checked(&[("exp", json!(NOW - SKEW_S))]), Err(TokenError::Expired));
    assert_eq!(checked(&[("iat", json!(NOW + SKEW_S))]), Ok(()));
    assert_eq!(checked(&[("iat", json!(NOW + SKEW_S + 1))]), Err(TokenError::Early));
    assert_eq!(checked(&[("nbf", json!(NOW + SKEW_S + 1))]), Err(TokenError::Early));
    assert_eq!(checked(&[("exp", Value::Null)]), Err(TokenError::Missing("exp")));
    assert_eq!(checked(&[("iat", Value::Null)]), Err(TokenError::Missing("iat")));
    for wrong in [json!("tomorrow"), json!([NOW]), json!({})] {
        assert!(checked(&[("exp", wrong.clone())]).is_err());
        assert!(checked(&[("iat", wrong)]).is_err());
    }
    assert_eq!(checked(&[("exp", json!(i64::MIN))]), Err(TokenError::Expired));
    assert_eq!(checked(&[("iat", json!(i64::MAX))]), Err(TokenError::Early));
}

#[test]
fn a_token_must_answer_this_sign_in_at_a_level_that_is_enough() {
    for nonce in [json!("n2"), json!(""), Value::Null] {
        assert_eq!(checked(&[("nonce", nonce)]), Err(TokenError::Nonce));
    }
    for acr in [json!("eidas0"), json!(["eidas1"]), json!("eidas1 "), Value::Null] {
        assert!(matches!(checked(&[("acr", acr)]), Err(TokenError::Assurance(_))));
    }
    for subject in [json!(""), json!("a\u{0}"), json!("a".repeat(256)), Value::Null] {
        assert_eq!(checked(&[("sub", subject)]), Err(TokenError::Missing("sub")));
    }
}

#[test]
fn no_algorithm_is_taken_that_others_can_sign_with() {
    let signer = signer();
    for algorithm in ["none", "None", "NONE", "", "HS256", "HS384", "HS512", "ES256K"] {
        let token = signer.sign(json!({"alg": algorithm, "kid": "k1"}), &good());
        assert_eq!(signed_claims(&token, &signer.keys, &["jwt"]), Err(TokenError::Algorithm), "{algorithm}");
    }
    // The public key as the secret of an HMAC.
    let text = unsigned(&json!({"alg": "HS256", "kid": "k1"}), &good());
    let secret = hmac::Key::new(hmac::HMAC_SHA256, signer.key.public_key().as_ref());
    let forged = format!("{text}.{}", URL_SAFE_NO_PAD.encode(hmac::sign(&secret, text.as_bytes())));
    assert_eq!(signed_claims(&forged, &signer.keys, &["jwt"]), Err(TokenError::Algorithm));
    // A key is of one algorithm.
    let other = signer.sign(json!({"alg": "RS256", "kid": "k1"}), &good());
    assert_eq!(signed_claims(&other, &signer.keys, &["jwt"]), Err(TokenError::UnknownKey));
    // A secret that a careless provider publishes is no key.
    let shared: Jwk = serde_json::from_value(json!({"kty": "oct", "k": "c2VjcmV0", "kid": "k1"})).unwrap();
    assert_eq!(signed_claims(&forged, &JwkSet { keys: vec![shared] }, &["jwt"]), Err(TokenError::Algorithm));
}

#[test]
fn a_token_of_another_key_kind_or_with_extensions_is_refused() {
    let (signer, other) = (signer(), signer());
    let token = |header: Value| signer.sign(header, &good());
    let of = |token: &str, keys: &JwkSet| signed_claims(token, keys, &["jwt"]).map(drop);
    let plain = token(json!({"alg": "ES256", "kid": "k1"}));
    assert_eq!(of(&plain, &other.keys), Err(TokenError::Signature));
    assert_eq!(of(&plain, &JwkSet { keys: vec![] }), Err(TokenError::UnknownKey));
    assert_eq!(of(&token(json!({"alg": "ES256", "kid": "k2"})), &signer.keys), Err(TokenError::UnknownKey));
    assert_eq!(of(&token(json!({"alg": "ES256"})), &signer.keys), Ok(()));
    let both = JwkSet { keys: [&signer, &other].iter().flat_map(|s| s.keys.keys.clone()).collect() };
    assert_eq!(of(&token(json!({"alg": "ES256"})), &both), Err(TokenError::UnknownKey));
    let typed = |kind: &str| of(&token(json!({"alg": "ES256", "kid": "k1", "typ": kind})), &signer.keys);
    assert_eq!(typed("JWT"), Ok(()));
    assert_eq!(typed("at+jwt"), Err(TokenError::Type("at+jwt".into())));
    assert_eq!(typed("logout+jwt"), Err(TokenError::Type("logout+jwt".into())));
    let critical = token(json!({"alg": "ES256", "kid": "k1", "crit": ["exp"]}));
    assert_eq!(of(&critical, &signer.keys), Err(TokenError::Malformed));
    // A key in the token itself is nobody's.
    let brought = json!({"alg": "ES256", "kid": "k1", "jwk": other.keys.keys[0]});
    assert_eq!(of(&other.sign(brought, &good()), &signer.keys), Err(TokenError::Signature));
}

#[test]
fn a_logout_token_ends_what_it_names_and_nothing_else_passes_for_one() {
    let signer = signer();
    let anne = Logout { subject: Some("anne".into()), sid: Some("s1".into()) };
    assert_eq!(signer.logout(&[]), Ok(anne));
    assert_eq!(signer.logout(&[("nonce", json!("n1"))]), Err(TokenError::NoLogout));
    for events in [json!({}), json!({LOGOUT_EVENT: 1}), json!([LOGOUT_EVENT]), Value::Null] {
        assert_eq!(signer.logout(&[("events", events)]), Err(TokenError::NoLogout));
    }
    let nobody = [("sub", Value::Null), ("sid", json!(""))];
    assert_eq!(signer.logout(&nobody), Err(TokenError::Missing("sub")));
    assert_eq!(signer.logout(&[("exp", json!(NOW - 61))]), Err(TokenError::Expired));
    assert_eq!(signer.logout(&[("aud", json!("other"))]), Err(TokenError::Audience));
}

proptest! {
    #[test]
    fn no_changed_byte_passes(at in any::<prop::sample::Index>(), to in any::<char>()) {
        let signer = signer();
        let token = signer.sign(json!({"alg": "ES256", "kid": "k1"}), &good());
        let mut letters: Vec<char> = token.chars().collect();
        let at = at.index(letters.len());
        prop_assume!(letters[at] != to);
        letters[at] = to;
        let changed: String = letters.into_iter().collect();
        prop_assert!(signed_claims(&changed, &signer.keys, &["jwt"]).is_err());
    }

    #[test]
    fn no_text_breaks_it(text in ".{0,200}") {
        prop_assert!(signed_claims(&text, &signer().keys, &["jwt"]).is_err());
    }
}
