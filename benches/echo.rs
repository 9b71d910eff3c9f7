//! From a key to the pixels it drew, decoded in the headless viewer: percentiles over a real X server and a program that
//! draws at once, through a gateway and QUIC or WebSocket on the loopback. Also the time from dialling to the first
//! exact screen.
//!
//! `cargo bench --bench echo [-- KEYS]`

use chevet::client::{Address, Client, Event, Roads};
use chevet::gateway::{Config, Gateway, SessionConfig};
use chevet::wire::InputEvent;
use hdrhistogram::Histogram;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use x11rb::connection::Connection;
use x11rb::protocol::Event as XEvent;
use x11rb::protocol::xproto::{
    ChangeGCAux, ConnectionExt, CreateGCAux, CreateWindowAux, EventMask, Rectangle,
};
use x11rb::rust_connection::RustConnection;

const KEYS: usize = 500;
const BLOCK: (i16, i16, u16, u16) = (800, 500, 64, 48);

fn main() {
    // `cargo bench` and `cargo test` pass flags of their own.
    let keys = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(KEYS);
    if std::env::args().any(|word| word == "--test") {
        return;
    }
    let server = XServer::start();
    let display = server.display.clone();
    std::thread::spawn(move || draw_on_keys(&display));
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(measure(&server.display, keys));
}

struct XServer {
    process: Child,
    display: String,
}

impl XServer {
    fn start() -> XServer {
        let (mut reader, writer) = std::io::pipe().expect("a pipe");
        let mut command = Command::new("sh");
        let line = "exec Xtigervnc -displayfd 1 -geometry 1920x1080 -depth 24 -SecurityTypes None -rfbport -1 2>/dev/null";
        let process = command
            .args(["-c", line])
            .stdout(Stdio::from(writer))
            .spawn()
            .expect("Xtigervnc, from the package tigervnc-standalone-server");
        drop(command);
        let mut number = Vec::new();
        let mut byte = [0];
        while reader.read(&mut byte).expect("Xtigervnc's display number") == 1 && byte[0] != b'\n' {
            number.push(byte[0]);
        }
        let display = format!(":{}", String::from_utf8_lossy(&number).trim());
        XServer { process, display }
    }
}

impl Drop for XServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A program that answers every key at once, by painting a block in the next colour.
fn draw_on_keys(display: &str) -> Option<()> {
    let (x, screen) = RustConnection::connect(Some(display)).ok()?;
    let root = &x.setup().roots[screen];
    let (window, paint) = (x.generate_id().ok()?, x.generate_id().ok()?);
    let look = CreateWindowAux::new()
        .background_pixel(root.white_pixel)
        .override_redirect(1)
        .event_mask(EventMask::KEY_PRESS | EventMask::EXPOSURE);
    x.create_window(0, window, root.root, 0, 0, 1920, 1080, 0, Default::default(), 0, &look).ok()?;
    x.create_gc(paint, window, &CreateGCAux::new()).ok()?;
    x.map_window(window).ok()?;
    x.set_input_focus(x11rb::protocol::xproto::InputFocus::PARENT, window, x11rb::CURRENT_TIME).ok()?;
    x.flush().ok()?;
    let mut colour = 0u32;
    loop {
        if let XEvent::KeyPress(_) = x.wait_for_event().ok()? {
            colour = (colour + 1) % 200;
            x.change_gc(paint, &ChangeGCAux::new().foreground(0x0010_2030 + colour)).ok()?;
            let (bx, by, width, height) = BLOCK;
            x.poly_fill_rectangle(window, paint, &[Rectangle { x: bx, y: by, width, height }]).ok()?;
            x.flush().ok()?;
        }
    }
}

async fn measure(display: &str, keys: usize) {
    let config = Config {
        listen: vec![([127, 0, 0, 1], 0).into()],
        sessions: vec![SessionConfig {
            name: "echo".into(),
            display: Some(display.to_owned()),
            ..SessionConfig::default()
        }],
        ..Config::default()
    };
    let gateway = Gateway::start(&config).await.expect("a gateway");
    tokio::time::sleep(Duration::from_secs(1)).await;
    for (name, roads) in [("QUIC", Roads::OnlyQuic), ("WebSocket", Roads::OnlyWebSocket)] {
        let address = Address::find(&gateway.page_url("echo")).await.expect("an address");
        let dialled = Instant::now();
        let mut client = Client::connect_by(address, roads, (0, 0)).await.expect("a client");
        while !matches!(client.next().await.expect("a link"), Event::Exact) {}
        let first_exact = dialled.elapsed();
        let mut times = Histogram::<u64>::new_with_bounds(1, 60_000_000, 3).expect("bounds in order");
        for key in 0..keys {
            times.saturating_record(echo(&mut client).await.as_micros() as u64);
            // Not in step with anything that ticks.
            tokio::time::sleep(Duration::from_micros(3_000 + (key as u64 * 7_919) % 9_000)).await;
        }
        let quantile = |q| times.value_at_quantile(q) as f64 / 1_000.0;
        println!(
            "{name:>9}: first exact screen {:.1} ms; key to pixels over {keys} keys: median {:.2} ms, p95 {:.2}, \
             p99 {:.2}, max {:.2}",
            first_exact.as_secs_f64() * 1e3,
            quantile(0.5),
            quantile(0.95),
            quantile(0.99),
            times.max() as f64 / 1_000.0,
        );
        client.close().await;
    }
    gateway.stop().await;
}

/// Presses a key and waits for the block's new colour.
async fn echo(client: &mut Client) -> Duration {
    let pixel = |client: &Client| client.screen().map(|screen| screen.row(820, 520, 1)[0]);
    let before = pixel(client);
    let pressed = Instant::now();
    client.input(InputEvent::KeyDown { key: 4, keysym: 0x61 });
    while pixel(client) == before {
        client.next().await.expect("a link");
    }
    let taken = pressed.elapsed();
    client.input(InputEvent::KeyUp { key: 4, keysym: 0x61 });
    taken
}
