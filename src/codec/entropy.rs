//! zstd, as this codec uses it: one magicless frame a part, no checksum, no stored size, its length before it.
//!
//! The size of what a part unpacks to is always known to the decoder from elsewhere, and is exact. A part that a frame
//! does not make smaller is stored as it is, after a length of 0: a caret or a letter.

use super::payload::{DecodeError, Reader, write_varint};
use zstd_safe::{CCtx, CParameter, DCtx, DParameter, FrameFormat, ParamSwitch, Strategy, compress_bound};

/// What is being packed, which decides how zstd looks for matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// Repetitive: palette indices, flags, maps.
    Repetitive,
    /// Small numbers with little order: block maps.
    Map,
    /// Noise of some distribution: Huffman coding alone.
    Noise,
}

/// Up to this many bytes (a key's echo) take some microseconds at this level, and would gain little by a higher.
const TINY: usize = 12 << 10;
const TINY_LEVEL: i32 = 4;
/// Up to this many bytes are worth a slower search: the time stays below two milliseconds.
const SMALL: usize = 96 << 10;
const SMALL_LEVEL: i32 = 6;
const LARGE_LEVEL: i32 = 3;

/// A zstd compressor and its output scratch.
pub(super) struct Packer {
    context: CCtx<'static>,
    configured: Option<(Content, i32)>,
    scratch: Vec<u8>,
}

impl Packer {
    pub(super) fn new() -> Self {
        Packer { context: CCtx::create(), configured: None, scratch: Vec::new() }
    }

    /// Appends the packed form of `part`: a varint length and a frame, or 0 and the part itself.
    pub(super) fn pack(&mut self, content: Content, part: &[u8], out: &mut Vec<u8>) {
        let level = match content {
            Content::Repetitive if part.len() <= TINY => TINY_LEVEL,
            Content::Repetitive if part.len() <= SMALL => SMALL_LEVEL,
            Content::Repetitive => LARGE_LEVEL,
            Content::Map | Content::Noise => 1,
        };
        self.configure(content, level);
        let bound = compress_bound(part.len());
        if self.scratch.len() < bound {
            self.scratch.resize(bound, 0);
        }
        let length = self
            .context
            .compress2(&mut self.scratch[..], part)
            .expect("a buffer of compress_bound bytes holds any frame, and the parameters were accepted");
        if length < part.len() {
            write_varint(length as u64, out);
            out.extend_from_slice(&self.scratch[..length]);
        } else {
            write_varint(0, out);
            out.extend_from_slice(part);
        }
    }

    fn configure(&mut self, content: Content, level: i32) {
        if self.configured == Some((content, level)) {
            return;
        }
        self.configured = Some((content, level));
        self.context.reset(zstd_safe::ResetDirective::Parameters).expect("no frame is under way");
        let mut set = |parameter| {
            self.context.set_parameter(parameter).expect("zstd 1.5 knows every parameter used here");
        };
        set(CParameter::Format(FrameFormat::Magicless));
        set(CParameter::ContentSizeFlag(false));
        set(CParameter::ChecksumFlag(false));
        match content {
            Content::Repetitive | Content::Map => set(CParameter::CompressionLevel(level)),
            Content::Noise => {
                set(CParameter::CompressionLevel(level));
                set(CParameter::Strategy(Strategy::ZSTD_fast));
                set(CParameter::WindowLog(17));
                set(CParameter::HashLog(12));
                set(CParameter::MinMatch(7));
                // For the fast strategy this is how quickly the search gives up.
                set(CParameter::TargetLength(1 << 12));
                set(CParameter::LiteralCompressionMode(ParamSwitch::Enable));
            }
        }
    }
}

/// A zstd decompressor.
pub(super) struct Unpacker {
    context: DCtx<'static>,
}

impl Unpacker {
    pub(super) fn new() -> Self {
        let mut context = DCtx::create();
        context
            .set_parameter(DParameter::Format(FrameFormat::Magicless))
            .expect("zstd 1.5 knows the magicless format");
        Unpacker { context }
    }

    /// Reads a packed part, which must unpack to exactly `part.len()` bytes.
    pub(super) fn unpack(&mut self, reader: &mut Reader<'_>, part: &mut [u8]) -> Result<(), DecodeError> {
        let expected = part.len();
        let length = reader.varint_to(compress_bound(expected), "the length of a compressed part")?;
        if length == 0 {
            part.copy_from_slice(reader.bytes(expected)?);
            return Ok(());
        }
        let frame = reader.bytes(length)?;
        match self.context.decompress(part, frame) {
            Ok(written) if written == expected => Ok(()),
            _ => Err(DecodeError::Compressed { expected }),
        }
    }
}
