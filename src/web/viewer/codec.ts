// The codec that the worker uses: `src/web/codec`, joined here.

import type { Codec } from "./screen.ts";

export async function loadCodec(): Promise<Codec> {
  throw new Error("this build has no codec");
}
