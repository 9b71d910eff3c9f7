//! What a peer calls H.264: arbitrary bytes, and true frames with bytes of them changed, cut or swapped. Whatever it is, it
//! is refused or decoded to a picture of the size that was said, and memory stays bounded.
#![no_main]

use arbitrary::Arbitrary;
use chevet::codec::video::{EncodedFrame, VideoDecoder, VideoEncoder, check_access_unit};
use chevet::screen::{Framebuffer, Rect};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

const SIDE: u32 = 64;

/// A key frame and what follows it.
static FRAMES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let mut encoder = VideoEncoder::new(SIDE, SIDE, 2_000_000).unwrap();
    let mut screen = Framebuffer::new(SIDE, SIDE).unwrap();
    let rect = Rect::new(0, 0, SIDE, SIDE);
    (0..6u32)
        .map(|frame| {
            for (at, pixel) in (0u32..).zip(screen.pixels_mut()) {
                *pixel = ((at % SIDE * 3 + at / SIDE * (frame + 2)) & 0xFF) * 0x0001_0101;
            }
            let mut bytes = Vec::new();
            encoder.load(&screen, &rect);
            let kind = encoder.encode(false, u64::from(frame) * 40, &mut bytes).unwrap();
            assert!(kind != EncodedFrame::Skipped);
            bytes
        })
        .collect()
});

#[derive(Arbitrary, Debug)]
enum Frame {
    Bytes(Vec<u8>),
    /// A true frame, with some bytes changed, and cut.
    Damaged { frame: u8, at: Vec<(u16, u8)>, length: Option<u16> },
}

fuzz_target!(|frames: Vec<Frame>| {
    let mut decoder = VideoDecoder::new(SIDE, SIDE).unwrap();
    for frame in frames.into_iter().take(16) {
        let bytes = match frame {
            Frame::Bytes(bytes) => bytes,
            Frame::Damaged { frame, at, length } => {
                let mut bytes = FRAMES[usize::from(frame) % FRAMES.len()].clone();
                for (index, value) in at.into_iter().take(8) {
                    let index = usize::from(index) % bytes.len();
                    bytes[index] = value;
                }
                bytes.truncate(length.map_or(bytes.len(), usize::from));
                bytes
            }
        };
        let looked_at = check_access_unit(&bytes, SIDE, SIDE);
        let decoded = decoder.decode(&bytes);
        assert!(looked_at.is_ok() || decoded.is_err());
        if let Ok(picture) = decoded {
            assert_eq!((picture.width(), picture.height()), (SIDE, SIDE));
        }
    }
});
