use super::*;
use crate::screen::{Framebuffer, Rect};
use proptest::prelude::*;

/// A soft picture that moves: what a film looks like to an encoder.
fn film(width: u32, height: u32, frame: u32) -> Framebuffer {
    let mut screen = Framebuffer::new(width, height).unwrap();
    for y in 0..height {
        for (x, pixel) in (0..).zip(screen.row_mut(0, y, width)) {
            let (u, v) = ((x + frame * 3) as f32 / 23.0, (y + frame) as f32 / 17.0);
            let level = |phase: f32| (128.0 + 90.0 * (u + phase).sin() * (v - phase).cos()) as u32;
            *pixel = level(0.0) << 16 | level(0.7) << 8 | level(1.9);
        }
    }
    screen
}

fn shown(decoder: &mut VideoDecoder, frame: &[u8], width: u32, height: u32) -> Framebuffer {
    let picture = decoder.decode(frame).unwrap();
    let mut screen = Framebuffer::new(width, height).unwrap();
    (0..height).for_each(|y| picture.write_row(0, y as usize, screen.row_mut(0, y, width)));
    screen
}

#[test]
fn what_is_encoded_is_decoded_nearly_the_same() {
    let (width, height) = (198, 130);
    let rect = Rect::new(0, 0, width, height);
    let mut encoder = VideoEncoder::new(width, height, 4_000_000).unwrap();
    let mut decoder = VideoDecoder::new(width, height).unwrap();
    for frame in 0..12 {
        let screen = film(width, height, frame);
        encoder.load(&screen, &rect);
        let mut bytes = Vec::new();
        let kind = encoder.encode(false, u64::from(frame) * 40, &mut bytes).unwrap();
        assert_eq!(kind, if frame == 0 { EncodedFrame::Key } else { EncodedFrame::Delta });
        assert_eq!(check_access_unit(&bytes, width, height), Ok(frame == 0));
        let quality = psnr(&screen, &shown(&mut decoder, &bytes, width, height), &rect);
        assert!(quality > 36.0, "frame {frame}: {quality} dB");
    }
}

#[test]
fn a_key_frame_comes_when_it_is_asked_for_and_needs_nothing_before_it() {
    let mut encoder = VideoEncoder::new(128, 96, 2_000_000).unwrap();
    let rect = Rect::new(0, 0, 128, 96);
    let mut bytes = Vec::new();
    for frame in 0..5 {
        bytes.clear();
        encoder.load(&film(128, 96, frame), &rect);
        let kind = encoder.encode(frame == 4, u64::from(frame) * 40, &mut bytes).unwrap();
        assert_eq!(kind == EncodedFrame::Key, frame == 0 || frame == 4);
    }
    let late = shown(&mut VideoDecoder::new(128, 96).unwrap(), &bytes, 128, 96);
    assert!(psnr(&film(128, 96, 4), &late, &rect) > 34.0);
}

#[test]
fn a_lower_rate_is_kept_from_then_on() {
    let rect = Rect::new(0, 0, 320, 240);
    let mut encoder = VideoEncoder::new(320, 240, 4_000_000).unwrap();
    let second = |encoder: &mut VideoEncoder, from: u32| -> usize {
        let mut bytes = Vec::new();
        for frame in from..from + 30 {
            let mut screen = film(320, 240, frame * 5);
            // Grain makes it dear.
            let mut state = frame + 1;
            screen.pixels_mut().iter_mut().for_each(|pixel| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                *pixel ^= (state >> 28) * 0x0001_0101;
            });
            encoder.load(&screen, &rect);
            encoder.encode(false, u64::from(frame) * 33, &mut bytes).unwrap();
        }
        bytes.len()
    };
    let before = second(&mut encoder, 0);
    encoder.set_rate(500_000).unwrap();
    second(&mut encoder, 30);
    let after = second(&mut encoder, 60);
    assert!(after * 2 < before, "{before} bytes a second, then {after}");
    assert!(after * 8 < 700_000, "{after} bytes a second");
}

#[test]
fn a_stream_that_does_not_begin_with_a_key_frame_or_has_another_size_is_refused() {
    let mut encoder = VideoEncoder::new(64, 64, 1_000_000).unwrap();
    let (mut key, mut delta) = (Vec::new(), Vec::new());
    encoder.load(&film(64, 64, 0), &Rect::new(0, 0, 64, 64));
    encoder.encode(true, 0, &mut key).unwrap();
    encoder.load(&film(64, 64, 1), &Rect::new(0, 0, 64, 64));
    encoder.encode(false, 40, &mut delta).unwrap();
    assert!(matches!(VideoDecoder::new(64, 64).unwrap().decode(&delta), Err(VideoError::Stream(_))));
    assert!(matches!(VideoDecoder::new(64, 32).unwrap().decode(&key), Err(VideoError::OtherSize { .. })));
    assert!(VideoDecoder::new(63, 64).is_err() && VideoEncoder::new(64, 16, 1).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn damaged_frames_end_in_an_error_or_in_other_pixels(
        at in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6), cut in 1usize..100,
    ) {
        let mut encoder = VideoEncoder::new(64, 64, 1_000_000).unwrap();
        let mut decoder = VideoDecoder::new(64, 64).unwrap();
        for frame in 0..4 {
            let mut bytes = Vec::new();
            encoder.load(&film(64, 64, frame), &Rect::new(0, 0, 64, 64));
            encoder.encode(false, u64::from(frame) * 40, &mut bytes).unwrap();
            if frame > 0 {
                let length = bytes.len();
                at.iter().for_each(|(index, value)| bytes[index.index(length)] = *value);
                bytes.truncate(bytes.len() * 100 / cut.max(100));
            }
            let _ = decoder.decode(&bytes);
        }
    }
}
