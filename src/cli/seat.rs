use super::Failure;
use chevet::client::seat::SeatFile;
use chevet::clock;
use chevet::gateway::{Config, make_state_directory};
use chevet::identity::{CODE_MS, new_seat_code};
use chevet::store::{SeatMode, Store};
use std::path::PathBuf;

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
        let config = Config::read(&self.config)?;
        if let Some(directory) = &config.state_directory {
            make_state_directory(directory)?;
        }
        let url =
            config.store_url().ok_or("the configuration has neither `state_directory` nor [store] `url`")?;
        let store = Store::open(&url).await?;
        Ok((config, store))
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
            Job::List { of } => list(&of.store().await?.1).await?,
            Job::Revoke { of, name } => {
                let (_, store) = of.store().await?;
                let seat = store.seat_named(&name).await?;
                let seat = seat.ok_or_else(|| {
                    format!("there is no seat {name:?}; `chevet seat list` says which there are")
                })?;
                store.revoke_seat(&seat.id, clock::unix_ms()).await?;
                let ended = store.end_sign_ins_at(&seat.name).await?.len();
                println!("{} is revoked; sign-ins that ended: {ended}", seat.name);
            }
        }
        Ok(())
    }
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
