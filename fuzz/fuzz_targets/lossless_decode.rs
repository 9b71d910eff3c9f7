//! Arbitrary bytes as a tile payload: an error, or each tile once.
#![no_main]

use chevet::codec::oracle::assert_survives;
use chevet::screen::{Grid, TileId};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, u8, &[u8])| {
    let (width, height, payload) = (u32::from(input.0) + 1, u32::from(input.1) + 1, input.2);
    let tiles: Vec<TileId> = (0..Grid::new(width, height).len() as TileId).collect();
    assert_survives(payload, width, height, &tiles);
});
