//! chevet's processes under test: gateway, host agent and headless viewer, each the real program.

use crate::drawing::picture_of;
use serde_json::Value;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

pub const TICKET: &str = "a-ticket-for-the-tests";
pub const HOST_SECRET: &str = "a-secret-for-the-tests";

/// A folder that goes away with the test.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> Folder {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("chevet-end-to-end-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Tries until there is nothing left to complain about; fails with the last complaint.
pub fn settle(what: &str, mut complaint: impl FnMut() -> Option<String>) {
    let end = Instant::now() + Duration::from_secs(25);
    while let Some(text) = complaint() {
        assert!(Instant::now() < end, "{what}: {text}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A program that ends with its owner; what it writes is kept in files.
pub struct Program {
    child: Child,
    out: PathBuf,
    log: PathBuf,
}

impl Program {
    /// Starts chevet; its outputs become NAME.out and NAME.log in the folder.
    pub fn chevet(folder: &Folder, name: &str, arguments: &[&str]) -> Program {
        let (out, log) = (folder.file(&format!("{name}.out")), folder.file(&format!("{name}.log")));
        let mut command = Command::new(env!("CARGO_BIN_EXE_chevet"));
        command.args(arguments).env("CHEVET_HOST_SECRET", HOST_SECRET).env("NO_COLOR", "1");
        command.env_remove("CHEVET_LOG").stdin(Stdio::null());
        command.stdout(File::create(&out).unwrap()).stderr(File::create(&log).unwrap());
        Program { child: command.spawn().unwrap(), out, log }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// It dies without a word.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn out(&self) -> String {
        std::fs::read_to_string(&self.out).unwrap()
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!(
                "--- {}\n{}",
                self.log.display(),
                std::fs::read_to_string(&self.log).unwrap_or_default()
            );
        }
    }
}

/// A port that nobody has on TCP nor UDP.
pub fn free_port() -> u16 {
    loop {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        if std::net::UdpSocket::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// A gateway with a configuration and a state directory of its own.
pub struct Gateway {
    pub program: Program,
    pub port: u16,
    config: PathBuf,
    folder: Folder,
    starts: u32,
}

impl Gateway {
    /// Starts one with these sessions: name and display.
    pub fn start(sessions: &[(&str, &str)]) -> Gateway {
        Gateway::start_under("balanced", sessions)
    }

    /// The same, with a policy for its sessions.
    pub fn start_under(policy: &str, sessions: &[(&str, &str)]) -> Gateway {
        let (folder, port) = (Folder::new(), free_port());
        let config = folder.file("chevet.toml");
        let mut text = format!(
            "listen = [\"127.0.0.1:{port}\"]\nstate_directory = {:?}\n\
             [access]\nticket = {TICKET:?}\nhost_secret = {HOST_SECRET:?}\n",
            folder.file("state")
        );
        for (name, display) in sessions {
            text += &format!("[[session]]\nname = {name:?}\ndisplay = {display:?}\npolicy = {policy:?}\n");
        }
        std::fs::write(&config, text).unwrap();
        let program = Gateway::launch(&folder, &config, 0);
        let gateway = Gateway { program, port, config, folder, starts: 0 };
        gateway.wait_listening();
        gateway
    }

    fn launch(folder: &Folder, config: &Path, number: u32) -> Program {
        let arguments = ["gateway", "--config", config.to_str().unwrap()];
        Program::chevet(folder, &format!("gateway-{number}"), &arguments)
    }

    fn wait_listening(&self) {
        settle("the gateway listens", || self.ask("/healthz").err());
    }

    /// Starts again with the same configuration, after it was killed.
    pub fn restart(&mut self) {
        self.starts += 1;
        self.program = Gateway::launch(&self.folder, &self.config, self.starts);
        self.wait_listening();
    }

    /// The page's address of a session, which `chevet view` takes as well.
    pub fn page(&self, session: &str) -> String {
        format!("http://127.0.0.1:{}/#session={session}&ticket={TICKET}", self.port)
    }

    /// The body of a page, or why there is none.
    pub fn ask(&self, path: &str) -> Result<String, String> {
        use std::io::{Read, Write};
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nAuthorization: Bearer {TICKET}\r\n\
             Connection: close\r\n\r\n",
            self.port
        );
        let mut answer = String::new();
        let mut asking = || -> std::io::Result<()> {
            let mut stream = std::net::TcpStream::connect(("127.0.0.1", self.port))?;
            stream.set_read_timeout(Some(Duration::from_secs(5)))?;
            stream.write_all(request.as_bytes())?;
            stream.read_to_string(&mut answer).map(|_| ())
        };
        asking().map_err(|error| error.to_string())?;
        let body = answer.split_once("\r\n\r\n").ok_or("half an answer")?.1;
        if answer.starts_with("HTTP/1.1 200") { Ok(body.to_owned()) } else { Err(answer) }
    }

    /// What the gateway tells of a session.
    pub fn session(&self, name: &str) -> Option<Value> {
        let all: Value = serde_json::from_str(&self.ask("/api/sessions").ok()?).ok()?;
        all["sessions"].as_array()?.iter().find(|session| session["name"] == name).cloned()
    }

    pub fn wait_live(&self, name: &str) {
        settle("the session is live", || match self.session(name) {
            Some(session) if session["state"] == "live" => None,
            other => Some(format!("{other:?}")),
        });
    }
}

/// The host agent of one display.
pub struct Host {
    pub program: Program,
    folder: Folder,
    arguments: Vec<String>,
    starts: u32,
}

impl Host {
    pub fn start(gateway: &Gateway, name: &str, display: &str) -> Host {
        let address = format!("127.0.0.1:{}", gateway.port);
        let arguments = ["host", "--display", display, "--gateway", &address, "--name", name];
        let folder = Folder::new();
        let program = Program::chevet(&folder, "host-0", &arguments);
        gateway.wait_live(name);
        Host { program, folder, arguments: arguments.map(str::to_owned).to_vec(), starts: 0 }
    }

    pub fn restart(&mut self) {
        self.starts += 1;
        let arguments: Vec<&str> = self.arguments.iter().map(String::as_str).collect();
        self.program = Program::chevet(&self.folder, &format!("host-{}", self.starts), &arguments);
    }
}

/// A headless viewer with its mirror.
pub struct View {
    pub program: Program,
    folder: Folder,
    what: String,
}

impl View {
    /// Views an address by a road, with further arguments.
    pub fn start(address: &str, road: &str, more: &[&str]) -> View {
        let folder = Folder::new();
        let mirror = folder.file("mirror");
        let mut arguments = vec!["view", "--headless", "--stats", "json", "--road", road];
        arguments.extend(["--mirror", mirror.to_str().unwrap()]);
        arguments.extend(more);
        arguments.push(address);
        let program = Program::chevet(&folder, "view", &arguments);
        let session = address.split(['#', '?']).nth(1).unwrap_or_default().split('&').next();
        View { program, what: format!("{} over {road}", session.unwrap_or_default()), folder }
    }

    /// Width, height, updates presented and pixels, as the mirror file has them now.
    fn mirror(&self) -> Option<(u32, u32, u64, Vec<u32>)> {
        let bytes = std::fs::read(self.folder.file("mirror")).ok()?;
        let word = |at: usize| bytes.get(at..at + 4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        let (width, height, stride) = (word(8)?, word(12)?, word(16)?);
        assert_eq!(&bytes[..8], b"CHEVETFB");
        assert_eq!(stride, width * 4);
        let updates = u64::from(word(28)?) | u64::from(word(32)?) << 32;
        let words = bytes[64..].as_chunks::<4>().0;
        let pixels = words.iter().map(|word| u32::from_le_bytes(*word) & 0x00ff_ffff).collect();
        Some((width, height, updates, pixels))
    }

    /// How many updates it has presented.
    pub fn updates(&self) -> u64 {
        self.mirror().map_or(0, |(_, _, updates, _)| updates)
    }

    /// Waits until it shows, to the last pixel, what the X server at rest says that it shows.
    pub fn expect_exact(&mut self, display: &str) {
        let picture = picture_of(display);
        let what = format!("the viewer of {} shows what the X server shows", self.what);
        settle(&what, || {
            assert!(self.program.ended().is_none(), "the viewer ended: {}", self.program.log());
            match self.mirror() {
                Some((width, height, _, pixels)) => picture.difference(width, height, &pixels),
                None => Some("there is no screen yet".into()),
            }
        });
        settle(&format!("the viewer of {} knows that it is exact", self.what), || {
            let stats = self.stats();
            (stats["exactness"] != "exact").then(|| stats.to_string())
        });
        let again = picture_of(display);
        assert!(again.pixels == picture.pixels, "{}: the display was not at rest", self.what);
        let (width, height, _, pixels) = self.mirror().unwrap();
        assert_eq!(picture.difference(width, height, &pixels), None, "{}: it changed again", self.what);
    }

    /// The newest line of statistics.
    pub fn stats(&self) -> Value {
        let out = self.program.out();
        let whole = out.rfind('\n').map_or("", |end| &out[..end]);
        whole.lines().last().and_then(|line| serde_json::from_str(line).ok()).unwrap_or(Value::Null)
    }

    /// Statistics that were printed after this call.
    pub fn fresh_stats(&self) -> Value {
        let seconds = self.stats()["seconds"].as_f64().unwrap_or(0.0);
        // The line after the next one was begun after this call for certain.
        settle("the viewer prints its statistics", || {
            let stats = self.stats();
            (stats["seconds"].as_f64().unwrap_or(0.0) < seconds + 1.5).then(|| stats.to_string())
        });
        self.stats()
    }
}

/// Of everybody who signs in.
pub const PASSWORD: &str = "a long enough passphrase";

/// chevet with a password on its standard input.
pub fn with_password(folder: &Folder, name: &str, arguments: &[&str]) -> Child {
    let log = std::fs::File::create(folder.file(&format!("{name}.log"))).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_chevet"));
    command.args(arguments).env("NO_COLOR", "1").stdin(Stdio::piped()).stdout(Stdio::null()).stderr(log);
    let mut child = command.spawn().unwrap();
    writeln!(child.stdin.take().unwrap(), "{PASSWORD}").unwrap();
    child
}
