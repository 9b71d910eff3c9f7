import assert from "node:assert/strict";
import { test } from "node:test";
import { FetchedPicture, OfferedPicture, type PicturePart, beginsPicture } from "../viewer/pictures.ts";
import type { Message } from "../wire/control.ts";

function png(width: number, height: number, length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  bytes.forEach((_, at) => (bytes[at] = at % 251));
  bytes.set([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 13, 0x49, 0x48, 0x44, 0x52]);
  new DataView(bytes.buffer).setUint32(16, width);
  new DataView(bytes.buffer).setUint32(20, height);
  return bytes;
}

function part(message: PicturePart | null): PicturePart {
  assert.ok(message !== null);
  return message;
}

class Bench {
  readonly asked: Message[] = [];
  readonly whole: Uint8Array[] = [];
  readonly offered = new OfferedPicture();
  readonly fetched = new FetchedPicture((message) => this.asked.push(message), (picture) => this.whole.push(picture));
}

test("a picture of any length comes whole, one part after another", () => {
  for (const length of [24, 16_384, 16_385, 100_000]) {
    const { offered, fetched, asked, whole } = new Bench();
    const sent = png(30, 20, length);
    fetched.hear(part(offered.offer(sent)));
    for (let next = asked.shift(); next?.type === "PictureWanted"; next = asked.shift()) {
      const answer = part(offered.part(next.picture, next.from));
      assert.ok(answer.bytes.length <= 16_384);
      fetched.hear(answer);
      assert.ok(asked.length <= 1);
    }
    assert.deepEqual(whole, [sent]);
  }
});

test("a newer offer replaces the one before, and what was not asked for ends the fetching", () => {
  const { offered, fetched, asked, whole } = new Bench();
  fetched.hear(part(offered.offer(png(5, 5, 50_000))));
  const old = part(offered.part(1, 0));
  fetched.hear(part(offered.offer(png(5, 5, 40_000))));
  fetched.hear(old);
  assert.equal(asked.length, 2);
  fetched.hear(part(offered.part(2, 32_768)));
  fetched.hear(part(offered.part(2, 0)));
  assert.equal(asked.length, 2);
  assert.equal(offered.part(1, 0), null);
  assert.equal(whole.length, 0);
});

test("what is no picture, or too large a one, is neither offered nor fetched on", () => {
  for (const wrong of [new Uint8Array(100), png(0, 5, 100), png(4097, 4096, 100), png(5, 5, 20_000).subarray(0, 23)]) {
    const { offered, fetched, asked } = new Bench();
    assert.equal(beginsPicture(wrong), false);
    assert.equal(offered.offer(wrong), null);
    fetched.hear({ type: "Picture", picture: 1, total: 100_000, from: 0, bytes: new Uint8Array() });
    fetched.hear({ type: "Picture", picture: 1, total: 100_000, from: 0, bytes: wrong });
    assert.equal(asked.length, 1);
  }
  assert.equal(new OfferedPicture().offer(png(5, 5, (8 << 20) + 1)), null);
  assert.ok(beginsPicture(png(4096, 4096, 100)));
});
