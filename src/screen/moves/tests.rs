use super::scenes::{self, LINE, Random, Scene};
use super::*;
use crate::screen::find_changes;
use proptest::prelude::*;

fn changes(old: &Framebuffer, new: &Framebuffer) -> TileSet {
    find_changes(old, new, &TileSet::full(new.grid().len()))
}

/// Checks the moves, and how many of the changed tiles they save.
fn saved(finder: &mut MoveFinder, scene: &Scene) -> (usize, usize, Vec<Move>) {
    let changed = changes(&scene.old, &scene.new);
    let moves = finder.find(&scene.old, &scene.new, &changed);
    check_moves(&scene.old, &scene.new, &moves);
    let mut screen = scene.old.clone();
    moves.iter().for_each(|m| screen.copy_within(m.from, m.x, m.y));
    let left = changes(&screen, &scene.new).len();
    (changed.len() - left, changed.len(), moves)
}

#[test]
fn moved_content_saves_most_changed_tiles() {
    for scene in scenes::moving() {
        // What comes into view, or is uncovered, touches a fifth of the tiles at most; more in these two.
        let percent = match scene.name {
            "window dragged over a photograph" => 78,
            "list of 300x200 scrolled by a row" => 75,
            _ => 80,
        };
        let (saved, changed, moves) = saved(&mut MoveFinder::new(), &scene);
        let name = scene.name;
        assert!(saved * 100 >= changed * percent, "{name}: {saved} of {changed} tiles by {moves:?}");
    }
}

#[test]
fn a_move_reaches_the_borders_of_what_moved() {
    let content = scenes::page(700, 900, 31);
    let pane = Rect::new(129, 77, 541, 603);
    let mut old = scenes::blank(800, 700, 0);
    scenes::noise(&mut old, Rect::new(0, 0, 800, 700), 3);
    let mut new = old.clone();
    scenes::show(&mut old, pane, &content, 100, 100);
    scenes::show(&mut new, pane, &content, 111, 81);
    let moves = MoveFinder::new().find(&old, &new, &changes(&old, &new));
    check_moves(&old, &new, &moves);
    let kept = Rect::new(129, 77 + 19, 541 - 11, 603 - 19);
    assert_eq!(moves, [Move { from: Rect { x: 140, y: 77, ..kept }, x: kept.x, y: kept.y }]);
}

#[test]
fn a_window_dragged_while_a_page_scrolls_below_it_takes_a_move_for_each() {
    let content = scenes::page(1280, 1000, 41);
    let (mut old, mut new) = (scenes::blank(1280, 800, 0), scenes::blank(1280, 800, 0));
    let bounds = old.bounds();
    scenes::show(&mut old, bounds, &content, 0, 0);
    scenes::show(&mut new, bounds, &content, 0, 36);
    scenes::window(&mut old, Rect::new(400, 250, 420, 300));
    scenes::window(&mut new, Rect::new(390, 270, 420, 300));
    let (saved, changed, moves) = saved(&mut MoveFinder::new(), &Scene { name: "both", old, new });
    let displacements: std::collections::HashSet<_> =
        moves.iter().map(|m| (m.x as i32 - m.from.x as i32, m.y as i32 - m.from.y as i32)).collect();
    assert!(displacements.contains(&(0, -36)) && displacements.contains(&(-10, 20)), "{moves:?}");
    assert!(saved * 4 >= changed * 3, "{saved} of {changed} by {moves:?}");
}

#[test]
fn blank_noise_and_periodic_screens_have_no_moves() {
    let mut stripes = scenes::blank(640, 480, 0);
    let mut shifted = stripes.clone();
    for y in 0..480 {
        for x in 0..640 {
            stripes.row_mut(x, y, 1)[0] = (x / 5 + y / 7) % 2 * 0xFF_FFFF;
            shifted.row_mut(x, y, 1)[0] = ((x + 3) / 5 + y / 7) % 2 * 0xFF_FFFF;
        }
    }
    let (mut noise, mut other) = (stripes.clone(), stripes.clone());
    let bounds = noise.bounds();
    scenes::noise(&mut noise, bounds, 1);
    scenes::noise(&mut other, bounds, 2);
    let blank = scenes::blank(640, 480, 0x30_3030);
    let white = scenes::blank(640, 480, 0xFF_FFFF);
    for (old, new) in [
        (stripes, shifted),
        (noise.clone(), other),
        (blank.clone(), white),
        (noise.clone(), blank.clone()),
        (blank, noise),
    ] {
        let changed = changes(&old, &new);
        assert_eq!(MoveFinder::new().find(&old, &new, &changed), []);
    }
}

#[test]
fn a_video_and_a_typed_letter_are_not_mistaken_for_scrolling() {
    let mut finder = MoveFinder::new();
    for scene in [scenes::video(), scenes::typing()] {
        let (_, changed, moves) = saved(&mut finder, &scene);
        assert!(changed >= MIN_TILES, "{}", scene.name);
        assert!(moves.iter().all(|m| scene.name == "typing" && m.y == m.from.y), "{}: {moves:?}", scene.name);
    }
}

