//! H.264 of the graphics pipeline (MS-RDPEGFX 2.2.4.4 and 2.2.4.5), by the decoder of chevet's own video: what stands in a
//! stream is looked at before the decoder believes it.

use crate::codec::video::{self, VideoDecoder, picture_size};
use ironrdp_egfx::decode::{DecodedFrame, DecoderError, DecoderResult, H264Decoder, Yuv420Frame};

/// A decoder that begins anew with every size of picture that a host sends.
#[derive(Default)]
pub struct PipelineVideo {
    decoder: Option<(VideoDecoder, (u32, u32))>,
}

impl PipelineVideo {
    fn of_size(&mut self, data: &[u8]) -> DecoderResult<&mut VideoDecoder> {
        let read = |error| DecoderError::new("H.264", error);
        if let Some(size) = picture_size(data).map_err(read)?
            && self.decoder.as_ref().is_none_or(|(_, known)| *known != size)
        {
            self.decoder = Some((VideoDecoder::new(size.0, size.1).map_err(read)?, size));
        }
        let decoder = self.decoder.as_mut().map(|(decoder, _)| decoder);
        decoder.ok_or_else(|| DecoderError::msg("the first frame is no key frame"))
    }
}

impl H264Decoder for PipelineVideo {
    fn decode(&mut self, data: &[u8]) -> DecoderResult<DecodedFrame> {
        Ok(self.decode_yuv420(data)?.to_rgba())
    }

    fn decode_yuv420(&mut self, data: &[u8]) -> DecoderResult<Yuv420Frame> {
        let decoded = self.of_size(data)?.decode(data);
        let picture = decoded.map_err(|error| DecoderError::new("H.264", error))?;
        let [y, u, v] = picture.planes().map(<[u8]>::to_vec);
        // No side of a video is longer than fits.
        let (width, height) = (picture.width() as u16, picture.height() as u16);
        let stride = usize::from(width);
        Yuv420Frame::new(width, height, y, stride, u, v, stride / 2)
    }

    fn supports_yuv420(&self) -> bool {
        true
    }

    fn wait_until_ready(&mut self) -> bool {
        video::IS_THERE
    }

    fn reset(&mut self) {
        self.decoder = None;
    }
}
