import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { Pane } from "../page/pane.ts";
import { Presenter } from "../viewer/presenter.ts";

function pane(): { done: string[]; pane: Pane } {
  const done: string[] = [];
  const canvas = { remove: () => done.push("canvas gone") };
  const worker = {
    postMessage: (message: { type: string }) => done.push(message.type),
    terminate: () => done.push("worker terminated"),
  };
  return { done, pane: new Pane(canvas, worker) };
}

test("closing takes the canvas away before anything else, and terminates the worker at once", () => {
  const { done, pane: shown } = pane();
  shown.close();
  assert.deepEqual(done, ["canvas gone", "worker terminated"]);
  shown.tell({ type: "stop" });
  shown.close();
  assert.equal(done.length, 2, "a worker that is gone is told nothing");
});

test("leaving takes the canvas away first and lets the worker take leave, but not for long", (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const { done, pane: shown } = pane();
  shown.leave();
  assert.deepEqual(done, ["canvas gone", "stop"]);
  context.mock.timers.tick(300);
  assert.deepEqual(done, ["canvas gone", "stop", "worker terminated"]);
});

test("closing what was left a moment ago does not wait for it", () => {
  const { done, pane: shown } = pane();
  shown.leave();
  shown.close();
  assert.deepEqual(done, ["canvas gone", "stop", "worker terminated"]);
});

test("a wiped picture is off the canvas, and no frame that was due paints it again", () => {
  let paints = 0;
  let frame: () => void = () => undefined;
  const globals = globalThis as unknown as Record<string, unknown>;
  const before = { ImageData: globals["ImageData"], requestAnimationFrame: globals["requestAnimationFrame"] };
  globals["ImageData"] = class {
    constructor(readonly data: Uint8ClampedArray, readonly width: number, readonly height: number) {}
  };
  globals["requestAnimationFrame"] = (run: () => void) => (frame = run);
  const timers = mock.timers;
  timers.enable({ apis: ["setTimeout"] });
  try {
    const canvas = { width: 1, height: 1, getContext: () => ({ putImageData: () => paints++ }) };
    const presenter = new Presenter(canvas as unknown as OffscreenCanvas, () => undefined);
    const whole = { x: 0, y: 0, width: 2, height: 2 };
    const damage = { isEmpty: false, take: () => [whole], addAll: () => undefined };
    const screen = { hasPicture: true, damage, grid: { width: 2, height: 2 }, framebuffer: new Uint32Array(4) };
    presenter.present(screen as never);
    assert.deepEqual([paints, canvas.width, canvas.height], [1, 2, 2]);
    presenter.present(screen as never);
    presenter.wipe();
    frame();
    timers.tick(1000);
    assert.deepEqual([paints, canvas.width, canvas.height, presenter.width], [1, 1, 1, 0]);
    assert.equal(presenter.readBack(), null);
  } finally {
    timers.reset();
    Object.assign(globals, before);
  }
});
