//! The process that keeps one session: it starts the X server and the program, is the parent of all that they leave
//! behind, and ends everything when it is told to, when one of the two ends, or when the host is gone. It says what
//! happens in lines of JSON.
//!
//! The host and the keeper hold the two ends of a pipe: a host that is killed ends its sessions by that.

use super::account::Account;
use super::place::{self, Place};
use super::{command, processes};
use crate::broker::Limits;
use rustix::process::{Signal, WaitOptions};
use serde::{Deserialize, Serialize};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ExitCode};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// For the X server to say which display it has taken.
const SERVER_PATIENCE: Duration = Duration::from_secs(15);
/// For programs that are asked to end, and for the X server then.
const POLITE: Duration = Duration::from_secs(2);
/// For the kernel to end what is killed.
const KILLED: Duration = Duration::from_secs(5);
/// Within this time of each other two processes end together.
const MOMENT: Duration = Duration::from_millis(100);
/// So much of an X server's last words is kept, in bytes.
const LAST_WORDS: usize = 2_000;

/// What a keeper is told, in one line.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Order {
    pub folder: PathBuf,
    pub account: Account,
    pub x_server: String,
    pub width: u32,
    pub height: u32,
    pub command: Vec<String>,
    pub environment: Vec<(String, String)>,
    pub limits: Limits,
}

/// What a keeper says, a line each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    /// The X server and the program run.
    Up {
        display: String,
        authority: PathBuf,
        server_ms: u64,
        limits: String,
    },
    Failed(String),
    /// The program ended, and how if not well.
    ProgramEnded(String),
    /// The X server died, and its last words.
    ServerDied(String),
}

enum Happening {
    /// A process is not there any more, and how it ended if not well.
    Gone(i32, String),
    /// The host wants the end, or is gone.
    Asked,
}

/// Keeps the session that standard input orders. To be called on a process's first thread: what it starts ends with that.
pub fn keep() -> ExitCode {
    let mut input = BufReader::new(std::io::stdin());
    let mut line = String::new();
    let read = (&mut input).take(1 << 20).read_line(&mut line);
    let order = match read
        .map_err(|error| error.to_string())
        .and_then(|_| serde_json::from_str::<Order>(&line).map_err(|error| error.to_string()))
    {
        Ok(order) => order,
        Err(error) => {
            eprintln!("this is started by `chevet host`, which tells it what to do: {error}");
            return ExitCode::FAILURE;
        }
    };
    let (happened, happenings) = mpsc::channel();
    let asked = happened.clone();
    std::thread::spawn(move || {
        // The host says nothing more: whatever comes, the end of the pipe above all, means the end.
        let _ = input.read(&mut [0; 1]);
        let _ = asked.send(Happening::Asked);
    });
    if let Err(error) = run(&order, &happened, &happenings) {
        say(&Word::Failed(error));
    }
    ExitCode::SUCCESS
}

fn say(word: &Word) {
    let mut line = serde_json::to_vec(word).unwrap_or_default();
    line.push(b'\n');
    // A host that is gone is told nothing.
    let _ = std::io::stdout().write_all(&line).and_then(|()| std::io::stdout().flush());
}

/// Runs the session to its end.
fn run(order: &Order, happened: &Sender<Happening>, happenings: &Receiver<Happening>) -> Result<(), String> {
    // What a session's programs leave behind comes to us, and does not outlive the session.
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
        .map_err(|error| format!("becoming the parent of a session's processes: {error}"))?;
    let begun = Instant::now();
    let place = Place::make(&order.folder, &order.account)
        .map_err(|error| format!("making the session's folder {}: {error}", order.folder.display()))?;
    let failed = |error| format!("starting the X server {}: {error}", order.x_server);
    let mut server = command::server(order, &place).spawn().map_err(failed)?;
    let mut session = Kept { server: server.id() as i32, display: None };
    let words = last_words(&mut server);
    let number = display_number(&mut server, happenings).map_err(|how| {
        let words = words.lock().unwrap_or_else(PoisonError::into_inner);
        format!("the X server {} {how}; its last words: {}", order.x_server, one_line(&words))
    })?;
    session.display = Some(number);
    place.note_server(number, session.server).map_err(|error| format!("noting the X server: {error}"))?;
    let server_ms = begun.elapsed().as_millis() as u64;
    let display = format!(":{number}");
    let failed = |error| format!("starting {}: {error}", order.command[0]);
    let program = command::program(order, &place, &display).spawn().map_err(failed)?.id() as i32;
    let gone = happened.clone();
    std::thread::spawn(move || reap(&gone));
    let authority = place.authority();
    say(&Word::Up { display, authority, server_ms, limits: command::limits(order).1 });
    let ended = loop {
        match happenings.recv() {
            // A program that has lost its X server is often the first of the two to be seen gone.
            Ok(Happening::Gone(id, how)) if id == program && !goes_too(session.server, happenings) => {
                break Some(Word::ProgramEnded(how));
            }
            Ok(Happening::Gone(id, _)) if id == program || id == session.server => {
                let words = words.lock().unwrap_or_else(PoisonError::into_inner);
                break Some(Word::ServerDied(one_line(&words)));
            }
            Ok(Happening::Gone(..)) => {}
            Ok(Happening::Asked) | Err(_) => break None,
        }
    };
    // Before anything else ends: once its X server is gone, the host must not look for another one on that display.
    if let Some(word) = ended {
        say(&word);
    }
    Ok(())
}

