//! A viewer that lies: arbitrary Acks, Proofs, Hashes and lost links against a session's Delivery, while the scene changes.
//! Whatever it says, nothing panics, and what is on the way stays bounded.
#![no_main]

use chevet::screen::{HashKey, Rect, TileHash, TileSet};
use chevet::sync::{Delivery, Pointer, Scene};
use chevet::wire::KnownScreen;
use libfuzzer_sys::fuzz_target;

const MAX_IN_FLIGHT: usize = 64;
const SIZES: [(u32, u32); 4] = [(200, 150), (64, 64), (1, 1), (300, 70)];

fuzz_target!(|actions: Vec<(u8, u8, u64)>| {
    let mut scene = Scene::new(HashKey(7), 200, 150).unwrap();
    let mut delivery = Delivery::new(&scene, 1 << 20, None, 0);
    let mut now = 1;
    let mut newest = 0;
    for (action, small, large) in actions.into_iter().take(300) {
        match action % 10 {
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
            8 => assert!(delivery.superseded(&scene, now).len() < MAX_IN_FLIGHT),
            _ => now += large % 400_000,
        }
        let pointer = (small > 128).then_some(Pointer { x: large as u32, y: u32::from(small) });
        let mut given = 0;
        while let Some(header) = delivery.next(&scene, pointer, now, now) {
            assert_eq!(header.number, newest + 1);
            delivery.sent(&header, header.tiles.len() * 500 + 30, now);
            newest = header.number;
            given += 1;
            assert!(given <= MAX_IN_FLIGHT);
        }
        assert!(delivery.budget().in_flight() < 32 << 20);
        delivery.busy_news();
    }
});

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
