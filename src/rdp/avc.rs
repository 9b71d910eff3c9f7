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
        let decoded = self.decode_running(data);
        // What follows builds on what was not decoded: it would show something that the host never drew.
        if decoded.is_err() {
            self.running = None;
        }
        decoded
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

impl AvcDecoder {
    fn decode_running(&mut self, data: &[u8]) -> DecoderResult<Yuv420Frame> {
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
}

#[cfg(all(test, feature = "h264"))]
mod tests {
    use super::*;
    use crate::codec::video::VideoEncoder;
    use crate::screen::{Framebuffer, Rect};

    #[test]
    fn after_what_cannot_be_decoded_nothing_is_shown_until_the_next_key_frame() {
        let (width, height) = (128, 96);
        let mut encoder = VideoEncoder::new(width, height, 2_000_000).unwrap();
        let mut screen = Framebuffer::new(width, height).unwrap();
        let mut unit = |frame: u32, key: bool| {
            let pixels = screen.pixels_mut().iter_mut().zip(0u32..);
            pixels.for_each(|(pixel, at)| *pixel = at.wrapping_mul(frame + 3) & 0x007f_7f7f);
            encoder.load(&screen, &Rect::new(0, 0, width, height));
            let mut bytes = Vec::new();
            encoder.encode(key, u64::from(frame) * 40, &mut bytes).unwrap();
            bytes
        };
        let mut decoder = AvcDecoder::default();
        assert!(decoder.decode_yuv420(&unit(0, true)).is_ok());
        assert!(decoder.decode_yuv420(&unit(1, false)).is_ok());
        assert!(decoder.decode_yuv420(&unit(2, false)[..7]).is_err());
        assert!(decoder.decode_yuv420(&unit(3, false)).is_err(), "it builds on the one before");
        assert!(decoder.decode_yuv420(&unit(4, true)).is_ok());
        assert!(decoder.decode_yuv420(&unit(5, false)).is_ok());
    }
}
