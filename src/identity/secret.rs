//! Random names and secrets, and what is sealed by the gateway's own secret.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use aws_lc_rs::{digest, hmac};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// What was sealed, as text: nonce, then ciphertext with its tag, in base64url.
pub type Sealed = String;

/// The keys that are derived from the gateway's secret, each for one purpose.
pub struct Keys {
    sealing: RandomizedNonceKey,
    tickets: Ed25519KeyPair,
    lookups: hmac::Key,
    site: Ed25519KeyPair,
}

impl Keys {
    /// Keys of a secret: the same ones whenever it is the same.
    pub fn new(secret: &hmac::Key) -> Self {
        let derive = |purpose: &str| hmac::sign(secret, purpose.as_bytes());
        let sealing = RandomizedNonceKey::new(&AES_256_GCM, derive("chevet sealing 1").as_ref());
        let tickets = Ed25519KeyPair::from_seed_unchecked(derive("chevet tickets 1").as_ref());
        let site = Ed25519KeyPair::from_seed_unchecked(derive("chevet site 1").as_ref());
        Keys {
            sealing: sealing.expect("SHA-256 gives 32 bytes, which is a key of AES-256"),
            tickets: tickets.expect("SHA-256 gives 32 bytes, which is a seed of Ed25519"),
            lookups: hmac::Key::new(hmac::HMAC_SHA256, derive("chevet lookups 1").as_ref()),
            site: site.expect("SHA-256 gives 32 bytes, which is a seed of Ed25519"),
        }
    }

    pub(super) fn tickets(&self) -> &Ed25519KeyPair {
        &self.tickets
    }

    /// By this other sites know the site of these keys: the public half, in base64url.
    pub fn site_key(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.site.public_key())
    }

    /// What the site of these keys says to others, signed; in base64url.
    pub(crate) fn sign_for_site(&self, message: &[u8]) -> String {
        URL_SAFE_NO_PAD.encode(self.site.sign(message))
    }

    /// A hash by which something is found again that has too few digits to be hashed without a key.
    pub(super) fn keyed_hash(&self, what: &str, text: &str) -> String {
        let tag = hmac::sign(&self.lookups, format!("{what} {text}").as_bytes());
        URL_SAFE_NO_PAD.encode(tag)
    }

    /// Seals something that belongs to `owner`: it opens for the same owner alone.
    pub fn seal(&self, plain: &[u8], owner: &str) -> Sealed {
        let mut sealed = plain.to_vec();
        let nonce = self.sealing.seal_in_place_append_tag(Aad::from(owner.as_bytes()), &mut sealed);
        let nonce = nonce.expect("AES-256-GCM seals what is shorter than 64 GiB");
        URL_SAFE_NO_PAD.encode([nonce.as_ref().as_slice(), &sealed].concat())
    }

    /// What was sealed for this owner; nothing if it was not, or not by these keys.
    pub fn open(&self, sealed: &str, owner: &str) -> Option<Vec<u8>> {
        let bytes = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE_LEN>()?;
        let mut sealed = sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let plain = self.sealing.open_in_place(nonce, Aad::from(owner.as_bytes()), &mut sealed).ok()?;
        Some(plain.to_vec())
    }
}

/// A name that nobody else has: 16 random bytes as base64url.
pub fn new_id() -> String {
    random_text::<16>()
}

/// A secret that cannot be guessed: 32 random bytes as base64url.
pub fn new_secret() -> String {
    random_text::<32>()
}

fn random_text<const N: usize>() -> String {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("a running Linux gives random numbers");
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Ten letters and digits that are not taken for one another, to be told and typed by people.
pub fn new_code() -> String {
    const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let mut bytes = [0; 10];
    getrandom::fill(&mut bytes).expect("a running Linux gives random numbers");
    let letters: String = bytes.iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect();
    format!("{}-{}", &letters[..5], &letters[5..])
}

/// SHA-256 in hexadecimal digits.
pub fn sha256_hex(bytes: &[u8]) -> String {
    digest::digest(&digest::SHA256, bytes).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(secret: &[u8]) -> Keys {
        Keys::new(&hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    #[test]
    fn what_is_sealed_opens_with_the_same_secret_for_the_same_owner_and_not_when_changed() {
        let sealed = keys(b"one").seal(b"plain", "anne");
        assert_eq!(keys(b"one").open(&sealed, "anne").unwrap(), b"plain");
        assert_eq!(keys(b"one").open(&sealed, "paul"), None);
        assert_eq!(keys(b"two").open(&sealed, "anne"), None);
        for at in 0..sealed.len() {
            let mut changed = sealed.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            // The last digit has spare bits, which base64url requires to be zero.
            assert_eq!(keys(b"one").open(&changed, "anne"), None, "digit {at}");
        }
        assert_eq!(keys(b"one").open("", "anne"), None);
    }
}
