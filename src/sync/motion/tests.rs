use super::*;
use crate::screen::{HashKey, TILE};
use crate::sync::Scene;

const WIDTH: u32 = 640;
const HEIGHT: u32 = 512;
const FRAME: Micros = 40_000;

/// A desktop of writing on which a film plays in `film`.
fn desktop(film: &Rect, frame: u32) -> Framebuffer {
    let mut screen = Framebuffer::new(WIDTH, HEIGHT).unwrap();
    for y in 0..HEIGHT {
        for (x, pixel) in (0..).zip(screen.row_mut(0, y, WIDTH)) {
            let inside = film.contains(&Rect::new(x, y, 1, 1));
            *pixel = if inside { soft(x, y, frame) } else { written(x, y, 0) };
        }
    }
    screen
}

fn soft(x: u32, y: u32, frame: u32) -> u32 {
    // It swells rather than shifts: what shifts is copied, and no film.
    let (u, v, swell) = (x as f32 / 23.0, y as f32 / 17.0, 60.0 + 40.0 * (frame as f32 / 5.0).sin());
    let level = |phase: f32| (128.0 + swell * (u + phase).sin() * (v - phase).cos()) as u32;
    level(0.0) << 16 | level(0.7) << 8 | level(1.9)
}

fn written(x: u32, y: u32, shift: u32) -> u32 {
    let letter = (x / 8).wrapping_mul(0x9E37_79B1) ^ ((y + shift) / 16).wrapping_mul(0x85EB_CA6B);
    let stroke = (y + shift) % 16 < 10 && letter >> (x % 8 + (y + shift) % 7) & 1 == 1;
    if stroke { 0x0020_2020 } else { 0x00F4_F4F4 }
}

fn play(scene: &mut Scene, frames: std::ops::Range<u32>, paint: impl Fn(u32) -> Framebuffer) {
    let all = TileSet::full(scene.grid().len());
    for frame in frames {
        let now = Micros::from(frame) * FRAME;
        scene.absorb(&paint(frame), &all, now);
        scene.look_for_motion(now);
    }
}

fn scene(policy: Policy) -> Scene {
    let mut scene = Scene::new(HashKey(5), WIDTH, HEIGHT).unwrap();
    scene.set_policy(policy);
    scene
}

#[test]
fn a_film_is_found_within_half_a_second_to_the_pixel_and_let_go_when_it_rests() {
    let film = Rect::new(100, 70, 322, 240);
    let mut scene = scene(Policy::Balanced);
    play(&mut scene, 10..23, |frame| desktop(&film, frame));
    let [region] = scene.regions() else { panic!("{:?}", scene.regions()) };
    assert_eq!(region.rect, film);
    let id = region.id;
    play(&mut scene, 23..60, |frame| desktop(&film, frame));
    assert_eq!(scene.regions()[0].id, id, "a film that goes on keeps its rectangle");
    let last = 59 * FRAME;
    assert!(scene.look_for_motion(last + RESTS_AFTER).is_some());
    assert!(scene.look_for_motion(last + RESTS_AFTER + 1).is_none());
    assert!(scene.regions().is_empty());
}

#[test]
fn writing_that_scrolls_is_no_film_and_under_exact_only_nothing_is() {
    let mut written_scene = scene(Policy::Motion);
    play(&mut written_scene, 10..60, |frame| {
        let mut screen = Framebuffer::new(WIDTH, HEIGHT).unwrap();
        for y in 0..HEIGHT {
            // Each third has a pace of its own, so that no copy explains all of it.
            let pace = frame * (5 + y / 170);
            screen
                .row_mut(0, y, WIDTH)
                .iter_mut()
                .zip(0..)
                .for_each(|(pixel, x)| *pixel = written(x, y, pace));
        }
        screen
    });
    assert!(written_scene.regions().is_empty(), "{:?}", written_scene.regions());
    let mut exact = scene(Policy::ExactOnly);
    play(&mut exact, 10..60, |frame| desktop(&Rect::new(64, 64, 320, 256), frame));
    assert!(exact.regions().is_empty());
}

#[test]
fn a_blinking_caret_a_ticking_clock_and_a_slow_show_are_no_films() {
    let mut scene = scene(Policy::Balanced);
    let all = TileSet::full(scene.grid().len());
    for frame in 0..40 {
        let now = Micros::from(frame) * 500_000 + 1_000_000;
        scene.absorb(&desktop(&Rect::new(64, 64, 320, 256), frame), &all, now);
        scene.look_for_motion(now);
        assert!(scene.regions().is_empty());
    }
}

#[test]
fn writing_that_appears_over_a_film_is_left_out_of_it() {
    let film = Rect::new(64, 64, 384, 320);
    let caption = Rect::new(128, 320, TILE * 3, TILE);
    let mut scene = scene(Policy::Balanced);
    play(&mut scene, 10..60, |frame| {
        let mut screen = desktop(&film, frame);
        for y in caption.y..caption.bottom() {
            let row = screen.row_mut(caption.x, y, caption.width);
            row.iter_mut().zip(caption.x..).for_each(|(pixel, x)| *pixel = written(x, y, frame / 2));
        }
        screen
    });
    let [region] = scene.regions() else { panic!("{:?}", scene.regions()) };
    let grid = scene.grid();
    assert!(grid.tiles_in(&caption).all(|tile| !region.tiles.contains(tile)));
    assert_eq!(region.tiles.len(), 30 - 3, "{region:?}");
}

#[test]
fn what_changes_beside_the_film_in_a_tile_that_both_share_is_noted() {
    let film = Rect::new(100, 70, 322, 240);
    let mut scene = scene(Policy::Balanced);
    play(&mut scene, 10..40, |frame| desktop(&film, frame));
    let corner = scene.grid().tile_at(99, 69);
    let before = scene.motion().outside(corner);
    play(&mut scene, 40..41, |frame| {
        let mut screen = desktop(&film, frame);
        screen.row_mut(80, 66, 4).fill(0x00FF_0000);
        screen
    });
    assert!(scene.motion().outside(corner) > before);
    assert_eq!(scene.motion().outside(scene.grid().tile_at(200, 200)), 0);
}

#[test]
fn two_films_are_two_regions() {
    let (one, other) = (Rect::new(64, 64, 192, 128), Rect::new(384, 256, 200, 200));
    let mut scene = scene(Policy::Balanced);
    play(&mut scene, 10..40, |frame| {
        let mut screen = desktop(&one, frame);
        for y in other.y..other.bottom() {
            let row = screen.row_mut(other.x, y, other.width);
            row.iter_mut().zip(other.x..).for_each(|(pixel, x)| *pixel = soft(x, y, frame * 2));
        }
        screen
    });
    let mut rects: Vec<Rect> = scene.regions().iter().map(|region| region.rect).collect();
    rects.sort_by_key(|rect| rect.x);
    assert_eq!(rects, [one, other]);
}
