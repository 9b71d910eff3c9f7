//! A VNC server: Debian's Xtigervnc.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

pub struct Vnc {
    child: Child,
    pub port: u16,
}

impl Vnc {
    pub fn start() -> Vnc {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut child = Command::new("Xtigervnc")
            .args([
                "-displayfd",
                "1",
                "-geometry",
                "640x480",
                "-depth",
                "24",
                "-SecurityTypes",
                "None",
                "-localhost",
            ])
            .args(["-rfbport", &port.to_string()])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("install the Debian package tigervnc-standalone-server");
        let mut number = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut number).unwrap();
        assert!(!number.trim().is_empty(), "Xtigervnc ended before it was ready");
        Vnc { child, port }
    }
}

impl Drop for Vnc {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
