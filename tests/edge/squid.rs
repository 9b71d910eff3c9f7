//! Debian's squid as the HTTP proxy of somebody's network: it alone knows the edge's name, and lets in who has a password.

use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A name that is this machine's to the proxy, and nobody's to anybody else.
pub const NAME: &str = "edge.clinic.example";
pub const USER: &str = "anne";
pub const PASSWORD: &str = "s:cret pass";
/// A port that the proxy connects nobody to.
pub const SHUT: u16 = 9;

const PATIENCE: Duration = Duration::from_secs(30);

pub struct Squid {
    child: Child,
    pub port: u16,
    folder: PathBuf,
}

impl Squid {
    /// Starts one with its files in this folder. `asks`: who comes has to say who they are.
    pub fn start(folder: &Path, asks: bool) -> Squid {
        let squid = Path::new("/usr/sbin/squid");
        assert!(squid.exists(), "squid is missing: install the Debian package squid");
        let folder = folder.join("squid");
        std::fs::create_dir_all(&folder).unwrap();
        // Started by root it works as another user.
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o777)).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let place = folder.to_str().unwrap();
        std::fs::write(folder.join("hosts"), format!("127.0.0.1 {NAME}\n")).unwrap();
        let hashed = Command::new("openssl").args(["passwd", "-apr1", PASSWORD]).output().unwrap();
        let hashed = String::from_utf8(hashed.stdout).unwrap();
        std::fs::write(folder.join("users"), format!("{USER}:{hashed}")).unwrap();
        let users = match asks {
            true => format!(
                "auth_param basic program /usr/lib/squid/basic_ncsa_auth {place}/users\n\
                 acl known proxy_auth REQUIRED\nhttp_access allow known\nhttp_access deny all\n"
            ),
            false => "http_access allow all\n".to_owned(),
        };
        let config = format!(
            "http_port 127.0.0.1:{port}\npid_filename none\naccess_log stdio:{place}/access.log\n\
             cache_log {place}/cache.log\ncache deny all\nhosts_file {place}/hosts\ncoredump_dir {place}\n\
             shutdown_lifetime 0 seconds\nacl shut port {SHUT}\nhttp_access deny shut\n{users}"
        );
        std::fs::write(folder.join("squid.conf"), config).unwrap();
        let mut command = Command::new(squid);
        command.args(["-N", "-f"]).arg(folder.join("squid.conf"));
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let squid = Squid { child, port, folder };
        let end = Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let said = || std::fs::read_to_string(squid.folder.join("cache.log")).unwrap_or_default();
            assert!(Instant::now() < end, "squid does not listen; it said:\n{}", said());
            std::thread::sleep(Duration::from_millis(50));
        }
        squid
    }

    /// Connections that it has brought through, and that have ended, as its log has them.
    pub fn brought(&self) -> Vec<String> {
        let log = std::fs::read_to_string(self.folder.join("access.log")).unwrap_or_default();
        log.lines().filter(|line| line.contains("TCP_TUNNEL/200 ")).map(str::to_owned).collect()
    }
}

impl Drop for Squid {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
