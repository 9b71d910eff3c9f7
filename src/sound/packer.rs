//! Samples in, packets out.

use super::pace::Pace;
use super::resample::Resampler;
use super::{CHANNELS, Encoder, FRAME, Pcm, RATE, SoundError};
use crate::wire::SoundPacket;

/// Samples that wait longer than this for the rest of their frame are of something that has ended.
const ENDED_US: u64 = 200_000;

/// Codes what one session plays.
pub struct Packer {
    encoder: Encoder,
    resampler: Resampler,
    pace: Pace,
    /// Samples that do not fill a frame yet.
    waiting: Vec<i16>,
    /// The number of the next packet.
    next: u64,
    last_us: u64,
}

impl Packer {
    /// Begins with a packet of this number.
    pub fn new(next: u64) -> Result<Packer, SoundError> {
        let (encoder, resampler) = (Encoder::new()?, Resampler::new(RATE));
        Ok(Packer { encoder, resampler, pace: Pace::new(), waiting: Vec::new(), next, last_us: 0 })
    }

    /// The number of the next packet.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// The packets that a piece completes. What comes faster than it can be played is left out.
    pub fn pack(&mut self, pcm: &Pcm, now_us: u64) -> Result<Vec<SoundPacket>, SoundError> {
        if self.resampler.from() != pcm.rate() {
            self.resampler = Resampler::new(pcm.rate());
        }
        if now_us.saturating_sub(self.last_us) > ENDED_US {
            self.waiting.clear();
        }
        self.last_us = now_us;
        self.resampler.convert(pcm.pairs(), &mut self.waiting);
        let whole = self.waiting.len() - self.waiting.len() % (FRAME * CHANNELS);
        let mut packets = Vec::new();
        for frame in self.waiting[..whole].chunks_exact(FRAME * CHANNELS) {
            if self.pace.take(now_us) {
                let opus = self.encoder.encode(frame)?.into();
                packets.push(SoundPacket { number: self.next, time_us: now_us, opus });
                self.next += 1;
            }
        }
        self.waiting.drain(..whole);
        Ok(packets)
    }
}
