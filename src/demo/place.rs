//! The desktop's private folder: its home, its papers, its settings and its cookie. A lock that only a live
//! process can hold tells a folder in use from one that a killed process left.

use super::DemoError;
use super::layout::Role;
use super::programs;
use crate::source::authority_entry;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

const PREFIX: &str = "chevet-demo-";
const LOCK: &str = "lock";
/// Another start makes its folder and locks it within moments; older ones without a lock are dead.
const FRESH: Duration = Duration::from_secs(60);

pub struct Place {
    path: PathBuf,
    pub cookie: [u8; 16],
    /// Held as long as the folder is in use; the kernel lets go of it when we die.
    _lock: File,
}

impl Place {
    /// Sweeps what killed processes left, then makes and fills a folder that only this user can enter.
    ///
    /// # Errors
    /// [`DemoError::Folder`] or [`DemoError::Random`].
    pub fn make() -> Result<Place, DemoError> {
        let parent = std::env::temp_dir();
        sweep(&parent);
        let mut cookie = [0; 16];
        getrandom::fill(&mut cookie).map_err(DemoError::Random)?;
        let mut name = [0; 8];
        getrandom::fill(&mut name).map_err(DemoError::Random)?;
        let path = parent.join(format!("{PREFIX}{:016x}", u64::from_le_bytes(name)));
        let in_folder = |error| DemoError::Folder { path: path.clone(), error };
        DirBuilder::new().mode(0o700).create(&path).map_err(in_folder)?;
        let locked =
            private(&path.join(LOCK)).and_then(|lock| lock.try_lock().map(|()| lock).map_err(Into::into));
        let place = match locked {
            Ok(lock) => Place { path: path.clone(), cookie, _lock: lock },
            Err(error) => {
                let _ = fs::remove_dir_all(&path);
                return Err(in_folder(error));
            }
        };
        place.fill().map_err(in_folder)?;
        Ok(place)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn home(&self) -> PathBuf {
        self.path.join("home")
    }

    pub fn documents(&self) -> PathBuf {
        self.home().join("Documents")
    }

    pub fn authority(&self) -> PathBuf {
        self.path.join("xauthority")
    }

    /// Where the X server's messages go.
    pub fn server_log(&self) -> PathBuf {
        self.path.join("xserver.log")
    }

    /// The environment of every program of the desktop: a home, a cookie, and no way to other sessions.
    pub fn environment(&self) -> Vec<(&'static str, PathBuf)> {
        let home = self.home();
        vec![
            ("XDG_CONFIG_HOME", home.join(".config")),
            ("XDG_DATA_HOME", home.join(".local/share")),
            ("XDG_CACHE_HOME", home.join(".cache")),
            ("XDG_RUNTIME_DIR", self.path.join("run")),
            ("TMPDIR", self.path.join("tmp")),
            ("XAUTHORITY", self.authority()),
            ("XENVIRONMENT", self.path.join("xresources")),
            ("HOME", home),
            ("SHELL", "/bin/bash".into()),
            ("LANG", "C.UTF-8".into()),
            ("GDK_BACKEND", "x11".into()),
            ("GSETTINGS_BACKEND", "memory".into()),
            ("NO_AT_BRIDGE", "1".into()),
            ("XCURSOR_THEME", "Adwaita".into()),
            // Says "there is no bus" without a search for one, or a start of one that would stay behind.
            ("DBUS_SESSION_BUS_ADDRESS", "disabled:".into()),
        ]
    }

    fn fill(&self) -> io::Result<()> {
        let files: [(&str, &[u8]); 11] = [
            ("home/Documents/dossier.html", include_bytes!("../../demo/dossier.html")),
            ("home/Documents/ecg.png", include_bytes!("../../demo/ecg.png")),
            ("home/Documents/scan.png", include_bytes!("../../demo/scan.png")),
            ("home/Documents/transmissions.txt", include_bytes!("../../demo/transmissions.txt")),
            ("home/.config/openbox/rc.xml", include_bytes!("../../demo/rc.xml")),
            ("home/.config/gtk-3.0/settings.ini", include_bytes!("../../demo/gtk.ini")),
            ("home/.config/l3afpad/l3afpadrc", include_bytes!("../../demo/l3afpadrc")),
            ("home/.local/share/themes/Chevet/openbox-3/themerc", include_bytes!("../../demo/themerc")),
            ("home/.config/viewnior/viewnior.conf", include_bytes!("../../demo/viewnior.conf")),
            ("xresources", include_bytes!("../../demo/xresources")),
            ("terminal.bashrc", include_bytes!("../../demo/terminal.bashrc")),
        ];
        for folder in ["run", "tmp", "home/.cache"] {
            DirBuilder::new().mode(0o700).recursive(true).create(self.path.join(folder))?;
        }
        for (name, content) in files {
            self.write(name, content)?;
        }
        self.write("home/.config/openbox/menu.xml", self.menu().as_bytes())?;
        self.write("xauthority", &authority_entry(&self.cookie))
    }

    fn write(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let path = self.path.join(name);
        if let Some(folder) = path.parent() {
            DirBuilder::new().mode(0o700).recursive(true).create(folder)?;
        }
        io::Write::write_all(&mut private(&path)?, content)
    }

    /// The menu of the desktop's background, by which a closed window is had again.
    fn menu(&self) -> String {
        let items: String = Role::ALL
            .into_iter()
            .map(|role| {
                let (program, args) = programs::command_line(role, self);
                let line = std::iter::once(program.name.to_owned()).chain(args.iter().map(|arg| quoted(arg)));
                let line = line.collect::<Vec<_>>().join(" ");
                let (label, line) = (role.label(), escaped(&line));
                format!(
                    "<item label=\"{label}\"><action name=\"Execute\"><command>{line}</command></action></item>\n"
                )
            })
            .collect();
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<openbox_menu xmlns=\"http://openbox.org/3.4/menu\">\n\
             <menu id=\"root-menu\" label=\"chevet\">\n<separator label=\"chevet\"/>\n{items}</menu>\n\
             </openbox_menu>\n"
        )
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // A program on its way out may still be writing.
        for _ in 0..20 {
            match fs::remove_dir_all(&self.path) {
                Ok(()) => return,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return,
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        }
        tracing::warn!(folder = %self.path.display(), "the demonstration's folder could not be removed");
    }
}

fn private(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)
}

