//! What an edge costs: the same gateway straight and through an edge on the loopback, by turns, both with TLS, each a process of its own: from
//! an event to its update with few viewers and with many; and through an edge that strangers at another address flood with first
//! packets of QUIC and with TCP connections. Then ever more viewers of one session, which is encoded once for all: how
//! much of what they are brought straight comes through an edge, too.
//!
//! `cargo bench --bench edge`

use chevet::link::{Certificate, fingerprint_text};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

const ROUNDS: usize = 3;
const SECONDS: u32 = 4;
/// Stacks of slices, 15 a second: the most that a viewer is brought.
const PROFILE: &str = "imaging";
const SESSIONS: usize = 8;
const TICKET: &str = "the ticket of this bench";

fn main() {
    if std::env::args().any(|word| word == "--test") {
        return;
    }
    latencies(&Stage::set(""));
    println!();
    // All viewers are at one address, which may have and begin less than this otherwise.
    at_the_limit(&Stage::set("[limits]\nconnections_of_address = 512\nbegun_a_second = 512\n"));
}

struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn chevet(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chevet"));
    command.args(arguments).stdin(Stdio::null()).env("CHEVET_LOG", "error");
    command
}

fn start(arguments: &[&str]) -> Program {
    Program(chevet(arguments).stdout(Stdio::null()).spawn().expect("chevet"))
}

fn said(arguments: &[&str]) -> String {
    String::from_utf8(chevet(arguments).output().expect("chevet").stdout).expect("text").trim().to_owned()
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of text")
}

struct Stage {
    folder: PathBuf,
    inside: u16,
    outside: u16,
    programs: Vec<Program>,
}

