//! **chevet** brings a running desktop session to whichever screen its user stands at, exact to the
//! pixel. This crate is the whole of it: the pure rooms (`screen`, `codec`, `mark`, `rfb`, `sound`, `wire`, `sync`), which know
//! no socket, clock or task, and the thin rooms around them that do the input and output.
//!
//! `docs/architecture.md` is the map, `docs/protocol.md` the wire.

#[cfg(feature = "net")]
pub mod audit;
#[cfg(feature = "net")]
pub mod availability;
#[cfg(feature = "net")]
pub mod broker;
#[cfg(feature = "net")]
pub mod client;
#[cfg(feature = "net")]
pub mod clock;
pub mod codec;
#[cfg(feature = "net")]
pub mod demo;
#[cfg(feature = "net")]
pub mod doctor;
#[cfg(feature = "net")]
pub mod edge;
#[cfg(feature = "net")]
pub mod gateway;
#[cfg(feature = "net")]
pub mod host;
#[cfg(feature = "net")]
pub mod identity;
#[cfg(feature = "net")]
pub mod link;
#[cfg(feature = "net")]
pub mod load;
pub mod mark;
#[cfg(feature = "net")]
pub mod metrics;
#[cfg(feature = "net")]
mod outbound;
#[cfg(feature = "net")]
pub mod policy;
#[cfg(feature = "rdp-decode")]
pub mod rdp;
pub mod recording;
pub mod rfb;
pub mod screen;
#[cfg(feature = "net")]
pub mod seat;
#[cfg(feature = "net")]
pub mod session;
#[cfg(feature = "net")]
pub mod site;
pub mod sound;
#[cfg(feature = "net")]
pub mod source;
#[cfg(feature = "net")]
pub mod store;
pub mod sync;
#[cfg(feature = "net")]
pub mod telemetry;
pub mod wire;
