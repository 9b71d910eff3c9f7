//! A picture of a clipboard on its way, in parts that the receiver asks for one by one: so no more than one part of it is ever
//! before anything else.

use super::limits::{MAX_CLIP_PICTURE, MAX_CLIP_PIXELS, MAX_PICTURE_PART};
use super::value::{Reader, WireError, put_bytes, put_varint};
use bytes::Bytes;

/// What Picture says: that there is one, or a part of it.
#[derive(Clone, PartialEq, Eq)]
pub struct PicturePart {
    /// Its sender counts its pictures.
    pub picture: u64,
    /// The bytes of the whole: 1 to [`MAX_CLIP_PICTURE`].
    pub total: u32,
    /// Where the part begins.
    pub from: u32,
    /// At most [`MAX_PICTURE_PART`]; none: the picture is only offered.
    pub bytes: Bytes,
}

impl std::fmt::Debug for PicturePart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let PicturePart { picture, total, from, bytes } = self;
        write!(f, "PicturePart({picture}: {} bytes of {total} from {from})", bytes.len())
    }
}

pub(super) fn write_part(part: &PicturePart, out: &mut Vec<u8>) {
    put_varint(out, part.picture);
    put_varint(out, part.total.into());
    put_varint(out, part.from.into());
    put_bytes(out, &part.bytes);
}

pub(super) fn read_part(r: &mut Reader) -> Result<PicturePart, WireError> {
    let picture = r.varint("Picture's number")?;
    let total = r.count(MAX_CLIP_PICTURE, "Picture's length")?;
    let from = r.count(MAX_CLIP_PICTURE, "the beginning of Picture's part")?;
    let bytes = r.bytes(MAX_PICTURE_PART, "Picture's part")?;
    if total == 0 || from + bytes.len() > total {
        let value = (from + bytes.len()) as u64;
        return Err(WireError::Meaningless { what: "the end of Picture's part", value });
    }
    Ok(PicturePart { picture, total: total as u32, from: from as u32, bytes: Bytes::copy_from_slice(bytes) })
}

/// Width and height of a PNG as its first bytes say; `None` if it is none, or larger than [`MAX_CLIP_PIXELS`] pixels. The rest
/// is not looked at.
pub fn png_size(png: &[u8]) -> Option<(u32, u32)> {
    // PNG, sections 5.2 and 11.2.1: the signature, then IHDR with its 13 bytes.
    const START: &[u8; 16] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
    let header = png.strip_prefix(START)?;
    let side = |at: usize| Some(u32::from_be_bytes(*header.get(at..)?.first_chunk()?));
    let (width, height) = (side(0)?, side(4)?);
    let pixels = u64::from(width) * u64::from(height);
    (1..=MAX_CLIP_PIXELS).contains(&pixels).then_some((width, height))
}
