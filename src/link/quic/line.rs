//! A stream of small messages (control, input) whose newest bytes are also sent as datagrams: what a lost packet held is there
//! at once, and so is what came behind it.

use crate::wire::limits::MAX_DATAGRAM;
use crate::wire::{Reader, WireError, put_varint};
use bytes::{Buf, Bytes};

/// The first byte of a datagram that carries such bytes.
pub const KIND: u8 = 3;
/// What of a datagram is the stream's.
const MOST: usize = MAX_DATAGRAM - 16;

/// Which stream of the sender's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    Control,
    Input,
}

/// Bytes of such a stream, from this one on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copy {
    pub which: Which,
    pub offset: u64,
    pub bytes: Bytes,
}

impl Copy {
    /// Reads a datagram of this kind; `None` if it is of another one.
    pub fn read(datagram: &Bytes) -> Result<Option<Copy>, WireError> {
        if datagram.first() != Some(&KIND) {
            return Ok(None);
        }
        if datagram.len() > MAX_DATAGRAM {
            let (value, limit) = (datagram.len() as u64, MAX_DATAGRAM as u64);
            return Err(WireError::TooMuch { what: "a datagram", value, limit });
        }
        let r = &mut Reader::new(&datagram[1..]);
        let which = match r.u8("which stream a copy is of")? {
            0 => Which::Control,
            1 => Which::Input,
            other => {
                let what = "which stream a copy is of";
                return Err(WireError::Meaningless { what, value: other.into() });
            }
        };
        let offset = r.varint("where a copy begins")?;
        Ok(Some(Copy { which, offset, bytes: datagram.slice_ref(r.rest()) }))
    }
}

/// The sender's half: what was written since the last copy.
pub struct Written {
    which: Which,
    written: u64,
    new: Vec<u8>,
}

impl Written {
    pub fn new(which: Which) -> Self {
        Written { which, written: 0, new: Vec::new() }
    }

    /// Counts bytes that were written and keeps them for a copy, if it is to be made. What is long has none.
    pub fn note(&mut self, bytes: &[u8], copied: bool) {
        self.written += bytes.len() as u64;
        match copied && self.new.len() + bytes.len() <= MOST {
            true => self.new.extend_from_slice(bytes),
            false => self.new.clear(),
        }
    }

    /// The datagram with what is new.
    pub fn take(&mut self) -> Option<Bytes> {
        if self.new.is_empty() {
            return None;
        }
        let mut datagram = Vec::with_capacity(self.new.len() + 16);
        datagram.extend_from_slice(&[KIND, u8::from(self.which == Which::Input)]);
        put_varint(&mut datagram, self.written - self.new.len() as u64);
        datagram.append(&mut self.new);
        Some(datagram.into())
    }
}

/// The receiver's half: how far the stream has been read, and how far it is known.
#[derive(Default)]
pub struct Known {
    read: u64,
    known: u64,
}

impl Known {
    /// What was read from the stream, without what is known already.
    pub fn read(&mut self, mut bytes: Bytes) -> Bytes {
        let start = self.read;
        self.read += bytes.len() as u64;
        let known = (self.known.saturating_sub(start)).min(bytes.len() as u64);
        bytes.advance(known as usize);
        self.known = self.known.max(self.read);
        bytes
    }

    /// What of a copy is new and follows what is known.
    pub fn copied(&mut self, offset: u64, mut bytes: Bytes) -> Bytes {
        let end = offset.saturating_add(bytes.len() as u64);
        if offset > self.known || end <= self.known {
            return Bytes::new();
        }
        bytes.advance((self.known - offset) as usize);
        self.known = end;
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_read_once_and_in_order_whatever_of_it_is_copied() {
        let whole: Vec<u8> = (0..200).collect();
        for late in [0, 30, 90] {
            let (mut written, mut known) = (Written::new(Which::Input), Known::default());
            let (mut read, mut got) = (0, Vec::new());
            for end in (10..=200).step_by(10) {
                written.note(&whole[end - 10..end], end % 40 != 0);
                // Every third copy is lost, and the stream comes late or at once.
                let copy = written.take().map(|datagram| Copy::read(&datagram).unwrap().unwrap());
                if let Some(copy) = copy.filter(|_| end % 30 != 0) {
                    assert_eq!(copy.which, Which::Input);
                    got.extend_from_slice(&known.copied(copy.offset, copy.bytes));
                }
                let until = end.saturating_sub(late).max(read);
                got.extend_from_slice(&known.read(Bytes::copy_from_slice(&whole[read..until])));
                read = until;
                assert_eq!(got, whole[..got.len()]);
            }
            got.extend_from_slice(&known.read(Bytes::copy_from_slice(&whole[read..])));
            assert_eq!(got, whole);
        }
    }

    #[test]
    fn a_copy_of_no_known_stream_is_refused() {
        assert!(Copy::read(&Bytes::from_static(&[KIND, 2, 0, 1])).is_err());
        assert!(Copy::read(&Bytes::from_static(&[KIND, 0])).is_err());
        assert!(Copy::read(&Bytes::from(vec![KIND; MAX_DATAGRAM + 1])).is_err());
        assert_eq!(Copy::read(&Bytes::from_static(&[1, 0, 0])), Ok(None));
    }
}
