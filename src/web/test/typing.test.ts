import assert from "node:assert/strict";
import { test } from "node:test";
import { stepsOf } from "../e2e/typing.ts";

test("a tapped key goes down and up", () => {
  assert.deepEqual(stepsOf(["KeyQ=a"]), [
    { way: "down", code: "KeyQ", key: "a", repeat: false, held: [] },
    { way: "up", code: "KeyQ", key: "a", repeat: false, held: [] },
  ]);
});

test("a held key is told with the others until it is let go, and again is a repeat", () => {
  const steps = stepsOf(["+ShiftLeft=Shift", "+KeyA=A", "+KeyA=A", "-KeyA", "-ShiftLeft", "Equal=="]);
  const told = steps.map((step) => ("text" in step ? step.text : `${step.way} ${step.key} ${step.repeat} ${step.held.join("+")}`));
  assert.deepEqual(told, ["down Shift false Shift", "down A false Shift+A", "down A true Shift+A", "up A false Shift", "up Shift false ", "down = false ", "up = false "]);
});

test("an input method's text stays text", () => {
  assert.deepEqual(stepsOf(["text:日本"]), [{ text: "日本" }]);
});
