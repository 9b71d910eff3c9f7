//! What chevet adds to a host without chevet: from the host's packet on its way to chevet to the pixels decoded in a
//! headless viewer, and the bytes on both sides, for interface content that real servers send by VNC and RDP.
//!
//! The host's bytes pass a relay in this process that notes when each packet came. A program on the host's display draws
//! at a timetable, a mark of the next colour last; the viewer's clock stops at the update that shows the mark. Times are
//! counted from the first packet after the drawing began and from the last one before the mark was seen: the host's own
//! sending lies between the two.
//!
//! `cargo bench --bench hosts [-- STEPS]` (Debian packages tigervnc-standalone-server, xrdp, freerdp2-shadow-x11, openssl)

#[allow(dead_code, reason = "shared with the RDP source's tests")]
#[path = "../tests/rdp/peers.rs"]
mod peers;
#[allow(dead_code, reason = "shared with the VNC source's tests")]
#[path = "../tests/vnc/server.rs"]
mod server;

use chevet::client::{Address, Client, Event, Roads};
use chevet::gateway::{Config, Gateway, SessionConfig};
use hdrhistogram::Histogram;
use peers::{Desktop, Folder, Xrdp};
use server::Server;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use x11rb::connection::Connection;
use x11rb::protocol::xproto::{ChangeGCAux, ConnectionExt, CreateGCAux, CreateWindowAux, Rectangle, Window};
use x11rb::rust_connection::RustConnection;
use x11rb::wrapper::ConnectionExt as _;

const STEPS: usize = 200;
const SIDES: (u32, u32) = (1_280, 800);
const MARK: (i16, i16) = (1_240, 760);
const PATIENCE: Duration = Duration::from_secs(20);

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    if std::env::args().any(|word| word == "--test") {
        return Ok(());
    }
    let steps = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(STEPS);
    let runtime = tokio::runtime::Runtime::new()?;
    println!(
        "| host | scene | steps | from its last packet: median, p95 | from its first: median, p95 | host's bytes | to the viewer |"
    );
    println!("|---|---|---|---|---|---|---|");
    let server = Server::tigervnc(SIDES.0, SIDES.1);
    let relay = Relay::start(server.port)?;
    let vnc = format!("vnc = {{ address = '127.0.0.1:{}', tls = 'never' }}", relay.port);
    runtime.block_on(measure("VNC, Xtigervnc", &vnc, &server.display, &relay, steps))?;
    let desktop = Desktop::start(SIDES.0, SIDES.1);
    let xrdp = Xrdp::start(&desktop);
    let relay = Relay::start(xrdp.port)?;
    let rdp =
        format!("rdp = {{ address = 'localhost:{}', user = 'nurse', screen_sign_in = true }}", relay.port);
    runtime.block_on(measure("RDP, xrdp", &rdp, &desktop.display, &relay, steps))
}

/// Passes everything on, and notes when how many of the host's bytes came.
struct Relay {
    port: u16,
    packets: Arc<Mutex<Vec<(Instant, usize)>>>,
}

impl Relay {
    fn start(host: u16) -> Result<Relay> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let packets = Arc::new(Mutex::new(Vec::new()));
        let noted = packets.clone();
        std::thread::spawn(move || {
            for chevet in listener.incoming().map_while(std::io::Result::ok) {
                let Ok(host) = TcpStream::connect(("127.0.0.1", host)) else { continue };
                let _ = (chevet.set_nodelay(true), host.set_nodelay(true));
                let (Ok(chevet_out), Ok(host_out)) = (chevet.try_clone(), host.try_clone()) else { continue };
                std::thread::spawn(move || pour(chevet, host_out, |_| {}));
                let noted = noted.clone();
                let note = move |count| {
                    let mut noted = noted.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                    noted.push((Instant::now(), count));
                };
                std::thread::spawn(move || pour(host, chevet_out, note));
            }
        });
        Ok(Relay { port, packets })
    }

    fn packets(&self) -> Vec<(Instant, usize)> {
        self.packets.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    fn bytes(&self) -> u64 {
        self.packets().iter().map(|(_, count)| *count as u64).sum()
    }
}

