//! What a batch of damage costs: comparing, hashing, and looking for moves.

use chevet::screen::{Framebuffer, HashKey, MoveFinder, Rect, TileSet, find_changes, hash_tile};
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

criterion_group!(benches, damage, moves);
criterion_main!(benches);
