use super::proxy::Through;
use super::{Failure, interrupted};
use chevet::client::{Address, ask_target};
use chevet::link::{Proxy, Road, Target, dial_any};
use chevet::load::{Moment, Offer, Plan, Profile, Serving, Threshold, run};
use chevet::wire::CloseCode;
use indicatif::{ProgressBar, ProgressStyle};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// Load a gateway with viewers by the thousand, and measure what they wait
///
/// Each viewer is a real one on the wire. Its user follows a timetable that is fixed by --seed, and every latency counts
/// from the time in the timetable to the arrival of the update that carries the event's effect: a gateway that stalls
/// is not spared the events of that time. Only synthetic sessions are typed into; they come from --serve.
///
/// In one terminal, sessions to load (prints the address):
///   chevet load --serve --sessions 100 --profile ward
/// In another:
///   chevet load --viewers 1000 --sessions 100 --ramp 30s --duration 2m --parse-only ADDRESS
///   chevet load --viewers 200 --sessions 100 --profile imaging --html report.html --fail-if 'p99>50ms' ADDRESS
///
/// The exit status is 1 if a threshold was broken, or nothing could be measured at all.
#[derive(clap::Args)]
#[command(verbatim_doc_comment, after_long_help = PROFILES)]
pub struct Load {
    /// Where the sessions are, as the gateway prints it; a * in the session's name stands for 0 to --sessions less one.
    /// Several, if gateways share a database: whoever one does not let in asks the next
    #[arg(value_name = "URL", required_unless_present = "serve", conflicts_with = "serve")]
    url: Vec<String>,
    /// How many sessions there are
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = count)]
    sessions: usize,
    /// How users work: see the end of --help
    #[arg(long, value_name = "PROFILE", default_value = "ward", value_parser = profile)]
    profile: Profile,
    /// Another seed gives other timetables and other screens
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,

    /// How many viewers, spread evenly over the sessions
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = count, help_heading = "Viewers")]
    viewers: usize,
    /// The viewers come one after another within this time; nothing is measured until all are there
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = time, help_heading = "Viewers")]
    ramp: Duration,
    /// How long to measure, after the ramp
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = time, help_heading = "Viewers")]
    duration: Duration,
    /// Viewers leave after so long and come anew, rather than stay
    #[arg(long, value_name = "TIME", value_parser = time, help_heading = "Viewers")]
    visit: Option<Duration>,
    /// How the viewers come: quic or websocket. If neither is asked for: quic, or websocket where that does not get through
    #[arg(long, value_name = "ROAD", value_parser = road, help_heading = "Viewers")]
    road: Option<Road>,
    #[command(flatten)]
    through: Through,
    /// Keep no screen: read what updates say, acknowledge, prove nothing. Small enough for thousands of viewers
    #[arg(long, help_heading = "Viewers")]
    parse_only: bool,
    /// What the tile cache of a viewer with a screen holds, in MiB
    #[arg(
        long,
        value_name = "MIB",
        default_value_t = 8,
        conflicts_with = "parse_only",
        help_heading = "Viewers"
    )]
    cache: u64,
    /// UDP sockets that the viewers share
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = count, help_heading = "Viewers")]
    sockets: usize,

    /// Write the figures to this file
    #[arg(long, value_name = "FILE", help_heading = "Report")]
    json: Option<PathBuf>,
    /// Write a page with figures and plots to this file
    #[arg(long, value_name = "FILE", help_heading = "Report")]
    html: Option<PathBuf>,
    /// Fail if this holds: METRIC>VALUE or METRIC>=VALUE with p50, p90, p95, p99, p99.9, max (us, ms, s), errors or
    /// failed-attaches. May be given several times
    #[arg(long, value_name = "CONDITION", help_heading = "Report")]
    fail_if: Vec<Threshold>,

    /// Offer synthetic sessions, rather than view any
    #[arg(long, help_heading = "Sessions to load")]
    serve: bool,
    /// In pixels
    #[arg(
        long,
        value_name = "PIXELS",
        default_value_t = 1920,
        requires = "serve",
        help_heading = "Sessions to load"
    )]
    width: u32,
    /// In pixels
    #[arg(
        long,
        value_name = "PIXELS",
        default_value_t = 1080,
        requires = "serve",
        help_heading = "Sessions to load"
    )]
    height: u32,
    /// Where the gateway that carries them listens; beyond this machine it needs a ticket, in CHEVET_TICKET
    #[arg(
        long,
        value_name = "ADDRESS:PORT",
        default_value = "127.0.0.1:4380",
        help_heading = "Sessions to load"
    )]
    listen: SocketAddr,
    /// Offer them to this gateway as hosts do, with the secret in CHEVET_HOST_SECRET, rather than in one of their own; may
    /// be given several times, for gateways that share a database
    #[arg(long, value_name = "HOST:PORT", requires = "serve", help_heading = "Sessions to load")]
    gateway: Vec<String>,
    /// SHA-256 of that gateway's certificate; on loopback the gateway is asked
    #[arg(long, value_name = "HEX", requires = "gateway", help_heading = "Sessions to load")]
    pin: Vec<String>,
}

