//! Pixels, sizes, the cursor, and servers that come and go.

use crate::server::{Program, Server, eventually};
use crate::{Shown, show, show_early};
use chevet::source::{Canvas, Source, SourceEvent, X11Error, X11Source, XServer};
use std::sync::Arc;
use x11rb::connection::Connection;
use x11rb::protocol::randr::ConnectionExt as _;
use x11rb::protocol::xproto::*;
use x11rb::protocol::xtest::ConnectionExt as _;
use x11rb::rust_connection::RustConnection;

/// A repeatable row of numbers (xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u32) -> u32 {
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

/// Waits until the canvas holds what the server shows, every pixel of it.
fn expect_same(shown: &Shown, connection: &RustConnection, root: Window) {
    eventually("the canvas shows what the server shows", || {
        let (width, height, pixels) = root_pixels(connection, root);
        shown.size() == (width, height) && shown.canvas.lock().framebuffer.pixels() == pixels
    });
}

/// Draws all sorts of things at random places, some beyond the screen's edges.
fn scribble(connection: &RustConnection, screen: usize, times: usize, dice: &mut Dice) {
    let screen = &connection.setup().roots[screen];
    let root = screen.root;
    let gc = connection.generate_id().unwrap();
    let values = CreateGCAux::new().subwindow_mode(SubwindowMode::INCLUDE_INFERIORS).graphics_exposures(0);
    connection.create_gc(gc, root, &values).unwrap();
    let (width, height) = (u32::from(screen.width_in_pixels), u32::from(screen.height_in_pixels));
    for _ in 0..times {
        let x = dice.below(width + 100) as i16 - 50;
        let y = dice.below(height + 100) as i16 - 50;
        let (w, h) = (dice.below(200) as u16 + 1, dice.below(120) as u16 + 1);
        let colour = ChangeGCAux::new().foreground(dice.below(1 << 24));
        connection.change_gc(gc, &colour).unwrap();
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
                connection
                    .put_image(ImageFormat::Z_PIXMAP, root, gc, 16, 16, x, y, 0, screen.root_depth, &data)
                    .unwrap();
            }
        }
        if dice.below(20) == 0 {
            connection.flush().unwrap();
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }
    connection.free_gc(gc).unwrap();
    connection.flush().unwrap();
}

fn random_drawing_on(program: Program) {
    let server = Server::start(program, 800, 600, 24);
    let (connection, screen) = server.connect();
    let root = connection.setup().roots[screen].root;
    let shown = show(&server.display);
    let mut dice = Dice(0x1234_5678_9abc_def1);
    for _ in 0..8 {
        scribble(&connection, screen, 800, &mut dice);
        expect_same(&shown, &connection, root);
    }
}

#[test]
fn what_is_drawn_on_xvfb_is_on_the_canvas_when_it_rests() {
    random_drawing_on(Program::Xvfb);
}

#[test]
fn what_is_drawn_on_xorg_is_on_the_canvas_when_it_rests() {
    random_drawing_on(Program::XorgDummy);
}

#[test]
fn what_is_drawn_without_shared_memory_is_on_the_canvas_when_it_rests() {
    random_drawing_on(Program::XvfbWithoutShm);
}

#[test]
fn what_is_drawn_on_tigervnc_is_on_the_canvas_when_it_rests() {
    random_drawing_on(Program::Tigervnc);
}

#[test]
fn only_what_was_drawn_is_damaged_and_nothing_wakes_a_session_at_rest() {
    let server = Server::start(Program::Xvfb, 1024, 768, 24);
    let (connection, screen) = server.connect();
    let root = connection.setup().roots[screen].root;
    let shown = show(&server.display);
    expect_same(&shown, &connection, root);
    shown.wakes(100);
    assert_eq!(shown.wakes(1_000), 0);
    {
        let mut painting = shown.canvas.lock();
        let tiles = painting.grid().len();
        painting.damage = chevet::screen::TileSet::new(tiles);
    }
    let gc = connection.generate_id().unwrap();
    connection.create_gc(gc, root, &CreateGCAux::new().foreground(0xff_00ff)).unwrap();
    let rects =
        [Rectangle { x: 10, y: 10, width: 5, height: 5 }, Rectangle { x: 900, y: 690, width: 20, height: 9 }];
    // One request each: of a request with several the server reports the box around them.
    for rect in rects {
        connection.poly_fill_rectangle(root, gc, &[rect]).unwrap();
    }
    connection.flush().unwrap();
    expect_same(&shown, &connection, root);
    assert!(shown.wakes(200) >= 1);
    let painting = shown.canvas.lock();
    let damaged: Vec<u32> = painting.damage.iter().collect();
    assert_eq!(damaged, vec![painting.grid().tile_at(10, 10), painting.grid().tile_at(900, 690)]);
    assert!(painting.damaged_at.is_some());
}