/// Whether a process is gone too, or within a moment.
fn goes_too(id: i32, happenings: &Receiver<Happening>) -> bool {
    let until = Instant::now() + MOMENT;
    while let Ok(happening) = happenings.recv_timeout(until.saturating_duration_since(Instant::now())) {
        match happening {
            Happening::Gone(gone, _) if gone == id => return true,
            Happening::Gone(..) => {}
            Happening::Asked => return false,
        }
    }
    false
}

/// The session's processes. Dropping it ends them all: politely, then by force.
struct Kept {
    server: i32,
    display: Option<u16>,
}

impl Drop for Kept {
    fn drop(&mut self) {
        let programs = || processes::descendants().into_iter().filter(|id| *id != self.server).collect();
        processes::end(Signal::TERM, POLITE, programs);
        // Without its screen most of what is left ends by itself, the X server after it has removed its socket.
        processes::end(Signal::TERM, POLITE, || {
            processes::descendants().into_iter().filter(|id| *id == self.server).collect()
        });
        if !processes::end(Signal::KILL, KILLED, processes::descendants) {
            eprintln!("processes of a session do not end though they were killed");
        }
        if let Some(display) = self.display {
            place::remove_display(display, self.server);
        }
    }
}

/// Waits for every child, also those that were given to us, and tells of each.
fn reap(gone: &Sender<Happening>) {
    loop {
        match rustix::process::wait(WaitOptions::empty()) {
            Ok(Some((id, status))) => {
                let how = match (status.exit_status(), status.terminating_signal()) {
                    (Some(0), _) => String::new(),
                    (Some(status), _) => format!("with status {status}"),
                    (_, Some(signal)) => format!("by signal {signal}"),
                    _ => continue,
                };
                if gone.send(Happening::Gone(id.as_raw_nonzero().get(), how)).is_err() {
                    return;
                }
            }
            Err(rustix::io::Errno::INTR) => {}
            // There are no children: all that there could be has ended.
            _ => return,
        }
    }
}

/// The end of what the X server says, for the case that it dies.
fn last_words(server: &mut Child) -> Arc<Mutex<String>> {
    let words = Arc::new(Mutex::new(String::new()));
    let kept = words.clone();
    if let Some(pipe) = server.stderr.take() {
        std::thread::spawn(move || {
            let mut pipe = BufReader::new(pipe);
            let mut chunk = [0; 1_024];
            while let Ok(count @ 1..) = pipe.read(&mut chunk) {
                let mut words = kept.lock().unwrap_or_else(PoisonError::into_inner);
                words.push_str(&String::from_utf8_lossy(&chunk[..count]));
                if words.len() > 2 * LAST_WORDS {
                    let from = (words.len() - LAST_WORDS..).find(|at| words.is_char_boundary(*at));
                    *words = words[from.unwrap_or_default()..].to_owned();
                }
            }
        });
    }
    words
}

fn one_line(words: &str) -> String {
    let lines: Vec<&str> = words.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    match lines.is_empty() {
        true => "none".to_owned(),
        false => lines[lines.len().saturating_sub(3)..].join(" | "),
    }
}

/// The display that an X server says it has taken.
fn display_number(server: &mut Child, happenings: &Receiver<Happening>) -> Result<u16, String> {
    let (said, heard) = mpsc::channel();
    if let Some(pipe) = server.stdout.take() {
        std::thread::spawn(move || {
            // The pipe stays open with the server, which may say more.
            let mut pipe = BufReader::new(pipe);
            let mut line = String::new();
            let _ = (&mut pipe).take(16).read_line(&mut line);
            let _ = said.send(line);
            let _ = std::io::copy(&mut pipe, &mut std::io::sink());
        });
    }
    let until = Instant::now() + SERVER_PATIENCE;
    loop {
        if matches!(happenings.try_recv(), Ok(Happening::Asked)) {
            return Err("was not waited for".to_owned());
        }
        match heard.recv_timeout(Duration::from_millis(20)) {
            Ok(line) if line.is_empty() => return Err("ended before it was up".to_owned()),
            Ok(line) => {
                return line.trim().parse().map_err(|_| "named a display that is not a number".to_owned());
            }
            Err(RecvTimeoutError::Timeout) if Instant::now() < until => {}
            Err(_) => return Err("did not come up in time".to_owned()),
        }
    }
}
