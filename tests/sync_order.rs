//! Orders of arrival that once went wrong between a session's delivery and a viewer.

use bytes::Bytes;
use chevet::codec::{Beginning, Encoder, Reach};
use chevet::screen::{Framebuffer, HashKey, Rect, TileHash, TileId, TileSet};
use chevet::sync::{Attachment, Delivery, Identity, Scene, Viewer};
use chevet::wire::{Attached, CachedTile, Control, CopyRect, Policy, Token, UpdateHeader};

const KEY: HashKey = HashKey(9);
const SECOND: u64 = 1_000_000;

fn attachment() -> Attachment {
    let mut attachment = Attachment::new(Viewer::new(KEY, 1 << 20), Identity::default(), 0);
    let (token, title) = (Token([1; 16]), String::new());
    let policy = Policy::default();
    let attached = Attached { token, key: KEY, width: 128, height: 64, next_input: 0, title, policy };
    attachment.control(Control::Attached(attached), 0).unwrap();
    attachment
}

fn header(number: u64, after: u64) -> UpdateHeader {
    UpdateHeader { number, after, epoch: 1, width: 128, height: 64, complete: true, ..Default::default() }
}

fn stream(header: &UpdateHeader, ink: u32) -> Bytes {
    let mut screen = Framebuffer::new(header.width, header.height).unwrap();
    screen.pixels_mut().fill(ink);
    let mut stream = Vec::new();
    header.write(&mut stream);
    if !header.tiles.is_empty() {
        Encoder::new().encode(&screen, &header.tiles, &mut stream);
    }
    Bytes::from(stream)
}

fn replies(attachment: &mut Attachment) -> Vec<Control> {
    std::iter::from_fn(|| attachment.reply()).collect()
}

#[test]
fn an_update_that_its_dropped_overtook_is_passed_over() {
    let mut attachment = attachment();
    attachment.update(stream(&header(1, 0), 0), || 1).unwrap();
    attachment.control(Control::Dropped { update: 2 }, 1).unwrap();
    let late = UpdateHeader { tiles: vec![0, 1], ..header(2, 0) };
    assert_eq!(attachment.update(stream(&late, 0xFF), || 2).unwrap(), []);
    assert!(attachment.viewer().framebuffer().unwrap().pixels().iter().all(|&pixel| pixel == 0));
}

#[test]
fn a_dropped_update_that_waits_for_another_is_never_applied() {
    let mut attachment = attachment();
    let waiting = UpdateHeader { tiles: vec![0, 1], ..header(2, 1) };
    assert_eq!(attachment.update(stream(&waiting, 0xFF), || 1).unwrap(), []);
    assert!(attachment.viewer().held_bytes() > 0);
    attachment.control(Control::Dropped { update: 2 }, 1).unwrap();
    assert_eq!(attachment.viewer().held_bytes(), 0);
    let applied = attachment.update(stream(&header(1, 0), 0), || 2).unwrap();
    assert_eq!(applied.iter().map(|applied| applied.number).collect::<Vec<_>>(), [1]);
}

#[test]
fn a_dropped_that_settles_the_screen_brings_the_proof() {
    let mut attachment = attachment();
    attachment.update(stream(&header(2, 0), 0), || 1).unwrap();
    let proves = |message: &Control| matches!(message, Control::Proof { update: 2, .. });
    assert!(!replies(&mut attachment).iter().any(proves), "update 1 may still come");
    attachment.control(Control::Dropped { update: 1 }, 2).unwrap();
    assert!(replies(&mut attachment).iter().any(proves));
}

#[test]
fn a_proof_goes_after_the_acks_that_report_misses() {
    let mut attachment = attachment();
    let copy = CopyRect { from: Rect::new(0, 0, 64, 64), x: 64, y: 0 };
    let named = CachedTile { tile: 0, hash: TileHash(0xBAD) };
    let last = UpdateHeader { copies: vec![copy], cached: vec![named], ..header(2, 1) };
    attachment.update(stream(&last, 0), || 1).unwrap();
    attachment.update(stream(&header(1, 0), 0), || 2).unwrap();
    let replies = replies(&mut attachment);
    let miss = |message: &Control| matches!(message, Control::Ack { missing, .. } if missing == &[0]);
    let proof = |message: &Control| matches!(message, Control::Proof { .. });
    assert!(replies.iter().position(miss).unwrap() < replies.iter().position(proof).unwrap());
}

/// A scene with a delivery that has been sent `first`, and a painter of its tiles.
struct Sending {
    scene: Scene,
    delivery: Delivery,
    ink: u32,
}

