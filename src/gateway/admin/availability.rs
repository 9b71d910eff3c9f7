//! How sessions were for who opened them, and where they went.

use super::super::Shared;
use super::super::api::{answer, people};
use super::shapes::{Availability, AvailabilityOf, Figures as Shown, Problem, Stretch as ShownStretch};
use super::users::broken;
use crate::availability::{Figures, Recent, Stretch, quantile};
use crate::clock;
use axum::extract::State;
use axum::response::Response;
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// What was added up serves for so long: rows are written once a minute.
const SERVES: Duration = Duration::from_secs(20);

/// What was added up last.
pub(super) type Kept = Mutex<Option<(Instant, Arc<Recent>)>>;

fn shown(figures: &Figures) -> Shown {
    Shown {
        attempts: figures.attempts(),
        in_time: figures.in_time,
        late: figures.late,
        failed: figures.failed,
        share: figures.share(),
        minutes: figures.minutes,
        minutes_degraded: figures.minutes_degraded,
        screen_p50_ms: quantile(&figures.screens, 0.5),
        screen_p95_ms: quantile(&figures.screens, 0.95),
        tap_p50_ms: quantile(&figures.taps, 0.5),
        tap_p95_ms: quantile(&figures.taps, 0.95),
    }
}

fn stretch(of: &Stretch) -> ShownStretch {
    ShownStretch { day: shown(&of.day), month: shown(&of.month) }
}

async fn recent(shared: &Shared) -> Result<Arc<Recent>, Response> {
    let mut kept = shared.health.recent.lock().await;
    if let Some((_, recent)) = kept.as_ref().filter(|(at, _)| at.elapsed() < SERVES) {
        return Ok(recent.clone());
    }
    let hour = clock::unix_ms().div_euclid(3_600_000);
    let needed = Recent::needed(hour);
    let rows = people(shared)?.identity().store().availability(needed.start, needed.end).await;
    let rows = rows.map_err(broken)?;
    // A month of many applications is some hundred milliseconds of work.
    let recent = tokio::task::spawn_blocking(move || Arc::new(Recent::of(hour, &rows))).await;
    let recent = recent.map_err(|error| super::super::api::unavailable(&error))?;
    *kept = Some((Instant::now(), recent.clone()));
    Ok(recent)
}

/// The last 24 hours and 30 days, by application and site, of all gateways of this store; and this gateway's newest takeovers.
#[utoipa::path(get, path = "/api/admin/availability", tag = "availability",
    responses((status = 200, body = Availability), (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(super) async fn show(State(shared): State<Arc<Shared>>) -> Result<Response, Response> {
    let recent = recent(&shared).await?;
    let targets = shared.availability.as_ref().map(|recorder| recorder.targets());
    let ms = |time: Duration| time.as_millis() as u64;
    Ok(answer(json!(Availability {
        now: clock::unix_ms(),
        hour: recent.hour,
        screen_target_ms: targets.map(|targets| ms(targets.screen)),
        tap_target_ms: targets.map(|targets| ms(targets.tap)),
        whole: stretch(&recent.whole),
        applications: recent
            .applications
            .iter()
            .map(|((application, site), of)| AvailabilityOf {
                application: application.clone(),
                site: site.clone(),
                day: shown(&of.day),
                month: shown(&of.month),
            })
            .collect(),
        hours: recent.hours.iter().map(shown).collect(),
        days: recent.days.iter().map(shown).collect(),
        damaged: recent.damaged,
        takeovers: shared.takeovers.newest(),
    })))
}
