//! How fast tiles are hashed, encoded and decoded, and how small they become. The corpus is described in
//! `benches/corpus`; run `benches/corpus/make.sh` first for all of it.

#[path = "corpus/screens.rs"]
mod screens;

#[path = "corpus/parts.rs"]
mod parts;

use chevet::codec::{Beginning, Decoder, Encoder, Reach};
use chevet::screen::{Framebuffer, HashKey, Rect, TileId, hash_tile};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

fn hash(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("hash");
    let screen = screens::ct(1);
    group.throughput(Throughput::Elements(screen.bounds().area()));
    group.bench_function("whole screen", |bencher| {
        bencher.iter(|| {
            let grid = screen.grid();
            for tile in 0..grid.len() as TileId {
                black_box(hash_tile(HashKey(7), &screen, &grid.rect(tile)));
            }
        });
    });
}

/// Also leaves each screen's bytes in `target/corpus/codec.txt` and the CT images beside it, for `tight.py`.
fn whole_screens(criterion: &mut Criterion) {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("target/corpus");
    std::fs::create_dir_all(&folder).expect("target/corpus can be made");
    let mut sizes = String::new();
    for screen in screens::all() {
        if screen.name.starts_with("ct") {
            screens::write_png(&folder.join(screen.name).with_extension("png"), &screen.pixels);
        }
        let tiles: Vec<TileId> = (0..screen.pixels.grid().len() as TileId).collect();
        let bytes = measure(criterion, screen.name, &screen.pixels, &tiles);
        sizes += &format!("{} {bytes}\n", screen.name);
    }
    std::fs::write(folder.join("codec.txt"), sizes).expect("the sizes can be written");
}

/// A caret or a key's echo: one tile; a word: three.
fn small_updates(criterion: &mut Criterion) {
    for screen in screens::all() {
        let middle = screen.pixels.grid().tile_at(screens::WIDTH / 3, screens::HEIGHT / 3);
        measure(criterion, &format!("{}, 1 tile", screen.name), &screen.pixels, &[middle]);
        let three = [middle, middle + 1, middle + 2];
        measure(criterion, &format!("{}, 3 tiles", screen.name), &screen.pixels, &three);
    }
}

/// What a key's echo, a caret or an uncovered edge takes: parts of tiles, one update a payload.
fn small_parts(criterion: &mut Criterion) {
    for parts in parts::all(screens::named) {
        let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new());
        let mut encode = |update: &[Rect], out: &mut Vec<u8>| {
            out.clear();
            let update = update.iter().copied();
            encoder.encode_parts(black_box(&parts.screen), update, Reach::Far, Beginning::Alone, out);
        };
        let mut payloads = vec![Vec::new(); parts.updates.len()];
        parts.updates.iter().zip(&mut payloads).for_each(|(update, payload)| encode(update, payload));
        let bytes: usize = payloads.iter().map(Vec::len).sum();
        println!("{}: {:.1} bytes an update", parts.name, bytes as f64 / payloads.len() as f64);
        let mut group = criterion.benchmark_group(format!("parts, {}", parts.name));
        group.throughput(Throughput::Elements(payloads.len() as u64)).sample_size(20);
        group.bench_function("encode", |bencher| {
            let mut out = Vec::new();
            bencher.iter(|| parts.updates.iter().for_each(|update| encode(update, &mut out)));
        });
        group.bench_function("decode", |bencher| {
            bencher.iter(|| {
                for (update, payload) in parts.updates.iter().zip(&payloads) {
                    let decoded =
                        decoder.decode_parts(black_box(payload), update, Beginning::Alone, |_, _, pixels| {
                            black_box(pixels);
                        });
                    decoded.expect("what was encoded decodes");
                }
            });
        });
    }
}

fn measure(criterion: &mut Criterion, name: &str, screen: &Framebuffer, tiles: &[TileId]) -> usize {
    let grid = screen.grid();
    let pixels: u64 = tiles.iter().map(|&tile| grid.rect(tile).area()).sum();
    let (mut encoder, mut decoder, mut payload) = (Encoder::new(), Decoder::new(), Vec::new());
    let stats = encoder.encode(screen, tiles, &mut payload);
    println!("{name}: {} bytes, {stats:?}", payload.len());
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Elements(pixels)).sample_size(20);
    group.bench_function("encode", |bencher| {
        let mut out = Vec::new();
        bencher.iter(|| {
            out.clear();
            encoder.encode(black_box(screen), tiles, &mut out)
        });
    });
    let mut target = Framebuffer::new(screen.width(), screen.height()).expect("the size of a screen");
    group.bench_function("decode", |bencher| {
        bencher.iter(|| {
            let sink = |_: usize, rect: &Rect, pixels: &[u32]| {
                for (y, row) in pixels.chunks_exact(rect.width as usize).enumerate() {
                    target.row_mut(rect.x, rect.y + y as u32, rect.width).copy_from_slice(row);
                }
            };
            decoder.decode(black_box(&payload), grid, tiles, sink).expect("what was encoded decodes");
        });
    });
    payload.len()
}

criterion_group!(benches, hash, whole_screens, small_updates, small_parts);
criterion_main!(benches);
