//! A gateway with applications, and real hosts that start them: the program itself, real X servers, real programs.

use chevet::client::{Client, ClientError, Event, Roads, SignInFailed, SignedIn, Site};
use chevet::gateway::{Config, Gateway};
use chevet::identity::{Hasher, HostKey, add_user};
use chevet::store::{Role, Store};
use chevet::wire::CloseCode;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub const PASSWORD: &str = "a long enough password";
/// More than anything here takes on a busy machine.
pub const LONG: Duration = Duration::from_secs(40);
/// What the applications of these tests paint, each its own.
pub const RECORD: u32 = 0x0030_6090;

pub struct Stage {
    pub gateway: Option<Gateway>,
    pub store: Store,
    pub config: Config,
    pub folder: PathBuf,
    port: u16,
}

/// A host that runs as a process of its own.
pub struct Host {
    pub child: Child,
    pub name: String,
    pub runtime: PathBuf,
    log: PathBuf,
}

pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Another Unix user than this one, if this one can become others.
pub fn other_user() -> String {
    if is_root() { "nobody".into() } else { own_user() }
}

fn own_user() -> String {
    let id = Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(id.stdout).unwrap().trim().to_owned()
}

/// A program that paints its window in one colour and stays.
pub fn painter(colour: u32) -> String {
    format!("exec xterm -geometry 200x80+0+0 -b 0 -bg '#{colour:06x}' -fg '#{colour:06x}' -e sleep 3600")
}

/// The TOML of an application that runs a shell script.
pub fn application(name: &str, script: &str, more: &str) -> String {
    format!(
        "[[application]]\nname = '{name}'\ntitle = {{ fr = '{name} (fr)', en = '{name}' }}\nhosts = ['app-*']\n\
         groups = ['nurses']\nwidth = 640\nheight = 480\ncommand = ['sh', '-c', \"{script}\"]\n{more}\n"
    )
}