#[test]
fn chance_matches_and_shuffled_content_yield_no_wrong_moves() {
    for scene in [scenes::other_page(), scenes::shuffle()] {
        let (saved, changed, moves) = saved(&mut MoveFinder::new(), &scene);
        assert!(saved <= changed / 10, "{}: {saved} of {changed} by {moves:?}", scene.name);
    }
}

#[test]
fn few_tiles_are_not_searched() {
    let content = scenes::page(64, 600, 3);
    let (mut old, mut new) = (scenes::blank(640, 480, 0), scenes::blank(640, 480, 0));
    scenes::show(&mut old, Rect::new(0, 0, 64, 192), &content, 0, 0);
    scenes::show(&mut new, Rect::new(0, 0, 64, 192), &content, 0, LINE);
    let changed = changes(&old, &new);
    assert_eq!(changed.len(), 3);
    assert_eq!(MoveFinder::new().find(&old, &new, &changed), []);
}

#[test]
fn screens_of_different_sizes_have_no_moves() {
    let (old, new) = (scenes::page(640, 480, 1), scenes::page(640, 481, 1));
    assert_eq!(MoveFinder::new().find(&old, &new, &TileSet::full(new.grid().len())), []);
    assert_eq!(MoveFinder::new().find(&old, &old, &TileSet::full(7)), []);
}

#[test]
fn a_scroll_is_found_while_a_video_plays_beside_it() {
    let content = scenes::page(900, 4000, 21);
    let mut finder = MoveFinder::new();
    let mut frames = (0..40u32).map(|frame| {
        let mut screen = scenes::blank(1920, 1080, 0xFF_FFFF);
        scenes::noise(&mut screen, Rect::new(1000, 100, 640, 360), u64::from(frame));
        // The page rests first, until the video's tiles are no longer searched.
        scenes::show(&mut screen, Rect::new(50, 40, 900, 1000), &content, 0, frame.saturating_sub(30) * 50);
        screen
    });
    let mut old = frames.next().unwrap();
    for (frame, new) in (1..).zip(frames) {
        let changed = changes(&old, &new);
        let moves = finder.find(&old, &new, &changed);
        check_moves(&old, &new, &moves);
        if frame > 30 {
            let covered: u64 = moves.iter().map(|m| m.from.area()).sum();
            assert!(covered >= 900 * 950, "frame {frame}: {moves:?}");
        } else {
            assert_eq!(moves, []);
        }
        old = new;
    }
}

#[test]
fn a_steady_scroll_is_found_in_every_frame() {
    let content = scenes::page(1000, 3000, 5);
    let mut finder = MoveFinder::new();
    for frame in 0..20 {
        let (mut old, mut new) = (scenes::page(1300, 900, 6), scenes::page(1300, 900, 6));
        let pane = Rect::new(150, 70, 1000, 700);
        // Sometimes the same distance as before, sometimes another.
        let by = [3 * LINE, 3 * LINE, 17][frame % 3];
        scenes::show(&mut old, pane, &content, 0, frame as u32 * 60);
        scenes::show(&mut new, pane, &content, 0, frame as u32 * 60 + by);
        let (saved, changed, moves) = saved(&mut finder, &Scene { name: "steady", old, new });
        assert!(saved * 5 >= changed * 4, "frame {frame}: {saved} of {changed} by {moves:?}");
    }
}

/// Paints and moves rectangles at random, with few colours, so that chance matches abound.
fn churn(screen: &mut Framebuffer, random: &mut Random, steps: u32) {
    for _ in 0..steps {
        let width = 1 + random.below(screen.width());
        let height = 1 + random.below(screen.height());
        let x = random.below(screen.width() - width + 1);
        let y = random.below(screen.height() - height + 1);
        let rect = Rect::new(x, y, width, height);
        match random.below(5) {
            0 => scenes::fill(
                screen,
                Rect::new(x, y, width / 3 + 1, height / 3 + 1),
                random.below(4) * 0x40_4040,
            ),
            1 => scenes::text(screen, rect, u64::from(random.below(1000)), 0, 3),
            2 => scenes::noise(
                screen,
                Rect::new(x, y, width / 2 + 1, height / 2 + 1),
                u64::from(random.below(9)),
            ),
            _ => {
                let x = random.below(screen.width() - width + 1);
                let y = random.below(screen.height() - height + 1);
                screen.copy_within(rect, x, y);
            }
        }
    }
}

/// Page after page in the pane, so that its tiles are not searched for a while; the last one.
fn leafed(finder: &mut MoveFinder, pane: Rect) -> (Framebuffer, Framebuffer) {
    let mut old = scenes::page(800, 700, 7);
    let mut content = scenes::page(700, 900, 0);
    for number in 1..6 {
        content = scenes::page(700, 900, 100 + number);
        let mut new = old.clone();
        scenes::show(&mut new, pane, &content, 0, 100);
        let changed = changes(&old, &new);
        check_moves(&old, &new, &finder.find(&old, &new, &changed));
        old = new;
    }
    (old, content)
}