const PROFILES: &str = "\
Profiles:
  ward      minutes of nothing, then a burst of typing and a few clicks; one user in thirty is active at a time
  practice  form after form: typing, clicks, scrolling, short pauses
  imaging   turns through stacks of slices, 15 a second, in bursts
  video     watches a picture that moves 25 times a second, and types now and then
  watch     only watches; for real sessions, into which nothing must be typed

Give --serve and the viewers the same profile. Viewers and gateway share this machine's processors if both run here.";

fn count(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| (1..=100_000).contains(number));
    number.ok_or_else(|| "write a number from 1 to 100000".to_owned())
}

fn profile(text: &str) -> Result<Profile, String> {
    Ok(match text {
        "ward" => Profile::Ward,
        "practice" => Profile::Practice,
        "imaging" => Profile::Imaging,
        "video" => Profile::Video,
        "watch" => Profile::Watch,
        _ => return Err("there are ward, practice, imaging, video and watch".to_owned()),
    })
}

fn road(text: &str) -> Result<Road, String> {
    match text {
        "quic" => Ok(Road::Quic),
        "websocket" => Ok(Road::WebSocket),
        _ => Err("there are quic and websocket".to_owned()),
    }
}

/// Reads a time such as 30s, 2m, 500ms.
fn time(text: &str) -> Result<Duration, String> {
    let wrong = || "write a number and its unit, such as 500ms, 30s or 2m".to_owned();
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
    let (number, unit) = text.split_at(split);
    let scale = match unit {
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3_600.0,
        _ => return Err(wrong()),
    };
    let seconds = number.parse::<f64>().map_err(|_| wrong())? * scale;
    let seconds = (seconds <= 7.0 * 86_400.0).then_some(seconds).ok_or("at most seven days")?;
    Ok(Duration::from_secs_f64(seconds))
}

impl Load {
    pub async fn run(self) -> Result<ExitCode, Failure> {
        match self.serve {
            true => self.serve().await.map(|()| ExitCode::SUCCESS),
            false => self.load().await,
        }
    }

