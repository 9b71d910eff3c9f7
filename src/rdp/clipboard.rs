//! Text and pictures between the host's clipboard and the session's.

use super::picture;
use crate::wire::Clip;
use bytes::Bytes;
use ironrdp_cliprdr::backend::CliprdrBackend;
use ironrdp_cliprdr::pdu::{
    ClipboardFormat, ClipboardFormatId, ClipboardGeneralCapabilityFlags, FileContentsRequest,
    FileContentsResponse, FormatDataRequest, FormatDataResponse, LockDataId, OwnedFormatDataResponse,
};
use ironrdp_core::impl_as_any;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// News of the host that wait; more of them would be a host that floods.
const MOST_NEWS: usize = 64;
/// Bytes of what a host's clipboard may hold as it sends it: text in UTF-16, pictures without compression.
const MOST_BYTES: usize = 64 << 20;
/// xrdp puts the header of a file before a picture, and then passes on so many bytes too few of it. After a bitmap there may be
/// any: its header says how many are its own.
const FILE_HEADER: usize = 14;

/// What the host says of its clipboard.
#[derive(Debug, PartialEq)]
pub enum News {
    Ready,
    /// Somebody copied something there that can be had in this form.
    Copied(ClipboardFormatId),
    /// Somebody pastes there.
    Wanted(ClipboardFormatId),
    /// What was asked for.
    Given(Option<Vec<u8>>),
}

/// What the connection's task and its clipboard channel share.
#[derive(Clone, Default)]
pub struct Clipboard(Arc<Mutex<Board>>);

#[derive(Default)]
struct Board {
    news: VecDeque<News>,
    /// What a viewer copied last, for the host to paste.
    offered: Option<Clip>,
    /// What was told last in either direction, so that it is not told back.
    told: Option<Clip>,
    /// The form that was asked for last.
    asked: Option<ClipboardFormatId>,
}

impl std::fmt::Debug for Clipboard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clipboard")
    }
}

impl Clipboard {
    fn lock(&self) -> MutexGuard<'_, Board> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn take_news(&self) -> Option<News> {
        self.lock().news.pop_front()
    }

    /// A new connection: nothing of the last one's counts, but what viewers copied.
    pub fn begin(&self) {
        let mut board = self.lock();
        board.news.clear();
        board.asked = None;
    }

    /// A viewer copied something.
    pub fn offer(&self, clip: Clip) {
        let mut board = self.lock();
        board.told = Some(clip.clone());
        board.offered = Some(clip);
    }

    /// In which forms the host may have what a viewer copied.
    pub fn formats(&self) -> Vec<ClipboardFormat> {
        match self.lock().offered {
            Some(Clip::Text(_)) => vec![ClipboardFormat::new(ClipboardFormatId::CF_UNICODETEXT)],
            Some(Clip::Picture(_)) => vec![ClipboardFormat::new(ClipboardFormatId::CF_DIB)],
            None => Vec::new(),
        }
    }

    /// What a host that pastes is given.
    pub fn give(&self, format: ClipboardFormatId) -> OwnedFormatDataResponse {
        let offered = self.lock().offered.clone();
        match (offered, format) {
            (Some(Clip::Text(text)), ClipboardFormatId::CF_UNICODETEXT) => {
                FormatDataResponse::new_unicode_string(&to_host(&text)).into_owned_response()
            }
            (Some(Clip::Picture(png)), ClipboardFormatId::CF_DIB) => match picture::dib_of_png(&png) {
                Some(mut dib) => {
                    dib.resize(dib.len() + FILE_HEADER, 0);
                    FormatDataResponse::new_data(dib).into_owned_response()
                }
                None => FormatDataResponse::new_error().into_owned_response(),
            },
            _ => FormatDataResponse::new_error().into_owned_response(),
        }
    }

    pub fn ask(&self, format: ClipboardFormatId) {
        self.lock().asked = Some(format);
    }

    /// What the host gave, as a clip; nothing if it is none, too large, or what was told last.
    pub fn take(&self, data: &[u8]) -> Option<Clip> {
        let asked = self.lock().asked.take()?;
        let clip = match asked {
            ClipboardFormatId::CF_UNICODETEXT => Clip::Text(from_host(data)),
            ClipboardFormatId::CF_DIB => Clip::Picture(Bytes::from(picture::png_of_dib(data)?)),
            _ => return None,
        };
        let empty = matches!(&clip, Clip::Text(text) if text.is_empty());
        let mut board = self.lock();
        if empty || !clip.fits() || board.told.as_ref() == Some(&clip) {
            return None;
        }
        board.told = Some(clip.clone());
        Some(clip)
    }
}

