//! What is known of a connection, for who looks at a server from the command line.

use crate::rfb::encodings;
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
    /// What the server was seen to know beside pixels.
    pub fn known(&self) -> Vec<&'static str> {
        let announced = |encoding: &&i32| self.rectangles.contains_key(*encoding);
        let mut known: Vec<&'static str> = encodings::EXTENSIONS
            .iter()
            .filter(announced)
            .map(|&encoding| encodings::name(encoding))
            .collect();
        known.extend(self.extensions.iter().filter(|&&name| !known.contains(&name)).collect::<Vec<_>>());
        known
    }

    /// What chevet would use and the server was not seen to have.
    pub fn missing(&self) -> Vec<&'static str> {
        let known = self.known();
        let wanted = [
            encodings::EXTENDED_DESKTOP_SIZE,
            encodings::CONTINUOUS_UPDATES,
            encodings::EXTENDED_CLIPBOARD,
            encodings::QEMU_KEYS,
        ];
        wanted.into_iter().map(encodings::name).filter(|name| !known.contains(name)).collect()
    }

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
