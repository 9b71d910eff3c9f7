//! The desktop's processes: an X server that only its cookie's holder can reach, the window manager and the
//! programs; their start in order and their end.

use super::DemoError;
use super::desk::Desk;
use super::layout::Role;
use super::place::Place;
use super::programs::{self, SERVER, WINDOW_MANAGER};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process_group};
use std::fs::File;
use std::io::{self, Read};
use std::process::{Child, ChildStdout, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// For the X server to say which display it has taken.
const SERVER_PATIENCE: Duration = Duration::from_secs(15);
/// For the programs to show their windows; a desktop without them all is still a desktop.
const WINDOW_PATIENCE: Duration = Duration::from_secs(5);
/// For processes to end by themselves before they are killed.
const END_PATIENCE: Duration = Duration::from_secs(2);

/// A running desktop. Dropping it ends everything, the folder last.
pub struct Running {
    pub display: String,
    /// The X server first; none is waited for before the end, so that their ids stay theirs.
    children: Vec<Child>,
    desk: Option<JoinHandle<()>>,
    pub place: Place,
}

impl Running {
    /// Starts everything and waits for the windows. To be called on the thread that will drop it.
    ///
    /// # Errors
    /// Whatever of [`DemoError`] hinders the X server or a program.
    pub fn start(width: u32, height: u32) -> Result<Running, DemoError> {
        let place = Place::make()?;
        let mut running = Running { display: String::new(), children: Vec::new(), desk: None, place };
        running.start_server(width, height)?;
        let desk = Desk::open(&running.display, &running.place.cookie)?;
        let (arranged, all_arranged) = mpsc::channel();
        let watch = std::thread::Builder::new().name("demo-desk".into()).spawn(move || desk.watch(&arranged));
        running.desk = Some(watch.map_err(DemoError::Thread)?);
        running.start_program(WINDOW_MANAGER, &[])?;
        for role in Role::ALL {
            let (program, args) = programs::command_line(role, &running.place);
            running.start_program(program, &args)?;
        }
        // Late windows are arranged when they come.
        let _ = all_arranged.recv_timeout(WINDOW_PATIENCE);
        Ok(running)
    }

    fn start_server(&mut self, width: u32, height: u32) -> Result<(), DemoError> {
        let log_path = self.place.server_log();
        let log = File::create_new(&log_path).map_err(|error| DemoError::Folder { path: log_path, error })?;
        let geometry = format!("{width}x{height}");
        let authority = self.place.authority().display().to_string();
        // -rfbport -1: no RFB listener at all. -terminate: should the leash fail, the server still goes
        // when its last client has gone.
        let args: Vec<String> =
            ["-displayfd", "1", "-rfbport", "-1", "-nolisten", "tcp", "-terminate", "-auth", &authority]
                .into_iter()
                .chain([
                    "-geometry",
                    &geometry,
                    "-depth",
                    "24",
                    "-dpi",
                    "96",
                    "-s",
                    "0",
                    "-desktop",
                    "chevet",
                ])
                .map(str::to_owned)
                .collect();
        let child = programs::spawn(SERVER, &args, &self.place, None, |command| {
            command.stdout(Stdio::piped()).stderr(log);
        })?;
        self.children.push(child);
        // The pipe stays open with the child: the server may say more.
        let number = match self.children.first_mut().and_then(|server| server.stdout.as_mut()) {
            Some(pipe) => display_number(pipe, SERVER_PATIENCE),
            None => Err("has no output to name its display on"),
        };
        let number = number.map_err(|how| DemoError::Server { how, words: self.last_words() })?;
        self.display = format!(":{number}");
        Ok(())
    }

    fn start_program(&mut self, program: programs::Program, args: &[String]) -> Result<(), DemoError> {
        let child = programs::spawn(program, args, &self.place, Some(&self.display), |_| ())?;
        self.children.push(child);
        Ok(())
    }

    fn last_words(&self) -> String {
        let log = std::fs::read_to_string(self.place.server_log()).unwrap_or_default();
        let lines: Vec<&str> = log.lines().filter(|line| !line.trim().is_empty()).collect();
        if lines.is_empty() { "none".to_owned() } else { lines[lines.len().saturating_sub(3)..].join(" | ") }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        for child in self.children.iter().rev() {
            signal_group(child, Signal::TERM);
        }
        let deadline = Instant::now() + END_PATIENCE;
        for child in &mut self.children {
            while matches!(child.try_wait(), Ok(None)) {
                if Instant::now() >= deadline {
                    signal_group(child, Signal::KILL);
                    let _ = child.wait();
                    break;
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        // It ends by itself: its server has gone.
        if let Some(desk) = self.desk.take() {
            let _ = desk.join();
        }
    }
}

/// Signals a child that has not been waited for, and what it started.
fn signal_group(child: &Child, signal: Signal) {
    if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let _ = kill_process_group(group, signal);
    }
}

/// Reads the display number that an X server writes on its `-displayfd`, a line of digits.
fn display_number(pipe: &mut ChildStdout, patience: Duration) -> Result<u16, &'static str> {
    let deadline = Instant::now() + patience;
    let mut line = Vec::new();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let wait = Timespec { tv_sec: left.as_secs().min(60) as i64, tv_nsec: left.subsec_nanos().into() };
        let ready = match poll(&mut [PollFd::new(&*pipe, PollFlags::IN)], Some(&wait)) {
            Err(rustix::io::Errno::INTR) => continue,
            other => other.map_err(|_| "could not be listened to")?,
        };
        if ready == 0 {
            return Err("did not come up in time");
        }
        let mut chunk = [0; 16];
        match pipe.read(&mut chunk) {
            Ok(0) => return Err("ended before it was up"),
            Ok(count) => line.extend(&chunk[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => return Err("could not be listened to"),
        }
        if let Some(end) = line.iter().position(|byte| *byte == b'\n') {
            let digits = std::str::from_utf8(&line[..end]).unwrap_or_default();
            return digits.trim().parse().map_err(|_| "named a display that is not a number");
        }
        if line.len() > 16 {
            return Err("named a display that is not a number");
        }
    }
}
