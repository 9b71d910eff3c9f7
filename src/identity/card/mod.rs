//! Smart cards: who a client certificate says that somebody is. The handshake proves that its holder is there; here it is
//! looked at who vouches for it, whether it still holds, and whom it names.

mod authorities;
mod certificate;
mod config;
mod field;

pub use authorities::{Authorities, AuthoritiesError};
pub use certificate::{Card, ISSUER, describe};
pub use config::{CardsConfig, CardsConfigError, Depth, Stale};
pub use field::Field;

use super::AccountError;

/// Why a card signs nobody in.
#[derive(Debug, thiserror::Error)]
pub enum CardError {
    #[error("no certificate was shown")]
    Missing,
    #[error("the certificate has expired, or its authority's has")]
    Expired,
    #[error("the certificate is not valid yet")]
    NotYet,
    #[error("the certificate, or its authority's, is revoked")]
    Revoked,
    #[error("the certificate is of none of the authorities that are accepted")]
    Authority,
    #[error("the certificate is not made for this: {0}")]
    Purpose(String),
    #[error("whether the certificate is revoked cannot be known: {0}")]
    Unchecked(&'static str),
    #[error("the certificate cannot be used: {0}")]
    Unusable(String),
    #[error("the certificate names nobody: {0}")]
    NoName(String),
    #[error(transparent)]
    Account(#[from] AccountError),
    #[error("nothing waits for this card in this browser: too late, used before, or another's")]
    NotAwaited,
    #[error("too many sign-ins are under way")]
    TooMany,
}

impl CardError {
    /// The page's name for it. Whoever has a good card that opens nothing is not told why: that stands in the audit journal.
    pub fn code(&self) -> &'static str {
        match self {
            CardError::Missing => "card-missing",
            CardError::Expired => "card-expired",
            CardError::NotYet => "card-early",
            CardError::Revoked => "card-revoked",
            CardError::Authority => "card-authority",
            CardError::Purpose(_) => "card-purpose",
            CardError::Unchecked(_) => "card-unchecked",
            CardError::Account(AccountError::Store(_)) => "card-unavailable",
            CardError::NoName(_) | CardError::Account(_) => "card-unknown",
            CardError::Unusable(_) => "card-refused",
            CardError::NotAwaited => "card-late",
            CardError::TooMany => "card-too-many",
        }
    }

    /// What a program's user is told: as much as the page says.
    pub fn told(&self) -> String {
        match self.code() {
            "card-unknown" => "this card opens no account here; call your IT department".into(),
            "card-unchecked" => {
                "whether the card was withdrawn cannot be checked now; call your IT department".into()
            }
            "card-unavailable" => "accounts cannot be looked up now; try again in a moment".into(),
            _ => self.to_string(),
        }
    }
}
