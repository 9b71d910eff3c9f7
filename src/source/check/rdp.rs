use super::{PATIENCE, Seen};
use crate::source::rdp::{RdpConfig, RdpSource, Report, SignIn, fingerprint_text};
use crate::source::{Canvas, SourceEvent, SourceState};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Connects to an RDP host until there is a picture or a reason why there is none, and watches on for a while.
///
/// # Errors
/// When the settings cannot work; the text says what to change.
pub async fn rdp(config: RdpConfig, watch: Duration) -> Result<Seen, String> {
    let canvas = Arc::new(Canvas::new(config.size.0, config.size.1).map_err(|error| error.to_string())?);
    let (events, mut heard) = mpsc::channel(64);
    let source = RdpSource::start(config, canvas, events).map_err(|error| error.to_string())?;
    let mut until = Instant::now() + PATIENCE;
    let mut live = false;
    let mut first = true;
    let failure = loop {
        match tokio::time::timeout_at(until, heard.recv()).await {
            Err(_) if live => break None,
            Err(_) => break Some("no picture came in time".to_owned()),
            Ok(None) => break Some("the connection ended".to_owned()),
            Ok(Some(SourceEvent::State(SourceState::Live))) => (live, until) = (true, Instant::now() + watch),
            // The first text says that it connects.
            Ok(Some(SourceEvent::State(SourceState::Waiting(_)))) if first => first = false,
            Ok(Some(SourceEvent::State(SourceState::Waiting(text)))) => break Some(text),
            Ok(Some(_)) => {}
        }
    };
    let report = source.report();
    let failure =
        failure.or_else(|| report.first_picture_after.is_none().then(|| "the host drew nothing".into()));
    let lines = if report.tls.is_empty() { Vec::new() } else { lines(&report) };
    Ok(Seen { lines, fingerprint: report.fingerprint.as_ref().map(fingerprint_text), failure })
}

fn lines(report: &Report) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    let mut line = |name: &'static str, value: String| lines.push((name, value));
    line("TLS", report.tls.clone());
    line("certificate", report.fingerprint.as_ref().map(fingerprint_text).unwrap_or_default());
    line("subject", report.certificate_subject.clone());
    let sign_in = match report.sign_in {
        SignIn::Kerberos => "network level authentication (Kerberos)",
        SignIn::Ntlm => "network level authentication (NTLM)",
        SignIn::OnScreen => "on the host's screen",
    };
    line("sign-in", sign_in.into());
    let after =
        |time: Option<Duration>| time.map_or("never".into(), |time| format!("after {} ms", time.as_millis()));
    line("connected", after(report.connected_after));
    line("first picture", after(report.first_picture_after));
    line("size", format!("{} x {}", report.size.0, report.size.1));
    let packed =
        report.compression.as_ref().map(|_| format!("offered; {} packets came compressed", report.packed));
    line("compression", packed.unwrap_or_else(|| "not offered".into()));
    let yes = |is: bool| if is { "yes" } else { "no" }.to_owned();
    line(
        "graphics",
        report.pipeline.clone().map_or("no pipeline".into(), |version| format!("pipeline {version}")),
    );
    line("resize", yes(report.display_control));
    line("clipboard", yes(report.clipboard));
    line("Unicode keys", yes(report.unicode_input));
    line("cursors", report.cursors.to_string());
    for (form, count) in &report.updates {
        line("updates", format!("{count} x {form}"));
    }
    line("not there", "drives, printers, smart cards, AVC444, UDP".into());
    lines
}
