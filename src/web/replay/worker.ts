// The worker of the replay page: fetches what is sealed, opens it, decodes it, keeps the time.

import { Player } from "../recording/player.ts";
import { SealError, Sealed } from "../recording/sealed.ts";
import { loadCodec } from "../viewer/codec.ts";
import { h264Decoders } from "../viewer/h264.ts";
import { Presenter } from "../viewer/presenter.ts";
import type { FromReplay, ToReplay } from "./messages.ts";

const FRAME_MS = 33;
/** Where nothing happens for longer than this, skipping leaves half a second of it. */
const IDLE = 2_000_000;
const IDLE_LEFT = 500_000;
const PATIENCE_MS = 60_000;

interface WorkerScope {
  postMessage(message: FromReplay, transfer: Transferable[]): void;
  onmessage: ((event: MessageEvent<ToReplay>) => void) | null;
}
const scope = self as unknown as WorkerScope;
const post = (message: FromReplay, transfer: Transferable[] = []): void => scope.postMessage(message, transfer);

let player: Player | null = null;
let presenter: Presenter | null = null;
let playing: { speed: number; skipIdle: boolean } | null = null;
/** The newest wish of where to be; older ones that were not begun are forgotten. */
let wished: number | null = null;
let busy = false;
/** The pointer's picture that the page has. */
let shownCursor: Player["cursor"] = null;
let ticked = 0;

class Away extends Error {}

function fetcher(url: string) {
  return async (from: number, to: number): Promise<{ bytes: Uint8Array; size: number }> => {
    let response: Response;
    try {
      response = await fetch(url, {
        headers: { Range: `bytes=${from}-${to - 1}` },
        cache: "no-store",
        credentials: "same-origin",
        signal: AbortSignal.timeout(PATIENCE_MS),
      });
    } catch (error) {
      throw new Away(String(error));
    }
    if (response.status !== 206) throw new Away(`${response.status}`);
    const size = Number(/\/(\d+)$/.exec(response.headers.get("Content-Range") ?? "")?.[1] ?? NaN);
    if (!Number.isSafeInteger(size)) throw new Away("no size");
    return { bytes: new Uint8Array(await response.arrayBuffer()), size };
  };
}

function show(skipped = false): void {
  if (player === null || presenter === null) return;
  if (player.screen !== null) presenter.present(player.screen);
  if (player.cursor !== shownCursor) {
    shownCursor = player.cursor;
    post({ type: "cursor", cursor: shownCursor });
  }
  const { width, height } = presenter;
  post({ type: "time", time: player.time, playing: playing !== null, width, height, skipped, pointer: player.cursorAt });
}

function fail(error: unknown): void {
  playing = null;
  const kind = error instanceof SealError ? error.kind : error instanceof Away ? "away" : "other";
  post({ type: "failed", kind, detail: error instanceof Error ? error.message : String(error) });
}

/** One thing at a time: a seek that was wished, or the next stretch of playing. */
async function work(): Promise<void> {
  if (busy || player === null) return;
  busy = true;
  try {
    while (wished !== null) {
      const time = wished;
      wished = null;
      await player.seek(time);
      ticked = performance.now();
      show();
    }
    if (playing !== null) await advance(player, playing);
  } catch (error) {
    fail(error);
    show();
  } finally {
    busy = false;
  }
}

async function advance(on: Player, { speed, skipIdle }: { speed: number; skipIdle: boolean }): Promise<void> {
  const now = performance.now();
  let until = on.time + (now - ticked) * 1000 * speed;
  ticked = now;
  const next = await on.nextTime();
  const skipped = skipIdle && next !== null && next - until > IDLE;
  if (skipped) until = next - IDLE_LEFT;
  await on.playUntil(until);
  if (on.time >= on.index.end) playing = null;
  show(skipped);
}

async function open(canvas: OffscreenCanvas, url: string, identity: string): Promise<void> {
  const [codec, openDecoder, sealed] = await Promise.all([loadCodec(), h264Decoders(), Sealed.open(fetcher(url), identity)]);
  presenter = new Presenter(canvas, () => queueMicrotask(() => show()));
  const opened = new Player(sealed, codec, openDecoder, () => show());
  await opened.open();
  player = opened;
  const { header, index, damage } = opened;
  const keys = index.keys.map((key) => key.time);
  const { session, title, beganUnixMillis } = header;
  post({ type: "opened", recording: { session, title, beganUnixMillis, end: index.end, keys, damage } });
  wished = keys[0] ?? 0;
  await work();
  setInterval(() => void work(), FRAME_MS);
}

function sendPixels(request: number): void {
  const image = presenter?.readBack() ?? null;
  const rgba = image === null ? new ArrayBuffer(0) : (image.data.buffer as ArrayBuffer);
  post({ type: "pixels", request, width: image?.width ?? 0, height: image?.height ?? 0, time: player?.time ?? 0, rgba }, [rgba]);
}

scope.onmessage = ({ data }) => {
  switch (data.type) {
    case "open":
      open(data.canvas, data.url, data.identity).catch(fail);
      return;
    case "seek":
      wished = data.time;
      void work();
      return;
    case "play":
      ticked = performance.now();
      playing = { speed: data.speed, skipIdle: data.skipIdle };
      return;
    case "pause":
      playing = null;
      show();
      return;
    case "pixels":
      return sendPixels(data.request);
  }
};
