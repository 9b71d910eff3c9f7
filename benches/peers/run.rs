//! One run: a scene on a display, a viewer of one of the peers behind a relay, and what was seen.

use crate::model::Profile;
use crate::relay::Relay;
use crate::rfb::{Viewer, Wish};
use crate::scenes::{Material, Program, Scene};
use crate::servers::{CpuTime, Gateway, XServer};
use crate::stage::Result;
use crate::witness::{Rehearsal, Watch};
use chevet::client::{Address, Client, Event, Roads};
use chevet::clock;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// A viewer that has not got the opening by then has failed.
const OPENING: Duration = Duration::from_secs(30);
/// On a slow path TigerVNC goes on refining for longer than anybody would wait.
const REFINING: Duration = Duration::from_secs(5);
/// After the last frame, at least this long is counted, and at most that long waited for it to be shown.
const REST: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(6);
/// A lossy viewer has so long to become exact.
const EXACT: Duration = Duration::from_millis(2_500);

#[derive(Clone, Copy, Debug)]
pub enum Side {
    /// Nobody watches: what drawing alone costs the X server.
    Alone,
    Chevet,
    TigerVnc(Wish),
}

/// What a run showed.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    pub frames: u32,
    /// To the viewer, with the headers of packets.
    pub bytes: u64,
    pub packets: u64,
    /// What of the bytes was updates' own; only chevet's viewer says so.
    pub updates: u64,
    pub update_bytes: u64,
    /// Of the server's processes, in nanoseconds.
    pub cpu: u64,
    /// What of it was the gateway's.
    pub gateway_cpu: u64,
    /// From drawing to decoding, in microseconds.
    pub latencies: Vec<u64>,
    pub distinct_frames: usize,
    /// From the last frame's drawing to the whole screen's equality, in microseconds.
    pub exact_after: Option<u64>,
    pub moving_psnr: f64,
    pub resting_psnr: f64,
}

/// What runs are made of.
/// Of a TCP segment, with timestamps.
const TCP_HEADERS: u64 = 52;

pub struct Bench {
    pub material: Material,
    /// The display that chevet shows.
    pub bare: XServer,
    /// The display that speaks RFB.
    pub rfb: XServer,
}

type Shared = Arc<Mutex<Watch>>;

fn locked(watch: &Shared) -> MutexGuard<'_, Watch> {
    watch.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Bench {
    pub fn run(
        &self,
        side: Side,
        scene: Scene,
        rehearsal: &Arc<Rehearsal>,
        profile: Profile,
    ) -> Result<Outcome> {
        let server = if matches!(side, Side::TigerVnc(_)) { &self.rfb } else { &self.bare };
        let mut program = Program::open(scene, &self.material, &server.display)?;
        let watch = Arc::new(Mutex::new(Watch::new(rehearsal.clone(), scene.is_lossy())));
        let stop = Arc::new(AtomicBool::new(false));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let relay = Relay::new(profile, 1);
        let (gateway, viewer) = match side {
            Side::Alone => (None, None),
            Side::Chevet => {
                let gateway = Gateway::start(&server.display, scene.policy())?;
                let (udp, tcp) = ways(&runtime, &relay, gateway.port)?;
                let address = gateway.address(udp, tcp);
                (Some(gateway), Some(watch_chevet(address, watch.clone(), stop.clone())))
            }
            Side::TigerVnc(wish) => {
                let (_, tcp) = ways(&runtime, &relay, server.rfb_port.ok_or("a server without RFB")?)?;
                (None, Some(watch_rfb((Ipv4Addr::LOCALHOST, tcp).into(), wish, watch.clone(), stop.clone())))
            }
        };
        let rfb_port = server.rfb_port.filter(|_| matches!(side, Side::TigerVnc(_)));
        let processes: Vec<u32> =
            [Some(server.id()), gateway.as_ref().map(Gateway::id)].into_iter().flatten().collect();
        let cpu = || processes.iter().map(|&process| CpuTime::of(process)).collect::<Vec<_>>();
        if viewer.is_some() {
            wait_for_opening(&watch, scene.is_lossy())?;
        }
        sleep(Duration::from_millis(300));
        relay.start_counting();
        {
            let mut watch = locked(&watch);
            (watch.updates, watch.update_bytes) = (0, 0);
        }
        let acknowledged = || rfb_port.map_or(0, bare_acknowledgements);
        let acknowledged_before = acknowledged();
        let before = cpu();
        let drawn_at = draw(&mut program, scene, rehearsal.frames())?;
        let drawn = Instant::now();
        match viewer.is_some() {
            true => wait_for_rest(&watch, rehearsal.frames(), drawn),
            false => sleep(REST),
        }
        let used: Vec<u64> = cpu().iter().zip(&before).map(|(now, before)| now.since(*before)).collect();
        // The relay sees all packets of QUIC, but of TCP only what is read.
        let bare = acknowledged() - acknowledged_before;
        let seen = &relay.report()["down"];
        let count = |what: &str| seen[what].as_u64().unwrap_or(0);
        let mut outcome = Outcome {
            frames: rehearsal.frames(),
            bytes: count("bytes") + bare * TCP_HEADERS,
            packets: count("packets") + bare,
            cpu: used.iter().sum(),
            gateway_cpu: used.iter().skip(1).sum(),
            ..Outcome::default()
        };
        if let Some(viewer) = viewer {
            stop.store(true, Ordering::Relaxed);
            drop(gateway);
            drop(runtime);
            viewer.join().map_err(|_| "the viewer panicked")??;
            let watch = locked(&watch);
            outcome.latencies = watch.latencies(&drawn_at, clock::now_us());
            (outcome.updates, outcome.update_bytes) = (watch.updates, watch.update_bytes);
            outcome.distinct_frames = watch.shown_at.len();
            outcome.exact_after =
                drawn_at.last().and_then(|last| watch.exact_at.map(|at| at.saturating_sub(*last)));
            outcome.moving_psnr = watch.moving_psnr();
            outcome.resting_psnr = watch.resting_psnr();
        }
        Ok(outcome)
    }
}

