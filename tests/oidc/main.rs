//! Signing in by a real OpenID provider (oidc-provider, run by Node.js), as browsers and other clients do.

mod bad_answers;
mod browser;
mod flows;
mod page;
mod stage;
