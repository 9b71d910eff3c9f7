//! A mark burnt into the pixels: whoever is marked sees it in all that they are sent, and nobody else does.

use crate::ward::{Ward, until_closed};
use crate::{SOON, Shared, dial, share, until};
use chevet::client::{Client, Event};
use chevet::clock::unix_ms;
use chevet::mark::Mark;
use chevet::screen::{Framebuffer, Rect, TileSet};
use chevet::source::Canvas;
use chevet::sync::Exactness;
use chevet::wire::{CloseCode, Marking};
use std::time::Duration;

/// Here Paul is marked, and Anne is not.
const PAUL_IS_MARKED: &str = "[[zone]]\nname = 'here'\naddresses = ['127.0.0.0/8']\n\
    [[zone]]\nname = 'away'\naddresses = ['192.0.2.0/24']\n\
    [[policy]]\nzone = 'away'\nwatermark = 'none'\n\
    [[policy]]\nzone = 'here'\nusers = ['paul']\nwatermark = 'burnt-in'";
const PAUL: &str = "Paul Petit · room 2";

fn burnt(plain: &Framebuffer, who: &str, unix_ms: i64) -> Framebuffer {
    let mut marked = plain.clone();
    Mark::new(who, unix_ms).burn(plain, &mut marked, &TileSet::full(plain.grid().len()));
    marked
}

/// Paints, and has the session look.
fn paint(canvas: &Canvas, paints: impl FnOnce(&mut Framebuffer)) {
    let mut painting = canvas.lock();
    paints(&mut painting.framebuffer);
    let all = painting.framebuffer.bounds();
    painting.add_damage(&all);
    drop(painting);
    canvas.notify();
}

fn text_like(screen: &mut Framebuffer) {
    let mut random = 7u64;
    for y in 0..screen.height() {
        for pixel in screen.row_mut(0, y, screen.width()) {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            *pixel = if random >> 61 == 0 { 0x0020_2028 } else { 0x00F4_F4F0 };
        }
    }
}

