//! A host whose desktop shows a film on command, and the gateway that it is offered to.

use chevet::client::{Address, Client};
use chevet::gateway::{Access, Config, Gateway};
use chevet::screen::{Framebuffer, HashKey, Rect};
use chevet::session::Session;
use chevet::source::{Canvas, Source, SourceEvent, SourceState};
use chevet::wire::{InputEvent, Policy};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc;

const WIDTH: u32 = 800;
const HEIGHT: u32 = 600;
/// Neither on the tiles' grid nor on that of macroblocks.
pub const FILM: Rect = Rect::new(210, 150, 324, 246);
const SECRET: &str = "the hosts' secret of these tests";

pub struct Stage {
    gateway: Gateway,
    desktop: Arc<Desktop>,
    plays: Arc<AtomicBool>,
}

struct Desktop {
    canvas: Arc<Canvas>,
    newest: Mutex<(Framebuffer, u32)>,
    /// What the film has shown, by what its pixels sum up to.
    shown: Mutex<HashMap<u64, u32>>,
}

/// A desktop takes no input here.
struct Deaf;

impl Source for Deaf {
    fn input(&self, _: InputEvent) {}
    fn resize(&self, _: u32, _: u32) {}
}

impl Stage {
    pub async fn open(policy: Policy) -> Stage {
        let config = Config {
            listen: vec![([127, 0, 0, 1], 0).into()],
            access: Access { host_secret: Some(SECRET.into()), ..Access::default() },
            ..Config::default()
        };
        let gateway = Gateway::start(&config).await.unwrap();
        let canvas = Arc::new(Canvas::new(WIDTH, HEIGHT).unwrap());
        let (events, to_session) = mpsc::channel(8);
        events.send(SourceEvent::State(SourceState::Live)).await.unwrap();
        let desktop = Arc::new(Desktop {
            canvas: canvas.clone(),
            newest: Mutex::new((picture(0), 0)),
            shown: Mutex::default(),
        });
        desktop.paint(0, &Rect::new(0, 0, WIDTH, HEIGHT));
        let session =
            Session::start("film", "Film", HashKey(3), policy, canvas, Arc::new(Deaf), to_session).unwrap();
        let target = Address::parse(&gateway.native_url("film")).unwrap().target;
        tokio::spawn(async move {
            // The source lives as long as its session.
            let _events = events;
            chevet::host::offer(&session, &target, SECRET.as_bytes()).await
        });
        let live =
            || gateway.registry().list().iter().any(|listed| listed.state == "live" && listed.width == WIDTH);
        while !live() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Stage { gateway, desktop, plays: Arc::default() }
    }

    pub fn address(&self) -> Address {
        Address::parse(&self.gateway.native_url("film")).unwrap()
    }

    /// Plays the film 25 times a second.
    pub fn play(&self) {
        self.plays.store(true, Ordering::Relaxed);
        let (desktop, plays) = (self.desktop.clone(), self.plays.clone());
        std::thread::spawn(move || {
            for frame in 1.. {
                if !plays.load(Ordering::Relaxed) {
                    break;
                }
                desktop.paint(frame, &FILM);
                std::thread::sleep(Duration::from_millis(40));
            }
        });
    }

    /// The film stands still from now on.
    pub fn stop(&self) {
        self.plays.store(false, Ordering::Relaxed);
        // A frame may just be being painted.
        std::thread::sleep(Duration::from_millis(60));
    }

    /// Which frame of the film a screen shows from edge to edge, if it shows one.
    pub fn frame_shown(&self, screen: &Framebuffer) -> Option<u32> {
        self.desktop.shown.lock().unwrap().get(&sum_of(screen)).copied()
    }

    /// What the desktop shows, and how many frames of the film have been shown.
    pub fn newest(&self) -> (Framebuffer, u32) {
        self.desktop.newest.lock().unwrap().clone()
    }
}

impl Desktop {
    fn paint(&self, frame: u32, rect: &Rect) {
        let next = picture(frame);
        self.shown.lock().unwrap().insert(sum_of(&next), frame);
        let mut painting = self.canvas.lock();
        for y in rect.y..rect.bottom() {
            let row = next.row(rect.x, y, rect.width);
            painting.framebuffer.row_mut(rect.x, y, rect.width).copy_from_slice(row);
        }
        painting.add_damage(rect);
        drop(painting);
        *self.newest.lock().unwrap() = (next, frame);
        self.canvas.notify();
    }
}

/// FNV-1a over the film's pixels.
fn sum_of(screen: &Framebuffer) -> u64 {
    let rows = (FILM.y..FILM.bottom()).flat_map(|y| screen.row(FILM.x, y, FILM.width));
    rows.fold(0xCBF2_9CE4_8422_2325, |sum, &pixel| (sum ^ u64::from(pixel)).wrapping_mul(0x100_0000_01B3))
}

pub fn shown(client: &Client) -> Framebuffer {
    client.screen().expect("a screen").clone()
}

/// Writing everywhere, and the film.
fn picture(frame: u32) -> Framebuffer {
    let mut screen = Framebuffer::new(WIDTH, HEIGHT).unwrap();
    for y in 0..HEIGHT {
        for (x, pixel) in (0..).zip(screen.row_mut(0, y, WIDTH)) {
            *pixel = if FILM.contains(&Rect::new(x, y, 1, 1)) { soft(x, y, frame) } else { written(x, y) };
        }
    }
    screen
}

/// Swells and turns, so that no part of it is a copy of another.
fn soft(x: u32, y: u32, frame: u32) -> u32 {
    let time = frame as f32 / 6.0;
    let (u, v, swell) = (x as f32 / 23.0, y as f32 / 17.0, 60.0 + 40.0 * time.sin());
    let level = |phase: f32| (128.0 + swell * (u + phase).sin() * (v - phase + time).cos()) as u32;
    level(0.0) << 16 | level(0.7) << 8 | level(1.9)
}

fn written(x: u32, y: u32) -> u32 {
    let letter = (x / 8).wrapping_mul(0x9E37_79B1) ^ (y / 16).wrapping_mul(0x85EB_CA6B);
    let stroke = y % 16 < 10 && letter >> (x % 8 + y % 7) & 1 == 1;
    if stroke { 0x0020_2020 } else { 0x00F4_F4F4 }
}
