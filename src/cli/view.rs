use super::{Failure, interrupted};
use chevet::client::{Address, DeviceCode, Headless, Roads, SYNTAX, Script, SignedIn, page_of, run_headless};
use chevet::link::parse_fingerprint;
use std::io::{IsTerminal, Read};
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
///   chevet view --headless --user anne --screenshot now.png https://gateway.example/#session=desk
///   chevet view --headless --user paul --watch 7K2QX-M04ZD --stats json https://gateway.example/
///   chevet view --headless --sign-in clinic https://gateway.example/#session=desk
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
    /// Sign in as this user at the page's address; asks for the password, or reads it from standard input
    #[arg(long, value_name = "NAME", group = "person")]
    user: Option<String>,
    /// Sign in at the page's address by an OpenID provider of the gateway: says where to confirm which code
    #[arg(long, value_name = "PROVIDER", group = "person")]
    sign_in: Option<String>,
    /// The one-time code, if the user has one
    #[arg(long, value_name = "CODE", requires = "user")]
    code: Option<String>,
    /// Where this is, for whoever loses the session to it
    #[arg(long, value_name = "PLACE", requires = "person", default_value = "")]
    seat: String,
    /// Watch the session of whoever told this code, once they have agreed
    #[arg(long, value_name = "CODE", requires = "person")]
    watch: Option<String>,
    /// SHA-256 of the gateway's certificate, if no public authority signed it
    #[arg(long, value_name = "SHA256", requires = "person")]
    pin: Option<String>,
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
        let script = self.input.as_deref().map(Script::read).transpose()?;
        let address = match self.user.is_some() || self.sign_in.is_some() {
            true => self.as_somebody().await?,
            false => Address::find(&self.url).await?,
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
            script,
            duration,
            stats: self.stats.is_some(),
        };
        Ok(run_headless(address, job, interrupted()).await?)
    }

    /// The session's address for whoever signs in.
    async fn as_somebody(&self) -> Result<Address, Failure> {
        let pin = self.pin.as_deref().map(|pin| parse_fingerprint(pin).ok_or("--pin is not a SHA-256"));
        let (site, session) = page_of(&self.url, pin.transpose()?.into_iter().collect())?;
        let person = match (&self.sign_in, &self.user) {
            (Some(provider), _) => {
                let tell = |told: &DeviceCode| {
                    eprintln!("Open {} in a browser, and confirm the code {}", told.place, told.code);
                };
                SignedIn::with_device(site, provider, &self.seat, tell).await?
            }
            (None, user) => {
                let user = user.as_deref().unwrap_or_default();
                let password = password_of(user)?;
                let code = self.code.as_deref();
                SignedIn::with_password(site, user, &password, code, &self.seat).await?
            }
        };
        if let Some(code) = &self.watch {
            eprintln!("Waiting for the user's answer");
            return Ok(person.watch(code).await?);
        }
        let session = match session {
            Some(session) => session,
            None => only_one(person.sessions().await?)?,
        };
        Ok(person.address(&session).await?)
    }
}

/// Asked for on a terminal, the first line of standard input otherwise.
fn password_of(user: &str) -> Result<zeroize::Zeroizing<String>, Failure> {
    if std::io::stdin().is_terminal() {
        return Ok(rpassword::prompt_password(format!("Password of {user}: "))?.into());
    }
    let mut text = String::new();
    std::io::stdin().take(4_096).read_to_string(&mut text)?;
    Ok(text.lines().next().unwrap_or_default().to_owned().into())
}

fn only_one(mut sessions: Vec<String>) -> Result<String, Failure> {
    match (sessions.pop(), sessions.is_empty()) {
        (None, _) => Err("no session is published to this user".into()),
        (Some(only), true) => Ok(only),
        (Some(last), false) => {
            sessions.push(last);
            let names = sessions.join(", ");
            Err(format!("there are several sessions; write #session=NAME after the address: {names}").into())
        }
    }
}
