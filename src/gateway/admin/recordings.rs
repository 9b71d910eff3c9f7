//! Recordings: which there are, and their bytes, sealed as they are on disk. Only the page of who has the key opens them.

use super::super::Shared;
use super::super::api::{answer, no_store, refusal, unavailable};
use super::super::recordings::Recordings;
use super::gate::Asker;
use super::shapes::{KeptRecordings, Problem};
use crate::audit::Event;
use axum::body::Body;
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use std::io::SeekFrom;
use std::sync::Arc;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};

/// Bytes that are read together.
const PIECE: usize = 64 << 10;

fn kept(shared: &Shared) -> Result<&Arc<Recordings>, Response> {
    let none = "nothing is recorded here: the gateway's configuration has no [recording]";
    shared.recordings.as_ref().ok_or_else(|| refusal(StatusCode::NOT_FOUND, "no-recording", none))
}

/// Which recordings there are.
#[utoipa::path(get, path = "/api/admin/recordings", tag = "recordings",
    responses((status = 200, body = KeptRecordings), (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 404, body = Problem)))]
pub(super) async fn list(
    State(shared): State<Arc<Shared>>,
    Extension(asker): Extension<Asker>,
) -> Result<Response, Response> {
    let recordings = kept(&shared)?.clone();
    if recordings.is_new_access(&asker.person.sign_in.id, "") {
        shared.audit.record(asker.record("list recordings", ""));
    }
    let listed = tokio::task::spawn_blocking(move || recordings.shelf().list()).await;
    let recordings = listed.map_err(|error| unavailable(&error))?;
    Ok(answer(json!(KeptRecordings { recordings })))
}

/// A recording's bytes, as age sealed them: all, or one range of them.
#[utoipa::path(get, path = "/api/admin/recordings/{name}", tag = "recordings", params(("name" = String, Path)),
    responses((status = 200, content_type = "application/octet-stream"),
        (status = 206, content_type = "application/octet-stream"), (status = 401, body = Problem),
        (status = 403, body = Problem), (status = 404, body = Problem), (status = 416, body = Problem)))]
pub(super) async fn fetch(
    State(shared): State<Arc<Shared>>,
    Extension(asker): Extension<Asker>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Response> {
    let recordings = kept(&shared)?;
    let none = || refusal(StatusCode::NOT_FOUND, "no-recording", "there is no such recording");
    let kept = recordings.shelf().find(&name).ok_or_else(none)?;
    // Before a byte of it leaves, it is on record who has it.
    if recordings.is_new_access(&asker.person.sign_in.id, &name) {
        let event = Event::RecordingOpened { recording: name.as_str().into() };
        let opened = asker.about(event).session(kept.label.session.as_str());
        let granted = shared.audit.grant(opened).await;
        granted.map_err(|_| unavailable(&"the access to a recording could not be recorded"))?;
    }
    let failed = |error: std::io::Error| unavailable(&error);
    let mut file = File::open(recordings.shelf().sealed(&name)).await.map_err(failed)?;
    let size = file.metadata().await.map_err(failed)?.len();
    let (from, to, status) = match headers.get(header::RANGE).and_then(|value| value.to_str().ok()) {
        None => (0, size, StatusCode::OK),
        Some(range) => {
            let (from, to) = range_of(range, size).ok_or_else(|| {
                refusal(StatusCode::RANGE_NOT_SATISFIABLE, "range", "there are no such bytes")
            })?;
            (from, to, StatusCode::PARTIAL_CONTENT)
        }
    };
    file.seek(SeekFrom::Start(from)).await.map_err(failed)?;
    let pieces = futures_util::stream::unfold((file, to - from), |(mut file, left)| async move {
        if left == 0 {
            return None;
        }
        let mut piece = vec![0; PIECE.min(usize::try_from(left).unwrap_or(PIECE))];
        match file.read(&mut piece).await {
            Ok(0) => None,
            Ok(read) => {
                piece.truncate(read);
                Some((Ok(piece), (file, left - read as u64)))
            }
            Err(error) => Some((Err(error), (file, 0))),
        }
    });
    let mut response = (status, no_store(), Body::from_stream(pieces)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(to - from));
    if status == StatusCode::PARTIAL_CONTENT
        && let Ok(range) = HeaderValue::from_str(&format!("bytes {from}-{}/{size}", to - 1))
    {
        headers.insert(header::CONTENT_RANGE, range);
    }
    Ok(response)
}

/// The one range of bytes that is asked for: from, and up to but without.
fn range_of(text: &str, size: u64) -> Option<(u64, u64)> {
    let (from, to) = text.trim().strip_prefix("bytes=")?.split_once('-')?;
    let (from, to) = match (from.is_empty(), to.is_empty()) {
        (true, _) => (size.saturating_sub(to.parse().ok()?), size),
        (false, true) => (from.parse().ok()?, size),
        (false, false) => (from.parse().ok()?, to.parse::<u64>().ok()?.saturating_add(1).min(size)),
    };
    (from < to).then_some((from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_within_the_file_or_refused() {
        assert_eq!(range_of("bytes=0-9", 100), Some((0, 10)));
        assert_eq!(range_of("bytes=90-", 100), Some((90, 100)));
        assert_eq!(range_of("bytes=90-900", 100), Some((90, 100)));
        assert_eq!(range_of("bytes=-16", 100), Some((84, 100)));
        for wrong in
            ["", "bytes=", "bytes=9-1", "bytes=100-", "bytes=1-2,4-5", "bytes=-", "lines=1-2", "bytes=x-"]
        {
            assert_eq!(range_of(wrong, 100), None, "{wrong}");
        }
    }
}
