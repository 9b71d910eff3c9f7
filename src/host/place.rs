//! A session's folder: its cookie, its user's runtime directory, and what the next start of the host needs to know to sweep
//! up after a session whose keeper was killed. A lock that only a live keeper holds tells one in use from one that is left.

use super::account::Account;
use super::processes;
use crate::source::authority_entry;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// In the environment of every process of a session: the session's folder.
pub const MARK: &str = "CHEVET_SESSION_FOLDER";
const LOCK: &str = "lock";
const SERVER: &str = "x-server";
/// A keeper that has just made its folder is about to lock it.
const FRESH: Duration = Duration::from_secs(60);
/// Processes that do not end when they are killed are left to the system.
const ENDING: Duration = Duration::from_secs(5);

pub struct Place {
    path: PathBuf,
    _lock: File,
}

/// Makes the directory that holds sessions' folders: everybody may pass through, nobody may look.
pub fn make_runtime(directory: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o711).create(directory)?;
    let meta = fs::symlink_metadata(directory)?;
    let ours = rustix::process::geteuid().as_raw();
    if !meta.is_dir() || meta.uid() != ours || meta.mode() & 0o022 != 0 {
        let wrong = "it must be a directory of the host's own user that nobody else can write to";
        return Err(io::Error::other(wrong));
    }
    fs::set_permissions(directory, fs::Permissions::from_mode(0o711))
}

impl Place {
    /// Makes a folder with a new cookie, of use to this account alone.
    pub fn make(path: &Path, account: &Account) -> io::Result<Place> {
        DirBuilder::new().mode(0o700).create(path)?;
        let made = Place::fill(path, account);
        if made.is_err() {
            let _ = fs::remove_dir_all(path);
        }
        made
    }

    fn fill(path: &Path, account: &Account) -> io::Result<Place> {
        let lock = private(&path.join(LOCK))?;
        lock.try_lock()?;
        let mut cookie = [0; 16];
        getrandom::fill(&mut cookie).map_err(|error| io::Error::other(error.to_string()))?;
        let place = Place { path: path.to_owned(), _lock: lock };
        private(&place.authority())?.write_all(&authority_entry(&cookie))?;
        DirBuilder::new().mode(0o700).create(place.run())?;
        // Whatever the umask: the user passes through, and sees nothing of what is beside.
        fs::set_permissions(path, fs::Permissions::from_mode(0o711))?;
        if account.becomes {
            for ours in [place.authority(), place.run()] {
                chown(ours, Some(account.uid), Some(account.gid))?;
            }
        }
        Ok(place)
    }

    pub fn authority(&self) -> PathBuf {
        self.path.join("xauthority")
    }

    /// The user's XDG_RUNTIME_DIR.
    pub fn run(&self) -> PathBuf {
        self.path.join("run")
    }

    /// Remembers the X server, so that its socket can be removed if this keeper is killed.
    pub fn note_server(&self, display: u16, pid: i32) -> io::Result<()> {
        private(&self.path.join(SERVER))?.write_all(format!("{display} {pid}").as_bytes())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

fn private(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)
}

/// Removes a folder; a process on its way out may still be writing.
fn remove(path: &Path) {
    for _ in 0..20 {
        match fs::remove_dir_all(path) {
            Ok(()) => return,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
    tracing::warn!(folder = %path.display(), "a session's folder could not be removed");
}

/// Removes what an X server that is gone has left: its socket and lock, if they are still its own.
pub fn remove_display(display: u16, pid: i32) {
    let lock = format!("/tmp/.X{display}-lock");
    let owner = fs::read_to_string(&lock).ok().and_then(|text| text.trim().parse::<i32>().ok());
    if owner == Some(pid) && !Path::new(&format!("/proc/{pid}")).exists() {
        let _ = fs::remove_file(lock);
        let _ = fs::remove_file(format!("/tmp/.X11-unix/X{display}"));
    }
}

/// Ends and removes what sessions have left whose keepers were killed, and says how many there were.
pub fn sweep(runtime: &Path) -> usize {
    let Ok(entries) = fs::read_dir(runtime) else { return 0 };
    let ours = rustix::process::geteuid().as_raw();
    let mut swept = 0;
    for entry in entries.flatten() {
        // Of the entry itself, not of what a link points to.
        let Ok(meta) = entry.metadata() else { continue };
        let path = entry.path();
        if !meta.is_dir() || meta.uid() != ours || !is_abandoned(&path, &meta) {
            continue;
        }
        processes::end_marked(MARK, &path, ENDING);
        let server = fs::read_to_string(path.join(SERVER)).unwrap_or_default();
        if let Some((display, pid)) = server.split_once(' ')
            && let (Ok(display), Ok(pid)) = (display.parse(), pid.parse())
        {
            remove_display(display, pid);
        }
        remove(&path);
        swept += 1;
    }
    swept
}

fn is_abandoned(folder: &Path, meta: &fs::Metadata) -> bool {
    match OpenOptions::new().read(true).write(true).open(folder.join(LOCK)) {
        Ok(lock) => lock.try_lock().is_ok(),
        Err(_) => meta.modified().ok().and_then(|at| at.elapsed().ok()).is_some_and(|age| age > FRESH),
    }
}
