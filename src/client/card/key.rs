//! A key on a card, as TLS 1.3 asks for signatures: RSA-PSS, and ECDSA on P-256 and P-384.

use aws_lc_rs::digest;
use cryptoki::mechanism::rsa::{PkcsMgfType, PkcsPssParams};
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::ObjectHandle;
use cryptoki::session::Session;
use rustls::sign::{Signer, SigningKey};
use rustls::{SignatureAlgorithm, SignatureScheme};
use std::sync::{Arc, Mutex, PoisonError};
use x509_parser::certificate::X509Certificate;
use x509_parser::oid_registry::{
    OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_NIST_EC_P384, OID_PKCS1_RSAENCRYPTION, OID_PKCS1_RSASSAPSS,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Rsa,
    P256,
    P384,
}

impl Kind {
    /// What key a certificate is for, if it is one of these.
    pub fn of(certificate: &X509Certificate) -> Option<Kind> {
        let algorithm = &certificate.public_key().algorithm;
        let oid = &algorithm.algorithm;
        if *oid == OID_PKCS1_RSAENCRYPTION || *oid == OID_PKCS1_RSASSAPSS {
            return Some(Kind::Rsa);
        }
        let curve = algorithm.parameters.as_ref()?.as_oid().ok()?;
        match *oid == OID_KEY_TYPE_EC_PUBLIC_KEY {
            true if curve == OID_EC_P256 => Some(Kind::P256),
            true if curve == OID_NIST_EC_P384 => Some(Kind::P384),
            _ => None,
        }
    }

    fn schemes(self) -> &'static [SignatureScheme] {
        match self {
            Kind::Rsa => &[
                SignatureScheme::RSA_PSS_SHA256,
                SignatureScheme::RSA_PSS_SHA384,
                SignatureScheme::RSA_PSS_SHA512,
            ],
            Kind::P256 => &[SignatureScheme::ECDSA_NISTP256_SHA256],
            Kind::P384 => &[SignatureScheme::ECDSA_NISTP384_SHA384],
        }
    }
}

/// A key that stays on its card.
#[derive(Clone)]
pub struct CardKey {
    session: Arc<Mutex<Session>>,
    key: ObjectHandle,
    kind: Kind,
}

impl CardKey {
    pub fn new(session: Arc<Mutex<Session>>, key: ObjectHandle, kind: Kind) -> Self {
        CardKey { session, key, kind }
    }
}

impl std::fmt::Debug for CardKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CardKey({:?})", self.kind)
    }
}

impl SigningKey for CardKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let scheme = *self.kind.schemes().iter().find(|scheme| offered.contains(scheme))?;
        Some(Box::new(CardSigner { key: self.clone(), scheme }))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        match self.kind {
            Kind::Rsa => SignatureAlgorithm::RSA,
            Kind::P256 | Kind::P384 => SignatureAlgorithm::ECDSA,
        }
    }
}

#[derive(Debug)]
struct CardSigner {
    key: CardKey,
    scheme: SignatureScheme,
}

impl Signer for CardSigner {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        let (hash, hash_type, mask) = match self.scheme {
            SignatureScheme::RSA_PSS_SHA384 | SignatureScheme::ECDSA_NISTP384_SHA384 => {
                (&digest::SHA384, MechanismType::SHA384, PkcsMgfType::MGF1_SHA384)
            }
            SignatureScheme::RSA_PSS_SHA512 => {
                (&digest::SHA512, MechanismType::SHA512, PkcsMgfType::MGF1_SHA512)
            }
            _ => (&digest::SHA256, MechanismType::SHA256, PkcsMgfType::MGF1_SHA256),
        };
        // Cards that cannot hash can sign what is hashed.
        let hashed = digest::digest(hash, message);
        let salt = hashed.as_ref().len() as u64;
        let mechanism = match self.key.kind {
            Kind::Rsa => {
                Mechanism::RsaPkcsPss(PkcsPssParams { hash_alg: hash_type, mgf: mask, s_len: salt.into() })
            }
            Kind::P256 | Kind::P384 => Mechanism::Ecdsa,
        };
        let session = self.key.session.lock().unwrap_or_else(PoisonError::into_inner);
        let signed = session.sign(&mechanism, self.key.key, hashed.as_ref());
        let signed = signed.map_err(|error| {
            rustls::Error::General(format!("the card did not sign ({error}): is it still in the reader?"))
        })?;
        match self.key.kind {
            Kind::Rsa => Ok(signed),
            Kind::P256 | Kind::P384 => ecdsa_der(&signed)
                .ok_or_else(|| rustls::Error::General("the card's signature is of an unknown form".into())),
        }
    }

    fn scheme(&self) -> SignatureScheme {
        self.scheme
    }
}

/// PKCS#11 gives r and s side by side; TLS wants them as a SEQUENCE of two INTEGERs.
fn ecdsa_der(raw: &[u8]) -> Option<Vec<u8>> {
    if raw.is_empty() || !raw.len().is_multiple_of(2) || raw.len() > 96 {
        return None;
    }
    let (r, s) = raw.split_at(raw.len() / 2);
    let body = [integer(r), integer(s)].concat();
    // At most 2 * (2 + 49) bytes: a length of one byte.
    Some([&[0x30, body.len() as u8][..], &body].concat())
}

fn integer(bytes: &[u8]) -> Vec<u8> {
    let first = bytes.iter().position(|&byte| byte != 0).unwrap_or(bytes.len() - 1);
    let digits = &bytes[first..];
    // A first bit that is set would make it negative.
    let sign: &[u8] = if digits[0] & 0x80 != 0 { &[0] } else { &[] };
    let length = (sign.len() + digits.len()) as u8;
    [&[0x02, length][..], sign, digits].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{
        ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_ASN1,
        ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair, UnparsedPublicKey,
    };

    #[test]
    fn integers_have_no_needless_zeros_and_stay_positive() {
        assert_eq!(ecdsa_der(&[0, 1, 0x80, 0]), Some(vec![0x30, 8, 2, 1, 1, 2, 3, 0, 0x80, 0]));
        assert_eq!(ecdsa_der(&[0, 0, 0, 0]), Some(vec![0x30, 6, 2, 1, 0, 2, 1, 0]));
        for wrong in [vec![], vec![1], vec![1; 98]] {
            assert_eq!(ecdsa_der(&wrong), None);
        }
    }

    #[test]
    fn a_signature_in_the_cards_form_is_one_in_tls_form() {
        let random = SystemRandom::new();
        for (signs, checks) in [
            (&ECDSA_P256_SHA256_FIXED_SIGNING, &ECDSA_P256_SHA256_ASN1),
            (&ECDSA_P384_SHA384_FIXED_SIGNING, &ECDSA_P384_SHA384_ASN1),
        ] {
            let key = EcdsaKeyPair::generate(signs).unwrap();
            let public = UnparsedPublicKey::new(checks, key.public_key().as_ref().to_vec());
            // Enough of them that some begin with a zero or a set bit.
            for number in 0..600u32 {
                let message = number.to_be_bytes();
                let raw = key.sign(&random, &message).unwrap();
                public.verify(&message, &ecdsa_der(raw.as_ref()).unwrap()).unwrap();
            }
        }
    }
}
