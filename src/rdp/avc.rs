//! H.264 in the graphics pipeline (MS-RDPEGFX 2.2.4.4), decoded as viewers' video is: bounded before OpenH264 sees it.

use crate::codec::video::{VideoDecoder, announced_size};
use ironrdp_egfx::decode::{DecodedFrame, DecoderError, DecoderResult, H264Decoder, Yuv420Frame};

/// Decodes a host's stream, whose pictures have the size that its newest key frame announced.
#[derive(Default)]
pub struct AvcDecoder {
    running: Option<((u32, u32), VideoDecoder)>,
}

impl H264Decoder for AvcDecoder {
    fn decode(&mut self, data: &[u8]) -> DecoderResult<DecodedFrame> {
        Ok(self.decode_yuv420(data)?.to_rgba())
    }

    /// The pipeline makes colours of the planes: in full range, unlike viewers' video.
    fn decode_yuv420(&mut self, data: &[u8]) -> DecoderResult<Yuv420Frame> {
        let refused = |error| DecoderError::new("H.264 that is not decoded", error);
        let running = self.running.as_ref().map(|(size, _)| *size);
        if let Some((width, height)) = announced_size(data).map_err(refused)?
            && running != Some((width, height))
        {
            let decoder = VideoDecoder::new(width, height).map_err(refused)?;
            self.running = Some(((width, height), decoder));
        }
        let Some(((width, height), decoder)) = &mut self.running else {
            return Err(DecoderError::msg("H.264 that begins in the middle"));
        };
        let [y, u, v] = decoder.decode(data).map_err(refused)?.planes();
        // Sizes that a decoder is made for are far below 65,536.
        let stride = *width as usize;
        let (width, height) = (*width as u16, *height as u16);
        Yuv420Frame::new(width, height, y.to_vec(), stride, u.to_vec(), v.to_vec(), stride / 2)
    }

    fn supports_yuv420(&self) -> bool {
        true
    }

    fn wait_until_ready(&mut self) -> bool {
        cfg!(feature = "h264")
    }

    fn reset(&mut self) {
        self.running = None;
    }
}
