use super::{Failure, interrupted};
use chevet::client::{Address, Headless, Roads, SYNTAX, Script, run_headless};
use std::path::PathBuf;
use std::time::Duration;

/// View a session without a browser
///
/// The address is what the gateway prints: chevet://HOST:PORT/SESSION?ticket=... or the page's own,
/// http://HOST:PORT/#session=...&ticket=...
///
/// Examples:
///   chevet view --headless --screenshot now.png ADDRESS      wait until exact, take a picture, leave
///   chevet view --headless --stats json --duration 10 ADDRESS
///   chevet view --headless --mirror /dev/shm/desk ADDRESS    keep the pixels where other programs can read them
#[derive(clap::Args)]
#[command(verbatim_doc_comment, after_long_help = SYNTAX)]
pub struct View {
    /// Where the session is
    #[arg(value_name = "URL")]
    url: String,
    /// Without a window: measure, mirror, type by script, take a picture
    #[arg(long, required = true)]
    headless: bool,
    /// Print statistics: one JSON object a second, and one at the end
    #[arg(long, value_name = "FORMAT", value_parser = ["json"])]
    stats: Option<String>,
    /// Write the screen to a PNG file at the end; without --duration, as soon as it is exact
    #[arg(long, value_name = "FILE.png")]
    screenshot: Option<PathBuf>,
    /// Keep the decoded pixels in a memory-mapped file: 64 bytes of header, then BGRX rows
    #[arg(long, value_name = "FILE")]
    mirror: Option<PathBuf>,
    /// Type and point by a script of timed events, one a line: see the end of --help
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Leave after this many seconds
    #[arg(long, value_name = "SECONDS")]
    duration: Option<f64>,
    /// Ask the session for a screen of this size
    #[arg(long, value_name = "WIDTHxHEIGHT", value_parser = parse_size)]
    size: Option<(u32, u32)>,
    /// Take only this road
    #[arg(long, value_name = "ROAD", value_parser = ["quic", "websocket"])]
    road: Option<String>,
}

fn parse_size(text: &str) -> Result<(u32, u32), String> {
    let size =
        text.split_once('x').and_then(|(width, height)| Some((width.parse().ok()?, height.parse().ok()?)));
    size.ok_or_else(|| "write it like 1920x1080".to_owned())
}

impl View {
    pub async fn run(self) -> Result<(), Failure> {
        let duration = match self.duration {
            Some(seconds) if seconds.is_finite() && (0.0..1e9).contains(&seconds) => {
                Some(Duration::from_secs_f64(seconds))
            }
            Some(_) => return Err("--duration: write a number of seconds, such as 2.5".into()),
            None => None,
        };
        let job = Headless {
            roads: match self.road.as_deref() {
                Some("quic") => Roads::OnlyQuic,
                Some(_) => Roads::OnlyWebSocket,
                None => Roads::All,
            },
            size: self.size.unwrap_or((0, 0)),
            mirror: self.mirror,
            screenshot: self.screenshot,
            script: self.input.as_deref().map(Script::read).transpose()?,
            duration,
            stats: self.stats.is_some(),
        };
        let address = Address::find(&self.url).await?;
        Ok(run_headless(address, job, interrupted()).await?)
    }
}
