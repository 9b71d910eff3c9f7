//! What programs on a host play, as viewers of its session hear it.

use crate::peers::{Channels, Desktop, Folder, Xrdp, free_port};
use crate::through::{gateway, until, view};
use crate::{show, xrdp_settings};
use chevet::client::{Address, Client, Event, Roads, SignedIn, Site};
use chevet::gateway::{Config, Gateway};
use chevet::identity::{Hasher, add_user};
use chevet::link::{Incoming, Road, dial};
use chevet::source::rdp::RdpSettings;
use chevet::store::{Role, Store};
use chevet::wire::{Attach, Control, Role as Peer, features};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The sample rate of what is heard.
const RATE: f64 = 48_000.0;

/// How much of some samples' power is of one frequency (Goertzel's algorithm): 1 is all of it.
fn share(samples: &[f64], hertz: f64) -> f64 {
    let turn = 2.0 * (hertz / RATE * std::f64::consts::TAU).cos();
    let (mut one, mut two) = (0.0, 0.0);
    for sample in samples {
        (one, two) = (sample + turn * one - two, one);
    }
    let power: f64 = samples.iter().map(|sample| sample * sample).sum();
    (one * one + two * two - turn * one * two) * 2.0 / (power * samples.len() as f64).max(1.0)
}

/// The left channel of a WAV file; nothing while its header does not say how long it is.
fn left(path: &Path) -> Vec<f64> {
    let bytes = std::fs::read(path).unwrap_or_default();
    assert!(bytes.is_empty() || bytes.starts_with(b"RIFF"));
    let Some(length) = bytes.get(40..44) else { return Vec::new() };
    let length = u32::from_le_bytes(length.try_into().unwrap()) as usize;
    assert!(length + 44 <= bytes.len());
    let (frames, _) = bytes[44..44 + length].as_chunks::<4>();
    frames.iter().map(|&[low, high, _, _]| f64::from(i16::from_le_bytes([low, high]))).collect()
}

/// A `chevet view` that writes what it hears.
struct Hearer {
    process: std::process::Child,
    file: std::path::PathBuf,
}

impl Hearer {
    fn start(url: &str, road: &str, file: &Path) -> Hearer {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chevet"));
        command.args(["view", "--headless", "--road", road, "--sound"]).arg(file).arg(url);
        let process = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        Hearer { process, file: file.to_owned() }
    }

