//! What stands for encoder and decoder in a build without H.264: neither can be made.

use super::{I420, VideoError};
use crate::screen::{Framebuffer, Rect};

/// What became of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EncodedFrame {
    Key,
    Delta,
    Skipped,
}

/// There is none in this build.
pub enum VideoEncoder {}

impl VideoEncoder {
    pub fn new(_: u32, _: u32, _: u32) -> Result<Self, VideoError> {
        Err(VideoError::Absent)
    }

    pub fn set_rate(&mut self, _: u32) -> Result<(), VideoError> {
        match *self {}
    }

    pub fn load(&mut self, _: &Framebuffer, _: &Rect) {
        match *self {}
    }

    pub fn encode(&mut self, _: bool, _: u64, _: &mut Vec<u8>) -> Result<EncodedFrame, VideoError> {
        match *self {}
    }
}

/// There is none in this build.
pub enum VideoDecoder {}

impl VideoDecoder {
    pub fn new(_: u32, _: u32) -> Result<Self, VideoError> {
        Err(VideoError::Absent)
    }

    pub fn decode(&mut self, _: &[u8]) -> Result<&I420, VideoError> {
        match *self {}
    }
}
