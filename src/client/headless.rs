//! The viewer without a window: it decodes, measures, mirrors, types by script, takes a picture.

use super::script::Act;
use super::wave::{Wave, WaveError};
use super::{Address, Client, ClientError, Event, Mirror, MirrorError, Report, Roads, Script};
use crate::clock;
use crate::link::Target;
use crate::screen::Framebuffer;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// How long a script waits for the session to have what it copied.
const COPYING: Duration = Duration::from_millis(300);
const COPYING_PICTURE: Duration = Duration::from_secs(5);

/// What a headless viewer is to do.
#[derive(Default)]
pub struct Headless {
    pub roads: Roads,
    /// The screen wanted, in pixels; 0 leaves it.
    pub size: (u32, u32),
    pub mirror: Option<PathBuf>,
    pub screenshot: Option<PathBuf>,
    pub script: Option<Script>,
    /// Where to write what is copied in the session, the newest alone.
    pub clipboard: Option<PathBuf>,
    /// Where to write the pictures that are copied there, as PNG, the newest alone.
    pub pictures: Option<PathBuf>,
    /// Where to write what is heard, as a WAV file.
    pub sound: Option<PathBuf>,
    /// How long to stay; without it, until the screen is exact if a screenshot is wanted, else for ever.
    pub duration: Option<Duration>,
    /// Whether to print a JSON object a second, and one at the end.
    pub stats: bool,
    /// Where else the session is to be had when it is lost.
    pub spares: Vec<Target>,
}

#[derive(Debug, thiserror::Error)]
pub enum HeadlessError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Mirror(#[from] MirrorError),
    #[error("writing the screenshot {path}: {reason}")]
    Screenshot { path: PathBuf, reason: String },
    #[error("writing what was copied to {path}: {source}")]
    Clipboard { path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Wave(#[from] WaveError),
    #[error("there was no screen to take a picture of")]
    NoScreen,
}

/// Views a session until the time is over, or `stop` resolves.
pub async fn run_headless(
    address: Address,
    job: Headless,
    stop: impl Future<Output = ()>,
) -> Result<(), HeadlessError> {
    let began = Instant::now();
    let mut report = Report::new(clock::now_us());
    let mut mirror = job.mirror.as_deref().map(Mirror::create).transpose()?;
    let mut client = Client::connect_by(address, job.roads, job.size).await?;
    client.spare(job.spares);
    let mut wave = job.sound.as_deref().map(Wave::create).transpose()?;
    client.hear(wave.is_some());
    let script = job.script.as_ref().map_or(&[][..], Script::acts);
    let mut typed = 0;
    // What follows a text that was copied here waits until the session has it, or for this long.
    let mut copying_until: Option<Instant> = None;
    let mut attached_at = None;
    let end = job.duration.map(|duration| began + duration);
    let mut next_report = began + Duration::from_secs(1);
    tokio::pin!(stop);
    loop {
        let next_key = attached_at
            .and_then(|at: Instant| script.get(typed).map(|(after, _)| at + *after))
            .map(|at| copying_until.map_or(at, |until| until.max(at)))
            .unwrap_or_else(far_away);
        tokio::select! {
            event = client.next() => match event? {
                Event::Updated(update) => {
                    report.updated(&update);
                    if let (Some(mirror), Some(screen)) = (&mut mirror, client.screen()) {
                        mirror.present(screen, &update.applied.tiles, update.applied.number)?;
                    }
                }
                Event::Exact => {
                    report.exact(clock::now_us());
                    if end.is_none() && job.screenshot.is_some() && typed == script.len() {
                        break;
                    }
                }
                Event::Attached { .. } => {
                    attached_at.get_or_insert_with(Instant::now);
                }
                Event::Message(text) => eprintln!("message: {}", printable(&text)),
                Event::Recorded(true) => eprintln!("this session is recorded"),
                Event::Watchers(watchers) => {
                    let control = |has| if has { " (has control)" } else { "" };
                    let names: Vec<String> = watchers
                        .iter()
                        .map(|each| format!("{}{}", printable(&each.title), control(each.controls)))
                        .collect();
                    eprintln!("watching: {}", names.join(", "));
                    report.watched(watchers);
                }
                // Nobody is there to ask: without an answer it is a refusal.
                Event::WatchAsked { title, .. } => eprintln!("{} asks to watch", printable(&title)),
                Event::Clip(text) => {
                    if let Some(path) = &job.clipboard {
                        write_clip(path, text.0.as_bytes())?;
                    }
                }
                Event::Picture(png) => {
                    if let Some(path) = &job.pictures {
                        write_clip(path, &png)?;
                    }
                }
                // Another gateway's session counts anew.
                Event::Sound(_) => {
                    if let Some(wave) = &mut wave {
                        wave.begin_anew();
                    }
                }
                Event::Heard(packet) => {
                    if let Some(wave) = &mut wave {
                        wave.hear(packet)?;
                    }
                }
                Event::ClipTaken(taken) => {
                    copying_until = None;
                    if !taken {
                        eprintln!("the session did not take what was copied here");
                    }
                }
                Event::Silent(reason) => tracing::warn!(reason, "the link is silent; dialling again"),
                _ => {}
            },
            () = sleep_until(next_key) => {
                copying_until = None;
                match script[typed].1.clone() {
                    Act::Input(event) => {
                        client.input(event);
                    }
                    Act::Copy(text) => {
                        client.clip(text.0);
                        copying_until = Some(Instant::now() + COPYING);
                    }
                    Act::CopyPicture(png) => {
                        client.clip_picture(png);
                        copying_until = Some(Instant::now() + COPYING_PICTURE);
                    }
                }
                typed += 1;
            }
            () = sleep_until(next_report), if job.stats => {
                client.ping();
                println!("{}", report.json(&client, clock::now_us(), false));
                next_report += Duration::from_secs(1);
            }
            () = sleep_until(end.unwrap_or_else(far_away)) => break,
            () = &mut stop => break,
        }
    }
    if job.stats {
        println!("{}", report.json(&client, clock::now_us(), true));
    }
    if let Some(wave) = wave {
        wave.finish()?;
    }
    if let Some(path) = &job.screenshot {
        write_png(path, client.screen().ok_or(HeadlessError::NoScreen)?)?;
    }
    client.close().await;
    Ok(())
}

/// What comes from elsewhere moves no cursor and colours no terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// For its owner alone: it may be about a patient.
fn write_clip(path: &Path, bytes: &[u8]) -> Result<(), HeadlessError> {
    let failed = |source| HeadlessError::Clipboard { path: path.to_owned(), source };
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(path).map_err(failed)?;
    file.write_all(bytes).map_err(failed)
}

fn far_away() -> Instant {
    Instant::now() + Duration::from_secs(86_400 * 365)
}

/// Writes a screen as a PNG file.
pub fn write_png(path: &Path, screen: &Framebuffer) -> Result<(), HeadlessError> {
    let failed = |reason: String| HeadlessError::Screenshot { path: path.to_owned(), reason };
    let file = std::fs::File::create(path).map_err(|error| failed(error.to_string()))?;
    let mut encoder = png::Encoder::new(std::io::BufWriter::new(file), screen.width(), screen.height());
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Fast);
    let rgb: Vec<u8> = screen
        .pixels()
        .iter()
        .flat_map(|pixel| {
            let [blue, green, red, _] = pixel.to_le_bytes();
            [red, green, blue]
        })
        .collect();
    let mut writer = encoder.write_header().map_err(|error| failed(error.to_string()))?;
    writer.write_image_data(&rgb).map_err(|error| failed(error.to_string()))?;
    writer.finish().map_err(|error| failed(error.to_string()))
}
