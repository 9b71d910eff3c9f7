//! Who is there. People prove who they are ([`Identity`]), and are signed in for some hours; a [`ticket`] then lets one client
//! attach to one session, once. What they may have is the broker's business.
//!
//! Nothing here tells a stranger whether a user exists: every refusal of a sign-in reads and takes the same.

mod accounts;
mod attempts;
mod badge;
pub mod card;
mod credential;
mod host_key;
pub mod oidc;
mod password;
pub(crate) mod pending;
pub mod seat;
mod secret;
pub mod ticket;
mod totp;

pub use accounts::{AccountError, Known, Newcomer, Who};
pub use attempts::Attempts;
pub use badge::{
    BADGE, BadgePolicy, CODE_MS, GraceIn, Opened, PinError, SeatCodeError, SeatError, Signed, Tapped,
    badge_number, check_new_pin, new_seat_code, seat_name,
};
pub use credential::{HostCredential, credential_host, open_host_password, seal_host_password};
pub use host_key::{HostKey, HostKeyError, is_host_key, is_proven};
pub use password::{Hasher, PasswordError, check_new_password};
pub use secret::{Keys, Sealed, new_code, new_id, new_secret, sha256_hex};
pub use totp::{TotpSecret, TotpStep};

use crate::store::{Attempt, NewUser, Role, SignIn, Store, StoreError, User};
use std::net::IpAddr;
use std::sync::Arc;

/// How long sign-ins last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// From the sign-in, whatever is done, in milliseconds.
    pub lasts_ms: i64,
    /// Without any use, in milliseconds.
    pub idle_ms: i64,
}

impl Default for Lifetimes {
    fn default() -> Self {
        Lifetimes { lasts_ms: 12 * 3_600_000, idle_ms: 3_600_000 }
    }
}

/// A user's name is at most so long, in bytes.
pub const MAX_USER_NAME: usize = 64;
/// A title, a group or a seat's name is at most so long, in bytes.
pub const MAX_TITLE: usize = 128;

/// Why nobody was signed in.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// The same whether the user is unknown, disabled, waiting, or the password or code is wrong.
    #[error(
        "the name, the password or the code is not right; after several wrong ones, wait before the next"
    )]
    Refused { user: Option<Box<User>>, reason: &'static str },
    /// The password was right, and a one-time code is asked for.
    #[error("a one-time code is needed too")]
    CodeNeeded,
    #[error("too many attempts come from this address; wait a minute")]
    TooMany,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the gateway cannot check passwords now: {0}")]
    Broken(String),
}

/// A person who is signed in.
#[derive(Clone, Debug)]
pub struct Person {
    pub user: User,
    pub sign_in: SignIn,
}

/// Signs people in, and knows those who are.
pub struct Identity {
    store: Store,
    keys: Arc<Keys>,
    hasher: Hasher,
    attempts: Attempts,
    seats: badge::Seats,
    lifetimes: Lifetimes,
    badges: BadgePolicy,
}

impl Identity {
    pub fn new(store: Store, keys: Arc<Keys>, lifetimes: Lifetimes, badges: BadgePolicy) -> Self {
        let (hasher, attempts, seats) = Default::default();
        Identity { store, keys, hasher, attempts, seats, lifetimes, badges }
    }

    /// What is asked of badges.
    pub fn badges(&self) -> &BadgePolicy {
        &self.badges
    }

    /// Whether a sign-in was left without use for too long. One by badge, at a seat that others pass, sooner.
    fn is_idle(&self, sign_in: &SignIn, now_ms: i64) -> bool {
        sign_in.method == BADGE && sign_in.seen_at < now_ms - self.badges.idle_ms
    }

    /// What a user signs in with on a host that has no chevet, if that is known here.
    pub async fn host_credential(
        &self,
        user_id: &str,
        host: &str,
    ) -> Result<Option<HostCredential>, StoreError> {
        let sealed = self.store.credential(user_id, host).await?;
        Ok(sealed.and_then(|sealed| HostCredential::open(&sealed, user_id, host, &self.keys)))
    }

    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Checks a password, and a one-time code if the user has one. Takes the time of one hash whatever is wrong.
    pub async fn check_password(
        &self,
        name: &str,
        password: &str,
        code: Option<&str>,
        from: IpAddr,
        now_ms: i64,
    ) -> Result<User, SignInError> {
        if !self.attempts.admit(from, now_ms) {
            return Err(SignInError::TooMany);
        }
        let name = user_name(name).unwrap_or_default();
        let attempt = self.store.begin_attempt(&name, now_ms).await?;
        let (user, stored) = match attempt {
            Attempt::Allowed(user, stored) => (user, stored),
            other => {
                // As long as a password that is looked at.
                self.hasher.check(password, None).await?;
                let (user, reason) = match other {
                    Attempt::Wait(user, _) => (Some(user), "too many wrong attempts"),
                    _ => (None, "unknown user"),
                };
                return Err(refused(user, reason));
            }
        };
        let right = self.hasher.check(password, stored.hash.clone()).await?;
        if !right || !user.enabled {
            let reason = if right { "user is disabled" } else { "wrong password" };
            return Err(refused(Some(user), reason));
        }
        if let Some(sealed) = &stored.totp {
            let secret = TotpSecret::open(sealed, &user.id, &self.keys)
                .ok_or_else(|| SignInError::Broken("a code's secret cannot be read".into()))?;
            let Some(code) = code.filter(|code| !code.is_empty()) else {
                self.store.attempt_was_right(&user.id).await?;
                return Err(SignInError::CodeNeeded);
            };
            let step = secret.step_of(code, now_ms).map(|TotpStep(step)| step);
            let fresh = match step {
                Some(step) => self.store.use_totp_step(&user.id, step).await?,
                None => false,
            };
            if !fresh {
                let reason = if step.is_some() { "one-time code used again" } else { "wrong one-time code" };
                return Err(refused(Some(user), reason));
            }
        }
        self.store.attempt_was_right(&user.id).await?;
        Ok(user)
    }