#[test]
fn a_viewers_size_becomes_tigervncs_size_and_only_the_newest_counts() {
    resizing(Program::Tigervnc);
}

#[test]
fn a_viewers_size_becomes_xorgs_size_and_only_the_newest_counts() {
    resizing(Program::XorgDummy);
}

fn resizing(program: Program) {
    let server = Server::start(program, 800, 600, 24);
    let (connection, screen) = server.connect();
    let root = connection.setup().roots[screen].root;
    let shown = show(&server.display);
    for (width, height) in [(1280, 720), (333, 777), (1920, 1080)] {
        shown.source.resize(641, 479);
        shown.source.resize(width, height);
        eventually("the canvas has the size asked for", || shown.size() == (width, height));
        scribble(&connection, screen, 50, &mut Dice(u64::from(width)));
        expect_same(&shown, &connection, root);
    }
    let modes = |connection: &RustConnection| {
        let resources = connection.randr_get_screen_resources_current(root).unwrap().reply().unwrap();
        String::from_utf8_lossy(&resources.names).matches("chevet-").count()
    };
    assert!(modes(&connection) <= 1, "earlier resizes left their modes behind");
}

#[test]
fn a_size_that_xvfb_cannot_have_becomes_the_nearest_it_can() {
    let server = Server::start(Program::Xvfb, 1024, 768, 24);
    let (connection, screen) = server.connect();
    let root = connection.setup().roots[screen].root;
    let shown = show(&server.display);
    shown.source.resize(640, 480);
    eventually("the canvas is smaller", || shown.size() == (640, 480));
    expect_same(&shown, &connection, root);
    shown.source.resize(5_000, 700);
    eventually("the canvas is as large as may be", || shown.size() == (1024, 700));
    expect_same(&shown, &connection, root);
}

#[test]
fn a_resize_by_somebody_else_is_followed() {
    let server = Server::start(Program::Tigervnc, 800, 600, 24);
    let (connection, screen) = server.connect();
    let root = connection.setup().roots[screen].root;
    let shown = show(&server.display);
    let other = show(&server.display);
    other.source.resize(1000, 500);
    eventually("both canvases follow", || shown.size() == (1000, 500) && other.size() == (1000, 500));
    expect_same(&shown, &connection, root);
}

#[test]
fn the_cursors_picture_arrives_when_it_changes() {
    let server = Server::start(Program::Xvfb, 320, 240, 24);
    let (connection, screen) = server.connect();
    let root = connection.setup().roots[screen].root;
    let mut shown = show(&server.display);
    let bitmap = connection.generate_id().unwrap();
    connection.create_pixmap(1, bitmap, root, 8, 6).unwrap();
    let gc = connection.generate_id().unwrap();
    connection.create_gc(gc, bitmap, &CreateGCAux::new().foreground(1)).unwrap();
    connection.poly_fill_rectangle(bitmap, gc, &[Rectangle { x: 0, y: 0, width: 8, height: 6 }]).unwrap();
    let cursor = connection.generate_id().unwrap();
    connection.create_cursor(cursor, bitmap, bitmap, 0xffff, 0, 0, 0, 0, 0, 3, 2).unwrap();
    connection.change_window_attributes(root, &ChangeWindowAttributesAux::new().cursor(cursor)).unwrap();
    connection.flush().unwrap();
    let shape = shown.event("the red cursor arrives", |event| match event {
        SourceEvent::Cursor(shape) if shape.hot_x == 3 => Some(shape.clone()),
        _ => None,
    });
    assert_eq!((shape.width, shape.height, shape.hot_x, shape.hot_y), (8, 6, 3, 2));
    assert!(shape.pixels.iter().all(|&pixel| pixel == 0xffff_0000));
}

