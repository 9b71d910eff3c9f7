//! PostgreSQL on its node.

use crate::network::{Network, Node};
use crate::stage::settle;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

pub struct Database {
    folder: PathBuf,
    server: Option<Child>,
}

fn programs() -> PathBuf {
    let versions =
        std::fs::read_dir("/usr/lib/postgresql").expect("install postgresql: scripts/install.sh test");
    versions.map(|entry| entry.unwrap().path()).max().expect("a version of PostgreSQL").join("bin")
}

/// The server refuses to run as root.
const AS_POSTGRES: [&str; 4] = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"];

impl Database {
    pub fn make(network: &Network, folder: &Path) -> Database {
        let folder = folder.join("database");
        std::fs::create_dir_all(&folder).unwrap();
        assert!(Command::new("chown").arg("postgres:postgres").arg(&folder).status().unwrap().success());
        let data = folder.join("data");
        let mut making = Command::new(AS_POSTGRES[0]);
        making.args(&AS_POSTGRES[1..]).arg(programs().join("initdb"));
        making.args(["--auth=trust", "--username=chevet", "--encoding=UTF8", "--no-sync", "-D"]).arg(&data);
        assert!(making.current_dir(&folder).stdout(Stdio::null()).status().unwrap().success());
        let mut allowed = std::fs::File::options().append(true).open(data.join("pg_hba.conf")).unwrap();
        writeln!(allowed, "host all all 10.77.0.0/24 trust").unwrap();
        let mut database = Database { folder, server: None };
        database.start(network);
        assert!(database.run("postgres", "CREATE DATABASE chevet"));
        database
    }

    pub fn start(&mut self, network: &Network) {
        let mut command = network.command(Node::Database, AS_POSTGRES[0]);
        command
            .args(&AS_POSTGRES[1..])
            .arg(programs().join("postgres"))
            .arg("-D")
            .arg(self.folder.join("data"));
        command.args(["-c", "listen_addresses=*", "-c", "fsync=off", "-k"]).arg(&self.folder);
        command.current_dir(&self.folder).stdout(Stdio::null()).stderr(Stdio::null());
        self.server = Some(command.spawn().unwrap());
        settle("PostgreSQL answers", || (!self.run("postgres", "SELECT 1")).then(String::new));
    }

    /// It goes away, with its connections.
    pub fn stop(&mut self) {
        if let Some(mut server) = self.server.take() {
            crate::program::send(server.id(), "-INT");
            server.wait().unwrap();
        }
    }

    pub fn url(&self) -> String {
        format!("postgres://chevet@{}/chevet", Node::Database.inner().unwrap())
    }

    fn run(&self, database: &str, statement: &str) -> bool {
        let mut psql = Command::new("psql");
        psql.args(["-q", "-U", "chevet", "-h"]).arg(&self.folder).args(["-c", statement, database]);
        psql.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.stop();
    }
}
