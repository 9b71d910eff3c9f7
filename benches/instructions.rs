//! Instructions a tile on the hot path, counted by valgrind: the same on any machine with the same features, however busy.
//!
//!   cargo bench --bench instructions             counts, and fails if a count is 3 % above the recorded one
//!   CHEVET_RECORD=1 cargo bench --bench ...      records the counts in benches/instructions.txt
//!
//! Needs valgrind (Debian's package).

use chevet::codec::video::I420;
use chevet::codec::{Decoder, Encoder};
use chevet::screen::{Framebuffer, HashKey, Rect, TileId, TileSet, find_changes, hash_tile};
use chevet::sync::{Delivery, Scene};
use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::Path;
use std::process::{Command, ExitCode};

const WIDTH: u32 = 640;
const HEIGHT: u32 = 512;
const MORE_IS_WORSE_PERCENT: u64 = 3;

type Case = (&'static str, fn());

const CASES: [Case; 7] = [
    ("hash", hash),
    ("compare", compare),
    ("encode text", || encode(&text())),
    ("encode picture", || encode(&picture())),
    ("decode text", || decode(&text())),
    ("deliver", deliver),
    ("colours of video", colours),
];

fn main() -> ExitCode {
    let named = std::env::var("CHEVET_CASE").ok();
    if let Some((_, run)) = named.and_then(|name| CASES.into_iter().find(|(case, _)| *case == name)) {
        run();
        return ExitCode::SUCCESS;
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/instructions.txt");
    let recorded = read(&path);
    let tiles = u64::from(WIDTH / 64 * HEIGHT / 64);
    let mut lines = String::new();
    let mut worse = false;
    for (name, _) in CASES {
        let a_tile = count(name) / tiles;
        lines += &format!("{name}: {a_tile}\n");
        let before = recorded.get(name).copied();
        worse |= before.is_some_and(|before| a_tile * 100 > before * (100 + MORE_IS_WORSE_PERCENT));
        let before = before.map_or("not recorded".to_owned(), |before| format!("recorded {before}"));
        println!("{name:<18} {a_tile:>8} instructions a tile ({before})");
    }
    if std::env::var_os("CHEVET_RECORD").is_some() {
        std::fs::write(&path, lines).expect("the counts can be recorded");
        return ExitCode::SUCCESS;
    }
    if worse {
        eprintln!("a count is more than {MORE_IS_WORSE_PERCENT} % above the recorded one");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn read(path: &Path) -> BTreeMap<String, u64> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let line = |line: &str| {
        let (name, count) = line.split_once(": ")?;
        Some((name.to_owned(), count.parse().ok()?))
    };
    text.lines().filter_map(line).collect()
}

/// The instructions of one case inside `measured`, which every case calls once, warm.
fn count(name: &str) -> u64 {
    let this = std::env::current_exe().expect("a program has a path");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--collect-atstart=no", "--toggle-collect=*measured*"])
        .args(["--callgrind-out-file=/dev/null"])
        .arg(this)
        .env("CHEVET_CASE", name)
        .output()
        .unwrap_or_else(|error| panic!("starting valgrind: {error}; apt-get install valgrind"));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let total = text.lines().find_map(|line| line.split("Collected : ").nth(1));
    let total = total.and_then(|total| total.trim().parse().ok());
    total.unwrap_or_else(|| panic!("valgrind counted nothing for {name:?}:\n{text}"))
}

#[inline(never)]
fn measured<R>(work: impl FnOnce() -> R) -> R {
    black_box(work())
}

fn hash() {
    let screen = text();
    let grid = screen.grid();
    measured(|| {
        for tile in 0..grid.len() as TileId {
            black_box(hash_tile(HashKey(7), &screen, &grid.rect(tile)));
        }
    });
}

fn compare() {
    let (old, new) = (text(), text());
    let all = TileSet::full(new.grid().len());
    measured(|| find_changes(&old, &new, &all));
}

fn encode(screen: &Framebuffer) {
    let tiles: Vec<TileId> = (0..screen.grid().len() as TileId).collect();
    let (mut encoder, mut out) = (Encoder::new(), Vec::with_capacity(1 << 20));
    encoder.encode(screen, &tiles, &mut out);
    out.clear();
    measured(|| encoder.encode(screen, &tiles, &mut out));
}

fn decode(screen: &Framebuffer) {
    let tiles: Vec<TileId> = (0..screen.grid().len() as TileId).collect();
    let (mut decoder, mut out) = (Decoder::new(), Vec::new());
    Encoder::new().encode(screen, &tiles, &mut out);
    let mut take = |_: usize, _: &Rect, pixels: &[u32]| {
        black_box(pixels[0]);
    };
    decoder.decode(&out, screen.grid(), &tiles, &mut take).expect("what was encoded decodes");
    measured(|| decoder.decode(&out, screen.grid(), &tiles, &mut take)).expect("what was encoded decodes");
}

/// A generation in which every tile changed: absorbed, and told to a viewer.
fn deliver() {
    let mut scene = Scene::new(HashKey(7), WIDTH, HEIGHT).expect("the size of a screen");
    let all = TileSet::full(scene.grid().len());
    let mut delivery = Delivery::new(&scene, 64 << 20, None, 0);
    let mut change = |source: &Framebuffer, now: u64| {
        let change = scene.absorb(source, &all, now).expect("a change");
        delivery.changed(&scene, &change, now);
        let header = delivery.next(&scene, None, now, now).expect("an update");
        delivery.sent(&header, 1_000, now);
        delivery.acknowledged(&scene, header.number, 100, &[], now + 1_000).expect("it was sent");
    };
    change(&text(), 1_000_000);
    measured(|| change(&picture(), 2_000_000));
}

fn colours() {
    let screen = picture();
    let mut picture = I420::default();
    picture.load(&screen, &screen.bounds());
    measured(|| picture.load(&screen, &screen.bounds()));
}

fn text() -> Framebuffer {
    paint(|x, y| {
        let letter = (x / 8).wrapping_mul(0x9E37_79B1) ^ (y / 16).wrapping_mul(0x85EB_CA6B);
        let stroke = y % 16 < 10 && letter >> (x % 8 + y % 7) & 1 == 1;
        if stroke { 0x0020_2020 } else { 0x00F4_F4F4 }
    })
}

fn picture() -> Framebuffer {
    paint(|x, y| {
        let grain = (x.wrapping_mul(0x9E37_79B1) ^ y.wrapping_mul(0x85EB_CA6B)) >> 29;
        ((x * 3 / 2 + grain) & 0xFF) << 16 | ((y + grain) & 0xFF) << 8 | (((x + y) / 3) & 0xFF)
    })
}

fn paint(colour: impl Fn(u32, u32) -> u32) -> Framebuffer {
    let mut screen = Framebuffer::new(WIDTH, HEIGHT).expect("the size of a screen");
    for y in 0..HEIGHT {
        screen.row_mut(0, y, WIDTH).iter_mut().zip(0..).for_each(|(pixel, x)| *pixel = colour(x, y));
    }
    screen
}