#[test]
fn what_a_source_says_it_moved_is_found_where_searches_were_in_vain() {
    let pane = Rect::new(129, 77, 541, 603);
    let mut finder = MoveFinder::new();
    let (old, content) = leafed(&mut finder, pane);
    let mut new = old.clone();
    scenes::show(&mut new, pane, &content, 0, 119);
    let changed = changes(&old, &new);
    assert_eq!(finder.find(&old, &new, &changed), [], "the tiles are at rest");
    let kept = Rect::new(129, 77 + 19, 541, 603 - 19);
    let mut told = ToldMoves::default();
    told.copied(kept, pane.x, pane.y);
    let moves = finder.find_told(&old, &new, &changed, &told);
    check_moves(&old, &new, &moves);
    // What lies below the pane may belong to it by chance.
    assert!(
        matches!(moves[..], [one] if one.from.contains(&kept) && (one.x, one.y) == (pane.x, pane.y)),
        "{moves:?}"
    );
}

#[test]
fn one_tile_is_enough_for_what_a_source_says() {
    let mut old = scenes::blank(640, 480, 0);
    scenes::noise(&mut old, Rect::new(70, 70, 40, 40), 3);
    let mut new = old.clone();
    let mut told = ToldMoves::default();
    told.copied(Rect::new(70, 70, 40, 40), 80, 75);
    new.copy_within(Rect::new(70, 70, 40, 40), 80, 75);
    scenes::fill(&mut new, Rect::new(70, 70, 10, 40), 0);
    scenes::fill(&mut new, Rect::new(70, 70, 50, 5), 0);
    let moves = MoveFinder::new().find_told(&old, &new, &changes(&old, &new), &told);
    check_moves(&old, &new, &moves);
    assert!(moves.iter().any(|each| each.target().contains(&Rect::new(80, 75, 40, 40))), "{moves:?}");
}

#[test]
fn what_a_source_says_of_another_size_does_no_harm() {
    let (old, mut new) = (scenes::page(300, 200, 1), scenes::page(300, 200, 1));
    scenes::fill(&mut new, Rect::new(0, 0, 200, 150), 5);
    let mut told = ToldMoves::default();
    told.copied(Rect::new(9_000, 9_000, 500, 500), 100, 100);
    told.copied(Rect::new(10, 10, 500, 500), 9_000, 9_000);
    let moves = MoveFinder::new().find_told(&old, &new, &changes(&old, &new), &told);
    check_moves(&old, &new, &moves);
}

proptest! {
    /// What the source says is partly true, partly out of date, partly invented.
    #[test]
    fn whatever_a_source_says_moves_are_exact_and_can_be_applied(
        width in 20u32..700, height in 20u32..500, seed: u64, copies in 1u32..12, lies in 0u32..6,
    ) {
        let mut random = Random(seed);
        let mut old = scenes::page(width, height, seed);
        let mut finder = MoveFinder::new();
        for _ in 0..3 {
            let mut new = old.clone();
            let mut told = ToldMoves::default();
            for number in 0..copies + lies {
                let (w, h) = (1 + random.below(width), 1 + random.below(height));
                let from = Rect::new(random.below(width - w + 1), random.below(height - h + 1), w, h);
                let (x, y) = (random.below(width - w + 1), random.below(height - h + 1));
                told.copied(from, x, y);
                if number < copies {
                    new.copy_within(from, x, y);
                }
                if random.below(3) == 0 {
                    churn(&mut new, &mut random, 1);
                }
            }
            let changed = changes(&old, &new);
            check_moves(&old, &new, &finder.find_told(&old, &new, &changed, &told));
            old = new;
        }
    }

    #[test]
    fn whatever_changes_moves_are_exact_and_can_be_applied(
        width in 1u32..700, height in 1u32..500, seed: u64, before in 1u32..12, after in 1u32..8,
    ) {
        let mut random = Random(seed);
        let mut old = scenes::page(width, height, seed);
        churn(&mut old, &mut random, before);
        let mut finder = MoveFinder::new();
        for _ in 0..3 {
            let mut new = old.clone();
            churn(&mut new, &mut random, after);
            let changed = changes(&old, &new);
            check_moves(&old, &new, &finder.find(&old, &new, &changed));
            old = new;
        }
    }

    #[test]
    fn a_set_that_claims_too_much_does_no_harm(width in 1u32..300, height in 1u32..300, seed: u64) {
        let old = scenes::page(width, height, seed);
        let mut new = old.clone();
        churn(&mut new, &mut Random(seed), 3);
        let moves = MoveFinder::new().find(&old, &new, &TileSet::full(new.grid().len()));
        check_moves(&old, &new, &moves);
    }
}
