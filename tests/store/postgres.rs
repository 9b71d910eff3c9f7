//! A PostgreSQL server of the test's own: Debian's, in a folder that goes with it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

pub struct Postgres {
    folder: PathBuf,
    server: Child,
}

/// Where Debian keeps the server's programs, of the newest version.
fn programs() -> PathBuf {
    let versions =
        std::fs::read_dir("/usr/lib/postgresql").expect("install postgresql: scripts/install.sh test");
    let newest = versions.map(|entry| entry.unwrap().path()).max().expect("a version of PostgreSQL");
    newest.join("bin")
}

/// The server refuses to run as root: as root it is run as `postgres`, whom the package made.
fn command(program: &Path) -> Command {
    if !rustix::process::geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
    command
}

fn launch(folder: &Path) -> Child {
    command(&programs().join("postgres"))
        .arg("-D")
        .arg(folder.join("data"))
        .args(["-c", "listen_addresses=", "-c", "fsync=off", "-k"])
        .arg(folder)
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

impl Postgres {
    pub fn start() -> Postgres {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let (process, number) = (std::process::id(), STARTED.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(format!("chevet-postgres-{process}-{number}"));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        if rustix::process::geteuid().is_root() {
            let owned = Command::new("chown").args(["postgres:postgres"]).arg(&folder).status().unwrap();
            assert!(owned.success());
        }
        let data = folder.join("data");
        let made = command(&programs().join("initdb"))
            .args(["--auth=trust", "--username=chevet", "--encoding=UTF8", "--no-sync", "-D"])
            .arg(&data)
            .current_dir(&folder)
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(made.success(), "initdb failed");
        let server = launch(&folder);
        let postgres = Postgres { folder, server };
        postgres.wait();
        postgres
    }

    fn wait(&self) {
        let end = Instant::now() + Duration::from_secs(30);
        while !self.run("postgres", "SELECT 1") {
            assert!(Instant::now() < end, "PostgreSQL does not answer");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// The server that was stopped is there again, with what it had.
    #[allow(dead_code)]
    pub fn again(&mut self) {
        self.server.wait().unwrap();
        self.server = launch(&self.folder);
        self.wait();
    }

    /// Runs a statement. Whether it worked.
    pub fn run(&self, database: &str, statement: &str) -> bool {
        let mut psql = Command::new("psql");
        psql.args(["-q", "-U", "chevet", "-h"]).arg(&self.folder).args(["-c", statement, database]);
        psql.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success()
    }

    /// The server goes away, with its connections.
    #[allow(dead_code)]
    pub fn stop(&self) {
        if let Some(pid) = rustix::process::Pid::from_raw(self.server.id() as i32) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::INT);
        }
    }

    /// An empty database, as a URL.
    pub fn database(&self, name: &str) -> String {
        assert!(self.run("postgres", &format!("CREATE DATABASE {name}")), "making the database {name}");
        format!("postgres://chevet@localhost/{name}?host={}", self.folder.display())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // SIGINT: a fast shutdown.
        if let Some(pid) = rustix::process::Pid::from_raw(self.server.id() as i32) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::INT);
        }
        let _ = self.server.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