/// Until each client shows what the canvas has, with its mark if it has one, and the session agrees.
async fn until_all_show(canvas: &Canvas, clients: &mut [(&mut Client, Option<&str>)]) {
    let end = tokio::time::Instant::now() + SOON;
    loop {
        let plain = canvas.lock().framebuffer.clone();
        let shows = |client: &Client, who: Option<&str>| {
            let wanted = who.map_or_else(|| plain.clone(), |who| burnt(&plain, who, unix_ms()));
            client.exactness() == Exactness::Exact && client.screen() == Some(&wanted)
        };
        if clients.iter().all(|(client, who)| shows(client, *who)) {
            break;
        }
        assert!(tokio::time::Instant::now() < end, "each shows its own picture in time");
        for (client, _) in clients.iter_mut() {
            let _ = tokio::time::timeout(Duration::from_millis(10), client.next()).await;
        }
    }
    assert!(clients.iter().all(|(client, _)| client.mismatches() == 0), "nothing had to be repaired");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_marked_differs_by_the_mark_alone_and_both_are_exact_whatever_happens_on_the_screen() {
    let ward = Ward::open_with("burnt", false, PAUL_IS_MARKED).await;
    let Shared { mut user, mut watcher, anne: _anne, paul: _paul, .. } = share(&ward).await;
    let canvas = ward.canvas("desk");
    let mut both = [(&mut user, None), (&mut watcher, Some(PAUL))];
    until_all_show(&canvas, &mut both).await;
    paint(&canvas, text_like);
    until_all_show(&canvas, &mut both).await;
    // Scrolled, a window dragged, a letter typed.
    paint(&canvas, |screen| screen.copy_within(Rect::new(0, 48, 640, 352), 0, 0));
    until_all_show(&canvas, &mut both).await;
    paint(&canvas, |screen| screen.copy_within(Rect::new(100, 100, 200, 150), 230, 170));
    until_all_show(&canvas, &mut both).await;
    paint(&canvas, |screen| (7..20).for_each(|y| screen.row_mut(31, y, 9).fill(0x0000_0040)));
    until_all_show(&canvas, &mut both).await;
    for (width, height) in [(500, 333), (900, 700)] {
        canvas.lock().resize(width, height).unwrap();
        canvas.notify();
        // Black as it is, it is marked.
        until_all_show(&canvas, &mut both).await;
        paint(&canvas, text_like);
        until_all_show(&canvas, &mut both).await;
    }
}

/// One frame of something that moves softly everywhere, as films do.
fn film(screen: &mut Framebuffer, frame: u32) {
    let t = frame as f32 * 0.3;
    for y in 80..320 {
        for (x, pixel) in screen.row_mut(160, y, 320).iter_mut().enumerate() {
            let (x, y) = (x as f32, y as f32);
            let wave =
                |a: f32, b: f32, phase: f32| (((x * a + y * b + phase).sin() + 1.0) * 110.0) as u32 + 16;
            let (red, green, blue) =
                (wave(0.031, 0.017, t), wave(0.019, 0.041, t * 1.3), wave(0.027, -0.023, t * 0.7));
            *pixel = red << 16 | green << 8 | blue;
        }
    }
}

#[cfg(feature = "h264")]
#[tokio::test(flavor = "multi_thread")]
async fn a_film_under_a_mark_is_a_video_of_its_own_and_exact_with_the_mark_once_it_rests() {
    let ward = Ward::open_with("burnt-film", false, PAUL_IS_MARKED).await;
    let Shared { mut user, mut watcher, anne: _anne, paul: _paul, .. } = share(&ward).await;
    let canvas = ward.canvas("desk");
    until_all_show(&canvas, &mut [(&mut user, None), (&mut watcher, Some(PAUL))]).await;
    let (mut videos, mut frame) = ([0, 0], 0);
    let end = tokio::time::Instant::now() + SOON;
    while videos.iter().any(|&frames| frames < 10) {
        assert!(tokio::time::Instant::now() < end, "both are sent the film as video: {videos:?}");
        frame += 1;
        paint(&canvas, |screen| film(screen, frame));
        for (client, frames) in [&mut user, &mut watcher].into_iter().zip(&mut videos) {
            let until = tokio::time::Instant::now() + Duration::from_millis(20);
            while let Ok(event) = tokio::time::timeout_at(until, client.next()).await {
                if let Event::Updated(update) = event.unwrap() {
                    *frames += u32::from(update.applied.video_tiles > 0);
                }
            }
        }
    }
    until_all_show(&canvas, &mut [(&mut user, None), (&mut watcher, Some(PAUL))]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_to_a_session_at_rest_sees_the_mark_and_those_of_one_mark_see_the_same() {
    let ward = Ward::open_with("burnt-rest", false, PAUL_IS_MARKED).await;
    let Shared { mut user, mut watcher, anne: _anne, paul: _paul, .. } = share(&ward).await;
    let canvas = ward.canvas("desk");
    paint(&canvas, text_like);
    until_all_show(&canvas, &mut [(&mut user, None), (&mut watcher, Some(PAUL))]).await;
    // Long enough for the session to rest; if it does not, the rest holds all the same.
    let end = tokio::time::Instant::now() + Duration::from_millis(6_500);
    while tokio::time::Instant::now() < end {
        for client in [&mut user, &mut watcher] {
            let _ = tokio::time::timeout(Duration::from_millis(100), client.next()).await;
        }
    }
    let mut second = dial(watcher.address().clone()).await;
    let terms = until(&mut second, |event| match event {
        Event::Terms(terms) => Some(terms),
        _ => None,
    })
    .await;
    assert_eq!((terms.marking, terms.mark.as_str()), (Marking::BurntIn, PAUL));
    let mut all = [(&mut user, None), (&mut watcher, Some(PAUL)), (&mut second, Some(PAUL))];
    until_all_show(&canvas, &mut all).await;
    paint(&canvas, |screen| screen.row_mut(0, 200, 640).fill(0x0000_8000));
    until_all_show(&canvas, &mut all).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_taken_shows_its_new_holder_not_one_pixel_without_the_mark() {
    let sections = "[[publish]]\nsession = 'desk'\ngroups = ['nurses']\n[[policy]]\nwatermark = 'burnt-in'";
    let ward = Ward::open_with("burnt-taken", false, sections).await;
    let anne = ward.sign_in("anne", "room 1").await.unwrap();
    let mut first = dial(anne.address("desk").await.unwrap()).await;
    let canvas = ward.canvas("desk");
    until_all_show(&canvas, &mut [(&mut first, Some("Anne Roy · room 1"))]).await;
    let paul = ward.sign_in("paul", "room 2").await.unwrap();
    let address = paul.address("desk").await.unwrap();
    let plain = canvas.lock().framebuffer.clone();
    let colour = plain.pixels()[0];
    let mut second = dial(address).await;
    let began = unix_ms();
    let marks = [burnt(&plain, PAUL, began), burnt(&plain, PAUL, began + 60_000)];
    // What is marked now and in a minute.
    let marked: Vec<usize> = (0..plain.pixels().len())
        .filter(|&at| marks.iter().all(|mark| mark.pixels()[at] != colour))
        .collect();
    assert!(marked.len() > 1_000);
    let is_marked = |client: &Client| {
        let screen = client.screen().expect("a frame has come");
        marked.iter().all(|&at| screen.pixels()[at] != colour)
    };
    // The first frame may have come together with the attachment.
    let mut frames = u32::from(second.exactness() == Exactness::Exact);
    assert!(frames == 0 || is_marked(&second), "a first frame without the mark");
    while second.exactness() != Exactness::Exact {
        let event = tokio::time::timeout(SOON, second.next()).await.expect("it becomes exact");
        if matches!(event, Ok(Event::Updated(_))) {
            frames += 1;
            assert!(is_marked(&second), "a frame without the mark");
        }
    }
    assert!(frames > 0);
    assert_eq!(until_closed(&mut first, SOON).await.0, CloseCode::TAKEN_OVER);
    until_all_show(&canvas, &mut [(&mut second, Some(PAUL))]).await;
}