trait IntoOwnedResponse {
    fn into_owned_response(self) -> OwnedFormatDataResponse;
}

impl IntoOwnedResponse for FormatDataResponse<'_> {
    fn into_owned_response(self) -> OwnedFormatDataResponse {
        ironrdp_core::IntoOwned::into_owned(self)
    }
}

/// Windows ends lines with two characters.
fn to_host(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\n', "\r\n")
}

/// UTF-16 up to its end or its first zero.
fn from_host(data: &[u8]) -> String {
    let (pairs, _) = data.as_chunks::<2>();
    let units = pairs.iter().map(|&pair| u16::from_le_bytes(pair)).take_while(|&unit| unit != 0);
    let text: String =
        char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
    text.replace("\r\n", "\n")
}

/// The channel's side: it only notes what the host says.
#[derive(Debug)]
pub struct ClipboardEar {
    board: Clipboard,
}

impl_as_any!(ClipboardEar);

impl ClipboardEar {
    pub fn new(board: Clipboard) -> Self {
        ClipboardEar { board }
    }

    fn note(&self, news: News) {
        let mut board = self.board.lock();
        if board.news.len() < MOST_NEWS {
            board.news.push_back(news);
        }
    }
}

impl CliprdrBackend for ClipboardEar {
    fn temporary_directory(&self) -> &str {
        // Files are not exchanged.
        "."
    }

    fn client_capabilities(&self) -> ClipboardGeneralCapabilityFlags {
        ClipboardGeneralCapabilityFlags::USE_LONG_FORMAT_NAMES
    }

    fn on_ready(&mut self) {
        self.note(News::Ready);
    }

    fn on_request_format_list(&mut self) {
        self.note(News::Ready);
    }

    fn on_process_negotiated_capabilities(&mut self, _capabilities: ClipboardGeneralCapabilityFlags) {}

    fn on_remote_copy(&mut self, formats: &[ClipboardFormat]) {
        let has = |wanted: ClipboardFormatId| formats.iter().any(|format| format.id() == wanted);
        let wanted = [ClipboardFormatId::CF_UNICODETEXT, ClipboardFormatId::CF_DIB];
        if let Some(format) = wanted.into_iter().find(|&format| has(format)) {
            self.note(News::Copied(format));
        }
    }

    fn on_format_data_request(&mut self, request: FormatDataRequest) {
        self.note(News::Wanted(request.format));
    }

    fn on_format_data_response(&mut self, response: FormatDataResponse<'_>) {
        let usable = !response.is_error() && response.data().len() <= MOST_BYTES;
        self.note(News::Given(usable.then(|| response.data().to_vec())));
    }

    fn on_file_contents_request(&mut self, _request: FileContentsRequest) {}
    fn on_file_contents_response(&mut self, _response: FileContentsResponse<'_>) {}
    fn on_lock(&mut self, _data: LockDataId) {}
    fn on_unlock(&mut self, _data: LockDataId) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utf16(text: &str) -> Vec<u8> {
        text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect()
    }

    #[test]
    fn lines_end_on_either_side_as_is_usual_there() {
        assert_eq!(to_host("a\nb\r\nc"), "a\r\nb\r\nc");
        assert_eq!(from_host(&utf16("é\r\n😀")), "é\n😀");
        assert_eq!(from_host(&[0x00, 0xd8, 0x41, 0x00, 0x42]), "\u{fffd}A");
    }

    #[test]
    fn what_a_viewer_copied_is_not_told_back_to_it() {
        let board = Clipboard::default();
        board.offer(Clip::Text("same".into()));
        board.ask(ClipboardFormatId::CF_UNICODETEXT);
        assert_eq!(board.take(&utf16("same")), None);
        board.ask(ClipboardFormatId::CF_UNICODETEXT);
        assert_eq!(board.take(&utf16("other")), Some(Clip::Text("other".into())));
        // Nobody asked.
        assert_eq!(board.take(&utf16("unasked")), None);
    }

    #[test]
    fn a_host_that_floods_leaves_no_more_than_a_few_news() {
        let board = Clipboard::default();
        let mut ear = ClipboardEar::new(board.clone());
        (0..10_000).for_each(|_| ear.on_ready());
        assert_eq!(std::iter::from_fn(|| board.take_news()).count(), MOST_NEWS);
    }
}
