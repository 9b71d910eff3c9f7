// The codec as the worker uses it: `src/web/codec`, with its zstd loaded.

import { decode, learnt } from "../codec/decode.ts";
import { tileHash } from "../codec/hash.ts";
import { loadZstd } from "../codec/reader.ts";
import type { Codec } from "./screen.ts";

export async function loadCodec(): Promise<Codec> {
  // zstddec fetches its WebAssembly from a data: address within itself, which a strict content security policy
  // forbids. It asks before its first await, so the stand-in is in place for that call alone.
  const network = globalThis.fetch;
  globalThis.fetch = (address) => Promise.resolve(new Response(bytesOfDataUrl(String(address))));
  let loading: Promise<void>;
  try {
    loading = loadZstd();
  } finally {
    globalThis.fetch = network;
  }
  await loading;
  return { decode, learnt, tileHash };
}

function bytesOfDataUrl(address: string): Uint8Array<ArrayBuffer> {
  const text = atob(address.slice(address.indexOf(",") + 1));
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}
