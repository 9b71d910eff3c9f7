//! One screen, two people, in real Chromium: what is presented while they take turns.

use crate::ward::{ANNES, ANNES_COLOUR, PAULS, PAULS_COLOUR, PIN, Ward};
use chevet::seat::{Agent, Seen};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::sync::mpsc;

/// The driver and its browser; asked to end, it takes the browser along.
struct Browser(Child);

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status();
        let _ = self.0.wait();
    }
}

/// Starts the scenario; its steps come line by line.
fn open_browser(folder: &Path, start: &str) -> (Browser, mpsc::UnboundedReceiver<Value>) {
    let web = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/web");
    let built = Command::new("node").args(["build.mjs", "--e2e"]).current_dir(&web).status();
    assert!(built.is_ok_and(|built| built.success()), "the driver could not be built: run `make web` first");
    let frames = folder.to_str().unwrap();
    let mut command = Command::new("node");
    command.arg(web.join("e2e/dist/run.mjs")).args([
        "chromium",
        "about:blank",
        "kiosk",
        frames,
        PIN,
        "2500",
        start,
    ]);
    command.env("CHEVET_WIDTH", "640").env("CHEVET_HEIGHT", "480").env("TMPDIR", folder);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("Node.js");
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (tell, steps) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            let _ = tell.send(serde_json::from_str(&line).unwrap_or(Value::String(line)));
        }
    });
    (Browser(child), steps)
}

async fn step(steps: &mut mpsc::UnboundedReceiver<Value>, wanted: &[&str]) -> Value {
    let mut heard = Vec::new();
    loop {
        let next = tokio::time::timeout(Duration::from_secs(90), steps.recv()).await;
        let Ok(Some(next)) = next else { panic!("the browser never came to {wanted:?}: {heard:?}") };
        if wanted.iter().any(|wanted| next["step"] == *wanted) {
            return next;
        }
        heard.push(next);
    }
}

/// How many pixels of a presented frame have each person's colour.
fn colours(path: &Path) -> (usize, usize) {
    let decoder = png::Decoder::new(BufReader::new(std::fs::File::open(path).unwrap()));
    let mut reader = decoder.read_info().unwrap();
    let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut bytes).unwrap();
    let channels = info.color_type.samples();
    let count = |colour: u32| {
        let [_, red, green, blue] = colour.to_be_bytes();
        bytes[..info.buffer_size()]
            .chunks_exact(channels)
            .filter(|pixel| pixel[..3] == [red, green, blue])
            .count()
    };
    (count(ANNES_COLOUR), count(PAULS_COLOUR))
}

#[tokio::test(flavor = "multi_thread")]
async fn while_two_people_take_turns_at_one_screen_no_frame_shows_one_of_them_in_the_others_place() {
    let ward = Ward::open("kiosk").await;
    let agent = Agent::start(ward.seat("Room 1").await).await.unwrap();
    let start = agent.beginning().url();
    let (tap, seen) = mpsc::channel(8);
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(agent.run(seen, async { drop(ended.await) }, || {}));
    let folder = ward.folder.join("frames");
    std::fs::create_dir_all(&folder).unwrap();
    let (browser, mut steps) = open_browser(&folder, &start);
    assert_eq!(step(&mut steps, &["dark", "failed"]).await["step"], "dark");

    // Each tap: whose badge, and what it leads to. Straight from one to the other, out and in, and each twice.
    let taps = [
        (ANNES, Some("anne")),
        (PAULS, Some("paul")),
        (ANNES, Some("anne")),
        (ANNES, None),
        (PAULS, Some("paul")),
        (PAULS, None),
        (ANNES, Some("anne")),
        (PAULS, Some("paul")),
        (ANNES, Some("anne")),
        (ANNES, None),
    ];
    for (badge, leads_to) in taps {
        // Longer than the time within which a badge that lies there is one tap.
        tokio::time::sleep(Duration::from_millis(1_300)).await;
        tap.send(Seen::Badge(badge.into())).await.unwrap();
        loop {
            let step = step(&mut steps, &["dark", "open", "failed"]).await;
            assert_ne!(step["step"], "failed", "{step}");
            match leads_to {
                None if step["step"] == "dark" => break,
                Some(whose) if step["step"] == "open" => {
                    assert_eq!(step["state"], format!("open {whose}"));
                    break;
                }
                _ => {}
            }
        }
    }
    let done = step(&mut steps, &["done", "failed"]).await;
    assert_eq!(done["step"], "done", "{done}");
    drop(browser);
    let _ = end.send(());
    running.await.unwrap();

    // What the canvas had at each animation frame, by whom the agent had let in at that moment.
    let kinds: BTreeMap<String, u64> = serde_json::from_value(done["kinds"].clone()).unwrap();
    let samples = |who: &str, colour: u32| kinds.get(&format!("{who} {colour:06x}")).copied().unwrap_or(0);
    assert!(samples("Anne Roy", ANNES_COLOUR) > 20 && samples("Paul Petit", PAULS_COLOUR) > 20, "{kinds:?}");
    for (who, colour) in [
        ("Anne Roy", PAULS_COLOUR),
        ("Paul Petit", ANNES_COLOUR),
        ("null", ANNES_COLOUR),
        ("null", PAULS_COLOUR),
    ] {
        assert_eq!(samples(who, colour), 0, "{kinds:?}");
    }

    // What was presented: each stay is one run of frames in its colour, and something that is nobody's lies between any two.
    let mut frames: Vec<PathBuf> =
        std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    frames.retain(|path| path.extension().is_some_and(|kind| kind == "png"));
    frames.sort();
    let mut runs: Vec<&str> = Vec::new();
    for path in &frames {
        let shown = match colours(path) {
            (0, 0) => "nobody",
            (_, 0) => "anne",
            (0, _) => "paul",
            both => panic!("{} shows both: {both:?}", path.display()),
        };
        if runs.last() != Some(&shown) {
            runs.push(shown);
        }
    }
    println!("{} frames presented, {} canvases read: {runs:?}", frames.len(), done["samples"]);
    let stays: Vec<&str> = runs.iter().copied().filter(|shown| *shown != "nobody").collect();
    let wanted: Vec<&str> = taps.iter().filter_map(|(_, leads_to)| *leads_to).collect();
    assert_eq!(stays, wanted, "{runs:?}");
    assert!(
        runs.windows(2).all(|two| two.contains(&"nobody")),
        "one follows the other without dark: {runs:?}"
    );
}