fn pour(mut from: TcpStream, mut to: TcpStream, note: impl Fn(usize)) {
    let mut buffer = vec![0; 65_536];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        note(count);
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = (from.shutdown(std::net::Shutdown::Both), to.shutdown(std::net::Shutdown::Both));
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Scene {
    Typing,
    Form,
    Scrolling,
}

impl Scene {
    const ALL: [(Scene, &str); 3] =
        [(Scene::Typing, "typing"), (Scene::Form, "a form opens"), (Scene::Scrolling, "scrolling")];
}

async fn measure(host: &str, source: &str, display: &str, relay: &Relay, steps: usize) -> Result<()> {
    let folder = Folder::new("bench");
    let session: SessionConfig = toml::from_str(&format!("name = 'host'\n{source}"))?;
    let config = Config {
        listen: vec![([127, 0, 0, 1], 0).into()],
        state_directory: Some(folder.path().join("state")),
        sessions: vec![session],
        ..Config::default()
    };
    let gateway = Gateway::start(&config).await?;
    let address = Address::find(&gateway.page_url("host")).await?;
    let mut client = Client::connect_by(address, Roads::OnlyQuic, SIDES).await?;
    sized(&mut client).await?;
    let pen = Pen::new(display)?;
    pen.mark(0)?;
    shown(&mut client, 0).await?;
    for (scene, name) in Scene::ALL {
        let session = gateway.registry().session("host").ok_or("the session is gone")?;
        pen.begin(scene)?;
        pen.mark(1)?;
        shown(&mut client, 1).await?;
        at_rest(&mut client, Duration::from_millis(800)).await?;
        let sent =
            |viewers: Vec<chevet::session::ViewerSnapshot>| viewers.iter().map(|one| one.bytes).sum::<u64>();
        let before = (relay.bytes(), sent(session.viewers().await));
        let (mut from_last, mut from_first) = (histogram()?, histogram()?);
        for step in 0..steps {
            let colour = 2 + step as u32;
            let drawn = Instant::now();
            pen.step(scene, step)?;
            pen.mark(colour)?;
            let seen = shown(&mut client, colour).await?;
            let packets = relay.packets();
            let since: Vec<Instant> =
                packets.iter().map(|(at, _)| *at).filter(|at| (drawn..=seen).contains(at)).collect();
            if let (Some(first), Some(last)) = (since.first(), since.last()) {
                from_first.saturating_record(seen.duration_since(*first).as_micros() as u64);
                from_last.saturating_record(seen.duration_since(*last).as_micros() as u64);
            }
            // Not in step with anything that ticks.
            let pause = Duration::from_micros(60_000 + (step as u64 * 7_919) % 30_000);
            at_rest(&mut client, pause).await?;
        }
        at_rest(&mut client, Duration::from_millis(800)).await?;
        let after = (relay.bytes(), sent(session.viewers().await));
        let quantile = |times: &Histogram<u64>, q| times.value_at_quantile(q) as f64 / 1_000.0;
        println!(
            "| {host} | {name} | {} | {:.2}, {:.2} ms | {:.2}, {:.2} ms | {} | {} |",
            from_last.len(),
            quantile(&from_last, 0.5),
            quantile(&from_last, 0.95),
            quantile(&from_first, 0.5),
            quantile(&from_first, 0.95),
            after.0 - before.0,
            after.1 - before.1,
        );
    }
    client.close().await;
    gateway.stop().await;
    Ok(())
}

fn histogram() -> Result<Histogram<u64>> {
    Ok(Histogram::new_with_bounds(1, 60_000_000, 3)?)
}

/// Of the mark; the host's display has 24 bits.
fn mark_colour(number: u32) -> u32 {
    0x0040_0000 + number * 0x0101
}

/// Waits until the host's screen has its size.
async fn sized(client: &mut Client) -> Result<()> {
    let begun = Instant::now();
    while client.screen().map(|screen| (screen.width(), screen.height())) != Some(SIDES) {
        if begun.elapsed() > PATIENCE {
            return Err("the host's screen never had its size".into());
        }
        if let Ok(event) = tokio::time::timeout(Duration::from_secs(1), client.next()).await {
            event?;
        }
    }
    at_rest(client, Duration::from_millis(500)).await
}

/// Waits until the viewer shows the mark of this number, and says when that was.
async fn shown(client: &mut Client, number: u32) -> Result<Instant> {
    let wanted = mark_colour(number);
    let begun = Instant::now();
    loop {
        let pixel = client.screen().and_then(|screen| {
            let inside = screen.width() > MARK.0 as u32 + 4 && screen.height() > MARK.1 as u32 + 4;
            inside.then(|| screen.row(MARK.0 as u32 + 4, MARK.1 as u32 + 4, 1)[0] & 0x00ff_ffff)
        });
        if pixel == Some(wanted) {
            return Ok(Instant::now());
        }
        if begun.elapsed() > PATIENCE {
            return Err(format!("mark {number} was never shown; there is {pixel:x?}").into());
        }
        if let Ok(event) = tokio::time::timeout(Duration::from_secs(1), client.next()).await {
            event?;
        }
    }
}

/// Goes on for so long.
async fn at_rest(client: &mut Client, pause: Duration) -> Result<()> {
    let until = tokio::time::Instant::now() + pause;
    while let Ok(event) = tokio::time::timeout_at(until, client.next()).await {
        let _: Event = event?;
    }
    Ok(())
}

/// Draws on the host's display.
struct Pen {
    x: RustConnection,
    window: Window,
    ink: u32,
    paper: u32,
}

const WORDS: &[&str] =
    &["tension", "saturation", "bisoprolol", "creatinine", "hemoglobine", "thorax", "bilan", "surveillance"];

fn line(number: usize) -> String {
    // No two lines are alike, as in what people read.
    let dice = |at: usize| ((number * 9 + at) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    let word = |at| format!("{} {}", WORDS[(dice(at) % 8) as usize], dice(at) % 1_000);
    (0..9).map(word).collect::<Vec<_>>().join(" ")
}

impl Pen {
    fn new(display: &str) -> Result<Pen> {
        let (x, screen) = RustConnection::connect(Some(display))?;
        let root = x.setup().roots[screen].clone();
        let (window, ink, paper) = (x.generate_id()?, x.generate_id()?, x.generate_id()?);
        let look = CreateWindowAux::new().background_pixel(root.white_pixel).override_redirect(1);
        let (width, height) = (SIDES.0 as u16, SIDES.1 as u16);
        x.create_window(0, window, root.root, 0, 0, width, height, 0, Default::default(), 0, &look)?;
        let font = x.generate_id()?;
        x.open_font(font, b"fixed")?;
        x.create_gc(
            ink,
            window,
            &CreateGCAux::new().font(font).foreground(0x0020_2630).background(root.white_pixel),
        )?;
        x.create_gc(paper, window, &CreateGCAux::new().graphics_exposures(0))?;
        x.map_window(window)?;
        x.sync()?;
        Ok(Pen { x, window, ink, paper })
    }

    fn fill(&self, colour: u32, x: i16, y: i16, width: u16, height: u16) -> Result<()> {
        self.x.change_gc(self.paper, &ChangeGCAux::new().foreground(colour))?;
        self.x.poly_fill_rectangle(self.window, self.paper, &[Rectangle { x, y, width, height }])?;
        Ok(())
    }

    fn text(&self, x: i16, y: i16, text: &str) -> Result<()> {
        self.x.image_text8(self.window, self.ink, x, y, text.as_bytes())?;
        Ok(())
    }

    /// Draws the mark last, and sends all that was drawn.
    fn mark(&self, number: u32) -> Result<()> {
        self.fill(mark_colour(number), MARK.0, MARK.1, 16, 16)?;
        self.x.flush()?;
        Ok(())
    }

    fn begin(&self, scene: Scene) -> Result<()> {
        self.fill(0x00ff_ffff, 0, 0, SIDES.0 as u16, 740)?;
        if scene == Scene::Scrolling {
            for row in 0..40 {
                self.text(40, 40 + 16 * row as i16, &line(row))?;
            }
        }
        Ok(())
    }

    fn step(&self, scene: Scene, step: usize) -> Result<()> {
        match scene {
            Scene::Typing => {
                let (column, row) = (step % 120, step / 120);
                let letter = line(row).chars().nth(column % 60).unwrap_or('x').to_string();
                self.text(40 + 8 * column as i16, 60 + 20 * row as i16, &letter)
            }
            Scene::Form => {
                self.fill(0x00e8_ecf2, 200, 100, 640, 480)?;
                self.fill(0x0024_4c7c, 200, 100, 640, 28)?;
                for row in 0..14 {
                    self.text(220, 160 + 30 * row, WORDS[(step + row as usize) % WORDS.len()])?;
                    self.fill(0x00ff_ffff, 340, 146 + 30 * row, 470, 20)?;
                    self.text(346, 160 + 30 * row, &line(step * 14 + row as usize)[..50])?;
                }
                Ok(())
            }
            Scene::Scrolling => {
                self.x.copy_area(self.window, self.window, self.paper, 40, 44, 40, 28, 900, 640)?;
                self.fill(0x00ff_ffff, 40, 652, 900, 16)?;
                self.text(40, 664, &line(40 + step))
            }
        }
    }
}
