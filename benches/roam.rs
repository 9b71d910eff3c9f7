//! From a tap of a badge to the exact 1920x1080 screen, decoded at the seat: two enrolled seats of one gateway on the loopback, tapped by
//! turns, so that each tap takes the session from the other seat. Gateway, seats and viewers are in this process; what is
//! between them is real sockets.
//!
//! The stages are the spans that the client itself makes: `ticket` (the signed tap and its answer), `attach` (dialling, TLS, the
//! session's word), `first exact` (pixels, and the proof of them).
//!
//! `cargo bench --bench roam [-- TAPS]`

use chevet::client::seat::{How, Opened, Seat, SeatFile, Tapped, show_exact};
use chevet::client::{Client, ClientError};
use chevet::clock;
use chevet::gateway::{Config, Gateway};
use chevet::identity::{Hasher, add_user, badge_number, new_id, new_seat_code};
use chevet::store::{Role, SeatMode, Store};
use chevet::wire::CloseCode;
use hdrhistogram::Histogram;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

const TAPS: usize = 100;
const STAGES: [&str; 3] = ["ticket", "attach", "first exact"];
const BADGE: &str = "04A22F91";
const PIN: &str = "4711";
/// A seat's taps are limited to bursts; nobody taps faster than this for long.
const BETWEEN: Duration = Duration::from_millis(150);

/// How long each span of the client took, by its name.
#[derive(Clone, Default)]
struct Stages(Arc<Mutex<HashMap<&'static str, Duration>>>);

/// When a span was made.
struct Made(Instant);

impl<S: tracing::Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Stages {
    fn on_new_span(
        &self,
        _: &tracing::span::Attributes<'_>,
        id: &tracing::span::Id,
        context: Context<'_, S>,
    ) {
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(Made(Instant::now()));
        }
    }

    fn on_close(&self, id: tracing::span::Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else { return };
        let took = span.extensions().get::<Made>().map(|made| made.0.elapsed());
        if let (Some(took), true) = (took, STAGES.contains(&span.name())) {
            self.0.lock().expect("no holder panics").insert(span.name(), took);
        }
    }
}

fn main() {
    // `cargo bench` and `cargo test` pass flags of their own.
    if std::env::args().any(|word| word == "--test") {
        return;
    }
    let taps = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(TAPS);
    let stages = Stages::default();
    let only_ours = tracing_subscriber::filter::filter_fn(|at| at.target().starts_with("chevet::client"));
    let layer = stages.clone().with_filter(only_ours);
    let subscriber = tracing_subscriber::registry().with(layer);
    tracing::subscriber::set_global_default(subscriber).expect("there is no other one");
    let folder = std::env::temp_dir().join(format!("chevet-roam-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder for the gateway's state");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(measure(&folder, taps, &stages));
    let _ = std::fs::remove_dir_all(&folder);
}

async fn measure(folder: &std::path::Path, taps: usize, stages: &Stages) {
    let text = format!(
        "listen = ['127.0.0.1:0']\nstate_directory = {folder:?}\n[sign_in]\n[[publish]]\nsession = 'desk'\n\
         users = ['anne']\n[[session]]\nname = 'desk'\n\
         pattern = {{ width = 1920, height = 1080, frames_per_second = 0, seed = 1 }}\n"
    );
    let config: Config = toml::from_str(&text).expect("a configuration");
    let gateway = Gateway::start(&config).await.expect("a gateway");
    let store = Store::open(&config.store_url().expect("a store")).await.expect("a store");
    let keys = chevet::gateway::kept_keys(&config).expect("the gateway's keys");
    let anne = add_user(&store, "anne", "Anne Roy", Role::User, &[], 0).await.expect("a user");
    let pin = Hasher::default().hash_pin(PIN).await.expect("a hash");
    store.set_pin(&anne, &pin).await.expect("a PIN");
    let number = badge_number(BADGE).expect("a number");
    store.add_badge(&new_id(), &keys.badge_hash(&number), &anne, 0).await.expect("a badge");
    let page = format!("http://{}/", gateway.addresses()[0]);
    let mut seats = Vec::new();
    for name in ["Room 1", "Room 2"] {
        let code =
            new_seat_code(&store, name, "east", SeatMode::Wedge, clock::unix_ms()).await.expect("a code");
        let file = SeatFile::enrol(&page, None, &code).await.expect("an enrolment");
        seats.push(Seat::open(file).await.expect("a seat"));
    }

    // The shift begins with the PIN; it is not measured.
    let Tapped::Pin(waiting) = seats[1].tap_here(BADGE).await.expect("an answer") else {
        panic!("the first tap was to ask for the PIN")
    };
    let Tapped::Open(opened) = seats[1].pin_here(&waiting, PIN).await.expect("an answer") else {
        panic!("the PIN was to open the session")
    };
    let mut before = show(opened).await;
    let new = || Histogram::<u64>::new_with_bounds(1, 60_000_000, 3).expect("bounds in order");
    let mut times: HashMap<&str, Histogram<u64>> = STAGES.iter().map(|stage| (*stage, new())).collect();
    let (mut all, mut dark) = (new(), new());
    for tap in 0..taps {
        let seat = &seats[tap % 2];
        // The agent has a nonce at hand before anybody comes.
        seat.ready().await.expect("a nonce");
        let other = tokio::spawn(async move { until_dark(&mut before).await });
        tokio::time::sleep(BETWEEN + Duration::from_micros((tap as u64 * 7_919) % 9_000)).await;
        stages.0.lock().expect("no holder panics").clear();
        let seen = Instant::now();
        let Tapped::Open(opened) = seat.tap_here(BADGE).await.expect("an answer") else {
            panic!("a tap within the grace asked for the PIN")
        };
        before = show(opened).await;
        all.saturating_record(seen.elapsed().as_micros() as u64);
        let went_dark = other.await.expect("the other seat is told");
        dark.saturating_record(went_dark.saturating_duration_since(seen).as_micros() as u64);
        let took = stages.0.lock().expect("no holder panics").clone();
        for stage in STAGES {
            let micros = took.get(stage).expect("the client makes a span of each stage").as_micros();
            times.get_mut(stage).expect("one for each").saturating_record(micros as u64);
        }
    }
    println!("{taps} taps at two seats by turns, each taking the session from the other, 1920x1080:");
    let named = STAGES.iter().map(|stage| (*stage, &times[stage]));
    for (name, times) in named.chain([("tap to exact screen", &all), ("tap to dark elsewhere", &dark)]) {
        let quantile = |q| times.value_at_quantile(q) as f64 / 1_000.0;
        let max = times.max() as f64 / 1_000.0;
        println!("{name:>22}: p50 {:7.2} ms, p95 {:7.2}, max {max:7.2}", quantile(0.5), quantile(0.95));
    }
    gateway.stop().await;
}

/// The session on the screen of a seat, to the pixel.
async fn show(opened: Opened) -> Client {
    let How::Here(here) = opened.how else { panic!("it was for a page") };
    let address = here.address.expect("a session is opened");
    let client = show_exact(address).await.expect("an exact screen");
    let screen = client.screen().expect("a screen");
    assert_eq!((screen.width(), screen.height()), (1920, 1080));
    client
}

/// Until the session has gone to the other seat, and when that was.
async fn until_dark(client: &mut Client) -> Instant {
    loop {
        match client.next().await {
            Ok(_) => {}
            Err(ClientError::Closed(closed)) if closed.code == CloseCode::TAKEN_OVER => {
                return Instant::now();
            }
            Err(error) => panic!("the other seat lost the session otherwise: {error}"),
        }
    }
}
