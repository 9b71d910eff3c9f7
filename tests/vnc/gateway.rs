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
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use x11rb::connection::Connection;
use x11rb::protocol::xproto::{
    ConnectionExt, CreateGCAux, CreateWindowAux, ImageFormat, Rectangle, WindowClass,
};
use x11rb::rust_connection::RustConnection;
use x11rb::wrapper::ConnectionExt as _;

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
        exact(&mut client, &server).await;
    }
    assert_eq!(client.mismatches(), 0);
}

/// Passes everything on to a server, and counts what it sends.
struct Relay {
    port: u16,
    bytes: Arc<AtomicU64>,
}

impl Relay {
    async fn start(server: u16) -> Relay {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let bytes = Arc::new(AtomicU64::new(0));
        let counted = bytes.clone();
        tokio::spawn(async move {
            while let Ok((ours, _)) = listener.accept().await {
                let (mut from_us, mut to_us) = ours.into_split();
                let host = TcpStream::connect(("127.0.0.1", server)).await.unwrap();
                let (mut from_host, mut to_host) = host.into_split();
                tokio::spawn(async move { tokio::io::copy(&mut from_us, &mut to_host).await });
                let counted = counted.clone();
                tokio::spawn(async move {
                    let mut buffer = vec![0; 65_536];
                    while let Ok(count @ 1..) = from_host.read(&mut buffer).await {
                        counted.fetch_add(count as u64, Relaxed);
                        if to_us.write_all(&buffer[..count]).await.is_err() {
                            break;
                        }
                    }
                });
            }
        });
        Relay { port, bytes }
    }
}

/// Lines of text in a window, of which no two are alike, and which scrolls by one.
struct Text {
    connection: RustConnection,
    window: u32,
    ink: u32,
    paper: u32,
    next: u32,
}

impl Text {
    fn new(server: &Server) -> Text {
        let (connection, screen) = server.connect();
        let root = connection.setup().roots[screen].clone();
        let [window, ink, paper, font] = std::array::from_fn(|_| connection.generate_id().unwrap());
        let look = CreateWindowAux::new().background_pixel(root.white_pixel).override_redirect(1);
        let class = WindowClass::INPUT_OUTPUT;
        connection.create_window(0, window, root.root, 30, 20, 580, 420, 0, class, 0, &look).unwrap();
        connection.open_font(font, b"fixed").unwrap();
        let ink_looks = CreateGCAux::new().font(font).background(root.white_pixel);
        connection.create_gc(ink, window, &ink_looks).unwrap();
        let paper_looks = CreateGCAux::new().foreground(root.white_pixel).graphics_exposures(0);
        connection.create_gc(paper, window, &paper_looks).unwrap();
        connection.map_window(window).unwrap();
        connection.sync().unwrap();
        Text { connection, window, ink, paper, next: 0 }
    }

    fn line(&mut self, y: i16) {
        self.next += 1;
        let mut dice = Dice(u64::from(self.next) * 0x9e37_79b9);
        let text: String = (0..90).map(|_| char::from(b' ' + dice.below(94) as u8)).collect();
        self.connection.image_text8(self.window, self.ink, 8, y, text.as_bytes()).unwrap();
    }

    fn page(&mut self) {
        (0..26).for_each(|row| self.line(15 + 16 * row));
        self.connection.sync().unwrap();
    }

    fn scroll(&mut self) {
        let (window, paper) = (self.window, self.paper);
        self.connection.copy_area(window, window, paper, 0, 16, 0, 0, 580, 404).unwrap();
        let bottom = Rectangle { x: 0, y: 404, width: 580, height: 16 };
        self.connection.poly_fill_rectangle(window, paper, &[bottom]).unwrap();
        self.line(415);
        self.connection.sync().unwrap();
    }
}

/// Waits until the viewer shows what the server does, and knows that it is exact.
async fn exact(client: &mut Client, server: &Server) {
    let wanted = shown_by(server);
    let exact = async {
        while !matches!(client.next().await.expect("the session goes on"), Event::Exact)
            || client.screen() != Some(&wanted)
        {}
    };
    tokio::time::timeout(Duration::from_secs(20), exact).await.expect("the viewer becomes exact");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scroll_costs_the_viewer_less_than_the_server_sent_from_its_first_step_on() {
    let server = Server::tigervnc(640, 480);
    let relay = Relay::start(server.port).await;
    let config = Config {
        listen: vec![([127, 0, 0, 1], 0).into()],
        sessions: vec![SessionConfig {
            name: "ward".into(),
            vnc: Some(plain(format!("127.0.0.1:{}", relay.port))),
            ..SessionConfig::default()
        }],
        ..Config::default()
    };
    let gateway = Gateway::start(&config).await.expect("the gateway starts");
    let address = Address::parse(&gateway.native_url("ward")).expect("an address");
    let mut client = Client::connect(address).await.expect("the viewer gets in");
    let mut text = Text::new(&server);
    // What changes again and again without having moved is hardly searched for moves.
    for _ in 0..6 {
        text.page();
        exact(&mut client, &server).await;
    }
    let session = gateway.registry().session("ward").expect("the session");
    for step in 0..8 {
        let sent = || async { session.viewers().await.iter().map(|viewer| viewer.bytes).sum::<u64>() };
        let before = (relay.bytes.load(Relaxed), sent().await);
        text.scroll();
        exact(&mut client, &server).await;
        let (host, viewer) = (relay.bytes.load(Relaxed) - before.0, sent().await - before.1);
        assert!(viewer <= host, "step {step}: the host sent {host} bytes, the viewer got {viewer}");
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
