//! Opus, by libopus.

use super::{BIT_RATE, CHANNELS, FRAME, RATE, SoundError};
use crate::wire::limits::MAX_SOUND;
use opus::{Application, Bitrate, Channels};

/// Of the ten, what costs half of the best and is told from it by nobody.
const COMPLEXITY: i32 = 5;
/// Packets that are expected to be lost, in a hundred.
const LOSS: i32 = 2;

impl From<opus::Error> for SoundError {
    fn from(error: opus::Error) -> Self {
        SoundError::Opus(error.description().to_owned())
    }
}

pub struct Encoder(opus::Encoder);

impl Encoder {
    pub fn new() -> Result<Self, SoundError> {
        let mut encoder = opus::Encoder::new(RATE, Channels::Stereo, Application::Audio)?;
        encoder.set_bitrate(Bitrate::Bits(BIT_RATE as i32))?;
        encoder.set_complexity(COMPLEXITY)?;
        encoder.set_packet_loss_perc(LOSS)?;
        Ok(Encoder(encoder))
    }

    /// One frame of interleaved samples as a packet.
    pub fn encode(&mut self, frame: &[i16]) -> Result<Vec<u8>, SoundError> {
        Ok(self.0.encode_vec(frame, MAX_SOUND)?)
    }
}

pub struct Decoder(opus::Decoder);

impl Decoder {
    pub fn new() -> Result<Self, SoundError> {
        Ok(Decoder(opus::Decoder::new(RATE, Channels::Stereo)?))
    }

    /// The interleaved samples of a packet, which is of one frame.
    pub fn decode(&mut self, packet: &[u8]) -> Result<Vec<i16>, SoundError> {
        // Without one, libopus takes the packet for lost.
        if packet.is_empty() || opus::packet::get_nb_samples(packet, RATE)? != FRAME {
            return Err(SoundError::Opus("a packet that is not of 20 ms".into()));
        }
        self.samples(packet)
    }

    /// What stands for a packet that was lost.
    pub fn conceal(&mut self) -> Result<Vec<i16>, SoundError> {
        self.samples(&[])
    }

    fn samples(&mut self, packet: &[u8]) -> Result<Vec<i16>, SoundError> {
        let mut samples = vec![0; FRAME * CHANNELS];
        let count = self.0.decode(packet, &mut samples, false)?;
        samples.truncate(count * CHANNELS);
        Ok(samples)
    }
}
