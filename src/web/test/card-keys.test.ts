import assert from "node:assert/strict";
import { test } from "node:test";
import { cardAfter } from "../page/card-keys.ts";

// Two rows of three and one, and another site's list of two below them.
const spots = [[0, 0], [300, 0], [600, 0], [0, 100], [0, 300], [300, 300]].map(([left, top]) => ({ left: left as number, top: top as number }));
const goes = (key: string, from: number): number | null => cardAfter(key, from, spots);

test("arrows go along a row and on to the next list", () => {
  assert.deepEqual([goes("ArrowRight", 0), goes("ArrowLeft", 1), goes("ArrowRight", 3), goes("ArrowLeft", 4)], [1, 0, 4, 3]);
  assert.deepEqual([goes("ArrowLeft", 0), goes("ArrowRight", 5)], [null, null]);
});

test("up and down go to the card of the next row that is nearest sideways, across lists", () => {
  assert.deepEqual([goes("ArrowDown", 0), goes("ArrowDown", 2), goes("ArrowDown", 3), goes("ArrowUp", 5)], [3, 3, 4, 3]);
  assert.deepEqual([goes("ArrowUp", 1), goes("ArrowDown", 5)], [null, null]);
});

test("Home and End go to the first and the last, and other keys or no card nowhere", () => {
  assert.deepEqual([goes("Home", 4), goes("End", 1), goes("a", 1), goes("ArrowDown", -1)], [0, 5, null, null]);
});
