//! The extended clipboard: text as UTF-8, sent when somebody wants it.

use super::RfbError;
use super::inbox::{Reader, Stop};
use super::inflate::Inflate;
use crate::wire::limits::MAX_CLIP_TEXT;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use std::io::Write;

const TEXT: u32 = 1;
const FORMATS: u32 = 0xffff;
const CAPS: u32 = 1 << 24;
const REQUEST: u32 = 1 << 25;
const PEEK: u32 = 1 << 26;
const NOTIFY: u32 = 1 << 27;
const PROVIDE: u32 = 1 << 28;
/// Windows' line ends make a text at most twice as long.
const MAX_BYTES: usize = 2 * MAX_CLIP_TEXT;
/// The longest message that is read rather than passed over.
pub(super) const MAX_MESSAGE: u32 = MAX_BYTES as u32 + 4_096;

/// What a server says about its clipboard.
#[derive(Clone, PartialEq, Eq)]
pub enum ClipNews {
    /// It knows the extended clipboard.
    Capable,
    /// There is something new: text, or nothing that can be taken.
    Changed {
        text: bool,
    },
    /// It wants our text.
    Wanted,
    /// It wants to know what we have.
    Asked,
    Text(String),
}

impl std::fmt::Debug for ClipNews {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ClipNews::Capable => f.write_str("Capable"),
            ClipNews::Changed { text } => write!(f, "Changed({text})"),
            ClipNews::Wanted => f.write_str("Wanted"),
            ClipNews::Asked => f.write_str("Asked"),
            ClipNews::Text(text) => write!(f, "Text({} bytes)", text.len()),
        }
    }
}

/// Reads the body of an extended message; `None` if there is nothing in it for us.
pub(super) fn read(body: &[u8]) -> Result<Option<ClipNews>, RfbError> {
    let too_short = RfbError::Meaningless { what: "a clipboard message's length", value: body.len() as i64 };
    let (flags, rest) = body.split_first_chunk().ok_or(too_short)?;
    let flags = u32::from_be_bytes(*flags);
    let text = flags & TEXT != 0;
    Ok(match () {
        () if flags & CAPS != 0 => Some(ClipNews::Capable),
        () if flags & REQUEST != 0 => text.then_some(ClipNews::Wanted),
        () if flags & PEEK != 0 => Some(ClipNews::Asked),
        () if flags & NOTIFY != 0 => Some(ClipNews::Changed { text }),
        () if flags & PROVIDE != 0 && text => provided(rest)?.map(ClipNews::Text),
        () => None,
    })
}

/// The text of a zlib stream of its own; text that is too long is not taken.
fn provided(compressed: &[u8]) -> Result<Option<String>, RfbError> {
    let mut inflate = Inflate::new("the clipboard");
    let mut length = [0; 4];
    let used = inflate.fill(compressed, &mut length)?;
    let length = u32::from_be_bytes(length) as usize;
    if length > MAX_BYTES {
        return Ok(None);
    }
    let mut text = vec![0; length];
    inflate.fill(&compressed[used..], &mut text)?;
    let text = String::from_utf8_lossy(&text);
    let text = text.trim_end_matches('\0').replace("\r\n", "\n");
    Ok((text.len() <= MAX_CLIP_TEXT).then_some(text))
}

/// The text of a classic message, which is Latin-1.
pub(super) fn latin_1(reader: &mut Reader, length: u32) -> Result<String, Stop> {
    let text: String = reader.take(length as usize)?.iter().map(|&byte| char::from(byte)).collect();
    Ok(text.replace("\r\n", "\n"))
}

fn message(flags: u32, rest: &[u8]) -> Vec<u8> {
    let mut message = vec![6, 0, 0, 0];
    let length = -(4 + rest.len() as i32);
    message.extend_from_slice(&length.to_be_bytes());
    message.extend_from_slice(&flags.to_be_bytes());
    message.extend_from_slice(rest);
    message
}

/// What we can do: text, none of it unasked.
pub fn capabilities() -> Vec<u8> {
    message(CAPS | REQUEST | PEEK | NOTIFY | PROVIDE | TEXT, &0u32.to_be_bytes())
}

/// We have text, or none.
pub fn notify(text: bool) -> Vec<u8> {
    message(NOTIFY | if text { TEXT } else { 0 }, &[])
}

/// We want the server's text.
pub fn request() -> Vec<u8> {
    message(REQUEST | TEXT & FORMATS, &[])
}

/// Our text.
pub fn provide(text: &str) -> Vec<u8> {
    let text = text.replace("\r\n", "\n").replace('\n', "\r\n");
    let mut stream = ZlibEncoder::new(Vec::new(), Compression::fast());
    let length = text.len() as u32 + 1;
    // A vector takes everything.
    let _ = stream.write_all(&length.to_be_bytes());
    let _ = stream.write_all(text.as_bytes());
    let _ = stream.write_all(&[0]);
    message(PROVIDE | TEXT, &stream.finish().unwrap_or_default())
}

/// Our text for servers without the extended clipboard: what Latin-1 lacks becomes a question mark.
pub fn classic(text: &str) -> Vec<u8> {
    let latin_1: Vec<u8> = text.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect();
    let mut message = vec![6, 0, 0, 0];
    message.extend_from_slice(&(latin_1.len() as u32).to_be_bytes());
    message.extend_from_slice(&latin_1);
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_is_provided_is_read_again() {
        let message = provide("Größe\n€ 5");
        let body = &message[8..];
        assert_eq!(i32::from_be_bytes(*message[4..].first_chunk().unwrap()), -(body.len() as i32));
        assert_eq!(read(body).unwrap(), Some(ClipNews::Text("Größe\n€ 5".into())));
    }

    #[test]
    fn text_that_is_too_long_is_not_taken_and_never_inflated() {
        let mut stream = ZlibEncoder::new(Vec::new(), Compression::best());
        stream.write_all(&u32::MAX.to_be_bytes()).unwrap();
        stream.write_all(&vec![b'a'; 1 << 20]).unwrap();
        let mut body = (PROVIDE | TEXT).to_be_bytes().to_vec();
        body.extend_from_slice(&stream.finish().unwrap());
        assert_eq!(read(&body).unwrap(), None);
    }

    #[test]
    fn what_servers_say_is_told_apart() {
        let said = |flags: u32| read(&flags.to_be_bytes()).unwrap();
        assert_eq!(said(CAPS | TEXT), Some(ClipNews::Capable));
        assert_eq!(said(NOTIFY | TEXT), Some(ClipNews::Changed { text: true }));
        assert_eq!(said(NOTIFY), Some(ClipNews::Changed { text: false }));
        assert_eq!(said(REQUEST | TEXT), Some(ClipNews::Wanted));
        assert_eq!(said(REQUEST | 2), None);
        assert!(read(&[1, 2]).is_err());
    }

    #[test]
    fn a_classic_message_holds_what_latin_1_can() {
        assert_eq!(classic("né€")[4..], [0, 0, 0, 3, b'n', 0xe9, b'?']);
    }
}
