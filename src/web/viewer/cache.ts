// Tiles by hash, least recently used out first: docs/protocol.md, "Cache and proof".

interface Entry {
  low: number;
  high: number;
  width: number;
  height: number;
  pixels: Uint32Array;
}

export class TileCache {
  // A Map keeps the order of insertion: the first entry is the least recently used one.
  private readonly entries = new Map<number, Entry>();
  private bytes = 0;

  constructor(
    /** The session's hash key: tiles of another key are other tiles. */
    readonly key: bigint,
    private readonly limitBytes: number,
  ) {}

  get usedBytes(): number {
    return this.bytes;
  }

  has(low: number, high: number): boolean {
    const entry = this.entries.get(slot(low, high));
    return entry !== undefined && entry.high === high;
  }

  /** The tile's pixels, row by row, if it is here and of this size. */
  get(low: number, high: number, width: number, height: number): Uint32Array | null {
    const at = slot(low, high);
    const entry = this.entries.get(at);
    if (entry === undefined || entry.high !== high || entry.width !== width || entry.height !== height) return null;
    this.entries.delete(at);
    this.entries.set(at, entry);
    return entry.pixels;
  }

  /** Keeps `pixels`, which nobody may change any more. */
  put(low: number, high: number, width: number, height: number, pixels: Uint32Array): void {
    const at = slot(low, high);
    this.remove(at);
    this.entries.set(at, { low, high, width, height, pixels });
    this.bytes += width * height * 4;
    for (const oldest of this.entries.keys()) {
      if (this.bytes <= this.limitBytes) break;
      this.remove(oldest);
    }
  }

  /** Marks a tile as just used. */
  touch(low: number, high: number): void {
    const at = slot(low, high);
    const entry = this.entries.get(at);
    if (entry === undefined) return;
    this.entries.delete(at);
    this.entries.set(at, entry);
  }

  private remove(at: number): void {
    const entry = this.entries.get(at);
    if (entry === undefined) return;
    this.entries.delete(at);
    this.bytes -= entry.width * entry.height * 4;
  }
}

/** The 53 bits of a hash that a number holds; the entry remembers the rest. */
function slot(low: number, high: number): number {
  return (high & 0x1f_ffff) * 0x1_0000_0000 + low;
}
