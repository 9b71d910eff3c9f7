//! What a peer calls a frame of H.264, looked at before a decoder believes it: the sizes and profiles that decide how
//! much memory a decoder takes stand in the sequence parameter set (ITU-T H.264, 7.3.2.1.1).

use super::VideoError;

const SLICE: u8 = 1;
const KEY_SLICE: u8 = 5;
const EXTRA: u8 = 6;
const SEQUENCE: u8 = 7;
const PICTURE: u8 = 8;
const DELIMITER: u8 = 9;
/// Level 5.1.
const MOST_LEVEL: u32 = 51;
/// Reference frames that a decoder must keep.
const MOST_REFERENCES: u32 = 4;
/// NAL units in one frame: parameter sets, and slices.
const MOST_UNITS: usize = 64;

/// Accepts one access unit in the byte stream format (Annex B) whose pictures are `width` x `height` pixels, and says whether
/// it is a key frame: one that starts with its parameter sets and needs nothing before it.
pub fn check_access_unit(bytes: &[u8], width: u32, height: u32) -> Result<bool, VideoError> {
    let (mut sequence, mut picture, mut key, mut slices) = (false, false, false, false);
    for (count, unit) in units(bytes)?.enumerate() {
        if count == MOST_UNITS {
            return Err(VideoError::Stream("it has too many parts"));
        }
        let Some((&head, body)) = unit.split_first() else {
            return Err(VideoError::Stream("a part is empty"));
        };
        if head & 0x80 != 0 {
            return Err(VideoError::Stream("a part's forbidden bit is set"));
        }
        match head & 0x1F {
            SEQUENCE => {
                check_sequence(body, width, height)?;
                sequence = true;
            }
            PICTURE => picture = true,
            KEY_SLICE if sequence && picture => (key, slices) = (true, true),
            SLICE if !sequence => slices = true,
            KEY_SLICE | SLICE => return Err(VideoError::Stream("a slice without its parameters")),
            EXTRA | DELIMITER => {}
            _ => return Err(VideoError::Stream("a part of a kind that is not used")),
        }
    }
    if slices { Ok(key) } else { Err(VideoError::Stream("it has no picture")) }
}

/// The size in pixels of the pictures that an access unit's own parameters announce; none if it brings none.
///
/// # Errors
/// When they are of a kind that is not decoded here.
pub fn announced_size(bytes: &[u8]) -> Result<Option<(u32, u32)>, VideoError> {
    let sequence = units(bytes)?.take(MOST_UNITS).find_map(|unit| match unit.split_first() {
        Some((head, body)) if head & 0x1F == SEQUENCE => Some(body),
        _ => None,
    });
    sequence.map(sequence_size).transpose()
}

/// The NAL units between start codes.
fn units(bytes: &[u8]) -> Result<impl Iterator<Item = &[u8]>, VideoError> {
    let mut rest = start(bytes).ok_or(VideoError::Stream("it does not begin with a start code"))?;
    let mut done = false;
    Ok(std::iter::from_fn(move || {
        if done {
            return None;
        }
        let end = rest.windows(3).position(|three| three == [0, 0, 1]);
        let (unit, next) = match end {
            Some(end) => (&rest[..end], Some(&rest[end + 3..])),
            None => (rest, None),
        };
        match next {
            Some(next) => rest = next,
            None => done = true,
        }
        // The first zero of a start code of four bytes, and padding.
        let length = unit.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        Some(&unit[..length])
    }))
}

fn start(bytes: &[u8]) -> Option<&[u8]> {
    bytes.strip_prefix(&[0, 0, 0, 1]).or_else(|| bytes.strip_prefix(&[0, 0, 1]))
}

fn check_sequence(body: &[u8], width: u32, height: u32) -> Result<(), VideoError> {
    let (w, h) = sequence_size(body)?;
    if (w, h) == (width, height) {
        return Ok(());
    }
    Err(VideoError::OtherSize { width: w, height: h, wanted_width: width, wanted_height: height })
}

