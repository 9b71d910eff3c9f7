//! The values that messages are made of: RFC 9000 section 16 integers, texts, byte strings.

use super::limits;

/// What is wrong with bytes that a peer sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    #[error("reading {what}: the message ends too early")]
    Truncated { what: &'static str },
    #[error("reading {what}: {value} is more than the limit of {limit}")]
    TooMuch { what: &'static str, value: u64, limit: u64 },
    #[error("reading {what}: {value} has no meaning here")]
    Meaningless { what: &'static str, value: u64 },
    #[error("reading {what}: not valid UTF-8")]
    NotText { what: &'static str },
}

/// Reads values from the front of a byte string. Nothing is allocated before its length is checked.
#[derive(Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Reader { rest: bytes }
    }

    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// What is left means nothing here.
    pub fn skip(&mut self) {
        self.rest = &[];
    }

    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub fn take(&mut self, count: usize, what: &'static str) -> Result<&'a [u8], WireError> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(WireError::Truncated { what })?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], WireError> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(WireError::Truncated { what })?;
        self.rest = rest;
        Ok(*taken)
    }

    pub fn u8(&mut self, what: &'static str) -> Result<u8, WireError> {
        Ok(self.array::<1>(what)?[0])
    }

    pub fn u32_le(&mut self, what: &'static str) -> Result<u32, WireError> {
        Ok(u32::from_le_bytes(self.array(what)?))
    }

    pub fn u64(&mut self, what: &'static str) -> Result<u64, WireError> {
        Ok(u64::from_le_bytes(self.array(what)?))
    }

    pub fn bytes16(&mut self, what: &'static str) -> Result<[u8; 16], WireError> {
        self.array(what)
    }

    pub fn varint(&mut self, what: &'static str) -> Result<u64, WireError> {
        let first = *self.rest.first().ok_or(WireError::Truncated { what })?;
        let length = 1 << (first >> 6);
        let bytes = self.take(length, what)?;
        let value = bytes.iter().fold(0, |value, &byte| value << 8 | u64::from(byte));
        Ok(value & (u64::MAX >> 2 >> (64 - 8 * length)))
    }

    /// A varint of at most `limit`.
    pub fn bounded(&mut self, limit: u64, what: &'static str) -> Result<u64, WireError> {
        let value = self.varint(what)?;
        if value > limit { Err(WireError::TooMuch { what, value, limit }) } else { Ok(value) }
    }

    /// A varint that fits `u32`.
    pub fn u32(&mut self, what: &'static str) -> Result<u32, WireError> {
        Ok(self.bounded(u32::MAX.into(), what)? as u32)
    }

    /// A varint that fits `u16`.
    pub fn u16(&mut self, what: &'static str) -> Result<u16, WireError> {
        Ok(self.bounded(u16::MAX.into(), what)? as u16)
    }

    /// A number of things to follow, at most `limit`.
    pub fn count(&mut self, limit: usize, what: &'static str) -> Result<usize, WireError> {
        Ok(self.bounded(limit as u64, what)? as usize)
    }

    pub fn bytes(&mut self, limit: usize, what: &'static str) -> Result<&'a [u8], WireError> {
        let length = self.count(limit, what)?;
        self.take(length, what)
    }

    pub fn text(&mut self, limit: usize, what: &'static str) -> Result<String, WireError> {
        text(self.bytes(limit, what)?, what)
    }

    pub fn zigzag(&mut self, what: &'static str) -> Result<i64, WireError> {
        let value = self.varint(what)?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    pub fn flag(&mut self, what: &'static str) -> Result<bool, WireError> {
        match self.u8(what)? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(WireError::Meaningless { what, value: other.into() }),
        }
    }
}

pub(super) fn text(bytes: &[u8], what: &'static str) -> Result<String, WireError> {
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| WireError::NotText { what })
}

/// Appends a varint. `value` must be below 2^62, as every length, time and count here is.
pub fn put_varint(out: &mut Vec<u8>, value: u64) {
    match value {
        0..0x40 => out.push(value as u8),
        0x40..0x4000 => out.extend_from_slice(&(value as u16 | 0x4000).to_be_bytes()),
        0x4000..0x4000_0000 => out.extend_from_slice(&(value as u32 | 0x8000_0000).to_be_bytes()),
        _ => {
            // A peer's own number may have been the largest one, and is counted on from there.
            let value = value.min((1 << 62) - 1);
            out.extend_from_slice(&(value | 0xC000_0000_0000_0000).to_be_bytes());
        }
    }
}

pub fn put_u64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_le_bytes());
}

pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Appends a text, cut at a character so that it stays within `limit` bytes.
pub fn put_text(out: &mut Vec<u8>, text: &str, limit: usize) {
    let end = (0..=limit.min(text.len())).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    put_bytes(out, &text.as_bytes()[..end]);
}

pub fn put_zigzag(out: &mut Vec<u8>, value: i64) {
    put_varint(out, ((value << 1) ^ (value >> 63)) as u64);
}

/// The size of a screen as a peer sends it; both sides are checked when a framebuffer is made of it.
pub(super) fn side(reader: &mut Reader, what: &'static str) -> Result<u32, WireError> {
    Ok(reader.bounded(crate::screen::MAX_SIDE.into(), what)? as u32)
}

/// A list of tile hashes.
pub(super) fn hashes(
    reader: &mut Reader,
    what: &'static str,
) -> Result<Vec<crate::screen::TileHash>, WireError> {
    let count = reader.count(limits::MAX_TILES, what)?;
    let bytes = reader.take(count * 8, what)?;
    let (eights, _) = bytes.as_chunks::<8>();
    Ok(eights.iter().map(|eight| crate::screen::TileHash(u64::from_le_bytes(*eight))).collect())
}

pub(super) fn put_hashes(out: &mut Vec<u8>, hashes: &[crate::screen::TileHash]) {
    put_varint(out, hashes.len() as u64);
    hashes.iter().for_each(|hash| put_u64(out, hash.0));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_varint_reads_back_as_it_was_written(value in 0u64..1 << 62, shift in 0u32..62) {
            let value = value >> shift;
            let mut bytes = Vec::new();
            put_varint(&mut bytes, value);
            let mut reader = Reader::new(&bytes);
            prop_assert_eq!(reader.varint("it"), Ok(value));
            prop_assert!(reader.is_empty());
        }

        #[test]
        fn a_zigzag_reads_back_as_it_was_written(value in -(1i64 << 60)..1 << 60) {
            let mut bytes = Vec::new();
            put_zigzag(&mut bytes, value);
            prop_assert_eq!(Reader::new(&bytes).zigzag("it"), Ok(value));
        }
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        let mut bytes = Vec::new();
        put_text(&mut bytes, "éé", 3);
        assert_eq!(bytes, [2, 0xC3, 0xA9]);
    }
}
