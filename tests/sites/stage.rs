//! Two sites, each with a gateway and a database of its own, on 127.0.0.1 with TLS: the real program.

use crate::postgres::Postgres;
use chevet::client::{SignInFailed, SignedIn, Site};
use chevet::link::{Certificate, fingerprint_text};
use serde_json::Value;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub const SOON: Duration = Duration::from_secs(40);
pub const PASSWORD: &str = "a long enough passphrase";
/// What a site's gateways say that take a host's sessions.
pub const TAKES_HOSTS: &str = "[access]\nhost_secret = \"a-secret-for-the-tests\"\n";

/// Tries until there is nothing left to complain about; fails with the last complaint.
pub fn settle(what: &str, mut complaint: impl FnMut() -> Option<String>) {
    let end = Instant::now() + SOON;
    while let Some(text) = complaint() {
        assert!(Instant::now() < end, "{what}: {text}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// How the second site's gateways are configured towards the first one, and the other way round.
#[derive(Default)]
pub struct Plan<'a> {
    /// Sections of each site's configuration.
    pub north: &'a str,
    pub south: &'a str,
    /// What each site's `[[site.peer]]` says of the other.
    pub of_south: &'a str,
    pub of_north: &'a str,
    /// Of the second site: how long copies are believed.
    pub believe_minutes: u32,
    /// Whether the second site has a second gateway, and its sections.
    pub south_too: Option<&'a str>,
    /// The first site knows the second by its first gateway alone, which is this far away by TCP.
    pub far: Option<Duration>,
}

pub struct Place {
    name: &'static str,
    folder: PathBuf,
    config: PathBuf,
    pub port: u16,
    gateway: Option<Child>,
}

/// A site on SQLite, and one on PostgreSQL.
pub struct Stage {
    pub north: Place,
    pub south: Place,
    /// The second site's second gateway, if there is one.
    pub south_too: Option<Place>,
    folder: PathBuf,
    /// Of the second site's database.
    pub url: String,
    host: Option<Child>,
    _postgres: Postgres,
}

impl Stage {
    pub fn set(name: &str, plan: Plan) -> Stage {
        let folder = std::env::temp_dir().join(format!("chevet-sites-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        let postgres = Postgres::start();
        let mut north = Place::new(&folder, "north");
        let mut south = Place::new(&folder, "south");
        let mut south_too = plan.south_too.map(|sections| (Place::new(&folder, "south-too"), sections));
        let url = postgres.database("south");
        let secret = folder.join("secret");
        std::fs::write(&secret, "of all gateways of the second site, and long enough\n").unwrap();
        let shared = |name: &str| {
            let together =
                format!("[gateways]\nname = {name:?}\naddress = \"127.0.0.1\"\nsecret_file = {secret:?}\n");
            let together = if plan.south_too.is_some() { together } else { String::new() };
            format!("[store]\nurl = {url:?}\n{together}")
        };
        // The keys are made with the state directories, before there are peers.
        north.write("", "");
        south.write("", &shared("south"));
        let (north_key, south_key) = (north.key(), south.key());
        let peer = |name: &str, ports: &[u16], key: &str, more: &str| {
            let gateways: Vec<String> =
                ports.iter().map(|port| format!("https://127.0.0.1:{port}")).collect();
            format!("[[site.peer]]\nname = {name:?}\nkey = {key:?}\ngateways = {gateways:?}\n{more}\n")
        };
        let mut of_south = vec![south.port];
        of_south.extend(south_too.iter().map(|(place, _)| place.port));
        if let Some(away) = plan.far {
            of_south = vec![relay(south.port, away)];
        }
        let north_site =
            format!("[site]\nname = \"north\"\n{}", peer("south", &of_south, &south_key, plan.of_south));
        let south_site = format!(
            "[site]\nname = \"south\"\nbelieve_copies_minutes = {}\n{}",
            plan.believe_minutes,
            peer("north", &[north.port], &north_key, plan.of_north)
        );
        north.write(&north_site, plan.north);
        south.write(&format!("{south_site}{}", shared("south")), plan.south);
        if let Some((place, sections)) = &mut south_too {
            place.write(&format!("{south_site}{}", shared("south-too")), sections);
        }
        north.start();
        south.start();
        let south_too = south_too.map(|(mut place, _)| {
            place.start();
            place
        });
        Stage { north, south, south_too, folder, url, host: None, _postgres: postgres }
    }

    /// A host brings a display to these gateways of the second site.
    pub fn bring<'a>(&mut self, session: &str, display: &str, ports: impl Iterator<Item = &'a u16>) {
        let places: Vec<&Place> =
            [Some(&self.south), self.south_too.as_ref()].into_iter().flatten().collect();
        let log = File::create(self.folder.join("host.log")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_chevet"));
        command.args(["host", "--display", display, "--name", session, "--title", "Front desk"]);
        for port in ports {
            let place = places.iter().find(|place| place.port == *port).unwrap();
            let pin = fingerprint_text(&place.pin());
            command.args(["--gateway", &format!("127.0.0.1:{port}"), "--pin", &pin]);
        }
        command.env("CHEVET_HOST_SECRET", "a-secret-for-the-tests").env("NO_COLOR", "1");
        command.env_remove("CHEVET_LOG").stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.host = Some(command.spawn().unwrap());
    }

    /// A host of the second site that starts an application for this visitor, as somebody of the system.
    pub fn offer(&mut self, visitor: &str, application: &str) {
        use std::os::unix::fs::PermissionsExt;
        // Sessions' users pass through.
        std::fs::set_permissions(&self.folder, PermissionsExt::from_mode(0o755)).unwrap();
        let own = || printed(Command::new("id").arg("-un"));
        // Of root there are no sessions.
        let account = if rustix::process::geteuid().is_root() { "nobody".to_owned() } else { own() };
        let ports = [Some(self.south.port), self.south_too.as_ref().map(|place| place.port)];
        let gateways: Vec<String> = ports.iter().flatten().map(|port| format!("127.0.0.1:{port}")).collect();
        let places = [Some(&self.south), self.south_too.as_ref()];
        let pins: Vec<String> = places.iter().flatten().map(|place| fingerprint_text(&place.pin())).collect();
        let config = self.folder.join("app-1.toml");
        let text = format!(
            "gateway = {gateways:?}\npin = {pins:?}\nname = \"app-1\"\noffers = [{application:?}]\nstate_directory = {:?}\n\
             runtime_directory = {:?}\n[users]\n{visitor:?} = {account:?}\n",
            self.folder.join("app-1.state"),
            self.folder.join("app-1.run")
        );
        std::fs::write(&config, text).unwrap();
        let chevet = || Command::new(env!("CARGO_BIN_EXE_chevet"));
        let key = printed(chevet().args(["host", "key", "--config"]).arg(&config));
        printed(self.south.chevet(&["hosts"]).args(["add", "app-1", &key]));
        let log = File::create(self.folder.join("host.log")).unwrap();
        let mut command = chevet();
        command.args(["host", "--config"]).arg(&config).env("NO_COLOR", "1").env_remove("CHEVET_LOG");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.host = Some(command.spawn().unwrap());
    }

    pub fn host_log(&self) -> String {
        std::fs::read_to_string(self.folder.join("host.log")).unwrap_or_default()
    }

    /// Kills the gateway of the second site that listens on this port.
    pub fn kill_at(&mut self, port: u16) {
        let mut places = [Some(&mut self.south), self.south_too.as_mut()].into_iter().flatten();
        let place = places.find(|place| place.port == port);
        place.unwrap_or_else(|| panic!("no gateway listens on {port}")).stop();
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(mut host) = self.host.take() {
            let _ = host.kill();
            let _ = host.wait();
        }
        self.north.stop();
        self.south.stop();
        self.south_too.iter_mut().for_each(Place::stop);
        if std::thread::panicking() {
            eprintln!("--- north\n{}\n--- south\n{}", self.north.log(), self.south.log());
            self.south_too.iter().for_each(|place| eprintln!("--- south, too\n{}", place.log()));
            eprintln!("--- host\n{}", self.host_log());
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Place {
    fn new(folder: &Path, name: &'static str) -> Place {
        let config = folder.join(format!("{name}.toml"));
        Place { name, folder: folder.to_owned(), config, port: free_port(), gateway: None }
    }

    fn state(&self) -> PathBuf {
        self.folder.join(format!("{}.state", self.name))
    }

    fn write(&self, site: &str, sections: &str) {
        // On all addresses, so that it speaks TLS.
        let text = format!(
            "listen = [\"0.0.0.0:{}\"]\nnames = [\"localhost\"]\nstate_directory = {:?}\n[sign_in]\n{site}{sections}",
            self.port,
            self.state()
        );
        std::fs::write(&self.config, text).unwrap();
    }

    fn chevet(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chevet"));
        command.arg(arguments[0]).arg("--config").arg(&self.config).args(&arguments[1..]);
        command.env("NO_COLOR", "1").env_remove("CHEVET_LOG");
        command
    }

    fn key(&self) -> String {
        printed(&mut self.chevet(&["site", "key"]))
    }

    pub fn start(&mut self) {
        let log =
            File::options().create(true).append(true).open(self.folder.join(format!("{}.log", self.name)));
        let mut command = self.chevet(&["gateway"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log.unwrap());
        self.gateway = Some(command.spawn().unwrap());
        settle("the gateway listens", || {
            let reached = TcpStream::connect(("127.0.0.1", self.port));
            reached.err().map(|error| format!("{error}\n{}", self.log()))
        });
    }

    pub fn stop(&mut self) {
        if let Some(mut gateway) = self.gateway.take() {
            let _ = gateway.kill();
            let _ = gateway.wait();
        }
    }

    /// The keys of this site, for what is sealed in its store.
    pub fn keys(&self) -> chevet::identity::Keys {
        chevet::gateway::kept_keys(&chevet::gateway::Config::read(&self.config).unwrap()).unwrap()
    }

    /// The files of the SQLite store, and what is in them. The gateway does not run.
    pub fn backup(&self) -> Vec<(PathBuf, Vec<u8>)> {
        assert!(self.gateway.is_none());
        self.store_files().into_iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
    }

    /// Puts the store back as it was.
    pub fn restore(&self, backup: &[(PathBuf, Vec<u8>)]) {
        assert!(self.gateway.is_none());
        self.store_files().iter().for_each(|path| std::fs::remove_file(path).unwrap());
        backup.iter().for_each(|(path, bytes)| std::fs::write(path, bytes).unwrap());
    }

    fn store_files(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.state()).unwrap().map(|entry| entry.unwrap().path());
        let is_store = |path: &PathBuf| path.to_string_lossy().contains(".db");
        let files: Vec<PathBuf> = entries.filter(is_store).collect();
        assert!(!files.is_empty());
        files
    }

    /// The SQLite store, unless the site has another one.
    pub fn url(&self) -> String {
        chevet::store::Store::url_in(&self.state())
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join(format!("{}.log", self.name))).unwrap_or_default()
    }

    /// What the audit journal says.
    pub fn audit(&self) -> String {
        let journals = std::fs::read_dir(self.state().join("audit")).into_iter().flatten();
        journals.filter_map(|entry| std::fs::read_to_string(entry.unwrap().path()).ok()).collect()
    }

    /// Runs `chevet user` here.
    pub fn user(&self, arguments: &[&str]) -> String {
        let mut all = vec!["user"];
        all.extend(arguments);
        let mut running = self
            .chevet(&all)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Some do not read it.
        let _ = writeln!(running.stdin.take().unwrap(), "{PASSWORD}");
        let done = running.wait_with_output().unwrap();
        assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    }

    /// The same where it is refused; says why.
    pub fn user_refused(&self, arguments: &[&str]) -> String {
        let mut all = vec!["user"];
        all.extend(arguments);
        let done = self.chevet(&all).stdin(Stdio::null()).output().unwrap();
        assert!(!done.status.success(), "{arguments:?} worked");
        String::from_utf8(done.stderr).unwrap()
    }

    fn pin(&self) -> [u8; 32] {
        let text = std::fs::read_to_string(self.state().join("certificate.pem")).unwrap();
        let (_, body) = text.split_once('\n').unwrap();
        Certificate::from_self_signed(body).unwrap().fingerprint()
    }

    /// Where its page is.
    pub fn page(&self) -> String {
        format!("https://127.0.0.1:{}/", self.port)
    }

    pub fn site(&self) -> Site {
        Site { host: "127.0.0.1".into(), port: self.port, tls: true, pins: vec![self.pin()], proxy: None }
    }

    pub async fn try_sign_in(&self, name: &str, code: Option<&str>) -> Result<SignedIn, SignInFailed> {
        SignedIn::with_password(self.site(), name, PASSWORD, code, "").await
    }

    /// Signs in as soon as that is possible.
    pub async fn sign_in(&self, name: &str) -> SignedIn {
        let end = Instant::now() + SOON;
        loop {
            match self.try_sign_in(name, None).await {
                Ok(person) => return person,
                Err(error) => assert!(Instant::now() < end, "{name}: {error}"),
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Waits until somebody cannot sign in any more, and says why.
    pub async fn until_refused(&self, name: &str) -> String {
        let end = Instant::now() + SOON;
        loop {
            match self.try_sign_in(name, None).await {
                Err(error) => return error.to_string(),
                Ok(_) => assert!(Instant::now() < end, "{name} can still sign in"),
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }
}

/// What a program prints, which must not fail.
fn printed(command: &mut Command) -> String {
    let done = command.env("NO_COLOR", "1").env_remove("CHEVET_LOG").output().unwrap();
    assert!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap().trim().to_owned()
}

/// A port from which this one is so much further away, in both directions, for as long as the test lasts.
fn relay(port: u16, away: Duration) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap().port();
    let carry = move |mut from: TcpStream, mut to: TcpStream| {
        std::thread::spawn(move || {
            let mut bytes = [0; 1 << 16];
            while let Ok(count @ 1..) = from.read(&mut bytes) {
                std::thread::sleep(away);
                if to.write_all(&bytes[..count]).is_err() {
                    break;
                }
            }
            let _ = to.shutdown(std::net::Shutdown::Both);
        })
    };
    std::thread::spawn(move || {
        for near in listener.incoming().map_while(Result::ok) {
            if let Ok(there) = TcpStream::connect(("127.0.0.1", port)) {
                carry(near.try_clone().unwrap(), there.try_clone().unwrap());
                carry(there, near);
            }
        }
    });
    at
}

/// What a sign-in is shown of itself: nothing, once it is over.
pub async fn is_signed_in(person: &SignedIn) -> bool {
    let me: Result<Value, _> = person.ask(hyper::Method::GET, "/api/me", None).await;
    me.is_ok()
}

/// A port that nobody has on TCP nor UDP.
pub fn free_port() -> u16 {
    loop {
        let port = TcpListener::bind("0.0.0.0:0").unwrap().local_addr().unwrap().port();
        if std::net::UdpSocket::bind(("0.0.0.0", port)).is_ok() {
            return port;
        }
    }
}
