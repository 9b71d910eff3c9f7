//! The programs of which the desktop is made, the Debian packages that bring them, and how one is started
//! so that it never outlives us.

use super::DemoError;
use super::layout::Role;
use super::place::Place;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// A program that the demonstration desktop runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Program {
    pub name: &'static str,
    /// The Debian package that brings it.
    pub package: &'static str,
}

const fn program(name: &'static str, package: &'static str) -> Program {
    Program { name, package }
}

/// The X server: of those that Debian has, the one whose screen can grow as well as shrink.
pub const SERVER: Program = program("Xtigervnc", "tigervnc-standalone-server");
pub const WINDOW_MANAGER: Program = program("openbox", "openbox");
const TERMINAL: Program = program("xterm", "xterm");
const SHELL: Program = program("bash", "bash");
const BROWSER: Program = program("netsurf-gtk", "netsurf-gtk");
const VIEWER: Program = program("viewnior", "viewnior");
const EDITOR: Program = program("l3afpad", "l3afpad");
const KEYMAP_COMPILER: Program = program("xkbcomp", "x11-xkb-utils");
/// Sets the signal that a program gets when we die.
const LEASH: Program = program("setpriv", "util-linux");

const ALL: [Program; 9] =
    [SERVER, WINDOW_MANAGER, TERMINAL, SHELL, BROWSER, VIEWER, EDITOR, KEYMAP_COMPILER, LEASH];

/// The programs of the demonstration that this machine's `PATH` lacks.
pub fn missing() -> Vec<Program> {
    ALL.into_iter().filter(|program| find(program.name).is_none()).collect()
}

/// # Errors
/// [`DemoError::Missing`], naming every missing program and its package.
pub fn require_all() -> Result<(), DemoError> {
    let missing = missing();
    if missing.is_empty() {
        return Ok(());
    }
    let list = |separator, word: fn(&Program) -> &'static str| {
        missing.iter().map(word).collect::<Vec<_>>().join(separator)
    };
    Err(DemoError::Missing { programs: list(", ", |p| p.name), packages: list(" ", |p| p.package) })
}

fn find(name: &str) -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt;
    let runs = |path: &PathBuf| {
        path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    };
    std::env::split_paths(&std::env::var_os("PATH")?).map(|folder| folder.join(name)).find(runs)
}

/// What is run for a role, in the desktop's documents folder.
pub fn command_line(role: Role, place: &Place) -> (Program, Vec<String>) {
    let document = |name: &str| place.documents().join(name).display().to_string();
    match role {
        Role::Record => (BROWSER, vec![format!("file://{}", document("dossier.html"))]),
        Role::Picture => (VIEWER, vec![document("scan.png")]),
        Role::Notes => (EDITOR, vec![document("transmissions.txt")]),
        Role::Terminal => {
            let shell_start = place.path().join("terminal.bashrc").display().to_string();
            // -ut: no entry in the system's list of logins, which nobody would remove if we were killed.
            let args = ["-ut", "-T", "Terminal", "-e", SHELL.name, "--rcfile", &shell_start];
            (TERMINAL, args.map(str::to_owned).to_vec())
        }
    }
}

/// Starts `program` in a process group of its own, with the desktop's environment and none of ours, to be
/// ended by the kernel when the calling thread ends.
///
/// # Errors
/// [`DemoError::Spawn`].
pub fn spawn(
    program: Program,
    args: &[String],
    place: &Place,
    display: Option<&str>,
    redirect: impl FnOnce(&mut Command),
) -> Result<Child, DemoError> {
    let mut command = Command::new(LEASH.name);
    command.args(["--pdeathsig", "TERM", "--", program.name]).args(args);
    // Ours would lead the programs to another session's buses, settings and files.
    command.env_clear();
    for name in ["PATH", "USER", "LOGNAME", "TZ"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command.envs(place.environment());
    if let Some(display) = display {
        command.env("DISPLAY", display);
    }
    command.process_group(0).current_dir(place.documents());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    redirect(&mut command);
    command.spawn().map_err(|error| DemoError::Spawn { program: program.name, error })
}
