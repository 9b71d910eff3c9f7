//! Pixels, sizes, the cursor, and servers that come and go.

use crate::server::{Server, eventually, free_port};
use crate::{Shown, plain, show, show_early};
use chevet::rfb::encodings;
use chevet::source::rfb::{Encoding, VncConfig};
use chevet::source::{Source, SourceEvent};
use chevet::wire::InputEvent;
use x11rb::connection::Connection;
use x11rb::protocol::xproto::*;
use x11rb::rust_connection::RustConnection;

/// A repeatable row of numbers (xorshift).
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, bound: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 32) as u32 % bound
    }
}

fn root_pixels(connection: &RustConnection, root: Window) -> (u32, u32, Vec<u32>) {
    let size = connection.get_geometry(root).unwrap().reply().unwrap();
    let (width, height) = (size.width, size.height);
    let image =
        connection.get_image(ImageFormat::Z_PIXMAP, root, 0, 0, width, height, !0).unwrap().reply().unwrap();
    let words = image.data.as_chunks::<4>().0;
    let pixels = words.iter().map(|word| u32::from_le_bytes(*word) & 0x00ff_ffff).collect();
    (width.into(), height.into(), pixels)
}

/// Waits until the canvas holds what the X server shows, every pixel of it.
fn expect_same(shown: &Shown, connection: &RustConnection, root: Window) {
    eventually("the canvas shows what the server shows", || {
        let (width, height, pixels) = root_pixels(connection, root);
        shown.size() == (width, height) && shown.canvas.lock().framebuffer.pixels() == pixels
    });
}

