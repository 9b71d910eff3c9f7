//! Passwords, as Argon2id hashes (RFC 9106).

use super::SignInError;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Argon2, Params};
use std::sync::Arc;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

/// Hashes at once: each takes 19 MiB, and they must leave the processors to those who work.
const AT_ONCE: usize = 2;
/// Nobody types more; a longer one is wrong without being looked at.
const LONGEST: usize = 1_024;
/// The least length of a new password, in characters (NIST SP 800-63B-4, one-factor passwords are longer by policy).
const SHORTEST: usize = 8;

#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    #[error("a password has at least {SHORTEST} characters")]
    Short,
    #[error("a password has at most {LONGEST} bytes")]
    Long,
    #[error(transparent)]
    Pin(#[from] super::PinError),
    #[error("hashing a password: {0}")]
    Hash(String),
}

/// Whether a password may be chosen.
pub fn check_new_password(password: &str) -> Result<(), PasswordError> {
    match password {
        short if short.chars().count() < SHORTEST => Err(PasswordError::Short),
        long if long.len() > LONGEST => Err(PasswordError::Long),
        _ => Ok(()),
    }
}

/// Hashes and checks passwords, few at a time, away from the tasks that serve sessions.
#[derive(Clone)]
pub struct Hasher {
    places: Arc<Semaphore>,
    /// A hash that no password has: what is checked for users who are not there.
    nobody: Arc<str>,
}

impl Default for Hasher {
    fn default() -> Self {
        let nobody = hash(super::new_secret().as_bytes()).unwrap_or_default();
        Hasher { places: Arc::new(Semaphore::new(AT_ONCE)), nobody: nobody.into() }
    }
}

fn hash(password: &[u8]) -> Result<String, PasswordError> {
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).map_err(|error| PasswordError::Hash(error.to_string()))?;
    let argon2 = Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, Params::DEFAULT);
    let hash = PasswordHasher::<argon2::password_hash::phc::PasswordHash>::hash_password_with_salt(
        &argon2, password, &salt,
    );
    hash.map(|hash| hash.to_string()).map_err(|error| PasswordError::Hash(error.to_string()))
}

impl Hasher {
    /// The hash of a password that was chosen, as a PHC string.
    pub async fn hash(&self, password: &str) -> Result<String, PasswordError> {
        check_new_password(password)?;
        let password = Zeroizing::new(password.to_owned());
        let hashed = tokio::task::spawn_blocking(move || hash(password.as_bytes())).await;
        hashed.map_err(|error| PasswordError::Hash(error.to_string()))?
    }

    /// The hash of a PIN that was chosen.
    pub async fn hash_pin(&self, pin: &str) -> Result<String, PasswordError> {
        super::check_new_pin(pin)?;
        let pin = Zeroizing::new(pin.to_owned());
        let hashed = tokio::task::spawn_blocking(move || hash(pin.as_bytes())).await;
        hashed.map_err(|error| PasswordError::Hash(error.to_string()))?
    }

    /// Whether this is the password of a hash. Without one it is not, in the same time.
    pub async fn check(&self, password: &str, hash: Option<String>) -> Result<bool, SignInError> {
        let place = self.places.clone().acquire_owned().await;
        let there = hash.is_some();
        let hash = hash.unwrap_or_else(|| self.nobody.to_string());
        let long = password.len() > LONGEST;
        let password = Zeroizing::new(if long { String::new() } else { password.to_owned() });
        let checked = tokio::task::spawn_blocking(move || {
            let _place = place;
            let hash = PasswordHash::new(&hash).map_err(|error| error.to_string())?;
            Ok::<_, String>(Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
        });
        let right = checked.await.map_err(|error| error.to_string()).and_then(|right| right);
        right.map(|right| right && there && !long).map_err(SignInError::Broken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_opens_its_own_hash_and_no_other() {
        let hasher = Hasher::default();
        let hash = hasher.hash("correct horse").await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(hasher.check("correct horse", Some(hash.clone())).await.unwrap());
        assert!(!hasher.check("correct horsf", Some(hash.clone())).await.unwrap());
        assert!(!hasher.check("correct horse", None).await.unwrap());
        assert!(!hasher.check(&"x".repeat(LONGEST + 1), Some(hash)).await.unwrap());
    }

    #[tokio::test]
    async fn a_damaged_hash_opens_nothing() {
        let hasher = Hasher::default();
        assert!(hasher.check("x", Some("damaged".into())).await.is_err());
    }

    #[test]
    fn short_passwords_cannot_be_chosen() {
        assert!(matches!(check_new_password("seven77"), Err(PasswordError::Short)));
        assert!(check_new_password("éééééééé").is_ok());
    }
}
