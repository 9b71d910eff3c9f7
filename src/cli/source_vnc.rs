//! `chevet source check vnc://...`

use super::Failure;
use super::source::Host;
use chevet::rfb::encodings;
use chevet::source::rfb::{Report, Tls, VncConfig, VncSource};
use chevet::source::{Canvas, SourceEvent, SourceState};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// How long the first whole screen may take.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(clap::Args)]
pub struct Options {
    /// PEM certificates of the authorities that vouch for the host
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Whether the connection must be encrypted
    #[arg(long, value_enum, default_value_t = Encrypted::IfOffered)]
    tls: Encrypted,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Encrypted {
    Required,
    IfOffered,
    Never,
}

pub async fn check(url: &url::Url, asked: &Host, options: &Options) -> Result<ExitCode, Failure> {
    let host = url.host_str().ok_or("the address names no host: write vnc://HOST:5900")?;
    if url.password().is_some() {
        return Err(
            "a password in an address is seen by everybody on this machine: use --password-file".into()
        );
    }
    let config = VncConfig {
        address: format!("{host}:{}", url.port().unwrap_or(5900)),
        user: Some(url.username().to_owned()).filter(|user| !user.is_empty()),
        password_file: asked.password_file.clone(),
        tls: match options.tls {
            Encrypted::Required => Tls::Required,
            Encrypted::IfOffered => Tls::IfOffered,
            Encrypted::Never => Tls::Never,
        },
        ca_file: options.ca_file.clone(),
        fingerprint: asked.fingerprint.clone(),
        ..VncConfig::default()
    };
    if let Some(fault) = config.fault() {
        return Err(fault.into());
    }
    let canvas = Arc::new(Canvas::new(64, 64)?);
    let (sender, mut events) = mpsc::channel(64);
    let source = VncSource::start(config, canvas, sender);
    let live = tokio::time::timeout(PATIENCE, first_screen(&mut events)).await;
    match live {
        Ok(Ok(())) => {}
        Ok(Err(reason)) => return failed(&source.report(), &reason),
        Err(_) => return failed(&source.report(), "no whole screen came within 20 seconds"),
    }
    let watched = tokio::time::timeout(asked.watch(), ended(&mut events)).await;
    print(&source.report());
    if let Ok(reason) = watched {
        return failed(&Report::default(), &reason);
    }
    Ok(ExitCode::SUCCESS)
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

fn failed(report: &Report, reason: &str) -> Result<ExitCode, Failure> {
    if report.minor.is_some() {
        print(report);
    }
    eprintln!("{}", reason.strip_suffix("; trying again").unwrap_or(reason));
    Ok(ExitCode::FAILURE)
}

fn print(report: &Report) {
    let (width, height) = report.size;
    println!("desktop       {}", report.name);
    println!("protocol      RFB 3.{}", report.minor.unwrap_or_default());
    println!("security      {}", report.security);
    if let Some(fingerprint) = &report.certificate {
        println!("certificate   SHA-256 {fingerprint}");
    }
    println!("size          {width}x{height}");
    if let Some(first) = report.first_screen {
        println!("first screen  after {} ms", first.as_millis());
    }
    println!("received      {} bytes", report.bytes);
    let counts = report.rectangles.iter().filter(|(encoding, _)| **encoding >= 0);
    let counts: Vec<String> =
        counts.map(|(encoding, count)| format!("{} {count}", encodings::name(*encoding))).collect();
    println!("rectangles    {}", counts.join(", "));
    println!("extensions    {}", list(&report.known()));
    println!("missing       {}", list(&report.missing()));
}

fn list(names: &[&'static str]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
