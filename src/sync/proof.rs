use crate::screen::TileHash;

const OFFSET_BASIS: u64 = 0xCBF2_9CE4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01B3;

/// The root over a screen's tile hashes in the grid's order: FNV-1a (64 bits) over their little-endian bytes.
pub fn root(hashes: impl IntoIterator<Item = TileHash>) -> u64 {
    hashes
        .into_iter()
        .flat_map(|hash| hash.0.to_le_bytes())
        .fold(OFFSET_BASIS, |root, byte| (root ^ u64::from(byte)).wrapping_mul(PRIME))
}
