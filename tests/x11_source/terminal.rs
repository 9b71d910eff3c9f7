//! A real program that receives what is typed: a terminal whose every byte lands in a file.

use crate::server::{Server, eventually, spawn};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub struct Terminal {
    child: Child,
    folder: PathBuf,
    /// Bytes of the file that were looked at already.
    read: usize,
}

impl Terminal {
    /// Opens over the upper left of the screen, and has the keyboard while the pointer is there.
    pub fn open(server: &Server) -> Terminal {
        Terminal::open_on(&server.display)
    }

    /// The same on any display.
    pub fn open_on(display: &str) -> Terminal {
        let name = format!("chevet-terminal-{}-{}", std::process::id(), &display[1..]);
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let script = "stty raw -echo; : > typed; : > ready; exec cat >> typed";
        let mut command = Command::new("xterm");
        // UTF-8, so that the toolkit composes dead keys as in a user's session.
        command.env("LC_ALL", "C.UTF-8").env("DISPLAY", display).current_dir(&folder);
        command.args(["-u8", "-geometry", "80x24+0+0", "-e", "sh", "-c", script]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = spawn(&mut command, "xterm");
        let terminal = Terminal { child, folder, read: 0 };
        eventually("the terminal is ready", || terminal.folder.join("ready").exists());
        terminal
    }

    fn typed(&self) -> Vec<u8> {
        std::fs::read(self.folder.join("typed")).unwrap().split_off(self.read)
    }

    /// What has arrived since the last call, as soon as it is `expected`, or else when nothing more comes.
    pub fn receive(&mut self, expected: &str) -> String {
        let patience = Duration::from_secs(8);
        let mut end = Instant::now() + patience;
        let mut typed = self.typed();
        while typed != expected.as_bytes() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(1));
            let more = self.typed();
            if more.len() > typed.len() {
                end = Instant::now() + patience;
            }
            typed = more;
        }
        self.read += typed.len();
        String::from_utf8_lossy(&typed).into_owned()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
