//! What a batch of damage costs: comparing, hashing, looking for moves, and burning a mark in.

use chevet::codec::Encoder;
use chevet::mark::Mark;
use chevet::screen::{Framebuffer, HashKey, MoveFinder, Rect, TileSet, find_changes, hash_tile};
use chevet::sync::Scene;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

#[allow(dead_code)]
#[path = "../src/screen/moves/scenes.rs"]
mod scenes;

fn changes(scene: &scenes::Scene) -> TileSet {
    find_changes(&scene.old, &scene.new, &TileSet::full(scene.new.grid().len()))
}

fn damage(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("damage 1920x1080");
    group.throughput(Throughput::Elements(1920 * 1080));
    let same = scenes::page(1920, 1080, 1);
    let copy = same.clone();
    let every = TileSet::full(same.grid().len());
    group.bench_function("nothing differs", |bencher| bencher.iter(|| find_changes(&same, &copy, &every)));
    let mut dots = same.clone();
    for tile in every.iter() {
        let rect = same.grid().rect(tile);
        dots.row_mut(rect.right() - 1, rect.bottom() - 1, 1)[0] ^= 1;
    }
    group.bench_function("the last pixel of each tile differs", |bencher| {
        bencher.iter(|| find_changes(&same, &dots, &every))
    });
    group.bench_function("hash of each tile", |bencher| {
        bencher.iter(|| {
            for tile in every.iter() {
                black_box(hash_tile(HashKey(1), &same, &same.grid().rect(tile)));
            }
        })
    });
    group.finish();
}

fn moves(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("moves");
    let scenes = [
        scenes::page_scroll(1920, 1080, 53),
        scenes::drag(false),
        scenes::drag(true),
        scenes::video(),
        scenes::typing(),
        scenes::other_page(),
        scenes::shuffle(),
    ];
    for scene in &scenes {
        let changed = changes(scene);
        group.bench_function(format!("{}, first time", scene.name), |bencher| {
            bencher.iter_batched_ref(
                MoveFinder::new,
                |finder| finder.find(&scene.old, &scene.new, &changed),
                BatchSize::SmallInput,
            )
        });
        let mut finder = MoveFinder::new();
        group.bench_function(format!("{}, again and again", scene.name), |bencher| {
            bencher.iter(|| finder.find(&scene.old, &scene.new, &changed))
        });
    }
    // More distances than are remembered: each is found anew.
    let scrolls: Vec<_> = (0..6).map(|step| scenes::page_scroll(1920, 1080, 31 + 7 * step)).collect();
    let changed: Vec<_> = scrolls.iter().map(changes).collect();
    let (mut finder, mut turn) = (MoveFinder::new(), 0);
    group.bench_function("full-screen scroll, each time by another distance", |bencher| {
        bencher.iter(|| {
            turn = (turn + 1) % scrolls.len();
            finder.find(&scrolls[turn].old, &scrolls[turn].new, &changed[turn])
        })
    });
    group.finish();
}

/// What a session does at full damage for whoever is not marked, and what it does besides for those with one mark.
fn marks(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("a mark, 1920x1080, each pixel damaged");
    let mark = Mark::new("Anne Roy · Room 12", 1_795_608_000_000);
    for (name, [one, other]) in [
        ("text", [scenes::page(1920, 1080, 1), scenes::page(1920, 1080, 2)]),
        ("film", [scenes::video().old, scenes::video().new]),
    ] {
        let every = TileSet::full(one.grid().len());
        let encode = |encoder: &mut Encoder, scene: &mut Scene, bytes: &mut Vec<u8>| {
            let tiles: Vec<_> = (0..scene.grid().len() as u32).collect();
            bytes.clear();
            encoder.encode(scene.framebuffer(), &tiles, bytes);
        };
        let (mut scene, mut encoder, mut bytes) = (scene_of(&one), Encoder::new(), Vec::new());
        let mut turn = 0;
        group.bench_function(format!("{name}, not marked"), |bencher| {
            bencher.iter(|| {
                turn += 1;
                scene.absorb([&one, &other][turn % 2], &every, turn as u64);
            })
        });
        group.bench_function(format!("{name}, not marked, encoded"), |bencher| {
            bencher.iter(|| encode(&mut encoder, &mut scene, &mut bytes))
        });
        let plain_bytes = bytes.len();
        let (mut marked, mut canvas) = (scene_of(&one), one.clone());
        group.bench_function(format!("{name}, burnt in"), |bencher| {
            bencher.iter(|| mark.burn(&one, &mut canvas, &every))
        });
        group.bench_function(format!("{name}, marked"), |bencher| {
            bencher.iter(|| {
                turn += 1;
                mark.burn([&one, &other][turn % 2], &mut canvas, &every);
                marked.absorb(&canvas, &every, turn as u64);
            })
        });
        group.bench_function(format!("{name}, marked, encoded"), |bencher| {
            bencher.iter(|| encode(&mut encoder, &mut marked, &mut bytes))
        });
        println!("{name}: {plain_bytes} bytes not marked, {} marked", bytes.len());
    }
    group.finish();
}

fn scene_of(screen: &Framebuffer) -> Scene {
    let mut scene =
        Scene::new(HashKey(1), screen.width(), screen.height()).expect("a size that screens may have");
    scene.absorb(screen, &TileSet::full(screen.grid().len()), 0);
    scene
}

criterion_group!(benches, damage, moves, marks);
criterion_main!(benches);
