//! Several gateways of one database, and hosts that bring sessions to them: each the real program.

use crate::postgres::Postgres;
use chevet::client::{Address, Client, SignedIn, Site};
use hyper::Method;
use serde_json::Value;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

pub const SOON: Duration = Duration::from_secs(40);
const TICKET: &str = "a-ticket-for-the-tests";
const PASSWORD: &str = "a long enough passphrase";
const HOST_SECRET: &str = "a-secret-for-the-tests";

/// Tries until there is nothing left to complain about; fails with the last complaint.
pub fn settle(what: &str, mut complaint: impl FnMut() -> Option<String>) {
    let end = Instant::now() + SOON;
    while let Some(text) = complaint() {
        assert!(Instant::now() < end, "{what}: {text}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A program that ends with its owner.
pub struct Program {
    child: Child,
    log: PathBuf,
}

impl Program {
    fn start(folder: &std::path::Path, name: &str, arguments: &[&str]) -> Program {
        let log = folder.join(format!("{name}.log"));
        let file = File::options().create(true).append(true).open(&log).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_chevet"));
        command.args(arguments).env("CHEVET_HOST_SECRET", HOST_SECRET).env("NO_COLOR", "1");
        command.env_remove("CHEVET_LOG").stdin(Stdio::null()).stdout(Stdio::null()).stderr(file);
        Program { child: command.spawn().unwrap(), log }
    }

    pub fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }

    /// It dies without a word.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- {}\n{}", self.log.display(), self.log());
        }
    }
}

pub struct Gateway {
    pub program: Program,
    name: String,
    port: u16,
    config: PathBuf,
}

impl Gateway {
    fn launch(folder: &std::path::Path, name: &str, config: &std::path::Path) -> Program {
        Program::start(folder, name, &["gateway", "--config", config.to_str().unwrap()])
    }

    fn ask(&self, path: &str) -> Result<String, String> {
        use std::io::Read;
        let mut answer = String::new();
        let mut asking = || -> std::io::Result<()> {
            let address = ([127, 0, 0, 1], self.port).into();
            let mut stream = std::net::TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
            stream.set_read_timeout(Some(Duration::from_secs(5)))?;
            write!(
                stream,
                "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nAuthorization: Bearer {TICKET}\r\n\
                 Connection: close\r\n\r\n",
                self.port
            )?;
            stream.read_to_string(&mut answer).map(drop)
        };
        asking().map_err(|error| error.to_string())?;
        let body = answer.split_once("\r\n\r\n").ok_or("half an answer")?.1;
        if answer.starts_with("HTTP/1.1 200") { Ok(body.to_owned()) } else { Err(answer) }
    }

    fn wait_listening(&self) {
        settle(&format!("{} listens", self.name), || self.ask("/healthz").err());
    }

    /// SHA-256 of its certificate.
    fn pin(&self) -> String {
        let told: Value = serde_json::from_str(&self.ask("/api/connect").unwrap()).unwrap();
        told["certificate_sha256"][0].as_str().unwrap().to_owned()
    }

    /// Whether it has this session itself, and shows it.
    pub fn has(&self, session: &str) -> bool {
        let told = self.ask("/api/sessions").unwrap_or_default();
        let told: Value = serde_json::from_str(&told).unwrap_or_default();
        let listed = told["sessions"].as_array().map(Vec::as_slice).unwrap_or_default();
        listed.iter().any(|it| it["name"] == session && it["state"] == "live" && it["elsewhere"] != true)
    }

    /// Whether it tells of this session, wherever that is.
    pub fn tells_of(&self, session: &str) -> bool {
        let told = self.ask("/api/sessions").unwrap_or_default();
        let told: Value = serde_json::from_str(&told).unwrap_or_default();
        told["sessions"].as_array().is_some_and(|all| all.iter().any(|it| it["name"] == session))
    }
}

/// Gateways that share a database.
pub struct Stage {
    pub gateways: Vec<Gateway>,
    pub postgres: Postgres,
    pub folder: PathBuf,
    hosts: Vec<Program>,
}

impl Stage {
    pub fn set(name: &str, count: usize) -> Stage {
        Stage::set_with(name, count, "")
    }

