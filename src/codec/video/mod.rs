//! Rectangles in motion as H.264: encoder beside decoder, both OpenH264, colours in BT.709 of limited range. Lossy:
//! what is shown from here is made exact by tiles as soon as it rests. `stream` looks at what a peer calls H.264 before
//! the decoder does.

#[cfg(not(feature = "h264"))]
mod absent;
#[cfg(feature = "h264")]
mod decoder;
#[cfg(feature = "h264")]
mod encoder;
mod stream;
mod yuv;

#[cfg(not(feature = "h264"))]
pub use absent::{EncodedFrame, VideoDecoder, VideoEncoder};
#[cfg(feature = "h264")]
pub use decoder::VideoDecoder;
#[cfg(feature = "h264")]
pub use encoder::{EncodedFrame, VideoEncoder};
pub use stream::{announced_size, check_access_unit};
pub use yuv::{I420, psnr};

/// The least and the longest side of a rectangle of video, in pixels. Both sides are even.
pub const LEAST_SIDE: u32 = 32;
/// Beyond it lies no level of H.264 that decoders have to know.
pub const MOST_SIDE: u32 = 3_840;
/// The most pixels of a rectangle of video: level 5.1.
pub const MOST_PIXELS: u32 = 3_840 * 2_160;

/// Whether this build has an encoder and a decoder.
pub const IS_THERE: bool = cfg!(feature = "h264");

/// Whether a rectangle of this size can be video.
pub fn is_possible(width: u32, height: u32) -> bool {
    let side = |side: u32| (LEAST_SIDE..=MOST_SIDE).contains(&side) && side.is_multiple_of(2);
    side(width) && side(height) && width * height <= MOST_PIXELS
}

/// Why pixels could not become video, or video pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VideoError {
    #[error(
        "video of {width}x{height} pixels is not possible: sides are even, {LEAST_SIDE} to {MOST_SIDE} pixels"
    )]
    Size { width: u32, height: u32 },
    #[error("this build has no H.264")]
    Absent,
    #[error("the video encoder failed (OpenH264 code {0})")]
    Encoder(i32),
    #[error("the video decoder failed (OpenH264 code {0}); a new key frame is needed")]
    Decoder(i32),
    #[error("a video frame is not H.264 as chevet sends it: {0}")]
    Stream(&'static str),
    #[error("a video frame holds {width}x{height} pixels instead of {wanted_width}x{wanted_height}")]
    OtherSize { width: u32, height: u32, wanted_width: u32, wanted_height: u32 },
}

#[cfg(all(test, feature = "h264"))]
mod tests;
