//! What a viewer counted and measured, as one JSON object a second and one at the end.

use super::{Client, Update};
use crate::wire::Watcher;
use hdrhistogram::Histogram;
use serde_json::{Value, json};

/// Counts since the start and, for percentiles, in whole.
pub struct Report {
    updates: u64,
    bytes: u64,
    pixel_tiles: u64,
    cached_tiles: u64,
    copies: u64,
    missing_tiles: u64,
    video_frames: u64,
    video_tiles: u64,
    draw_to_decode: Histogram<u64>,
    decode: Histogram<u64>,
    began_us: u64,
    first_exact_us: Option<u64>,
    watchers: Vec<Watcher>,
}

impl Report {
    /// Times count from `began_us` on the monotonic clock.
    pub fn new(began_us: u64) -> Self {
        // Three digits, up to an hour in microseconds.
        let histogram = || Histogram::new_with_bounds(1, 3_600_000_000, 3).expect("the bounds are in order");
        Report {
            updates: 0,
            bytes: 0,
            pixel_tiles: 0,
            cached_tiles: 0,
            copies: 0,
            missing_tiles: 0,
            video_frames: 0,
            video_tiles: 0,
            draw_to_decode: histogram(),
            decode: histogram(),
            began_us,
            first_exact_us: None,
            watchers: Vec::new(),
        }
    }

    pub fn updated(&mut self, update: &Update) {
        self.updates += 1;
        self.bytes += update.applied.bytes as u64;
        self.pixel_tiles += update.applied.pixel_tiles as u64;
        self.cached_tiles += update.applied.cached_tiles as u64;
        self.copies += update.applied.copies as u64;
        self.missing_tiles += update.applied.missing.len() as u64;
        self.video_frames += u64::from(update.applied.video_tiles > 0);
        self.video_tiles += update.applied.video_tiles as u64;
        self.draw_to_decode.saturating_record(update.draw_to_decode_us);
        self.decode.saturating_record(update.decode_us);
    }

    pub fn exact(&mut self, now_us: u64) {
        self.first_exact_us.get_or_insert(now_us - self.began_us);
    }

    /// Who watches from now on.
    pub fn watched(&mut self, watchers: Vec<Watcher>) {
        self.watchers = watchers;
    }

    pub fn updates(&self) -> u64 {
        self.updates
    }

    /// The report as JSON; `last` marks the one at the end.
    pub fn json(&self, client: &Client, now_us: u64, last: bool) -> Value {
        let size = client.screen().map_or((0, 0), |screen| (screen.width(), screen.height()));
        json!({
            "final": last,
            "seconds": (now_us - self.began_us) as f64 / 1e6,
            "road": client.road().map(|road| road.name()),
            "width": size.0,
            "height": size.1,
            "updates": self.updates,
            "bytes": self.bytes,
            "tiles": {
                "pixels": self.pixel_tiles,
                "cached": self.cached_tiles,
                "missing_in_cache": self.missing_tiles,
                "video": self.video_tiles,
            },
            "copies": self.copies,
            "video_frames": self.video_frames,
            "policy": client.policy().name(),
            "recorded": client.recorded(),
            "round_trip_us": client.round_trip_us(),
            "draw_to_decode_us": percentiles(&self.draw_to_decode),
            "decode_us": percentiles(&self.decode),
            "exactness": client.exactness().name(),
            "first_exact_us": self.first_exact_us,
            "mismatched_proofs": client.mismatches(),
            "watchers": self.watchers.iter().map(|each| json!({"title": each.title, "seat": each.seat,
                "controls": each.controls, "administrator": each.administrator, "you": each.you})).collect::<Vec<_>>(),
        })
    }
}

fn percentiles(histogram: &Histogram<u64>) -> Value {
    json!({
        "count": histogram.len(),
        "p50": histogram.value_at_quantile(0.5),
        "p90": histogram.value_at_quantile(0.9),
        "p95": histogram.value_at_quantile(0.95),
        "p99": histogram.value_at_quantile(0.99),
        "max": histogram.max(),
    })
}
