//! These start the real desktop; `make test` installs its programs.

use super::layout::Role;
use super::*;
use crate::screen::Rect;
use std::os::unix::fs::MetadataExt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use x11rb::connection::Connection;
use x11rb::protocol::randr::{self, ConnectionExt as _};
use x11rb::protocol::xproto::ConnectionExt as _;
use x11rb::rust_connection::{DefaultStream, RustConnection};

/// A start sweeps what killed owners have left; so only one test at a time starts a desktop.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

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
    let _alone = alone();
    let desktop = DemoDesktop::start(1280, 800).unwrap();
    let folder = desktop.xauthority().parent().unwrap().to_owned();
    let socket = socket(&desktop);
    // Another server may take the number as soon as it is free.
    let identity = || std::fs::metadata(&socket).and_then(|file| Ok((file.ino(), file.modified()?))).ok();
    let before = identity();

    assert!(connect(&desktop, &[0; 16]).is_err(), "a wrong cookie must be refused");
    let connection = connect(&desktop, desktop.cookie()).unwrap();
    let screen = &connection.setup().roots[0];
    assert_eq!((screen.width_in_pixels, screen.height_in_pixels), (1280, 800));
    let shown =
        frames(&connection).into_iter().filter(|frame| frame.width > 200 && frame.height > 150).count();
    assert!(shown >= 4, "{shown} windows");
    for program in ["Xtigervnc", "openbox", "netsurf-gtk", "viewnior", "l3afpad", "xterm"] {
        assert!(processes_of(&folder).iter().any(|name| name == program), "{program} is not running");
    }
    drop(connection);

    desktop.stop();
    assert_eq!(processes_of(&folder), Vec::<String>::new());
    assert!(!folder.exists());
    assert!(before.is_some() && identity() != before, "the display's socket is still there");
}

/// The places of the root window's children, their borders included.
fn frames(connection: &RustConnection) -> Vec<Rect> {
    let root = connection.setup().roots[0].root;
    let children = connection.query_tree(root).unwrap().reply().unwrap().children;
    let geometries = children.iter().filter_map(|child| connection.get_geometry(*child).ok()?.reply().ok());
    geometries
        .filter(|frame| frame.x >= 0 && frame.y >= 0)
        .map(|frame| {
            let border = 2 * frame.border_width;
            let (width, height) = (frame.width + border, frame.height + border);
            Rect::new(frame.x as u32, frame.y as u32, width.into(), height.into())
        })
        .collect()
}

#[test]
fn windows_take_their_places_again_when_the_screen_grows() {
    let _alone = alone();
    let desktop = DemoDesktop::start(800, 600).unwrap();
    let connection = connect(&desktop, desktop.cookie()).unwrap();
    let root = connection.setup().roots[0].root;
    let resources = connection.randr_get_screen_resources(root).unwrap().reply().unwrap();
    let (off, time) = (randr::Rotation::ROTATE0, resources.config_timestamp);
    connection
        .randr_set_crtc_config(resources.crtcs[0], 0, time, 0, 0, 0, off, &[])
        .unwrap()
        .reply()
        .unwrap();
    connection.randr_set_screen_size(root, 1500, 1000, 400, 260).unwrap().check().unwrap();

    // A terminal is a whole number of characters wide and high; every other window fills its place.
    let expected = [Role::Record, Role::Picture, Role::Notes].map(|role| layout::place(role, 1500, 1000));
    let deadline = Instant::now() + Duration::from_secs(20);
    while !expected.iter().all(|place| frames(&connection).contains(place)) {
        assert!(Instant::now() < deadline, "{:?} are not among {:?}", expected, frames(&connection));
        std::thread::sleep(Duration::from_millis(50));
    }
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
    let _alone = alone();
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
