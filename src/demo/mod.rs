//! A desktop to show: a real X11 session on this machine, with a window manager and a few programs that
//! have invented papers open. It belongs to the process that started it and leaves nothing behind. It
//! knows nothing of gateways: what shows it is told its display and its cookie.

mod desk;
mod layout;
mod place;
mod programs;
mod server;

pub use programs::{Program, missing};

use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread::JoinHandle;

/// Why the demonstration desktop could not start.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    #[error(
        "the demonstration desktop needs {programs}: install the Debian packages with `apt-get install {packages}`, or run `make demo`"
    )]
    Missing { programs: String, packages: String },
    #[error("a screen of {width}x{height} pixels cannot be had: choose between 320x240 and 16384x16384")]
    Size { width: u32, height: u32 },
    #[error("preparing the demonstration's folder {}: {error}; check that it can be written to and has room", .path.display())]
    Folder { path: PathBuf, error: io::Error },
    #[error("starting {program} for the demonstration desktop: {error}")]
    Spawn { program: &'static str, error: io::Error },
    #[error("the X server of the demonstration desktop {how}; its last words: {words}")]
    Server { how: &'static str, words: String },
    #[error("talking to the demonstration's X server on display {display}: {error}")]
    Display { display: String, error: String },
    #[error("drawing a secret from the system for the demonstration desktop: {0}")]
    Random(getrandom::Error),
    #[error("starting a thread for the demonstration desktop: {0}")]
    Thread(io::Error),
}

/// A running demonstration desktop. Dropping it ends every program of it and removes its files.
///
/// All its processes also end when this process dies, however it dies; the private folder that a killed
/// process leaves is swept by the next start.
pub struct DemoDesktop {
    opened: Opened,
    stop: mpsc::Sender<()>,
    keeper: Option<JoinHandle<()>>,
}

/// What whoever shows the desktop needs to know.
struct Opened {
    display: String,
    authority: PathBuf,
    cookie: [u8; 16],
}

impl DemoDesktop {
    /// Starts a desktop of `width` x `height` pixels and waits until its windows are laid out, five seconds
    /// at most. It can be resized later by RandR, to larger sizes too; its windows follow.
    ///
    /// # Errors
    /// When a program is missing (the message names the Debian packages), the size is outside 320x240 to
    /// 16384x16384, or the X server does not come up.
    pub fn start(width: u32, height: u32) -> Result<DemoDesktop, DemoError> {
        if !(320..=16_384).contains(&width) || !(240..=16_384).contains(&height) {
            return Err(DemoError::Size { width, height });
        }
        programs::require_all()?;
        let (told, opened) = mpsc::channel();
        let (stop, stopped) = mpsc::channel();
        // One thread starts the programs and lives as long as they do: the kernel ends them with the
        // thread that started them (PR_SET_PDEATHSIG), not with the process.
        let keeper = std::thread::Builder::new()
            .name("demo-desktop".into())
            .spawn(move || keep(width, height, &told, &stopped))
            .map_err(DemoError::Thread)?;
        match opened.recv() {
            Ok(Ok(opened)) => Ok(DemoDesktop { opened, stop, keeper: Some(keeper) }),
            Ok(Err(error)) => {
                let _ = keeper.join();
                Err(error)
            }
            Err(_) => Err(DemoError::Thread(io::Error::other("the thread ended before the desktop was up"))),
        }
    }

    /// The display's name, as in `DISPLAY`: `:7`.
    pub fn display(&self) -> &str {
        &self.opened.display
    }

    /// The file that holds the display's cookie, as in `XAUTHORITY`. Only this user can read it.
    pub fn xauthority(&self) -> &Path {
        &self.opened.authority
    }

    /// The display's MIT-MAGIC-COOKIE-1, for a client that gives it by itself.
    pub fn cookie(&self) -> &[u8; 16] {
        &self.opened.cookie
    }

    /// Ends every program of the desktop and removes its files. Dropping does the same.
    pub fn stop(self) {}
}

impl Drop for DemoDesktop {
    fn drop(&mut self) {
        let _ = self.stop.send(());
        if let Some(keeper) = self.keeper.take() {
            let _ = keeper.join();
        }
    }
}

/// The keeper's life: opens the desktop, tells how that went, and closes it when told to or forgotten.
fn keep(
    width: u32,
    height: u32,
    told: &mpsc::Sender<Result<Opened, DemoError>>,
    stopped: &mpsc::Receiver<()>,
) {
    match server::Running::start(width, height) {
        Ok(running) => {
            let opened = Opened {
                display: running.display.clone(),
                authority: running.place.authority(),
                cookie: running.place.cookie,
            };
            if told.send(Ok(opened)).is_ok() {
                let _ = stopped.recv();
            }
        }
        Err(error) => {
            let _ = told.send(Err(error));
        }
    }
}

#[cfg(test)]
mod tests;
