//! Update streams: arbitrary bytes, and real ones with a few bytes changed, to a viewer. It answers with
//! an error or a screen, and holds no more than it may.
#![no_main]

use bytes::Bytes;
use chevet::codec::Encoder;
use chevet::codec::oracle::screen_from_bytes;
use chevet::screen::{HashKey, TileId};
use chevet::sync::Viewer;
use chevet::wire::{UpdateHeader, read_update};
use libfuzzer_sys::fuzz_target;

const CACHE: usize = 100_000;

fuzz_target!(|input: (&[u8], &[u8], Vec<(u8, u16, u8)>)| {
    let (raw, pixels, edits) = input;
    if let Ok((header, payload)) = read_update(raw) {
        let mut written = Vec::new();
        header.write(&mut written);
        written.extend_from_slice(payload);
        assert_eq!(read_update(&written), Ok((header, payload)));
    }
    let screen = screen_from_bytes(150, 130, pixels);
    let mut viewer = Viewer::new(HashKey(1), CACHE);
    let mut streams: Vec<Vec<u8>> = (1..=4).map(|number| real_update(&screen, number)).collect();
    for (stream, at, value) in edits.into_iter().take(16) {
        let stream = &mut streams[usize::from(stream) % 4];
        let at = usize::from(at) % stream.len();
        stream[at] = value;
    }
    // A viewer gets small screens here: the largest possible one would only be slow.
    let small = |stream: &Vec<u8>| {
        read_update(stream)
            .map_or(true, |(header, _)| u64::from(header.width) * u64::from(header.height) < 1 << 20)
    };
    streams.push(raw.to_vec());
    for stream in streams.into_iter().filter(small) {
        if viewer.take(Bytes::from(stream)).is_err() {
            break;
        }
        assert!(viewer.held_bytes() <= CACHE + (64 << 20));
        viewer.proof();
    }
});

fn real_update(screen: &chevet::screen::Framebuffer, number: u64) -> Vec<u8> {
    let tiles: Vec<TileId> =
        (0..screen.grid().len() as TileId).filter(|tile| u64::from(*tile) % 3 != number % 3).collect();
    let header = UpdateHeader {
        number,
        after: number - 1,
        epoch: 1,
        width: screen.width(),
        height: screen.height(),
        complete: true,
        keep: number > 1,
        tiles,
        ..UpdateHeader::default()
    };
    let mut stream = Vec::new();
    header.write(&mut stream);
    Encoder::new().encode(screen, &header.tiles, &mut stream);
    stream
}
