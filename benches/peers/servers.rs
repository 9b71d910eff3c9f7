//! The processes under test: an X server, with or without RFB, and a gateway; and the processor time they used.

use crate::stage::Result;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

pub const TICKET: &str = "a-ticket-for-the-benches";

/// Xtigervnc: the X server of both, so that drawing costs both the same.
pub struct XServer {
    process: Child,
    pub display: String,
    /// Where it speaks RFB, if it does.
    pub rfb_port: Option<u16>,
}

impl XServer {
    pub fn start(with_rfb: bool) -> Result<XServer> {
        let rfb_port = if with_rfb { Some(free_port()?) } else { None };
        let (mut reader, writer) = std::io::pipe()?;
        let port = rfb_port.map_or("-1".to_owned(), |port| port.to_string());
        let mut command = Command::new("Xtigervnc");
        command.args(["-displayfd", "1", "-geometry", "1920x1080", "-depth", "24", "-SecurityTypes", "None"]);
        command.args(["-localhost", "-rfbport", &port]).stdout(Stdio::from(writer)).stderr(Stdio::null());
        let process =
            command.spawn().map_err(|error| format!("Xtigervnc: {error}; run scripts/install.sh peers"))?;
        drop(command);
        let (mut number, mut byte) = (Vec::new(), [0]);
        while reader.read(&mut byte)? == 1 && byte[0] != b'\n' {
            number.push(byte[0]);
        }
        let display = format!(":{}", String::from_utf8_lossy(&number).trim());
        Ok(XServer { process, display, rfb_port })
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for XServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A release gateway that shows one display.
pub struct Gateway {
    process: Child,
    pub port: u16,
    pub pin: String,
    config: PathBuf,
}

impl Gateway {
    pub fn start(display: &str, policy: &str) -> Result<Gateway> {
        let port = loop {
            let port = free_port()?;
            if UdpSocket::bind(("127.0.0.1", port)).is_ok() {
                break port;
            }
        };
        let config = std::env::temp_dir().join(format!("chevet-peers-{}.toml", std::process::id()));
        let text = format!(
            "listen = [\"127.0.0.1:{port}\"]\n[access]\nticket = {TICKET:?}\n\
             [[session]]\nname = \"desk\"\ndisplay = {display:?}\npolicy = {policy:?}\n"
        );
        std::fs::write(&config, text)?;
        let mut command = Command::new(env!("CARGO_BIN_EXE_chevet"));
        command.args(["gateway", "--config"]).arg(&config);
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let mut gateway = Gateway { process, port, pin: String::new(), config };
        let pin = (0..200).find_map(|_| {
            std::thread::sleep(Duration::from_millis(25));
            ask_pin(port)
        });
        gateway.pin = pin.ok_or("the gateway does not listen")?;
        Ok(gateway)
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }

    pub fn address(&self, udp: u16, tcp: u16) -> String {
        format!("chevet://127.0.0.1:{udp}/desk?ticket={TICKET}&pin={}&tcp={tcp}", self.pin)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_file(&self.config);
    }
}

fn ask_pin(port: u16) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    let request = format!("GET /api/connect HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let body: Value = serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()?;
    Some(body["certificate_sha256"][0].as_str()?.to_owned())
}

pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// The processor time that a process has used, in nanoseconds. The scheduler's count of each thread is exact;
/// the process' own, in ticks of 10 ms, also covers threads that have ended.
#[derive(Clone, Copy, Debug, Default)]
pub struct CpuTime {
    threads: u64,
    ticks: u64,
}

impl CpuTime {
    pub fn of(process: u32) -> CpuTime {
        let tasks = std::fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
        let thread = |task: std::fs::DirEntry| -> Option<u64> {
            let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
            text.split_whitespace().next()?.parse().ok()
        };
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        let fields = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
        let ticks: u64 =
            fields.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
        CpuTime { threads: tasks.filter_map(thread).sum(), ticks: ticks * 10_000_000 }
    }

    /// Nanoseconds used since `earlier`.
    pub fn since(self, earlier: CpuTime) -> u64 {
        let ticks = self.ticks.saturating_sub(earlier.ticks);
        // Each count of ticks is cut off; what threads say is the finer one unless some have gone.
        self.threads.saturating_sub(earlier.threads).max(ticks.saturating_sub(20_000_000))
    }
}
