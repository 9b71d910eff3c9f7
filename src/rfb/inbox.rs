//! Bytes that arrive in any pieces, read in whole values.

use super::RfbError;

/// Why reading stopped.
#[derive(Debug)]
pub(super) enum Stop {
    /// What there is, is right so far; more must come first.
    More,
    Wrong(RfbError),
}

impl From<RfbError> for Stop {
    fn from(error: RfbError) -> Self {
        Stop::Wrong(error)
    }
}

/// What has arrived and is not read yet.
#[derive(Default)]
pub(super) struct Inbox {
    bytes: Vec<u8>,
    start: usize,
}

impl Inbox {
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.start);
        self.start = 0;
        self.bytes.extend_from_slice(bytes);
    }

    pub fn rest(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    pub fn skip(&mut self, count: usize) {
        self.start += count;
        debug_assert!(self.start <= self.bytes.len());
    }

    /// Reads one whole thing and takes its bytes away, or leaves everything as it is: `None`, more must come.
    pub fn read<T>(
        &mut self,
        read: impl FnOnce(&mut Reader) -> Result<T, Stop>,
    ) -> Result<Option<T>, RfbError> {
        let mut reader = Reader::new(self.rest());
        match read(&mut reader) {
            Ok(value) => {
                let used = reader.used();
                self.skip(used);
                Ok(Some(value))
            }
            Err(Stop::More) => Ok(None),
            Err(Stop::Wrong(error)) => Err(error),
        }
    }
}

/// Reads big-endian values, as RFB has them.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Reader { bytes, at: 0 }
    }

    /// How much was read.
    pub fn used(&self) -> usize {
        self.at
    }

    pub fn take(&mut self, count: usize) -> Result<&'a [u8], Stop> {
        let taken = self.bytes[self.at..].get(..count).ok_or(Stop::More)?;
        self.at += count;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Stop> {
        let taken = self.bytes[self.at..].first_chunk().ok_or(Stop::More)?;
        self.at += N;
        Ok(*taken)
    }

    pub fn u8(&mut self) -> Result<u8, Stop> {
        Ok(self.array::<1>()?[0])
    }

    pub fn u16(&mut self) -> Result<u16, Stop> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    pub fn u32(&mut self) -> Result<u32, Stop> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    pub fn i32(&mut self) -> Result<i32, Stop> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    /// A pixel in the format that chevet asks for.
    pub fn pixel(&mut self) -> Result<u32, Stop> {
        Ok(u32::from_le_bytes(self.array()?) & 0x00ff_ffff)
    }

    /// A pixel without its unused byte, as ZRLE packs it.
    pub fn cpixel(&mut self) -> Result<u32, Stop> {
        let [b, g, r] = self.array()?;
        Ok(u32::from_le_bytes([b, g, r, 0]))
    }

    /// A pixel as Tight packs it.
    pub fn tpixel(&mut self) -> Result<u32, Stop> {
        let [r, g, b] = self.array()?;
        Ok(u32::from_le_bytes([b, g, r, 0]))
    }

    /// A length and as many bytes of text, for people: at most `limit` bytes.
    pub fn text(&mut self, what: &'static str, limit: u32) -> Result<String, Stop> {
        let length = bounded(what, self.u32()?, limit)?;
        Ok(String::from_utf8_lossy(self.take(length as usize)?).chars().filter(|c| !c.is_control()).collect())
    }
}

pub(super) fn bounded(what: &'static str, value: u32, limit: u32) -> Result<u32, RfbError> {
    if value > limit {
        return Err(RfbError::TooMuch { what, value: value.into(), limit: limit.into() });
    }
    Ok(value)
}
