use super::{Failure, interrupted, store_of};
use chevet::client::seat::{Seat as Enrolled, SeatFailed, SeatFile};
use chevet::clock;
use chevet::gateway::Config;
use chevet::identity::{CODE_MS, new_id, new_seat_code};
use chevet::seat::{Agent, Beginning, SEEN_AT_ONCE, Seen, read_lines, read_lines_from_device};
use chevet::store::{Change, SeatMode, Store};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// A gateway that does not answer is asked again.
const AGAIN: Duration = Duration::from_secs(2);
/// A browser that does not come to the page is started anew.
const WITHOUT_PAGE: Duration = Duration::from_secs(30);

/// Enrol workstations at which badges open sessions, and run what reads the badges there
///
/// At the gateway, `code` makes a code for one workstation and `list` and `revoke` work on the store, whether the gateway
/// runs or not. On the workstation, `enrol` makes a key of its own with that code, and `run` reads badges.
///
/// Examples:
///   chevet seat code --config chevet.toml "Room 12" --zone east        at the gateway
///   chevet seat enrol --gateway https://gateway.example CODE           on the workstation
///   chevet seat run --pcsc --kiosk chromium                            on the workstation
///   chevet seat revoke --config chevet.toml "Room 12"                  at the gateway
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Seat {
    #[command(subcommand)]
    job: Job,
}

#[derive(clap::Subcommand)]
enum Job {
    Code(Code),
    Enrol(Enrol),
    Run(Run),
    /// List the seats
    List {
        #[command(flatten)]
        of: Of,
    },
    /// Let nothing that this seat's key signs count any more, and end what badges opened there
    Revoke {
        #[command(flatten)]
        of: Of,
        /// The seat's name
        name: String,
    },
}

