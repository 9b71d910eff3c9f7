//! What a region in motion costs: finding it, its colours, its frames, and painting them. 640x360, as a film in a
//! page is; frames a second of one core are 1 divided by the time.

use chevet::codec::video::{I420, VideoDecoder, VideoEncoder, psnr};
use chevet::screen::{Framebuffer, HashKey, Rect, TileSet};
use chevet::sync::Scene;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

const FILM: Rect = Rect::new(210, 150, 640, 360);
const FRAMES: u32 = 50;

/// Soft shapes that swell, turn and drift under a little grain: dearer than a cartoon, cheaper than noise.
fn film(frame: u32) -> Framebuffer {
    let mut screen = Framebuffer::new(FILM.width, FILM.height).expect("the size of a film");
    let time = frame as f32 / 12.0;
    let mut state = frame.wrapping_mul(0x9E37_79B9) | 1;
    for y in 0..FILM.height {
        for (x, pixel) in (0..).zip(screen.row_mut(0, y, FILM.width)) {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            let grain = (state >> 30) as f32 - 1.5;
            let (u, v) = ((x as f32 + 9.0 * time) / 41.0, y as f32 / 29.0);
            let part = |phase: f32| 120.0 + 60.0 * (u + phase).sin() * (v - phase + time).cos();
            let detail = 24.0 * (u * 5.3 + v * 4.1).sin();
            let level = |phase: f32| (part(phase) + detail + grain).clamp(0.0, 255.0) as u32;
            *pixel = level(0.0) << 16 | level(0.7) << 8 | level(1.9);
        }
    }
    screen
}

fn frames(criterion: &mut Criterion) {
    let films: Vec<Framebuffer> = (0..FRAMES).map(film).collect();
    let place = Rect::new(0, 0, FILM.width, FILM.height);
    let mut encoder = VideoEncoder::new(FILM.width, FILM.height, 4_000_000).expect("an encoder");
    let mut coded = Vec::new();
    for (number, screen) in films.iter().enumerate() {
        let mut bytes = Vec::new();
        encoder.load(screen, &place);
        encoder.encode(number == 0, number as u64 * 40, &mut bytes).expect("a frame");
        coded.push(bytes);
    }
    let mut decoder = VideoDecoder::new(FILM.width, FILM.height).expect("a decoder");
    let mut shown = Framebuffer::new(FILM.width, FILM.height).expect("the size of a film");
    let mut worst = f64::MAX;
    for (bytes, screen) in coded.iter().zip(&films).filter(|(bytes, _)| !bytes.is_empty()) {
        let picture = decoder.decode(bytes).expect("a picture");
        (0..FILM.height).for_each(|y| picture.write_row(0, y as usize, shown.row_mut(0, y, FILM.width)));
        worst = worst.min(psnr(screen, &shown, &place));
    }
    let bytes: usize = coded.iter().map(Vec::len).sum();
    println!("{FRAMES} frames of 640x360: {bytes} bytes, at least {worst:.1} dB");

    let mut group = criterion.benchmark_group("video 640x360");
    group.sample_size(20).throughput(Throughput::Elements(1));
    let (mut at, mut out) = (0, Vec::new());
    group.bench_function("colours", |bencher| {
        let mut picture = I420::default();
        bencher.iter(|| picture.load(black_box(&films[0]), &place));
    });
    group.bench_function("encode, colours included", |bencher| {
        bencher.iter(|| {
            at += 1;
            out.clear();
            encoder.load(&films[at % films.len()], &place);
            encoder.encode(false, 10_000 + at as u64 * 40, &mut out).expect("a frame")
        });
    });
    group.bench_function("decode and paint", |bencher| {
        let mut next = 0;
        bencher.iter(|| {
            let bytes = &coded[next % coded.len()];
            next += 1;
            if let Ok(picture) = decoder.decode(bytes) {
                (0..FILM.height)
                    .for_each(|y| picture.write_row(0, y as usize, shown.row_mut(0, y, FILM.width)));
            }
        });
    });
    group.finish();
}

/// A generation in which the film's picture changed: comparing, hashing, finding motion.
fn scene(criterion: &mut Criterion) {
    let films: Vec<Framebuffer> = (0..8).map(film).collect();
    let mut source = Framebuffer::new(1920, 1080).expect("the size of a screen");
    let mut scene = Scene::new(HashKey(1), 1920, 1080).expect("the size of a screen");
    let mut damage = TileSet::new(source.grid().len());
    source.grid().tiles_in(&FILM).for_each(|tile| damage.insert(tile));
    let (mut frame, mut now) = (0, 1_000_000);
    criterion.bench_function("a generation of a film beside which all rests", |bencher| {
        bencher.iter(|| {
            frame += 1;
            now += 40_000;
            let picture = &films[frame % films.len()];
            for y in 0..FILM.height {
                let row = picture.row(0, y, FILM.width);
                source.row_mut(FILM.x, FILM.y + y, FILM.width).copy_from_slice(row);
            }
            scene.absorb(&source, &damage, now);
            scene.look_for_motion(now)
        });
    });
    println!("regions: {:?}", scene.regions().iter().map(|region| region.rect).collect::<Vec<_>>());
}

criterion_group!(benches, frames, scene);
criterion_main!(benches);