    /// Waits until it has heard so many seconds.
    fn wait_for(&self, seconds: f64) {
        let bytes = 44 + (seconds * RATE * 4.0) as u64;
        let end = Instant::now() + Duration::from_secs(30);
        let length = || std::fs::metadata(&self.file).map_or(0, |file| file.len());
        while length() < bytes {
            assert!(Instant::now() < end, "{} bytes were heard, not {bytes}", length());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What it heard, once it has been told to end.
    fn finish(mut self) -> Vec<f64> {
        let process = rustix::process::Pid::from_child(&self.process);
        rustix::process::kill_process(process, rustix::process::Signal::INT).unwrap();
        assert!(self.process.wait().unwrap().success());
        left(&self.file)
    }
}

impl Drop for Hearer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tone_that_is_played_on_a_host_is_heard_as_that_tone_on_every_road() {
    let desktop = Desktop::start(800, 600);
    let channels = Channels::start(&desktop.display);
    let xrdp = Xrdp::start_with_sound(&desktop, &channels);
    let folder = Folder::new("sound");
    let gateway = gateway(xrdp.port, &folder).await;
    let url = gateway.page_url("ward");
    let hearers = ["quic", "websocket"].map(|road| {
        let file = folder.path().join(format!("{road}.wav"));
        (road, Hearer::start(&url, road, &file))
    });
    let heard = tokio::task::spawn_blocking(move || {
        let _player = channels.play(440.0);
        hearers.iter().for_each(|(_, hearer)| hearer.wait_for(3.0));
        hearers.map(|(road, hearer)| (road, hearer.finish()))
    });
    for (road, samples) in heard.await.unwrap() {
        // The beginning is the encoder's own.
        let settled = &samples[4_800..];
        let second = &settled[settled.len() - 48_000..];
        let (tone, other) = (share(second, 440.0), share(second, 880.0));
        println!("{road}: {} seconds, {tone:.3} of it at 440 Hz", samples.len() as f64 / RATE);
        assert!(tone > 0.9 && other < 0.02, "{road}: {tone} at 440 Hz, {other} at 880 Hz");
        let loudest = second.iter().fold(0.0_f64, |most, sample| most.max(sample.abs()));
        assert!((6_000.0..10_000.0).contains(&loudest), "{road}: {loudest}");
    }
    gateway.stop().await;
}

fn is_sound(event: Option<&Event>) -> bool {
    matches!(event, Some(Event::Heard(_)))
}

/// Drives two clients until the first has heard so much more; how often the second did meanwhile.
async fn hear(first: &mut Client, second: &mut Client, packets: usize) -> usize {
    let (mut heard, mut other) = (0, 0);
    let end = Instant::now() + Duration::from_secs(20);
    while heard < packets {
        assert!(Instant::now() < end, "{heard} packets were heard, not {packets}");
        tokio::select! {
            event = first.next() => heard += usize::from(is_sound(Some(&event.unwrap()))),
            event = second.next() => other += usize::from(is_sound(Some(&event.unwrap()))),
        }
    }
    other
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_is_told_that_there_is_sound_and_sent_it_only_while_it_wants_to_hear() {
    let desktop = Desktop::start(640, 480);
    let channels = Channels::start(&desktop.display);
    let xrdp = Xrdp::start_with_sound(&desktop, &channels);
    let folder = Folder::new("muted");
    let gateway = gateway(xrdp.port, &folder).await;
    let (mut quiet, mut loud) = (view(&gateway).await, view(&gateway).await);
    let player = tokio::task::spawn_blocking(move || (channels.play(440.0), channels));
    loud.hear(true);
    let told = |event: Option<&Event>, _: &Client| matches!(event, Some(Event::Sound(Some(_))));
    until(&mut quiet, "who is muted is told that there is sound", told).await;
    assert_eq!(hear(&mut loud, &mut quiet, 50).await, 0);
    quiet.hear(true);
    until(&mut quiet, "who is muted no longer hears", |event, _| is_sound(event)).await;
    assert!(hear(&mut loud, &mut quiet, 50).await > 10);
    quiet.hear(false);
    // What was on its way arrives first.
    hear(&mut loud, &mut quiet, 50).await;
    assert_eq!(hear(&mut loud, &mut quiet, 50).await, 0);
    // Who comes later is told, too.
    let mut late = view(&gateway).await;
    until(&mut late, "who comes later is told that there is sound", told).await;
    drop(player.await.unwrap());
    gateway.stop().await;
}

/// Attaches by hand as a viewer of an earlier version, which yet asks for sound; `true` if it was told of any or sent some
/// before it was answered so many times.
async fn is_heard_of(address: &Address, answers: usize) -> bool {
    let (link, mut inbox) = dial(&address.target, Road::Quic).await.unwrap();
    link.welcome_updates();
    link.control(&Control::Hello { major: 1, minor: 4, role: Peer::Viewer, software: "old".into() });
    link.control(&Control::Attach(Attach {
        session: address.session.clone(),
        ticket: address.ticket.clone(),
        width: 0,
        height: 0,
        cache_bytes: 0,
        features: features::PARTS | features::CLIP,
        token: None,
        screen: None,
    }));
    link.control(&Control::SoundWanted { wanted: true });
    for number in 0..answers as u64 {
        link.control(&Control::Ping { number, time_us: 1 });
        loop {
            match tokio::time::timeout(Duration::from_secs(20), inbox.next()).await.unwrap().unwrap() {
                Incoming::Control(Control::Pong { number: answered, .. }) if answered == number => break,
                Incoming::Sound(_) | Incoming::Control(Control::Sound(_)) => return true,
                _ => {}
            }
        }
    }
    false
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_of_an_earlier_version_is_served_without_sound() {
    let desktop = Desktop::start(640, 480);
    let channels = Channels::start(&desktop.display);
    let xrdp = Xrdp::start_with_sound(&desktop, &channels);
    let folder = Folder::new("earlier");
    let gateway = gateway(xrdp.port, &folder).await;
    let mut loud = view(&gateway).await;
    loud.hear(true);
    let player = tokio::task::spawn_blocking(move || (channels.play(440.0), channels));
    until(&mut loud, "the others hear", |event, _| is_sound(event)).await;
    let address = Address::find(&gateway.page_url("ward")).await.unwrap();
    let earlier = tokio::spawn(async move { is_heard_of(&address, 200).await });
    while !earlier.is_finished() {
        until(&mut loud, "the others still hear", |event, _| is_sound(event)).await;
    }
    assert!(!earlier.await.unwrap());
    drop(player.await.unwrap());
    gateway.stop().await;
}

async fn sign_in(port: u16, name: &str) -> Client {
    let site = Site { host: "127.0.0.1".into(), port, tls: false, pins: Vec::new(), proxy: None };
    let person = SignedIn::with_password(site, name, "a long enough password", None, "").await.unwrap();
    let address = person.address("ward").await.unwrap();
    let mut client = Client::connect_by(address, Roads::default(), (0, 0)).await.unwrap();
    client.hear(true);
    client
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_hear_by_policy_is_neither_told_nor_sent_anything() {
    let desktop = Desktop::start(640, 480);
    let channels = Channels::start(&desktop.display);
    let xrdp = Xrdp::start_with_sound(&desktop, &channels);
    let folder = Folder::new("policy");
    let (port, password) = (free_port(), folder.write("password", "secret\n"));
    let text = format!(
        "listen = ['127.0.0.1:{port}']\nstate_directory = '{}'\n[sign_in]\n[[session]]\nname = 'ward'\n\
         rdp = {{ address = 'localhost:{}', user = 'nurse', password_file = '{}', screen_sign_in = true }}\n\
         [[publish]]\nsession = 'ward'\ngroups = ['nurses']\n[[policy]]\nusers = ['paul']\nsound = false\n",
        folder.path().join("state").display(),
        xrdp.port,
        password.display(),
    );
    let config = Config::read(&folder.write("gateway.toml", &text)).unwrap();
    let gateway = Gateway::start(&config).await.unwrap();
    let store = Store::open(&config.store_url().unwrap()).await.unwrap();
    let hash = Hasher::default().hash("a long enough password").await.unwrap();
    for name in ["anne", "paul"] {
        let id = add_user(&store, name, name, Role::User, &["nurses".into()], 0).await.unwrap();
        store.set_password(&id, &hash).await.unwrap();
    }
    let mut anne = sign_in(port, "anne").await;
    let player = tokio::task::spawn_blocking(move || (channels.play(440.0), channels));
    until(&mut anne, "Anne hears", |event, _| is_sound(event)).await;
    anne.close().await;
    let mut paul = sign_in(port, "paul").await;
    let (mut sounds, mut rounds) = (0, 0);
    until(&mut paul, "Paul sees the session for a while", |event, client| {
        sounds += usize::from(is_sound(event) || matches!(event, Some(Event::Sound(_))));
        if event.is_none() && client.screen().is_some() {
            rounds += 1;
        }
        rounds > 40
    })
    .await;
    assert_eq!(sounds, 0);
    paul.close().await;
    // Nothing was wrong with the sound.
    let mut anne = sign_in(port, "anne").await;
    until(&mut anne, "Anne hears again", |event, _| is_sound(event)).await;
    drop(player.await.unwrap());
    gateway.stop().await;
}

#[test]
fn a_host_whose_sound_is_not_wanted_is_not_asked_for_it() {
    let desktop = Desktop::start(640, 480);
    let channels = Channels::start(&desktop.display);
    let xrdp = Xrdp::start_with_sound(&desktop, &channels);
    let asked = || xrdp.log().matches("Adding channel: name rdpsnd").count();
    let mut shown = show(RdpSettings { sound: false, ..xrdp_settings(xrdp.port) }, "any", (640, 480));
    shown.wait_live();
    assert_eq!(asked(), 0, "{}", xrdp.log());
    drop(shown);
    let mut shown = show(xrdp_settings(xrdp.port), "any", (640, 480));
    shown.wait_live();
    assert_eq!(asked(), 1, "{}", xrdp.log());
}

/// What a browser's driver said, run against a page in a scenario (src/web/e2e).
fn browse(browser: &str, url: &str, web_transport: &str, folder: &Path) -> Vec<Value> {
    let web = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/web");
    assert!(
        web.join("node_modules/esbuild").exists(),
        "the page's packages are missing: run `make web` first"
    );
    let node = |arguments: &[&str]| {
        let mut command = Command::new("node");
        command.args(arguments).current_dir(&web).stdin(Stdio::null());
        command
    };
    assert!(node(&["build.mjs", "--e2e"]).status().unwrap().success());
    let mut driver = node(&["e2e/dist/run.mjs", browser, url, "sound"]);
    driver.env("CHEVET_WEBTRANSPORT", web_transport).env("CHEVET_LANGUAGE", "fr").env("TMPDIR", folder);
    let output = driver.stderr(Stdio::inherit()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{browser} failed: {text}");
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

async fn a_tone_is_heard_in(browser: &'static str, web_transport: &'static str) {
    let desktop = Desktop::start(640, 480);
    let channels = Channels::start(&desktop.display);
    let xrdp = Xrdp::start_with_sound(&desktop, &channels);
    let folder = Folder::new(&format!("browser-{browser}-{web_transport}"));
    let gateway = gateway(xrdp.port, &folder).await;
    // The tone is there when the page comes, or comes meanwhile: the button does when it is.
    let mut first = view(&gateway).await;
    until(&mut first, "the session is there", |_, client| client.screen().is_some()).await;
    let (url, place) = (gateway.page_url("ward"), folder.path().to_owned());
    let steps = tokio::task::spawn_blocking(move || {
        let _player = channels.play(440.0);
        browse(browser, &url, web_transport, &place)
    });
    let steps = steps.await.unwrap();
    let step = |name: &str| {
        let found = steps.iter().find(|step| step["step"] == name);
        found.unwrap_or_else(|| panic!("{browser} said no {name:?}: {steps:?}"))
    };
    let heard = step("heard");
    println!("{browser}: {heard}");
    let number = |name: &str| heard[name].as_f64().unwrap();
    assert!((number("hertz") - 440.0).abs() < 5.0 && number("loudness") > 0.1, "{heard}");
    assert!(heard["player"] == "running" && number("played") > number("decoded") / 2.0, "{heard}");
    let (muted, unmuted) = (step("muted"), step("unmuted"));
    assert_eq!(
        (&muted["loud"], &muted["word"], &muted["kept"]),
        (&"Couper le son".into(), &"Remettre le son".into(), &"1".into())
    );
    assert_eq!((&unmuted["word"], &unmuted["kept"]), (&"Couper le son".into(), &Value::Null));
    first.close().await;
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_chromium_a_tone_is_heard_once_its_user_does_something_and_can_be_muted() {
    a_tone_is_heard_in("chromium", "on").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_chromium_without_webtransport_a_tone_is_heard_too() {
    a_tone_is_heard_in("chromium", "off").await;
}
