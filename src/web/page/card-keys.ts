// Where an arrow key goes from a card: across rows of any length, and from list to list. Pure.

/** Where a card is. */
export interface Spot {
  left: number;
  top: number;
}

/** Cards whose upper edges are no further apart stand in one row. */
const SAME_ROW = 4;

/** The index of the card that a key leads to; null: it leads nowhere. Cards are in the order of the page. */
export function cardAfter(key: string, at: number, spots: Spot[]): number | null {
  const from = spots[at];
  if (from === undefined) return null;
  const last = spots.length - 1;
  switch (key) {
    case "Home":
      return 0;
    case "End":
      return last;
    case "ArrowRight":
      return at < last ? at + 1 : null;
    case "ArrowLeft":
      return at > 0 ? at - 1 : null;
    case "ArrowDown":
    case "ArrowUp":
      return inNextRow(from, spots, key === "ArrowDown" ? 1 : -1);
    default:
      return null;
  }
}

/** The card of the next row that is nearest sideways. */
function inNextRow(from: Spot, spots: Spot[], way: 1 | -1): number | null {
  const beyond = spots.map(({ top }) => (top - from.top) * way).filter((distance) => distance > SAME_ROW);
  if (beyond.length === 0) return null;
  const row = Math.min(...beyond);
  let best: number | null = null;
  spots.forEach((spot, index) => {
    if (Math.abs((spot.top - from.top) * way - row) > SAME_ROW) return;
    const nearer = best === null || Math.abs(spot.left - from.left) < Math.abs((spots[best] as Spot).left - from.left);
    if (nearer) best = index;
  });
  return best;
}