/// Segments without data that came to the relay from this server so far, as the kernel counted them: what acknowledges the
/// viewer's requests and fences, as QUIC's own packets without data do.
fn bare_acknowledgements(port: u16) -> u64 {
    let filter = format!("dport = :{port}");
    let told = std::process::Command::new("ss").args(["-tinH", "state", "established", &filter]).output();
    let told = told.map(|told| String::from_utf8_lossy(&told.stdout).into_owned()).unwrap_or_default();
    let sum = |what: &str| -> u64 {
        told.split_whitespace().filter_map(|word| word.strip_prefix(what)?.parse::<u64>().ok()).sum()
    };
    sum("segs_in:").saturating_sub(sum("data_segs_in:"))
}

fn ways(runtime: &Runtime, relay: &Relay, port: u16) -> Result<(u16, u16)> {
    let here: SocketAddr = (Ipv4Addr::LOCALHOST, 0).into();
    let there: SocketAddr = (Ipv4Addr::LOCALHOST, port).into();
    let open =
        async { Ok::<_, std::io::Error>((relay.udp(here, there).await?, relay.tcp(here, there).await?)) };
    let (udp, tcp) = runtime.block_on(open)?;
    Ok((udp.port(), tcp.port()))
}

/// Draws all frames at their times; returns when each was handed to the server.
fn draw(program: &mut Program, scene: Scene, frames: u32) -> Result<Vec<u64>> {
    let began = Instant::now();
    let mut drawn_at = Vec::new();
    for frame in 1..=frames {
        let due = began + Duration::from_secs(1) * frame / scene.frames_per_second();
        sleep(due.saturating_duration_since(Instant::now()));
        drawn_at.push(clock::now_us());
        program.draw()?;
    }
    program.finish()?;
    Ok(drawn_at)
}

fn wait_for_opening(watch: &Shared, lossy: bool) -> Result<()> {
    let began = Instant::now();
    while began.elapsed() < OPENING {
        sleep(Duration::from_millis(10));
        let watch = locked(watch);
        let quiet = clock::now_us().saturating_sub(watch.updated_at) > 500_000;
        if watch.opened_at.is_some() && (quiet || !lossy || began.elapsed() > REFINING) {
            return Ok(());
        }
    }
    Err("the viewer did not get the opening".into())
}

fn wait_for_rest(watch: &Shared, frames: u32, drawn: Instant) {
    loop {
        sleep(Duration::from_millis(5));
        let waited = drawn.elapsed();
        let watch = locked(watch);
        let shown = watch.shown_at.last().is_some_and(|(frame, _)| *frame == frames);
        let done = shown && waited >= REST && (watch.exact_at.is_some() || waited >= EXACT);
        if done || waited >= PATIENCE {
            return;
        }
    }
}

fn watch_chevet(address: String, watch: Shared, stop: Arc<AtomicBool>) -> JoinHandle<Result<()>> {
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let address = Address::find(&address).await?;
            let mut client = Client::connect_by(address, Roads::OnlyQuic, (0, 0)).await?;
            while !stop.load(Ordering::Relaxed) {
                let Ok(event) = tokio::time::timeout(Duration::from_millis(50), client.next()).await else {
                    continue;
                };
                if let (Event::Updated(update), Some(screen)) = (event?, client.screen()) {
                    let mut watch = locked(&watch);
                    watch.updates += 1;
                    watch.update_bytes += update.applied.bytes as u64;
                    watch.look(screen.pixels());
                }
            }
            Ok(())
        })
    })
}

fn watch_rfb(
    address: SocketAddr,
    wish: Wish,
    watch: Shared,
    stop: Arc<AtomicBool>,
) -> JoinHandle<Result<()>> {
    std::thread::spawn(move || {
        let mut viewer = Viewer::connect(address, wish)?;
        loop {
            match viewer.next_update() {
                Ok(()) => locked(&watch).look(&viewer.screen.pixels),
                // The relay ended with the run.
                Err(_) if stop.load(Ordering::Relaxed) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    })
}
