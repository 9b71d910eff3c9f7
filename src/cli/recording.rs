use super::Failure;
use chevet::client::{Mirror, write_png};
use chevet::clock;
use chevet::gateway::Config;
use chevet::recording::{Kept, Keys, Opened, Replay, Shelf};
use chevet::screen::TileId;
use clap::Subcommand;
use std::io::{Read, Seek, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// List, watch and remove recordings of sessions
#[derive(clap::Args)]
pub struct Recording {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    List(List),
    Show(Show),
    Play(Play),
    Export(Export),
    Prune(Prune),
}

/// List the recordings of a gateway; no key is needed
#[derive(clap::Args)]
struct List {
    /// The gateway's configuration
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

/// Read a recording from its beginning to its end, and say what is in it
///
/// Exit status: 0 all of it can be read, 1 it is damaged or cut: what is before that can be played.
#[derive(clap::Args)]
struct Show {
    #[command(flatten)]
    file: Sealed,
}

#[derive(clap::Args)]
struct Sealed {
    /// The recording
    #[arg(value_name = "FILE.age")]
    file: PathBuf,
    /// The file with the age identity of somebody it was made for
    #[arg(long, value_name = "FILE")]
    identity: PathBuf,
}

/// Play a recording into a file that other programs read, or take a picture of one moment
///
/// Examples:
///   chevet recording play FILE.age --identity key.txt --at 1:30 --png moment.png
///   chevet recording play FILE.age --identity key.txt --mirror /dev/shm/replay --speed 4
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
struct Play {
    #[command(flatten)]
    file: Sealed,
    /// From this time of the recording on: seconds, or HOURS:MINUTES:SECONDS
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "0")]
    at: Duration,
    /// Write what was shown then as a picture, and end
    #[arg(long, value_name = "FILE.png", required_unless_present = "mirror")]
    png: Option<PathBuf>,
    /// Keep the pixels in a memory-mapped file, as `chevet view --mirror` does
    #[arg(long, value_name = "FILE")]
    mirror: Option<PathBuf>,
    /// How much faster than it was
    #[arg(long, value_name = "TIMES", default_value_t = 1.0)]
    speed: f64,
    /// Wait no longer than this many seconds where nothing changes
    #[arg(long, value_name = "SECONDS", default_value_t = 3600.0)]
    idle: f64,
}

/// Write a picture of every few seconds at which something had changed
#[derive(clap::Args)]
struct Export {
    #[command(flatten)]
    file: Sealed,
    /// The folder to write to; made if it is not there
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Seconds from picture to picture
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0)]
    every: f64,
}

/// Remove the recordings that are kept no longer, as the gateway does every hour
///
/// The gateway writes into its audit journal what was removed, when it next looks.
#[derive(clap::Args)]
struct Prune {
    /// The gateway's configuration
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Only say what would be removed
    #[arg(long)]
    dry_run: bool,
}

/// A time as people write it: seconds, or with minutes and hours before a colon.
fn time(text: &str) -> Result<Duration, String> {
    let wrong = || "write seconds, MINUTES:SECONDS or HOURS:MINUTES:SECONDS".to_owned();
    let parts = text.split(':').map(|part| part.parse::<f64>().ok().filter(|part| *part >= 0.0));
    let parts: Vec<f64> =
        parts.collect::<Option<_>>().filter(|parts: &Vec<_>| parts.len() <= 3).ok_or_else(wrong)?;
    let seconds = parts.iter().fold(0.0, |sum, part| sum * 60.0 + part);
    Duration::try_from_secs_f64(seconds).ok().filter(|_| seconds < 1e9).ok_or_else(wrong)
}

impl Recording {
    pub fn run(self) -> Result<ExitCode, Failure> {
        match self.command {
            Command::List(list) => list.run(),
            Command::Show(show) => show.run(),
            Command::Play(play) => play.run(),
            Command::Export(export) => export.run(),
            Command::Prune(prune) => prune.run(),
        }
    }
}

fn shelf_of(config: &Path) -> Result<Shelf, Failure> {
    let config = Config::read(config)?;
    let recording = config.recording.ok_or("the configuration has no [recording]")?;
    Ok(Shelf::open(&recording.directory, recording.limits())?)
}

impl Sealed {
    fn open(&self) -> Result<Replay<Opened>, Failure> {
        let keys = Keys::read(&self.identity)?;
        let replay = Replay::open(keys.open(&self.file)?).map_err(|error| self.about(&error))?;
        if let Some(damage) = replay.damage() {
            eprintln!("chevet: {}: {damage}; what is before that is played", self.file.display());
        }
        Ok(replay)
    }

    fn about(&self, error: &dyn std::fmt::Display) -> String {
        format!("{}: {error}", self.file.display())
    }
}

