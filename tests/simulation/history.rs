//! What every tile has been, so that a viewer can be caught going back in time.

use chevet::screen::{TileHash, TileId};
use chevet::sync::{Change, Scene};

/// The states of every tile of one scene size. A generation has two instants: right after its moves, and its end.
pub struct History {
    tiles: Vec<Vec<(u64, TileHash)>>,
}

impl History {
    pub fn new(scene: &Scene) -> Self {
        History { tiles: scene.hashes().iter().map(|&hash| vec![(0, hash)]).collect() }
    }

    pub fn note(&mut self, scene: &Scene, change: &Change) {
        let instant = scene.generation() * 2;
        for moved in &change.moved {
            self.tiles[moved.tile as usize].push((instant - 1, moved.after_moves));
        }
        for tile in change.tiles.iter().chain(change.moved.iter().map(|moved| moved.tile)) {
            let states = &mut self.tiles[tile as usize];
            let hash = scene.hashes()[tile as usize];
            if states.last() != Some(&(instant, hash)) {
                states.push((instant, hash));
            }
        }
    }

    /// The earliest instant, `not_before` or later, at which the tile was `hash`.
    pub fn when(&self, tile: TileId, hash: TileHash, not_before: u64) -> Option<u64> {
        let states = &self.tiles[tile as usize];
        states.iter().enumerate().find_map(|(index, &(from, state))| {
            let until = states.get(index + 1).map_or(u64::MAX, |next| next.0);
            (state == hash && until > not_before).then_some(from.max(not_before))
        })
    }
}