    async fn load(&self) -> Result<ExitCode, Failure> {
        let mut addresses = Vec::new();
        for url in &self.url {
            addresses.push(Address::find(url).await?);
        }
        let road = self.road_to(&mut addresses).await?;
        let plan = Plan {
            addresses,
            visit: self.visit,
            sessions: self.sessions,
            viewers: self.viewers,
            road,
            profile: self.profile,
            seed: self.seed,
            cache_bytes: (!self.parse_only).then_some(self.cache << 20),
            ramp: self.ramp,
            duration: self.duration,
            sockets: self.sockets,
        };
        let bar = bar(self.ramp + self.duration);
        let outcome = run(&plan, |moment| show(&bar, moment, self.viewers), interrupted()).await?;
        bar.finish_and_clear();
        print!("{}", outcome.summary());
        let failures = outcome.failures(&self.fail_if);
        if let Some(path) = &self.json {
            write(path, &format!("{:#}\n", outcome.json(&failures)))?;
        }
        if let Some(path) = &self.html {
            write(path, &outcome.html(&failures))?;
        }
        failures.iter().for_each(|failure| eprintln!("chevet: the run failed: {failure}"));
        if outcome.most_attached() == 0 {
            eprintln!("chevet: no viewer was attached at any time");
            return Ok(ExitCode::FAILURE);
        }
        Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    /// The road of all viewers. Through a proxy there is WebSocket alone.
    async fn road_to(&self, addresses: &mut [Address]) -> Result<Road, Failure> {
        let proxy = self.through.proxy()?;
        for address in &mut *addresses {
            address.target.proxy = proxy.clone();
        }
        match (self.road, self.through.is_asked_for(), addresses.first()) {
            (Some(Road::Quic), true, _) => {
                Err("QUIC does not go through a proxy: leave --road or --proxy away".into())
            }
            (Some(road), ..) => Ok(road),
            (None, true, _) => Ok(Road::WebSocket),
            (None, false, Some(first)) => {
                let (link, _inbox) = dial_any(&first.target).await?;
                link.close(CloseCode::DONE, "the road was looked for");
                Ok(link.road())
            }
            (None, false, None) => Ok(Road::Quic),
        }
    }

    async fn serve(&self) -> Result<(), Failure> {
        let offer = Offer {
            sessions: self.sessions,
            width: self.width,
            height: self.height,
            profile: self.profile,
            seed: self.seed,
        };
        let pattern = offer.pattern();
        match self.gateway.first() {
            None => {
                let ticket = std::env::var("CHEVET_TICKET").ok();
                let serving = offer.serve(self.listen, ticket).await?;
                let Serving::Own(gateway) = serving else { return Ok(()) };
                println!("{} sessions; load them with\n", self.sessions);
                self.print_command(&gateway.native_url(&pattern));
                interrupted().await;
                gateway.stop().await;
            }
            Some(address) => {
                let secret = std::env::var("CHEVET_HOST_SECRET").map_err(
                    |_| "hosts show the gateway's [access] host_secret: put it in CHEVET_HOST_SECRET",
                )?;
                let proxy = self.through.proxy()?;
                let asked = self.gateway.iter().map(|address| self.target(address, proxy.clone()));
                let targets = futures_util::future::try_join_all(asked).await?;
                let Serving::Hosts(mut hosts) = offer.offer_to(&targets, secret.trim_end().as_bytes())?
                else {
                    return Ok(());
                };
                println!("{} sessions are offered to {address}; load them with\n", self.sessions);
                let pins: String = targets[0]
                    .pins
                    .iter()
                    .map(|pin| format!("&pin={}", chevet::link::fingerprint_text(pin)))
                    .collect();
                self.print_command(&format!("chevet://{address}/{pattern}?ticket=TICKET{pins}"));
                tokio::select! {
                    Some(refused) = hosts.join_next() => return Err(refused?.into()),
                    () = interrupted() => {}
                }
            }
        }
        Ok(())
    }

    fn print_command(&self, url: &str) {
        let profile = format!("{:?}", self.profile).to_lowercase();
        println!(
            "  chevet load --sessions {} --viewers {} --profile {profile} '{url}'\n\nCtrl-C ends them.",
            self.sessions,
            self.sessions * 10
        );
    }

    async fn target(&self, address: &str, proxy: Option<Arc<Proxy>>) -> Result<Target, Failure> {
        let wrong = || format!("--gateway {address:?}: write HOST:PORT, such as gateway.example:4380");
        let (host, port) = address.rsplit_once(':').ok_or_else(wrong)?;
        let port = port.parse().map_err(|_| wrong())?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let pins: Option<Vec<_>> = self.pin.iter().map(|pin| chevet::link::parse_fingerprint(pin)).collect();
        let pins = pins.ok_or("--pin: write the SHA-256 as 64 hexadecimal digits")?;
        if pins.is_empty() && matches!(host, "127.0.0.1" | "::1" | "localhost") {
            return Ok(Target { proxy, ..ask_target(host, port).await? });
        }
        let host = host.to_owned();
        Ok(Target { host, udp_port: Some(port), tcp_port: Some(port), tls: true, pins, proxy })
    }
}

fn bar(whole: Duration) -> ProgressBar {
    let bar = ProgressBar::new(whole.as_secs().max(1));
    let style = ProgressStyle::with_template("{elapsed:>4} {bar:24.cyan/blue} {msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

fn show(bar: &ProgressBar, moment: &Moment, viewers: usize) {
    let latency = match (moment.p50_us, moment.p99_us) {
        (Some(p50), Some(p99)) => format!("p50 {:.1} ms, p99 {:.1} ms", p50 as f64 / 1e3, p99 as f64 / 1e3),
        _ => "nobody typed".to_owned(),
    };
    bar.set_position(moment.second as u64);
    let Moment { attached, events, updates, errors, .. } = moment;
    bar.set_message(format!(
        "{attached}/{viewers} viewers, {events} events, {updates} updates, {errors} errors; {latency}"
    ));
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(path, text).map_err(|error| format!("writing {}: {error}", path.display()).into())
}
