//! What is counted and timed, for Prometheus: a fixed set of atomics, so that counting costs an addition and nobody can make
//! a new series. One set a process, as is the custom.

mod instruments;

pub use instruments::{Counter, Gauge, Histogram, Kind, Text};

use crate::audit::Event;
use crate::link::Road;

/// From an accepted link to a stage of it.
pub struct Attach {
    pub attached: Histogram,
    pub screen: Histogram,
    pub exact: Histogram,
}

/// By what a counter is told apart.
pub struct ByFlag {
    yes: Counter,
    no: Counter,
}

impl ByFlag {
    const fn new() -> Self {
        ByFlag { yes: Counter::new(), no: Counter::new() }
    }

    pub fn count(&self, flag: bool) {
        if flag { self.yes.count() } else { self.no.count() }
    }
}

/// Updates handed to links: those with a frame of video, and all others, which are lossless.
pub struct Updates {
    number: ByFlag,
    bytes: ByFlag,
}

impl Updates {
    pub fn sent(&self, video: bool, bytes: usize) {
        self.number.count(video);
        let counter = if video { &self.bytes.yes } else { &self.bytes.no };
        counter.add(bytes as u64);
    }
}

const METHODS: [&str; 4] = ["password", "oidc", "badge", "other"];

pub static ATTACH: Attach =
    Attach { attached: Histogram::new(), screen: Histogram::new(), exact: Histogram::new() };
pub static TAP: Histogram = Histogram::new();
pub static ENCODE: Histogram = Histogram::new();
pub static QUEUE: Histogram = Histogram::new();
pub static UPDATES: Updates = Updates { number: ByFlag::new(), bytes: ByFlag::new() };
pub static PROOFS: ByFlag = ByFlag::new();
pub static TAKEOVERS: Counter = Counter::new();
static ATTACH_REFUSED: Counter = Counter::new();
static ADMIN: ByFlag = ByFlag::new();
static SIGN_INS: [ByFlag; METHODS.len()] = [const { ByFlag::new() }; METHODS.len()];
static VIEWERS: [Gauge; 4] = [const { Gauge::new() }; 4];
const ROADS: [Road; 4] = [Road::Quic, Road::WebTransport, Road::WebSocket, Road::Inside];

