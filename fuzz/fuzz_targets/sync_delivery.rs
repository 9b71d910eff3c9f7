//! A viewer that lies: arbitrary Acks, Proofs, Hashes, failed videos and lost links against a session's Delivery, while the
//! scene changes and films play on it.
//! Whatever it says, nothing panics, and what is on the way stays bounded.
#![no_main]

use chevet::codec::Encoder;
use chevet::screen::{HashKey, Rect, TileHash, TileSet};
use chevet::sync::{Delivery, Pointer, Scene};
use chevet::wire::{KnownScreen, Shown, UpdateHeader, WireError, read_update_of};
use libfuzzer_sys::fuzz_target;

const MAX_IN_FLIGHT: usize = 64;
const SIZES: [(u32, u32); 4] = [(200, 150), (64, 64), (1, 1), (300, 70)];

fuzz_target!(|actions: Vec<(u8, u8, u64)>| {
    let mut scene = Scene::new(HashKey(7), 200, 150).unwrap();
    let mut delivery = Delivery::new(&scene, 1 << 20, None, 0);
    delivery.take_parts();
    delivery.take_short();
    let mut encoder = Encoder::new();
    let mut now = 1;
    let mut newest = 0;
    for (action, small, large) in actions.into_iter().take(300) {
        match action % 13 {
            0 | 1 => paint(&mut scene, &mut delivery, small, large as u32, now),
            2 => {
                let missing: Vec<u32> =
                    (0..u32::from(small)).map(|index| index.wrapping_mul(large as u32)).collect();
                let number = if large % 2 == 0 { newest } else { large >> 8 };
                // An honest number or any: either it is taken, or refused as never sent.
                let result = delivery.acknowledged(&scene, number, large >> 2, &missing, now);
                assert_eq!(result.is_err(), number == 0 || number > newest);
            }
            3 => drop(delivery.prove(&scene, newest - newest.min(u64::from(small % 2)), large)),
            4 => {
                let hashes = vec![TileHash(large); usize::from(small)];
                delivery.repair(&scene, newest, &hashes, now);
            }
            5 => {
                let hashes: Vec<TileHash> =
                    scene.hashes().iter().map(|hash| TileHash(hash.0 ^ large % 2)).collect();
                delivery.repair(&scene, newest, &hashes, now);
            }
            6 => {
                let (width, height) = SIZES[usize::from(small) % SIZES.len()];
                scene.resize(width, height).unwrap();
                delivery.restart(&scene, now);
            }
            7 => {
                let known = KnownScreen {
                    key: HashKey(7 + large % 2),
                    width: scene.size().0,
                    height: u32::from(small),
                    hashes: vec![TileHash(large); usize::from(small)],
                };
                delivery = Delivery::new(&scene, large, Some(&known), now);
                newest = 0;
            }
            10 | 11 => {
                now += 40_000;
                film(&mut scene, &mut delivery, u32::from(small), now);
            }
            12 => {
                // Of a video that it is shown, or of any.
                let video = if small % 2 == 0 { large % 8 } else { large };
                if let Some(region) = delivery.region_of(video) {
                    delivery.unwatch(&scene, region, now);
                }
            }
            8 => assert!(delivery.superseded(&scene, now).len() < MAX_IN_FLIGHT),
            _ => now += large % 400_000,
        }
        scene.look_for_motion(now);
        delivery.follow_motion(&scene, now);
        newest = send_video(&scene, &mut delivery, newest, now);
        let pointer = (small > 128).then_some(Pointer { x: large as u32, y: u32::from(small) });
        let mut given = 0;
        while let Some(mut header) = delivery.next(&scene, pointer, now, now) {
            assert_eq!(header.number, newest + 1);
            if !header.parts.is_empty() {
                let (mut payload, mut stream) = (Vec::new(), Vec::new());
                let teaching = delivery.teaching().expect("it takes short updates");
                teaching.encode(&mut encoder, scene.framebuffer(), &mut header, &mut payload);
                header.write(&mut stream);
                assert_eq!(read_back(&stream, &header).map(|(read, _)| read).as_ref(), Ok(&header));
            }
            delivery.sent(&header, header.tiles.len() * 500 + 30, now);
            newest = header.number;
            given += 1;
            assert!(given <= MAX_IN_FLIGHT);
        }
        assert!(delivery.budget().in_flight() < 32 << 20);
        delivery.busy_news();
    }
});

/// What a viewer of the very screen reads.
fn read_back<'a>(stream: &'a [u8], header: &UpdateHeader) -> Result<(UpdateHeader, &'a [u8]), WireError> {
    let UpdateHeader { epoch, width, height, .. } = *header;
    read_update_of(stream, Some(Shown { epoch, width, height }))
}

/// Every region is watched and gets a frame, if there is room.
fn send_video(scene: &Scene, delivery: &mut Delivery, mut newest: u64, now: u64) -> u64 {
    for region in scene.regions() {
        if !delivery.watches(region.id) {
            delivery.watch(scene, region, now);
        }
        if !delivery.has_room_for_video(now) {
            continue;
        }
        let copies = delivery.copies_update(scene, now);
        if let Some(header) = copies {
            newest = sent(delivery, &header, newest, now);
        }
        let frame = delivery.video_update(scene, region, scene.generation(), now);
        let header = frame.expect("a watched region has a next frame");
        assert!(!header.complete && header.copies.is_empty() && header.cached.is_empty());
        newest = sent(delivery, &header, newest, now);
    }
    newest
}

fn sent(delivery: &mut Delivery, header: &UpdateHeader, newest: u64, now: u64) -> u64 {
    assert_eq!(header.number, newest + 1);
    // What is sent can be read.
    let mut stream = Vec::new();
    header.write(&mut stream);
    stream.extend_from_slice(&[0; 400]);
    assert_eq!(read_back(&stream, header).map(|(read, _)| read).as_ref(), Ok(header));
    delivery.sent(header, stream.len(), now);
    header.number
}

/// A soft picture that swells, as films are to the eye that looks for motion.
fn film(scene: &mut Scene, delivery: &mut Delivery, frame: u32, now: u64) {
    let mut source = scene.framebuffer().clone();
    let bounds = source.bounds();
    for y in 0..bounds.height {
        for (x, pixel) in (0..).zip(source.row_mut(0, y, bounds.width)) {
            *pixel = ((x * 3 + y * 2 + frame * (1 + (x + y) / 90)) & 0xFF) * 0x0001_0101;
        }
    }
    let damage = TileSet::full(scene.grid().len());
    if let Some(change) = scene.absorb(&source, &damage, now) {
        delivery.changed(scene, &change, now);
    }
}

fn paint(scene: &mut Scene, delivery: &mut Delivery, small: u8, ink: u32, now: u64) {
    let mut source = scene.framebuffer().clone();
    let bounds = source.bounds();
    if small % 2 == 0 {
        // Content moves: by more or fewer rows than there are.
        let by = (u32::from(small) / 2).min(bounds.height - 1);
        let kept = Rect { y: by, height: bounds.height - by, ..bounds };
        source.copy_within(kept, 0, 0);
    }
    let rows = (u32::from(small) % bounds.height)..bounds.height;
    for (row, y) in rows.enumerate().take(20) {
        for (column, pixel) in source.row_mut(0, y, bounds.width).iter_mut().enumerate() {
            *pixel = (ink ^ (row as u32 * 31 + column as u32).wrapping_mul(ink | 1)) & 0x00FF_FFFF;
        }
    }
    let damage = TileSet::full(scene.grid().len());
    if let Some(change) = scene.absorb(&source, &damage, now) {
        delivery.changed(scene, &change, now);
    }
}
