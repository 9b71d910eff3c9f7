//! Medians, ratios, tables.

use crate::browser::Photons;
use crate::model::Profile;
use crate::run::{Outcome, Side};
use crate::scenes::Scene;
use std::collections::HashMap;
use std::fmt::Write;

/// The outcomes of all rounds.
#[derive(Default)]
pub struct Table {
    outcomes: HashMap<(Scene, &'static str), Vec<Outcome>>,
}

const CHEVET: &str = "chevet";
const TIGERVNC: &str = "TigerVNC";
const ALONE: &str = "alone";

fn name(side: Side) -> &'static str {
    match side {
        Side::Alone => ALONE,
        Side::Chevet => CHEVET,
        Side::TigerVnc(_) => TIGERVNC,
    }
}

impl Table {
    pub fn add(&mut self, scene: Scene, side: Side, outcome: Outcome) {
        self.outcomes.entry((scene, name(side))).or_default().push(outcome);
    }

    fn of(&self, scene: Scene, side: &'static str) -> &[Outcome] {
        self.outcomes.get(&(scene, side)).map_or(&[], Vec::as_slice)
    }

    fn median(&self, scene: Scene, side: &'static str, figure: impl Fn(&Outcome) -> f64) -> f64 {
        median(self.of(scene, side).iter().map(figure).collect())
    }

    /// Of a round's frames, in milliseconds; the median over the rounds, so that one in which the machine stood still
    /// does not count.
    fn latency(&self, scene: Scene, side: &'static str, q: f64) -> f64 {
        self.median(scene, side, |outcome| quantile(&milliseconds(outcome), q))
    }
}

fn milliseconds(outcome: &Outcome) -> Vec<f64> {
    outcome.latencies.iter().map(|&us| us as f64 / 1e3).collect()
}

fn quantile(times: &[f64], q: f64) -> f64 {
    let mut times = times.to_vec();
    times.sort_by(f64::total_cmp);
    let at = ((times.len() as f64 * q).ceil() as usize).clamp(1, times.len().max(1)) - 1;
    times.get(at).copied().unwrap_or(f64::NAN)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => values[count / 2],
        count => (values[count / 2 - 1] + values[count / 2]) / 2.0,
    }
}

fn geometric_mean(values: &[f64]) -> f64 {
    (values.iter().map(|value| value.ln()).sum::<f64>() / values.len() as f64).exp()
}

/// One line a run, for whoever watches.
pub fn trace(path: &str, round: usize, scene: Scene, side: Side, outcome: &Outcome) {
    let times = milliseconds(outcome);
    eprintln!(
        "{path} {round} {:<20} {:<8} {:>8} B a frame in {:>5.1} packets ({:>4.2} updates of {:>7} B), {:>6.2} ms CPU (gateway {:>5.2}), \
         latency {:>6.1} p95 {:>6.1} ms, shown {}/{}, exact after {:?} ms, PSNR {:.1} moving {:.1} at rest",
        scene.name(),
        name(side),
        outcome.bytes / u64::from(outcome.frames),
        outcome.packets as f64 / f64::from(outcome.frames),
        outcome.updates as f64 / f64::from(outcome.frames),
        outcome.update_bytes / u64::from(outcome.frames),
        cpu_per_frame(outcome),
        outcome.gateway_cpu as f64 / 1e6 / f64::from(outcome.frames),
        quantile(&times, 0.5),
        quantile(&times, 0.95),
        outcome.distinct_frames,
        outcome.frames,
        outcome.exact_after.map(|us| us / 1000),
        outcome.moving_psnr,
        outcome.resting_psnr,
    );
}

pub fn described(profile: &Profile) -> String {
    format!(
        "round trip {} ms, {} Mbit/s, loss {} %",
        profile.round_trip() / 1_000,
        profile.down.rate * 8 / 1_000_000,
        profile.down.lost_per_million as f64 / 1e4
    )
}

/// The tables of one path, as Markdown.
pub struct Figures;

impl Figures {
    pub fn of(table: &Table, scenes: &[Scene], with_cpu: bool) -> String {
        let mut text = String::new();
        let scenes: Vec<Scene> =
            scenes.iter().copied().filter(|&scene| !table.of(scene, CHEVET).is_empty()).collect();
        bytes(&mut text, table, &scenes);
        if with_cpu {
            cpu(&mut text, table, &scenes);
        }
        latency(&mut text, table, &scenes);
        exactness(&mut text, table, &scenes);
        text
    }
}

fn per_frame(outcome: &Outcome) -> f64 {
    outcome.bytes as f64 / f64::from(outcome.frames)
}

fn cpu_per_frame(outcome: &Outcome) -> f64 {
    outcome.cpu as f64 / 1e6 / f64::from(outcome.frames)
}

/// The scenes that the geometric means are over.
fn interface(scene: Scene) -> bool {
    !matches!(scene, Scene::Ct | Scene::Video)
}

fn mean_line(text: &mut String, ratios: &[(Scene, f64)], columns: usize, rest: &str) {
    let over: Vec<f64> =
        ratios.iter().filter(|(scene, _)| interface(*scene)).map(|(_, ratio)| *ratio).collect();
    if !over.is_empty() {
        let _ = writeln!(
            text,
            "| geometric mean but CT and video |{} {:.2} |{rest}",
            " |".repeat(columns),
            geometric_mean(&over)
        );
    }
}

