//! Real VNC servers, started and stopped by the tests.

use des::cipher::{Block, BlockCipherEncrypt, KeyInit};
use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use x11rb::rust_connection::RustConnection;

/// A display that VNC shows; dropping it ends its programs.
pub struct Server {
    children: Vec<Child>,
    pub display: String,
    pub port: u16,
}

/// Starts a program, or fails with the Debian package that has it.
pub fn spawn(command: &mut Command, package: &str) -> Child {
    match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            let program = command.get_program().to_string_lossy().into_owned();
            panic!("cannot run {program} ({error}): install the Debian package {package}")
        }
    }
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Starts an X server and waits for its display's name.
fn x_server(command: &mut Command, package: &str) -> (Child, String) {
    command.args(["-displayfd", "1", "-noreset"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = spawn(command, package);
    let mut number = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut number).unwrap();
    assert!(!number.trim().is_empty(), "{:?} ended before it was ready", command.get_program());
    (child, format!(":{}", number.trim()))
}

impl Server {
    /// TigerVNC's X server without any security.
    pub fn tigervnc(width: u32, height: u32) -> Server {
        Server::tigervnc_with(free_port(), width, height, &["-SecurityTypes", "None"])
    }

    pub fn tigervnc_with(port: u16, width: u32, height: u32, arguments: &[&str]) -> Server {
        let mut command = Command::new("Xtigervnc");
        command.args(["-geometry", &format!("{width}x{height}"), "-depth", "24", "-localhost"]);
        command.args(["-rfbport", &port.to_string(), "-MaxDisconnectionTime", "0"]).args(arguments);
        let (child, display) = x_server(&mut command, "tigervnc-standalone-server");
        Server { children: vec![child], display, port }.ready()
    }

    /// x11vnc, which shows another X server's screen.
    pub fn x11vnc(width: u32, height: u32) -> Server {
        let mut command = Command::new("Xvfb");
        command.args(["-screen", "0", &format!("{width}x{height}x24"), "-nolisten", "tcp"]);
        let (xvfb, display) = x_server(&mut command, "xvfb");
        let port = free_port();
        let mut command = Command::new("x11vnc");
        command.args([
            "-display",
            &display,
            "-rfbport",
            &port.to_string(),
            "-localhost",
            "-forever",
            "-shared",
        ]);
        command.args(["-nopw", "-no6", "-noipv6", "-q", "-wait", "10", "-defer", "10", "-repeat"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let x11vnc = spawn(&mut command, "x11vnc");
        Server { children: vec![x11vnc, xvfb], display, port }.ready()
    }

    /// The console of an emulated machine without a disk: its BIOS says that there is nothing to start.
    pub fn qemu() -> Server {
        let port = (0..1_000).map(|_| free_port()).find(|&port| port > 5_900).unwrap();
        let mut command = Command::new("qemu-system-x86_64");
        command.args(["-nodefaults", "-vga", "std", "-accel", "tcg", "-m", "32", "-monitor", "none"]);
        command.args(["-vnc", &format!("127.0.0.1:{}", port - 5_900)]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = spawn(&mut command, "qemu-system-x86");
        Server { children: vec![child], display: String::new(), port }.ready()
    }

    /// Waits until it listens.
    fn ready(self) -> Server {
        eventually("the VNC server listens", || TcpStream::connect(("127.0.0.1", self.port)).is_ok());
        self
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// A client of the X server, not of VNC.
    pub fn connect(&self) -> (RustConnection, usize) {
        RustConnection::connect(Some(&self.display)).unwrap()
    }

    /// The server dies without a word.
    pub fn kill(mut self) {
        for child in &mut self.children {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for child in &mut self.children {
            if !matches!(child.try_wait(), Ok(Some(_))) {
                // SIGTERM lets an X server take its lock and socket away.
                let _ = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
                let _ = child.wait();
            }
        }
    }
}

/// TigerVNC's file of a password, which is hidden with a key that everybody knows.
pub fn hidden(password: &str) -> [u8; 8] {
    let key = [23u8, 82, 107, 6, 35, 78, 88, 7].map(u8::reverse_bits);
    let mut padded = [0; 8];
    padded.iter_mut().zip(password.bytes()).for_each(|(to, from)| *to = from);
    let mut block = Block::<des::Des>::from(padded);
    des::Des::new(&key.into()).encrypt_block(&mut block);
    block.into()
}

/// A folder of this test's own, which goes with it.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("chevet-vnc-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Tries until it is so; fails with `what` when it never becomes so.
pub fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(15);
    while !is_so() {
        assert!(Instant::now() < end, "never happened: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
