// The keyed tile hash, twin of src/screen/hash in Rust: thirty-two lanes of 32 bits, folded into two words.

const LANES = 32;
const PRIME_STEP = 0x9e3779b1;
const PRIME_PIXEL = 0x85ebca77;
const PRIME_LANE = 0xc2b2ae3d;

const lanes = new Int32Array(LANES);

/**
 * The hash of a tile of at most 64x64 pixels, given row by row without gaps as the decoder hands them over
 * (R first in memory). Key and hash are two unsigned words each: low and high.
 */
export function tileHash(
  keyLow: number,
  keyHigh: number,
  pixels: Uint32Array,
  width: number,
  height: number,
): [number, number] {
  for (let lane = 0; lane < LANES; lane++) {
    lanes[lane] = ((lane & 1) === 0 ? keyLow : keyHigh) + Math.imul(lane + 1, PRIME_LANE);
  }
  const padded = (width + 7) & ~7;
  let at = 0;
  for (let y = 0; y < height; y++) {
    // Lanes shift by a group of eight each row. Columns beyond the width count as black.
    const shift = (y & 3) << 3;
    for (let x = 0; x < width; x++) {
      const rgba = pixels[at++]!;
      const pixel = ((rgba & 0xff) << 16) | (rgba & 0xff00) | ((rgba >>> 16) & 0xff);
      const lane = (x + shift) & 31;
      lanes[lane] = step((lanes[lane]! + Math.imul(pixel, PRIME_PIXEL)) | 0);
    }
    for (let x = width; x < padded; x++) {
      const lane = (x + shift) & 31;
      lanes[lane] = step(lanes[lane]!);
    }
  }
  let low = keyLow ^ ((width << 16) | height);
  let high = keyHigh ^ PRIME_LANE;
  for (let index = 0; index < LANES; index++) {
    const lane = lanes[index]!;
    low = rotate(Math.imul(low ^ lane, PRIME_STEP), 15);
    high = Math.imul(rotate((high + Math.imul(lane, PRIME_LANE)) | 0, 17), PRIME_PIXEL);
  }
  low = avalanche(low ^ rotate(high, 16));
  high = avalanche(high ^ low);
  return [low >>> 0, high >>> 0];
}

function step(word: number): number {
  return Math.imul((word << 13) | (word >>> 19), PRIME_STEP);
}

function rotate(word: number, by: number): number {
  return (word << by) | (word >>> (32 - by));
}

/** The finaliser of MurmurHash3 (32 bits). */
function avalanche(word: number): number {
  word = Math.imul(word ^ (word >>> 16), 0x85ebca6b);
  word = Math.imul(word ^ (word >>> 13), 0xc2b2ae35);
  return word ^ (word >>> 16);
}