impl Stage {
    /// `limits` is the edge's section of that name.
    fn set(limits: &str) -> Stage {
        let folder =
            std::env::temp_dir().join(format!("chevet-bench-edge-{}-{}", std::process::id(), limits.len()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let free = || {
            std::net::UdpSocket::bind("127.0.0.1:0")
                .and_then(|socket| socket.local_addr())
                .expect("a port")
                .port()
        };
        let (inside, outside, between) = (free(), free(), free());
        let (gateway, edge) = (folder.join("gateway.toml"), folder.join("edge.toml"));
        let base = format!(
            "listen = [\"0.0.0.0:{inside}\"]\nstate_directory = {:?}\n[access]\nticket = {TICKET:?}\nhost_secret = {TICKET:?}\n",
            folder.join("gateway")
        );
        std::fs::write(&gateway, &base).expect("a file");
        let ours = said(&["gateway", "--config", text(&gateway), "--identity"]);
        let outer = format!(
            "listen = [\"127.0.0.1:{outside}\"]\ninside = \"127.0.0.1:{between}\"\nstate_directory = {:?}\ngateways = [{ours:?}]\n{limits}",
            folder.join("edge")
        );
        std::fs::write(&edge, outer).expect("a file");
        let theirs = said(&["edge", "--config", text(&edge), "--identity"]);
        let all = format!("{base}[[edge]]\naddress = \"127.0.0.1:{between}\"\nfingerprint = {theirs:?}\n");
        std::fs::write(&gateway, all).expect("a file");
        let mut programs =
            vec![start(&["edge", "--config", text(&edge)]), start(&["gateway", "--config", text(&gateway)])];
        let gateway = format!("127.0.0.1:{inside}");
        while TcpStream::connect(("127.0.0.1", inside)).is_err() {
            std::thread::sleep(Duration::from_millis(50));
        }
        let sessions = SESSIONS.to_string();
        let (begun, pin) = (["load", "--serve", "--profile", PROFILE, "--gateway", &gateway], pin(&folder));
        let offered = [&begun[..], &["--sessions", &sessions, "--pin", &pin]].concat();
        let offering = chevet(&offered).env("CHEVET_HOST_SECRET", TICKET).stdout(Stdio::null()).spawn();
        programs.push(Program(offering.expect("chevet")));
        let stage = Stage { folder, inside, outside, programs };
        let end = std::time::Instant::now() + Duration::from_secs(60);
        // Whoever was let in over TCP may come by QUIC. Until all sessions are offered, somebody is refused.
        while stage.load(true, "websocket", (SESSIONS, 8), 1).is_none()
            || stage.load(true, "quic", (SESSIONS, 8), 1).is_none()
        {
            assert!(std::time::Instant::now() < end, "the sessions do not come");
        }
        stage
    }

    /// The sessions' address, straight or through the edge.
    fn address(&self, through: bool) -> String {
        let port = if through { self.outside } else { self.inside };
        format!(
            "chevet://127.0.0.1:{port}/imaging-*?ticket={}&pin={}&tls=1",
            TICKET.replace(' ', "+"),
            pin(&self.folder)
        )
    }
}

/// By what the gateway's certificate is known.
fn pin(folder: &Path) -> String {
    let kept = std::fs::read_to_string(folder.join("gateway/certificate.pem")).expect("a certificate");
    let (_, body) = kept.split_once('\n').expect("a line of its lifetime");
    fingerprint_text(&Certificate::from_self_signed(body).expect("a certificate").fingerprint())
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.programs.clear();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Processor time of a process so far, in seconds.
fn processor_s(process: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let after = stat.rsplit(')').next().unwrap_or_default();
    let ticks: f64 =
        after.split_whitespace().skip(11).take(2).filter_map(|word| word.parse::<f64>().ok()).sum();
    ticks / 100.0
}

struct Run {
    latency: [f64; 3],
    megabytes_a_second: f64,
    edge_cores: f64,
    gateway_cores: f64,
}

impl Stage {
    fn load(
        &self,
        through: bool,
        road: &str,
        (sessions, viewers): (usize, usize),
        seconds: u32,
    ) -> Option<Run> {
        let report = self.folder.join("report.json");
        let _ = std::fs::remove_file(&report);
        let address = self.address(through);
        let (sessions, viewers, time) = (sessions.to_string(), viewers.to_string(), format!("{seconds}s"));
        let before = [0, 1].map(|at: usize| processor_s(self.programs[at].0.id()));
        let began = std::time::Instant::now();
        let words = [
            "load",
            "--profile",
            PROFILE,
            "--sessions",
            &sessions,
            "--viewers",
            &viewers,
            "--road",
            road,
            "--ramp",
            "1s",
            "--duration",
            &time,
            "--parse-only",
            "--json",
            text(&report),
            &address,
        ];
        let output = chevet(&words).output().expect("chevet");
        let took = began.elapsed().as_secs_f64();
        let after = [0, 1].map(|at: usize| processor_s(self.programs[at].0.id()));
        let figures = std::fs::read_to_string(&report).ok();
        let Some(figures) = figures.and_then(|text| serde_json::from_str::<serde_json::Value>(&text).ok())
        else {
            eprintln!("{}", String::from_utf8_lossy(&output.stderr));
            return None;
        };
        let latency =
            ["p50", "p95", "p99"].map(|name| figures["latency_us"][name].as_f64().unwrap_or(f64::NAN) / 1e3);
        let megabytes_a_second = figures["bytes"].as_f64()? / figures["seconds"].as_f64()? / 1e6;
        let [edge_cores, gateway_cores] = [0, 1].map(|at| (after[at] - before[at]) / took);
        Some(Run { latency, megabytes_a_second, edge_cores, gateway_cores })
    }
}

/// Strangers at an address of their own, who never stop.
struct Flood {
    stop: Arc<AtomicBool>,
    packets: JoinHandle<u64>,
    connections: JoinHandle<u64>,
    began: std::time::Instant,
}

impl Flood {
    fn start(port: u16) -> Flood {
        let stop = Arc::new(AtomicBool::new(false));
        let (ended, to) = (stop.clone(), SocketAddr::from(([127, 0, 0, 1], port)));
        let packets = std::thread::spawn(move || {
            let socket = UdpSocket::bind("127.0.0.3:0").expect("an address of the loopback");
            let mut packet = [7; 1_200];
            packet[..6].copy_from_slice(&[0xC0, 0, 0, 0, 1, 8]);
            let mut sent = 0;
            while !ended.load(Ordering::Relaxed) {
                for _ in 0..100 {
                    sent += u64::from(socket.send_to(&packet, to).is_ok());
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            sent
        });
        let ended = stop.clone();
        let connections = std::thread::spawn(move || {
            let mut made = 0;
            while !ended.load(Ordering::Relaxed) {
                let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
                let socket = socket.expect("a socket");
                let here = SocketAddr::from(([127, 0, 0, 3], 0));
                made +=
                    u64::from(socket.bind(&here.into()).and_then(|()| socket.connect(&to.into())).is_ok());
                std::thread::sleep(Duration::from_millis(1));
            }
            made
        });
        Flood { stop, packets, connections, began: std::time::Instant::now() }
    }

    /// What came in a second.
    fn stop(self) -> String {
        self.stop.store(true, Ordering::Relaxed);
        let seconds = self.began.elapsed().as_secs_f64();
        let [packets, connections] = [self.packets, self.connections]
            .map(|thread| thread.join().map_or(f64::NAN, |count| count as f64 / seconds));
        format!("<!-- a flood of {packets:.0} packets and {connections:.0} connections a second -->")
    }
}

fn middle(of: impl Iterator<Item = f64>) -> f64 {
    let mut all: Vec<f64> = of.collect();
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or(f64::NAN)
}

fn latencies(stage: &Stage) {
    println!("| road | viewers | way | p50, ms | p95 | p99 | MB/s | edge, cores | gateway, cores |");
    println!("|---|---|---|---|---|---|---|---|---|");
    for road in ["quic", "websocket"] {
        for viewers in [2, 8, 32] {
            let mut runs: [Vec<Run>; 3] = Default::default();
            for _ in 0..ROUNDS {
                runs[0].extend(stage.load(false, road, (SESSIONS, viewers), SECONDS));
                runs[1].extend(stage.load(true, road, (SESSIONS, viewers), SECONDS));
                let flood = Flood::start(stage.outside);
                runs[2].extend(stage.load(true, road, (SESSIONS, viewers), SECONDS));
                println!("{}", flood.stop());
            }
            for (way, runs) in ["straight", "edge", "edge, flooded"].into_iter().zip(&runs) {
                let of = |figure: &dyn Fn(&Run) -> f64| middle(runs.iter().map(figure));
                println!(
                    "| {road} | {viewers} | {way} | {:.2} | {:.2} | {:.2} | {:.1} | {:.2} | {:.2} |",
                    of(&|run| run.latency[0]),
                    of(&|run| run.latency[1]),
                    of(&|run| run.latency[2]),
                    of(&|run| run.megabytes_a_second),
                    of(&|run| run.edge_cores),
                    of(&|run| run.gateway_cores),
                );
            }
        }
    }
}

fn at_the_limit(stage: &Stage) {
    println!(
        "| road | viewers | straight, MB/s | edge, MB/s | ratio | gateway, cores | with an edge | edge, cores |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for road in ["quic", "websocket"] {
        for viewers in [4, 8, 16, 32, 64] {
            let mut pairs = Vec::new();
            for _ in 0..ROUNDS {
                pairs.extend(stage.load(false, road, (1, viewers), SECONDS).zip(stage.load(
                    true,
                    road,
                    (1, viewers),
                    SECONDS,
                )));
            }
            let of = |figure: &dyn Fn(&(Run, Run)) -> f64| middle(pairs.iter().map(figure));
            println!(
                "| {road} | {viewers} | {:.1} | {:.1} | {:.2} | {:.2} | {:.2} | {:.2} |",
                of(&|(straight, _)| straight.megabytes_a_second),
                of(&|(_, through)| through.megabytes_a_second),
                of(&|(straight, through)| through.megabytes_a_second / straight.megabytes_a_second),
                of(&|(straight, _)| straight.gateway_cores),
                of(&|(_, through)| through.gateway_cores),
                of(&|(_, through)| through.edge_cores),
            );
        }
    }
}
