//! A real realm: MIT's KDC with a database of its own, and hosts that take its tickets (Debian packages krb5-kdc,
//! krb5-admin-server, python3-gssapi).

use crate::peers::{Folder, Running, Xrdp, certificate, free_port, wait_for_port};
use crate::server::spawn;
use chevet::source::rdp::KerberosSettings;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

pub const REALM: &str = "CLINIC.EXAMPLE";

/// The KDC of CLINIC.EXAMPLE. It knows nurse (the password is `right`) and the service principal TERMSRV/localhost.
pub struct Realm {
    server: Option<Running>,
    folder: Folder,
    clock: String,
    pub port: u16,
}

impl Realm {
    pub fn start() -> Realm {
        let mut realm = Realm::stopped();
        realm.run();
        realm
    }

    /// Its clock goes so far before or behind the machine's.
    pub fn start_with_clock(clock: &str) -> Realm {
        let mut realm = Realm { clock: clock.into(), ..Realm::stopped() };
        realm.run();
        realm
    }

    /// With everything in its database, but not running.
    pub fn stopped() -> Realm {
        let port = free_port();
        let folder = Folder::new(&format!("realm-{port}"));
        let path = folder.path().display();
        folder.write(
            "krb5.conf",
            &format!(
                "[libdefaults]\ndefault_realm = {REALM}\ndns_lookup_kdc = false\nrdns = false\n\
                 [realms]\n{REALM} = {{\nkdc = 127.0.0.1:{port}\n}}\n[logging]\nkdc = FILE:{path}/kdc.log\n"
            ),
        );
        folder.write(
            "kdc.conf",
            &format!(
                "[realms]\n{REALM} = {{\ndatabase_name = {path}/principal\nkey_stash_file = {path}/stash\n\
                 kdc_listen = \"\"\nkdc_tcp_listen = 127.0.0.1:{port}\n\
                 supported_enctypes = aes256-cts-hmac-sha1-96:normal aes128-cts-hmac-sha1-96:normal\n}}\n"
            ),
        );
        let realm = Realm { server: None, folder, clock: "+0".into(), port };
        let mut create = realm.command("kdb5_util");
        create.args(["-r", REALM, "create", "-s", "-P", "master"]);
        done(&mut create, "krb5-kdc");
        realm.add("nurse", "+requires_preauth -pw right");
        realm.add("TERMSRV/localhost", "-randkey");
        realm
    }

    pub fn run(&mut self) {
        let mut command = self.command("krb5kdc");
        command.args(["-n", "-r", REALM, "-P"]).arg(self.folder.path().join("kdc.pid"));
        command.stdout(Stdio::null()).stderr(Stdio::null());
        with_clock(&mut command, &self.clock);
        self.server = Some(Running::start(&mut command, "krb5-kdc"));
        wait_for_port(self.port);
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(Path::new("/usr/sbin").join(program));
        command.env("KRB5_CONFIG", self.folder.path().join("krb5.conf"));
        command.env("KRB5_KDC_PROFILE", self.folder.path().join("kdc.conf"));
        command
    }

    /// One order of kadmin's.
    pub fn order(&self, order: &str) {
        let mut command = self.command("kadmin.local");
        command.args(["-r", REALM, "-q", order]);
        done(&mut command, "krb5-admin-server");
    }

    pub fn add(&self, principal: &str, options: &str) {
        self.order(&format!("addprinc {options} {principal}"));
    }

    /// The key of the service principal as it is now, for a host.
    pub fn keytab(&self, name: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        self.order(&format!("ktadd -k {} -norandkey TERMSRV/localhost", path.display()));
        path
    }

    pub fn settings(&self) -> KerberosSettings {
        settings(self.port)
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("kdc.log")).unwrap_or_default()
    }
}

pub fn settings(port: u16) -> KerberosSettings {
    KerberosSettings { realm: REALM.into(), kdc: format!("127.0.0.1:{port}"), ntlm: false }
}

/// Debian's libfaketime says another time to a program.
fn with_clock(command: &mut Command, clock: &str) {
    if clock != "+0" {
        let library = format!("/usr/lib/{}-linux-gnu/faketime/libfaketimeMT.so.1", std::env::consts::ARCH);
        assert!(
            Path::new(&library).exists(),
            "{library} is not there: install the Debian package libfaketime"
        );
        command.env("LD_PRELOAD", library).env("FAKETIME", clock).env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    }
}

fn done(command: &mut Command, package: &str) {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let output = spawn(command, package).wait_with_output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A host that takes tickets alone (MIT's GSSAPI accepts them), and shows what an xrdp behind it does.
pub struct Host {
    _server: Running,
    _folder: Folder,
    told: Receiver<serde_json::Value>,
    pub port: u16,
}

impl Host {
    pub fn start(keytab: &Path, behind: &Xrdp) -> Host {
        Host::launch("+0", keytab, behind, &[])
    }

    pub fn start_with_clock(clock: &str, keytab: &Path, behind: &Xrdp) -> Host {
        Host::launch(clock, keytab, behind, &[])
    }

    pub fn start_with(keytab: &Path, behind: &Xrdp, options: &[&str]) -> Host {
        Host::launch("+0", keytab, behind, options)
    }

    fn launch(clock: &str, keytab: &Path, behind: &Xrdp, options: &[&str]) -> Host {
        let port = free_port();
        let folder = Folder::new(&format!("kerberos-{port}"));
        certificate(folder.path());
        let mut command = Command::new("/usr/bin/python3");
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rdp/kerberos_host.py"));
        command.args([port.to_string(), behind.port.to_string()]).args(["cert.pem", "key.pem"]).args(options);
        command.current_dir(folder.path()).env("KRB5_KTNAME", keytab).env("KRB5RCACHENAME", "none:");
        command.env("KRB5_CONFIG", keytab.with_file_name("krb5.conf"));
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        with_clock(&mut command, clock);
        let mut child = spawn(&mut command, "python3-gssapi");
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let server = Running::of(child);
        let (sender, told) = channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if sender.send(serde_json::from_str(&line).unwrap()).is_err() {
                    return;
                }
            }
        });
        let host = Host { _server: server, _folder: folder, told, port };
        host.told();
        host
    }

    /// The next that it tells of.
    pub fn told(&self) -> serde_json::Value {
        self.told.recv_timeout(Duration::from_secs(30)).expect("the host (python3-gssapi) tells nothing")
    }

    /// What it has told of besides.
    pub fn rest(&self) -> Vec<serde_json::Value> {
        self.told.try_iter().collect()
    }
}