#[test]
fn somebody_elses_pointer_is_told_and_the_viewers_own_is_not() {
    let server = Server::start(Program::Xvfb, 320, 240, 24);
    let (connection, screen) = server.connect();
    let root = connection.setup().roots[screen].root;
    let mut shown = show(&server.display);
    let moved = |event: &SourceEvent| match event {
        SourceEvent::CursorMoved { x, y } => Some((*x, *y)),
        _ => None,
    };
    shown.event("where the pointer is at first", moved);
    for step in 0..40 {
        shown.source.input(chevet::wire::InputEvent::PointerMove { x: step * 5, y: 100 });
    }
    let place = || {
        let pointer = connection.query_pointer(root).unwrap().reply().unwrap();
        (pointer.root_x, pointer.root_y)
    };
    eventually("the viewer's pointer arrives", || place() == (195, 100));
    connection.xtest_fake_input(MOTION_NOTIFY_EVENT, 0, 0, root, 17, 23, 0).unwrap();
    connection.flush().unwrap();
    assert_eq!(shown.event("the other's pointer", moved), (17, 23));
}

#[test]
fn a_dead_server_is_waited_for_and_shown_again() {
    let server = Server::start(Program::Xvfb, 400, 300, 24);
    let mut shown = show(&server.display);
    let display = server.kill();
    let expected = format!("the X server of display {display} is gone; trying again...");
    assert_eq!(shown.wait_waiting(), expected);
    shown.source.input(chevet::wire::InputEvent::KeyDown { key: 4, keysym: 97 });
    shown.source.resize(200, 200);
    let server = Server::start_on(Program::Xvfb, &display, 500, 300);
    shown.wait_live();
    let (connection, screen) = server.connect();
    let root = connection.setup().roots[screen].root;
    scribble(&connection, screen, 50, &mut Dice(7));
    expect_same(&shown, &connection, root);
    let keys = connection.query_keymap().unwrap().reply().unwrap().keys;
    assert_eq!(keys, [0; 32], "a key pressed before the server died is held on the new one");
}

#[test]
fn a_display_that_is_not_there_yet_is_waited_for() {
    let display = Server::start(Program::Xvfb, 64, 64, 24).kill();
    let mut shown = show_early(&display);
    let expected = format!("the X server of display {display} is not there yet; trying again...");
    assert_eq!(shown.wait_waiting(), expected);
    let _server = Server::start_on(Program::Xvfb, &display, 64, 64);
    shown.wait_live();
}

#[test]
fn a_screen_of_depth_16_is_refused_in_clear_words() {
    let server = Server::start(Program::Xvfb, 320, 240, 16);
    let mut shown = show_early(&server.display);
    let text = shown.wait_waiting();
    assert!(text.contains("depth 16") && text.contains("start the X server with depth 24"), "{text}");
}

#[test]
fn a_name_that_is_no_displays_is_an_error() {
    for name in ["", "1", "display", ":x"] {
        let canvas = Arc::new(Canvas::new(16, 16).unwrap());
        let (sender, _events) = tokio::sync::mpsc::channel(4);
        let refused = X11Source::start(&XServer::at(name), canvas, sender);
        assert!(matches!(refused, Err(X11Error::DisplayName(_))), "{name:?} was taken");
    }
}

#[test]
fn dropping_a_source_ends_its_threads_and_connections() {
    let server = Server::start(Program::Xvfb, 320, 240, 24);
    let canvas = {
        let shown = show(&server.display);
        Arc::clone(&shown.canvas)
    };
    eventually("the threads let go of the canvas", || Arc::strong_count(&canvas) == 1);
}

#[test]
fn dropping_a_source_ends_its_threads_even_when_the_server_hangs() {
    let server = Server::start(Program::Xvfb, 320, 240, 24);
    let shown = show(&server.display);
    let canvas = Arc::clone(&shown.canvas);
    server.signal("-STOP");
    shown.source.resize(100, 100);
    shown.source.input(chevet::wire::InputEvent::KeyDown { key: 4, keysym: 97 });
    drop(shown);
    eventually("the threads let go of the canvas", || Arc::strong_count(&canvas) == 1);
    server.signal("-CONT");
}