impl Sending {
    fn new(width: u32, height: u32) -> Self {
        let scene = Scene::new(KEY, width, height).unwrap();
        let delivery = Delivery::new(&scene, 0, None, 0);
        Sending { scene, delivery, ink: 0 }
    }

    fn paint(&mut self, tile: TileId, now: u64) {
        self.ink += 1;
        let mut source = self.scene.framebuffer().clone();
        let rect = source.grid().rect(tile);
        source.row_mut(rect.x, rect.y, rect.width).fill(self.ink);
        let all = TileSet::full(source.grid().len());
        let change = self.scene.absorb(&source, &all, 0).unwrap();
        self.delivery.changed(&self.scene, &change, now);
    }

    fn send(&mut self, now: u64) -> Option<UpdateHeader> {
        let header = self.delivery.next(&self.scene, None, now, now)?;
        self.delivery.sent(&header, 100, now);
        Some(header)
    }
}

#[test]
fn the_oldest_update_on_the_way_is_never_superseded() {
    let mut session = Sending::new(128, 64);
    for number in 1..=3 {
        session.paint(0, number);
        assert_eq!(session.send(number).unwrap().number, number);
    }
    session.paint(0, 4);
    assert_eq!(session.delivery.superseded(&session.scene, SECOND), [2, 3]);
    assert_eq!(session.delivery.superseded(&session.scene, 2 * SECOND), Vec::<u64>::new());
}

#[test]
fn no_update_is_sent_that_a_viewer_could_not_remember_beyond_the_oldest_one() {
    let mut session = Sending::new(128, 64);
    session.paint(0, 1);
    assert_eq!(session.send(1).unwrap().number, 1);
    let mut newest = 1;
    for now in 2..2_000 {
        session.paint(1, now);
        let Some(header) = session.send(now) else { break };
        newest = header.number;
        session.delivery.acknowledged(&session.scene, newest, 0, &[], now).unwrap();
    }
    // 256 in all, eight of which are kept for video.
    assert_eq!(newest, 249);
    session.delivery.acknowledged(&session.scene, 1, 0, &[], 3_000).unwrap();
    assert!(session.send(3_000).is_some());
}

#[test]
fn a_miss_in_an_update_of_an_earlier_screen_costs_the_new_screen_nothing() {
    let mut session = Sending::new(128, 64);
    session.paint(0, 1);
    session.send(1).unwrap();
    session.scene.resize(64, 64).unwrap();
    session.delivery.restart(&session.scene, 2);
    assert!(session.send(2).unwrap().complete);
    session.delivery.acknowledged(&session.scene, 1, 0, &[0, 1, 7_000], 3).unwrap();
    assert_eq!(session.delivery.counters().misses, 0);
    assert_eq!(session.send(4), None);
}

#[test]
fn a_miss_before_a_copy_makes_every_tile_be_sent_again() {
    let mut session = Sending::new(448, 448);
    let mut noise = session.scene.framebuffer().clone();
    let mut ink = 1u32;
    for pixel in noise.pixels_mut() {
        ink = ink.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *pixel = ink >> 8;
    }
    let change = session.scene.absorb(&noise, &TileSet::full(49), 0).unwrap();
    session.delivery.changed(&session.scene, &change, 1);
    // Until the search for moves looks again, scrolled content is sent as it is.
    let mut missed = session.send(1).unwrap();
    let barrier = (2..100).find_map(|now| {
        let source = scrolled(&mut session.scene);
        let change = session.scene.absorb(&source, &TileSet::full(49), 0).unwrap();
        session.delivery.changed(&session.scene, &change, now);
        let header = session.send(now).unwrap();
        if !header.copies.is_empty() {
            return Some(header);
        }
        session.delivery.acknowledged(&session.scene, missed.number, 0, &[], now).unwrap();
        missed = header;
        None
    });
    let barrier = barrier.unwrap();
    assert_eq!(barrier.after, missed.number);
    session.delivery.acknowledged(&session.scene, missed.number, 0, &missed.tiles[..1], 200).unwrap();
    session.delivery.acknowledged(&session.scene, barrier.number, 0, &[], 300).unwrap();
    let mut again = Vec::new();
    for second in 1..100 {
        let Some(header) = session.send(second * SECOND) else { break };
        session
            .delivery
            .acknowledged(&session.scene, header.number, 0, &[], second * SECOND + 1_000)
            .unwrap();
        again.extend(header.tiles);
    }
    again.sort_unstable();
    assert_eq!(again, (0..49).collect::<Vec<_>>(), "a copy read what the viewer did not have");
}

