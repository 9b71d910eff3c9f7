// The root of a screen's tile hashes: docs/protocol.md, "Cache and proof".

const PRIME_LOW = 0x1b3; // the prime is 2^40 + 0x1b3

/** FNV-1a, 64 bits, over hashes given as pairs of words: low, high. */
export function rootOf(hashes: Uint32Array): bigint {
  let low = 0x8422_2325;
  let high = 0xcbf2_9ce4;
  for (const word of hashes) {
    for (let shift = 0; shift < 32; shift += 8) {
      low = (low ^ ((word >>> shift) & 0xff)) >>> 0;
      const product = low * PRIME_LOW;
      high = (high * PRIME_LOW + Math.floor(product / 0x1_0000_0000) + low * 0x100) % 0x1_0000_0000;
      low = product % 0x1_0000_0000;
    }
  }
  return (BigInt(high) << 32n) | BigInt(low);
}
