// What a peer may send at most: docs/protocol.md, "Limits".

export const MAX_CONTROL_MESSAGE = 1 << 20;
export const MAX_NAME = 256;
export const MAX_REASON = 1024;
/** Other gateways that a viewer is told of, and certificates by which one may be known. */
export const MAX_GATEWAYS = 32;
export const MAX_PINS = 4;
export const MAX_CLIP_TEXT = 512 << 10;
/** The picture of a clipboard: its bytes, its pixels, and the bytes of one part of it. */
export const MAX_CLIP_PICTURE = 8 << 20;
export const MAX_CLIP_PIXELS = 16 << 20;
export const MAX_PICTURE_PART = 16 << 10;
/** Of a ticket with its secret, and of a host's secret. */
export const MAX_TICKET = 2048;
export const MAX_INPUT_TEXT = 4096;
export const MAX_SIDE = 16_384;
export const MAX_PIXELS = 7680 * 4320;
export const MAX_COPIES = 256;
/** What the copies of one update move, in screens. */
export const MAX_COPIED_SCREENS = 32;
export const MAX_CURSOR_SIDE = 256;
export const MAX_UPDATE_BYTES = 64 << 20;
export const MAX_UPDATE_TILES = 4096;
export const MAX_WAITING_UPDATES = 256;
export const MAX_WAITING_BYTES = 64 << 20;
/** One frame of video. */
export const MAX_VIDEO_FRAME = 4 << 20;
/** Videos that a viewer decodes at once. */
export const MAX_VIDEOS = 8;
export const MAX_DATAGRAM = 1200;
/** One packet of sound. */
export const MAX_SOUND = 1000;
export const MAX_FRAME = 65_536;
/** The tiles of the largest screen: a long thin one has the most. */
export const MAX_TILES = 16_384;
/** Unidirectional streams that a peer may have open at once. */
export const MAX_OPEN_STREAMS = 256;
/** Viewers of one session. */
export const MAX_VIEWERS = 64;
/** Models of small parts that a viewer keeps. */
export const MAX_MODELS = 4;
