//! Through a gateway, to a viewer without a window.

use crate::pixels::{Dice, scribble};
use crate::plain;
use crate::server::Server;
use chevet::client::{Address, Client, Event};
use chevet::gateway::{Config, Gateway, SessionConfig};
use chevet::screen::Framebuffer;
use std::time::Duration;
use x11rb::connection::Connection;
use x11rb::protocol::xproto::{ConnectionExt, ImageFormat};

/// What the X server shows.
fn shown_by(server: &Server) -> Framebuffer {
    let (connection, screen) = server.connect();
    let root = connection.setup().roots[screen].root;
    let size = connection.get_geometry(root).unwrap().reply().unwrap();
    let (width, height) = (size.width, size.height);
    let image = connection.get_image(ImageFormat::Z_PIXMAP, root, 0, 0, width, height, !0).unwrap();
    let mut screen = Framebuffer::new(width.into(), height.into()).unwrap();
    let data = image.reply().unwrap().data;
    let pixels = data.as_chunks::<4>().0.iter().map(|pixel| u32::from_le_bytes(*pixel) & 0x00ff_ffff);
    screen.pixels_mut().iter_mut().zip(pixels).for_each(|(to, from)| *to = from);
    screen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_viewer_of_a_vnc_session_is_exact_at_rest() {
    let server = Server::tigervnc(500, 400);
    let config = Config {
        listen: vec![([127, 0, 0, 1], 0).into()],
        sessions: vec![SessionConfig {
            name: "ward".into(),
            vnc: Some(plain(server.address())),
            ..SessionConfig::default()
        }],
        ..Config::default()
    };
    let gateway = Gateway::start(&config).await.expect("the gateway starts");
    let address = Address::parse(&gateway.native_url("ward")).expect("an address");
    let mut client = Client::connect(address).await.expect("the viewer gets in");
    for round in 1..=3 {
        let (connection, screen) = server.connect();
        scribble(&connection, screen, 150, &mut Dice(round));
        let wanted = shown_by(&server);
        let exact = async {
            loop {
                let event = client.next().await.expect("the session goes on");
                if matches!(event, Event::Exact) && client.screen() == Some(&wanted) {
                    return;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(20), exact).await.expect("the viewer becomes exact");
    }
    assert_eq!(client.mismatches(), 0);
}
