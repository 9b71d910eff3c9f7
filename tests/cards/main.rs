//! Signing in by smart card: good cards, bad ones, and what an attacker gets out of it.

mod authority;
mod browsers;
mod holder;
mod refusals;
mod sign_ins;
mod stage;
mod tokens;