/// Draws all sorts of things at random places, some beyond the screen's edges.
pub fn scribble(connection: &RustConnection, screen: usize, times: usize, dice: &mut Dice) {
    let screen = &connection.setup().roots[screen];
    let root = screen.root;
    let gc = connection.generate_id().unwrap();
    let values = CreateGCAux::new().subwindow_mode(SubwindowMode::INCLUDE_INFERIORS).graphics_exposures(0);
    connection.create_gc(gc, root, &values).unwrap();
    let (width, height) = (u32::from(screen.width_in_pixels), u32::from(screen.height_in_pixels));
    for time in 0..times {
        let x = dice.below(width + 100) as i16 - 50;
        let y = dice.below(height + 100) as i16 - 50;
        let (w, h) = (dice.below(200) as u16 + 1, dice.below(120) as u16 + 1);
        connection.change_gc(gc, &ChangeGCAux::new().foreground(dice.below(1 << 24))).unwrap();
        match dice.below(4) {
            0 => {
                let rect = Rectangle { x, y, width: w, height: h };
                connection.poly_fill_rectangle(root, gc, &[rect]).unwrap();
            }
            1 => {
                let ends = [Point { x, y }, Point { x: x + w as i16, y: y - h as i16 }];
                connection.poly_line(CoordMode::ORIGIN, root, gc, &ends).unwrap();
            }
            2 => {
                connection.copy_area(root, root, gc, x, y, y, x, w, h).unwrap();
            }
            _ => {
                let data: Vec<u8> = (0..16 * 16 * 4).map(|_| dice.below(256) as u8).collect();
                let depth = screen.root_depth;
                connection.put_image(ImageFormat::Z_PIXMAP, root, gc, 16, 16, x, y, 0, depth, &data).unwrap();
            }
        }
        if time % 20 == 19 {
            connection.flush().unwrap();
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
    }
    connection.free_gc(gc).unwrap();
    connection.flush().unwrap();
}

/// Draws for a while and compares at every rest; the rectangles that came.
fn draw_and_compare(server: &Server, config: VncConfig, rounds: u64) -> std::collections::BTreeMap<i32, u64> {
    let shown = show(config);
    let (connection, screen) = server.connect();
    let root = connection.setup().roots[screen].root;
    expect_same(&shown, &connection, root);
    for round in 1..=rounds {
        scribble(&connection, screen, 150, &mut Dice(round));
        expect_same(&shown, &connection, root);
    }
    shown.source.report().rectangles
}

#[test]
fn every_encoding_of_tigervnc_brings_what_the_server_shows() {
    let server = Server::tigervnc(650, 410);
    let cases = [
        (Encoding::Raw, encodings::RAW),
        (Encoding::Hextile, encodings::HEXTILE),
        (Encoding::Zrle, encodings::ZRLE),
        (Encoding::Tight, encodings::TIGHT),
    ];
    for (encoding, number) in cases {
        let config = VncConfig { encoding: Some(encoding), ..plain(server.address()) };
        let seen = draw_and_compare(&server, config, 3);
        assert!(seen.get(&number) > Some(&10), "{encoding:?}: {seen:?}");
        assert!(seen.get(&encodings::COPY_RECT) > Some(&3), "{encoding:?}: {seen:?}");
    }
}

#[test]
fn every_encoding_of_x11vnc_brings_what_the_server_shows() {
    let server = Server::x11vnc(410, 330);
    let cases = [
        (Encoding::Raw, encodings::RAW),
        (Encoding::Hextile, encodings::HEXTILE),
        (Encoding::Zrle, encodings::ZRLE),
        (Encoding::Tight, encodings::TIGHT),
    ];
    for (encoding, number) in cases {
        let config = VncConfig { encoding: Some(encoding), ..plain(server.address()) };
        let seen = draw_and_compare(&server, config, 2);
        assert!(seen.contains_key(&number), "{encoding:?}: {seen:?}");
    }
}

#[test]
fn jpeg_is_nearly_what_the_server_shows() {
    let server = Server::tigervnc(320, 240);
    let config = VncConfig { jpeg_quality: Some(8), ..plain(server.address()) };
    let shown = show(config);
    let (connection, screen) = server.connect();
    let root = connection.setup().roots[screen].root;
    // A photograph, so to speak: colours that go over into one another, of which there are many.
    let gc = connection.generate_id().unwrap();
    connection.create_gc(gc, root, &CreateGCAux::new()).unwrap();
    let colour = |x: u32, y: u32| (x * 255 / 319) << 16 | (y * 255 / 239) << 8 | ((x + y) * 255 / 558);
    let data: Vec<u8> =
        (0..240).flat_map(|y| (0..320).flat_map(move |x| colour(x, y).to_le_bytes())).collect();
    for (band, rows) in data.chunks(320 * 4 * 40).enumerate() {
        let y = band as i16 * 40;
        connection.put_image(ImageFormat::Z_PIXMAP, root, gc, 320, 40, 0, y, 0, 24, rows).unwrap();
    }
    connection.flush().unwrap();
    let far = |a: u32, b: u32| {
        let channels = a.to_le_bytes().into_iter().zip(b.to_le_bytes());
        channels.map(|(a, b)| a.abs_diff(b)).max().unwrap()
    };
    eventually("the picture is there", || {
        let (_, _, pixels) = root_pixels(&connection, root);
        let painting = shown.canvas.lock();
        painting.framebuffer.pixels().iter().zip(&pixels).all(|(&a, &b)| far(a, b) <= 16)
    });
    let painting = shown.canvas.lock();
    let (_, _, pixels) = root_pixels(&connection, root);
    assert!(painting.framebuffer.pixels() != pixels, "JPEG has losses, so this was no JPEG");
}

#[test]
fn the_console_of_an_emulated_machine_is_shown_and_offers_keys_by_their_place_and_lights() {
    let server = Server::qemu();
    let shown = show(plain(server.address()));
    eventually("the BIOS has written something", || {
        shown.canvas.lock().framebuffer.pixels().iter().any(|&pixel| pixel != 0)
    });
    let report = shown.source.report();
    assert!(report.extensions.contains(&encodings::name(encodings::QEMU_KEYS)), "{report:?}");
    assert!(report.leds.is_some(), "{report:?}");
}

#[test]
fn a_viewer_s_size_becomes_the_server_s_and_the_server_s_own_changes_arrive() {
    let server = Server::tigervnc(640, 480);
    let shown = show(plain(server.address()));
    let (connection, screen) = server.connect();
    let root = connection.setup().roots[screen].root;
    for (width, height) in [(801, 603), (320, 200), (1024, 768)] {
        shown.source.resize(width, height);
        eventually("the server has the viewer's size", || {
            let size = connection.get_geometry(root).unwrap().reply().unwrap();
            (u32::from(size.width), u32::from(size.height)) == (width, height)
        });
        expect_same(&shown, &connection, root);
    }
    scribble(&connection, screen, 50, &mut Dice(5));
    expect_same(&shown, &connection, root);
    let mut xrandr = std::process::Command::new("xrandr");
    xrandr.args(["-display", &server.display, "-s", "640x480"]);
    assert!(crate::server::spawn(&mut xrandr, "x11-xserver-utils").wait().unwrap().success());
    eventually("the canvas follows", || shown.size() == (640, 480));
    expect_same(&shown, &connection, root);
}

#[test]
fn the_cursor_arrives_with_its_hot_spot() {
    let server = Server::tigervnc(320, 240);
    let mut shown = show(plain(server.address()));
    // Until a viewer has pointed at something, TigerVNC paints the cursor itself.
    shown.source.input(InputEvent::PointerMove { x: 100, y: 100 });
    let (connection, screen) = server.connect();
    let root = connection.setup().roots[screen].root;
    let font = connection.generate_id().unwrap();
    connection.open_font(font, b"cursor").unwrap().check().unwrap();
    let cursor = connection.generate_id().unwrap();
    // The crosshair of the cursor font: black on white.
    let made = connection.create_glyph_cursor(cursor, font, font, 34, 35, 0, 0, 0, !0, !0, !0);
    made.unwrap().check().unwrap();
    connection.change_window_attributes(root, &ChangeWindowAttributesAux::new().cursor(cursor)).unwrap();
    connection.flush().unwrap();
    let shape = shown.event("a cursor with a hot spot inside it", |event| match event {
        SourceEvent::Cursor(shape) if shape.hot_x > 3 && shape.hot_y > 3 => Some(shape.clone()),
        _ => None,
    });
    assert_eq!(shape.pixels.len(), usize::from(shape.width) * usize::from(shape.height));
    assert!(shape.pixels.contains(&0xff00_0000) && shape.pixels.contains(&0));
}

#[test]
fn a_server_that_dies_is_waited_for_and_shown_again() {
    let port = free_port();
    let mut shown = show_early(plain(format!("127.0.0.1:{port}")));
    assert!(shown.wait_waiting().contains("cannot reach"));
    let security = ["-SecurityTypes", "None"];
    let server = Server::tigervnc_with(port, 320, 240, &security);
    shown.wait_live();
    server.kill();
    assert!(shown.wait_waiting().contains("VNC server"));
    let server = Server::tigervnc_with(port, 400, 300, &security);
    shown.wait_live();
    let (connection, screen) = server.connect();
    scribble(&connection, screen, 50, &mut Dice(9));
    expect_same(&shown, &connection, connection.setup().roots[screen].root);
}
