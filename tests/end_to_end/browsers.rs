//! The page in real browsers: pixels read back from its canvas, keys that reach a real program.

use crate::browser::{BROWSERS, Browser};
use crate::chevet::Gateway;
use crate::drawing::{Drawing, draw_for, picture_of};
use crate::drawing_time;
use crate::film::{self, Film};
use crate::lanes::{alone, beside};
use crate::server::{Program, Server};
use crate::terminal::Terminal;
use crate::viewer::{Row, rows};
use serde_json::{Value, json};
use std::time::Duration;
use x11rb::connection::Connection;
use x11rb::protocol::xproto::ConnectionExt as _;

/// Draws while a browser looks on, and compares when it says that it is exact.
fn watch_drawing(browser: &str, environment: &[(&str, &str)]) {
    let _beside = beside();
    let server = Server::start(Program::Tigervnc, 1024, 768, 24);
    let gateway = Gateway::start(&[("desk", &server.display)]);
    gateway.wait_live("desk");
    let time = drawing_time(4);
    let hold = (time.as_secs() + 2).to_string();
    let scenario = ["hold", &hold, "{folder}/pixels"];
    let mut browser = Browser::start(browser, &gateway.page("desk"), &scenario, environment);
    browser.step("shown");
    draw_for(&server.display, time, 71);
    expect_exact_after(&mut browser, &server);
}

/// The browser has held its session: it says that it is exact, and it is.
fn expect_exact_after(browser: &mut Browser, server: &Server) {
    let held = browser.step("held");
    println!("{held}");
    assert_eq!(held["exactness"], "exact", "the page does not know that it is exact");
    browser.expect_exact(&server.display);
}

#[test]
fn browsers_come_back_by_themselves_after_the_gateway_was_killed_while_a_program_drew() {
    let _beside = beside();
    let server = Server::start(Program::Tigervnc, 1024, 768, 24);
    let mut gateway = Gateway::start(&[("desk", &server.display)]);
    for (name, ..) in BROWSERS {
        gateway.wait_live("desk");
        let scenario = ["hold", "10", "{folder}/pixels"];
        let mut browser = Browser::start(name, &gateway.page("desk"), &scenario, &[]);
        browser.step("shown");
        let drawing = Drawing::start(&server.display, 72);
        std::thread::sleep(Duration::from_secs(1));
        gateway.program.kill();
        std::thread::sleep(Duration::from_millis(700));
        gateway.restart();
        std::thread::sleep(Duration::from_secs(1));
        drawing.rest();
        expect_exact_after(&mut browser, &server);
    }
}

#[test]
fn the_canvas_in_chromium_shows_what_the_x_server_shows() {
    watch_drawing("chromium", &[]);
}

#[test]
fn the_canvas_in_chromium_without_webtransport_shows_what_the_x_server_shows() {
    watch_drawing("chromium", &[("CHEVET_WEBTRANSPORT", "off")]);
}

#[test]
fn the_canvas_in_firefox_shows_what_the_x_server_shows() {
    watch_drawing("firefox", &[]);
}

/// Plays a film while a browser looks on: beside it, and once it rests, the canvas is exact. Gives what the page said of
/// itself while it played, and how well it showed the film.
fn watch_film(browser: &str, policy: &str, environment: &[(&str, &str)]) -> (Value, f64) {
    let _alone = alone();
    let server = Server::start(Program::Tigervnc, 1024, 768, 24);
    let gateway = Gateway::start_under(policy, &[("desk", &server.display)]);
    gateway.wait_live("desk");
    let film = Film::start(&server.display);
    let scenario = ["film", "5", "{folder}/playing", "{folder}/pixels"];
    let mut browser = Browser::start(browser, &gateway.page("desk"), &scenario, environment);
    let playing = browser.step("playing");
    println!("{playing}");
    assert_eq!(playing["policy"], policy);
    let canvas = browser.pixels();
    let quality = film::quality(&canvas, film.shown());
    println!("{quality:.1} dB");
    let screen = picture_of(&server.display);
    assert_eq!((canvas.width, canvas.height), (screen.width, screen.height));
    let beside = |at: &usize| !film::covers(*at as u32 % screen.width, *at as u32 / screen.width);
    let wrong = (0..screen.pixels.len()).filter(beside).find(|&at| canvas.pixels[at] != screen.pixels[at]);
    assert_eq!(wrong, None, "what stands beside the film is exact while it plays");
    film.rest();
    browser.tell();
    expect_exact_after(&mut browser, &server);
    (playing, quality)
}