impl List {
    fn run(&self) -> Result<ExitCode, Failure> {
        let mut out = std::io::stdout().lock();
        for kept in shelf_of(&self.config)?.list() {
            let line = match self.json {
                true => serde_json::to_string(&kept)?,
                false => line(&kept),
            };
            // A reader such as `head` has had enough.
            if writeln!(out, "{line}").is_err() {
                break;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn line(kept: &Kept) -> String {
    let people: Vec<&str> = kept.label.people.iter().map(|person| person.name.as_str()).collect();
    let length = match kept.label.ended_at {
        Some(ended) => clock_of((ended - kept.label.began_at).max(0) as u64 * 1_000),
        None => "no end".into(),
    };
    let session = printable(&kept.label.session);
    let megabytes = kept.bytes as f64 / 1e6;
    format!(
        "{:<32} {session:<16} {length:>10} {megabytes:>9.1} MB  {}",
        kept.name,
        printable(&people.join(", "))
    )
}

/// Without what would move a terminal's cursor.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

fn clock_of(time_us: u64) -> String {
    let seconds = time_us / 1_000_000;
    format!("{}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

impl Show {
    fn run(&self) -> Result<ExitCode, Failure> {
        let mut replay = self.file.open()?;
        let header = replay.header().clone();
        let began = chevet::audit::Time::from_micros(header.began_unix_ms.min(1 << 53) as i64 * 1_000);
        println!("session:  {} ({})", printable(&header.session), printable(&header.title));
        println!("began:    {began}, by {}", printable(&header.software));
        println!("length:   {}", clock_of(replay.index().ends_us));
        println!("to begin: {} whole screens", replay.index().keys.len());
        let checked = replay.check();
        for (at, person) in replay.persons() {
            let what = if person.came { "came" } else { "went" };
            let who = format!("{} ({}) {}", person.title, person.name, person.seat);
            println!("{:>9} {what} {}", clock_of(*at), printable(who.trim()));
        }
        match checked {
            Ok((messages, bytes)) => {
                println!("messages: {messages}, with {bytes} bytes of updates");
                let whole = replay.damage().is_none();
                Ok(if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
            }
            Err(error) => {
                eprintln!("chevet: {}", self.file.about(&error));
                Ok(ExitCode::FAILURE)
            }
        }
    }
}

impl Play {
    fn run(&self) -> Result<ExitCode, Failure> {
        if !(0.01..=1_000.0).contains(&self.speed) || !(0.0..1e9).contains(&self.idle) {
            return Err("--speed is a number from 0.01 to 1000, --idle one of seconds".into());
        }
        let mut replay = self.file.open()?;
        let failed = |error| self.file.about(&error);
        replay.seek(self.at.as_micros() as u64).map_err(|error| failed(error.to_string()))?;
        if let Some(png) = &self.png {
            picture(&replay, png)?;
            return Ok(ExitCode::SUCCESS);
        }
        let Some(path) = &self.mirror else { return Ok(ExitCode::SUCCESS) };
        let mut mirror = Mirror::create(path)?;
        let mut generation = 0;
        let mut present = |replay: &Replay<_>, tiles: &[TileId]| {
            generation += 1;
            replay.player().screen().map_or(Ok(()), |screen| mirror.present(screen, tiles, generation))
        };
        let tiles = replay.player().screen().map_or(0, |screen| screen.grid().len());
        present(&replay, &(0..tiles as TileId).collect::<Vec<_>>())?;
        let mut now_us = replay.time_us();
        while let Some(next_us) = replay.next_us().map_err(|error| failed(error.to_string()))? {
            let wait = Duration::from_micros(next_us.saturating_sub(now_us)).as_secs_f64() / self.speed;
            std::thread::sleep(Duration::from_secs_f64(wait.min(self.idle)));
            now_us = next_us;
            while let Some(tiles) = replay.step_until(now_us).map_err(|error| failed(error.to_string()))? {
                present(&replay, &tiles)?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn picture<R: Read + Seek>(replay: &Replay<R>, path: &Path) -> Result<(), Failure> {
    let screen = replay.player().screen().ok_or("nothing was shown then")?;
    Ok(write_png(path, screen)?)
}

impl Export {
    fn run(&self) -> Result<ExitCode, Failure> {
        if !(0.04..1e6).contains(&self.every) {
            return Err("--every is a number of seconds, at least 0.04".into());
        }
        let mut replay = self.file.open()?;
        // What was sealed is in clear from here on: for its owner alone.
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.out);
        made.map_err(|error| format!("making {}: {error}", self.out.display()))?;
        let every = (self.every * 1e6) as u64;
        let (mut at, mut written) = (replay.index().keys[0].0, 0);
        replay.seek(at).map_err(|error| self.file.about(&error))?;
        loop {
            let name = format!("{:010.3}.png", at as f64 / 1e6);
            picture(&replay, &self.out.join(name))?;
            written += 1;
            // Where nothing changes, no pictures are written.
            let Some(next) = replay.next_us().map_err(|error| self.file.about(&error))? else { break };
            at += (next - at).div_ceil(every).max(1) * every;
            replay.seek(at).map_err(|error| self.file.about(&error))?;
        }
        println!("{written} pictures in {}", self.out.display());
        Ok(ExitCode::SUCCESS)
    }
}

impl Prune {
    fn run(&self) -> Result<ExitCode, Failure> {
        let shelf = shelf_of(&self.config)?;
        for kept in shelf.overdue(clock::unix_ms()) {
            println!("{}", line(&kept));
            if !self.dry_run {
                shelf.remove(&kept.name, "kept long enough")?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        assert_eq!(time("90"), Ok(Duration::from_secs(90)));
        assert_eq!(time("1:30.5"), Ok(Duration::from_millis(90_500)));
        assert_eq!(time("1:00:01"), Ok(Duration::from_secs(3_601)));
        for wrong in ["", "x", "-1", "1:2:3:4", "1e300"] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
    }
}
