// The decoder and the hash against the vectors that the Rust side wrote and checks as well.

import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { before, test } from "node:test";
import type { Beginning, ContextModel } from "./context.ts";
import { decode, learnt } from "./decode.ts";
import { tileHash } from "./hash.ts";
import { CodecError, loadZstd } from "./reader.ts";

interface Vector {
  readonly name: string;
  readonly size: { readonly width: number; readonly height: number };
  readonly tiles: number[];
  readonly payload: Uint8Array;
  /** The vector whose model it goes on from, or "nothing"; null when it stands alone. */
  readonly live: string | null;
  /** Low and high words; null when the payload must be refused. */
  readonly key: readonly [number, number];
  readonly hashes: readonly (readonly [number, number])[] | null;
}

function vectorsPath(): string {
  for (let folder = process.cwd(); ; folder = dirname(folder)) {
    const path = join(folder, "tests/vectors/codec.txt");
    if (existsSync(path)) return path;
    if (folder === dirname(folder)) throw new Error("tests/vectors/codec.txt is in no folder above this one");
  }
}

const words = (hex: string): [number, number] => [parseInt(hex.slice(8), 16), parseInt(hex.slice(0, 8), 16)];

function readVectors(): Vector[] {
  const blocks = readFileSync(vectorsPath(), "utf8").split(/\n\n+/).filter((block) => block.startsWith("vector "));
  return blocks.map((block) => {
    const fields = new Map(block.split("\n").map((line) => [line.split(" ")[0]!, line.split(" ").slice(1)]));
    const field = (name: string) => fields.get(name) ?? [];
    const [width, height] = field("size").map(Number) as [number, number];
    return {
      name: field("vector").join(" "),
      size: { width, height },
      tiles: field("tiles").map(Number),
      payload: Uint8Array.from(Buffer.from(field("payload")[0] ?? "", "hex")),
      live: fields.has("live") ? field("live").join(" ") : null,
      key: words(field("key")[0] ?? "0000000000000000"),
      hashes: fields.has("refused") ? null : field("hashes").map(words),
    };
  });
}

before(loadZstd);

const models = new Map<string, ContextModel>();

function beginningOf({ live }: Vector): Beginning | null {
  return live === null ? null : { base: models.get(live) ?? null };
}

for (const vector of readVectors()) {
  test(`${vector.name} ${vector.hashes === null ? "is refused" : "decodes to the same pixels as in Rust"}`, () => {
    const found: [number, number][] = [];
    const run = () =>
      decode(vector.payload, vector.size, vector.tiles, (index, x, y, width, height, rgba) => {
        assert.ok(x + width <= vector.size.width && y + height <= vector.size.height);
        assert.ok(rgba.every((pixel) => pixel >>> 24 === 255), "pixels are opaque");
        found[index] = tileHash(...vector.key, rgba, width, height);
      }, [], beginningOf(vector));
    if (vector.hashes === null) assert.throws(run, CodecError);
    else {
      run();
      const model = learnt();
      if (vector.live !== null) models.set(vector.name, model!);
      assert.deepEqual(found, vector.hashes);
    }
  });
}

test("bytes of red, green and blue are in the order of ImageData", () => {
  // One tile of one pixel of the colour 0x112233: see docs/codec.md.
  const vector = readVectors().find((vector) => vector.name === "one pixel of 112233");
  assert.ok(vector);
  let bytes: number[] = [];
  decode(vector.payload, vector.size, vector.tiles, (_index, _x, _y, _width, _height, rgba) => {
    bytes = [...new Uint8Array(rgba.buffer, rgba.byteOffset, rgba.byteLength)];
  });
  assert.deepEqual(bytes, [0x11, 0x22, 0x33, 0xff]);
});

test("random damage to any vector ends in a CodecError or in tiles", () => {
  let state = 1;
  const random = (limit: number) => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) % limit;
  for (const vector of readVectors()) {
    for (let round = 0; round < 200; round++) {
      const payload = vector.payload.slice(0, random(4) === 0 ? random(vector.payload.length + 1) : undefined);
      for (let flips = random(4); flips >= 0 && payload.length > 0; flips--) payload[random(payload.length)]! ^= 1 + random(255);
      try {
        decode(payload, vector.size, vector.tiles, () => {}, [], beginningOf(vector));
      } catch (error) {
        assert.ok(error instanceof CodecError, `${error}`);
      }
    }
  }
});
