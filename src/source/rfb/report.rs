//! What is known of a connection, for who looks at a server from the command line.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The newest connection of a source.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// 3, 7 or 8, once the server has let us in.
    pub minor: Option<u32>,
    pub security: &'static str,
    /// The SHA-256 of the server's certificate.
    pub certificate: Option<String>,
    pub name: String,
    pub size: (u32, u32),
    /// Rectangles by encoding.
    pub rectangles: BTreeMap<i32, u64>,
    /// What the server has shown that it knows beside pixels.
    pub extensions: Vec<&'static str>,
    pub leds: Option<u8>,
    pub bytes: u64,
    /// From dialling to the first whole screen.
    pub first_screen: Option<Duration>,
}

impl Report {
    pub(super) fn has(&mut self, extension: &'static str) {
        if !self.extensions.contains(&extension) {
            self.extensions.push(extension);
        }
    }
}

/// A report that several may write.
#[derive(Clone, Default)]
pub(super) struct Reporter(Arc<Mutex<Report>>);

impl Reporter {
    pub(super) fn write(&self, write: impl FnOnce(&mut Report)) {
        write(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub(super) fn read(&self) -> Report {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