impl Stage {
    /// A gateway with these applications. Anne and Paul are nurses, Eve is not.
    pub async fn open(name: &str, applications: &str) -> Stage {
        let folder = std::env::temp_dir().join(format!("chevet-demand-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(folder.join("open")).unwrap();
        // Programs of other users write here what they see.
        let everybodys = std::os::unix::fs::PermissionsExt::from_mode(0o777);
        std::fs::set_permissions(folder.join("open"), everybodys).unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let applications = applications.replace("OPEN", folder.join("open").to_str().unwrap());
        let text = format!(
            "listen = ['127.0.0.1:{port}']\nstate_directory = '{}'\n[access]\n\
             host_secret = 'the secret of hosts that have displays'\n[sign_in]\n{applications}",
            folder.join("state").display()
        );
        let config: Config = toml::from_str(&text).unwrap();
        let gateway = Gateway::start(&config).await.unwrap();
        let store = Store::open(&config.store_url().unwrap()).await.unwrap();
        let hash = Hasher::default().hash(PASSWORD).await.unwrap();
        for (name, title, groups) in [
            ("anne", "Anne Roy", vec!["nurses".to_owned()]),
            ("paul", "Paul Petit", vec!["nurses".to_owned()]),
            ("eve", "Eve", vec![]),
        ] {
            let id = add_user(&store, name, title, Role::User, &groups, 0).await.unwrap();
            store.set_password(&id, &hash).await.unwrap();
        }
        Stage { gateway: Some(gateway), store, config, folder, port }
    }

    /// The same gateway again.
    pub async fn restart(&mut self) {
        if let Some(gateway) = self.gateway.take() {
            gateway.stop().await;
        }
        let until = Instant::now() + LONG;
        self.gateway = loop {
            match Gateway::start(&self.config).await {
                Ok(gateway) => break Some(gateway),
                Err(error) => assert!(Instant::now() < until, "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
    }

    /// Enrols a host, and says where its key is.
    pub async fn enrol(&self, name: &str) -> HostKey {
        let key = HostKey::kept(&self.folder.join(name).join("host-key")).unwrap();
        self.store.enrol_host(name, &key.text(), 1).await.unwrap();
        key
    }

    /// A host that is enrolled and connected.
    pub async fn host(&self, name: &str, offers: &str, more: &str) -> Host {
        self.enrol(name).await;
        let host = self.host_process(name, offers, more);
        self.until_status(name, "connected", |host| host["connected"] == true).await;
        host
    }

    pub fn host_process(&self, name: &str, offers: &str, more: &str) -> Host {
        let state = self.folder.join(name);
        let runtime = self.folder.join(format!("{name}-run"));
        let (anne, paul) = (other_user(), own_or_daemon());
        let text = format!(
            "gateway = '127.0.0.1:{}'\nname = '{name}'\noffers = {offers}\nstate_directory = '{}'\n\
             runtime_directory = '{}'\n{more}\n[users]\nanne = '{anne}'\npaul = '{paul}'\n",
            self.port,
            state.display(),
            runtime.display()
        );
        std::fs::create_dir_all(&state).unwrap();
        let config = state.join("host.toml");
        std::fs::write(&config, text).unwrap();
        let log = state.join("host.log");
        let out = std::fs::OpenOptions::new().create(true).append(true).open(&log).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_chevet"))
            .args(["host", "--config", config.to_str().unwrap()])
            .env("HOST_ONLY", "not for sessions")
            .stdin(Stdio::null())
            .stdout(out.try_clone().unwrap())
            .stderr(out)
            .spawn()
            .unwrap();
        Host { child, name: name.to_owned(), runtime, log }
    }

    /// Waits until what the gateway knows of a host is so.
    pub async fn until_status(&self, name: &str, what: &str, so: impl Fn(&Value) -> bool) -> Value {
        let person = self.administrator().await;
        let until = Instant::now() + LONG;
        loop {
            let hosts = person.ask(hyper::Method::GET, "/api/admin/hosts", None).await.unwrap();
            let host = hosts["hosts"].as_array().unwrap().iter().find(|host| host["name"] == name).cloned();
            match host {
                Some(host) if so(&host) => return host,
                other => assert!(Instant::now() < until, "{name} is not {what}: {other:?}"),
            }
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }

    pub async fn administrator(&self) -> SignedIn {
        if self.store.user_named("root").await.unwrap().is_none() {
            let id = add_user(&self.store, "root", "Root", Role::Administrator, &[], 0).await.unwrap();
            self.store.set_password(&id, &Hasher::default().hash(PASSWORD).await.unwrap()).await.unwrap();
        }
        self.sign_in("root", "office").await
    }

    pub fn site(&self) -> Site {
        Site { host: "127.0.0.1".into(), port: self.port, tls: false, pins: Vec::new(), proxy: None }
    }

    pub async fn target(&self) -> chevet::link::Target {
        chevet::client::ask_target("127.0.0.1", self.port).await.unwrap()
    }

    pub async fn sign_in(&self, name: &str, seat: &str) -> SignedIn {
        SignedIn::with_password(self.site(), name, PASSWORD, None, seat).await.unwrap()
    }

    /// The names of the sessions that run.
    pub fn sessions(&self) -> Vec<String> {
        let list = self.gateway.as_ref().unwrap().registry().list();
        list.into_iter().map(|listed| listed.name).collect()
    }

    pub async fn until_sessions(&self, count: usize) {
        until(&format!("there are {count} sessions"), || {
            let sessions = self.sessions();
            if sessions.len() == count { Ok(()) } else { Err(format!("{sessions:?}")) }
        })
        .await;
    }

    /// The audit journal once all of this is in it.
    pub async fn journal_with(&self, wanted: &[&str]) -> String {
        let read = || {
            let Ok(entries) = std::fs::read_dir(self.folder.join("state/audit")) else {
                return String::new();
            };
            let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
            files.sort();
            files.iter().filter_map(|path| std::fs::read_to_string(path).ok()).collect()
        };
        until("the journal has it", || match wanted.iter().find(|text| !read().contains(*text)) {
            Some(missing) => Err(format!("no {missing:?} in {}", read())),
            None => Ok(()),
        })
        .await;
        read()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn own_or_daemon() -> String {
    if is_root() { "daemon".into() } else { own_user() }
}

impl Host {
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The processes of this host's sessions, by the folder in their environment, with the name of each.
    pub fn processes(&self) -> Vec<(i32, String)> {
        processes_of(&self.runtime)
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        let id = rustix::process::Pid::from_raw(self.child.id() as i32).unwrap();
        rustix::process::kill_process(id, signal).unwrap();
    }

    /// Waits until nothing is left of any session.
    pub async fn until_clean(&self) {
        until("nothing is left", || {
            let folders: Vec<_> = std::fs::read_dir(&self.runtime)
                .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
                .unwrap_or_default();
            match (self.processes(), folders) {
                (processes, folders) if processes.is_empty() && folders.is_empty() => Ok(()),
                left => Err(format!("{left:?}\n{}", self.log())),
            }
        })
        .await;
    }

    pub async fn until_ended(&mut self) {
        let end = Instant::now() + LONG;
        while self.child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < end, "the host has not ended\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        // Keepers end what there is; a test's folder is removed after that.
        let end = Instant::now() + LONG;
        while !self.processes().is_empty() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(20));
        }
        if std::thread::panicking() {
            eprintln!("--- {}\n{}", self.name, self.log());
        }
    }
}

fn processes_of(runtime: &Path) -> Vec<(i32, String)> {
    let mark = format!("CHEVET_SESSION_FOLDER={}/", runtime.display()).into_bytes();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
        if environment.windows(mark.len()).any(|window| window == mark) {
            let name = std::fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
            found.push((id, name.trim().to_owned()));
        }
    }
    found
}

/// Waits until something is so.
pub async fn until(what: &str, so: impl Fn() -> Result<(), String>) {
    let end = Instant::now() + LONG;
    while let Err(error) = so() {
        assert!(Instant::now() < end, "not in time: {what}: {error}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub async fn view(person: &SignedIn, session: &str) -> Client {
    let address = person.address(session).await.unwrap_or_else(|error| panic!("{session}: {error}"));
    Client::connect_by(address, Roads::OnlyQuic, (0, 0)).await.unwrap()
}

/// Drives a client until it shows an exact screen with this colour in its middle.
pub async fn until_shows(client: &mut Client, colour: u32) {
    let shown = async {
        loop {
            match client.next().await {
                Ok(Event::Exact) => {
                    let screen = client.screen().unwrap();
                    if screen.row(screen.width() / 2, screen.height() / 2, 1) == [colour] {
                        return;
                    }
                }
                Ok(_) => {}
                Err(error) => panic!("it was to show the application: {error}"),
            }
        }
    };
    tokio::time::timeout(LONG, shown).await.expect("the application's pixels come");
}

/// Drives a client until its session is gone, and says why.
pub async fn until_closed(client: &mut Client) -> (CloseCode, String) {
    let closed = async {
        loop {
            if let Err(error) = client.next().await {
                match error {
                    ClientError::Closed(closed) => return (closed.code, closed.reason),
                    other => panic!("{other}"),
                }
            }
        }
    };
    tokio::time::timeout(LONG, closed).await.expect("the session is closed to it")
}

pub fn refused<T>(result: Result<T, SignInFailed>) -> String {
    match result {
        Err(SignInFailed::Refused(reason)) => reason,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was let in"),
    }
}
