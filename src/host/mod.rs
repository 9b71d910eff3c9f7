//! The host's side: offers sessions of this machine to a gateway, dialling outwards. [`offer`] brings one that is there;
//! [`serve`] starts them when the gateway's users ask, each with an X server and a program of its own, as its user, kept by
//! a process of its own ([`keep`]). It decides nothing about who may have what: the gateway does; but it is nobody's root.

mod account;
mod agent;
mod command;
mod config;
mod gateway_at;
mod keeper;
mod load;
mod offer;
mod place;
mod processes;
mod running;

pub use agent::{Stop, serve};
pub use config::{HostConfig, HostConfigError};
pub use gateway_at::GatewayAt;
pub use keeper::keep;
pub use offer::{HostError, offer, offer_to};
