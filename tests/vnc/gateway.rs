//! Through a gateway, to a viewer without a window.

use crate::pixels::{Dice, scribble};
use crate::plain;
use crate::security::certificates;
use crate::server::{Folder, Server, free_port, hidden, text};
use chevet::client::{Address, Client, Event};
use chevet::gateway::{Config, Gateway, SessionConfig};
use chevet::screen::Framebuffer;
use chevet::source::rfb::VncConfig;
use std::path::Path;
use std::time::{Duration, Instant};
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

/// All records of the journal, once this many of this event are among them.
async fn journal_with(folder: &Path, event: &str, count: usize) -> String {
    let end = Instant::now() + Duration::from_secs(40);
    let wanted = format!(r#""event":"{event}""#);
    loop {
        let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let text: String = files.filter_map(|file| std::fs::read_to_string(file.path()).ok()).collect();
        if text.matches(&wanted).count() >= count {
            return text;
        }
        assert!(Instant::now() < end, "there are never {count} of {event} in\n{text}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_becomes_of_a_vnc_server_is_in_the_journal() {
    let folder = Folder::new("journal");
    let (ours, other) = (certificates(&folder, "ours", "pc7"), certificates(&folder, "other", "pc7"));
    let (right, wrong) = ("r1ght-pw", "wr0ng-pw");
    let file = folder.write("hidden", hidden(right));
    let port = free_port();
    let server = |c: &crate::security::Certificates| {
        let arguments = ["-SecurityTypes", "X509Vnc", "-PasswordFile", text(&file), "-X509Cert"];
        let arguments = [&arguments[..], &[text(&c.certificate), "-X509Key", text(&c.key)]].concat();
        Server::tigervnc_with(port, 320, 240, &arguments)
    };
    let first = server(&ours);
    let password_file = folder.write("password", wrong);
    let state = folder.write("state/.keep", "").parent().unwrap().to_owned();
    let vnc = VncConfig {
        address: first.address(),
        password_file: Some(password_file),
        first_use: true,
        ..VncConfig::default()
    };
    let config = Config {
        listen: vec![([127, 0, 0, 1], 0).into()],
        state_directory: Some(state.clone()),
        sessions: vec![SessionConfig { name: "ward".into(), vnc: Some(vnc), ..SessionConfig::default() }],
        ..Config::default()
    };
    let gateway = Gateway::start(&config).await.expect("the gateway starts");
    let journal = state.join("audit");
    let told = journal_with(&journal, "host_sign_in_refused", 1).await;
    // It was believed before a password was sent.
    assert!(told.contains("certificate_trusted") && told.contains(&ours.fingerprint), "{told}");
    folder.write("password", right);
    journal_with(&journal, "host_signed_in", 1).await;
    first.kill();
    journal_with(&journal, "host_lost", 1).await;
    let again = server(&ours);
    journal_with(&journal, "host_signed_in", 2).await;
    again.kill();
    journal_with(&journal, "host_lost", 2).await;
    let _replaced = server(&other);
    let told = journal_with(&journal, "certificate_refused", 1).await;
    let refused = told.lines().find(|line| line.contains("certificate_refused")).unwrap();
    assert!(refused.contains("has changed") && refused.contains(r#""session":"ward""#), "{refused}");
    assert_eq!(told.matches("certificate_trusted").count(), 1);
    assert!(!told.contains(right) && !told.contains(wrong), "no password is written");
    gateway.stop().await;
}
