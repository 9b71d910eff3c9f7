import assert from "node:assert/strict";
import { test } from "node:test";
import { isWithin } from "../page/way-back.ts";

test("a sign-in that began on the administration page goes back there for ten minutes", () => {
  assert.equal(isWithin(1000, 1000), true);
  assert.equal(isWithin(1000, 1000 + 599_999), true);
  assert.equal(isWithin(1000, 1000 + 600_000), false);
});

test("a time that cannot be is no beginning", () => {
  assert.equal(isWithin(2000, 1000), false);
  assert.equal(isWithin(Number("soon"), 1000), false);
});
