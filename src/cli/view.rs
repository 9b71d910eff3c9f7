use super::proxy::Through;
use super::{Failure, interrupted};
use chevet::client::{
    Address, AddressError, CardChoice, CardProblem, DeviceCode, Headless, HostAsks, HostLogin, PinFrom,
    Roads, SYNTAX, Script, SignInFailed, SignedIn, Site, SmartCard, page_of, run_headless,
};
use chevet::link::{Target, parse_fingerprint};
use futures_util::future::join_all;
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
///   chevet view --headless --card --screenshot now.png https://gateway.example/#session=desk
///   chevet view --headless --mirror /dev/shm/desk ADDRESS    keep the pixels where other programs can read them
///   chevet view --headless --user anne https://gw-1.example/#session=desk https://gw-2.example/#session=desk
#[derive(clap::Args)]
#[command(verbatim_doc_comment, after_long_help = SYNTAX)]
pub struct View {
    /// Where the session is. Several, of gateways that share a database or of edges: the nearest one that answers is dialled, and
    /// another one when that is lost
    #[arg(value_name = "URL", required = true)]
    url: Vec<String>,
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
    /// Write what is copied in the session to a file of its owner alone, the newest text alone
    #[arg(long, value_name = "FILE")]
    clipboard: Option<PathBuf>,
    /// Write the pictures that are copied in the session to a PNG file of its owner alone, the newest alone
    #[arg(long, value_name = "FILE.png")]
    clipboard_picture: Option<PathBuf>,
    /// Write what is heard to a WAV file of its owner alone; until the end it says that it is empty
    #[arg(long, value_name = "FILE.wav")]
    sound: Option<PathBuf>,
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
    /// Sign in at the page's address with the smart card in this machine's reader; asks for its PIN
    #[arg(long, group = "person")]
    card: bool,
    /// The PKCS#11 module of the card; without it those that p11-kit knows
    #[arg(long, value_name = "FILE.so", requires = "card")]
    pkcs11: Option<PathBuf>,
    /// Which card, by its label or serial number, if there are several
    #[arg(long, value_name = "LABEL", requires = "card")]
    token: Option<String>,
    /// Which card, by its slot's number
    #[arg(long, value_name = "NUMBER", requires = "card")]
    slot: Option<u64>,
    /// Read the card's PIN from the first line of this file
    #[arg(long, value_name = "FILE", requires = "card")]
    pin_file: Option<PathBuf>,
    /// When the card is taken out: lock, which signs out and wipes the mirror and what was copied, or stay
    #[arg(long, value_name = "WHAT", requires = "card", default_value = "lock", value_parser = ["lock", "stay"])]
    card_removed: String,
    /// The one-time code, if the user has one
    #[arg(long, value_name = "CODE", requires = "user")]
    code: Option<String>,
    /// Where this is, for whoever loses the session to it
    #[arg(long, value_name = "PLACE", requires = "person", default_value = "")]
    seat: String,
    /// Watch the session of whoever told this code, once they have agreed
    #[arg(long, value_name = "CODE", requires = "person")]
    watch: Option<String>,
    /// SHA-256 of the gateway's certificate, if no public authority signed it; may be given several times, for several gateways
    #[arg(long, value_name = "SHA256", requires = "person")]
    pin: Vec<String>,
    #[command(flatten)]
    through: Through,
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
        let (address, spares, with_card) = match self.user.is_some() || self.sign_in.is_some() || self.card {
            true => self.as_somebody().await?,
            false => {
                let (address, spares) = self.with_ticket().await?;
                (address, spares, None)
            }
        };
        let left =
            [self.mirror.clone(), self.clipboard.clone(), self.sound.clone(), self.clipboard_picture.clone()];
        let job = Headless {
            roads: match self.road.as_deref() {
                Some("quic") => Roads::OnlyQuic,
                Some(_) => Roads::OnlyWebSocket,
                None => Roads::All,
            },
            size: self.size.unwrap_or((0, 0)),
            mirror: self.mirror,
            screenshot: self.screenshot,
            clipboard: self.clipboard,
            pictures: self.clipboard_picture,
            sound: self.sound,
            script,
            duration,
            stats: self.stats.is_some(),
            spares,
        };
        let viewing = run_headless(address, job, interrupted());
        let Some((card, person)) = with_card.filter(|_| self.card_removed == "lock") else {
            return Ok(viewing.await?);
        };
        tokio::select! {
            viewed = viewing => Ok(viewed?),
            () = card.removed() => {
                for file in left.into_iter().flatten().filter(|file| file.exists()) {
                    std::fs::remove_file(file)?;
                }
                person.sign_out().await?;
                Err("the card was taken out: signed out; the session goes on".into())
            }
        }
    }

    /// The session's address as it is written, with its ticket, at the nearest of several gateways; and where else it is.
    async fn with_ticket(&self) -> Result<(Address, Vec<Target>), Failure> {
        let (mut addresses, mut failure) = (Vec::new(), None);
        for found in join_all(self.url.iter().map(|url| Address::find(url))).await {
            match found {
                Ok(mut address) => {
                    address.target.proxy = self.through.proxy()?;
                    addresses.push(address);
                }
                // Others may be there.
                Err(error @ AddressError::Ask { .. }) => failure = Some(error),
                Err(error) => return Err(error.into()),
            }
        }
        if let [first, others @ ..] = &addresses[..]
            && others.iter().any(|other| other.session != first.session)
        {
            return Err("the addresses are of different sessions; give those of one".into());
        }
        match (Address::nearest(addresses).await, failure) {
            (Some(found), _) => Ok(found),
            (None, Some(error)) => Err(error.into()),
            (None, None) => Err("no address was given".into()),
        }
    }

    /// The pages of the gateways that were given, the nearest first, and the session that is asked for.
    async fn sites(&self) -> Result<(Vec<Site>, Option<String>), Failure> {
        let pins = self.pin.iter().map(|pin| parse_fingerprint(pin).ok_or("--pin is not a SHA-256"));
        let (pins, proxy) = (pins.collect::<Result<Vec<_>, _>>()?, self.through.proxy()?);
        let (mut sites, mut session) = (Vec::new(), None);
        for url in &self.url {
            let (site, asked) = page_of(url, pins.clone())?;
            if asked.is_some() && session.is_some() && asked != session {
                return Err("the addresses are of different sessions; give those of one".into());
            }
            session = session.or(asked);
            sites.push(Site { proxy: proxy.clone(), ..site });
        }
        // An invitation is one gateway's own.
        let sites = if self.watch.is_some() { sites } else { Site::by_distance(sites).await };
        Ok((sites, session))
    }

    /// The session's address for whoever signs in, and where else it is to be had; and their card, if it was by one.
    async fn as_somebody(&self) -> Result<(Address, Vec<Target>, Option<(SmartCard, SignedIn)>), Failure> {
        let (sites, session) = self.sites().await?;
        let mut sites = sites.into_iter();
        let site = sites.next().ok_or("no address was given")?;
        let others: Vec<Site> = sites.collect();
        let place = (site.host.clone(), Some(site.port));
        let mut card = None;
        let person = match (&self.sign_in, &self.user) {
            _ if self.card => {
                let opened = tokio::task::block_in_place(|| self.open_card())?;
                let person = SignedIn::with_card(site, &opened, &self.seat).await?;
                card = Some(opened);
                person
            }
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
        let person = person.also_at(others.clone());
        let address = if let Some(code) = &self.watch {
            eprintln!("Waiting for the user's answer");
            person.watch(code).await?
        } else {
            let session = match session {
                Some(session) => session,
                None => only_one(person.sessions().await?)?,
            };
            match person.address(&session).await {
                Err(SignInFailed::Credentials { reason, asks }) => {
                    let session = host_asks(&person, &session, reason, *asks).await?;
                    person.address(&session).await?
                }
                address => address?,
            }
        };
        // A session of another site is not to be had here.
        let is_own = (address.target.host.clone(), address.target.tcp_port) == place;
        let spares = if is_own { Site::targets(&others).await } else { Vec::new() };
        Ok((address, spares, card.map(|card| (card, person))))
    }

    fn open_card(&self) -> Result<SmartCard, CardProblem> {
        let choice = CardChoice { module: self.pkcs11.clone(), token: self.token.clone(), slot: self.slot };
        let ask = |card: &str| match std::io::stdin().is_terminal() {
            true => rpassword::prompt_password(format!("PIN of {card}: "))
                .map(Into::into)
                .map_err(|error| format!("asking for the PIN: {error}")),
            false => Err("the PIN is asked for on a terminal; without one, give --pin-file".to_owned()),
        };
        match &self.pin_file {
            Some(path) => SmartCard::open(&choice, &PinFrom::File(path)),
            None => SmartCard::open(&choice, &PinFrom::Asked(&ask)),
        }
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

/// Asks on the terminal for what a host wants to know until it lets the user in. Nothing is tried twice.
async fn host_asks(
    person: &SignedIn,
    session: &str,
    mut reason: String,
    mut asks: HostAsks,
) -> Result<String, Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(format!("{reason} (they are asked for on a terminal)").into());
    }
    loop {
        eprintln!("{reason}");
        let login = tokio::task::block_in_place(|| typed_login(&asks))?;
        match person.give(session, &login).await {
            Err(SignInFailed::Credentials { reason: why, asks: next }) => {
                (reason, asks) = (why, *next);
                (asks.user, asks.domain) = (login.user, login.domain);
            }
            given => return Ok(given?),
        }
    }
}

fn typed_login(asks: &HostAsks) -> Result<HostLogin, Failure> {
    let user = typed_or(&format!("User on {}", asks.host), &asks.user)?;
    let domain = typed_or("Domain", &asks.domain)?;
    let password = rpassword::prompt_password(format!("Password of {user}: "))?.into();
    let remember = asks.remember
        && matches!(
            &*typed_or("Remember it for the next time (y/n)", "n")?.to_lowercase(),
            "y" | "yes" | "o" | "oui"
        );
    Ok(HostLogin { user, domain, password, remember })
}

/// A line from the terminal; an empty one stands for what is proposed.
fn typed_or(question: &str, proposed: &str) -> Result<String, Failure> {
    match proposed {
        "" => eprint!("{question}: "),
        proposed => eprint!("{question} [{proposed}]: "),
    }
    let mut text = String::new();
    if std::io::stdin().read_line(&mut text)? == 0 {
        return Err("nothing was typed".into());
    }
    let typed = text.trim();
    Ok(if typed.is_empty() { proposed } else { typed }.to_owned())
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
