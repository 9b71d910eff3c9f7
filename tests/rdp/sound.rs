//! What programs on a host play, as viewers of its session hear it.

use crate::peers::{Channels, Desktop, Folder, Xrdp};
use crate::through::gateway;
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
    let channels = Channels::start(&desktop);
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
