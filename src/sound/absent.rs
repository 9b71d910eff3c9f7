//! What stands for encoder and decoder in a build without Opus: neither can be made.

use super::SoundError;

/// There is none in this build.
pub enum Encoder {}

impl Encoder {
    pub fn new() -> Result<Self, SoundError> {
        Err(SoundError::Absent)
    }

    pub fn encode(&mut self, _: &[i16]) -> Result<Vec<u8>, SoundError> {
        match *self {}
    }
}

/// There is none in this build.
pub enum Decoder {}

impl Decoder {
    pub fn new() -> Result<Self, SoundError> {
        Err(SoundError::Absent)
    }

    pub fn decode(&mut self, _: &[u8]) -> Result<Vec<i16>, SoundError> {
        match *self {}
    }

    pub fn conceal(&mut self) -> Result<Vec<i16>, SoundError> {
        match *self {}
    }
}
