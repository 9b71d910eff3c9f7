// Reading a sealed recording at any place.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Encrypter, generateX25519Identity, identityToRecipient } from "age-encryption";
import { CHUNK, SealError, Sealed, identitiesOf } from "../recording/sealed.ts";

const plain = Uint8Array.from({ length: 3 * CHUNK + 777 }, (_, at) => (at * 31 + (at >> 8)) & 0xff);

async function sealed(bytes: Uint8Array): Promise<{ file: Uint8Array; identity: string }> {
  const identity = await generateX25519Identity();
  const encrypter = new Encrypter();
  encrypter.addRecipient(await identityToRecipient(identity));
  return { file: await encrypter.encrypt(bytes), identity };
}

function fetcher(file: Uint8Array, fetched: number[] = []) {
  return async (from: number, to: number) => {
    const bytes = file.slice(from, to);
    fetched.push(bytes.length);
    return { bytes, size: file.length };
  };
}

async function refusal(doing: Promise<unknown>): Promise<string> {
  const error: unknown = await doing.then(() => null, (error: unknown) => error);
  assert.ok(error instanceof SealError, String(error));
  return error.kind;
}

test("every place of a sealed file is read as it was written, in any order", async () => {
  const { file, identity } = await sealed(plain);
  const source = await Sealed.open(fetcher(file), `# a comment\n${identity}\n`);
  assert.equal(source.size, plain.length);
  for (const offset of [3 * CHUNK + 5, 0, CHUNK - 1, 2 * CHUNK, CHUNK, 77]) {
    const end = Math.min((Math.floor(offset / CHUNK) + 1) * CHUNK, plain.length);
    assert.deepEqual(await source.read(offset), plain.subarray(offset, end));
  }
  assert.equal((await source.read(plain.length)).length, 0);
});

test("a file that fills its last chunk, and one that was cut between chunks, are read to their end", async () => {
  const whole = plain.subarray(0, 2 * CHUNK);
  const { file, identity } = await sealed(whole);
  const source = await Sealed.open(fetcher(file), identity);
  assert.deepEqual(await source.read(CHUNK), whole.subarray(CHUNK));
  const cut = await Sealed.open(fetcher(file.subarray(0, file.length - CHUNK - 16)), identity);
  assert.deepEqual(await cut.read(0), whole.subarray(0, CHUNK));
});

test("what is damaged is refused, and what is before it is read", async () => {
  const { file, identity } = await sealed(plain);
  file[file.length - 900]! ^= 1;
  const source = await Sealed.open(fetcher(file), identity);
  assert.deepEqual(await source.read(CHUNK), plain.subarray(CHUNK, 2 * CHUNK));
  assert.equal(await refusal(source.read(2 * CHUNK)), "damaged");
  assert.deepEqual(await source.read(3 * CHUNK), plain.subarray(3 * CHUNK));
});

test("another key, no key and another file are told apart", async () => {
  const { file, identity } = await sealed(plain);
  assert.equal(await refusal(Sealed.open(fetcher(file), await generateX25519Identity())), "key");
  assert.equal(await refusal(Sealed.open(fetcher(file), "nothing here")), "identity");
  assert.equal(await refusal(Sealed.open(fetcher(file), "AGE-SECRET-KEY-1QQQQ")), "identity");
  assert.equal(await refusal(Sealed.open(fetcher(plain), identity)), "foreign");
});

test("identities are found among an identity file's other lines", () => {
  assert.deepEqual(identitiesOf("# created: today\n# public key: age1xyz\nAGE-SECRET-KEY-1ABC\n"), ["AGE-SECRET-KEY-1ABC"]);
  assert.deepEqual(identitiesOf("age1xyz"), []);
});
