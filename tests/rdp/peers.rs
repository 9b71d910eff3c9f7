//! Real RDP servers, started and stopped by the tests: xrdp in front of Xtigervnc, and FreeRDP's shadow of an Xvfb.

use crate::server::spawn;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};
use x11rb::connection::Connection;
use x11rb::protocol::xproto::{ConnectionExt as _, ImageFormat};
use x11rb::rust_connection::RustConnection;

/// A program that ends with the test.
pub struct Running(Child);

impl Running {
    pub fn start(command: &mut Command, package: &str) -> Running {
        Running(spawn(command.stdin(Stdio::null()), package))
    }

    pub fn of(child: Child) -> Running {
        Running(child)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

pub fn wait_for_port(port: u16) {
    let end = Instant::now() + Duration::from_secs(20);
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < end, "nothing listens on port {port}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A folder of the test's own.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("chevet-rdp-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// An X server of TigerVNC's, which xrdp shows.
pub struct Desktop {
    _server: Running,
    pub display: String,
    rfb_port: u16,
}

impl Desktop {
    pub fn start(width: u32, height: u32) -> Desktop {
        let rfb_port = free_port();
        let mut command = Command::new("Xtigervnc");
        command.args(["-displayfd", "1", "-noreset", "-SecurityTypes", "None", "-localhost", "-depth", "24"]);
        command.args(["-geometry", &format!("{width}x{height}"), "-rfbport", &rfb_port.to_string()]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = spawn(&mut command, "tigervnc-standalone-server");
        let mut number = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut number).unwrap();
        assert!(!number.trim().is_empty(), "Xtigervnc ended before it was ready");
        Desktop { _server: Running(child), display: format!(":{}", number.trim()), rfb_port }
    }
}

/// An Xorg of xorgxrdp's, as xrdp's session manager starts one.
pub struct XorgSession {
    _server: Running,
    folder: Folder,
    pub display: String,
}

impl XorgSession {
    pub fn start(width: u32, height: u32) -> XorgSession {
        // The driver names its socket after the display before Xorg could have chosen one.
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let first = 500 + std::process::id() % 100 * 10;
        let taken = |number: &u32| Path::new(&format!("/tmp/.X11-unix/X{number}")).exists();
        let mut tried = std::iter::repeat_with(|| first + NEXT.fetch_add(1, Ordering::Relaxed));
        let number = tried.find(|number| !taken(number)).unwrap();
        let folder = Folder::new(&format!("xorg-{number}"));
        let mut command = Command::new("Xorg");
        command.arg(format!(":{number}"));
        command.args(["-config", "xrdp/xorg.conf", "-noreset", "-nolisten", "tcp", "-logfile"]);
        command.arg(folder.path().join("xorg.log")).env("XRDP_SOCKET_PATH", folder.path());
        command.env("XRDP_START_WIDTH", width.to_string()).env("XRDP_START_HEIGHT", height.to_string());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let server = Running::start(&mut command, "xorgxrdp");
        let session = XorgSession { _server: server, folder, display: format!(":{number}") };
        let end = Instant::now() + Duration::from_secs(20);
        while !session.socket().exists() || x11rb::connect(Some(&session.display)).is_err() {
            assert!(Instant::now() < end, "Xorg with xorgxrdp makes no {:?}", session.socket());
            std::thread::sleep(Duration::from_millis(20));
        }
        session
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join(format!("xrdp_display_{}", self.display.trim_start_matches(':')))
    }
}

/// What a program of a display pastes; nothing if there is nothing of that kind.
pub fn paste(display: &str, target: &str) -> Vec<u8> {
    let mut command = Command::new("timeout");
    command.args(["5", "xclip", "-selection", "clipboard", "-o", "-target", target]).env("DISPLAY", display);
    command.stdin(Stdio::null()).output().unwrap().stdout
}

impl Desktop {
    /// Some program there owns the clipboard with this text, for as long as it lives.
    pub fn copy(&self, text: &str) -> Running {
        let mut command = Command::new("xclip");
        command.args(["-selection", "clipboard", "-quiet"]).env("DISPLAY", &self.display);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = spawn(&mut command, "xclip");
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        Running(child)
    }

    pub fn paste(&self) -> String {
        String::from_utf8_lossy(&paste(&self.display, "UTF8_STRING")).into_owned()
    }

    pub fn set_cursor(&self, name: &str) {
        let mut command = Command::new("xsetroot");
        command.args(["-cursor_name", name]).env("DISPLAY", &self.display);
        assert!(spawn(&mut command, "x11-xserver-utils").wait().unwrap().success());
    }
}

/// xrdp on a port of loopback. It shows the desktop to anybody, whatever the password.
pub struct Xrdp {
    server: Option<Running>,
    folder: Folder,
    pub port: u16,
}

impl Xrdp {
    pub fn start(desktop: &Desktop) -> Xrdp {
        Xrdp::start_with(desktop, "", "")
    }

    /// With the channels of `channels`, which play what programs there do.
    pub fn start_with_sound(desktop: &Desktop, channels: &Channels) -> Xrdp {
        Xrdp::start_with(desktop, "rdpsnd=true\n", &format!("chansrvport=DISPLAY({})\n", channels.display))
    }

    fn start_with(desktop: &Desktop, channels: &str, shown: &str) -> Xrdp {
        let port = desktop.rfb_port;
        Xrdp::start_before(
            channels,
            &format!("lib=libvnc.so\nip=127.0.0.1\nport={port}\nusername=na\npassword=none\n{shown}"),
        )
    }

    /// It shows a session of Xorg's by its driver for that, xorgxrdp, as its session manager would have it.
    pub fn start_before_xorg(session: &XorgSession) -> Xrdp {
        Xrdp::start_xorg_with(session, "", "")
    }

    /// The same, with the channel server of that session.
    pub fn start_before_xorg_and(session: &XorgSession, channels: &Channels) -> Xrdp {
        let chansrv = format!("chansrvport=DISPLAY({})\n", channels.display);
        Xrdp::start_xorg_with(session, "rail=true\n", &chansrv)
    }

    fn start_xorg_with(session: &XorgSession, channels: &str, shown: &str) -> Xrdp {
        let socket = session.socket();
        Xrdp::start_before(
            channels,
            &format!(
                "lib=libxup.so\nip=127.0.0.1\nport={}\ncode=20\nusername=na\npassword=none\n{shown}",
                socket.display()
            ),
        )
    }

    fn start_before(channels: &str, shown: &str) -> Xrdp {
        let port = free_port();
        let folder = Folder::new(&format!("xrdp-{port}"));
        certificate(folder.path());
        let path = folder.path().display();
        let ini = format!(
            "[Globals]\nini_version=1\nfork=false\nport=tcp://127.0.0.1:{port}\ntcp_nodelay=true\nsecurity_layer=tls\n\
             certificate={path}/cert.pem\nkey_file={path}/key.pem\nautorun=shown\n\
             allow_channels=true\nallow_multimon=true\n\
             bitmap_cache=true\nbitmap_compression=true\nbulk_compression=true\nmax_bpp=32\nnew_cursors=true\n\
             use_fastpath=both\n[Logging]\nLogFile={path}/xrdp.log\nLogLevel=DEBUG\nEnableSyslog=false\n[Channels]\n\
             drdynvc=true\ncliprdr=true\n{channels}[shown]\nname=shown\n{shown}"
        );
        folder.write("xrdp.ini", &ini);
        let mut xrdp = Xrdp { server: None, folder, port };
        xrdp.restart();
        xrdp
    }

    /// Kills it, if it runs, and starts it again on the same port.
    pub fn restart(&mut self) {
        self.stop();
        let mut command = Command::new("xrdp");
        command.arg("-n").arg("-c").arg(self.folder.path().join("xrdp.ini"));
        command.stdout(Stdio::null()).stderr(Stdio::null());
        self.server = Some(Running::start(&mut command, "xrdp"));
        wait_for_port(self.port);
    }

    pub fn stop(&mut self) {
        self.server = None;
    }

    /// Another certificate, as after a host was set up anew or replaced.
    pub fn change_certificate(&self) {
        certificate(self.folder.path());
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("xrdp.log")).unwrap_or_default()
    }
}

/// xrdp's channel server beside a desktop: what plays there writes its samples to its socket, as PulseAudio's sink for xrdp does.
pub struct Channels {
    server: Running,
    folder: Folder,
    display: String,
}

impl Channels {
    pub fn start(shown: &str) -> Channels {
        let display = shown.trim_start_matches(':').to_owned();
        let folder = Folder::new(&format!("channels-{display}"));
        // Where Debian's looks for its sockets; its service makes the folder when it is started.
        let _ = std::fs::create_dir_all(SOCKETS);
        let mut command = Command::new("xrdp-chansrv");
        command.env("DISPLAY", shown).env("HOME", folder.path()).env_remove("XDG_DATA_HOME");
        command.stdout(Stdio::null()).stderr(Stdio::null());
        // What a killed one left behind answers nobody.
        let socket = |name: &str| Path::new(SOCKETS).join(format!("xrdp_chansrv_{name}_{display}"));
        for name in ["socket", "audio_out_socket", "audio_in_socket"] {
            let _ = std::fs::remove_file(socket(name));
        }
        let server = Running::start(&mut command, "xrdp");
        // xrdp does not try for long.
        let end = Instant::now() + Duration::from_secs(20);
        while !socket("socket").exists() {
            assert!(Instant::now() < end, "xrdp-chansrv makes no socket in {SOCKETS}");
            std::thread::sleep(Duration::from_millis(20));
        }
        Channels { server, folder, display }
    }

    /// A program that plays a tone from when a client is there until it is dropped, as loud left as right.
    pub fn play(&self, hertz: f64) -> Player {
        let path = Path::new(SOCKETS).join(format!("xrdp_chansrv_audio_out_socket_{}", self.display));
        let end = Instant::now() + Duration::from_secs(20);
        let socket = loop {
            match UnixStream::connect(&path) {
                Ok(socket) => break socket,
                Err(error) => assert!(Instant::now() < end, "nobody takes sound at {path:?}: {error}"),
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        let playing = Arc::new(AtomicBool::new(true));
        let goes_on = playing.clone();
        std::thread::spawn(move || play(socket, hertz, &goes_on));
        Player(playing)
    }
}

impl Drop for Channels {
    /// It mounts a file system for its client's drives, which must not outlast it.
    fn drop(&mut self) {
        let _ = self.server.0.kill();
        let _ = self.server.0.wait();
        let mounted = self.folder.path().join("thinclient_drives");
        for unmount in [&["umount", "-l"][..], &["fusermount", "-uz"], &["fusermount3", "-uz"]] {
            let mut command = Command::new(unmount[0]);
            command.args(&unmount[1..]).arg(&mounted).stdout(Stdio::null()).stderr(Stdio::null());
            if command.status().is_ok_and(|status| status.success()) {
                return;
            }
        }
    }
}

const SOCKETS: &str = "/run/xrdp/sockdir";

pub struct Player(Arc<AtomicBool>);

impl Drop for Player {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// Messages are a kind (0: samples, 1: an end) and a length, which counts these eight bytes too; samples are of 44,100 Hz.
fn play(mut socket: UnixStream, hertz: f64, goes_on: &AtomicBool) {
    const AT_ONCE: u64 = 2_205;
    let begun = Instant::now();
    let mut played = 0_u64;
    while goes_on.load(Ordering::Relaxed) {
        let sample =
            |at: u64| ((at as f64 / 44_100.0 * hertz * std::f64::consts::TAU).sin() * 8_000.0) as i16;
        let samples: Vec<u8> =
            (played..played + AT_ONCE).flat_map(|at| [sample(at); 2]).flat_map(i16::to_le_bytes).collect();
        let head = [0_u32.to_le_bytes(), (samples.len() as u32 + 8).to_le_bytes()].concat();
        if socket.write_all(&[head, samples].concat()).is_err() {
            return;
        }
        played += AT_ONCE;
        // As fast as it is heard.
        let due = begun + Duration::from_micros(played * 1_000_000 / 44_100);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    let _ = socket.write_all(&[1_u32.to_le_bytes(), 8_u32.to_le_bytes()].concat());
}

/// A key and a certificate of RSA, as RDP hosts make them.
pub fn certificate(folder: &Path) {
    let mut command = Command::new("openssl");
    command.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]);
    command.args(["-addext", "subjectAltName=DNS:localhost", "-keyout", "key.pem", "-out", "cert.pem"]);
    command.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    assert!(spawn(&mut command, "openssl").wait().unwrap().success());
}

/// FreeRDP's shadow of an X display, with network level authentication: the user is `nurse`, the password `right`.
pub struct Shadow {
    _server: Running,
    _folder: Folder,
    pub port: u16,
}

impl Shadow {
    pub fn start(display: &str) -> Shadow {
        // The NT hash of "right".
        Shadow::start_for(display, "nurse:::fff1399e403bf6c698c9f38e19a3c196:::\n")
    }

    /// For these users: a line each, with the NT hash of the password.
    pub fn start_for(display: &str, users: &str) -> Shadow {
        let port = free_port();
        let folder = Folder::new(&format!("shadow-{port}"));
        let sam = folder.write("sam", users);
        let mut command = Command::new("freerdp-shadow-cli");
        command.args([&format!("/port:{port}"), "/bind-address:127.0.0.1", "/sec:nla", "+auth"]);
        command.arg(format!("/sam-file:{}", sam.display()));
        command.env("DISPLAY", display).env("HOME", folder.path());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let server = Running::start(&mut command, "freerdp2-shadow-x11");
        wait_for_port(port);
        Shadow { _server: server, _folder: folder, port }
    }
}

/// What an X server shows: its own word for it.
pub fn screen(display: &str) -> (u32, u32, Vec<u32>) {
    let (client, number) = RustConnection::connect(Some(display)).unwrap();
    let root = client.setup().roots[number].root;
    let size = client.get_geometry(root).unwrap().reply().unwrap();
    let image = client.get_image(ImageFormat::Z_PIXMAP, root, 0, 0, size.width, size.height, !0);
    let data = image.unwrap().reply().unwrap().data;
    let (quads, _) = data.as_chunks::<4>();
    let pixels = quads.iter().map(|&quad| u32::from_le_bytes(quad) & 0x00ff_ffff).collect();
    (size.width.into(), size.height.into(), pixels)
}
