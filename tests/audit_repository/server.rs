//! Debian's rsyslog as an audit repository: syslog over TLS with certificates made here, everything into one file.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// A folder that goes with its owner.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> Folder {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("chevet-repository-{}-{number}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Whether a client must show a certificate of the authority.
#[derive(Clone, Copy, PartialEq)]
pub enum Clients {
    Anybody,
    Certified,
}

/// An rsyslog that can be killed and started again. It ends with its owner.
pub struct Server {
    pub folder: Folder,
    pub port: u16,
    child: Option<Child>,
}

impl Server {
    /// Certificates and configuration; started by [`Server::start`].
    pub fn new(clients: Clients) -> Server {
        Server::with_versions(clients, "NORMAL")
    }

    /// With the versions of TLS that GnuTLS's priority string allows.
    pub fn with_versions(clients: Clients, versions: &str) -> Server {
        let folder = Folder::new();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        certificates(&folder);
        let authentication = match clients {
            Clients::Anybody => "anon",
            Clients::Certified => "x509/certvalid",
        };
        let text = format!(
            r#"global(workDirectory="{folder}" maxMessageSize="64k" defaultNetstreamDriver="gtls"
  defaultNetstreamDriverCAFile="{folder}/ca.pem" defaultNetstreamDriverCertFile="{folder}/server.pem"
  defaultNetstreamDriverKeyFile="{folder}/server-key.pem")
module(load="imtcp" streamDriver.name="gtls" streamDriver.mode="1" streamDriver.authMode="{authentication}"
  gnutlsPriorityString="{versions}")
template(name="whole" type="string" string="%rawmsg%\n")
ruleset(name="all") {{ action(type="omfile" file="{folder}/received" template="whole") }}
input(type="imtcp" port="{port}" address="127.0.0.1" ruleset="all")
"#,
            folder = folder.0.display()
        );
        std::fs::write(folder.file("rsyslog.conf"), text).unwrap();
        Server { folder, port, child: None }
    }

    pub fn start(&mut self) {
        let log = std::fs::File::create(self.folder.file("log")).unwrap();
        let config = self.folder.file("rsyslog.conf");
        let child = Command::new("/usr/sbin/rsyslogd")
            .args(["-n", "-iNONE", "-f", config.to_str().unwrap()])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("rsyslogd: install the packages that scripts/install.sh has under `test`");
        self.child = Some(child);
        settle("rsyslog listens", || {
            std::net::TcpStream::connect(("127.0.0.1", self.port)).err().map(|error| error.to_string())
        });
    }

    /// It dies without a word.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// The messages that it has received, whole.
    pub fn received(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.folder.file("received")).unwrap_or_default();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(ToOwned::to_owned).collect()
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.file("log")).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("--- rsyslog\n{}", self.log());
        }
    }
}

fn certificates(folder: &Folder) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    std::fs::write(folder.file("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
    let authority = Issuer::new(params, key);
    for (name, subject) in [("server", "localhost"), ("client", "gateway.example")] {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![subject.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &authority).unwrap();
        std::fs::write(folder.file(&format!("{name}.pem")), certificate.pem()).unwrap();
        write_key(&folder.file(&format!("{name}-key.pem")), &key);
    }
}

fn write_key(path: &Path, key: &KeyPair) {
    std::fs::write(path, key.serialize_pem()).unwrap();
}

/// Tries until there is nothing left to complain about; fails with the last complaint.
pub fn settle(what: &str, mut complaint: impl FnMut() -> Option<String>) {
    let end = Instant::now() + Duration::from_secs(30);
    while let Some(text) = complaint() {
        assert!(Instant::now() < end, "{what}: {text}");
        std::thread::sleep(Duration::from_millis(30));
    }
}