/// A viewer is attached for as long as this lives.
pub struct Attached(&'static Gauge);

impl Attached {
    pub fn by(road: Road) -> Attached {
        let at = ROADS.iter().position(|known| *known == road).unwrap_or_default();
        VIEWERS[at].more();
        Attached(&VIEWERS[at])
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        self.0.less();
    }
}

/// Counts what the audit is told, whoever tells it.
pub fn recorded(event: &Event) {
    let method = |method: &str| {
        let known = METHODS.iter().position(|known| *known == method);
        &SIGN_INS[known.unwrap_or(METHODS.len() - 1)]
    };
    match event {
        Event::SignedIn { method: by } => method(by.as_str()).count(true),
        Event::SignInRefused { method: by, .. } => method(by.as_str()).count(false),
        Event::AttachRefused { .. } => ATTACH_REFUSED.count(),
        Event::AdminAction { .. } => ADMIN.count(true),
        Event::AdminRefused { .. } => ADMIN.count(false),
        _ => {}
    }
}

/// What a gateway knows at the moment it is asked.
#[derive(Clone, Copy, Debug, Default)]
pub struct Now {
    pub sessions_live: usize,
    pub sessions_waiting: usize,
    pub audit_owed_bytes: u64,
    pub audit_healthy: bool,
    pub store_up: bool,
    /// Seconds since 1970.
    pub started_at: f64,
}

/// All of it, in Prometheus' text format 0.0.4.
pub fn render(now: &Now) -> String {
    let mut text = Text::default();
    text.family("chevet_build_info", Kind::Gauge, "The version that runs.");
    text.value(&[("version", env!("CARGO_PKG_VERSION"))], 1.0);
    text.family("process_start_time_seconds", Kind::Gauge, "When the gateway was started, since 1970.");
    text.value(&[], now.started_at);
    if let Some(bytes) = resident_bytes() {
        text.family("process_resident_memory_bytes", Kind::Gauge, "Memory that is resident.");
        text.value(&[], bytes as f64);
    }
    text.family("chevet_sessions", Kind::Gauge, "Sessions, by whether their source shows something.");
    text.value(&[("state", "live")], now.sessions_live as f64);
    text.value(&[("state", "waiting")], now.sessions_waiting as f64);
    text.family("chevet_viewers", Kind::Gauge, "Viewers that are attached, by the road of their link.");
    for (road, gauge) in ROADS.iter().zip(&VIEWERS) {
        text.value(&[("road", &road.name().to_lowercase())], gauge.value());
    }
    text.family(
        "chevet_attach_seconds",
        Kind::Histogram,
        "From an accepted link to: attached; a whole screen acknowledged; a screen proven exact.",
    );
    for (stage, histogram) in
        [("attached", &ATTACH.attached), ("screen", &ATTACH.screen), ("exact", &ATTACH.exact)]
    {
        text.histogram(&[("stage", stage)], histogram);
    }
    text.family("chevet_attach_refused_total", Kind::Counter, "Viewers that were not let in.");
    text.count(&[], &ATTACH_REFUSED);
    text.family(
        "chevet_tap_seconds",
        Kind::Histogram,
        "From a key or button's arrival to the acknowledgement of the next update sent.",
    );
    text.histogram(&[], &TAP);
    text.family("chevet_encode_seconds", Kind::Histogram, "Encoding one update.");
    text.histogram(&[], &ENCODE);
    text.family("chevet_queue_seconds", Kind::Histogram, "From damage to the update that carries it.");
    text.histogram(&[], &QUEUE);
    text.family("chevet_updates_total", Kind::Counter, "Updates given to links, by codec.");
    text.count(&[("codec", "lossless")], &UPDATES.number.no);
    text.count(&[("codec", "video")], &UPDATES.number.yes);
    text.family("chevet_update_bytes_total", Kind::Counter, "Bytes of updates given to links, by codec.");
    text.count(&[("codec", "lossless")], &UPDATES.bytes.no);
    text.count(&[("codec", "video")], &UPDATES.bytes.yes);
    text.family("chevet_proofs_total", Kind::Counter, "Comparisons of a viewer's screen with the session's.");
    text.count(&[("agreed", "true")], &PROOFS.yes);
    text.count(&[("agreed", "false")], &PROOFS.no);
    text.family("chevet_takeovers_total", Kind::Counter, "Sessions that went to another viewer.");
    text.count(&[], &TAKEOVERS);
    text.family("chevet_sign_ins_total", Kind::Counter, "Sign-ins, by method and outcome.");
    for (method, counters) in METHODS.iter().zip(&SIGN_INS) {
        text.count(&[("method", method), ("outcome", "granted")], &counters.yes);
        text.count(&[("method", method), ("outcome", "refused")], &counters.no);
    }
    text.family("chevet_admin_requests_total", Kind::Counter, "What administrators did, or were refused.");
    text.count(&[("outcome", "granted")], &ADMIN.yes);
    text.count(&[("outcome", "refused")], &ADMIN.no);
    text.family(
        "chevet_audit_owed_bytes",
        Kind::Gauge,
        "Audit records that the repository has not taken yet.",
    );
    text.value(&[], now.audit_owed_bytes as f64);
    text.family("chevet_audit_healthy", Kind::Gauge, "1 while the audit journal keeps every record.");
    text.value(&[], f64::from(u8::from(now.audit_healthy)));
    text.family("chevet_store_up", Kind::Gauge, "1 while the store answers, or none is needed.");
    text.value(&[], f64::from(u8::from(now.store_up)));
    text.done()
}

/// Viewers that are attached now, by the name of their road.
pub fn viewers() -> impl Iterator<Item = (&'static str, u64)> {
    ROADS.iter().zip(&VIEWERS).map(|(road, gauge)| (road.name(), gauge.value() as u64))
}

pub fn resident_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split(' ').nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names of all series: a histogram has three each.
    fn names() -> Vec<String> {
        render(&Now::default())
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(|line| line.split(['{', ' ']).next().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn every_metric_that_the_dashboard_names_is_there() {
        let names = names();
        let text = include_str!("../../docs/grafana.json");
        let dashboard: serde_json::Value = serde_json::from_str(text).unwrap();
        let mut queries = 0;
        for panel in dashboard["panels"].as_array().unwrap() {
            for target in panel["targets"].as_array().into_iter().flatten() {
                queries += 1;
                let query = target["expr"].as_str().unwrap();
                let words = query.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
                let named: Vec<&str> = words
                    .filter(|word| word.starts_with("chevet_") || word.starts_with("process_"))
                    .collect();
                assert!(!named.is_empty(), "{query}");
                for name in named {
                    assert!(names.iter().any(|known| known == name), "{name} of {query} is no metric");
                }
            }
        }
        assert!(queries >= 12, "{queries}");
    }

    #[test]
    fn every_metric_is_explained_in_the_manual() {
        let manual = include_str!("../../docs/administration.md");
        for line in render(&Now::default()).lines() {
            if let Some(name) = line.strip_prefix("# TYPE ").and_then(|line| line.split(' ').next()) {
                assert!(manual.contains(&format!("`{name}`")), "{name}");
            }
        }
    }

    #[test]
    fn names_and_units_follow_prometheus_convention() {
        let text = render(&Now::default());
        for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
            let (name, kind) = line.split_once(' ').unwrap();
            assert_eq!(name.ends_with("_total"), kind == "counter", "{line}");
            assert!(kind != "histogram" || name.ends_with("_seconds"), "{line}");
            assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{line}");
        }
    }

    #[test]
    fn sign_ins_by_methods_nobody_knows_make_no_new_series() {
        let before = names().len();
        recorded(&Event::SignInRefused { method: "x\"} 1\nevil 2".into(), reason: "".into() });
        assert_eq!(names().len(), before);
        assert!(!render(&Now::default()).contains("evil"));
    }

    #[test]
    fn a_viewer_is_counted_for_as_long_as_it_is_there() {
        let counted = |text: &str| text.lines().any(|line| line == "chevet_viewers{road=\"webtransport\"} 1");
        let viewer = Attached::by(Road::WebTransport);
        assert!(counted(&render(&Now::default())));
        drop(viewer);
        assert!(!counted(&render(&Now::default())));
    }
}