    /// The same, with further sections of the configuration.
    pub fn set_with(name: &str, count: usize, sections: &str) -> Stage {
        let folder = std::env::temp_dir().join(format!("chevet-gateways-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        let postgres = Postgres::start();
        let url = postgres.database("chevet");
        let secret = folder.join("secret");
        std::fs::write(&secret, "of all gateways of these tests, and long enough\n").unwrap();
        let ticket = match sections.contains("[sign_in]") {
            true => String::new(),
            false => format!("ticket = {TICKET:?}\n"),
        };
        let gateway = |number: usize| {
            let (name, port) = (format!("gateway-{number}"), free_port());
            let config = folder.join(format!("{name}.toml"));
            let text = format!(
                "listen = [\"127.0.0.1:{port}\"]\nstate_directory = {:?}\n\
                 [access]\n{ticket}host_secret = {HOST_SECRET:?}\n[store]\nurl = {url:?}\n\
                 [gateways]\nname = {name:?}\naddress = \"127.0.0.1\"\nsecret_file = {secret:?}\n{sections}",
                folder.join(format!("{name}.state"))
            );
            std::fs::write(&config, text).unwrap();
            let gateway = Gateway { program: Gateway::launch(&folder, &name, &config), name, port, config };
            gateway.wait_listening();
            gateway
        };
        let gateways = (0..count).map(gateway).collect();
        Stage { gateways, postgres, folder, hosts: Vec::new() }
    }

    /// A host brings a display to all of them.
    pub fn bring(&mut self, session: &str, display: &str) {
        let mut arguments = vec!["host", "--display", display, "--name", session];
        let addresses: Vec<String> =
            self.gateways.iter().map(|gateway| format!("127.0.0.1:{}", gateway.port)).collect();
        let pins: Vec<String> = self.gateways.iter().map(Gateway::pin).collect();
        arguments.extend(addresses.iter().flat_map(|address| ["--gateway", address]));
        arguments.extend(pins.iter().flat_map(|pin| ["--pin", pin]));
        self.hosts.push(Program::start(&self.folder, &format!("host-{session}"), &arguments));
    }

    /// The same to these gateways, whose certificates the host asks for.
    pub fn bring_unpinned(&mut self, session: &str, display: &str, at: &[usize]) {
        let addresses: Vec<String> =
            at.iter().map(|&at| format!("127.0.0.1:{}", self.gateways[at].port)).collect();
        let mut arguments = vec!["host", "--display", display, "--name", session];
        arguments.extend(addresses.iter().flat_map(|address| ["--gateway", address]));
        self.hosts.push(Program::start(&self.folder, &format!("host-{session}"), &arguments));
    }

    /// The same, and waits until a gateway has it, where everybody may ask.
    pub fn host(&mut self, session: &str, display: &str) {
        self.bring(session, display);
        settle("a gateway has the session", || self.holder(session).is_none().then(String::new));
    }

    /// A host that starts an application for a user, with links to these gateways.
    pub fn offer(&mut self, name: &str, user: &str, application: &str, at: &[usize]) {
        use std::os::unix::fs::PermissionsExt;
        // Sessions' users pass through.
        std::fs::set_permissions(&self.folder, PermissionsExt::from_mode(0o755)).unwrap();
        // Of root there are no sessions.
        let account = match rustix::process::geteuid().is_root() {
            true => "nobody".to_owned(),
            false => output(Command::new("id").arg("-un")),
        };
        let config = self.folder.join(format!("{name}.toml"));
        let addresses = at.iter().map(|&at| format!("127.0.0.1:{}", self.gateways[at].port));
        let text = format!(
            "gateway = {:?}\nname = {name:?}\noffers = [{application:?}]\nstate_directory = {:?}\n\
             runtime_directory = {:?}\n[users]\n{user} = \"{account}\"\n",
            addresses.collect::<Vec<_>>(),
            self.folder.join(format!("{name}.state")),
            self.folder.join(format!("{name}.run"))
        );
        std::fs::write(&config, text).unwrap();
        let mut asked = Command::new(env!("CARGO_BIN_EXE_chevet"));
        let key = output(asked.args(["host", "key", "--config"]).arg(&config));
        let mut adding = Command::new(env!("CARGO_BIN_EXE_chevet"));
        output(
            adding.args(["hosts", "--config"]).arg(&self.gateways[at[0]].config).args(["add", name, &key]),
        );
        let arguments = ["host", "--config", config.to_str().unwrap()];
        self.hosts.push(Program::start(&self.folder, &format!("host-{name}"), &arguments));
    }

    /// Which gateway has a session.
    pub fn holder(&self, session: &str) -> Option<usize> {
        self.gateways.iter().position(|gateway| gateway.has(session))
    }

    /// Starts a gateway that has ended again.
    pub fn restart(&mut self, at: usize) {
        let gateway = &mut self.gateways[at];
        gateway.program = Gateway::launch(&self.folder, &gateway.name, &gateway.config);
        gateway.wait_listening();
    }

    pub fn url(&self, at: usize, session: &str) -> String {
        let gateway = &self.gateways[at];
        let (port, pin) = (gateway.port, gateway.pin());
        format!("chevet://127.0.0.1:{port}/{session}?ticket={TICKET}&pin={pin}")
    }

    pub fn address(&self, at: usize, session: &str) -> Address {
        Address::parse(&self.url(at, session)).unwrap()
    }

    /// A viewer that dials one of the gateways.
    pub async fn client(&self, at: usize, session: &str) -> Client {
        Client::connect(self.address(at, session)).await.unwrap()
    }

    /// `chevet gateway drain` for this gateway, asked with another one's configuration.
    pub fn drain(&self, at: usize) {
        let other = &self.gateways[(at + 1) % self.gateways.len()];
        let mut command = Command::new(env!("CARGO_BIN_EXE_chevet"));
        command.args(["gateway", "drain", "--config"]).arg(&other.config);
        assert!(command.args(["--name", &self.gateways[at].name]).status().unwrap().success());
    }

    /// Makes a user of all of them.
    pub fn add_user(&self, name: &str) {
        self.add_user_who_is(name, "user");
    }

    pub fn add_user_who_is(&self, name: &str, role: &str) {
        let mut adding = Command::new(env!("CARGO_BIN_EXE_chevet"));
        adding.args(["user", "--config"]).arg(&self.gateways[0].config).args(["add", name, "--title", name]);
        adding.args(["--role", role, "--group", "nurses"]);
        let mut adding = adding.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        writeln!(adding.stdin.take().unwrap(), "{PASSWORD}").unwrap();
        assert!(adding.wait().unwrap().success());
    }

    pub async fn sign_in(&self, at: usize, name: &str) -> SignedIn {
        let site = Site {
            host: "127.0.0.1".into(),
            port: self.gateways[at].port,
            tls: false,
            pins: Vec::new(),
            proxy: None,
        };
        SignedIn::with_password(site, name, PASSWORD, None, "").await.unwrap()
    }

    /// The journal of a gateway, a record a line.
    pub fn audit(&self, at: usize) -> String {
        let journal = self.folder.join(format!("{}.state/audit", self.gateways[at].name));
        let mut command = Command::new(env!("CARGO_BIN_EXE_chevet"));
        let shown = command.args(["audit", "show", "--json"]).arg(journal).output().unwrap();
        String::from_utf8(shown.stdout).unwrap()
    }

    pub fn host_log(&self) -> String {
        self.hosts.iter().map(Program::log).collect()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.hosts.clear();
        self.gateways.clear();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn output(command: &mut Command) -> String {
    let done = command.output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap().trim().to_owned()
}

/// A port that nobody has on TCP nor UDP.
fn free_port() -> u16 {
    loop {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        if std::net::UdpSocket::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Asks until the answer is as wished.
pub async fn until(what: &str, person: &SignedIn, path: &str, wished: impl Fn(&Value) -> bool) -> Value {
    let end = Instant::now() + SOON;
    loop {
        let told = person.ask(Method::GET, path, None).await.unwrap();
        if wished(&told) {
            return told;
        }
        assert!(Instant::now() < end, "{what}: {told}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