fn bytes(text: &mut String, table: &Table, scenes: &[Scene]) {
    let _ = writeln!(
        text,
        "\n| bytes a drawn frame | TigerVNC | chevet | ratio | ratio a shown frame |\n|---|---|---|---|---|"
    );
    let mut ratios = Vec::new();
    for &scene in scenes {
        let (peer, ours) = (table.median(scene, TIGERVNC, per_frame), table.median(scene, CHEVET, per_frame));
        ratios.push((scene, ours / peer));
        let shown = |outcome: &Outcome| outcome.bytes as f64 / outcome.distinct_frames.max(1) as f64;
        let ratio = table.median(scene, CHEVET, shown) / table.median(scene, TIGERVNC, shown);
        let _ =
            writeln!(text, "| {} | {peer:.0} | {ours:.0} | {:.2} | {ratio:.2} |", scene.name(), ours / peer);
    }
    mean_line(text, &ratios, 2, " |");
}

fn cpu(text: &mut String, table: &Table, scenes: &[Scene]) {
    let _ = writeln!(
        text,
        "\n| server CPU a drawn frame, ms | drawing alone | TigerVNC | chevet | TigerVNC net | chevet net | ratio gross | ratio net |\n\
         |---|---|---|---|---|---|---|---|"
    );
    let mut ratios = Vec::new();
    for &scene in scenes {
        let alone = table.median(scene, ALONE, cpu_per_frame);
        let (peer, ours) =
            (table.median(scene, TIGERVNC, cpu_per_frame), table.median(scene, CHEVET, cpu_per_frame));
        let net = (ours - alone).max(0.0) / (peer - alone);
        ratios.push((scene, net));
        let _ = writeln!(
            text,
            "| {} | {alone:.2} | {peer:.2} | {ours:.2} | {:.2} | {:.2} | {:.2} | {net:.2} |",
            scene.name(),
            peer - alone,
            ours - alone,
            ours / peer,
        );
    }
    mean_line(text, &ratios, 6, "");
}

fn latency(text: &mut String, table: &Table, scenes: &[Scene]) {
    let _ = writeln!(
        text,
        "\n| draw to decode, ms | TigerVNC median | p95 | chevet median | p95 | ratio of p95 |\n|---|---|---|---|---|---|"
    );
    let mut ratios = Vec::new();
    for &scene in scenes {
        let figure = |side, quantile| table.latency(scene, side, quantile);
        let ratio = figure(CHEVET, 0.95) / figure(TIGERVNC, 0.95);
        ratios.push((scene, ratio));
        let _ = writeln!(
            text,
            "| {} | {:.1} | {:.1} | {:.1} | {:.1} | {ratio:.2} |",
            scene.name(),
            figure(TIGERVNC, 0.5),
            figure(TIGERVNC, 0.95),
            figure(CHEVET, 0.5),
            figure(CHEVET, 0.95),
        );
    }
    let all: Vec<f64> = ratios.iter().map(|(_, ratio)| *ratio).collect();
    let _ = writeln!(text, "| geometric mean | | | | | {:.2} |", geometric_mean(&all));
}

fn exactness(text: &mut String, table: &Table, scenes: &[Scene]) {
    let _ = writeln!(
        text,
        "\n| exactness | TigerVNC exact after, ms | chevet, ms | TigerVNC PSNR moving, at rest | chevet | \
         TigerVNC frames shown of drawn | chevet |\n|---|---|---|---|---|---|---|"
    );
    let after = |side, scene| {
        let time = |outcome: &Outcome| outcome.exact_after.map_or(f64::INFINITY, |us| us as f64 / 1e3);
        let time = table.median(scene, side, time);
        if time.is_finite() { format!("{time:.0}") } else { "not in 2.5 s".into() }
    };
    let psnr = |side, scene| {
        let say = |value: f64| if value.is_infinite() { "exact".into() } else { format!("{value:.1} dB") };
        let moving = table.median(scene, side, |outcome| outcome.moving_psnr);
        let resting = table.median(scene, side, |outcome| outcome.resting_psnr);
        format!("{}, {}", say(moving), say(resting))
    };
    let shown = |side, scene| {
        let share = |outcome: &Outcome| outcome.distinct_frames as f64 / f64::from(outcome.frames);
        format!("{:.0} %", table.median(scene, side, share) * 100.0)
    };
    for &scene in scenes {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} |",
            scene.name(),
            after(TIGERVNC, scene),
            after(CHEVET, scene),
            psnr(TIGERVNC, scene),
            psnr(CHEVET, scene),
            shown(TIGERVNC, scene),
            shown(CHEVET, scene),
        );
    }
}

pub fn photons(photons: &Photons) -> String {
    let mut text =
        String::from("\n| key to pixels in Chromium, ms | noVNC | chevet | ratio |\n|---|---|---|---|\n");
    for (name, q) in [("median", 0.5), ("p95", 0.95)] {
        let (theirs, ours) = (quantile(&photons.novnc, q), quantile(&photons.chevet, q));
        let _ = writeln!(text, "| {name} | {theirs:.1} | {ours:.1} | {:.2} |", ours / theirs);
    }
    text
}
