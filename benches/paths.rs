//! chevet on bad networks: a gateway and a headless viewer as processes of their own, with a relay between them that
//! makes the loopback a LAN, Wi-Fi, ADSL, 4G, or a way with dead spots. A test pattern that the path cannot carry (noise
//! that fills a sixteenth of the screen and text that scrolls, 25 times a second) runs over it for some seconds; then a
//! second viewer measures the time to the first exact screen of a pattern at rest.
//!
//! `cargo bench --bench paths [-- PROFILE...] [--seconds N] [--road quic|websocket]`

#[path = "../tests/paths/model.rs"]
mod model;
#[path = "../tests/paths/relay.rs"]
mod relay;

use model::{PROFILES, Profile};
use relay::Relay;
use serde_json::Value;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::runtime::Runtime;

const TICKET: &str = "a-ticket-for-the-benches";
/// What is not counted at the beginning.
const WARM_UP: Duration = Duration::from_secs(2);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    if arguments.iter().any(|word| word == "--test") {
        return;
    }
    let after = |name: &str| {
        let at = arguments.iter().position(|word| word == name)?;
        arguments.get(at + 1).cloned()
    };
    let seconds = after("--seconds").and_then(|text| text.parse().ok()).unwrap_or(15);
    let road = after("--road");
    let named: Vec<Profile> = arguments.iter().filter_map(|word| Profile::named(word)).collect();
    let profiles = if named.is_empty() { PROFILES.to_vec() } else { named };
    let gateway = Gateway::start();
    println!(
        "| path | road | goodput of capacity | queue p50, ms | p95, ms | draw to decode p50, ms | p95, ms | first exact, ms |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for profile in profiles {
        for each in ["quic", "websocket"] {
            if road.as_deref().is_none_or(|road| road == each) {
                measure(&gateway, profile, each, seconds);
            }
        }
    }
}

fn measure(gateway: &Gateway, profile: Profile, road: &str, seconds: u64) {
    let runtime = Runtime::new().expect("a runtime");
    let way = Way::open(&runtime, gateway, profile, 1);
    let view = view(&way.address("film"), road, WARM_UP.as_secs() + seconds);
    std::thread::sleep(WARM_UP);
    way.relay.start_counting();
    let lines = outcome(view);
    let path = way.relay.report();
    drop(runtime);
    let runtime = Runtime::new().expect("a runtime");
    let way = Way::open(&runtime, gateway, profile, 2);
    let still = outcome(self::view(&way.address("still"), road, 5));
    let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
    let Some(last) = lines.last() else { return println!("| {} | {road} | nothing came |", profile.name) };
    let bytes = |line: &Value| number(&line["bytes"]);
    let counted = lines.iter().find(|line| number(&line["seconds"]) >= WARM_UP.as_secs_f64()).unwrap_or(last);
    let time = number(&last["seconds"]) - number(&counted["seconds"]);
    let alive = profile.dead.map_or(1.0, |dead| 1.0 - dead.lasting as f64 / dead.every as f64);
    let share = (bytes(last) - bytes(counted)) / (profile.down.rate as f64 * alive * time);
    let ms = |value: &Value| number(value) / 1e3;
    println!(
        "| {} | {road} | {:.0} % | {:.1} | {:.1} | {:.0} | {:.0} | {:.0} |",
        profile.name,
        share * 100.0,
        ms(&path["down"]["queue_us"]["p50"]),
        ms(&path["down"]["queue_us"]["p95"]),
        ms(&last["draw_to_decode_us"]["p50"]),
        ms(&last["draw_to_decode_us"]["p95"]),
        still.last().map_or(f64::NAN, |line| ms(&line["first_exact_us"])),
    );
    if std::env::var_os("CHEVET_PATHS_REPORT").is_some() {
        println!("{path}\n{last}");
    }
}

/// A relay to the gateway, and the addresses by which viewers go through it.
struct Way<'a> {
    relay: Relay,
    gateway: &'a Gateway,
    udp: u16,
    tcp: u16,
}

impl<'a> Way<'a> {
    fn open(runtime: &Runtime, gateway: &'a Gateway, profile: Profile, seed: u64) -> Self {
        let relay = Relay::new(profile, seed);
        let here: SocketAddr = (Ipv4Addr::LOCALHOST, 0).into();
        let there: SocketAddr = (Ipv4Addr::LOCALHOST, gateway.port).into();
        let (udp, tcp) = runtime
            .block_on(async { Ok::<_, std::io::Error>((relay.udp(here, there).await?, relay.tcp(here, there).await?)) })
            .expect("ports on the loopback");
        Way { relay, gateway, udp: udp.port(), tcp: tcp.port() }
    }

    fn address(&self, session: &str) -> String {
        let (udp, tcp, pin) = (self.udp, self.tcp, &self.gateway.pin);
        format!("chevet://127.0.0.1:{udp}/{session}?ticket={TICKET}&pin={pin}&tcp={tcp}")
    }
}

fn view(address: &str, road: &str, seconds: u64) -> Child {
    let seconds = seconds.to_string();
    let mut command = Command::new(env!("CARGO_BIN_EXE_chevet"));
    command.args(["view", "--headless", "--stats", "json", "--road", road, "--duration", &seconds, address]);
    command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("chevet view")
}

/// Waits for a viewer's end; its lines of statistics.
fn outcome(view: Child) -> Vec<Value> {
    let output = view.wait_with_output().expect("a viewer that ends");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

struct Gateway {
    process: Child,
    port: u16,
    pin: String,
    config: PathBuf,
}

impl Gateway {
    fn start() -> Gateway {
        let port = loop {
            let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port();
            if UdpSocket::bind(("127.0.0.1", port)).is_ok() {
                break port;
            }
        };
        let config = std::env::temp_dir().join(format!("chevet-paths-{}.toml", std::process::id()));
        let text = format!(
            "listen = [\"127.0.0.1:{port}\"]\n[access]\nticket = {TICKET:?}\n\
             [[session]]\nname = \"film\"\npattern = {{ width = 1920, height = 1080, frames_per_second = 25 }}\n\
             [[session]]\nname = \"still\"\npattern = {{ width = 1920, height = 1080 }}\n"
        );
        std::fs::write(&config, text).expect("a configuration");
        let mut command = Command::new(env!("CARGO_BIN_EXE_chevet"));
        command.args(["gateway", "--config"]).arg(&config);
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("chevet gateway");
        let pin = (0..100).find_map(|_| {
            std::thread::sleep(Duration::from_millis(50));
            ask_pin(port)
        });
        Gateway { process, port, pin: pin.expect("a gateway that listens"), config }
    }
}

fn ask_pin(port: u16) -> Option<String> {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).ok()?;
    let request = format!("GET /api/connect HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let body: Value = serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()?;
    Some(body["certificate_sha256"][0].as_str()?.to_owned())
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_file(&self.config);
    }
}
