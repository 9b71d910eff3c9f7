//! Whole sessions in virtual time: a source that draws at random, viewers over paths that delay, reorder and
//! break. `CHEVET_SEEDS` says how many seeds to run, `CHEVET_SEED` runs one of them alone.

#[path = "simulation/films.rs"]
mod films;
#[path = "simulation/history.rs"]
mod history;
#[path = "simulation/painter.rs"]
mod painter;
#[path = "simulation/path.rs"]
mod path;
#[path = "simulation/random.rs"]
mod random;
#[path = "simulation/totals.rs"]
mod totals;
#[path = "simulation/world.rs"]
mod world;

use chevet::screen::Rect;
use path::Conditions;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use totals::Totals;
use world::{STEP, World};

const SIZES: [(u32, u32); 6] = [(640, 400), (321, 197), (700, 130), (64, 64), (449, 449), (1, 300)];
const CACHES: [usize; 4] = [0, 40_000, 400_000, 64 << 20];

fn run(seed: u64) -> Totals {
    let (width, height) = SIZES[seed as usize % SIZES.len()];
    let mut world = World::new(seed, width, height);
    for _ in 0..world.random.between(1, 3) {
        let conditions = Conditions::random(&mut world.random);
        let cache = world.random.pick(&CACHES);
        world.add_viewer(conditions, cache);
    }
    for _ in 0..4 {
        draw_for_a_while(&mut world);
        rest(&mut world);
    }
    world.totals
}

fn draw_for_a_while(world: &mut World) {
    let every = world.random.pick(&[1, 4, 12, 60]);
    let mut film = Rect::default();
    let film_steps = world.random.pick(&[5, 10, 16]);
    for step in 0..world.random.between(100, 500) as u32 {
        if world.random.below(120) == 0 {
            // A film begins, or moves, or ends.
            film = if world.random.chance(60) { a_place(world) } else { Rect::default() };
        }
        if step % film_steps == 0 && world.painter.framebuffer.bounds().contains(&film) && !film.is_empty() {
            world.film(film, step);
        }
        if world.random.below(every) == 0 {
            let mut random = random::Random::new(world.random.next());
            world.painter.act(&mut random);
        }
        if world.random.below(400) == 0 {
            let (width, height) = world.random.pick(&SIZES);
            world.resize(width, height);
        }
        let seat = world.random.below(world.seats.len() as u64) as usize;
        if world.random.below(300) == 0 {
            world.lose_link(seat);
        }
        if world.random.chance(10) {
            world.press_key(seat);
        }
        world.step();
        world.check();
    }
}

/// Where a film may play; large enough to be one.
fn a_place(world: &mut World) -> Rect {
    let bounds = world.painter.framebuffer.bounds();
    let mut part = |all: u32| (world.random.below(u64::from(all / 2) + 1) as u32, all / 3 + 1);
    let ((x, width), (y, height)) = (part(bounds.width), part(bounds.height));
    Rect::new(x, y, width, height)
}

/// Nothing is drawn any more: sooner or later everybody shows the same, and it is proven.
fn rest(world: &mut World) {
    for _ in 0..60_000_000 / STEP {
        if world.is_at_rest() {
            return;
        }
        world.step();
        world.check();
    }
    panic!("after a minute of rest the viewers do not show what the session shows: {}", world.unrest());
}

/// Runs one seed, and says which it was if it fails.
fn run_and_name(seed: u64) -> Totals {
    catch_unwind(AssertUnwindSafe(|| run(seed))).unwrap_or_else(|failure| {
        eprintln!("failed with CHEVET_SEED={seed}");
        resume_unwind(failure)
    })
}

fn number_from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

#[test]
fn every_viewer_comes_to_show_exactly_the_session_whatever_its_path() {
    if let Some(seed) = number_from_environment("CHEVET_SEED") {
        println!("{:?}", run_and_name(seed));
        return;
    }
    let seeds = number_from_environment("CHEVET_SEEDS").unwrap_or(60);
    let mut all = Totals::default();
    for seed in 0..seeds {
        all += run_and_name(seed);
    }
    println!("{seeds} seeds: {all:?}");
    let happened = [
        all.updates,
        all.tiles,
        all.cached_tiles,
        all.copies,
        all.dropped,
        all.misses,
        all.links,
        all.video_tiles_shown,
        all.parts,
        all.taught,
    ];
    assert!(seeds < 60 || happened.iter().all(|&count| count > 0), "a simulation of everything: {all:?}");
}

/// A narrow, long path and a film that never stops; later a caret too, and a page drawn once.
#[test]
fn a_film_and_a_caret_on_a_narrow_path_starve_no_tile() {
    const SECOND: u64 = 1_000_000 / STEP;
    let mut world = World::new(1, 640, 400);
    let narrow = Conditions { rate: 60_000, delay: 120_000, jitter: 0, held_up: 0 };
    world.add_viewer(narrow, 0);
    let mut random = random::Random::new(1);
    let page = Rect::new(0, 192, 640, 208);
    let mut longest = 0;
    for step in 0..40 * SECOND {
        if step % 10 == 0 {
            world.painter.noise_at(Rect::new(384, 0, 128, 128), &mut random);
        }
        if step % 25 == 0 && step > 10 * SECOND {
            world.painter.noise_at(Rect::new(20, 20, 2, 14), &mut random);
        }
        if step == 15 * SECOND {
            world.painter.noise_at(page, &mut random);
        }
        let before = world.seats[0].applied_updates;
        world.step();
        if world.seats[0].applied_updates > before {
            world.last_applied = world.now;
        }
        assert!(world.now - world.last_applied < 5_000_000, "the film stands still");
        longest = longest.max(world.longest_lacking());
    }
    assert!(longest < 14_000_000, "a tile is not sent for {longest} us");
    world.check();
    assert_eq!(world.tiles_shown(0, page), 40, "what rests is shown, whatever moves elsewhere");
}
