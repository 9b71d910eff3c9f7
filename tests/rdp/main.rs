//! The RDP source against real servers (Debian packages xrdp, tigervnc-standalone-server, freerdp2-shadow-x11, xvfb, xterm,
//! x11-utils, openssl, krb5-kdc, krb5-admin-server, python3-gssapi): what is drawn arrives, what is typed is received, and hosts that lie, hang or change are survived.
#![cfg(feature = "rdp")]

mod asking;
mod hostile;
mod kerberos;
mod peers;
mod pictures;
mod realm;
mod remote_app;
#[allow(dead_code, reason = "shared with the X11 source's tests")]
#[path = "../x11_source/server.rs"]
mod server;
mod session;
mod sound;
#[allow(dead_code, reason = "shared with the X11 source's tests")]
#[path = "../x11_source/terminal.rs"]
mod terminal;
mod through;
mod xorg;

use chevet::source::rdp::{KnownHosts, Login, Notice, RdpConfig, RdpSettings, RdpSource};
use chevet::source::{Canvas, SourceEvent, SourceState};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{Receiver, channel};

/// A source under test with its canvas, and all that it has told.
struct Shown {
    canvas: Arc<Canvas>,
    events: Receiver<SourceEvent>,
    source: RdpSource,
    password: Arc<Mutex<String>>,
    notices: Arc<Mutex<Vec<Notice>>>,
}

fn xrdp_settings(port: u16) -> RdpSettings {
    RdpSettings { screen_sign_in: true, ..nla_settings(port) }
}

fn nla_settings(port: u16) -> RdpSettings {
    RdpSettings { address: format!("localhost:{port}"), user: "nurse".into(), ..RdpSettings::default() }
}

fn show(settings: RdpSettings, password: &str, size: (u32, u32)) -> Shown {
    show_knowing(settings, password, size, Arc::new(KnownHosts::new(None)))
}

fn show_knowing(settings: RdpSettings, password: &str, size: (u32, u32), known: Arc<KnownHosts>) -> Shown {
    let canvas = Arc::new(Canvas::new(16, 16).unwrap());
    let (sender, events) = channel(4_096);
    let password = Arc::new(Mutex::new(password.to_owned()));
    let notices = Arc::new(Mutex::new(Vec::new()));
    let (asked, told) = (password.clone(), notices.clone());
    let user = settings.user.clone();
    let keyring = move || {
        let password = asked.lock().unwrap().clone().into();
        Ok(Login { user: user.clone(), domain: String::new(), password })
    };
    let config = RdpConfig {
        settings,
        keyring: Arc::new(keyring),
        known,
        size,
        notify: Arc::new(move |notice| told.lock().unwrap().push(notice)),
    };
    let source = RdpSource::start(config, canvas.clone(), sender).unwrap();
    Shown { canvas, events, source, password, notices }
}

/// Tries until it is so; fails with what it should have been.
fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < end, "never happened: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

impl Shown {
    /// The next event that `wanted` takes; others are passed over.
    fn event<T>(&mut self, what: &str, mut wanted: impl FnMut(&SourceEvent) -> Option<T>) -> T {
        let mut found = None;
        let mut last = String::new();
        let end = Instant::now() + Duration::from_secs(30);
        while found.is_none() {
            while let (None, Ok(event)) = (&found, self.events.try_recv()) {
                if let SourceEvent::State(SourceState::Waiting(text)) = &event {
                    last.clone_from(text);
                }
                found = wanted(&event);
            }
            assert!(Instant::now() < end, "never happened: {what}; the last it said was {last:?}");
            std::thread::sleep(Duration::from_millis(2));
        }
        found.unwrap()
    }

    fn wait_live(&mut self) {
        self.event("the source is live", |event| {
            matches!(event, SourceEvent::State(SourceState::Live)).then_some(())
        });
    }

    /// The next reason for which it waits, beside that it connects.
    fn wait_reason(&mut self) -> String {
        self.event("the source waits", |event| match event {
            SourceEvent::State(SourceState::Waiting(text)) if !text.starts_with("connecting") => {
                Some(text.clone())
            }
            _ => None,
        })
    }

    fn pixels(&self) -> (u32, u32, Vec<u32>) {
        let painting = self.canvas.lock();
        let screen = &painting.framebuffer;
        (screen.width(), screen.height(), screen.pixels().to_vec())
    }

    /// Waits until the canvas holds what the X server says that it shows, every pixel of it.
    fn expect_same(&self, display: &str) {
        self.expect_same_where(display, |_, _| true);
    }

    /// The same of the pixels at these places, column and row.
    fn expect_same_where(&self, display: &str, counts: impl Fn(usize, usize) -> bool) {
        let mut wrong;
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            let (width, height, there) = peers::screen(display);
            let (w, h, here) = self.pixels();
            if (w, h) == (width, height) {
                let place = |at: usize| (at % w as usize, at / w as usize);
                let counts = |at: &usize| counts(place(*at).0, place(*at).1) && there[*at] != here[*at];
                let differ: Vec<usize> = (0..there.len()).filter(counts).collect();
                let Some(first) = differ.first() else { return };
                let first = place(*first);
                wrong = format!("{} of {} pixels differ, the first at {first:?}", differ.len(), there.len());
            } else {
                wrong = format!("{w} x {h} instead of {width} x {height}");
            }
            assert!(Instant::now() < end, "the canvas never shows what the server does: {wrong}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
