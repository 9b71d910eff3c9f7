//! Three gateways, two edges, two hosts and a database, each the real program on a node of its own.

use crate::checker::violations;
use crate::database::Database;
use crate::enter::within;
use crate::network::{Network, Node};
use crate::program::{Program, Record};
use crate::schedule::{Fault, WITH_CLOCK};
use chevet::client::Address;
use chevet::link::fingerprint_text;
use std::fmt::Write as _;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

pub const SOON: Duration = Duration::from_secs(45);
pub const TICKET: &str = "a-ticket-for-the-tests";
const HOST_SECRET: &str = "a-secret-for-the-tests";
pub const GATEWAYS: usize = 3;
pub const EDGES: usize = 2;
pub const PORT: u16 = 4380;
/// How long the first certificates of edges are good for.
const EDGES_CERTIFICATES_LAST: Duration = Duration::from_secs(20);
/// What a gateway's state may take on disk.
const DISK: &str = "size=4m";

/// Tries until there is nothing left to complain about; fails with the last complaint.
pub fn settle(what: &str, mut complaint: impl FnMut() -> Option<String>) {
    let end = Instant::now() + SOON;
    while let Some(text) = complaint() {
        assert!(Instant::now() < end, "{what}: {text}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A certificate and its key as the programs keep their own, and its SHA-256.
fn certificate(names: &[String], lasts: Duration) -> (String, String) {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let mut params = rcgen::CertificateParams::new(names).unwrap();
    let now = SystemTime::now();
    params.not_before = (now - Duration::from_secs(3_600)).into();
    params.not_after = (now + lasts).into();
    let made = params.self_signed(&key).unwrap();
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, made.der());
    let hash: [u8; 32] = digest.as_ref().try_into().unwrap();
    (made.pem() + &key.serialize_pem(), fingerprint_text(&hash))
}

pub struct Stage {
    gateways: Vec<Program>,
    edges: Vec<Program>,
    hosts: Vec<Program>,
    displays: Vec<String>,
    /// Each gateway's certificate of now, and the one that it will have next.
    certificates: Vec<[(String, String); 2]>,
    edges_certificates_end: Instant,
    database: Database,
    record: Record,
    pub folder: PathBuf,
    pub network: Network,
}

impl Stage {
    pub fn set(name: &str) -> Stage {
        let network = Network::make();
        let folder = std::env::temp_dir().join(format!("chevet-faults-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        let database = Database::make(&network, &folder);
        let mut stage = Stage {
            gateways: Vec::new(),
            edges: Vec::new(),
            hosts: Vec::new(),
            displays: Vec::new(),
            certificates: Vec::new(),
            edges_certificates_end: Instant::now() + EDGES_CERTIFICATES_LAST,
            database,
            record: Record::new(),
            folder,
            network,
        };
        stage.configure();
        for number in 0..EDGES {
            let edge = stage.launch_edge(number);
            stage.edges.push(edge);
        }
        for number in 0..GATEWAYS {
            let gateway = stage.launch_gateway(number);
            stage.gateways.push(gateway);
        }
        (0..GATEWAYS).for_each(|number| stage.wait_listening(number));
        stage.wait_tunnels();
        stage
    }

    fn configure(&mut self) {
        let (folder, url) = (self.folder.clone(), self.database.url());
        std::fs::write(folder.join("secret"), "of all gateways of these tests, and long enough\n").unwrap();
        std::fs::write(folder.join("clock"), "+0\n").unwrap();
        let mut edges = String::new();
        for number in 0..EDGES {
            let state = folder.join(format!("edge-{number}.state"));
            std::fs::create_dir_all(&state).unwrap();
            let (text, hash) = certificate(&["chevet tunnel".into()], EDGES_CERTIFICATES_LAST);
            std::fs::write(state.join("tunnel.pem"), text).unwrap();
            let inside = Node::Edge(number).inner().unwrap();
            write!(edges, "[[edge]]\naddress = \"{inside}:7443\"\nfingerprint = {hash:?}\n").unwrap();
        }
        let mut gateways = Vec::new();
        for number in 0..GATEWAYS {
            let (name, address) = (Node::Gateway(number).name(), Node::Gateway(number).inner().unwrap());
            let state = folder.join(format!("{name}.state"));
            std::fs::create_dir_all(&state).unwrap();
            let mut mounting = Command::new("mount");
            mounting.args(["-t", "tmpfs", "-o", DISK, "chevet-faults"]).arg(&state);
            assert!(mounting.status().unwrap().success(), "mounting a small disk for a gateway");
            let (text, hash) = certificate(&["chevet tunnel".into()], Duration::from_secs(36_500 * 86_400));
            std::fs::write(state.join("tunnel.pem"), text).unwrap();
            gateways.push(hash);
            let names = ["localhost".to_owned(), address.clone()];
            let days = Duration::from_secs(13 * 86_400);
            self.certificates.push([certificate(&names, days), certificate(&names, days)]);
            self.install_certificate(number);
            let text = format!(
                "listen = [\"{address}:{PORT}\"]\nstate_directory = {state:?}\n\
                 [access]\nticket = {TICKET:?}\nhost_secret = {HOST_SECRET:?}\n[store]\nurl = {url:?}\n\
                 [gateways]\nname = {name:?}\naddress = {address:?}\nsecret_file = {:?}\n{edges}",
                folder.join("secret")
            );
            std::fs::write(folder.join(format!("{name}.toml")), text).unwrap();
        }
        for number in 0..EDGES {
            let node = Node::Edge(number);
            let (name, inside, outside) = (node.name(), node.inner().unwrap(), node.outer().unwrap());
            let text = format!(
                "listen = [\"{outside}:443\"]\ninside = \"{inside}:7443\"\nstate_directory = {:?}\ngateways = {gateways:?}\n",
                folder.join(format!("{name}.state"))
            );
            std::fs::write(folder.join(format!("{name}.toml")), text).unwrap();
        }
    }

    fn file(&self, name: &str) -> String {
        self.folder.join(name).to_str().unwrap().to_owned()
    }

    /// As the gateway keeps a certificate of its own making.
    fn install_certificate(&self, number: usize) {
        let address = Node::Gateway(number).inner().unwrap();
        let text = format!("names: localhost {address}\n{}", self.certificates[number][0].0);
        std::fs::write(self.file(&format!("gateway-{number}.state/certificate.pem")), text).unwrap();
    }

    /// What is known of all gateways: their certificates of now and the next ones.
    pub fn pins(&self) -> impl Iterator<Item = &str> {
        self.certificates.iter().flatten().map(|(_, hash)| hash.as_str())
    }

    fn launch(&self, node: Node, arguments: &[String], change: impl FnOnce(&mut Command)) -> Program {
        Program::start((&self.network, node), &self.folder, &self.record, &node.name(), arguments, change)
    }

    fn launch_gateway(&self, number: usize) -> Program {
        let node = Node::Gateway(number);
        let config = self.file(&format!("{}.toml", node.name()));
        self.launch(node, &["gateway".into(), "--config".into(), config], |command| {
            if number == WITH_CLOCK {
                command.env("LD_PRELOAD", libfaketime()).env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
                command
                    .env("FAKETIME_TIMESTAMP_FILE", self.file("clock"))
                    .env("FAKETIME_CACHE_DURATION", "1");
            }
        })
    }

    fn launch_edge(&self, number: usize) -> Program {
        let config = self.file(&format!("edge-{number}.toml"));
        self.launch(Node::Edge(number), &["edge".into(), "--config".into(), config], |_| {})
    }

    fn launch_host(&self, number: usize) -> Program {
        let session = SESSIONS[number];
        let mut arguments: Vec<String> = ["host", "--display", &self.displays[number], "--name", session]
            .iter()
            .map(|text| (*text).to_owned())
            .collect();
        for number in 0..GATEWAYS {
            let address = Node::Gateway(number).inner().unwrap();
            arguments.extend(["--gateway".into(), format!("{address}:{PORT}")]);
        }
        for pin in self.pins() {
            arguments.extend(["--pin".into(), pin.into()]);
        }
        self.launch(Node::Host(number), &arguments, |command| {
            command.env("CHEVET_HOST_SECRET", HOST_SECRET);
        })
    }

    /// A host brings this display to the gateways.
    pub fn bring(&mut self, display: &str) {
        self.displays.push(display.to_owned());
        let host = self.launch_host(self.hosts.len());
        self.hosts.push(host);
    }

    /// A host brings sessions that are made for load.
    pub fn load_sessions(&mut self, count: usize) {
        let mut arguments: Vec<String> = ["load", "--serve", "--profile", "practice", "--width", "320"]
            .iter()
            .map(|text| (*text).to_owned())
            .collect();
        arguments.extend(["--height".into(), "256".into(), "--sessions".into(), count.to_string()]);
        for number in 0..GATEWAYS {
            let address = Node::Gateway(number).inner().unwrap();
            arguments.extend(["--gateway".into(), format!("{address}:{PORT}")]);
        }
        for pin in self.pins() {
            arguments.extend(["--pin".into(), pin.into()]);
        }
        // Not by a host's name: what the checker reads of a host is of one session.
        let node = Node::Host(0);
        let change = |command: &mut Command| {
            command.env("CHEVET_HOST_SECRET", HOST_SECRET);
        };
        let load = Program::start(
            (&self.network, node),
            &self.folder,
            &self.record,
            "load-sessions",
            &arguments,
            change,
        );
        self.hosts.push(load);
        settle("the sessions are with gateways", || {
            (self.said("this gateway has the session") < count).then(|| self.tell())
        });
    }

    /// How often gateways said this.
    pub fn said(&self, text: &str) -> usize {
        self.gateways.iter().map(|gateway| gateway.log().matches(text).count()).sum()
    }

    /// Where somebody inside, or outside, finds a session.
    pub fn address(&self, session: usize, by: Node) -> Address {
        let (place, port) = match by {
            Node::Edge(_) => (by.outer(), 443),
            _ => (by.inner(), PORT),
        };
        let pins: String = self.pins().map(|pin| format!("&pin={pin}")).collect();
        let (place, session) = (place.unwrap(), SESSIONS[session]);
        Address::parse(&format!("chevet://{place}:{port}/{session}?ticket={TICKET}&tls=1{pins}")).unwrap()
    }

    /// Whether no gateway answers somebody outside, and an edge does.
    pub fn outside_reaches_edges_alone(&self) -> bool {
        within(&self.network.of(Node::Outside), || {
            let reaches = |address: String| {
                TcpStream::connect_timeout(&address.parse().unwrap(), Duration::from_secs(2)).is_ok()
            };
            let gateways = (0..GATEWAYS).map(|number| Node::Gateway(number).inner().unwrap());
            let inside = gateways.map(|address| format!("{address}:{PORT}")).any(reaches);
            let edge = Node::Edge(0).outer().unwrap();
            !inside && reaches(format!("{edge}:443"))
        })
    }

    fn wait_listening(&self, number: usize) {
        let address: std::net::SocketAddr =
            format!("{}:{PORT}", Node::Gateway(number).inner().unwrap()).parse().unwrap();
        let namespace = self.network.of(Node::Inside);
        settle(&format!("gateway {number} listens"), || {
            let asked = within(&namespace, move || {
                TcpStream::connect_timeout(&address, Duration::from_secs(1)).err()
            });
            let log = || self.gateways.get(number).map_or(String::new(), Program::log);
            asked.map(|error| format!("{error}\n{}", log()))
        });
    }

    fn wait_tunnels(&self) {
        for edge in &self.edges {
            settle("every gateway has a tunnel", || {
                let log = edge.log();
                (log.matches("a gateway has a tunnel").count() < GATEWAYS).then_some(log)
            });
        }
    }

    /// The gateway that a session's host gave it to last.
    pub fn holder(&self, session: usize) -> Option<usize> {
        let mut holder = None;
        for said in self.record.all().into_iter().filter(|said| said.by == Node::Host(session).name()) {
            match said.what {
                crate::checker::What::Given { gateway, .. } => holder = Some(gateway),
                _ => holder = None,
            }
        }
        holder
    }

    pub fn kill(&mut self, node: Node) {
        self.program(node).kill();
    }

    pub fn restart(&mut self, node: Node) {
        let program = match node {
            Node::Gateway(number) => self.launch_gateway(number),
            Node::Edge(number) => self.launch_edge(number),
            Node::Host(number) => self.launch_host(number),
            _ => unreachable!("nothing of chevet runs there"),
        };
        *self.program(node) = program;
        if let Node::Gateway(number) = node {
            self.wait_listening(number);
        }
    }

    fn program(&mut self, node: Node) -> &mut Program {
        match node {
            Node::Gateway(number) => &mut self.gateways[number],
            Node::Edge(number) => &mut self.edges[number],
            Node::Host(number) => &mut self.hosts[number],
            _ => unreachable!("nothing of chevet runs there"),
        }
    }

    /// `chevet gateway drain` for a gateway, and waits for its end.
    pub fn drain(&mut self, number: usize) {
        let other = Node::Gateway((number + 1) % GATEWAYS);
        let name = Node::Gateway(number).name();
        let mut command = self.network.command(other, env!("CARGO_BIN_EXE_chevet"));
        command.args(["gateway", "drain", "--config", &self.file(&format!("{}.toml", other.name()))]);
        assert!(command.args(["--name", &name]).status().unwrap().success());
        let gateway = &mut self.gateways[number];
        settle("the gateway has gone", || (!gateway.has_ended()).then(|| gateway.log()));
        gateway.wait();
    }

    /// Lets it go wrong, and then right again.
    pub fn suffer(&mut self, fault: Fault) {
        let pause = std::thread::sleep;
        match fault {
            Fault::Kill(node) => {
                self.kill(node);
                pause(Duration::from_secs(1));
                self.restart(node);
            }
            Fault::Stop(node) => {
                self.program(node).signal("-STOP");
                pause(Duration::from_secs(10));
                self.program(node).signal("-CONT");
            }
            Fault::Cut(one, other) => {
                self.network.change(|weather| weather.cut.extend([(one, other)]));
                pause(Duration::from_secs(8));
                self.network.change(|weather| weather.cut.clear());
            }
            Fault::Loss(node) => {
                self.network.change(|weather| weather.lossy.extend([(node, 5)]));
                pause(Duration::from_secs(8));
                self.network.change(|weather| weather.lossy.clear());
            }
            Fault::RestartDatabase => {
                self.database.stop();
                pause(Duration::from_secs(4));
                self.database.start(&self.network);
            }
            Fault::Clock(seconds) => {
                std::fs::write(self.file("clock"), format!("{seconds:+}\n")).unwrap();
                pause(Duration::from_secs(4));
            }
            Fault::DiskFull(number) => {
                let path = self.file(&format!("gateway-{number}.state/filler"));
                fill(Path::new(&path));
                pause(Duration::from_secs(5));
                std::fs::remove_file(path).unwrap();
            }
            Fault::NewCertificate(number) => self.rotate(number),
            Fault::EdgeCertificateEnds(number) => {
                pause(self.edges_certificates_end.saturating_duration_since(Instant::now()));
                self.kill(Node::Edge(number));
                self.restart(Node::Edge(number));
            }
            Fault::Drain(number) => {
                self.drain(number);
                self.restart(Node::Gateway(number));
            }
        }
    }

    /// The gateway is given another certificate and reloaded: another process takes its place.
    fn rotate(&mut self, number: usize) {
        self.certificates[number].swap(0, 1);
        self.install_certificate(number);
        self.gateways[number].reload();
        self.wait_listening(number);
    }

    /// What must be so of all that was said until now, and is not.
    pub fn check(&self) {
        let found = violations(&self.record.all());
        assert!(found.is_empty(), "two gateways had a session:\n{}", found.join("\n"));
    }

    /// Whether the gateways' journals hold together.
    pub fn check_journals(&self) {
        for number in 0..GATEWAYS {
            let directory = self.file(&format!("gateway-{number}.state/audit"));
            let mut command = Command::new(env!("CARGO_BIN_EXE_chevet"));
            let output = command.args(["audit", "verify", &directory]).output().unwrap();
            let (said, complained) =
                (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            assert!(output.status.success(), "the journal of gateway {number}: {said}{complained}");
        }
    }

    /// What all programs said last.
    pub fn tell(&self) -> String {
        let all = self.gateways.iter().chain(&self.edges).chain(&self.hosts);
        let tail = |program: &Program| {
            let log = program.log();
            let lines: Vec<&str> = log.lines().collect();
            format!("--- {}\n{}\n", program.name, lines[lines.len().saturating_sub(60)..].join("\n"))
        };
        all.map(tail).collect()
    }
}

pub const SESSIONS: [&str; 2] = ["desk", "ward"];

/// Debian's libfaketime, by which one program has a clock of its own.
fn libfaketime() -> PathBuf {
    let found = std::fs::read_dir("/usr/lib").unwrap().flatten();
    let found =
        found.map(|entry| entry.path().join("faketime/libfaketimeMT.so.1")).find(|path| path.exists());
    found.expect("install the Debian package libfaketime: scripts/install.sh test")
}

/// Writes until there is no room left.
fn fill(path: &Path) {
    use std::io::Write;
    let mut file = std::fs::File::create(path).unwrap();
    while file.write_all(&[0; 4_096]).is_ok() {}
    while file.write_all(&[0]).is_ok() {}
}

impl Drop for Stage {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.tell());
        }
        for number in 0..GATEWAYS {
            let _ =
                Command::new("umount").args(["-l", &self.file(&format!("gateway-{number}.state"))]).status();
        }
        self.hosts.clear();
        self.gateways.clear();
        self.edges.clear();
        self.database.stop();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
