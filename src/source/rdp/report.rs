//! What a connection negotiated and what its host sent, for `chevet source check`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How the user is made known to the host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SignIn {
    /// On the host's screen, or not yet.
    #[default]
    OnScreen,
    /// By network level authentication.
    Ntlm,
    Kerberos,
}

/// What is known of the newest connection.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// TLS version and cipher, as the TLS library names them.
    pub tls: String,
    pub fingerprint: Option<[u8; 32]>,
    pub certificate_subject: String,
    pub sign_in: SignIn,
    pub compression: Option<String>,
    /// Fast-path packets that came compressed.
    pub packed: u64,
    pub unicode_input: bool,
    /// Channels that came up.
    pub clipboard: bool,
    pub display_control: bool,
    pub pipeline: Option<String>,
    pub size: (u16, u16),
    /// How often the host sent pixels in each form.
    pub updates: BTreeMap<&'static str, u64>,
    /// How often the host was asked to draw again what could not be decoded.
    pub redraws: u64,
    pub resizes: u64,
    pub cursors: u64,
    pub connected_after: Option<Duration>,
    pub first_picture_after: Option<Duration>,
}

/// The report while it is written.
pub struct Tally {
    begun: Mutex<Instant>,
    report: Mutex<Report>,
}

impl Tally {
    pub fn new() -> Arc<Tally> {
        Arc::new(Tally { begun: Mutex::new(Instant::now()), report: Mutex::default() })
    }

    pub fn lock(&self) -> MutexGuard<'_, Report> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn begin(&self) {
        *self.begun.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        *self.lock() = Report::default();
    }

    pub fn elapsed(&self) -> Duration {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }

    /// Pictures of the graphics pipeline that were decoded.
    pub fn decoded_in_pipeline(&self) -> u64 {
        let report = self.lock();
        report.updates.iter().filter(|(form, _)| form.starts_with("pipeline")).map(|(_, count)| count).sum()
    }

    pub fn count(&self, form: &'static str) {
        *self.lock().updates.entry(form).or_default() += 1;
    }
}
