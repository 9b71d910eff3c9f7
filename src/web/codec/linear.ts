// The linear predictor of grey tiles: twelve neighbours, with weights sent for the tile, in 64ths.

import { TILE } from "./tile.ts";

/** The weights sent: of three cells to the west, then of the cells above; that of N makes the sum 64. */
export const WEIGHTS = 11;
/** Around a row: three cells to the left, two to the right; two rows above the tile. */
const LEFT = 3;
const RIGHT = 2;
const TOP = 2;
const ROW = LEFT + TILE + RIGHT;

const padded = new Uint8Array(ROW * (TILE + TOP));

/** Turns the residuals of a plane, whose rows begin at 1 and are `stride` apart, into its cells, in place. */
export function restoreLinear(plane: Uint8Array, stride: number, width: number, height: number, sent: Uint8Array): void {
  const [one, two, three, nww, nw, ne, nee, nnw, nn, nne, nnn] = new Int8Array(sent) as unknown as Eleven;
  const north = 64 - (one + two + three + nww + nw + ne + nee + nnw + nn + nne + nnn);
  const cells = padded;
  for (let y = 0; y < height; y++) {
    const start = (y + TOP) * ROW + LEFT;
    let from = y * stride + 1;
    const end = start + width;
    if (y === 0) {
      let west = 0;
      for (let at = start; at < end; at++) {
        west = (west + plane[from++]!) & 0xff;
        cells[at] = west;
      }
      cells.fill(cells[start]!, start - LEFT, start);
    } else {
      const first = cells[start - ROW]!;
      cells.fill(first, start - LEFT, start);
      let w = first;
      let ww = first;
      let www = first;
      for (let at = start; at < end; at++) {
        const above = at - ROW;
        const upper = above - ROW;
        // No sum of twelve products of a byte and a weight leaves the small integers.
        const sum =
          north * cells[above]! + nww * cells[above - 2]! + nw * cells[above - 1]! + ne * cells[above + 1]! +
          nee * cells[above + 2]! + nnw * cells[upper - 1]! + nn * cells[upper]! + nne * cells[upper + 1]! +
          nnn * cells[upper - ROW]! + two * ww + three * www + 32;
        const here = (plane[from++]! + ((sum + one * w) >> 6)) & 0xff;
        cells[at] = here;
        www = ww;
        ww = w;
        w = here;
      }
    }
    cells.fill(cells[end - 1]!, end, end + RIGHT);
    if (y === 0) {
      const row = TOP * ROW;
      for (let above = 0; above < TOP; above++) cells.copyWithin(above * ROW, row, row + ROW);
    }
    plane.set(cells.subarray(start, end), y * stride + 1);
  }
}

type Eleven = [number, number, number, number, number, number, number, number, number, number, number];
