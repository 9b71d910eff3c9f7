// The input stream and the pointer's datagram: docs/protocol.md, "Input stream".

import { ProtocolError, Reader, Writer, utf8 } from "./bytes.ts";
import { MAX_INPUT_TEXT } from "./limits.ts";

export const INPUT_STREAM_KIND = 1;

export const Button = { left: 1, middle: 2, right: 3, back: 8, forward: 9 } as const;
export type Button = (typeof Button)[keyof typeof Button];

/** What the user does. `key` is a USB HID usage of page 7, `keysym` an X11 keysym, x and y session pixels. */
export type InputEvent =
  | { type: "KeyDown"; key: number; keysym: number }
  | { type: "KeyUp"; key: number; keysym: number }
  | { type: "Text"; text: string }
  | { type: "ReleaseAll" }
  | { type: "PointerMove"; x: number; y: number }
  | { type: "PointerButton"; button: Button; down: boolean; x: number; y: number }
  | { type: "Wheel"; horizontal: number; vertical: number; x: number; y: number };

const numbers = {
  KeyDown: 1,
  KeyUp: 2,
  Text: 3,
  ReleaseAll: 4,
  PointerMove: 5,
  PointerButton: 6,
  Wheel: 7,
} as const satisfies Record<InputEvent["type"], number>;

function writeBody(writer: Writer, event: InputEvent): Writer {
  switch (event.type) {
    case "KeyDown":
    case "KeyUp":
      return writer.varint(event.key).varint(event.keysym);
    case "Text":
      return writer.raw(utf8(event.text));
    case "ReleaseAll":
      return writer;
    case "PointerMove":
      return writer.varint(event.x).varint(event.y);
    case "PointerButton":
      return writer.u8(event.button).flag(event.down).varint(event.x).varint(event.y);
    case "Wheel":
      return writer.zigzag(event.horizontal).zigzag(event.vertical).varint(event.x).varint(event.y);
  }
}

export function encodeInput(event: InputEvent): Uint8Array {
  const body = writeBody(new Writer(), event).done();
  return new Writer(body.length + 4).u8(numbers[event.type]).lengthAndBytes(body).done();
}

/** The head of an input stream whose first event has this number. */
export function encodeInputHead(firstNumber: number): Uint8Array {
  return new Writer(9).varint(INPUT_STREAM_KIND).varint(firstNumber).done();
}

/** Reads one event; null is one of an unknown type. The viewer never receives any: this is for its tests. */
export function decodeInput(reader: Reader): InputEvent | null {
  const type = reader.u8();
  const body = new Reader(reader.bytesUpTo(MAX_INPUT_TEXT, "an input event"));
  switch (type) {
    case numbers.KeyDown:
      return { type: "KeyDown", key: body.varint(), keysym: body.varint() };
    case numbers.KeyUp:
      return { type: "KeyUp", key: body.varint(), keysym: body.varint() };
    case numbers.Text:
      return { type: "Text", text: decodeText(body.rest()) };
    case numbers.ReleaseAll:
      return { type: "ReleaseAll" };
    case numbers.PointerMove:
      return { type: "PointerMove", x: body.varint(), y: body.varint() };
    case numbers.PointerButton:
      return { type: "PointerButton", button: asButton(body.u8()), down: body.flag(), x: body.varint(), y: body.varint() };
    case numbers.Wheel:
      return { type: "Wheel", horizontal: body.zigzag(), vertical: body.zigzag(), x: body.varint(), y: body.varint() };
    default:
      return null;
  }
}

function decodeText(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new ProtocolError("the text of an input event is not UTF-8");
  }
}

function asButton(value: number): Button {
  for (const button of Object.values(Button)) if (button === value) return button;
  throw new ProtocolError(`there is no pointer button ${value}`);
}

/** Text cut into events that each hold at most what the protocol allows, never inside a character. */
export function textEvents(text: string): InputEvent[] {
  const events: InputEvent[] = [];
  let part = "";
  let partBytes = 0;
  for (const character of text) {
    const bytes = utf8(character).length;
    if (partBytes + bytes > MAX_INPUT_TEXT) {
      events.push({ type: "Text", text: part });
      part = "";
      partBytes = 0;
    }
    part += character;
    partBytes += bytes;
  }
  if (part !== "") events.push({ type: "Text", text: part });
  return events;
}

export function encodePointerDatagram(counter: number, nextInput: number, x: number, y: number): Uint8Array {
  return new Writer(24).u8(1).varint(counter).varint(nextInput).varint(x).varint(y).done();
}