#[test]
fn chromium_shows_a_film_as_video_beside_exact_text_and_its_last_picture_becomes_exact() {
    for environment in [&[][..], &[("CHEVET_WEBTRANSPORT", "off")]] {
        let (playing, quality) = watch_film("chromium", "balanced", environment);
        assert_eq!(playing["decodesH264"], true);
        assert!(playing["videoFrames"].as_u64().unwrap() >= 25, "{playing}");
        assert!(quality > 25.0, "{quality} dB: that is not this film");
    }
}

#[test]
fn firefox_shows_a_film_as_it_can_beside_exact_text_and_its_last_picture_becomes_exact() {
    let (playing, quality) = watch_film("firefox", "balanced", &[]);
    // Firefox decodes H.264 with the system's libavcodec; where that is not installed, all is exact at once.
    let frames = playing["videoFrames"].as_u64().unwrap();
    if playing["decodesH264"] == true {
        assert!(frames >= 25, "{playing}");
    } else {
        assert_eq!(frames, 0, "{playing}");
    }
    assert!(quality > 25.0, "{quality} dB: that is not this film");
}

#[test]
fn under_exact_only_browsers_are_sent_no_video_and_say_what_is_promised() {
    for (browser, ..) in BROWSERS {
        let (playing, _) = watch_film(browser, "exact-only", &[]);
        assert_eq!(playing["videoFrames"], 0);
        assert!(playing["mark"].as_str().unwrap().contains("Exact image"), "{playing}");
    }
}

const MAC: &str = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)";

/// Presses these rows in a browser, and compares what a terminal received.
fn type_rows(browser: &str, rows: &[Row], environment: &[(&str, &str)]) {
    let _beside = beside();
    let server = Server::start(Program::Tigervnc, 1024, 768, 24);
    server.set_layout(&["fr"]);
    let gateway = Gateway::start(&[("desk", &server.display)]);
    gateway.wait_live("desk");
    let mut terminal = Terminal::open(&server);
    let (connection, screen) = server.connect();
    let root = connection.setup().roots[screen].root;
    connection.warp_pointer(0u32, root, 0, 0, 0, 0, 50, 50).unwrap();
    connection.get_input_focus().unwrap().reply().unwrap();
    let folder = crate::chevet::Folder::new();
    let path = folder.file("rows.json");
    let pressed: Vec<_> = rows.iter().map(|row| json!({"press": row.press})).collect();
    std::fs::write(&path, json!(pressed).to_string()).unwrap();
    let scenario = ["type", path.to_str().unwrap()];
    let mut browser = Browser::start(browser, &gateway.page("desk"), &scenario, environment);
    browser.step("done");
    let expected: String = rows.iter().map(|row| row.receive.as_str()).collect();
    let received = terminal.receive(&expected);
    assert_eq!(first_wrong(rows, &received), None);
    assert_eq!(received, expected);
}

/// The first row that did not arrive, with what came instead of it and later ones.
fn first_wrong(rows: &[Row], received: &str) -> Option<String> {
    let mut rest = received;
    for row in rows {
        let Some(after) = rest.strip_prefix(row.receive.as_str()) else {
            let came: String = rest.chars().take(row.receive.chars().count() + 5).collect();
            return Some(format!("{} {:?}: {:?} became {came:?}...", row.layout, row.press, row.receive));
        };
        rest = after;
    }
    None
}

/// The rows that a browser can express, of Macs or of others.
fn browser_rows(mac: bool) -> Vec<Row> {
    let expressible = |row: &Row| row.press.iter().all(|press| !press.contains("=keysym:"));
    let rows: Vec<Row> =
        rows().into_iter().filter(|row| expressible(row) && row.layout.starts_with("mac") == mac).collect();
    assert!(rows.len() >= if mac { 8 } else { 40 }, "only {} rows", rows.len());
    rows
}

#[test]
fn what_is_typed_in_a_browser_reaches_the_program() {
    for (browser, ..) in BROWSERS {
        type_rows(browser, &browser_rows(false), &[]);
    }
}

#[test]
fn what_is_typed_in_a_browser_on_a_mac_reaches_the_program() {
    for (browser, ..) in BROWSERS {
        type_rows(browser, &browser_rows(true), &[("CHEVET_USER_AGENT", MAC)]);
    }
}
