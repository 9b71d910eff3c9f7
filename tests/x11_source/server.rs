//! Real X servers, started and stopped by the tests.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use x11rb::rust_connection::RustConnection;

/// Which program serves the display.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Program {
    Xvfb,
    /// An X server that shares no memory, as over a network.
    XvfbWithoutShm,
    Tigervnc,
    /// Xorg with the dummy driver; it takes its configuration from root only.
    XorgDummy,
}

/// A running X server; dropping it ends it.
pub struct Server {
    child: Child,
    pub display: String,
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

impl Server {
    pub fn start(program: Program, width: u32, height: u32, depth: u32) -> Server {
        Server::launch(program, None, width, height, depth)
    }

    /// Starts a server on a display of this name, for instance one that has just died.
    pub fn start_on(program: Program, display: &str, width: u32, height: u32) -> Server {
        Server::launch(program, Some(display), width, height, 24)
    }

    fn launch(program: Program, display: Option<&str>, width: u32, height: u32, depth: u32) -> Server {
        let (mut command, package) = match program {
            Program::Xvfb | Program::XvfbWithoutShm => {
                let mut command = Command::new("Xvfb");
                command.args(["-screen", "0", &format!("{width}x{height}x{depth}"), "-nolisten", "tcp"]);
                if program == Program::XvfbWithoutShm {
                    command.args(["-extension", "MIT-SHM"]);
                }
                (command, "xvfb")
            }
            Program::Tigervnc => {
                let mut command = Command::new("Xtigervnc");
                command.args(["-geometry", &format!("{width}x{height}"), "-depth", &depth.to_string()]);
                command.args(["-SecurityTypes", "None", "-localhost", "-rfbport", &free_port().to_string()]);
                (command, "tigervnc-standalone-server")
            }
            Program::XorgDummy => {
                let mut command = Command::new("Xorg");
                let config = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/x11_source/dummy.conf");
                command.args(["-config", config, "-novtswitch", "-sharevts", "-nolisten", "tcp"]);
                command.args(["-logfile", "/dev/null"]);
                (command, "xserver-xorg-core (and xserver-xorg-video-dummy)")
            }
        };
        // The server writes its number when it is ready; its standard output is free for that.
        command.args(display).args(["-displayfd", "1", "-noreset"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = spawn(&mut command, package);
        let mut number = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut number).unwrap();
        assert!(!number.trim().is_empty(), "{:?} ended before it was ready", command.get_program());
        Server { child, display: format!(":{}", number.trim()) }
    }

    /// A client of our own.
    pub fn connect(&self) -> (RustConnection, usize) {
        RustConnection::connect(Some(&self.display)).unwrap()
    }

    /// The server dies without a word.
    pub fn kill(mut self) -> String {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        // A killed server leaves its lock and socket; a new one on the display clears them away.
        self.display.clone()
    }

    /// The server hangs, or goes on.
    pub fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Gives the keyboard another layout, as a user's session would.
    pub fn set_layout(&self, arguments: &[&str]) {
        let mut command = Command::new("setxkbmap");
        command.args(["-display", &self.display]).args(arguments).stderr(Stdio::null());
        let done = spawn(&mut command, "x11-xkb-utils").wait().unwrap();
        assert!(done.success(), "setxkbmap {arguments:?} failed");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        // SIGTERM lets it take its lock and socket away, once a stopped one goes on.
        for signal in ["-TERM", "-CONT"] {
            let _ = Command::new("kill").args([signal, &self.child.id().to_string()]).status();
        }
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Tries until it is so; fails with `what` when it never becomes so.
pub fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(10);
    while !is_so() {
        assert!(Instant::now() < end, "never happened: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