/// One argument of a command line of openbox's, which reads them as a shell does.
fn quoted(argument: &str) -> String {
    format!("'{}'", argument.replace('\'', "'\\''"))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Removes this user's demonstration folders that no live process holds.
fn sweep(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    let ours = rustix::process::getuid().as_raw();
    for entry in entries.flatten() {
        let named = entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX));
        // Of the entry itself, not of what a link points to.
        let Ok(meta) = entry.metadata() else { continue };
        if named && meta.is_dir() && meta.uid() == ours && is_abandoned(&entry.path(), &meta) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn is_abandoned(folder: &Path, meta: &fs::Metadata) -> bool {
    match OpenOptions::new().read(true).write(true).open(folder.join(LOCK)) {
        Ok(lock) => lock.try_lock().is_ok(),
        Err(_) => meta.modified().ok().and_then(|at| at.elapsed().ok()).is_some_and(|age| age > FRESH),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_no_process_holds_is_swept_and_one_in_use_is_kept() {
        let parent = std::env::temp_dir().join(format!("chevet-sweep-{}", std::process::id()));
        let (dead, live, other) =
            (parent.join("chevet-demo-dead"), parent.join("chevet-demo-live"), parent.join("else"));
        for folder in [&dead, &live, &other] {
            fs::create_dir_all(folder).unwrap();
            private(&folder.join(LOCK)).unwrap();
        }
        let held = OpenOptions::new().write(true).open(live.join(LOCK)).unwrap();
        held.try_lock().unwrap();
        sweep(&parent);
        assert!(!dead.exists() && live.exists() && other.exists());
        fs::remove_dir_all(parent).unwrap();
    }

    #[test]
    fn a_folder_that_is_just_being_made_is_kept() {
        let parent = std::env::temp_dir().join(format!("chevet-fresh-{}", std::process::id()));
        let fresh = parent.join("chevet-demo-fresh");
        fs::create_dir_all(&fresh).unwrap();
        sweep(&parent);
        assert!(fresh.exists());
        fs::remove_dir_all(parent).unwrap();
    }

    #[test]
    fn the_menus_command_lines_survive_the_shell_and_the_markup() {
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(escaped("a<b>&c"), "a&lt;b&gt;&amp;c");
    }
}
