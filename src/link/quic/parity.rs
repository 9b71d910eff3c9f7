//! Parity: what mends an update of which a packet was lost, a round trip or two before it comes again. It is the exclusive or
//! of an update's bytes, folded at a period of one packet: a hole no longer than that touches each place of it once, wherever
//! in the update it is. A datagram carries a piece of it.

use crate::wire::limits::MAX_DATAGRAM;
use crate::wire::{Reader, WireError, put_varint};
use bytes::Bytes;
use std::ops::Range;

/// The first byte of a datagram that carries a piece of parity.
pub const KIND: u8 = 2;
/// Longer updates have no parity.
pub const MOST: usize = 64 << 10;
/// The longest period: a packet of a path with jumbo frames.
const LONGEST_PERIOD: usize = 9 << 10;
/// What of a datagram is not parity, at most.
const HEAD: usize = 20;
/// Pieces of one parity that are kept.
const MOST_PIECES: usize = 32;

/// A part of an update's parity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Counts the sender's unidirectional streams.
    pub stream: u64,
    /// Of the update's stream.
    pub length: usize,
    pub period: usize,
    /// Where in the period the bytes begin.
    pub start: usize,
    pub bytes: Bytes,
}

/// The datagrams, of at most `most` bytes, that carry the parity of an update of which a packet holds at most `packet` bytes.
pub fn datagrams(stream: u64, update: &[u8], packet: usize, most: usize) -> Vec<Bytes> {
    let piece = most.min(MAX_DATAGRAM).saturating_sub(HEAD).max(1);
    let period = packet.min(update.len()).clamp(1, LONGEST_PERIOD);
    let mut parity = vec![0; period];
    fold(&mut parity, update);
    let datagram = |(index, bytes): (usize, &[u8])| {
        let mut datagram = Vec::with_capacity(MAX_DATAGRAM);
        datagram.push(KIND);
        for value in [stream, update.len() as u64, period as u64, (index * piece) as u64] {
            put_varint(&mut datagram, value);
        }
        datagram.extend_from_slice(bytes);
        Bytes::from(datagram)
    };
    parity.chunks(piece).enumerate().map(datagram).collect()
}

fn fold(parity: &mut [u8], bytes: &[u8]) {
    for block in bytes.chunks(parity.len()) {
        parity.iter_mut().zip(block).for_each(|(parity, byte)| *parity ^= byte);
    }
}

impl Piece {
    /// Reads a datagram of this kind; `None` if it is of another one.
    pub fn read(datagram: &Bytes) -> Result<Option<Piece>, WireError> {
        if datagram.first() != Some(&KIND) {
            return Ok(None);
        }
        let too_much = |what, value, limit: usize| WireError::TooMuch { what, value, limit: limit as u64 };
        if datagram.len() > MAX_DATAGRAM {
            return Err(too_much("a datagram", datagram.len() as u64, MAX_DATAGRAM));
        }
        let r = &mut Reader::new(&datagram[1..]);
        let stream = r.varint("a parity's stream")?;
        let length = r.varint("the length of a parity's update")?;
        let period = r.varint("a parity's period")?;
        let start = r.varint("a parity's place")?;
        let bytes = datagram.slice_ref(r.rest());
        if length > MOST as u64 {
            return Err(too_much("the length of a parity's update", length, MOST));
        }
        if period == 0 {
            return Err(WireError::Meaningless { what: "a parity's period", value: 0 });
        }
        if period > length.min(LONGEST_PERIOD as u64) {
            return Err(too_much("a parity's period", period, LONGEST_PERIOD.min(length as usize)));
        }
        if start + bytes.len() as u64 > period {
            return Err(too_much("a parity's place", start, period as usize));
        }
        let (length, period, start) = (length as usize, period as usize, start as usize);
        Ok(Some(Piece { stream, length, period, start, bytes }))
    }

    /// Whether it is the update itself.
    pub fn is_whole(&self) -> bool {
        self.bytes.len() == self.length
    }
}

/// An update of which some came, with its parity.
#[derive(Debug)]
pub struct Mending {
    /// Zero where nothing came yet.
    bytes: Vec<u8>,
    /// Ascending, none touching another.
    received: Vec<Range<usize>>,
    pieces: Vec<Piece>,
}

impl Mending {
    /// Of an update's first bytes.
    pub fn new(bytes: Vec<u8>) -> Self {
        let mut received = Vec::new();
        if !bytes.is_empty() {
            received.push(0..bytes.len());
        }
        Mending { bytes, received, pieces: Vec::new() }
    }

    pub fn received(&self) -> usize {
        self.received.iter().map(Range::len).sum()
    }

    /// Some bytes of the stream; each comes once.
    pub fn add(&mut self, offset: usize, bytes: &[u8]) {
        let mut new = offset..offset + bytes.len();
        if new.is_empty() {
            return;
        }
        if self.bytes.len() < new.end {
            self.bytes.resize(new.end, 0);
        }
        self.bytes[new.clone()].copy_from_slice(bytes);
        self.received.retain(|range| {
            let apart = range.end < new.start || new.end < range.start;
            if !apart {
                new = new.start.min(range.start)..new.end.max(range.end);
            }
            apart
        });
        let at = self.received.partition_point(|range| range.start < new.start);
        self.received.insert(at, new);
    }

