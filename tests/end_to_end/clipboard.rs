//! Copying in a session and pasting on the page, and the other way round, in a real browser.

use crate::browser::Browser;
use crate::chevet::{Gateway, settle};
use crate::lanes::beside;
use crate::server::{Program, Server};
use serde_json::json;
use std::io::Write;
use std::process::{Command, Stdio};

#[test]
fn in_chromium_what_is_copied_in_the_session_is_on_the_computers_clipboard_and_ctrl_v_pastes_into_the_session()
 {
    const COPIED: &str = "Œdème à 38,5 °C\n🩺";
    const PASTED: &str = "héparine 5000 UI\nà 8 h";
    let _beside = beside();
    let server = Server::start(Program::Xvfb, 640, 480, 24);
    let gateway = Gateway::start(&[("desk", &server.display)]);
    let mut browser = Browser::start("chromium", &gateway.page("desk"), &["clipboard", COPIED, PASTED], &[]);
    browser.step("ready");
    let xclip = |way: &str| {
        let mut command = Command::new("xclip");
        command.args(["-display", &server.display, "-selection", "clipboard", way]);
        command.stdin(Stdio::piped()).stderr(Stdio::null());
        command
    };
    let mut copying = xclip("-in").stdout(Stdio::null()).spawn().unwrap();
    copying.stdin.take().unwrap().write_all(COPIED.as_bytes()).unwrap();
    assert!(copying.wait().unwrap().success());
    browser.step("copied");
    browser.step("pasted");
    settle("a program pastes what was copied at the browser", || {
        let pasted = xclip("-out").output().unwrap().stdout;
        (pasted != PASTED.as_bytes()).then(|| String::from_utf8_lossy(&pasted).into_owned())
    });
}

/// A PNG of these pixels.
fn png(width: u32, height: u32, rgb: &[u8]) -> Vec<u8> {
    let mut png = Vec::new();
    let mut encoder = png::Encoder::new(&mut png, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.write_header().unwrap().write_image_data(rgb).unwrap();
    png
}

#[test]
fn in_chromium_pictures_go_both_ways_too() {
    let _beside = beside();
    let server = Server::start(Program::Xvfb, 640, 480, 24);
    let gateway = Gateway::start(&[("desk", &server.display)]);
    let mut browser = Browser::start("chromium", &gateway.page("desk"), &["copiedPicture", "301"], &[]);
    browser.step("ready");
    let xclip = |way: &str| {
        let mut command = Command::new("xclip");
        command.args(["-display", &server.display, "-selection", "clipboard", "-target", "image/png", way]);
        command.stdin(Stdio::piped()).stderr(Stdio::null());
        command
    };
    // Of many parts: noise does not compress.
    let mut noise = 1u32;
    let rgb: Vec<u8> = (0..301 * 200 * 3)
        .map(|_| {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (noise >> 24) as u8
        })
        .collect();
    let copied = png(301, 200, &rgb);
    assert!(copied.len() > 100_000);
    let mut copying = xclip("-in").stdout(Stdio::null()).spawn().unwrap();
    copying.stdin.take().unwrap().write_all(&copied).unwrap();
    assert!(copying.wait().unwrap().success());
    let seen = browser.step("copied")["seen"].clone();
    let (first, last) = (&rgb[..3], &rgb[rgb.len() - 3..]);
    let opaque = |pixel: &[u8]| json!([pixel[0], pixel[1], pixel[2], 255]);
    let wanted = json!({"width": 301, "height": 200, "first": opaque(first), "last": opaque(last)});
    assert_eq!(seen, wanted);
    browser.step("pasted");
    settle("a program pastes the picture that was copied at the browser", || {
        let pasted = xclip("-out").output().unwrap().stdout;
        let read = png::Decoder::new(std::io::Cursor::new(&pasted)).read_info().ok();
        let is_it = read.is_some_and(|mut reader| {
            let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
            let info = reader.next_frame(&mut pixels).unwrap();
            let samples = info.color_type.samples();
            (info.width, info.height) == (90, 70)
                && pixels[..info.buffer_size()].chunks(samples).all(|pixel| pixel[..3] == [10, 120, 200])
        });
        (!is_it).then(|| format!("{} bytes", pasted.len()))
    });
}
