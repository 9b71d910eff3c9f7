//! Signing in by an OpenID provider: the authorization code with PKCE for browsers, the device flow for other clients.
//! The gateway is the provider's client in both; who it was is bound to a user by issuer and subject.

mod claims;
mod config;
mod device;
mod known;
mod provider;
pub mod token;

pub use claims::ClaimsError;
pub use config::{ProviderConfig, ProviderConfigError};
pub use device::{DeviceBegun, DevicePoll};
pub use provider::{Answered, Proven, Provider, ProviderError};

use super::AccountError;
use crate::store::StoreError;
use token::TokenError;

/// Why a provider's answer signs nobody in.
#[derive(Debug, thiserror::Error)]
pub enum OidcError {
    #[error("the provider cannot be reached or understood: {0}")]
    Down(String),
    #[error("too many sign-ins are under way")]
    TooMany,
    #[error(
        "the answer belongs to no sign-in that waits in this browser: too late, used before, or another's"
    )]
    NotAwaited,
    #[error("the provider did not sign in: {0}")]
    Denied(String),
    #[error("the provider refused the request: {0}")]
    Refused(String),
    #[error("the answer names the issuer {0:?}, which is not this provider")]
    OtherIssuer(String),
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error("the userinfo is of another subject")]
    OtherSubject,
    #[error(transparent)]
    Claims(#[from] ClaimsError),
    #[error(transparent)]
    Account(#[from] AccountError),
    #[error("the device flow is not allowed here (`device` in [[oidc]])")]
    DeviceFlowOff,
    #[error("this provider has no device flow")]
    NoDeviceFlow,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl OidcError {
    /// The page's name for it. Little is told: what went wrong exactly stands in the audit journal.
    pub fn code(&self) -> &'static str {
        match self {
            OidcError::Down(_) => "oidc-down",
            OidcError::TooMany => "oidc-too-many",
            OidcError::NotAwaited => "oidc-expired",
            OidcError::Denied(_) => "oidc-denied",
            OidcError::Token(TokenError::Assurance(_)) => "oidc-acr",
            OidcError::Store(_) | OidcError::Account(AccountError::Store(_)) => "oidc-unavailable",
            OidcError::Account(_) => "oidc-unknown",
            _ => "oidc-refused",
        }
    }
}
