//! Enrolled seats: what a workstation's key signs, and the nonces that make each signature good once.

use super::{SeatError, new_id};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use aws_lc_rs::{constant_time, digest, hmac};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// A nonce is good for so long. An agent has one at hand, so that a tap is one question.
pub const NONCE_MS: i64 = 120_000;
/// How far a seat's clock may be off.
pub const CLOCK_MS: i64 = 5 * 60_000;
/// Nonces remembered as used. Only what an enrolled seat signed is.
const MOST_USED: usize = 65_536;
/// No nonce is longer, in bytes.
const LONGEST: usize = 128;

/// What a seat asks, so that no signature serves for something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeatRequest {
    Enrol,
    Tap,
    Pin,
    Lock,
}

impl SeatRequest {
    fn name(self) -> &'static str {
        match self {
            SeatRequest::Enrol => "enrol",
            SeatRequest::Tap => "tap",
            SeatRequest::Pin => "pin",
            SeatRequest::Lock => "lock",
        }
    }
}

/// The bytes that are signed: each part with its length, so that no two requests have the same.
fn message(request: SeatRequest, parts: &[&str], time_ms: i64) -> Vec<u8> {
    let time = time_ms.to_string();
    let mut bytes = b"chevet seat 1".to_vec();
    for part in [request.name(), &time].into_iter().chain(parts.iter().copied()) {
        bytes.extend((part.len() as u64).to_be_bytes());
        bytes.extend(part.as_bytes());
    }
    bytes
}

/// A seat's own key. It never leaves the workstation.
pub struct SeatKey(Ed25519KeyPair);

impl SeatKey {
    pub fn new() -> Result<SeatKey, aws_lc_rs::error::Unspecified> {
        Ed25519KeyPair::generate().map(SeatKey)
    }

    /// The key as PKCS #8, in base64.
    pub fn to_text(&self) -> Result<String, aws_lc_rs::error::Unspecified> {
        use aws_lc_rs::encoding::{AsBigEndian, Curve25519SeedBin};
        let seed: Curve25519SeedBin<'_> = self.0.seed()?.as_be_bytes()?;
        Ok(URL_SAFE_NO_PAD.encode(seed.as_ref()))
    }

    pub fn from_text(text: &str) -> Option<SeatKey> {
        let seed = zeroize::Zeroizing::new(URL_SAFE_NO_PAD.decode(text.trim()).ok()?);
        Ed25519KeyPair::from_seed_unchecked(&seed).ok().map(SeatKey)
    }

    pub fn public_key(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0.public_key())
    }

    /// Signs a request. `parts` are what it says, in the order in which the gateway reads it.
    pub fn sign(&self, request: SeatRequest, parts: &[&str], time_ms: i64) -> String {
        URL_SAFE_NO_PAD.encode(self.0.sign(&message(request, parts, time_ms)))
    }
}

/// Whether the key signed this.
pub fn is_signed(
    public_key: &str,
    request: SeatRequest,
    parts: &[&str],
    time_ms: i64,
    signature: &str,
) -> bool {
    let (Ok(key), Ok(signature)) = (URL_SAFE_NO_PAD.decode(public_key), URL_SAFE_NO_PAD.decode(signature))
    else {
        return false;
    };
    UnparsedPublicKey::new(&ED25519, key).verify(&message(request, parts, time_ms), &signature).is_ok()
}

/// Whether this can be a seat's public key.
pub fn is_public_key(text: &str) -> bool {
    URL_SAFE_NO_PAD.decode(text).is_ok_and(|bytes| bytes.len() == 32)
}

/// Nonces of one start of a gateway. None is remembered before a seat has used it: strangers may ask for as many as they like.
pub struct Nonces {
    key: hmac::Key,
    used: Mutex<HashMap<[u8; 32], i64>>,
}

impl Default for Nonces {
    fn default() -> Self {
        let mut key = [0; 32];
        getrandom::fill(&mut key).expect("a running Linux gives random numbers");
        Nonces { key: hmac::Key::new(hmac::HMAC_SHA256, &key), used: Mutex::default() }
    }
}

