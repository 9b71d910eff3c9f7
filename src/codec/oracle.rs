//! What tests and fuzz targets hold the codec to.

use super::{Beginning, DecodeError, Decoder, Encoder, Reach};
use crate::screen::{Framebuffer, Grid, Rect, TileId};

/// Decodes into a black framebuffer of the grid's size (`width` and `height` in pixels).
pub fn decode_to_framebuffer(
    payload: &[u8],
    width: u32,
    height: u32,
    tiles: &[TileId],
) -> Result<Framebuffer, DecodeError> {
    let mut framebuffer = Framebuffer::new(width, height).expect("the oracle is asked for possible sizes");
    Decoder::new().decode(payload, Grid::new(width, height), tiles, |_, rect, pixels| {
        for (y, row) in pixels.chunks_exact(rect.width as usize).enumerate() {
            framebuffer.row_mut(rect.x, rect.y + y as u32, rect.width).copy_from_slice(row);
        }
    })?;
    Ok(framebuffer)
}

/// Panics unless `tiles` of the framebuffer come back exactly, and nothing else does: also as parts are encoded.
pub fn assert_roundtrip(encoder: &mut Encoder, framebuffer: &Framebuffer, tiles: &[TileId]) {
    let grid = framebuffer.grid();
    let mut payload = Vec::new();
    let stats = encoder.encode(framebuffer, tiles, &mut payload);
    assert_eq!((stats.interface_tiles + stats.grey_tiles + stats.colour_tiles) as usize, tiles.len());
    assert_decodes(&payload, framebuffer, tiles);
    for reach in [Reach::Near, Reach::Far] {
        payload.clear();
        let places = tiles.iter().map(|&tile| grid.rect(tile));
        encoder.encode_parts(framebuffer, places, reach, Beginning::Alone, &mut payload);
        assert_decodes(&payload, framebuffer, tiles);
    }
}

fn assert_decodes(payload: &[u8], framebuffer: &Framebuffer, tiles: &[TileId]) {
    let decoded = decode_to_framebuffer(payload, framebuffer.width(), framebuffer.height(), tiles)
        .expect("what was encoded decodes");
    let grid = framebuffer.grid();
    for tile in 0..grid.len() as TileId {
        let rect = grid.rect(tile);
        for y in rect.y..rect.bottom() {
            let expected = if tiles.contains(&tile) {
                framebuffer.row(rect.x, y, rect.width)
            } else {
                &[0; 64][..rect.width as usize]
            };
            assert_eq!(decoded.row(rect.x, y, rect.width), expected, "tile {tile}, row {y}");
        }
    }
}

/// Panics if arbitrary bytes make the decoder hand over anything but each tile at most once, whole.
pub fn assert_survives(payload: &[u8], width: u32, height: u32, tiles: &[TileId]) {
    let grid = Grid::new(width, height);
    let mut seen = vec![false; tiles.len()];
    let result = Decoder::new().decode(payload, grid, tiles, |index, rect, pixels| {
        assert_eq!(*rect, grid.rect(tiles[index]));
        assert_eq!(pixels.len() as u64, rect.area());
        assert!(pixels.iter().all(|pixel| *pixel < 1 << 24));
        assert!(!std::mem::replace(&mut seen[index], true));
    });
    assert!(result.is_err() || seen.iter().all(|seen| *seen));
}

/// A screen painted by arbitrary bytes: eleven bytes a rectangle, which is flat, speckled, striped, or noise
/// in grey or in colours. `width` and `height` in pixels.
pub fn screen_from_bytes(width: u32, height: u32, bytes: &[u8]) -> Framebuffer {
    let mut framebuffer = Framebuffer::new(width, height).expect("the oracle is asked for possible sizes");
    for &[x, y, w, h, kind, a, b, c, d, e, f] in bytes.as_chunks().0 {
        let [x, y, w, h] = [x, y, w, h].map(u32::from);
        let rect = Rect::new(x, y, w + 1, h + 1).intersect(&framebuffer.bounds());
        let colours = [u32::from_be_bytes([0, a, b, c]), u32::from_be_bytes([0, d, e, f])];
        let mut state = u32::from_be_bytes([a, d, e, f | 1]);
        for y in rect.y..rect.bottom() {
            for (x, pixel) in framebuffer.row_mut(rect.x, y, rect.width).iter_mut().enumerate() {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let noise = state >> 8;
                *pixel = match kind % 6 {
                    0 => colours[0],
                    1 => colours[usize::from(noise.is_multiple_of(5))],
                    2 => colours[(x as u32 + y) as usize / 3 % 2],
                    3 => (noise & 0x1F) * 0x0001_0101,
                    4 => noise,
                    _ => (x as u32 * u32::from(a)) & 0xFF | (y * u32::from(b)) << 8 & 0xFF00,
                };
            }
        }
    }
    framebuffer
}
