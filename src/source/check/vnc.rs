use super::{PATIENCE, Seen};
use crate::rfb::encodings;
use crate::screen::SizeError;
use crate::source::rfb::{Report, Ties, VncConfig, VncSource};
use crate::source::{Canvas, SourceEvent, SourceState};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Connects to a VNC server until its screen is there or a reason why it is not, and watches on for a while.
///
/// # Errors
/// None that a host could bring about.
pub async fn vnc(config: VncConfig, ties: Ties, watch: Duration) -> Result<Seen, SizeError> {
    let canvas = Arc::new(Canvas::new(64, 64)?);
    let (sender, mut events) = mpsc::channel(64);
    let source = VncSource::start(config, ties, canvas, sender);
    let failure = match tokio::time::timeout(PATIENCE, first_screen(&mut events)).await {
        Ok(Ok(())) => tokio::time::timeout(watch, ended(&mut events)).await.ok(),
        Ok(Err(reason)) => Some(reason),
        Err(_) => Some(format!("no whole screen came within {} seconds", PATIENCE.as_secs())),
    };
    let report = source.report();
    let lines = if report.minor.is_some() { lines(&report) } else { Vec::new() };
    let failure = failure.map(|reason| reason.strip_suffix("; trying again").unwrap_or(&reason).to_owned());
    Ok(Seen { lines, fingerprint: report.certificate, failure })
}

/// Waits until the host's screen is there, or for the first reason why it is not.
async fn first_screen(events: &mut mpsc::Receiver<SourceEvent>) -> Result<(), String> {
    let mut begun = false;
    while let Some(event) = events.recv().await {
        match event {
            SourceEvent::State(SourceState::Live) => return Ok(()),
            SourceEvent::State(SourceState::Waiting(reason)) if begun => return Err(reason),
            // The first one says that it connects.
            SourceEvent::State(SourceState::Waiting(_)) => begun = true,
            _ => {}
        }
    }
    Err("the source ended".into())
}

/// Waits until the connection ends, and says why it did.
async fn ended(events: &mut mpsc::Receiver<SourceEvent>) -> String {
    while let Some(event) = events.recv().await {
        if let SourceEvent::State(SourceState::Waiting(reason)) = event {
            return reason;
        }
    }
    "the source ended".into()
}

fn lines(report: &Report) -> Vec<(&'static str, String)> {
    let (width, height) = report.size;
    let mut lines = vec![
        ("desktop", report.name.clone()),
        ("protocol", format!("RFB 3.{}", report.minor.unwrap_or_default())),
        ("security", report.security.to_owned()),
    ];
    if let Some(fingerprint) = &report.certificate {
        lines.push(("certificate", format!("SHA-256 {fingerprint}")));
    }
    lines.push(("size", format!("{width}x{height}")));
    if let Some(first) = report.first_screen {
        lines.push(("first screen", format!("after {} ms", first.as_millis())));
    }
    lines.push(("received", format!("{} bytes", report.bytes)));
    let counts = report.rectangles.iter().filter(|(encoding, _)| **encoding >= 0);
    let counts: Vec<String> =
        counts.map(|(encoding, count)| format!("{} {count}", encodings::name(*encoding))).collect();
    lines.push(("rectangles", counts.join(", ")));
    lines.push(("extensions", list(&report.known())));
    lines.push(("missing", list(&report.missing())));
    lines
}

fn list(names: &[&'static str]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
