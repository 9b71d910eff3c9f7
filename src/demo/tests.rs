//! These start the real desktop; `make test` installs its programs.

use super::*;
use std::time::{Duration, Instant};
use x11rb::connection::Connection;
use x11rb::protocol::xproto::ConnectionExt;
use x11rb::rust_connection::{DefaultStream, RustConnection};

fn socket(desktop: &DemoDesktop) -> PathBuf {
    format!("/tmp/.X11-unix/X{}", desktop.display().trim_start_matches(':')).into()
}

fn connect(desktop: &DemoDesktop, cookie: &[u8]) -> Result<RustConnection, String> {
    let stream = std::os::unix::net::UnixStream::connect(socket(desktop)).unwrap();
    let (stream, _) = DefaultStream::from_unix_stream(stream).unwrap();
    RustConnection::connect_to_stream_with_auth_info(
        stream,
        0,
        b"MIT-MAGIC-COOKIE-1".to_vec(),
        cookie.to_vec(),
    )
    .map_err(|error| error.to_string())
}

/// The processes whose environment names this desktop's folder: all of them inherit it.
fn processes_of(folder: &Path) -> Vec<String> {
    let mark = folder.to_str().unwrap().as_bytes().to_vec();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
        if environment.windows(mark.len()).any(|window| window == mark) {
            found.push(
                std::fs::read_to_string(entry.path().join("comm")).unwrap_or_default().trim().to_owned(),
            );
        }
    }
    found
}

#[test]
fn a_desktop_shows_its_windows_to_the_holder_of_its_cookie_only_and_leaves_nothing_behind() {
    let desktop = DemoDesktop::start(1280, 800).unwrap();
    let folder = desktop.xauthority().parent().unwrap().to_owned();
    let socket = socket(&desktop);

    assert!(connect(&desktop, &[0; 16]).is_err(), "a wrong cookie must be refused");
    let connection = connect(&desktop, desktop.cookie()).unwrap();
    let screen = &connection.setup().roots[0];
    assert_eq!((screen.width_in_pixels, screen.height_in_pixels), (1280, 800));
    // Four frames of the window manager's at least, beside its own helper windows.
    let children = connection.query_tree(screen.root).unwrap().reply().unwrap().children;
    let shown = children
        .iter()
        .filter(|window| {
            let geometry = connection.get_geometry(**window).unwrap().reply().unwrap();
            geometry.width > 200 && geometry.height > 200
        })
        .count();
    assert!(shown >= 4, "{shown} windows");
    for program in ["Xtigervnc", "openbox", "netsurf-gtk", "viewnior", "l3afpad", "xterm"] {
        assert!(processes_of(&folder).iter().any(|name| name == program), "{program} is not running");
    }
    drop(connection);

    desktop.stop();
    assert_eq!(processes_of(&folder), Vec::<String>::new());
    assert!(!folder.exists());
    assert!(!socket.exists());
}

#[test]
fn a_screen_of_no_sensible_size_is_refused() {
    assert!(matches!(DemoDesktop::start(0, 800), Err(DemoError::Size { .. })));
    assert!(matches!(DemoDesktop::start(1280, 40_000), Err(DemoError::Size { .. })));
}

/// Run by the test below in a process of its own, which is then killed.
#[test]
#[ignore = "waits to be killed; the next test starts it"]
fn a_desktop_that_waits_to_be_killed() {
    let desktop = DemoDesktop::start(800, 600).unwrap();
    println!("FOLDER={}", desktop.xauthority().parent().unwrap().display());
    std::thread::sleep(Duration::from_secs(120));
}

#[test]
fn a_killed_owner_leaves_no_process_and_the_next_start_sweeps_its_folder() {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};
    let mut owner = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", "demo::tests::a_desktop_that_waits_to_be_killed"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(owner.stdout.take().unwrap()).lines();
    let folder = lines
        .map_while(Result::ok)
        .find_map(|line| line.split_once("FOLDER=").map(|(_, path)| PathBuf::from(path)));
    let folder = folder.unwrap();
    assert!(!processes_of(&folder).is_empty());
    owner.kill().unwrap();
    owner.wait().unwrap();

    let deadline = Instant::now() + Duration::from_secs(20);
    while !processes_of(&folder).is_empty() {
        assert!(Instant::now() < deadline, "still running: {:?}", processes_of(&folder));
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(folder.exists(), "a killed process cannot have removed its folder");
    DemoDesktop::start(800, 600).unwrap().stop();
    assert!(!folder.exists());
}
