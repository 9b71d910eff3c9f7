//! Looking at a host as the gateway would, for an operator: what is negotiated, and why no picture comes.

#[cfg(feature = "rdp")]
mod rdp;
mod vnc;

#[cfg(feature = "rdp")]
pub use rdp::rdp;
pub use vnc::vnc;

use std::time::Duration;

/// How long the first picture may take.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// What was seen of a host.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    /// What was negotiated and received, as names and values; none if the host did not let us in.
    pub lines: Vec<(&'static str, String)>,
    /// The SHA-256 of its certificate, in hexadecimal digits.
    pub fingerprint: Option<String>,
    /// Why no picture came, or why it did not last.
    pub failure: Option<String>,
}
