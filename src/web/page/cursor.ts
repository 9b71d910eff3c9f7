// The session's pointer shape as the browser's cursor; drawn when browsers would refuse it.

import type { Glass } from "./glass.ts";

/** Browsers ignore cursor images above this many CSS pixels a side. */
const MOST_CSS_PIXELS = 128;

export interface CursorImage {
  width: number;
  height: number;
  hotX: number;
  hotY: number;
  /** R, G, B, A, premultiplied. */
  rgba: Uint8Array;
}

/** Undoes the premultiplication: canvases and image files hold plain colours. */
export function straightAlpha(premultiplied: Uint8Array): Uint8ClampedArray<ArrayBuffer> {
  const straight = new Uint8ClampedArray(premultiplied.length);
  for (let at = 0; at < premultiplied.length; at += 4) {
    const alpha = premultiplied[at + 3] as number;
    if (alpha === 0) continue;
    for (let channel = 0; channel < 3; channel++) {
      straight[at + channel] = Math.round(((premultiplied[at + channel] as number) * 255) / alpha);
    }
    straight[at + 3] = alpha;
  }
  return straight;
}

export class Cursor {
  private image: CursorImage | null = null;
  private picture: HTMLCanvasElement | null = null;
  private drawn = false;
  private pointerInside = false;

  constructor(
    private readonly glass: Glass,
    private readonly sprite: HTMLCanvasElement,
  ) {}

  show(image: CursorImage): void {
    this.image = image;
    this.picture = image.width === 0 || image.height === 0 ? null : pictureOf(image);
    this.apply();
  }

  /** No shape of the session's stays. */
  clear(): void {
    this.image = null;
    this.picture = null;
    this.sprite.width = 1;
    this.sprite.height = 1;
    this.sprite.hidden = true;
  }

  /** Shape and scale again, after the window or its pixel ratio changed. */
  apply(): void {
    const { image, picture } = this;
    if (image === null) return;
    this.sprite.hidden = true;
    this.drawn = false;
    if (picture === null) return this.set("none");
    const ratio = devicePixelRatio;
    const cssWidth = image.width / ratio;
    const cssHeight = image.height / ratio;
    if (Math.max(cssWidth, cssHeight) > MOST_CSS_PIXELS) return this.drawInstead(picture, cssWidth, cssHeight);
    const hotX = Math.floor(image.hotX / ratio);
    const hotY = Math.floor(image.hotY / ratio);
    const sharp = `image-set(url(${picture.toDataURL()}) ${ratio}x) ${hotX} ${hotY}, default`;
    const plain = (): string => `url(${resized(picture, cssWidth, cssHeight).toDataURL()}) ${hotX} ${hotY}, default`;
    this.set(ratio !== 1 && CSS.supports("cursor", sharp) ? sharp : plain());
  }

  private set(cursor: string): void {
    this.glass.canvas.style.cursor = cursor;
  }

  private drawInstead(picture: HTMLCanvasElement, cssWidth: number, cssHeight: number): void {
    this.drawn = true;
    this.set("none");
    this.draw(picture, cssWidth, cssHeight);
  }

  private draw(picture: HTMLCanvasElement, cssWidth: number, cssHeight: number): void {
    this.sprite.width = picture.width;
    this.sprite.height = picture.height;
    this.sprite.style.width = `${cssWidth}px`;
    this.sprite.style.height = `${cssHeight}px`;
    this.sprite.getContext("2d")?.drawImage(picture, 0, 0);
  }

  /** The user's own pointer, in CSS pixels of the window. */
  pointerAt(x: number, y: number): void {
    this.pointerInside = true;
    if (this.drawn) this.placeSprite(x, y);
    else if (!this.sprite.hidden) this.sprite.hidden = true;
  }

  pointerLeft(): void {
    this.pointerInside = false;
    this.sprite.hidden = true;
  }

  /** The session moved the pointer: shown where the user's own pointer does not hide it. */
  sessionPointerAt(x: number, y: number): void {
    const { image, picture } = this;
    if (this.pointerInside || image === null || picture === null) return;
    this.draw(picture, image.width * this.glass.cssPerPixel, image.height * this.glass.cssPerPixel);
    const at = this.glass.toWindow(x, y);
    this.placeSprite(at.x, at.y);
  }

  private placeSprite(x: number, y: number): void {
    const image = this.image as CursorImage;
    const left = x - image.hotX / devicePixelRatio;
    const top = y - image.hotY / devicePixelRatio;
    this.sprite.style.transform = `translate(${left}px, ${top}px)`;
    this.sprite.hidden = false;
  }
}

/** The cursor's picture, drawn into `picture`. */
export function pictureOf(image: CursorImage, picture = document.createElement("canvas")): HTMLCanvasElement {
  picture.width = image.width;
  picture.height = image.height;
  picture.getContext("2d")?.putImageData(new ImageData(straightAlpha(image.rgba), image.width, image.height), 0, 0);
  return picture;
}

function resized(picture: HTMLCanvasElement, cssWidth: number, cssHeight: number): HTMLCanvasElement {
  if (picture.width === cssWidth) return picture;
  const small = document.createElement("canvas");
  small.width = Math.max(1, Math.round(cssWidth));
  small.height = Math.max(1, Math.round(cssHeight));
  small.getContext("2d")?.drawImage(picture, 0, 0, small.width, small.height);
  return small;
}