#[test]
fn a_viewer_that_takes_nothing_for_long_is_not_sent_more_copies_than_one_may_have() {
    let mut session = Sending::new(448, 448);
    let mut ink = 1u32;
    let mut noise = session.scene.framebuffer().clone();
    for pixel in noise.pixels_mut() {
        ink = ink.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *pixel = ink >> 8;
    }
    let change = session.scene.absorb(&noise, &TileSet::full(49), 0).unwrap();
    session.delivery.changed(&session.scene, &change, 1);
    // It scrolls up and down; once copies are sent the path takes nothing more.
    let (mut moved, mut copies, screen) = (0, false, 448 * 448);
    for now in 2..400 {
        if !copies && let Some(header) = session.send(now) {
            copies = !header.copies.is_empty();
            session.delivery.acknowledged(&session.scene, header.number, 0, &[], now).unwrap();
        }
        let source = match now % 2 {
            0 => scrolled(&mut session.scene),
            _ => {
                let mut down = session.scene.framebuffer().clone();
                down.copy_within(Rect::new(0, 0, 448, 428), 0, 20);
                down
            }
        };
        let change = session.scene.absorb(&source, &TileSet::full(49), 0).unwrap();
        if copies {
            moved += change.moves.iter().map(|each| each.from.area()).sum::<u64>();
        }
        session.delivery.changed(&session.scene, &change, now);
    }
    assert!(moved > 32 * screen, "nothing was moved, so this shows nothing");
    let header = session.send(400).unwrap();
    let sent = header.copies.iter().map(|copy| copy.from.area()).sum::<u64>();
    assert!(sent <= 32 * screen && sent > 16 * screen, "{sent}");
    assert!(!header.tiles.is_empty() || session.send(401).is_some(), "the rest comes as tiles");
}

/// The scene moved up by twenty rows.
fn scrolled(scene: &mut Scene) -> Framebuffer {
    let mut source = scene.framebuffer().clone();
    let (width, height) = (source.width(), source.height());
    source.copy_within(Rect::new(0, 20, width, height - 20), 0, 0);
    source
}

#[test]
fn a_part_over_an_update_on_the_way_waits_for_it_and_that_is_not_dropped() {
    let mut scene = Scene::new(KEY, 128, 64).unwrap();
    let mut delivery = Delivery::new(&scene, 0, None, 0);
    delivery.take_parts(Reach::Far);
    let (mut source, mut encoder) = (Framebuffer::new(128, 64).unwrap(), Encoder::new());
    let mut attachment = attachment();
    let mut sent = Vec::new();
    let mut paint =
        |at: Rect, colour: u32, delivery: &mut Delivery, sent: &mut Vec<(UpdateHeader, Bytes)>| {
            (at.y..at.bottom()).for_each(|y| source.row_mut(at.x, y, at.width).fill(colour));
            if let Some(change) = scene.absorb(&source, &TileSet::full(2), 0) {
                delivery.changed(&scene, &change, 0);
            }
            while let Some(header) = delivery.next(&scene, None, 0, 0) {
                let mut stream = Vec::new();
                header.write(&mut stream);
                encoder.encode_parts(
                    scene.framebuffer(),
                    header.places(),
                    Reach::Far,
                    Beginning::Alone,
                    &mut stream,
                );
                delivery.sent(&header, stream.len(), 0);
                sent.push((header, stream.into()));
            }
            delivery.superseded(&scene, SECOND)
        };
    paint(Rect::new(64, 0, 64, 64), 1, &mut delivery, &mut sent);
    paint(Rect::new(0, 0, 64, 64), 2, &mut delivery, &mut sent);
    let mut dropped = paint(Rect::new(5, 5, 9, 22), 3, &mut delivery, &mut sent);
    dropped.extend(paint(Rect::new(0, 0, 64, 64), 4, &mut delivery, &mut sent));
    let [whole, part] = [&sent[sent.len() - 3].0, &sent[sent.len() - 2].0];
    assert_eq!((part.parts.len(), part.after), (1, whole.number));
    assert!(!dropped.contains(&whole.number), "{dropped:?}");
    // The part overtakes what it goes over.
    for (_, stream) in sent.iter().rev() {
        attachment.update(stream.clone(), || 1).unwrap();
    }
    assert!(attachment.viewer().framebuffer() == Some(scene.framebuffer()));
}
