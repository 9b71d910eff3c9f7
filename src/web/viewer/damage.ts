// Which tiles changed since the picture was last presented.

import type { Grid, Rect } from "../wire/update.ts";

export class Damage {
  private readonly flags: Uint8Array;
  private count = 0;

  constructor(private readonly grid: Grid) {
    this.flags = new Uint8Array(grid.length);
  }

  get isEmpty(): boolean {
    return this.count === 0;
  }

  add(tile: number): void {
    if (this.flags[tile] !== 0) return;
    this.flags[tile] = 1;
    this.count++;
  }

  addAll(): void {
    this.flags.fill(1);
    this.count = this.flags.length;
  }

  /** The damaged area as few rectangles, and no damage afterwards. */
  take(): Rect[] {
    const { grid, flags } = this;
    if (this.count === 0) return [];
    // Painting half of a screen tile by tile costs more than painting it whole.
    const whole = this.count * 2 > grid.length;
    const rects = whole ? [{ x: 0, y: 0, width: grid.width, height: grid.height }] : this.runs();
    flags.fill(0);
    this.count = 0;
    return rects;
  }

  /** Runs of neighbours in a row of tiles, joined with the same run in the row above. */
  private runs(): Rect[] {
    const { grid, flags } = this;
    const rects: Rect[] = [];
    for (let row = 0; row < grid.rows; row++) {
      for (let column = 0; column < grid.columns; column++) {
        const first = row * grid.columns + column;
        if (flags[first] === 0) continue;
        while (column + 1 < grid.columns && flags[row * grid.columns + column + 1] !== 0) column++;
        const last = row * grid.columns + column;
        const x = grid.x(first);
        const run = { x, y: grid.y(first), width: grid.x(last) + grid.tileWidth(last) - x, height: grid.tileHeight(first) };
        const above = rects.find((rect) => rect.x === run.x && rect.width === run.width && rect.y + rect.height === run.y);
        if (above === undefined) rects.push(run);
        else above.height += run.height;
      }
    }
    return rects;
  }
}
