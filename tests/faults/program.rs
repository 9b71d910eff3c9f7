//! A program on a node of the network; what it says is kept with the time at which it was read.

use crate::checker::{Said, What, read};
use crate::network::{Network, Node};
use crate::stage::settle;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// What all programs said of who has which session.
#[derive(Clone)]
pub struct Record {
    begun: Instant,
    said: Arc<Mutex<Vec<Said>>>,
}

impl Record {
    pub fn new() -> Record {
        Record { begun: Instant::now(), said: Arc::default() }
    }

    fn note(&self, by: &str, what: What) {
        let mut said = self.said.lock().unwrap();
        said.push(Said { at_ms: self.begun.elapsed().as_millis() as u64, by: by.to_owned(), what });
    }

    pub fn all(&self) -> Vec<Said> {
        self.said.lock().unwrap().clone()
    }
}

pub struct Program {
    pub name: String,
    /// What was started. A reload replaces it by a process that is nobody's child.
    child: Child,
    process: u32,
    log: PathBuf,
    record: Record,
    reader: Option<std::thread::JoinHandle<()>>,
}

impl Program {
    pub fn start(
        (network, node): (&Network, Node),
        folder: &Path,
        record: &Record,
        name: &str,
        arguments: &[String],
        change: impl FnOnce(&mut Command),
    ) -> Program {
        let log = folder.join(format!("{name}.log"));
        let mut file = File::options().create(true).append(true).open(&log).unwrap();
        let mut command = network.command(node, env!("CARGO_BIN_EXE_chevet"));
        command.args(arguments).env("NO_COLOR", "1").env_remove("CHEVET_LOG");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        change(&mut command);
        let mut child = command.spawn().expect("setpriv and nsenter: install util-linux");
        let lines = BufReader::new(child.stderr.take().unwrap());
        let (by, noted) = (name.to_owned(), record.clone());
        let reader = std::thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                if let Some(what) = read(&by, &line) {
                    noted.note(&by, what);
                }
                let at = noted.begun.elapsed().as_millis();
                let _ = writeln!(file, "{at:>7} {line}");
            }
        });
        let process = child.id();
        Program { name: name.to_owned(), child, process, log, record: record.clone(), reader: Some(reader) }
    }

    /// It dies without a word; what it had said before is read to its end.
    pub fn kill(&mut self) {
        self.signal("-KILL");
        self.wait();
    }

    /// Waits until it is gone, and nobody has its output any more.
    pub fn wait(&mut self) {
        let _ = self.child.wait();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
            self.record.note(&self.name, What::Died);
        }
    }

    pub fn has_ended(&mut self) -> bool {
        let of_child = self.child.try_wait().unwrap().is_some();
        of_child && self.reader.as_ref().is_none_or(|reader| reader.is_finished())
    }

    pub fn signal(&self, signal: &str) {
        send(self.process, signal);
    }

    /// SIGHUP; waits until another process has taken its place.
    pub fn reload(&mut self) {
        let before = self.log().len();
        self.signal("-HUP");
        settle("another process takes its place", || {
            let said = self.log().split_off(before);
            let successor = said.lines().find_map(|line| {
                line.contains("takes this one's place").then_some(line.split("process=").nth(1)?.trim())
            });
            let Some(successor) = successor else { return Some(said) };
            self.process = successor.parse().unwrap();
            None
        });
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

pub fn send(process: u32, signal: &str) {
    assert!(Command::new("kill").args([signal, &process.to_string()]).status().unwrap().success());
}

impl Drop for Program {
    fn drop(&mut self) {
        if self.reader.is_some() {
            let _ = Command::new("kill").args(["-KILL", &self.process.to_string()]).status();
            self.wait();
        }
    }
}
