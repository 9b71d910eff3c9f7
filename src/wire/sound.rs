//! What a session plays, on its way to a viewer.

use super::limits::MAX_SOUND;
use super::value::*;
use bytes::Bytes;

/// How what a session plays is coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SoundFormat {
    /// Samples a second of each channel.
    pub rate: u32,
    pub channels: u8,
    /// Samples of each channel in a packet.
    pub frame: u32,
}

/// The number of Opus among codings. 0: none, nothing is played any more.
const OPUS: u64 = 1;
const MOST_RATE: u64 = 192_000;
const MOST_CHANNELS: u8 = 8;
const MOST_FRAME: u64 = 11_520;

/// Appends how what is played is coded; `None`: nothing is.
pub(super) fn write_format(format: Option<SoundFormat>, out: &mut Vec<u8>) {
    put_varint(out, if format.is_some() { OPUS } else { 0 });
    if let Some(SoundFormat { rate, channels, frame }) = format {
        put_varint(out, rate.into());
        out.push(channels);
        put_varint(out, frame.into());
    }
}

pub(super) fn read_format(r: &mut Reader) -> Result<Option<SoundFormat>, WireError> {
    match r.varint("Sound's coding")? {
        OPUS => {}
        // A coding that this version does not know, it cannot play.
        _ => return Ok(None),
    }
    let rate = r.bounded(MOST_RATE, "Sound's rate")? as u32;
    let channels = r.u8("Sound's channels")?;
    if !(1..=MOST_CHANNELS).contains(&channels) {
        return Err(WireError::Meaningless { what: "Sound's channels", value: channels.into() });
    }
    let frame = r.bounded(MOST_FRAME, "Sound's frame")? as u32;
    Ok(Some(SoundFormat { rate, channels, frame }))
}

/// A datagram's worth of what a session plays. What was heard reaches no log: `Debug` tells only how much it is.
#[derive(Clone, PartialEq, Eq)]
pub struct SoundPacket {
    /// Counts a session's packets: one that is left out was lost.
    pub number: u64,
    /// When its samples came, on the session's clock.
    pub time_us: u64,
    /// One packet of Opus, at most [`MAX_SOUND`] bytes.
    pub opus: Bytes,
}

impl std::fmt::Debug for SoundPacket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SoundPacket({}, {} bytes)", self.number, self.opus.len())
    }
}

impl SoundPacket {
    /// The first byte of a datagram that carries one.
    pub const KIND: u8 = 4;

    pub fn write(&self, out: &mut Vec<u8>) {
        out.push(SoundPacket::KIND);
        put_varint(out, self.number);
        put_varint(out, self.time_us);
        out.extend_from_slice(&self.opus);
    }

    /// Reads a datagram; `None` if it is of another kind.
    pub fn read(datagram: &[u8]) -> Result<Option<SoundPacket>, WireError> {
        let r = &mut Reader::new(datagram);
        if r.u8("a datagram's kind")? != SoundPacket::KIND {
            return Ok(None);
        }
        let (number, time_us) = (r.varint("a sound's number")?, r.varint("a sound's time")?);
        let opus = r.rest();
        if opus.len() > MAX_SOUND {
            let (what, value) = ("a packet of sound", opus.len() as u64);
            return Err(WireError::TooMuch { what, value, limit: MAX_SOUND as u64 });
        }
        Ok(Some(SoundPacket { number, time_us, opus: Bytes::copy_from_slice(opus) }))
    }
}