    /// Remembers that somebody has proven who they are. What is returned beside is the secret that the client shows from
    /// now on; it is not kept.
    pub async fn begin(
        &self,
        user: User,
        method: &str,
        seat: &str,
        now_ms: i64,
    ) -> Result<(Person, String), SignInError> {
        let secret = new_secret();
        let sign_in = SignIn {
            id: new_id(),
            user_id: user.id.clone(),
            method: method.to_owned(),
            seat: seat.chars().take(MAX_TITLE / 4).collect(),
            begun_at: now_ms,
            seen_at: now_ms,
            ends_at: now_ms + self.lifetimes.lasts_ms,
        };
        self.store.add_sign_in(&sign_in, &sha256_hex(secret.as_bytes())).await?;
        Ok((Person { user, sign_in }, secret))
    }

    /// Who shows this secret, if the sign-in still holds.
    pub async fn person(&self, secret: &str, now_ms: i64) -> Result<Option<Person>, StoreError> {
        let idle_since = now_ms - self.lifetimes.idle_ms;
        let hash = sha256_hex(secret.as_bytes());
        let Some(sign_in) = self.store.sign_in(&hash, idle_since, now_ms).await? else { return Ok(None) };
        let Some(user) = self.store.user(&sign_in.user_id).await? else { return Ok(None) };
        if !user.enabled || self.is_idle(&sign_in, now_ms) {
            return Ok(None);
        }
        // Not at every request: a minute more or less is nothing to an hour.
        if now_ms - sign_in.seen_at > 60_000 {
            self.store.sign_in_was_seen(&sign_in.id, now_ms).await?;
        }
        Ok(Some(Person { user, sign_in }))
    }

    /// The user of a sign-in that still holds.
    pub async fn still_there(&self, sign_in_id: &str, now_ms: i64) -> Result<Option<User>, StoreError> {
        let idle_since = now_ms - self.lifetimes.idle_ms;
        let Some(sign_in) = self.store.sign_in_by_id(sign_in_id, idle_since, now_ms).await? else {
            return Ok(None);
        };
        if self.is_idle(&sign_in, now_ms) {
            return Ok(None);
        }
        Ok(self.store.user(&sign_in.user_id).await?.filter(|user| user.enabled))
    }

    /// Somebody does something: the time without use begins anew.
    pub async fn was_used(&self, sign_in_id: &str, at_ms: i64) -> Result<(), StoreError> {
        self.store.sign_in_was_seen(sign_in_id, at_ms).await
    }

    /// When a sign-in that has not ended was last used.
    pub async fn last_use(&self, sign_in_id: &str, now_ms: i64) -> Result<Option<i64>, StoreError> {
        let sign_in = self.store.sign_in_by_id(sign_in_id, 0, now_ms).await?;
        Ok(sign_in.map(|sign_in| sign_in.seen_at))
    }

    pub async fn end(&self, person: &Person) -> Result<bool, StoreError> {
        self.store.end_sign_in(&person.sign_in.id).await
    }
}

fn refused(user: Option<User>, reason: &'static str) -> SignInError {
    SignInError::Refused { user: user.map(Box::new), reason }
}

/// A user's name as it is kept: lower case, without spaces around. `None` if no user may be called so.
pub fn user_name(name: &str) -> Option<String> {
    let name = name.trim().to_lowercase();
    let allowed = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '@' | '+');
    ((1..=MAX_USER_NAME).contains(&name.len()) && name.chars().all(allowed)).then_some(name)
}

#[derive(Debug, thiserror::Error)]
pub enum NewUserError {
    #[error("{0:?} is no user's name: 1 to {MAX_USER_NAME} bytes of letters, digits, or . - _ @ +")]
    Name(String),
    #[error("{0:?} is too long or empty for a title or a group: at most {MAX_TITLE} bytes")]
    Title(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Adds a user without a password, and returns the id.
pub async fn add_user(
    store: &Store,
    name: &str,
    title: &str,
    role: Role,
    groups: &[String],
    now_ms: i64,
) -> Result<String, NewUserError> {
    let kept = user_name(name).ok_or_else(|| NewUserError::Name(name.to_owned()))?;
    let title = if title.trim().is_empty() { &kept } else { title.trim() };
    let long = [title].into_iter().chain(groups.iter().map(String::as_str)).find(|text| !is_title(text));
    if let Some(wrong) = long {
        return Err(NewUserError::Title(wrong.to_owned()));
    }
    let id = new_id();
    store.add_user(&NewUser { id: &id, name: &kept, title, role, groups }, now_ms).await?;
    Ok(id)
}

/// Whether a title or a group may be called so.
pub fn is_title(text: &str) -> bool {
    !text.trim().is_empty() && text.len() <= MAX_TITLE && !text.chars().any(char::is_control)
}
