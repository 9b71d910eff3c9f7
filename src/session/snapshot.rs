//! What a session says of itself and its viewers when it is asked.

use super::viewer::Viewer;
use crate::sync::Micros;
use crate::wire::Path;
use serde::Serialize;

/// One viewer, as its session sees it.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct ViewerSnapshot {
    /// Names the viewer in its session, for as long as its link lasts.
    pub id: u64,
    /// Who views. Empty: somebody with the shared ticket.
    pub title: String,
    pub seat: String,
    /// Empty: none.
    pub sign_in: String,
    /// Whether its keys and clicks reach the session.
    pub controls: bool,
    pub road: &'static str,
    pub round_trip_us: u64,
    pub lost_per_million: u64,
    pub bytes_per_second: u64,
    /// exact: proven identical; settling: not proven yet; moving: pixels are on their way.
    pub exactness: &'static str,
    /// Bytes of updates so far.
    pub bytes: u64,
    pub updates: u64,
    /// Proofs that failed, and were mended.
    pub repairs: u64,
    /// How long it has been attached, in milliseconds.
    pub attached_ms: u64,
    /// How long nothing was heard of it, in milliseconds.
    pub silent_ms: u64,
}

impl ViewerSnapshot {
    pub(super) fn of(id: u64, viewer: &Viewer, now: Micros) -> ViewerSnapshot {
        let Path { round_trip_us, bytes_per_second, lost_per_million, .. } = viewer.path();
        let counters = viewer.delivery.counters();
        let grant = &viewer.grant;
        let moving = viewer.delivery.owes() || viewer.delivery.is_waiting();
        ViewerSnapshot {
            id,
            title: grant.title.to_string(),
            seat: grant.seat.to_string(),
            sign_in: grant.sign_in.to_string(),
            controls: grant.controls,
            road: viewer.link.road().name(),
            round_trip_us,
            lost_per_million,
            bytes_per_second,
            exactness: match (moving, viewer.proven) {
                (true, _) => "moving",
                (false, true) => "exact",
                (false, false) => "settling",
            },
            bytes: counters.bytes,
            updates: counters.updates,
            repairs: viewer.repairs,
            attached_ms: now.saturating_sub(viewer.attached_us) / 1_000,
            silent_ms: now.saturating_sub(viewer.heard_at) / 1_000,
        }
    }
}

/// Which viewers an order is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whom {
    All,
    One(u64),
}
