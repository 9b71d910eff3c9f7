//! What the graphics pipeline (MS-RDPEGFX) tells of itself.

use ironrdp_egfx::client::{BitmapUpdate, GraphicsPipelineHandler};
use ironrdp_egfx::pdu::{CapabilitiesV8Flags, CapabilitiesV81Flags, CapabilitySet, Codec1Type};

pub enum PipelineNews {
    /// The host took this version.
    Version(String),
    /// It sent pixels in this form.
    Pixels(&'static str),
}

/// The pipeline's side: it only passes on what happens there.
pub struct PipelineEar(pub Box<dyn FnMut(PipelineNews) + Send>);

impl GraphicsPipelineHandler for PipelineEar {
    /// What needs a decoder of H.264 is only said when there is one. Version 10 and later would mean AVC444, too.
    fn capabilities(&self) -> Vec<CapabilitySet> {
        let flags = CapabilitiesV81Flags::AVC420_ENABLED | CapabilitiesV81Flags::SMALL_CACHE;
        vec![CapabilitySet::V8_1 { flags }, CapabilitySet::V8 { flags: CapabilitiesV8Flags::SMALL_CACHE }]
    }

    fn on_capabilities_confirmed(&mut self, capabilities: &CapabilitySet) {
        let text = format!("{capabilities:?}");
        let version = text.split([' ', '{', '(']).next().unwrap_or_default().replace('_', ".");
        (self.0)(PipelineNews::Version(version));
    }

    fn on_bitmap_updated(&mut self, update: &BitmapUpdate) {
        (self.0)(PipelineNews::Pixels(match update.codec_id {
            Codec1Type::Uncompressed => "pipeline: uncompressed or progressive",
            Codec1Type::RemoteFx => "pipeline: RemoteFX",
            Codec1Type::ClearCodec => "pipeline: ClearCodec",
            Codec1Type::Planar => "pipeline: planar",
            Codec1Type::Avc420 => "pipeline: AVC420",
            Codec1Type::Avc444 | Codec1Type::Avc444v2 => "pipeline: AVC444",
            Codec1Type::Alpha => "pipeline: alpha",
        }));
    }
}
