//! One-time codes by time (RFC 6238): six digits, SHA-1, 30 seconds, which is what every authenticator knows.

use super::secret::{Keys, Sealed};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use totp_rs::{Builder, Secret, Totp};

/// The number of a time step, of which a code is used once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TotpStep(pub i64);

/// The secret that a user's authenticator shares.
pub struct TotpSecret(Totp);

/// RFC 4226 recommends 160 bits.
const BYTES: usize = 20;
const STEP_SECONDS: u64 = 30;

impl TotpSecret {
    pub fn new(user_name: &str) -> Self {
        let mut bytes = [0; BYTES];
        getrandom::fill(&mut bytes).expect("a running Linux gives random numbers");
        TotpSecret(totp(&bytes, user_name))
    }

    /// The address that authenticators read, from a picture or by hand.
    pub fn url(&self) -> String {
        self.0.to_url().unwrap_or_default()
    }

    /// The secret alone, in base32, to be typed.
    pub fn base32(&self) -> String {
        self.0.secret().to_base32()
    }

    pub fn seal(&self, user_id: &str, keys: &Keys) -> Sealed {
        keys.seal(self.0.secret().as_ref(), &owner(user_id))
    }

    /// The secret as it is told to another site that signs the user in.
    pub fn told(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0.secret())
    }

    /// Seals a secret that was told. `None`: it is none.
    pub fn seal_told(told: &str, user_id: &str, keys: &Keys) -> Option<Sealed> {
        let secret = URL_SAFE_NO_PAD.decode(told).ok().filter(|secret| secret.len() >= 16)?;
        Some(keys.seal(&secret, &owner(user_id)))
    }

    pub fn open(sealed: &str, user_id: &str, keys: &Keys) -> Option<Self> {
        Some(TotpSecret(totp(&keys.open(sealed, &owner(user_id))?, "")))
    }

    /// The time step of a code, if it is the code of now, or of the step before or after.
    pub fn step_of(&self, code: &str, now_ms: i64) -> Option<TotpStep> {
        let digits: String = code.chars().filter(|c| !c.is_whitespace()).take(7).collect();
        if digits.len() != 6 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let step = self.0.check(&digits, u64::try_from(now_ms).ok()? / 1_000)?;
        Some(TotpStep(i64::try_from(step).ok()?))
    }

    /// The code of a moment.
    pub fn code_at(&self, now_ms: i64) -> String {
        self.0.generate(now_ms as u64 / 1_000).to_string()
    }
}

fn totp(secret: &[u8], user_name: &str) -> Totp {
    let builder = Builder::new().with_secret(Secret::from(secret)).with_step_duration(STEP_SECONDS);
    builder.with_account_name(user_name).with_issuer(Some("chevet")).build_noncompliant()
}

/// A sealed secret opens for codes alone.
fn owner(user_id: &str) -> String {
    format!("totp of {user_id}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::hmac;

    #[test]
    fn codes_are_those_of_rfc_6238() {
        // Appendix B has eight digits; these are their last six.
        let secret = TotpSecret(totp(b"12345678901234567890", "x"));
        for (seconds, code) in [(59, "287082"), (1_111_111_109, "081804"), (20_000_000_000, "353130")] {
            assert_eq!(secret.code_at(seconds * 1_000), code);
            assert_eq!(secret.step_of(code, seconds * 1_000), Some(TotpStep(seconds / 30)));
        }
    }

    #[test]
    fn a_code_is_taken_one_step_early_or_late_and_no_more() {
        let secret = TotpSecret::new("anne");
        let now = 1_700_000_000_000;
        let code = secret.code_at(now);
        assert!(secret.step_of(&code, now + 30_000).is_some());
        assert!(secret.step_of(&code, now - 30_000).is_some());
        assert_eq!(secret.step_of(&code, now + 90_000), None);
        for wrong in ["", "12345", "1234567", "12345a", "١٢٣٤٥٦"] {
            assert_eq!(secret.step_of(wrong, now), None, "{wrong}");
        }
    }

    #[test]
    fn a_sealed_secret_gives_the_same_codes_to_its_user_alone() {
        let keys = Keys::new(&hmac::Key::new(hmac::HMAC_SHA256, b"secret"));
        let secret = TotpSecret::new("anne");
        let sealed = secret.seal("1", &keys);
        assert_eq!(TotpSecret::open(&sealed, "1", &keys).unwrap().code_at(0), secret.code_at(0));
        assert!(TotpSecret::open(&sealed, "2", &keys).is_none());
        assert!(secret.url().starts_with("otpauth://totp/chevet:anne?secret="), "{}", secret.url());
    }
}
