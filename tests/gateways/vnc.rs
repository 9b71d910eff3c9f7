//! A VNC server: Debian's Xtigervnc.

use des::cipher::{Block, BlockCipherEncrypt, KeyInit};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

pub struct Vnc {
    child: Child,
    pub port: u16,
}

impl Vnc {
    pub fn start() -> Vnc {
        Vnc::start_with("640x480", &["-SecurityTypes", "None"])
    }

    /// The same of another size, and with other sorts of security.
    pub fn start_with(size: &str, security: &[&str]) -> Vnc {
        Vnc::start_at(free_port(), size, security)
    }

    /// The same on this port.
    pub fn start_at(port: u16, size: &str, security: &[&str]) -> Vnc {
        let mut child = Command::new("Xtigervnc")
            .args(["-displayfd", "1", "-geometry", size, "-depth", "24", "-localhost"])
            .args(security)
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

/// A port that nobody has.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
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
