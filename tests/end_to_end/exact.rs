//! What is drawn arrives, to the last pixel, by every road.

use crate::chevet::{Gateway, Host, View};
use crate::drawing::{Drawing, draw_for, picture_of};
use crate::drawing_time;
use crate::lanes::alone;
use crate::server::{Program, Server};
use std::time::Duration;

const ROADS: [&str; 2] = ["quic", "websocket"];
/// How often a long drawing rests, so that what is shown can be compared.
const RESTS: u32 = 4;

#[test]
fn after_random_drawing_every_viewer_shows_what_the_x_server_shows_by_every_road() {
    let _alone = alone();
    let own = Server::start(Program::Xvfb, 1024, 768, 24);
    let hosted = Server::start(Program::Tigervnc, 1024, 768, 24);
    let gateway = Gateway::start(&[("own", &own.display)]);
    let _host = Host::start(&gateway, "hosted", &hosted.display);
    let mut views = Vec::new();
    for road in ROADS {
        views.push((View::start(&gateway.page("own"), road, &[]), &own));
        views.push((View::start(&gateway.page("hosted"), road, &[]), &hosted));
    }
    for rest in 0..RESTS {
        let drawings = [(&own, 1), (&hosted, 101)]
            .map(|(server, seed): (&Server, u64)| Drawing::start(&server.display, seed + u64::from(rest)));
        std::thread::sleep(drawing_time(10) / RESTS);
        let strokes = drawings.map(Drawing::rest);
        assert!(strokes.iter().all(|&strokes| strokes > 20), "the drawing programs hardly drew: {strokes:?}");
        assert!(picture_of(&own.display).is_rich() && picture_of(&hosted.display).is_rich());
        for (view, server) in &mut views {
            view.expect_exact(&server.display);
        }
    }
    for ((view, _), road) in views.iter().zip(["QUIC", "QUIC", "WebSocket", "WebSocket"]) {
        let stats = view.stats();
        assert_eq!(stats["road"], road);
        assert_eq!(stats["mismatched_proofs"], 0, "{stats}");
    }
}

#[test]
fn a_viewer_that_hangs_on_websocket_leaves_the_others_exact_and_quick() {
    let _alone = alone();
    let server = Server::start(Program::Xvfb, 1024, 768, 24);
    let gateway = Gateway::start(&[("desk", &server.display)]);
    let mut quick = View::start(&gateway.page("desk"), "quic", &[]);
    let mut hung = View::start(&gateway.page("desk"), "websocket", &[]);
    draw_for(&server.display, Duration::from_secs(1), 7);
    quick.expect_exact(&server.display);
    hung.expect_exact(&server.display);
    hung.program.signal("-STOP");
    let (before, stopped_at) = (quick.updates(), hung.updates());
    let drawing = Drawing::start(&server.display, 8);
    std::thread::sleep(drawing_time(5));
    // It goes on while the drawing goes on, and does not merely catch up at the end.
    let while_drawing = quick.updates() - before;
    drawing.rest();
    quick.expect_exact(&server.display);
    println!("beside a hung viewer: {while_drawing} updates, {}", quick.stats());
    assert!(while_drawing > 20, "only {while_drawing} updates while drawing");
    assert_eq!(hung.updates(), stopped_at, "a stopped viewer showed something");
    hung.program.signal("-CONT");
    hung.expect_exact(&server.display);
}

#[test]
fn a_viewers_size_becomes_the_displays_and_the_screen_is_exact_afterwards() {
    let _alone = alone();
    let server = Server::start(Program::Tigervnc, 1024, 768, 24);
    let gateway = Gateway::start(&[("desk", &server.display)]);
    gateway.wait_live("desk");
    draw_for(&server.display, Duration::from_secs(1), 3);
    let mut view = View::start(&gateway.page("desk"), "quic", &["--size", "1366x768"]);
    crate::chevet::settle("the X server takes the viewer's size", || {
        let picture = picture_of(&server.display);
        let size = (picture.width, picture.height);
        (size != (1366, 768)).then(|| format!("{size:?}"))
    });
    view.expect_exact(&server.display);
    draw_for(&server.display, Duration::from_secs(2), 4);
    view.expect_exact(&server.display);
}
