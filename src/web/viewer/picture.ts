// A decoded frame's pixels as the framebuffer has them. Where the browser does not convert, this does: BT.709, limited
// range, as the session encodes (src/codec/video/yuv.rs is its twin).

/** Planes of 4:2:0 in one buffer: where each begins, the bytes of its row, and from one chroma sample to the next. */
export interface Planes {
  bytes: Uint8Array;
  y: PlaneLayout;
  u: PlaneLayout;
  v: PlaneLayout;
  chromaStep: number;
}

const OPAQUE = 0xff00_0000;

/** TypeScript's DOM does not know the format asked for yet; browsers that do not know it either pass over it. */
type CopyOptions = VideoFrameCopyToOptions & { format?: "RGBA" };
const AS_RGBA: CopyOptions = { format: "RGBA" };

/** One word a pixel, R in the lowest byte, row by row; alpha 255. */
export async function pixelsOf(frame: VideoFrame, width: number, height: number): Promise<Uint32Array> {
  const shown = frame.visibleRect;
  if (shown === null || shown.width !== width || shown.height !== height) {
    throw new Error(`a frame of ${shown?.width} x ${shown?.height} came in a video of ${width} x ${height}`);
  }
  const rgba = new Uint32Array(width * height);
  const format: string = frame.format ?? "none";
  const inWords = /^(RGB|BGR)[AX]$/.test(format);
  // A browser that knows no format asked for answers for the frame's own.
  if (!inWords && convertsItself(frame, rgba.byteLength)) {
    await frame.copyTo(new Uint8Array(rgba.buffer), AS_RGBA);
    return opaque(rgba);
  }
  const bytes = new Uint8Array(frame.allocationSize());
  const [first, second, third] = await frame.copyTo(bytes);
  if (first !== undefined && second !== undefined && (format === "NV12" || (format === "I420" && third !== undefined))) {
    const v = third ?? { offset: second.offset + 1, stride: second.stride };
    fromPlanes({ bytes, y: first, u: second, v, chromaStep: format === "NV12" ? 2 : 1 }, width, rgba);
  } else if (first !== undefined && inWords) {
    fromWords(bytes, first, format.startsWith("B"), width, rgba);
  } else {
    throw new Error(`frames of the format ${format} cannot be read`);
  }
  return rgba;
}

function convertsItself(frame: VideoFrame, size: number): boolean {
  try {
    return frame.allocationSize(AS_RGBA) === size;
  } catch {
    return false;
  }
}

function opaque(rgba: Uint32Array): Uint32Array {
  for (let at = 0; at < rgba.length; at++) rgba[at] = (rgba[at] as number) | OPAQUE;
  return rgba;
}

function fromWords(bytes: Uint8Array, layout: PlaneLayout, blueFirst: boolean, width: number, rgba: Uint32Array): void {
  const [red, blue] = blueFirst ? [2, 0] : [0, 2];
  for (let at = 0; at < rgba.length; at++) {
    const from = layout.offset + Math.floor(at / width) * layout.stride + (at % width) * 4;
    const [r, g, b] = [bytes[from + red] as number, bytes[from + 1] as number, bytes[from + blue] as number];
    rgba[at] = (OPAQUE | (b << 16) | (g << 8) | r) >>> 0;
  }
}

// Fixed point, 16 bits of fraction.
const LUMA = 76_309;
const RED_V = 117_489;
const GREEN_U = 13_975;
const GREEN_V = 34_925;
const BLUE_U = 138_438;
const HALF = 1 << 15;

const clamped = (value: number): number => (value < 0 ? 0 : value > 255 ? 255 : value);

/** Fills `rgba`, rows of `width` pixels, from planes. */
export function fromPlanes({ bytes, y, u, v, chromaStep }: Planes, width: number, rgba: Uint32Array): void {
  const height = rgba.length / width;
  for (let row = 0, to = 0; row < height; row++) {
    const lumaRow = y.offset + row * y.stride;
    const uRow = u.offset + (row >> 1) * u.stride;
    const vRow = v.offset + (row >> 1) * v.stride;
    for (let column = 0; column < width; column++, to++) {
      const light = ((bytes[lumaRow + column] as number) - 16) * LUMA + HALF;
      const chroma = (column >> 1) * chromaStep;
      const blueness = (bytes[uRow + chroma] as number) - 128;
      const redness = (bytes[vRow + chroma] as number) - 128;
      const red = clamped((light + RED_V * redness) >> 16);
      const green = clamped((light - GREEN_U * blueness - GREEN_V * redness) >> 16);
      const blue = clamped((light + BLUE_U * blueness) >> 16);
      rgba[to] = (OPAQUE | (blue << 16) | (green << 8) | red) >>> 0;
    }
  }
}
