//! The viewer's tile cache and the session's idea of it. Both hold tiles by hash, the least recently used
//! out first. They need not agree to the letter: a tile that the viewer no longer has is reported and sent again.

use crate::screen::TileHash;
use std::collections::{BTreeMap, HashMap};

/// An order of use: the oldest use first.
#[derive(Default)]
struct Uses {
    by_age: BTreeMap<u64, TileHash>,
    clock: u64,
}

impl Uses {
    fn touch(&mut self, age: &mut u64, hash: TileHash) {
        self.by_age.remove(age);
        self.clock += 1;
        *age = self.clock;
        self.by_age.insert(*age, hash);
    }
}

/// What the viewer keeps: pixels by hash, within a bound of bytes.
pub struct TileCache {
    tiles: HashMap<TileHash, (u64, Box<[u32]>)>,
    uses: Uses,
    bytes: usize,
    limit: usize,
}

impl TileCache {
    /// Keeps at most `limit` bytes of pixels.
    pub fn new(limit: usize) -> Self {
        TileCache { tiles: HashMap::new(), uses: Uses::default(), bytes: 0, limit }
    }

    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Bytes of pixels held; never more than the limit.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Keeps a tile's pixels, which `pixels` makes if they are not held already.
    pub fn insert(&mut self, hash: TileHash, pixels: impl FnOnce() -> Box<[u32]>) {
        if self.limit == 0 {
            return;
        }
        if let Some((age, _)) = self.tiles.get_mut(&hash) {
            return self.uses.touch(age, hash);
        }
        let pixels = pixels();
        let size = size_of_val(&*pixels);
        if size > self.limit {
            return;
        }
        while self.bytes + size > self.limit {
            let Some((_, oldest)) = self.uses.by_age.pop_first() else { break };
            if let Some((_, gone)) = self.tiles.remove(&oldest) {
                self.bytes -= size_of_val(&*gone);
            }
        }
        let mut age = 0;
        self.uses.touch(&mut age, hash);
        self.tiles.insert(hash, (age, pixels));
        self.bytes += size;
    }

    /// The pixels of a tile, row by row, which counts as a use.
    pub fn get(&mut self, hash: TileHash) -> Option<&[u32]> {
        let (age, pixels) = self.tiles.get_mut(&hash)?;
        self.uses.touch(age, hash);
        Some(pixels)
    }
}

/// What the session believes a viewer's cache to hold: hashes and sizes, no pixels.
pub struct CacheMirror {
    tiles: HashMap<TileHash, (u64, u32)>,
    uses: Uses,
    bytes: u64,
    limit: u64,
}

impl CacheMirror {
    /// The share of the viewer's cache that is counted on, so that small differences in order cost no misses.
    const COUNTED_ON_PERCENT: u64 = 75;
    /// A session remembers at most this much of a viewer's cache, whatever the viewer announces.
    const MOST_BYTES: u64 = 256 << 20;

    /// For a viewer that announced `announced` bytes.
    pub fn new(announced: u64) -> Self {
        let limit = announced.min(Self::MOST_BYTES) * Self::COUNTED_ON_PERCENT / 100;
        CacheMirror { tiles: HashMap::new(), uses: Uses::default(), bytes: 0, limit }
    }

    pub fn insert(&mut self, hash: TileHash, bytes: u32) {
        if u64::from(bytes) > self.limit {
            return;
        }
        if let Some((age, _)) = self.tiles.get_mut(&hash) {
            return self.uses.touch(age, hash);
        }
        while self.bytes + u64::from(bytes) > self.limit {
            let Some((_, oldest)) = self.uses.by_age.pop_first() else { break };
            if let Some((_, gone)) = self.tiles.remove(&oldest) {
                self.bytes -= u64::from(gone);
            }
        }
        let mut age = 0;
        self.uses.touch(&mut age, hash);
        self.tiles.insert(hash, (age, bytes));
        self.bytes += u64::from(bytes);
    }

    /// Whether the viewer should have the tile, which counts as a use if it has.
    pub fn uses(&mut self, hash: TileHash) -> bool {
        let Some((age, _)) = self.tiles.get_mut(&hash) else { return false };
        self.uses.touch(age, hash);
        true
    }

    /// The viewer said that it does not have this one.
    pub fn forget(&mut self, hash: TileHash) {
        if let Some((age, bytes)) = self.tiles.remove(&hash) {
            self.uses.by_age.remove(&age);
            self.bytes -= u64::from(bytes);
        }
    }

    /// Tiles remembered.
    pub fn len(&self) -> usize {
        self.tiles.len()
    }

    pub fn is_empty(&self) -> bool {
        self.tiles.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_tile_goes_first() {
        let mut cache = TileCache::new(3 * 16);
        for hash in 1..=3 {
            cache.insert(TileHash(hash), || vec![hash as u32; 4].into());
        }
        assert_eq!(cache.get(TileHash(1)), Some(&[1; 4][..]));
        cache.insert(TileHash(4), || vec![4; 4].into());
        assert!(cache.get(TileHash(2)).is_none() && cache.get(TileHash(1)).is_some());
        assert_eq!(cache.bytes(), 3 * 16);
    }

    #[test]
    fn a_cache_of_no_bytes_keeps_nothing() {
        let mut cache = TileCache::new(0);
        cache.insert(TileHash(1), || vec![1; 4].into());
        assert!(cache.get(TileHash(1)).is_none());
        let mut mirror = CacheMirror::new(0);
        mirror.insert(TileHash(1), 16);
        assert!(!mirror.uses(TileHash(1)));
    }

    #[test]
    fn an_absurd_announcement_is_not_believed() {
        let mut mirror = CacheMirror::new(u64::MAX);
        for hash in 0..100_000 {
            mirror.insert(TileHash(hash), 16_384);
        }
        assert!(mirror.len() <= (256 << 20) / 16_384);
    }
}