impl Nonces {
    pub fn give(&self, now_ms: i64) -> String {
        let plain = format!("{now_ms}.{}", new_id());
        let tag = hmac::sign(&self.key, plain.as_bytes());
        format!("{plain}.{}", URL_SAFE_NO_PAD.encode(tag))
    }

    /// Whether this gateway gave it lately.
    pub fn is_fresh(&self, nonce: &str, now_ms: i64) -> bool {
        if nonce.len() > LONGEST {
            return false;
        }
        let Some((plain, tag)) = nonce.rsplit_once('.') else { return false };
        let Ok(tag) = URL_SAFE_NO_PAD.decode(tag) else { return false };
        let right = hmac::sign(&self.key, plain.as_bytes());
        if constant_time::verify_slices_are_equal(right.as_ref(), &tag).is_err() {
            return false;
        }
        let given = plain.split('.').next().and_then(|time| time.parse::<i64>().ok());
        given.is_some_and(|given| (0..NONCE_MS).contains(&(now_ms - given)))
    }

    /// Uses one up, after the signature over it was found good.
    pub fn take(&self, nonce: &str, now_ms: i64) -> Result<(), SeatError> {
        if !self.is_fresh(nonce, now_ms) {
            return Err(SeatError::refused("the nonce is not this gateway's, or too old"));
        }
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if used.len() >= MOST_USED {
            used.retain(|_, until| *until > now_ms);
        }
        if used.len() >= MOST_USED {
            return Err(SeatError::TooMany);
        }
        let mut name = [0; 32];
        name.copy_from_slice(digest::digest(&digest::SHA256, nonce.as_bytes()).as_ref());
        match used.insert(name, now_ms + NONCE_MS) {
            None => Ok(()),
            Some(_) => Err(SeatError::refused("the request was sent before")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_nonce_is_good_once_for_two_minutes_at_the_gateway_that_gave_it() {
        let (ours, theirs) = (Nonces::default(), Nonces::default());
        let nonce = ours.give(1_000);
        assert!(theirs.take(&nonce, 1_000).is_err());
        assert!(ours.take(&nonce, 1_000 + NONCE_MS).is_err(), "too old");
        assert!(ours.take(&nonce, 999).is_err(), "before it was given");
        assert!(ours.take(&nonce, 2_000).is_ok());
        assert!(ours.take(&nonce, 2_000).is_err(), "sent before");
        assert!(ours.take(&nonce.replace("1000.", "9000."), 9_000).is_err(), "made younger");
    }

    #[test]
    fn a_seats_key_signs_one_request_and_no_other() {
        let key = SeatKey::new().unwrap();
        let again = SeatKey::from_text(&key.to_text().unwrap()).unwrap();
        assert_eq!(again.public_key(), key.public_key());
        let signature = again.sign(SeatRequest::Tap, &["seat", "nonce", "04A1"], 7);
        let signed =
            |request, parts: &[&str], time| is_signed(&key.public_key(), request, parts, time, &signature);
        assert!(signed(SeatRequest::Tap, &["seat", "nonce", "04A1"], 7));
        assert!(!signed(SeatRequest::Lock, &["seat", "nonce", "04A1"], 7), "another request");
        assert!(!signed(SeatRequest::Tap, &["seat", "nonce", "04A2"], 7), "another badge");
        assert!(!signed(SeatRequest::Tap, &["seatn", "once", "04A1"], 7), "parts cut elsewhere");
        assert!(!signed(SeatRequest::Tap, &["seat", "nonce", "04A1"], 8), "another time");
        let other = SeatKey::new().unwrap().public_key();
        assert!(!is_signed(&other, SeatRequest::Tap, &["seat", "nonce", "04A1"], 7, &signature));
    }

    proptest! {
        #[test]
        fn whatever_is_shown_as_a_nonce_or_a_signature_nothing_panics(text in ".{0,200}", at in any::<i64>()) {
            prop_assert!(!Nonces::default().is_fresh(&text, at));
            prop_assert!(!is_signed(&text, SeatRequest::Tap, &[&text], at, &text));
            let _ = SeatKey::from_text(&text);
        }
    }
}
