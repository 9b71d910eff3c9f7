import assert from "node:assert/strict";
import { test } from "node:test";
import { straightAlpha } from "../page/cursor.ts";
import { Touch, Wheel, buttonOf } from "../page/pointer.ts";

const at = { x: 10, y: 20 };

test("wheel movement in pixels, lines and pages adds up to 120ths of a notch", () => {
  const wheel = new Wheel();
  assert.deepEqual(wheel.add(0, 100, 0, at), [{ type: "Wheel", horizontal: 0, vertical: 120, ...at }]);
  assert.deepEqual(wheel.add(0, -3, 1, at), [{ type: "Wheel", horizontal: 0, vertical: -120, ...at }]);
  assert.deepEqual(wheel.add(1, 0, 2, at), [{ type: "Wheel", horizontal: 1200, vertical: 0, ...at }]);
});

test("small wheel movements are not lost", () => {
  const wheel = new Wheel();
  let sum = 0;
  for (let step = 0; step < 250; step++) {
    for (const event of wheel.add(0, 0.4, 0, at)) if (event.type === "Wheel") sum += event.vertical;
  }
  assert.ok(Math.abs(sum - 120) <= 1, `${sum}`);
});

test("a wheel that turns absurdly far stays within an event's range", () => {
  const [event] = new Wheel().add(0, 1e9, 2, at);
  assert.ok(event?.type === "Wheel" && event.vertical <= 32_767);
});

test("buttons have the protocol's numbers", () => {
  assert.deepEqual([0, 1, 2, 3, 4, 5].map(buttonOf), [1, 2, 3, 8, 9, null]);
});

const words = (result: { events: { type: string }[] }): string =>
  result.events.map((event: any) => (event.type === "PointerButton" ? `${event.button}${event.down ? "+" : "-"}` : event.type)).join(" ");

test("a tap clicks, a long press is the right button", () => {
  const touch = new Touch();
  assert.equal(words(touch.down(1, at, at, 0)), "");
  assert.equal(words(touch.up(1, 100)), "1+ 1-");
  touch.down(2, at, at, 1000);
  assert.equal(words(touch.rested(1600)), "3+ 3-");
  assert.equal(words(touch.up(2, 1700)), "");
});

test("a finger that moves drags, and lets go when the touch is taken away", () => {
  const touch = new Touch();
  touch.down(1, at, at, 0);
  assert.equal(words(touch.move(1, { x: 60, y: 20 }, { x: 60, y: 20 })), "1+ PointerMove");
  assert.equal(words(touch.cancel()), "1-");
});

test("two fingers that move together scroll, and that part zoom", () => {
  const scroll = new Touch();
  scroll.down(1, { x: 100, y: 100 }, at, 0);
  scroll.down(2, { x: 200, y: 100 }, at, 0);
  scroll.move(1, { x: 100, y: 60 }, at);
  const scrolled = scroll.move(2, { x: 200, y: 60 }, at);
  assert.ok(scrolled.events.some((event) => event.type === "Wheel" && event.vertical > 0), words(scrolled));
  const pinch = new Touch();
  pinch.down(1, { x: 100, y: 100 }, at, 0);
  pinch.down(2, { x: 200, y: 100 }, at, 0);
  const zoomed = pinch.move(2, { x: 300, y: 100 }, at);
  assert.equal(zoomed.zoom?.scale, 2);
  assert.deepEqual(zoomed.events, []);
});

test("premultiplied cursor pixels become plain ones", () => {
  assert.deepEqual([...straightAlpha(Uint8Array.of(50, 100, 0, 128, 9, 9, 9, 0, 1, 2, 3, 255))], [100, 199, 0, 128, 0, 0, 0, 0, 1, 2, 3, 255]);
});
