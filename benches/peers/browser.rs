//! In Chromium: from a key to the pixels on the page's canvas, for chevet's page and for noVNC behind websockify.

use crate::servers::{Gateway, TICKET, XServer, free_port};
use crate::stage::Result;
use serde_json::Value;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use x11rb::connection::Connection;
use x11rb::protocol::Event;
use x11rb::protocol::xproto::*;
use x11rb::rust_connection::RustConnection;

const NOVNC: &str = "/usr/share/novnc";

/// Times in milliseconds, of all rounds.
#[derive(Default)]
pub struct Photons {
    pub novnc: Vec<f64>,
    pub chevet: Vec<f64>,
}

pub fn measure(rounds: usize, keys: usize) -> Result<Photons> {
    let web = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/web");
    if !web.join("node_modules/puppeteer-core").exists() {
        return Err("the page's packages are missing: run `make web` first".into());
    }
    let (bare, rfb) = (XServer::start(false)?, XServer::start(true)?);
    for server in [&bare, &rfb] {
        let display = server.display.clone();
        std::thread::spawn(move || draw_on_keys(&display));
    }
    let gateway = Gateway::start(&bare.display, "balanced")?;
    let websockify = Websockify::start(rfb.rfb_port.ok_or("a server without RFB")?)?;
    let ours = format!("http://127.0.0.1:{}/#session=desk&ticket={TICKET}", gateway.port);
    let theirs = format!("http://127.0.0.1:{}/vnc_lite.html", websockify.port);
    let mut photons = Photons::default();
    for round in 0..rounds {
        let press = |address: &str| press_keys(&web, address, keys);
        if round % 2 == 0 {
            photons.chevet.extend(press(&ours)?);
            photons.novnc.extend(press(&theirs)?);
        } else {
            photons.novnc.extend(press(&theirs)?);
            photons.chevet.extend(press(&ours)?);
        }
    }
    Ok(photons)
}

fn press_keys(web: &Path, address: &str, keys: usize) -> Result<Vec<f64>> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers/browser.mjs");
    let output = Command::new("node").arg(script).arg(web).args([address, &keys.to_string()]).output()?;
    if !output.status.success() {
        return Err(format!("the browser on {address}: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    let answer: Value = serde_json::from_slice(&output.stdout)?;
    Ok(answer["milliseconds"].as_array().into_iter().flatten().filter_map(Value::as_f64).collect())
}

struct Websockify {
    process: Child,
    port: u16,
}

impl Websockify {
    fn start(rfb_port: u16) -> Result<Websockify> {
        if !Path::new(NOVNC).join("vnc_lite.html").exists() {
            return Err(format!("{NOVNC} is missing: run scripts/install.sh peers").into());
        }
        let port = free_port()?;
        let mut command = Command::new("websockify");
        command.args(["--web", NOVNC, &format!("127.0.0.1:{port}"), &format!("127.0.0.1:{rfb_port}")]);
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        for _ in 0..100 {
            std::thread::sleep(std::time::Duration::from_millis(100));
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Ok(Websockify { process, port });
            }
        }
        Err("websockify does not listen".into())
    }
}

impl Drop for Websockify {
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
    x.set_input_focus(InputFocus::PARENT, window, x11rb::CURRENT_TIME).ok()?;
    x.flush().ok()?;
    let mut colour = 0u32;
    loop {
        match x.wait_for_event().ok()? {
            Event::KeyPress(_) => colour = (colour + 1) % 200,
            Event::Expose(_) => {}
            _ => continue,
        }
        x.change_gc(paint, &ChangeGCAux::new().foreground(0x0010_2000 + colour)).ok()?;
        x.poly_fill_rectangle(window, paint, &[Rectangle { x: 800, y: 500, width: 64, height: 48 }]).ok()?;
        x.flush().ok()?;
    }
}