    /// Takes a piece that is of the same parity as the others.
    pub fn add_piece(&mut self, piece: Piece) {
        let same = |first: &Piece| (first.length, first.period) == (piece.length, piece.period);
        if self.pieces.first().is_none_or(same) && self.pieces.len() < MOST_PIECES {
            self.pieces.push(piece);
        }
    }

    /// Fills all holes, if what came is enough for it.
    pub fn mend(&mut self) -> bool {
        let Some(&Piece { length, period, .. }) = self.pieces.first() else { return false };
        let holes = self.holes(length);
        if self.bytes.len() > length || holes.iter().map(Range::len).sum::<usize>() > period {
            return false;
        }
        let mut parity = vec![0; period];
        // Where there is parity that no missing byte has taken.
        let mut free = vec![false; period];
        for piece in &self.pieces {
            let places = piece.start..piece.start + piece.bytes.len();
            parity[places.clone()].copy_from_slice(&piece.bytes);
            free[places].fill(true);
        }
        if !holes.iter().cloned().flatten().all(|at| std::mem::replace(&mut free[at % period], false)) {
            return false;
        }
        fold(&mut parity, &self.bytes);
        self.bytes.resize(length, 0);
        holes.into_iter().flatten().for_each(|at| self.bytes[at] = parity[at % period]);
        self.received.clear();
        self.received.push(0..length);
        true
    }

    fn holes(&self, length: usize) -> Vec<Range<usize>> {
        let ends = self.received.iter().map(|range| range.end);
        let starts = self.received.iter().map(|range| range.start).chain([length]);
        [0].into_iter()
            .chain(ends)
            .zip(starts)
            .map(|(end, start)| end..start)
            .filter(|h| !h.is_empty())
            .collect()
    }

    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKET: usize = 1_420;

    fn update(length: usize) -> Vec<u8> {
        (0..length as u64).map(|at| (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect()
    }

    fn pieces(update: &[u8]) -> Vec<Piece> {
        let datagrams = datagrams(7, update, PACKET, 1_162);
        assert!(datagrams.iter().all(|datagram| datagram.len() <= MAX_DATAGRAM));
        datagrams.iter().map(|datagram| Piece::read(datagram).unwrap().unwrap()).collect()
    }

    /// What becomes of an update of which these packets came, and all of its parity.
    fn mended(update: &[u8], lost: &[usize]) -> Option<Vec<u8>> {
        let mut mending = Mending::new(Vec::new());
        for (index, packet) in update.chunks(PACKET).enumerate().filter(|(index, _)| !lost.contains(index)) {
            mending.add(index * PACKET, packet);
        }
        pieces(update).into_iter().for_each(|piece| mending.add_piece(piece));
        mending.mend().then(|| mending.into_bytes())
    }

    #[test]
    fn an_update_that_lacks_any_one_packet_is_mended_and_one_that_lacks_two_is_not() {
        for length in [1, 300, PACKET - 1, PACKET, PACKET + 1, 5_000, 3 * PACKET, 40_000, MOST] {
            let update = update(length);
            let packets = length.div_ceil(PACKET);
            for lost in 0..packets {
                assert!(
                    mended(&update, &[lost]).as_ref() == Some(&update),
                    "packet {lost} of {length} bytes"
                );
            }
            if length > 2 * PACKET {
                assert_eq!(mended(&update, &[0, 1]), None);
            }
        }
    }

    #[test]
    fn half_of_the_parity_mends_what_lies_in_its_half() {
        let update = update(5_000);
        let first = &pieces(&update)[..1];
        for (hole, mends) in [(0..1_000, true), (2 * PACKET..2 * PACKET + 1_000, true), (100..1_300, false)] {
            let mut mending = Mending::new(update[..hole.start].to_vec());
            mending.add(hole.end, &update[hole.end..]);
            first.iter().for_each(|piece| mending.add_piece(piece.clone()));
            assert_eq!(mending.mend(), mends, "{hole:?}");
            assert!(!mends || mending.into_bytes() == update);
        }
    }

    #[test]
    fn parity_that_contradicts_itself_or_the_stream_is_refused_or_mends_nothing() {
        let read = |length: u64, period: u64, start: u64| {
            let mut datagram = vec![KIND];
            [0, length, period, start].into_iter().for_each(|value| put_varint(&mut datagram, value));
            datagram.extend_from_slice(&[1; 10]);
            Piece::read(&datagram.into())
        };
        assert!(read(MOST as u64 + 1, 10, 0).is_err());
        assert!(read(20, 21, 0).is_err());
        assert!(read(20, 15, 6).is_err());
        assert!(read(20, 15, u64::MAX >> 2).is_err());
        assert!(read(0, 0, 0).is_err());
        let piece = read(20, 15, 5).unwrap().unwrap();
        let mut mending = Mending::new(vec![0; 21]);
        mending.add_piece(piece);
        assert!(!mending.mend(), "the stream is longer than the parity says");
    }
}
