// Figures as people read them.

import type { Words } from "./words.ts";

/** A time that has passed, to two units at most. */
export function elapsed(millis: number, words: Words): string {
  const seconds = Math.max(0, Math.floor(millis / 1000));
  if (seconds < 60) return words.seconds(seconds);
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return words.minutes(minutes);
  const hours = Math.floor(minutes / 60);
  return hours < 24 ? words.hours(hours, minutes % 60) : words.days(Math.floor(hours / 24), hours % 24);
}

export function bytes(count: number, words: Words): string {
  const units = ["", "k", "M", "G", "T"];
  let [value, unit] = [count, 0];
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return words.bytes(unit === 0 || value >= 100 ? String(Math.round(value)) : value.toFixed(1), units[unit] as string);
}

export function roundTrip(micros: number, words: Words): string {
  const millis = micros / 1000;
  return millis === 0 ? "–" : words.millis(millis < 10 ? millis.toFixed(1) : String(Math.round(millis)));
}

/** Whether each word of a filter stands in one of the texts, whatever its case and accents. */
export function matches(filter: string, texts: readonly string[]): boolean {
  const plain = (text: string): string => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
  const all = plain(texts.join("\n"));
  return plain(filter).split(/\s+/).every((word) => all.includes(word));
}

/** Groups as they are typed: separated by commas, each once. */
export function groupsOf(text: string): string[] {
  return [...new Set(text.split(",").map((group) => group.trim()).filter((group) => group !== ""))];
}
