//! What a connection negotiated and what its host sent, for `chevet source check`.

use ironrdp_egfx::client::{BitmapUpdate, GraphicsPipelineHandler};
use ironrdp_egfx::pdu::CapabilitySet;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What is known of the newest connection.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// TLS version and cipher, as the TLS library names them.
    pub tls: String,
    pub fingerprint: Option<[u8; 32]>,
    pub certificate_subject: String,
    /// NLA, or the sign-in on the host's screen.
    pub network_level: bool,
    pub compression: Option<String>,
    pub unicode_input: bool,
    /// Channels that came up.
    pub clipboard: bool,
    pub display_control: bool,
    pub pipeline: Option<String>,
    pub size: (u16, u16),
    /// How often the host sent pixels in each form.
    pub updates: BTreeMap<&'static str, u64>,
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

    pub fn count(&self, form: &'static str) {
        *self.lock().updates.entry(form).or_default() += 1;
    }
}

/// What the graphics pipeline tells.
pub struct PipelineEar(pub Arc<Tally>);

impl GraphicsPipelineHandler for PipelineEar {
    fn on_capabilities_confirmed(&mut self, capabilities: &CapabilitySet) {
        let text = format!("{capabilities:?}");
        let version = text.split([' ', '{', '(']).next().unwrap_or_default().replace('_', ".");
        self.0.lock().pipeline = Some(version);
    }

    fn on_bitmap_updated(&mut self, update: &BitmapUpdate) {
        use ironrdp_egfx::pdu::Codec1Type;
        self.0.count(match update.codec_id {
            Codec1Type::Uncompressed => "pipeline: uncompressed or progressive",
            Codec1Type::RemoteFx => "pipeline: RemoteFX",
            Codec1Type::ClearCodec => "pipeline: ClearCodec",
            Codec1Type::Planar => "pipeline: planar",
            Codec1Type::Avc420 => "pipeline: AVC420",
            Codec1Type::Avc444 | Codec1Type::Avc444v2 => "pipeline: AVC444",
            Codec1Type::Alpha => "pipeline: alpha",
        });
    }
}
