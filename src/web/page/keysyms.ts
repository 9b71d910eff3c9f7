// KeyboardEvent.key to X11 keysym (X Window System Protocol, appendix A: keysym encoding).

/** Keysyms of named keys: on the left, on the right, on the keypad (KeyboardEvent.location 0 or 1, 2, 3). */
type Places = { plain: number; right?: number; keypad?: number };

const named: Record<string, Places> = {
  Backspace: { plain: 0xff08 },
  Tab: { plain: 0xff09, keypad: 0xff89 },
  Enter: { plain: 0xff0d, keypad: 0xff8d },
  Escape: { plain: 0xff1b },
  Delete: { plain: 0xffff, keypad: 0xff9f },
  Home: { plain: 0xff50, keypad: 0xff95 },
  ArrowLeft: { plain: 0xff51, keypad: 0xff96 },
  ArrowUp: { plain: 0xff52, keypad: 0xff97 },
  ArrowRight: { plain: 0xff53, keypad: 0xff98 },
  ArrowDown: { plain: 0xff54, keypad: 0xff99 },
  PageUp: { plain: 0xff55, keypad: 0xff9a },
  PageDown: { plain: 0xff56, keypad: 0xff9b },
  End: { plain: 0xff57, keypad: 0xff9c },
  Insert: { plain: 0xff63, keypad: 0xff9e },
  Clear: { plain: 0xff0b, keypad: 0xff9d },
  Select: { plain: 0xff60 },
  Print: { plain: 0xff61 },
  PrintScreen: { plain: 0xff61 },
  Execute: { plain: 0xff62 },
  Undo: { plain: 0xff65 },
  Redo: { plain: 0xff66 },
  ContextMenu: { plain: 0xff67 },
  Find: { plain: 0xff68 },
  Cancel: { plain: 0xff69 },
  Help: { plain: 0xff6a },
  Pause: { plain: 0xff13 },
  ScrollLock: { plain: 0xff14 },
  NumLock: { plain: 0xff7f },
  CapsLock: { plain: 0xffe5 },
  Shift: { plain: 0xffe1, right: 0xffe2 },
  Control: { plain: 0xffe3, right: 0xffe4 },
  Alt: { plain: 0xffe9, right: 0xffea },
  Meta: { plain: 0xffeb, right: 0xffec },
  Super: { plain: 0xffeb, right: 0xffec },
  OS: { plain: 0xffeb, right: 0xffec },
  Hyper: { plain: 0xffed, right: 0xffee },
  AltGraph: { plain: 0xfe03 },
  Compose: { plain: 0xff20 },
  ModeChange: { plain: 0xff7e },
  KanaMode: { plain: 0xff2d },
  KanjiMode: { plain: 0xff21 },
  HangulMode: { plain: 0xff31 },
  HanjaMode: { plain: 0xff34 },
  Eisu: { plain: 0xff2f },
  Hankaku: { plain: 0xff29 },
  Zenkaku: { plain: 0xff28 },
  ZenkakuHankaku: { plain: 0xff2a },
  Hiragana: { plain: 0xff25 },
  Katakana: { plain: 0xff26 },
  HiraganaKatakana: { plain: 0xff27 },
  Romaji: { plain: 0xff24 },
  Convert: { plain: 0xff23 },
  NonConvert: { plain: 0xff22 },
  AudioVolumeDown: { plain: 0x1008ff11 },
  AudioVolumeMute: { plain: 0x1008ff12 },
  AudioVolumeUp: { plain: 0x1008ff13 },
  MediaPlayPause: { plain: 0x1008ff14 },
  MediaStop: { plain: 0x1008ff15 },
  MediaTrackPrevious: { plain: 0x1008ff16 },
  MediaTrackNext: { plain: 0x1008ff17 },
  BrowserBack: { plain: 0x1008ff26 },
  BrowserForward: { plain: 0x1008ff27 },
  BrowserRefresh: { plain: 0x1008ff29 },
};
for (let number = 1; number <= 35; number++) named[`F${number}`] = { plain: 0xffbe + number - 1 };

const table = new Map(Object.entries(named));

const keypadCharacters = new Map<string, number>([
  ["*", 0xffaa],
  ["+", 0xffab],
  [",", 0xffac],
  ["-", 0xffad],
  [".", 0xffae],
  ["/", 0xffaf],
  ["=", 0xffbd],
  ...[..."0123456789"].map((digit, index): [string, number] => [digit, 0xffb0 + index]),
]);

/** The keysym of one character. */
export function keysymOfCharacter(character: string): number {
  const point = character.codePointAt(0) ?? 0;
  const latin1 = (point >= 0x20 && point <= 0x7e) || (point >= 0xa0 && point <= 0xff);
  if (latin1) return point;
  if (point === 0x0a || point === 0x0d) return 0xff0d;
  if (point === 0x09) return 0xff09;
  if (point === 0x08) return 0xff08;
  return 0x0100_0000 + point;
}

/** Whether `key` is what a key types, not its name. */
export function isCharacter(key: string): boolean {
  return [...key].length === 1;
}

/** The keysym of a KeyboardEvent's `key` at `location`; 0 if there is none (`Dead`, `Process`, `Unidentified`). */
export function keysymOf(key: string, location: number): number {
  if (isCharacter(key)) return (location === 3 ? keypadCharacters.get(key) : undefined) ?? keysymOfCharacter(key);
  const places = table.get(key);
  if (places === undefined) return 0;
  if (location === 2) return places.right ?? places.plain;
  return (location === 3 ? places.keypad : undefined) ?? places.plain;
}
