//! Bounds of what IronRDP puts together from pieces: it goes by the lengths that a host claims, or by none.

use ironrdp_core::Decode as _;
use ironrdp_core::ReadCursor;
use ironrdp_pdu::Action;
use ironrdp_pdu::mcs::decode_send_data_indication;
use ironrdp_pdu::rdp::vc::{ChannelControlFlags, ChannelPduHeader};

/// Bytes of one message, of however many pieces: more than the pixels of the largest screens that hosts have.
pub const MOST_MESSAGE: usize = 64 << 20;
/// What a piece of a fast-path update may become when it is unpacked (MS-RDPBCGR 3.1.8: the history is 64 KiB).
const UNPACKED: usize = 1 << 16;

/// Follows a connection's messages, and only their lengths.
pub struct Bounds {
    io_channel: u16,
    dynamic_channel: Option<u16>,
    /// What the pieces of the fast-path update add up to that is being put together.
    update: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLarge;

impl Bounds {
    pub fn new(io_channel: u16, dynamic_channel: Option<u16>) -> Self {
        Bounds { io_channel, dynamic_channel, update: 0 }
    }

    /// Refuses a frame with which a message becomes too large. What cannot be read is the decoder's to refuse.
    pub fn check(&mut self, action: Action, frame: &[u8]) -> Result<(), TooLarge> {
        match action {
            Action::FastPath => self.check_fast_path(frame),
            Action::X224 => self.check_channel(frame),
        }
    }

    /// MS-RDPBCGR 2.2.9.1.2: a header, then updates with headers of their own.
    fn check_fast_path(&mut self, frame: &[u8]) -> Result<(), TooLarge> {
        let Some(mut rest) = frame.get(1).and_then(|byte| frame.get(if byte & 0x80 == 0 { 2 } else { 3 }..))
        else {
            return Ok(());
        };
        while let Some((&head, after)) = rest.split_first() {
            let packed = head & 0x80 != 0;
            let Some(after) = after.get(usize::from(packed)..) else { return Ok(()) };
            let Some((length, after)) = after.split_first_chunk() else { return Ok(()) };
            let length = usize::from(u16::from_le_bytes(*length));
            let size = if packed { UNPACKED } else { length };
            self.update = match head >> 4 & 3 {
                // One piece, the last one, the first one, and one between.
                0 => 0,
                1 => self.counted(size).map(|_| 0)?,
                2 => size,
                _ => self.counted(size)?,
            };
            let Some(after) = after.get(length..) else { return Ok(()) };
            rest = after;
        }
        Ok(())
    }

    fn counted(&self, size: usize) -> Result<usize, TooLarge> {
        let sum = self.update + size;
        if sum > MOST_MESSAGE { Err(TooLarge) } else { Ok(sum) }
    }

    /// MS-RDPBCGR 2.2.6.1: a piece says how long the whole is. The pieces of packed ones would not be held to it, but
    /// packing is never agreed to.
    fn check_channel(&self, frame: &[u8]) -> Result<(), TooLarge> {
        let Ok(context) = decode_send_data_indication(frame) else { return Ok(()) };
        if context.channel_id == self.io_channel {
            return Ok(());
        }
        let mut cursor = ReadCursor::new(context.user_data);
        let Ok(header) = ChannelPduHeader::decode(&mut cursor) else { return Ok(()) };
        let packed = header.flags.contains(ChannelControlFlags::PACKET_COMPRESSED);
        if packed || header.length as usize > MOST_MESSAGE {
            return Err(TooLarge);
        }
        let first = header.flags.contains(ChannelControlFlags::FLAG_FIRST);
        if Some(context.channel_id) == self.dynamic_channel
            && first
            && dynamic_length(cursor.remaining()).is_some_and(|length| length as usize > MOST_MESSAGE)
        {
            return Err(TooLarge);
        }
        Ok(())
    }
}

/// How long a dynamic channel's message becomes whose first piece this is (MS-RDPEDYC 2.2.3.1 and 2.2.3.3).
fn dynamic_length(bytes: &[u8]) -> Option<u32> {
    let (&head, rest) = bytes.split_first()?;
    if !matches!(head >> 4, 2 | 6) {
        return None;
    }
    let width = |code: u8| [1, 2, 4, 4][usize::from(code & 3)];
    let length = rest.get(width(head)..)?.get(..width(head >> 2))?;
    Some(length.iter().rev().fold(0, |value, &byte| value << 8 | u32::from(byte)))
}
