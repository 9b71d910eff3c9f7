use super::Scene;
use crate::screen::TileId;

/// How many bytes tiles take, learnt from updates: photographs many times those of text.
#[derive(Debug)]
pub struct TileBytes {
    interface: u64,
    natural: u64,
    /// Of the update that is being made, so many tiles are natural.
    expected_natural: u64,
}

impl Default for TileBytes {
    fn default() -> Self {
        TileBytes { interface: 256, natural: 4_096, expected_natural: 0 }
    }
}

impl TileBytes {
    const LEAST: u64 = 16;
    const MOST: u64 = 16_384;

    /// What so many tiles take if they are not natural.
    pub fn of_all(&self, tiles: usize) -> u64 {
        (tiles as u64 * self.interface).max(1)
    }

    /// Keeps the first tiles, of about `bytes` in all; one at least.
    pub fn truncate(&self, tiles: &mut Vec<TileId>, scene: &Scene, bytes: u64) {
        let mut left = bytes;
        let fits = |tile: &&TileId| {
            let bytes = if scene.is_natural(**tile) { self.natural } else { self.interface };
            let fits = bytes <= left;
            left = left.saturating_sub(bytes);
            fits
        };
        let kept = tiles.iter().take_while(fits).count();
        tiles.truncate(kept.max(1));
    }

    /// An update of these tiles is made.
    pub fn expect(&mut self, scene: &Scene, tiles: &[TileId]) {
        self.expected_natural = tiles.iter().filter(|&&tile| scene.is_natural(tile)).count() as u64;
    }

    /// The update has that many tiles' pixels, and took that many bytes.
    pub fn learn(&mut self, tiles: usize, bytes: u64) {
        let natural = self.expected_natural.min(tiles as u64);
        let interface = tiles as u64 - natural;
        let mean = |known: u64, new: u64| (known * 3 + new.clamp(Self::LEAST, Self::MOST)).div_ceil(4);
        // What the kind that is known better takes is taken off.
        let of_natural = bytes.saturating_sub(interface * self.interface).checked_div(natural);
        if let Some(each) = of_natural {
            self.natural = mean(self.natural, each);
        }
        let of_interface = bytes.saturating_sub(natural * self.natural).checked_div(interface);
        if let Some(each) = of_interface.filter(|_| natural == 0) {
            self.interface = mean(self.interface, each);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::screen::{Framebuffer, HashKey, TileSet};

    /// The left half is noise, the right half flat.
    fn scene() -> Scene {
        let mut screen = Framebuffer::new(512, 512).unwrap();
        for y in 0..512 {
            let row = screen.row_mut(0, y, 256);
            row.iter_mut()
                .zip(0u32..)
                .for_each(|(pixel, x)| *pixel = (x * 512 + y).wrapping_mul(0x9e37_79b1) >> 8);
        }
        let mut scene = Scene::new(HashKey(1), 512, 512).unwrap();
        scene.absorb(&screen, &TileSet::full(64), 0);
        scene
    }

    #[test]
    fn few_natural_tiles_fit_where_many_of_text_do_also_when_only_text_was_seen_before() {
        let (scene, mut bytes) = (scene(), TileBytes::default());
        (0..50).for_each(|_| bytes.learn(100, 10_000));
        let mut text: Vec<TileId> = (0..64).filter(|tile| tile % 8 >= 4).collect();
        let mut noise: Vec<TileId> = (0..64).filter(|tile| tile % 8 < 4).collect();
        bytes.truncate(&mut text, &scene, 10_000);
        bytes.truncate(&mut noise, &scene, 10_000);
        assert_eq!((text.len(), noise.len()), (32, 2));
    }

    #[test]
    fn each_kind_is_learnt_from_updates_of_both() {
        let (scene, mut bytes) = (scene(), TileBytes::default());
        let tiles: Vec<TileId> = (0..64).collect();
        for _ in 0..40 {
            bytes.expect(&scene, &tiles[..4]);
            bytes.learn(4, 4 * 12_000);
            bytes.expect(&scene, &tiles[4..8]);
            bytes.learn(4, 4 * 100);
            bytes.expect(&scene, &tiles);
            bytes.learn(64, 32 * 12_100);
        }
        assert!((11_500..12_500).contains(&bytes.natural), "{bytes:?}");
        assert!((90..110).contains(&bytes.interface), "{bytes:?}");
    }
}
