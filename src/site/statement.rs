//! How a site proves who it is: it signs the TLS exporter of the very connection, what it asks for and of whom. What was
//! heard on one connection is of no use on another, so statements need neither clocks that agree nor a memory of those that
//! were used. Certificates need not be known beforehand: whoever stands between has another exporter on each side.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The header with the name of the site that speaks, and the one with its statement's signature, in base64url.
pub const SPEAKER: &str = "chevet-site";
pub const STATEMENT: &str = "chevet-statement";

/// What a site signs: nothing else that chevet signs begins so. No two statements have the same bytes, as every part tells
/// its length.
pub fn message(exporter: &[u8; 32], speaker: &str, hearer: &str, what: &str, body: &[u8]) -> Vec<u8> {
    let mut message = b"chevet site 1\0".to_vec();
    message.extend_from_slice(exporter);
    for part in [speaker, hearer, what] {
        message.extend_from_slice(&(part.len() as u32).to_be_bytes());
        message.extend_from_slice(part.as_bytes());
    }
    message.extend_from_slice(digest(&SHA256, body).as_ref());
    message
}

/// Whether the owner of a key, in base64url, signed this message. The signature is in base64url, too.
pub fn proven(key: &str, message: &[u8], signature: &str) -> bool {
    let (Ok(key), Ok(signature)) = (URL_SAFE_NO_PAD.decode(key), URL_SAFE_NO_PAD.decode(signature)) else {
        return false;
    };
    UnparsedPublicKey::new(&ED25519, key).verify(message, &signature).is_ok()
}

/// Whether a text can be a site's public key.
pub fn is_site_key(text: &str) -> bool {
    URL_SAFE_NO_PAD.decode(text).is_ok_and(|bytes| bytes.len() == 32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_statement_holds_for_its_own_words_on_its_own_connection_alone(
            exporter: [u8; 32], other: [u8; 32], speaker in "[a-z]{1,8}", hearer in "[a-z]{1,8}",
            what in "[a-z/]{1,12}", body: Vec<u8>, bit in 0usize..512,
        ) {
            let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
            let key = URL_SAFE_NO_PAD.encode(pair.public_key());
            let stranger = Ed25519KeyPair::from_seed_unchecked(&[8; 32]).unwrap();
            let said = message(&exporter, &speaker, &hearer, &what, &body);
            let signature = pair.sign(&said);
            let text = URL_SAFE_NO_PAD.encode(signature);
            prop_assert!(proven(&key, &said, &text));
            let strange = URL_SAFE_NO_PAD.encode(stranger.sign(&said));
            prop_assert!(!proven(&key, &said, &strange));
            let mut tampered = signature.as_ref().to_vec();
            tampered[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(!proven(&key, &said, &URL_SAFE_NO_PAD.encode(tampered)));
            let mut longer = body.clone();
            longer.push(0);
            for changed in [
                message(&other, &speaker, &hearer, &what, &body),
                message(&exporter, &format!("{speaker}x"), &hearer, &what, &body),
                message(&exporter, &speaker, &format!("{hearer}x"), &what, &body),
                message(&exporter, &speaker, &hearer, &format!("{what}x"), &body),
                message(&exporter, &speaker, &hearer, &what, &longer),
            ] {
                prop_assert_eq!(proven(&key, &changed, &text), changed == said);
            }
        }

        #[test]
        fn no_two_statements_have_the_same_bytes(
            one in ("[ab]{0,3}", "[ab]{0,3}", "[ab]{0,3}"), two in ("[ab]{0,3}", "[ab]{0,3}", "[ab]{0,3}"),
        ) {
            let first = message(&[0; 32], &one.0, &one.1, &one.2, b"");
            let second = message(&[0; 32], &two.0, &two.1, &two.2, b"");
            prop_assert_eq!(first == second, one == two);
        }
    }
}
