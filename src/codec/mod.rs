//! Pixels to bytes and back: lossless tiles, encoder beside decoder. Pure: no wire, no session.
use crate::screen::*;

#[derive(Debug, thiserror::Error)]
#[error("bad payload")]
pub struct DecodeError;
pub struct Encoder;
pub struct Decoder;
impl Encoder {
    pub fn new() -> Self {
        Encoder
    }
    pub fn encode(&mut self, framebuffer: &Framebuffer, tiles: &[TileId], out: &mut Vec<u8>) {
        let mut raw = Vec::new();
        for &tile in tiles {
            let rect = framebuffer.grid().rect(tile);
            for y in rect.y..rect.bottom() {
                for p in framebuffer.row(rect.x, y, rect.width) {
                    raw.extend_from_slice(&p.to_le_bytes());
                }
            }
        }
        let mut z = vec![0; zstd_safe::compress_bound(raw.len())];
        let n = zstd_safe::compress(&mut z[..], &raw, 1).unwrap();
        out.extend_from_slice(&z[..n]);
    }
}
impl Decoder {
    pub fn new() -> Self {
        Decoder
    }
    pub fn decode(
        &mut self,
        payload: &[u8],
        grid: Grid,
        tiles: &[TileId],
        mut sink: impl FnMut(usize, Rect, &[u32]),
    ) -> Result<(), DecodeError> {
        let total: u64 = tiles.iter().map(|&t| grid.rect(t).area()).sum();
        let mut raw = vec![0u8; total as usize * 4];
        let n = zstd_safe::decompress(&mut raw[..], payload).map_err(|_| DecodeError)?;
        if n != raw.len() {
            return Err(DecodeError);
        }
        let mut at = 0;
        for (index, &tile) in tiles.iter().enumerate() {
            let rect = grid.rect(tile);
            let n = rect.area() as usize;
            let pixels: Vec<u32> =
                raw[at..at + n * 4].chunks(4).map(|c| u32::from_le_bytes(c.try_into().unwrap())).collect();
            sink(index, rect, &pixels);
            at += n * 4;
        }
        Ok(())
    }
}
