// The codec as the worker uses it: `src/web/codec`, with its zstd loaded.

import { decode } from "../codec/decode.ts";
import { tileHash } from "../codec/hash.ts";
import { loadZstd } from "../codec/reader.ts";
import type { Codec } from "./screen.ts";

export async function loadCodec(): Promise<Codec> {
  await loadZstd();
  return { decode, tileHash };
}
