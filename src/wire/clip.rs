//! What a clipboard holds, on its way between a host and a viewer.

use super::limits::{MAX_CLIP_PICTURE, MAX_CLIP_TEXT};
use bytes::Bytes;

/// A copied text; it never reaches a log.
#[derive(Clone, PartialEq, Eq)]
pub struct ClipText(pub String);

impl std::fmt::Debug for ClipText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ClipText({} bytes)", self.0.len())
    }
}

/// What somebody copied. Neither is ever written to a log: `Debug` tells only how much it is.
#[derive(Clone, PartialEq, Eq)]
pub enum Clip {
    /// Text with lines that end in `\n`, at most [`MAX_CLIP_TEXT`] bytes.
    Text(String),
    /// A picture as PNG, at most [`MAX_CLIP_PICTURE`] bytes.
    Picture(Bytes),
}

impl Clip {
    /// Whether it is small enough to be sent.
    pub fn fits(&self) -> bool {
        match self {
            Clip::Text(text) => text.len() <= MAX_CLIP_TEXT,
            Clip::Picture(png) => png.len() <= MAX_CLIP_PICTURE,
        }
    }
}

impl std::fmt::Debug for Clip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Clip::Text(text) => write!(f, "Text({} bytes)", text.len()),
            Clip::Picture(png) => write!(f, "Picture({} bytes)", png.len()),
        }
    }
}