/// The gateway's store.
#[derive(clap::Args)]
pub struct Of {
    /// The gateway's configuration
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

impl Of {
    pub async fn store(&self) -> Result<(Config, Store), Failure> {
        store_of(&self.config).await
    }
}

/// Make a code with which one workstation enrols as this seat, once, within a quarter of an hour
///
/// Prints the code. Making another for the same name ends the first.
#[derive(clap::Args)]
struct Code {
    #[command(flatten)]
    of: Of,
    /// The seat's name, as people read it: "Room 12"
    name: String,
    /// Where a PIN that was typed at this seat counts: seats of one zone share it
    #[arg(long, default_value = "main")]
    zone: String,
    /// wedge: a tap opens and the next one locks; card: open while the card is there
    #[arg(long, default_value = "wedge")]
    mode: SeatMode,
}

/// Enrol this workstation with a code from `chevet seat code`
///
/// Makes a key that never leaves this machine, and writes it to a file that its owner alone may read: run this as the user
/// that will run `chevet seat run`.
#[derive(clap::Args)]
struct Enrol {
    /// The gateway's page
    #[arg(long, value_name = "URL")]
    gateway: String,
    /// SHA-256 of the gateway's certificate, if no public authority signed it
    #[arg(long, value_name = "SHA256")]
    pin: Option<String>,
    /// Where to keep the seat's key
    #[arg(long, value_name = "FILE", default_value = "seat.toml")]
    file: PathBuf,
    /// The code
    code: String,
}

/// Read badges on this workstation, and let its browser show what they open
///
/// The screen is a browser's: one that --kiosk starts, or any that opens the address which this prints, once. A tap asks the
/// gateway; the page asks for the PIN when it is needed, and shows the session. The next tap, another badge, a card taken
/// away, ten minutes without a key (as the gateway says), or the end of this program darken it at once, with or without a
/// network. Readers that type like keyboards are given by the path of their device, which is then read by nobody else.
///
/// Examples:
///   chevet seat run --pcsc --kiosk chromium
///   chevet seat run --device /dev/input/by-id/usb-Reader-event-kbd --kiosk firefox-esr
///   my-reader-program | chevet seat run --stdin
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
struct Run {
    /// The file that `chevet seat enrol` made
    #[arg(long, value_name = "FILE", default_value = "seat.toml")]
    file: PathBuf,
    #[command(flatten)]
    reader: Reader,
    /// Start this browser on the page, full screen, and again whenever it ends
    #[arg(long, value_name = "PROGRAM")]
    kiosk: Option<PathBuf>,
}

#[derive(clap::Args)]
#[group(required = true, multiple = false)]
struct Reader {
    /// Cards and badges at PC/SC readers; with a text, only at those whose name contains it. Needs a chevet that was built
    /// with `--features pcsc`
    #[arg(long, value_name = "READER", num_args = 0..=1, default_missing_value = "")]
    pcsc: Option<String>,
    /// A reader that types like a keyboard: its device
    #[arg(long, value_name = "PATH")]
    device: Option<PathBuf>,
    /// One badge number a line, from standard input
    #[arg(long)]
    stdin: bool,
}

#[cfg(feature = "pcsc")]
fn read_cards(wanted: Option<String>, seen: mpsc::Sender<Seen>) -> Result<(), Failure> {
    Ok(chevet::seat::read_cards(wanted, seen)?)
}

#[cfg(not(feature = "pcsc"))]
fn read_cards(_: Option<String>, _: mpsc::Sender<Seen>) -> Result<(), Failure> {
    Err("this chevet was built without card readers: build it with `cargo build --release --features pcsc`"
        .into())
}

impl Reader {
    fn start(self, seen: mpsc::Sender<Seen>) -> Result<(), Failure> {
        if let Some(reader) = self.pcsc {
            return read_cards(Some(reader).filter(|reader| !reader.is_empty()), seen);
        }
        if let Some(path) = self.device {
            let opened = read_lines_from_device(&path, seen);
            return opened.map_err(|error| {
                let path = path.display();
                format!("reading the badge reader {path}: {error}; is it there, and may this user read it?")
                    .into()
            });
        }
        // A thread, not a task: nothing waits for a line when this program ends.
        std::thread::spawn(move || {
            if let Err(error) = read_lines(std::io::stdin(), &seen) {
                tracing::error!(%error, "standard input cannot be read any more");
            }
        });
        Ok(())
    }
}

impl Run {
    async fn run(self) -> Result<(), Failure> {
        let file = SeatFile::read(&self.file)?;
        let (send, seen) = mpsc::channel(SEEN_AT_ONCE);
        self.reader.start(send)?;
        let seat = tokio::select! {
            seat = reach(file) => seat?,
            () = interrupted() => return Ok(()),
        };
        let agent = Agent::start(seat).await?;
        let beginning = agent.beginning();
        let tell = || println!("open on this workstation, once: {}", beginning.url());
        match self.kiosk {
            None => {
                tell();
                agent.run(seen, interrupted(), tell).await;
            }
            Some(program) => {
                let browsing = tokio::spawn(keep_browser(program, agent.beginning()));
                agent.run(seen, interrupted(), || {}).await;
                browsing.abort();
            }
        }
        Ok(())
    }
}

/// Until the gateway answers.
async fn reach(file: SeatFile) -> Result<Enrolled, Failure> {
    loop {
        match Enrolled::open(file.clone()).await {
            Ok(seat) => return Ok(seat),
            Err(error @ (SeatFailed::Refused(_) | SeatFailed::Key)) => return Err(error.into()),
            Err(error) => tracing::warn!(%error, "the gateway cannot be asked yet"),
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Has a browser running that shows the page: begins again when it has ended, or shows something else for too long.
async fn keep_browser(program: PathBuf, beginning: Beginning) {
    loop {
        let mut command = tokio::process::Command::new(&program);
        command.arg("--kiosk").arg(beginning.url()).stdin(std::process::Stdio::null()).kill_on_drop(true);
        match command.spawn() {
            Ok(mut browser) => {
                let mut seen = Instant::now();
                while matches!(browser.try_wait(), Ok(None)) && seen.elapsed() < WITHOUT_PAGE {
                    tokio::time::sleep(AGAIN).await;
                    if beginning.has_page() {
                        seen = Instant::now();
                    }
                }
                let _ = browser.kill().await;
            }
            Err(error) => {
                tracing::error!(program = %program.display(), %error, "the browser could not be started")
            }
        }
        tokio::time::sleep(AGAIN).await;
    }
}

impl Seat {
    pub async fn run(self) -> Result<(), Failure> {
        match self.job {
            Job::Code(code) => {
                let (_, store) = code.of.store().await?;
                let now = clock::unix_ms();
                println!("{}", new_seat_code(&store, &code.name, &code.zone, code.mode, now).await?);
                let minutes = CODE_MS / 60_000;
                eprintln!("Good once, for {minutes} minutes: chevet seat enrol --gateway URL CODE");
            }
            Job::Enrol(enrol) => {
                if enrol.file.exists() {
                    let path = enrol.file.display();
                    return Err(format!("{path} is there already: remove it, or give another --file").into());
                }
                let file = SeatFile::enrol(&enrol.gateway, enrol.pin.as_deref(), &enrol.code).await?;
                file.write(&enrol.file)?;
                println!("enrolled as {}; its key is in {}", file.name, enrol.file.display());
            }
            Job::Run(run) => run.run().await?,
            Job::List { of } => list(&of.store().await?.1).await?,
            Job::Revoke { of, name } => {
                let (_, store) = of.store().await?;
                let seat = store.seat_named(&name).await?;
                let seat = seat.ok_or_else(|| {
                    format!("there is no seat {name:?}; `chevet seat list` says which there are")
                })?;
                if store.revoke_seat(&seat.id, clock::unix_ms()).await? {
                    note(&store, "seat", &seat.name, "revoked").await?;
                }
                let ended = store.end_sign_ins_at(&seat.name).await?.len();
                println!("{} is revoked; sign-ins that ended: {ended}", seat.name);
            }
        }
        Ok(())
    }
}

/// Notes a change for the audit journal, which the running gateway, or the next one, writes.
pub async fn note(store: &Store, kind: &str, whom: &str, what: &str) -> Result<(), Failure> {
    let (kind, whom, what) = (kind.to_owned(), whom.to_owned(), what.to_owned());
    let change = Change { id: new_id(), changed_at: clock::unix_ms(), kind, whom, what };
    Ok(store.note_change(&change).await?)
}

async fn list(store: &Store) -> Result<(), Failure> {
    println!("{:32} {:16} {:6} {:8}", "NAME", "ZONE", "MODE", "STATE");
    let mut after = String::new();
    loop {
        let seats = store.seats(&after, 200).await?;
        let Some(last) = seats.last() else { return Ok(()) };
        after = last.name.clone();
        for seat in seats {
            let state = if seat.revoked_at.is_some() { "revoked" } else { "enrolled" };
            println!("{:32} {:16} {:6} {state:8}", seat.name, seat.zone, seat.mode.name());
        }
    }
}
