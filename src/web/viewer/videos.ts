// The videos that a link shows: each its own sequence of frames, in order, on its own rectangle.
// Pure: decoders are given to it. docs/protocol.md, "Video".

import { MAX_VIDEOS } from "../wire/limits.ts";
import type { Grid, Rect, VideoFrameHead } from "../wire/update.ts";

/** What a frame shows: one word a pixel as the framebuffer has them, row by row, of the video's whole rectangle. */
export interface Picture {
  rgba: Uint32Array;
  decodeMicros: number;
}

/** Decodes one video, frame after frame. Every promise ends in the end, at the latest when the decoder is closed. */
export interface FrameDecoder {
  /** Null: this frame shows nothing. It rejects if the video cannot go on. */
  decode(accessUnit: Uint8Array, isKey: boolean): Promise<Picture | null>;
  close(): void;
}

export type OpenDecoder = (width: number, height: number) => FrameDecoder;

interface Video {
  rect: Rect;
  nextFrame: number;
  /** Null once a frame could not be decoded: the rest of the video is passed over. */
  decoder: FrameDecoder | null;
}

export class Videos {
  private readonly shown = new Map<number, Video>();
  /** Videos below this number have been given up for newer ones. */
  private first = 0;

  constructor(
    private readonly open: OpenDecoder | null,
    /** Told once of each video that could not be decoded. */
    private readonly failed: (video: number) => void,
  ) {}

  /** Whether a frame is the next of its video, or one that nobody waits for. */
  isReady({ video, frame }: VideoFrameHead): boolean {
    if (video < this.first) return true;
    const known = this.shown.get(video);
    return known === undefined ? frame === 0 : known.decoder === null || frame <= known.nextFrame;
  }

  /** Decodes a frame that comes next, or never will. Null: it is passed over. The promise does not reject. */
  decode(head: VideoFrameHead, accessUnit: Uint8Array): Promise<Picture | null> | null {
    const video = this.shown.get(head.video) ?? this.begin(head);
    if (video === null || video.decoder === null) return null;
    const sameRect = (["x", "y", "width", "height"] as const).every((side) => video.rect[side] === head[side]);
    // One that is not next follows a frame that will not come.
    if (head.frame !== video.nextFrame || !sameRect) {
      this.fail(head.video, video);
      return null;
    }
    video.nextFrame++;
    try {
      return video.decoder.decode(accessUnit, head.frame === 0).catch(() => this.fail(head.video, video));
    } catch {
      return this.fail(head.video, video);
    }
  }

  private begin(head: VideoFrameHead): Video | null {
    if (head.video < this.first) return null;
    while (this.shown.size >= MAX_VIDEOS) {
      const oldest = Math.min(...this.shown.keys());
      this.first = Math.min(oldest, head.video) + 1;
      if (oldest > head.video) return null;
      this.forget(oldest);
    }
    const { x, y, width, height } = head;
    const video: Video = { rect: { x, y, width, height }, nextFrame: 0, decoder: null };
    this.shown.set(head.video, video);
    try {
      if (this.open !== null) video.decoder = this.open(width, height);
    } catch {
      // As one that cannot decode.
    }
    if (video.decoder === null) this.failed(head.video);
    return video;
  }

  private fail(number: number, video: Video): null {
    if (video.decoder === null) return null;
    video.decoder.close();
    video.decoder = null;
    // One that was given up meanwhile is nobody's concern.
    if (this.shown.get(number) === video) this.failed(number);
    return null;
  }

  private forget(number: number): void {
    const video = this.shown.get(number);
    this.shown.delete(number);
    video?.decoder?.close();
  }

  /** Gives up every video: their rectangles are those of another screen. */
  clear(): void {
    for (const number of [...this.shown.keys()]) {
      this.first = Math.max(this.first, number + 1);
      this.forget(number);
    }
  }
}

/** Which frame of video was painted last on each tile, and where. */
export class Painted {
  private readonly by: Float64Array;
  private readonly rects: (Rect | undefined)[] = [];

  constructor(grid: Grid) {
    this.by = new Float64Array(grid.length);
  }

  /** The number of the update that painted last; 0 if none did. */
  writer(tile: number): number {
    return this.by[tile] as number;
  }

  note(tile: number, update: number, rect: Rect): void {
    this.by[tile] = update;
    this.rects[tile] = rect;
  }

  /** Where a frame newer than `update` has been painted. */
  newerThan(tile: number, update: number): Rect | null {
    return this.writer(tile) > update ? (this.rects[tile] as Rect) : null;
  }
}

/** What two rectangles share; null if nothing. */
export function intersection(a: Rect, b: Rect): Rect | null {
  const x = Math.max(a.x, b.x);
  const y = Math.max(a.y, b.y);
  const width = Math.min(a.x + a.width, b.x + b.width) - x;
  const height = Math.min(a.y + a.height, b.y + b.height) - y;
  return width > 0 && height > 0 ? { x, y, width, height } : null;
}
