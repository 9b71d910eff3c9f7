//! `chevet source check rdp://...`

use super::Failure;
use super::source::Host;
use chevet::source::rdp::{
    CertificatePolicy, KnownHosts, Login, RdpConfig, RdpSettings, RdpSource, Report, fingerprint_text,
    parse_fingerprint,
};
use chevet::source::{Canvas, SourceEvent, SourceState};
use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;
use zeroize::Zeroizing;

/// How long the first picture may take.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(clap::Args)]
#[group(id = "rdp-options")]
pub struct Options {
    /// Also take hosts without network level authentication, such as xrdp
    #[arg(long)]
    screen_sign_in: bool,
    /// Offer RemoteFX, which has losses
    #[arg(long)]
    lossy: bool,
    /// Offer compression
    #[arg(long)]
    compression: bool,
}

pub async fn check(url: &url::Url, asked: &Host, options: &Options) -> Result<ExitCode, Failure> {
    let host = url.host_str().ok_or("the address names no host: write rdp://USER@HOST")?;
    if url.password().is_some() {
        return Err("a password in an address is seen by everybody on this machine: leave it out".into());
    }
    let user = percent_decoded(url.username());
    let (domain, user) = user.split_once(';').unwrap_or(("", &user));
    let settings = RdpSettings {
        address: format!("{host}:{}", url.port().unwrap_or(3389)),
        user: user.to_owned(),
        domain: domain.to_owned(),
        certificate: CertificatePolicy::Pinned,
        fingerprint: Some(asked.fingerprint.clone().unwrap_or_else(|| "0".repeat(64))),
        screen_sign_in: options.screen_sign_in,
        lossy: options.lossy,
        compression: options.compression,
        ..RdpSettings::default()
    };
    if let Some(fault) = settings.fault() {
        return Err(fault.into());
    }
    let settings = match asked.fingerprint {
        Some(_) => settings,
        None => believe(settings).await?,
    };
    let password = password(asked, user)?;
    let seen = look(settings, user, domain, password, asked.watch()).await?;
    print(&seen.report);
    match seen.failure {
        None => {
            println!("OK");
            Ok(ExitCode::SUCCESS)
        }
        Some(failure) => {
            println!("FAILED  {failure}");
            Ok(ExitCode::FAILURE)
        }
    }
}

/// Looks at the certificate without signing in, and asks whether it is the right one.
async fn believe(settings: RdpSettings) -> Result<RdpSettings, Failure> {
    let seen = look(settings.clone(), "", "", Zeroizing::default(), Duration::ZERO).await?;
    let Some(fingerprint) = seen.report.fingerprint else {
        return Err(seen.failure.unwrap_or_else(|| "the host showed no certificate".into()).into());
    };
    let text = fingerprint_text(&fingerprint);
    if !std::io::stdin().is_terminal() {
        return Err(format!(
            "the certificate of {} has the fingerprint\n  {text}\nIf that is right, say so with --fingerprint; \
             nothing secret was sent",
            settings.address
        )
        .into());
    }
    eprint!("The certificate's fingerprint is\n  {text}\nIs that right? (yes/no) ");
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    match answer.trim() {
        "yes" => Ok(RdpSettings { fingerprint: Some(text), ..settings }),
        _ => Err("not signed in".into()),
    }
}

fn password(asked: &Host, user: &str) -> Result<Zeroizing<String>, Failure> {
    if let Some(path) = &asked.password_file {
        let text =
            std::fs::read_to_string(path).map_err(|error| format!("reading {}: {error}", path.display()))?;
        return Ok(text.trim_end_matches(['\r', '\n']).to_owned().into());
    }
    if let Ok(password) = std::env::var("CHEVET_PASSWORD") {
        return Ok(password.into());
    }
    if !std::io::stdin().is_terminal() {
        return Err(
            "there is no terminal to ask for the password: use --password-file or CHEVET_PASSWORD".into()
        );
    }
    Ok(rpassword::prompt_password(format!("Password of {user}: "))?.into())
}

struct Seen {
    report: Report,
    failure: Option<String>,
}

/// Connects until there is a picture or a reason why there is none, and watches on for a while.
async fn look(
    settings: RdpSettings,
    user: &str,
    domain: &str,
    password: Zeroizing<String>,
    watch: Duration,
) -> Result<Seen, Failure> {
    if let Some(text) = &settings.fingerprint
        && parse_fingerprint(text).is_none()
    {
        return Err("--fingerprint is 64 hexadecimal digits".into());
    }
    let login = Login { user: user.to_owned(), domain: domain.to_owned(), password };
    let config = RdpConfig {
        settings,
        keyring: Arc::new(move || Ok(login.clone())),
        known: Arc::new(KnownHosts::new(None)),
        size: (1280, 800),
        notify: Arc::new(|_| {}),
    };
    let canvas = Arc::new(Canvas::new(1280, 800)?);
    let (events, mut heard) = mpsc::channel(64);
    let source = RdpSource::start(config, canvas, events)?;
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
    Ok(Seen { report, failure })
}

fn print(report: &Report) {
    let line = |name: &str, value: String| println!("{name:<16}{value}");
    line("TLS", report.tls.clone());
    line("certificate", report.fingerprint.as_ref().map(fingerprint_text).unwrap_or_default());
    line("subject", report.certificate_subject.clone());
    let sign_in =
        if report.network_level { "network level authentication (NTLM)" } else { "on the host's screen" };
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
    line("not there", "sound, drives, printers, smart cards, H.264, Kerberos, UDP".into());
}

fn percent_decoded(text: &str) -> String {
    url::form_urlencoded::parse(text.replace('+', "%2B").as_bytes())
        .map(|(name, _)| name.into_owned())
        .collect()
}
