//! A screen painted from arbitrary bytes comes back exactly, whichever tiles are asked for.
#![no_main]

use chevet::codec::Encoder;
use chevet::codec::oracle::{assert_roundtrip, screen_from_bytes};
use chevet::screen::TileId;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, u8, u16, &[u8])| {
    let screen = screen_from_bytes(u32::from(input.0) + 1, u32::from(input.1) + 1, input.3);
    let tiles: Vec<TileId> =
        (0..screen.grid().len() as TileId).filter(|tile| input.2 >> (tile % 16) & 1 == 1).collect();
    assert_roundtrip(&mut Encoder::new(), &screen, &tiles);
});
