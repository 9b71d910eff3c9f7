//! chevet beside TigerVNC and noVNC: the same X11 program on the same X server, shown through each by a headless
//! viewer, run by turns; prints ratios.
//!
//! `make bench-peers`; `PEERS_QUICK=1` for one short round on the LAN. `PEERS_SCENES=typing,video`,
//! `PEERS_PATHS=lan,wifi,4g`, `PEERS_ROUNDS=N` and `PEERS_BROWSER=0` choose less.

mod browser;
#[path = "../corpus/screens.rs"]
#[allow(dead_code)]
mod corpus;
mod figures;
#[allow(dead_code, reason = "tests of bad networks use the rest")]
#[path = "../../tests/paths/model.rs"]
mod model;
mod pictures;
#[allow(dead_code, reason = "tests of bad networks use the rest")]
#[path = "../../tests/paths/relay.rs"]
mod relay;
mod rfb;
mod run;
mod scenes;
mod servers;
mod stage;
mod tight;
mod witness;

use figures::{Figures, Table};
use model::Profile;
use rfb::Wish;
use run::{Bench, Side};
use scenes::{Material, Scene};
use servers::XServer;
use stage::Result;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;
use witness::Rehearsal;

/// TigerVNC's viewer asks for this compression by default.
const COMPRESSION: i32 = 2;
/// Its viewer's default for fast connections, and what it falls to below 16 Mbit/s.
const QUALITY: i32 = 8;
const QUALITY_OF_SLOW_PATHS: i32 = 6;

fn main() -> Result<()> {
    if std::env::args().any(|word| word == "--test") {
        return Ok(());
    }
    let setting = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let quick = setting("PEERS_QUICK").is_some_and(|value| value != "0");
    let seconds = if quick { 3 } else { 4 };
    let rounds: usize =
        setting("PEERS_ROUNDS").and_then(|text| text.parse().ok()).unwrap_or(if quick { 1 } else { 3 });
    let paths = setting("PEERS_PATHS").unwrap_or(if quick { "lan".into() } else { "lan,wifi,4g".into() });
    let chosen = setting("PEERS_SCENES");
    let is_chosen = |scene: &Scene| {
        chosen.as_ref().is_none_or(|names| names.split(',').any(|name| scene.name().starts_with(name)))
    };
    let scenes: Vec<Scene> = Scene::ALL.into_iter().filter(is_chosen).collect();
    let compression = setting("PEERS_COMPRESSION").and_then(|text| text.parse().ok()).unwrap_or(COMPRESSION);

    let began = Instant::now();
    let bench =
        Bench { material: Material::make(seconds), bare: XServer::start(false)?, rfb: XServer::start(true)? };
    let mut rehearsals = HashMap::new();
    for &scene in &scenes {
        let frames = scene.frames_per_second() * seconds;
        let rehearsal = Rehearsal::hold(scene, &bench.material, &bench.bare.display, frames)?;
        rehearsals.insert(scene, Arc::new(rehearsal));
    }
    eprintln!("prepared in {:.0} s", began.elapsed().as_secs_f64());
    for path in paths.split(',') {
        let profile = Profile::named(path).ok_or_else(|| format!("there is no path {path:?}"))?;
        let mut table = Table::default();
        for round in 0..rounds {
            for &scene in &scenes {
                // What a page scrolled by painting tells, it tells on the LAN.
                if scene == Scene::Repainting && path != "lan" {
                    continue;
                }
                let fast = profile.down.rate * 8 > 16_000_000;
                let quality = if fast { QUALITY } else { QUALITY_OF_SLOW_PATHS };
                let wish = Wish { compression, quality: scene.is_lossy().then_some(quality) };
                let mut sides = vec![Side::Chevet, Side::TigerVnc(wish)];
                if round % 2 == 1 {
                    sides.reverse();
                }
                // It varies least, and time is short.
                if path == "lan" && round == 0 {
                    sides.push(Side::Alone);
                }
                for side in sides {
                    match bench.run(side, scene, &rehearsals[&scene], profile) {
                        Ok(outcome) => {
                            figures::trace(path, round, scene, side, &outcome);
                            table.add(scene, side, outcome);
                        }
                        Err(error) => eprintln!("{path}, {}, {side:?}: {error}", scene.name()),
                    }
                }
            }
        }
        println!("\n## {path}: {}", figures::described(&profile));
        println!("{}", Figures::of(&table, &scenes, path == "lan"));
    }
    if setting("PEERS_BROWSER").is_none_or(|value| value != "0") {
        drop(bench);
        let (rounds, keys) = if quick { (1, 40) } else { (3, 60) };
        match browser::measure(rounds, keys) {
            Ok(photons) => println!("{}", figures::photons(&photons)),
            Err(error) => eprintln!("in the browser: {error}"),
        }
    }
    eprintln!("all in {:.0} s", began.elapsed().as_secs_f64());
    Ok(())
}