fn sequence_size(body: &[u8]) -> Result<(u32, u32), VideoError> {
    let mut bits = Bits::new(body);
    let profile = bits.take(8)?;
    bits.take(8)?;
    let level = bits.take(8)?;
    if level > MOST_LEVEL {
        return Err(VideoError::Stream("its level is above 5.1"));
    }
    bits.golomb()?;
    match profile {
        66 | 77 => {}
        100 => {
            let (chroma, luma_depth, chroma_depth) = (bits.golomb()?, bits.golomb()?, bits.golomb()?);
            if (chroma, luma_depth, chroma_depth, bits.take(1)?) != (1, 0, 0, 0) {
                return Err(VideoError::Stream("its colours are not 4:2:0 of 8 bits"));
            }
            if bits.take(1)? != 0 {
                return Err(VideoError::Stream("it brings scaling lists"));
            }
        }
        _ => return Err(VideoError::Stream("its profile is neither Baseline, Main nor High")),
    }
    bits.golomb()?;
    match bits.golomb()? {
        0 => drop(bits.golomb()?),
        2 => {}
        _ => return Err(VideoError::Stream("its picture order is of a kind that is not used")),
    }
    if bits.golomb()? > MOST_REFERENCES {
        return Err(VideoError::Stream("it refers to too many frames"));
    }
    bits.take(1)?;
    let across = bits.golomb()?.saturating_add(1).saturating_mul(16);
    let down = bits.golomb()?.saturating_add(1).saturating_mul(16);
    if bits.take(1)? != 1 {
        return Err(VideoError::Stream("it is interlaced"));
    }
    bits.take(1)?;
    let mut cut = [0; 4];
    if bits.take(1)? == 1 {
        for side in &mut cut {
            *side = bits.golomb()?.saturating_mul(2);
        }
    }
    let size = |whole: u32, one: u32, other: u32| whole.checked_sub(one.saturating_add(other));
    match (size(across, cut[0], cut[1]), size(down, cut[2], cut[3])) {
        (Some(w), Some(h)) if across < w.saturating_add(16) && down < h.saturating_add(16) => Ok((w, h)),
        _ => Err(VideoError::Stream("it cuts more off than its blocks need")),
    }
}

/// The bits of a NAL unit's payload, the highest of each byte first, without the bytes that keep start codes out of it.
struct Bits {
    payload: Vec<u8>,
    at: usize,
}

impl Bits {
    /// More than a sequence parameter set's beginning, which is all that is read.
    const ENOUGH: usize = 64;

    fn new(body: &[u8]) -> Self {
        let mut payload = Vec::with_capacity(Self::ENOUGH);
        let mut zeros = 0;
        for &byte in body.iter().take(Self::ENOUGH) {
            if byte == 3 && zeros >= 2 {
                zeros = 0;
                continue;
            }
            zeros = if byte == 0 { zeros + 1 } else { 0 };
            payload.push(byte);
        }
        Bits { payload, at: 0 }
    }

    fn take(&mut self, count: u32) -> Result<u32, VideoError> {
        let mut value = 0;
        for _ in 0..count {
            let byte = self.payload.get(self.at / 8).ok_or(VideoError::Stream("its parameters end early"))?;
            value = value << 1 | u32::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        Ok(value)
    }

    /// An unsigned Exp-Golomb number (9.1) of at most 32 bits.
    fn golomb(&mut self) -> Result<u32, VideoError> {
        let mut zeros = 0;
        while self.take(1)? == 0 {
            zeros += 1;
            if zeros == 32 {
                return Err(VideoError::Stream("a number in its parameters is too large"));
            }
        }
        Ok(((1u64 << zeros) - 1 + u64::from(self.take(zeros)?)) as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn arbitrary_bytes_are_refused_or_accepted_but_never_harmful(
            bytes in prop::collection::vec(prop_oneof![Just(0u8), Just(1), Just(0x67), any::<u8>()], 0..200),
        ) {
            let _ = check_access_unit(&bytes, 64, 64);
        }
    }

    #[test]
    fn what_is_no_access_unit_is_refused() {
        for bytes in
            [&b""[..], &[0, 0, 0, 1], &[0, 0, 1, 0x67, 0x42], &[0, 0, 1, 0x65, 1, 2], &[0, 0, 1, 0x85]]
        {
            assert!(check_access_unit(bytes, 64, 64).is_err(), "{bytes:?}");
        }
    }
}
